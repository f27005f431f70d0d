//! The decision point that runs: its policies and facts, its watches, its log.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weft_identity::access::authzen::{self, Decided};
use weft_identity::access::events::{self, Origin};
use weft_identity::access::watch::{Cause, Flip, Watchlist};
use weft_identity::access::{AccessPoint, Ask};
use weft_model::{Decision, Effect};

use super::{load, log};
use crate::content::Files;
use crate::door::now;
use crate::door::token::{Token, Tokens};
use crate::home::Home;
use crate::respond::Journal;

/// Lines that a watcher may lag behind; one that lags more is cut off and has to ask again.
const LINES_MAX: usize = 4_096;
/// Requests that are watched at a time, of all watchers.
const WATCHES_MAX: usize = 100_000;

/// What the service needs to know of its surroundings.
pub struct Settings {
    /// Where policies and facts are.
    pub home: Home,
    /// Content, for the mesh's own policies.
    pub files: Files,
    /// How this mesh is reached when the configuration does not say.
    pub address: String,
    /// The mesh's own token: it may also change facts.
    pub token: String,
}

/// What is known of an entity by a push: none, it was taken away.
type Pushed = BTreeMap<(String, String), Option<Value>>;

/// The decision point that runs.
pub struct Service {
    pub(super) settings: Settings,
    own: Tokens,
    asking: Tokens,
    point: RwLock<AccessPoint>,
    pushed: Mutex<Pushed>,
    watches: Mutex<Watches>,
    log: mpsc::Sender<Value>,
    decided: AtomicU64,
}

/// Watches that were opened.
pub(super) struct Opened {
    /// The answers as they are now.
    pub(super) first: Vec<Decided>,
    /// Their numbers.
    pub(super) numbers: Vec<u64>,
    /// What there is to tell.
    pub(super) lines: mpsc::Receiver<Value>,
}

#[derive(Default)]
struct Watches {
    list: Watchlist,
    /// By watch: who is told, and as which of his requests.
    told: HashMap<u64, (mpsc::Sender<Value>, usize)>,
}

impl Service {
    /// Over a point; the handle is that of its log, which ends when it is told to.
    pub fn start(point: AccessPoint, settings: Settings, journal: Arc<dyn Journal>, stop: CancellationToken) -> (Arc<Self>, JoinHandle<()>) {
        let (log, writing) = log::start(journal, stop);
        let own = Token::new("local", &settings.token, false, None);
        let enforcing = settings.home.config.access.token.iter().map(|secret| Token::new("enforcement", secret, false, None));
        let service = Self {
            asking: Tokens(enforcing.chain([own.clone()]).collect()),
            own: Tokens(vec![own]),
            settings,
            point: RwLock::new(point),
            pushed: Mutex::default(),
            watches: Mutex::default(),
            log,
            decided: AtomicU64::new(0),
        };
        (Arc::new(service), writing)
    }

    /// How others reach this decision point.
    pub(super) fn base(&self) -> &str {
        self.settings.home.config.access.url.as_deref().unwrap_or(&self.settings.address)
    }

    /// Whether a request may ask.
    pub(super) fn may_ask(&self, headers: &axum::http::HeaderMap) -> bool {
        self.asking.check(headers).is_ok()
    }

    /// Whether it may change facts.
    pub(super) fn may_change(&self, headers: &axum::http::HeaderMap) -> bool {
        self.own.check(headers).is_ok()
    }

    /// Looks at policies and facts.
    pub fn read<T>(&self, look: impl FnOnce(&AccessPoint) -> T) -> T {
        look(&self.point.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps decisions as API activity.
    pub(super) async fn keep(&self, request: &str, decided: &[Decided]) {
        for one in decided {
            self.tell(events::decision(&one.ask, &one.decision, self.origin(request))).await;
        }
    }

    /// Keeps a decision on a session.
    pub(super) async fn keep_session(&self, request: &str, ask: &Ask, decision: &Decision) {
        self.tell(events::session(ask, decision, self.origin(request))).await;
    }

    fn origin<'a>(&self, request: &'a str) -> Origin<'a> {
        let number = self.decided.fetch_add(1, Ordering::Relaxed);
        Origin { request, item: usize::try_from(number).unwrap_or(usize::MAX), now: now() }
    }

    async fn tell(&self, event: Value) {
        // The log ends after the last request; what comes later has nobody to answer to.
        let _ended = self.log.send(event).await;
    }

    /// Takes facts, all of them or none; how many there were.
    ///
    /// # Errors
    /// What is wrong, one line each.
    pub(super) fn upsert(&self, entities: &[Value]) -> Result<(usize, Vec<Flip>), Vec<String>> {
        let mut faults = Vec::new();
        let mut names = Vec::new();
        let read: Vec<_> = self.read(|point| entities.iter().map(|entity| point.store().read(entity)).collect());
        let mut point = self.point.write().unwrap_or_else(PoisonError::into_inner);
        let good: Vec<_> = (1..).zip(read).filter_map(|(number, one)| one.map_err(|reason| faults.push(format!("entity {number}: {reason}"))).ok()).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        for (entity, json) in good.into_iter().zip(entities) {
            let name = point.store_mut().put(entity);
            pushed.insert(name.clone(), Some(json.clone()));
            names.push(name);
        }
        drop((point, pushed));
        Ok((names.len(), self.reassess(Cause::Facts(&names))))
    }

