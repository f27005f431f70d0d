//! Detection findings (OCSF class 2004) and what makes them.

mod read;
mod write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::attack;
use crate::batch::{ClassUid, EventBatch};
use crate::time::Timestamp;
use crate::trace::TraceId;

pub use read::DETECTION_FINDING;

/// Sees events of the classes that it reads, in any order, and says what it found.
///
/// Delivery is at least once, so a detector is idempotent: an event that it has seen before, also
/// before a [`restore`](Self::restore), changes nothing, and a finding that it completes is made
/// again under the same uid.
pub trait Detector: Send {
    /// Classes whose batches must be shown to it; empty means all.
    fn reads(&self) -> &[ClassUid];
    /// Looks at one batch.
    fn observe(&mut self, batch: &EventBatch) -> Vec<Finding>;
    /// Name under which its memory is kept; one that remembers nothing has none.
    fn name(&self) -> &'static str {
        ""
    }
    /// Event time has passed `watermark`: older events are late from now on, what waited for them
    /// is decided, and what did *not* happen can be told. A watermark behind the last one is
    /// without effect.
    fn advance(&mut self, _watermark: Timestamp) -> Vec<Finding> {
        Vec::new()
    }
    /// Milliseconds of the past that it must have seen before it is of full use; 0 for none.
    fn lookback_ms(&self) -> i64 {
        0
    }
    /// Takes events of the past into its memory without saying what it finds in them.
    fn learn(&mut self, batch: &EventBatch) {
        drop(self.observe(batch));
    }
    /// What it remembers, for [`restore`](Self::restore); none when it remembers nothing.
    fn checkpoint(&self) -> Option<Vec<u8>> {
        None
    }
    /// How it is doing: what it set aside, and what its bounds cost.
    fn report(&self) -> DetectorReport {
        DetectorReport::default()
    }
    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// For a person: why it cannot be read; the detector is then as it was before.
    fn restore(&mut self, _saved: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// How a detector is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DetectorReport {
    /// Ids of analytics that it set aside because they were too slow.
    pub suspended: Vec<String>,
    /// What it forgot because there was no room.
    pub evicted: u64,
    /// Events that came when their time was over.
    pub late: u64,
    /// Groups of events that it holds together.
    pub groups: u64,
    /// Events in them.
    pub events: u64,
    /// Entities of which it knows what is usual.
    pub entities: u64,
}

/// One entity that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// OCSF path it was found at, e.g. `src_endpoint.ip`.
    pub name: String,
    /// OCSF observable type id, e.g. 2 for an IP address.
    pub type_id: i64,
    /// The value.
    pub value: String,
}

/// One event that a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// `metadata.uid` of the event.
    pub uid: String,
    /// Its class.
    pub class: ClassUid,
    /// Its time.
    pub time: Timestamp,
}

/// ATT&CK reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Technique {
    /// e.g. `T1110.001`.
    pub uid: String,
    /// Tactic id or short name as the rule gives it, where it does.
    pub tactic: Option<String>,
}

impl Technique {
    /// The technique as an OCSF `attack`, with the names that ATT&CK gives. A sub-technique stands beside
    /// the technique that it belongs to; the tactic is the rule's, or else the technique's first.
    pub fn to_ocsf(&self) -> Value {
        let named = |id: &str| match attack::by_id(id) {
            Some(entry) => json!({"uid": id, "name": entry.name}),
            None => json!({ "uid": id }),
        };
        let mut object = Map::new();
        object.insert("technique".to_owned(), named(self.uid.split('.').next().unwrap_or_default()));
        object.insert("version".to_owned(), attack::version().into());
        if self.uid.contains('.') {
            object.insert("sub_technique".to_owned(), named(&self.uid));
        }
        let first = || attack::by_id(&self.uid).and_then(|entry| entry.tactics().next());
        if let Some((uid, name)) = self.tactic.as_deref().and_then(attack::tactic).or_else(|| attack::tactic(first()?)) {
            object.insert("tactic".to_owned(), json!({"uid": uid, "name": name}));
        }
        Value::Object(object)
    }
}

/// What an analytic found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Derived from the analytic and its evidence: the same on a replay.
    pub uid: String,
    /// Id of the rule.
    pub analytic_uid: String,
    /// Title of the rule.
    pub title: String,
    /// OCSF severity id, 1 informational to 6 fatal.
    pub severity_id: i64,
    /// Time of the last event of the evidence.
    pub time: Timestamp,
    /// Selections that matched, with field and value, for a person.
    pub matched: Vec<String>,
    /// What it is about.
    pub entities: Vec<Entity>,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// ATT&CK.
    pub techniques: Vec<Technique>,
    /// Whether it replaces an earlier version of the same uid: more evidence came to light.
    #[serde(default)]
    pub update: bool,
}

impl Finding {
    /// Makes the uid from the analytic and the events it rests on.
    pub fn uid_of(analytic: &str, evidence: &[Evidence]) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(analytic.as_bytes());
        for event in evidence {
            hasher.update(&[0]).update(event.uid.as_bytes());
        }
        hasher.finalize().to_hex().chars().take(32).collect()
    }

    /// The trace that starts here.
    pub fn trace(&self) -> TraceId {
        TraceId::of(&self.uid)
    }

    /// The finding as an OCSF Detection Finding (class 2004, activity Create, or Update for a later
    /// version: another event about the same finding).
    pub fn to_ocsf(&self) -> Value {
        serde_json::from_str(&self.to_json()).unwrap_or_default()
    }

    /// The same as text, which is what the log keeps.
    pub fn to_json(&self) -> String {
        // Texts, numbers and lists: nothing that JSON refuses.
        serde_json::to_string(&write::Event::of(self)).unwrap_or_default()
    }

    /// `metadata.uid` of the event that tells it.
    pub fn event_uid(&self) -> String {
        if self.update { Self::uid_of(&self.uid, &self.evidence) } else { self.uid.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_have_the_names_of_attack() {
        let ocsf = |uid: &str, tactic: Option<&str>| Technique { uid: uid.to_owned(), tactic: tactic.map(str::to_owned) }.to_ocsf();
        let version = attack::version();
        assert_eq!(
            ocsf("T1110.001", None),
            json!({"technique": {"uid": "T1110", "name": "Brute Force"}, "sub_technique": {"uid": "T1110.001", "name": "Password Guessing"},
                   "tactic": {"uid": "TA0006", "name": "Credential Access"}, "version": version})
        );
        assert_eq!(ocsf("T0", Some("impact")), json!({"technique": {"uid": "T0"}, "tactic": {"uid": "TA0040", "name": "Impact"}, "version": version}));
    }
}
