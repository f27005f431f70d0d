//! The words of the HTTP API: what goes over the wire, and nothing that decides.

mod error;
mod events;
mod ledger;
mod query;
mod response;
mod sources;

pub use error::{ApiError, ErrorBody, ErrorCode, TextSpan};
pub use events::{Bucket, EventDetail, EventPage, EventRow, FieldValue, FieldValues, FilterAnswer, FilterTerm, Histogram, Observable, TailBatch};
pub use ledger::{LedgerAccount, LedgerAnswer, LedgerTable};
pub use query::{ColumnInfo, ColumnKind, QueryAnswer, QueryColumn, QueryRequest, TableInfo};
pub use response::{Change, DecisionView, FindingView, LoopItem, LoopState, Metric, PlanView, PostureCheck, RunDecision, RunState, RunStep, RunView};
pub use sources::{PollState, RejectGroup, SourceHealth, SourceState};
