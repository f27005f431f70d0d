//! Feeds that the mesh fetches by itself: when, how, and what came of it.
//!
//! A look is one call with its time as an argument; what is remembered of a feed between two looks is
//! [`Progress`], a value. The runner beside it (`wire/feeds.rs`) only waits and keeps.

use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use weft_analytics::intel::Kind;
use weft_analytics::intel::read::Options;
use weft_model::Timestamp;

use super::fetch::{self, Fetched, Server, Trouble, Validators};
use super::import::{self, Done, Given};
use super::open::Documents;
use super::shelf::Shelf;
use crate::config::{FeedConfig, FeedFrom};
use crate::door::pull::secret;

/// Wait after the first fault, milliseconds; it doubles with each further one.
const FIRST_WAIT_MS: i64 = 30_000;
/// Longest wait after faults in a row.
const MOST_WAIT_MS: i64 = 6 * 3_600_000;
/// What is still listed is imported again after so long, so that it goes on being valid.
const AGAIN_MS: i64 = Timestamp::DAY_MS;
/// Longest time for which a server may ask not to be asked, milliseconds.
const HOLD_MS_MAX: i64 = Timestamp::DAY_MS;
/// Remarks that are kept of a look.
const REMARKS_MAX: usize = 10;

/// What is remembered of a feed between two looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where the feed was; one that moved begins anew.
    pub from: String,
    /// What it was imported as; one that is taken otherwise is fetched anew.
    #[serde(default)]
    pub taken_as: String,
    /// By what the next look knows that nothing changed.
    pub validators: Validators,
    /// When it was looked at last.
    pub tried: Option<Timestamp>,
    /// When that went well last.
    pub success: Option<Timestamp>,
    /// When something was imported last.
    pub changed: Option<Timestamp>,
    /// Whether that is a source of indicators; warning lists are none.
    #[serde(default)]
    pub is_source: bool,
    /// Faults in a row.
    pub faults: u32,
    /// Milliseconds to wait after the last fault.
    pub wait_ms: i64,
    /// Why the last look failed.
    pub error: Option<String>,
    /// What of the last answer could not be taken.
    pub remarks: Vec<String>,
}

/// What a look brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Whether something was imported.
    pub changed: bool,
    /// Whether that is a source of indicators.
    pub is_source: bool,
    /// For the next look.
    pub validators: Validators,
    /// What of it could not be taken.
    pub remarks: Vec<String>,
}

impl Progress {
    /// Of what was kept, when it is of the same place.
    pub fn of(kept: Option<&str>, feed: &FeedConfig) -> Self {
        let (from, taken_as) = (shown(feed), format!("{:?} {} {:?}", feed.kind, feed.confidence, feed.valid_for_ms));
        let kept = kept.and_then(|text| serde_json::from_str::<Self>(text).ok()).filter(|kept| kept.from == from && kept.taken_as == taken_as);
        kept.unwrap_or(Self { from, taken_as, ..Self::default() })
    }

    /// When it is to be looked at next; at once when it never was.
    pub fn next(&self, every_ms: i64) -> Timestamp {
        let wait = if self.faults == 0 { every_ms } else { self.wait_ms };
        self.tried.map_or(Timestamp(i64::MIN), |tried| Timestamp(tried.0.saturating_add(wait)))
    }

    /// Whether a look must not be content with nothing new: what is still listed would end.
    fn is_stale(&self, feed: &FeedConfig, now: Timestamp) -> bool {
        let again = feed.valid_for_ms.map_or(AGAIN_MS, |valid| AGAIN_MS.min(valid / 2));
        self.changed.is_none_or(|changed| now.0 >= changed.0.saturating_add(again))
    }

