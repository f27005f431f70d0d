//! The lake: a durable log of raw records, open tables of OCSF events, SQL over both.
//!
//! ```text
//! append ──> log (synced) ──> acknowledged
//!             │ map (the caller)
//!          publish ──> tail (in memory, visible)
//!             │ commit
//!          tables (Delta, Parquet) ──> log truncated
//! ```
//! A query sees tables and tail as of one moment. Everything between `append` and `commit` can be
//! made again from the log, so a crash at any point neither loses nor doubles an event.
//!
//! What this crate deliberately does not know: how a record becomes an event (the caller maps),
//! any vendor, rules, HTTP, and the clock (the caller says when to commit). It is the only crate
//! that names DataFusion, Delta and Parquet; the table format is behind one private module.

pub mod bucket;
mod commit;
mod error;
mod export;
mod history;
mod integrity;
mod lake;
mod ledger;
pub mod log;
mod maintain;
pub mod past;
mod plain;
pub mod query;
mod rewrite;
mod table;
mod tail;

pub use commit::Committed;
#[doc(hidden)]
pub use commit::{Failpoint, Step};
pub use error::{LakeError, PublishError};
pub use export::{ExportOptions, Exported, Layout};
pub use integrity::scrub::{ScrubOptions, Scrubbed};
pub use integrity::{DamagedFile, Outcome};
pub use lake::{Lake, LakeOptions, Reader, StoredDay, TableInfo, dir_url};
pub use ledger::{Balance, Counts, Ledger, TableBalance, TableCount};
pub use log::{Appended, Kind, Log, LogError, LogOptions, Logged, Recovery, Seq};
pub use maintain::compact::{CompactOptions, Compacted};
pub use maintain::forget::{Forgotten, IDENTIFIER_BYTES_MIN, Proof, prove};
pub use maintain::remap::{Anew, Remap, Remapped};
pub use maintain::retain::{Expired, Retention};
pub use maintain::tier::Tiered;
pub use maintain::vacuum::Vacuumed;
pub use plain::{read_plain, write_plain};
pub use query::{EngineOptions, Query, QueryError, QueryOptions, QueryResult, QueryStats, Rows, Truncated, missing_table};
pub use table::schema::Conflict;
pub use table::{REJECTS, REPLAYS, holds_events, table_name, to_parquet};
