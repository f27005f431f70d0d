//! The words of the HTTP API: what goes over the wire, and nothing that decides.

mod analytics;
mod error;
mod events;
mod incidents;
mod intelligence;
mod ledger;
mod query;
mod response;
mod sources;

pub use analytics::{DetectionState, HuntRun, HuntView, MemoryView, RuleKind, RuleState, RuleView};
pub use error::{ApiError, ErrorBody, ErrorCode, TextSpan};
pub use events::{Bucket, EventDetail, EventPage, EventRow, FieldValue, FieldValues, FilterAnswer, FilterTerm, Histogram, Observable, TailBatch};
pub use incidents::{
    EntityRisk, EvidenceEvent, IncidentAction, IncidentClosing, IncidentDetail, IncidentEntity, IncidentFinding, IncidentJoin, IncidentRow, IncidentState,
    IncidentVerdict, IncidentVersion, Named, RiskShare,
};
pub use intelligence::{FeedView, IntelSource, IntelligenceState};
pub use ledger::{LedgerAccount, LedgerAnswer, LedgerTable};
pub use query::{ColumnInfo, ColumnKind, QueryAnswer, QueryColumn, QueryRequest, TableInfo};
pub use response::{Change, DecisionView, FindingView, LoopItem, LoopState, Metric, PlanView, PostureCheck, RunDecision, RunState, RunStep, RunView};
pub use sources::{PollState, RejectGroup, SourceHealth, SourceState};
