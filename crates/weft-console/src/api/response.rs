//! The loop from a finding to a verified effect, as a person reads it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Observable;

/// Everything that the Loop page shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoopState {
    /// Latest first.
    pub items: Vec<LoopItem>,
    /// Posture checks.
    pub posture: Vec<PostureCheck>,
    /// Metrics.
    pub metrics: Vec<Metric>,
}

/// One finding and what followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoopItem {
    /// `metadata.correlation_uid` of every event of it.
    pub trace_id: String,
    /// What was found.
    pub finding: FindingView,
    /// What the decision point said; none when nothing was proposed.
    pub decision: Option<DecisionView>,
    /// What would be or was done.
    pub plan: Option<PlanView>,
    /// How far it is.
    pub run: Option<RunView>,
}

/// A detection finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// `metadata.uid` of the finding's event.
    pub uid: String,
    /// Title of the rule.
    pub title: String,
    /// Id of the rule.
    pub analytic_uid: String,
    /// 1 informational to 6 fatal.
    pub severity_id: i64,
    /// Epoch milliseconds.
    pub time: i64,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// What it is about.
    pub entities: Vec<Observable>,
    /// Selections that matched, for a person.
    pub matched: Vec<String>,
    /// `metadata.uid` of the events it rests on.
    pub evidence: Vec<String>,
}

/// Permit or forbid, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionView {
    /// Whether it is permitted.
    pub permit: bool,
    /// Who asked, as Cedar writes it.
    pub principal: String,
    /// For what.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Ids of the policies that decided.
    pub determining_policies: Vec<String>,
    /// For a person.
    pub reason: Option<String>,
    /// Epoch milliseconds.
    pub time: i64,
}

/// Steps, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// Enforcement point, e.g. `nftables/gateway`.
    pub point: String,
    /// What changes there.
    pub changes: Vec<Change>,
    /// What the point cannot enforce, each with its reason.
    pub gaps: Vec<String>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Whether the line is added; else it is removed.
    pub add: bool,
    /// The line in the tool's words.
    pub line: String,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Nothing has happened yet.
    Planned,
    /// A person must say yes.
    AwaitingApproval,
    /// A person or a policy said no.
    Refused,
    /// Done, effect not yet seen.
    Applied,
    /// Done, and an independent probe saw the effect.
    Verified,
    /// Taken back.
    Undone,
    /// Could not be done, or the probe saw no effect.
    Failed,
}

/// One run of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Id, for approval and undo.
    pub id: String,
    /// How far it is.
    pub state: RunState,
    /// Whether undo is possible now.
    pub can_undo: bool,
    /// What happened, oldest first.
    pub steps: Vec<RunStep>,
}

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunStep {
    /// State that it led to.
    pub state: RunState,
    /// Epoch milliseconds.
    pub time: i64,
    /// Who or what, and what was seen.
    pub note: String,
}

/// What a person says to a run that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunDecision {
    /// Yes or no.
    pub approve: bool,
    /// Why, kept with the run.
    #[serde(default)]
    pub reason: String,
}

/// One posture check and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PostureCheck {
    /// Id of the check.
    pub id: String,
    /// What must hold.
    pub title: String,
    /// Whether it holds; none when it could not be computed.
    pub pass: Option<bool>,
    /// What was seen, or why it could not be computed.
    pub observed: String,
    /// Epoch milliseconds.
    pub time: i64,
    /// Trace of the check's event.
    pub trace_id: Option<String>,
}

/// One metric with where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Metric {
    /// Name in words.
    pub name: String,
    /// Now; none when it cannot be computed yet.
    pub value: Option<f64>,
    /// e.g. `ms`.
    pub unit: String,
    /// What it should be, for a person.
    pub target: Option<String>,
    /// How it is computed, or why it is not.
    pub detail: String,
    /// Trace of the metric's event.
    pub trace_id: Option<String>,
}