    /// The state after a look.
    #[must_use]
    pub fn after(self, looked: Result<Looked, Trouble>, every_ms: i64, now: Timestamp) -> Self {
        match looked {
            Ok(Looked { changed, is_source, validators, remarks }) => Self {
                validators,
                tried: Some(now),
                success: Some(now),
                changed: if changed { Some(now) } else { self.changed },
                is_source: if changed { is_source } else { self.is_source },
                faults: 0,
                wait_ms: 0,
                error: None,
                remarks: if changed { remarks } else { self.remarks },
                from: self.from,
                taken_as: self.taken_as,
            },
            Err(trouble) => {
                let faults = self.faults.saturating_add(1);
                let doubled = FIRST_WAIT_MS.saturating_mul(1 << (faults - 1).min(20)).min(MOST_WAIT_MS);
                // A feed that is looked at rarely is looked at again sooner after a fault, never later than usual.
                let hold = trouble.hold_ms.unwrap_or(0).min(HOLD_MS_MAX);
                Self { tried: Some(now), faults, wait_ms: doubled.min(every_ms.max(FIRST_WAIT_MS)).max(hold), error: Some(trouble.message), ..self }
            }
        }
    }
}

/// Where a feed is, without what may be secret.
pub fn shown(feed: &FeedConfig) -> String {
    match &feed.from {
        FeedFrom::Url(url) => fetch::without_query(url),
        FeedFrom::Path(path) => path.display().to_string(),
    }
}

/// Looks at a feed, and imports what is new by the way of `weft intel import`.
///
/// # Errors
/// For a person; what was kept of the feed stays as it was.
pub async fn look(shelf: &Shelf, feed: &FeedConfig, progress: &Progress, now: Timestamp) -> Result<Looked, Trouble> {
    // What somebody took off the shelf comes back, as it is still in the configuration.
    let anew = progress.is_stale(feed, now) || progress.is_source && !shelf.sources().contains(&feed.name);
    let known = if anew { Validators::default() } else { progress.validators.clone() };
    let Some((given, validators)) = gather(shelf, feed, &known, anew).await? else {
        return Ok(Looked { changed: false, is_source: false, validators: progress.validators.clone(), remarks: Vec::new() });
    };
    let options = Options { at: now.0, confidence: feed.confidence, valid_for: feed.valid_for_ms, kind: feed.kind.as_deref().and_then(Kind::of_name) };
    let shelf = shelf.clone();
    let imported = tokio::task::spawn_blocking(move || {
        let mut done = Done::default();
        import::import(&shelf, vec![given], &options, &mut done).map(|()| done)
    });
    let done = imported.await.map_err(|error| error.to_string())??;
    if done.sources + done.lists == 0 {
        let reason = done.faults.first().map_or("it gave no document", String::as_str);
        return Err(Trouble::from(format!("nothing could be taken: {reason}")));
    }
    let (is_source, mut remarks) = (done.sources > 0, done.faults);
    remarks.extend(done.remarks);
    remarks.truncate(REMARKS_MAX);
    Ok(Looked { changed: true, is_source, validators, remarks })
}

/// What a feed gives; none when nothing changed.
async fn gather(shelf: &Shelf, feed: &FeedConfig, known: &Validators, anew: bool) -> Result<Option<(Given, Validators)>, Trouble> {
    let mut documents = Documents::default();
    let given = |position: String, adds: bool, documents: Documents| Given {
        source: feed.name.clone(),
        origin: shown(feed),
        position,
        adds,
        documents: documents.found,
    };
    match &feed.from {
        FeedFrom::Path(path) => {
            let (path, before) = (Arc::<Path>::from(path.as_path()), known.etag.clone());
            let read = tokio::task::spawn_blocking(move || {
                let print = fingerprint(&path);
                if before.is_some_and(|before| before == print) {
                    return Ok(None);
                }
                documents.read(&path).map(|()| Some((documents, print)))
            });
            let read = read.await.map_err(|error| error.to_string())??;
            Ok(read.map(|(documents, print)| (given(String::new(), false, documents), Validators { etag: Some(print), modified: None })))
        }
        FeedFrom::Url(url) => {
            // A collection is read on from where it was read to, and says what is new.
            let before = if fetch::is_collection(url) && !anew {
                let (shelf, name, origin) = (shelf.clone(), feed.name.clone(), shown(feed));
                tokio::task::spawn_blocking(move || shelf.read_to(&name, &origin)).await.map_err(|error| error.to_string())??
            } else {
                String::new()
            };
            let secret = feed.secret.as_ref().map(|secret| secret::one(secret).map_err(|message| format!("the secret: {message}"))).transpose()?;
            let server = Server::with_secret(feed.user.as_deref(), secret.as_deref())?;
            match server.fetch(url, &before, known, &mut documents).await? {
                Fetched::Same => Ok(None),
                Fetched::New { position, validators } => Ok(Some((given(position, !before.is_empty(), documents), validators))),
            }
        }
    }
}

