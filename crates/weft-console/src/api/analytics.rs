//! Rules, hunts and what they remember, as persons read them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Named;

/// What analytics know and do here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DetectionState {
    /// Rules that are loaded.
    pub rules: Vec<RuleView>,
    /// Rules that were left out, each with file and reason.
    pub refused: Vec<String>,
    /// Hunts.
    pub hunts: Vec<HuntView>,
    /// Tactics in the order of ATT&CK.
    pub tactics: Vec<Named>,
    /// Version of ATT&CK.
    pub attack_version: String,
    /// Since when firings are counted, epoch milliseconds.
    pub counted_since: i64,
    /// What bounds of memory cost so far.
    pub memory: MemoryView,
}

/// What makes a finding of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// One event.
    Detection,
    /// Several events, on event time.
    Correlation,
    /// What is not usual.
    Behaviour,
    /// It narrows others.
    Filter,
}

/// Whether a rule can fire here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// It can.
    Ready,
    /// It lacks something that can be given.
    Off,
    /// No event that is mapped can make it fire.
    Never,
    /// It was too slow, and is silent until the next start.
    Suspended,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleView {
    /// Id.
    pub id: String,
    /// Title of its findings.
    pub title: String,
    /// Why it exists.
    pub description: String,
    /// File that it came from.
    pub file: String,
    /// Line of the file.
    pub line: u64,
    /// OCSF severity id.
    pub severity_id: i64,
    /// What makes a finding.
    pub kind: RuleKind,
    /// Whether it can fire here.
    pub state: RuleState,
    /// Why not.
    pub reason: Option<String>,
    /// ATT&CK techniques.
    pub techniques: Vec<Named>,
    /// Ids of ATT&CK tactics.
    pub tactics: Vec<String>,
    /// Connectors whose events can make it fire.
    pub connectors: Vec<String>,
    /// Findings in the time that is counted.
    pub fired: u64,
    /// The last of them, epoch milliseconds.
    pub last_fired: Option<i64>,
}

/// A hunt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HuntView {
    /// Name.
    pub name: String,
    /// Title of its findings.
    pub title: String,
    /// What would be true if it hits.
    pub hypothesis: String,
    /// OCSF severity id.
    pub severity_id: i64,
    /// ATT&CK techniques.
    pub techniques: Vec<Named>,
    /// Milliseconds between two runs; none when it runs by hand alone.
    pub every_ms: Option<i64>,
    /// Milliseconds that one run looks back.
    pub look_back_ms: i64,
    /// The last scheduled run.
    pub last: Option<HuntRun>,
    /// Findings in the time that is counted.
    pub fired: u64,
}

/// What a scheduled run of a hunt came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HuntRun {
    /// When, epoch milliseconds.
    pub time: i64,
    /// Hits; none when it could not look.
    pub hits: Option<usize>,
    /// Why it could not look, or what of its hits could not be told.
    pub detail: Option<String>,
}

/// What bounds of memory cost so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryView {
    /// Groups of correlations.
    pub groups: u64,
    /// Events in them.
    pub events: u64,
    /// Entities of baselines.
    pub entities: u64,
    /// Groups, events, values and entities of correlations and baselines that were forgotten because there was no room.
    pub evicted: u64,
    /// Events that came when their time was over.
    pub late: u64,
    /// Findings folded into their incidents because there was no room.
    pub incidents_evicted: u64,
    /// Findings of entities left out of their risk because there was no room.
    pub risk_evicted: u64,
}
