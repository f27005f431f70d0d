//! Incidents and risk as persons read and decide them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A name of ATT&CK with its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Named {
    /// e.g. `TA0006`.
    pub uid: String,
    /// e.g. `Credential Access`.
    pub name: String,
}

/// How far persons are with an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Nobody takes care of it yet.
    New,
    /// Somebody does.
    InProgress,
    /// It is done with.
    Closed,
}

/// What persons came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentVerdict {
    /// It was what it looked like.
    TruePositive,
    /// It happened, and is allowed.
    Benign,
    /// It did not happen.
    FalsePositive,
    /// Somebody tried the defence.
    Test,
    /// Nobody can tell.
    InsufficientData,
}

/// Somebody or something that an incident or finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentEntity {
    /// user, host, address, domain, workload or account.
    pub kind: String,
    /// Its name, one spelling for all tools.
    pub name: String,
    /// As a tool wrote it: to look for events.
    pub seen: String,
    /// Findings that name it.
    pub findings: usize,
}

/// An incident in a line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentRow {
    /// Id; kept while it grows.
    pub uid: String,
    /// The worst finding, and about whom.
    pub title: String,
    /// OCSF severity id of its worst finding.
    pub severity_id: i64,
    /// How far persons are with it.
    pub state: IncidentState,
    /// Who takes care of it.
    pub owner: Option<String>,
    /// What it was closed as.
    pub verdict: Option<IncidentVerdict>,
    /// Whom it is about, most named first.
    pub entities: Vec<IncidentEntity>,
    /// Products whose events it rests on.
    pub tools: Vec<String>,
    /// Tactics in the order of ATT&CK.
    pub tactics: Vec<Named>,
    /// First event of its evidence, epoch milliseconds.
    pub first_evidence: i64,
    /// Last event of its evidence.
    pub last_evidence: i64,
    /// First finding.
    pub detected: i64,
    /// Findings.
    pub findings: u64,
}

/// An event that a finding rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvidenceEvent {
    /// `metadata.uid`.
    pub uid: String,
    /// Epoch milliseconds.
    pub time: i64,
    /// OCSF class.
    pub class_uid: i64,
    /// Product that told it; none when it is not in the lake any more.
    pub tool: Option<String>,
    /// The event in a sentence, where there is one.
    pub message: Option<String>,
}

/// A finding of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentFinding {
    /// `finding_info.uid`.
    pub uid: String,
    /// `metadata.uid` of the event that tells it; none when it is not in the lake any more.
    pub event: Option<String>,
    /// Epoch milliseconds.
    pub time: i64,
    /// First event of its evidence.
    pub begin: i64,
    /// Title of the analytic.
    pub title: String,
    /// Id of the analytic.
    pub analytic: String,
    /// OCSF severity id.
    pub severity_id: i64,
    /// ATT&CK techniques.
    pub techniques: Vec<Named>,
    /// ATT&CK tactics, in order.
    pub tactics: Vec<Named>,
    /// What it is about.
    pub entities: Vec<IncidentEntity>,
    /// Products whose events it rests on; of a tool's own finding the tool.
    pub tools: Vec<String>,
    /// Events that it rests on, as many as are named.
    pub evidence: Vec<EvidenceEvent>,
    /// How many there are.
    pub evidence_count: usize,
}

/// Why a finding belongs to an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentJoin {
    /// The earlier finding.
    pub earlier: String,
    /// The later finding.
    pub later: String,
    /// The entity that both are about; none when a person said so.
    pub entity: Option<String>,
    /// Attribute and value as the earlier finding has it.
    pub earlier_has: Option<String>,
    /// Attribute and value as the later finding has it.
    pub later_has: Option<String>,
    /// Who said that they belong together.
    pub person: Option<String>,
    /// Milliseconds between the two.
    pub gap_ms: i64,
}

/// A change of an incident, as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentVersion {
    /// When it was told, epoch milliseconds.
    pub time: i64,
    /// What of it changed, in words.
    pub what: String,
    /// Findings from then on.
    pub findings: i64,
    /// Severity from then on.
    pub severity_id: i64,
}

/// How an incident was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentClosing {
    /// What persons came to.
    pub verdict: IncidentVerdict,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// Epoch milliseconds.
    pub time: i64,
}

/// An incident, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentDetail {
    /// What the list says.
    #[serde(flatten)]
    pub row: IncidentRow,
    /// The story in words, made from the evidence.
    pub narrative: String,
    /// How it was closed, when it is.
    pub closing: Option<IncidentClosing>,
    /// In order of time.
    pub members: Vec<IncidentFinding>,
    /// Findings that are counted and not remembered one by one.
    pub forgotten: u64,
    /// The path of evidence: why each finding but the first belongs to it.
    pub joins: Vec<IncidentJoin>,
    /// What joined nothing, because too much touches it.
    pub hubs: Vec<String>,
    /// What persons decided, in words.
    pub decided: Vec<String>,
    /// The newest changes, oldest first.
    pub versions: Vec<IncidentVersion>,
    /// Changes before these.
    pub versions_before: u64,
    /// Risk of its entities, highest first.
    pub risks: Vec<EntityRisk>,
    /// Trace of its events.
    pub trace_id: String,
}

/// What a person does with incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum IncidentAction {
    /// Incidents are one, now and later.
    Merge {
        /// At least two.
        incidents: Vec<String>,
    },
    /// Findings are not of an incident, now and later.
    Split {
        /// Incident.
        incident: String,
        /// Findings that leave it.
        findings: Vec<String>,
    },
    /// An incident is done with.
    Close {
        /// Incident.
        incident: String,
        /// What it was.
        verdict: IncidentVerdict,
        /// Why.
        reason: String,
    },
    /// A closed incident goes on.
    Reopen {
        /// Incident.
        incident: String,
    },
    /// Somebody takes care of it; nobody for an empty name.
    Assign {
        /// Incident.
        incident: String,
        /// The person.
        owner: String,
    },
}

/// Risk of an entity now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EntityRisk {
    /// user, host, address, workload or account.
    pub kind: String,
    /// Its name.
    pub entity: String,
    /// 0 to 100.
    pub score: f64,
    /// OCSF risk level id: 0 informational to 4 critical.
    pub level_id: i64,
    /// Its caption.
    pub level: String,
    /// How critical the entity is.
    pub criticality: String,
    /// Findings that count.
    pub findings: usize,
    /// The newest of them, epoch milliseconds.
    pub newest: i64,
    /// What the score is made of, largest first; as many as are named.
    pub because_of: Vec<RiskShare>,
}

/// What a finding adds to a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RiskShare {
    /// `finding_info.uid`.
    pub finding: String,
    /// Its title.
    pub title: String,
    /// Id of its analytic.
    pub analytic: String,
    /// OCSF severity id.
    pub severity_id: i64,
    /// Epoch milliseconds.
    pub time: i64,
    /// Its part of the score; the parts of all findings sum up to the score.
    pub part: f64,
}
