//! Baselines: what a detection finds is measured against what is usual for an entity, its peers
//! or the population.
//!
//! Events are held until the watermark passes them and are then judged in order of event time, so
//! that the order of arrival does not matter; what is late is judged when it comes. Formulas and
//! their sources: `docs/guide/behaviour.md`.

mod beacon;
mod count;
mod entity;
mod graph;
mod judge;
mod travel;
mod tunnel;

use std::collections::HashSet;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use weft_model::{ClassUid, Evidence, Finding, Timestamp};

use self::entity::{Entities, EntityState};
use super::Loaded;
use super::correlate::{Id, Name, Pool, SEPARATOR, TextId, Uid, hash, uid_of};
use super::outcome::entities_of;
use crate::sigma::behaviour::{Behaviour, BehaviourKind};

pub use self::entity::ENTITIES_MAX;
pub use self::travel::{Location, Places};

/// Most events that one rule holds until the watermark passes; beyond, the older half is judged.
pub const HELD_MAX: usize = 262_144;
/// Most (entity, value) pairs that one rule remembers; some 40 bytes each. The tenth that was not
/// seen for the longest time goes.
pub const PAIRS_MAX: usize = 2_000_000;
/// Ids of judged events that are known again when they are delivered twice.
const RECENT_MAX: usize = 65_536;

/// The baseline of one rule.
pub(crate) struct Baseline {
    pub(crate) rule: usize,
    asked: Behaviour,
    pub(crate) memory: Memory,
    places: Option<Arc<dyn Places>>,
}

/// What has to survive a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Time of the first event of the logsource.
    since: Option<i64>,
    watermark: Option<i64>,
    held: Vec<Held>,
    pool: Pool,
    entities: Entities,
    /// Entities that were judged.
    known: u64,
    #[serde(with = "pairs")]
    pairs: HashMap<u64, Seen>,
    /// How many entities show a value, or go to a destination.
    #[serde(with = "pairs")]
    counts: HashMap<u64, u32>,
    /// Of a node of the log-on graph, whom it went to, and who came.
    #[serde(with = "pairs")]
    edges: HashMap<u64, graph::Neighbours>,
    recent: [HashSet<Id>; 2],
    /// Evidence that no entity remembers any more, until the verdicts of this round are told.
    #[serde(skip)]
    late_release: Vec<Mark>,
    pub(crate) evicted: u64,
    pub(crate) late: u64,
}

/// When a pair was seen first and last.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Seen {
    first: i64,
    last: i64,
}

/// An event that waits to be judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    time: i64,
    id: Id,
    name: Name,
    class: u32,
    entity: u32,
    /// What is measured: a text of the pool, or a number in thousandths.
    value: TextId,
    number: i64,
    peers: TextId,
    entities: TextId,
    /// Group, value and carried fields for each correlation that it feeds.
    above: Box<[[TextId; 3]]>,
}

/// An event that an entity remembers as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    time: i64,
    id: Id,
    name: Name,
    class: u32,
}

/// What an analytic says about an event.
#[derive(Debug, Default)]
struct Verdict {
    words: Vec<String>,
    before: Vec<Mark>,
}

/// One event as the engine read it.
pub(crate) struct Reading<'a> {
    pub(crate) time: i64,
    pub(crate) uid: Uid<'a>,
    pub(crate) class: u32,
    pub(crate) entity: &'a str,
    pub(crate) value: &'a str,
    pub(crate) peers: &'a str,
    pub(crate) entities: &'a str,
    pub(crate) above: &'a [[String; 3]],
}

/// An event that is not usual, for the correlations above.
pub(crate) struct Unusual {
    pub(crate) rule: usize,
    pub(crate) finding: Finding,
    pub(crate) uid: String,
    pub(crate) class: u32,
    pub(crate) time: i64,
    pub(crate) entities: String,
    pub(crate) above: Vec<[String; 3]>,
}

impl Baseline {
    pub(crate) fn new(rule: usize, asked: Behaviour) -> Self {
        Self { rule, asked, memory: Memory::default(), places: None }
    }

    pub(crate) fn asked(&self) -> &Behaviour {
        &self.asked
    }

    /// Fields that are measured, and the field that names the peers.
    pub(crate) fn reads(&self) -> (&[String], &[String]) {
        match &self.asked.kind {
            BehaviourKind::FirstSeen { value, peers } => (value, peers),
            BehaviourKind::Deviation { sum, .. } => (sum.as_slice(), &[]),
            BehaviourKind::Rarity { value: fields, .. }
            | BehaviourKind::Edge { to: fields, .. }
            | BehaviourKind::Switching { account: fields, .. }
            | BehaviourKind::Beacon { to: fields, .. } => (fields, &[]),
            BehaviourKind::Travel { address, .. } => (std::slice::from_ref(address), &[]),
            BehaviourKind::Tunnel { name, .. } => (std::slice::from_ref(name), &[]),
        }
    }