    /// Forgets entities; how many were known.
    pub(super) fn forget(&self, names: Vec<(String, String)>) -> (usize, Vec<Flip>) {
        let mut point = self.point.write().unwrap_or_else(PoisonError::into_inner);
        let known = names.iter().filter(|(kind, id)| point.store_mut().remove(kind, id)).count();
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner).extend(names.iter().cloned().map(|name| (name, None)));
        drop(point);
        (known, self.reassess(Cause::Facts(&names)))
    }

    /// Reads the folder again; what was pushed stays.
    ///
    /// # Errors
    /// Every fault; what was there before goes on.
    pub fn reload(&self) -> Result<Vec<Flip>, Vec<String>> {
        let mut fresh = load::point(&self.settings.home, &self.settings.files)?;
        // Whoever pushes waits, so that no push falls between the old facts and the new ones.
        let mut point = self.point.write().unwrap_or_else(PoisonError::into_inner);
        let pushed = self.pushed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = Vec::new();
        for ((kind, id), entity) in pushed.iter() {
            match entity {
                Some(json) => faults.extend(fresh.store_mut().upsert(json).err()),
                None => drop(fresh.store_mut().remove(kind, id)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        *point = fresh;
        drop((point, pushed));
        Ok(self.reassess(Cause::Policies))
    }

    /// Watches requests: what they are told now and from now on.
    ///
    /// # Errors
    /// There are too many watches.
    pub(super) fn watch(&self, asks: Vec<Ask>) -> Result<Opened, String> {
        let (sender, receiver) = mpsc::channel(LINES_MAX.max(asks.len() + 1));
        let point = self.point.read().unwrap_or_else(PoisonError::into_inner);
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if watches.list.len() + asks.len() > WATCHES_MAX {
            return Err(format!("{WATCHES_MAX} requests are watched already; end other watches first"));
        }
        let (mut first, mut numbers) = (Vec::new(), Vec::new());
        for (index, ask) in asks.into_iter().enumerate() {
            let (number, decision) = watches.list.add(&point, ask.clone());
            let _room = sender.try_send(line(&point, index, &decision, None));
            watches.told.insert(number, (sender.clone(), index));
            numbers.push(number);
            first.push(Decided { ask, decision });
        }
        Ok(Opened { first, numbers, lines: receiver })
    }

    /// Ends watches.
    pub(super) fn unwatch(&self, numbers: &[u64]) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            watches.list.remove(*number);
            watches.told.remove(number);
        }
    }

    /// Tells watchers what turned.
    fn reassess(&self, cause: Cause<'_>) -> Vec<Flip> {
        let point = self.point.read().unwrap_or_else(PoisonError::into_inner);
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let flips = watches.list.reassess(&point, cause);
        let because = if matches!(cause, Cause::Policies) { "policies" } else { "facts" };
        let mut lagging = Vec::new();
        for flip in &flips {
            if let Some((sender, index)) = watches.told.get(&flip.watch)
                && sender.try_send(line(&point, *index, &flip.after, Some((&flip.before, because)))).is_err()
            {
                lagging.push(sender.clone());
            }
        }
        // A watcher that missed a line must not believe that he knows: his stream ends.
        watches.told.retain(|_, (sender, _)| !lagging.iter().any(|gone| gone.same_channel(sender)));
        flips
    }

    /// Keeps answers that turned.
    pub(super) async fn keep_flips(&self, request: &str, flips: &[Flip]) {
        for flip in flips {
            self.tell(events::flip(flip, self.origin(request))).await;
        }
    }

    /// Looks at the folder until told to stop, and reads it again when it changed.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let folder = load::folder(&self.settings.home);
        let mut seen = load::look(&folder);
        let mut ticks = tokio::time::interval(Duration::from_secs(self.settings.home.config.access.look_seconds));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let looks = load::look(&folder);
            if looks == seen {
                continue;
            }
            seen = looks;
            let service = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || service.reload()).await {
                Ok(Ok(flips)) => {
                    tracing::info!(flips = flips.len(), "policies and facts were read again");
                    self.keep_flips("reload", &flips).await;
                }
                Ok(Err(faults)) => faults.iter().for_each(|fault| tracing::error!("{fault}; the policies and facts from before go on")),
                Err(error) => tracing::error!(%error, "policies and facts could not be read again"),
            }
        }
    }
}

/// One line of a watch.
fn line(point: &AccessPoint, index: usize, decision: &Decision, before: Option<(&Decision, &str)>) -> Value {
    let mut line = json!({"index": index});
    if let (Some(fields), Value::Object(told)) = (line.as_object_mut(), authzen::told(point, decision)) {
        fields.extend(told);
        if let Some((before, cause)) = before {
            fields.insert("before".to_owned(), json!(before.effect == Effect::Permit));
            fields.insert("cause".to_owned(), json!(cause));
        }
    }
    line
}