/// Another text when a file, or one of a folder, is another one.
fn fingerprint(path: &Path) -> String {
    let files = if path.is_dir() { crate::content::walk(path, 32) } else { vec![path.to_owned()] };
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let about = std::fs::metadata(&file).ok();
        let time = about.as_ref().and_then(|about| about.modified().ok()?.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        hasher.update(format!("{}\0{}\0{}\0", file.display(), about.map_or(0, |about| about.len()), time.as_nanos()).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn feed(every_ms: i64) -> FeedConfig {
        let from = FeedFrom::Url("https://me@feed.example/list?key=secret".parse().unwrap());
        FeedConfig { name: "f".to_owned(), from, every_ms, user: None, secret: None, kind: None, confidence: 50, valid_for_ms: None }
    }

    fn good(changed: bool) -> Result<Looked, Trouble> {
        let validators = Validators { etag: Some("e".to_owned()), modified: None };
        Ok(Looked { changed, is_source: true, validators, remarks: vec!["r".to_owned()] })
    }

    #[test]
    fn faults_wait_longer_and_longer_and_success_ends_that() {
        let mut progress = Progress::of(None, &feed(HOUR));
        assert_eq!((progress.from.as_str(), progress.next(HOUR)), ("https://feed.example/list", Timestamp(i64::MIN)));
        let mut waits = Vec::new();
        for round in 0..10 {
            let now = Timestamp(round * 10 * HOUR);
            progress = progress.after(Err("down".to_owned().into()), HOUR, now);
            waits.push((progress.next(HOUR).0 - now.0) / 1000);
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!((progress.faults, progress.error.as_deref(), progress.success), (10, Some("down"), None));
        let held = progress.clone().after(Err(Trouble { message: "busy".to_owned(), hold_ms: Some(2 * HOUR) }), HOUR, Timestamp(0));
        assert_eq!(held.next(HOUR), Timestamp(2 * HOUR), "as long as the server wants");
        let well = progress.after(good(true), HOUR, Timestamp(5));
        assert_eq!((well.next(HOUR), well.faults, well.error.clone(), well.changed), (Timestamp(HOUR + 5), 0, None, Some(Timestamp(5))));
    }

    #[test]
    fn what_is_still_listed_is_imported_again_before_it_ends() {
        let daily = feed(HOUR);
        let weekly = FeedConfig { valid_for_ms: Some(4 * HOUR), ..feed(HOUR) };
        let progress = Progress::of(None, &daily);
        assert!(progress.is_stale(&daily, Timestamp(0)));
        let progress = progress.after(good(true), HOUR, Timestamp(0)).after(good(false), HOUR, Timestamp(HOUR));
        assert!(!progress.is_stale(&daily, Timestamp(23 * HOUR)) && progress.is_stale(&daily, Timestamp(24 * HOUR)));
        assert!(!progress.is_stale(&weekly, Timestamp(HOUR)) && progress.is_stale(&weekly, Timestamp(2 * HOUR)));
    }

    #[test]
    fn a_feed_that_moved_begins_anew() {
        let kept = serde_json::to_string(&Progress::of(None, &feed(HOUR)).after(good(true), HOUR, Timestamp(5))).unwrap();
        assert_eq!(Progress::of(Some(&kept), &feed(HOUR)).success, Some(Timestamp(5)));
        let surer = FeedConfig { confidence: 90, ..feed(HOUR) };
        assert_eq!(Progress::of(Some(&kept), &surer).success, None, "what was taken as something else is fetched anew");
        let moved = FeedConfig { from: FeedFrom::Path("/x".into()), ..feed(HOUR) };
        assert_eq!(Progress::of(Some(&kept), &moved).success, None);
        assert_eq!(Progress::of(Some("nonsense"), &feed(HOUR)).success, None);
    }
}