    /// Gives it a way to look addresses up.
    pub(crate) fn set_places(&mut self, places: &Arc<dyn Places>) {
        self.places = Some(Arc::clone(places));
    }

    /// Why it is off, where it is.
    pub(crate) fn off(&self) -> Option<&'static str> {
        let needs = matches!(self.asked.kind, BehaviourKind::Travel { .. }) && self.places.is_none();
        needs.then_some("it is off: there is no GeoIP database; name one as `[analytics] geoip = \"PATH.mmdb\"` in weft.toml")
    }

    /// Notes that the logsource was alive at `time`: history counts from its first event.
    pub(crate) fn alive(&mut self, time: i64) {
        self.memory.since = Some(self.memory.since.map_or(time, |since| since.min(time)));
    }

    /// Takes an event in. It is judged when the watermark passes it; when it is late, at once.
    pub(crate) fn take(&mut self, new: &Reading<'_>) -> bool {
        if self.off().is_some() {
            return false;
        }
        let memory = &mut self.memory;
        let late = memory.watermark.is_some_and(|watermark| new.time < watermark);
        let id = new.uid.id();
        if late {
            memory.late = memory.late.saturating_add(1);
            if memory.recent.iter().any(|ids| ids.contains(&id)) {
                return false;
            }
        }
        let Some((entity, value, number)) = judge::measured(&self.asked, new) else { return false };
        let pool = &mut memory.pool;
        let held = Held {
            time: new.time,
            id,
            name: new.uid.name(pool),
            class: new.class,
            value: pool.hold(value),
            number,
            peers: pool.hold(new.peers),
            entities: pool.hold(new.entities),
            above: new.above.iter().map(|texts| texts.each_ref().map(|text| pool.hold(text))).collect(),
            entity: memory.entities.of(&entity, || EntityState::new(&self.asked.kind)),
        };
        memory.entities.pin(held.entity, 1);
        memory.held.push(held);
        late || memory.held.len() > HELD_MAX
    }

    /// Judges what is older than `watermark`, in order of time.
    pub(crate) fn advance(&mut self, watermark: i64, rules: &[Loaded]) -> Vec<Unusual> {
        self.memory.watermark = Some(self.memory.watermark.map_or(watermark, |before| before.max(watermark)));
        self.judge_until(watermark, rules)
    }

    /// Judges what cannot wait: what is late, and the older half when too much is held.
    pub(crate) fn relieve(&mut self, rules: &[Loaded]) -> Vec<Unusual> {
        let mut until = self.memory.watermark.unwrap_or(i64::MIN);
        if self.memory.held.len() > HELD_MAX {
            let mut times: Vec<i64> = self.memory.held.iter().map(|held| held.time).collect();
            until = until.max(*times.select_nth_unstable(HELD_MAX / 2).1);
        }
        self.judge_until(until, rules)
    }

    fn judge_until(&mut self, until: i64, rules: &[Loaded]) -> Vec<Unusual> {
        let (mut ready, rest): (Vec<Held>, Vec<Held>) = std::mem::take(&mut self.memory.held).into_iter().partition(|held| held.time < until);
        self.memory.held = rest;
        ready.sort_unstable_by_key(|held| (held.time, held.id));
        let (mut unusual, mut before) = (Vec::new(), None);
        for held in ready {
            let again = before == Some((held.time, held.id)) || !self.memory.remember(held.id);
            before = Some((held.time, held.id));
            let verdict = if again { None } else { judge::judge(&self.asked, &mut self.memory, self.places.as_deref(), &held) };
            unusual.extend(verdict.and_then(|verdict| self.unusual(&held, verdict, rules)));
            self.memory.entities.pin(held.entity, -1);
            held.release(&mut self.memory.pool);
        }
        let memory = &mut self.memory;
        memory.late_release.drain(..).for_each(|mark| mark.release(&mut memory.pool));
        memory.bound();
        unusual
    }

    fn unusual(&self, held: &Held, verdict: Verdict, rules: &[Loaded]) -> Option<Unusual> {
        let rule = &rules.get(self.rule)?.rule;
        let pool = &self.memory.pool;
        let mark = Mark { time: held.time, id: held.id, name: held.name, class: held.class };
        let mut evidence: Vec<Evidence> = verdict.before.iter().chain([&mark]).map(|mark| mark.evidence(pool)).collect();
        evidence.dedup();
        let entities = pool.text(held.entities).to_owned();
        let finding = Finding {
            uid: Finding::uid_of(&rule.id, &evidence),
            analytic_uid: rule.id.clone(),
            title: rule.title.clone(),
            severity_id: rule.severity_id,
            time: Timestamp(held.time),
            matched: verdict.words,
            entities: entities_of(&entities).collect(),
            evidence,
            techniques: rule.techniques.clone(),
            update: false,
        };
        let above = held.above.iter().map(|ids| ids.map(|id| pool.text(id).to_owned())).collect();
        Some(Unusual { rule: self.rule, finding, uid: mark.uid(pool), class: held.class, time: held.time, entities, above })
    }
}

