//! The port behind every page.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::api::{
    ApiError, DetectionState, EntityRisk, EventDetail, IncidentAction, IncidentDetail, IncidentRow, IntelligenceState, LedgerAnswer, LoopState, QueryAnswer,
    QueryRequest, RejectGroup, RunDecision, SourceState, TableInfo,
};

/// One event on its way into the lake.
#[derive(Debug, Clone)]
pub struct TailEvent {
    /// When the mesh received the raw record, epoch milliseconds: latency counts from here.
    pub received_ms: i64,
    /// The event as OCSF JSON, `raw_data` included.
    pub event: Arc<Value>,
}

/// What the binary gives to the console. All values are plain data; every call may be made at any
/// time and by many readers at once.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Runs one read-only statement within the request's row and time budget.
    ///
    /// Tables are named by OCSF class; the view `events` holds the columns that all classes share.
    /// Nested values become JSON objects and arrays. Must refuse anything that writes.
    async fn query(&self, request: QueryRequest) -> Result<QueryAnswer, ApiError>;

    /// Stops the statement that was started under this id; false when there is none.
    async fn cancel(&self, id: &str) -> bool;

    /// Every table and view, with the dotted path and kind of each column.
    async fn tables(&self) -> Result<Vec<TableInfo>, ApiError>;

    /// One event by `metadata.uid`, whole, with its raw record.
    async fn event(&self, uid: &str) -> Result<Option<EventDetail>, ApiError>;

    /// Events from now on. The channel is bounded by the sender; a slow reader loses the oldest
    /// and is told how many.
    fn tail(&self) -> broadcast::Receiver<TailEvent>;

    /// Every source with its rates.
    async fn sources(&self) -> Result<Vec<SourceState>, ApiError>;

    /// Open rejects by stream, cause and shape, most frequent first.
    async fn rejects(&self) -> Result<Vec<RejectGroup>, ApiError>;

    /// What was received against what became of it; `deep` counts the rows in the data files too.
    async fn ledger(&self, deep: bool) -> Result<LedgerAnswer, ApiError>;

    /// Figures for monitoring, in Prometheus' text format.
    async fn metrics(&self) -> String;

    /// Findings with what followed from each, latest first, posture checks and metrics.
    async fn loop_state(&self) -> Result<LoopState, ApiError>;

    /// A person approves or refuses a run that waits.
    async fn decide(&self, run: &str, decision: RunDecision) -> Result<(), ApiError>;

    /// The incidents that may still grow, the newest evidence first.
    async fn incidents(&self) -> Result<Vec<IncidentRow>, ApiError>;

    /// One of them, whole.
    async fn incident(&self, uid: &str) -> Result<Option<IncidentDetail>, ApiError>;

    /// A person merges, splits, closes, reopens or assigns; kept before it is obeyed.
    async fn act_on_incident(&self, action: IncidentAction) -> Result<(), ApiError>;

    /// The same as another part of the program decided it, by findings.
    async fn decide_incident(&self, decision: Value) -> Result<(), ApiError>;

    /// The risk of entities now, highest first, with the findings that make it: the largest of them, or of
    /// one entity (`user:ada`) all.
    async fn risks(&self, entity: Option<String>) -> Result<Vec<EntityRisk>, ApiError>;

    /// Rules, hunts, and what they remember.
    async fn detection(&self) -> Result<DetectionState, ApiError>;

    /// Indicators of others, and the feeds that bring them.
    async fn intelligence(&self) -> Result<IntelligenceState, ApiError>;

    /// Takes an applied run back.
    async fn undo(&self, run: &str) -> Result<(), ApiError>;
}