impl Memory {
    /// False when it was judged before.
    fn remember(&mut self, id: Id) -> bool {
        let [newer, older] = &mut self.recent;
        if older.contains(&id) || !newer.insert(id) {
            return false;
        }
        if newer.len() >= RECENT_MAX {
            *older = std::mem::take(newer);
        }
        true
    }

    /// Whether there is no history at all.
    pub(crate) fn is_fresh(&self) -> bool {
        self.since.is_none() && self.entities() == 0
    }

    /// What was learned, for a stream whose time has not begun.
    pub(crate) fn begun_anew(self) -> Self {
        Self { watermark: None, late: 0, ..self }
    }

    /// Whether there is enough history at `time`.
    fn learned(&self, time: i64, learn_ms: i64) -> bool {
        self.since.is_some_and(|since| time.saturating_sub(since) >= learn_ms)
    }

    /// Notes a pair; when it was seen before, within the look-back.
    fn pair(&mut self, key: u64, time: i64, learn_ms: i64) -> Option<Seen> {
        let mut before = None;
        self.pairs
            .entry(key)
            .and_modify(|seen| {
                before = Some(*seen).filter(|seen| seen.last >= time.saturating_sub(learn_ms));
                seen.first = seen.first.min(time);
                seen.last = seen.last.max(time);
            })
            .or_insert(Seen { first: time, last: time });
        before
    }

    /// Declared eviction: what was not seen for the longest time goes.
    fn bound(&mut self) {
        let gone = self.entities.bound(&mut self.pool);
        self.known = self.known.saturating_sub(gone);
        self.evicted = self.evicted.saturating_add(gone);
        if self.pairs.len() > PAIRS_MAX {
            let mut times: Vec<i64> = self.pairs.values().map(|seen| seen.last).collect();
            let limit = *times.select_nth_unstable(PAIRS_MAX / 10).1;
            let before = self.pairs.len();
            self.pairs.retain(|_, seen| seen.last > limit);
            self.evicted = self.evicted.saturating_add((before - self.pairs.len()) as u64);
        }
        if self.counts.len() > PAIRS_MAX {
            self.counts.retain(|_, count| *count > 1);
        }
        if self.edges.len() > PAIRS_MAX {
            let before = self.edges.len();
            self.edges.retain(|_, near| near.is_known());
            self.evicted = self.evicted.saturating_add((before - self.edges.len()) as u64);
        }
    }

    /// Builds again what is not saved.
    pub(crate) fn reindex(&mut self) {
        self.pool.reindex();
        self.entities.reindex();
    }

    /// Entities that are known.
    pub(crate) fn entities(&self) -> usize {
        self.entities.len()
    }

    fn mark(&mut self, held: &Held) -> Mark {
        if let Name::Text(id) = held.name {
            self.pool.hold_again(id);
        }
        Mark { time: held.time, id: held.id, name: held.name, class: held.class }
    }
}

impl Held {
    fn release(&self, pool: &mut Pool) {
        if let Name::Text(id) = self.name {
            pool.release(id);
        }
        for id in [self.value, self.peers, self.entities].into_iter().chain(self.above.iter().flatten().copied()) {
            pool.release(id);
        }
    }
}

impl Mark {
    fn uid(&self, pool: &Pool) -> String {
        uid_of(self.id, self.name, pool)
    }

    fn evidence(&self, pool: &Pool) -> Evidence {
        Evidence { uid: self.uid(pool), class: ClassUid(self.class), time: Timestamp(self.time) }
    }

    fn release(&self, pool: &mut Pool) {
        if let Name::Text(id) = self.name {
            pool.release(id);
        }
    }
}

/// 64 bits of texts; the same at every start.
fn digest(parts: &[&str]) -> u64 {
    hash(parts).0
}

/// Values of several fields, for a person.
fn shown(text: &str) -> String {
    text.replace(SEPARATOR, ", ")
}

/// Maps as lists of pairs.
mod pairs {
    use std::hash::Hash;

    use hashbrown::HashMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(map: &HashMap<K, V>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K: Deserialize<'de> + Eq + Hash, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HashMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
