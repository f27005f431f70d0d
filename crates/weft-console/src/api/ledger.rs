//! The conservation ledger.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was received against what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerAnswer {
    /// Whether nothing is missing and nothing too much.
    pub balances: bool,
    /// What does not balance, with its place.
    pub faults: Vec<String>,
    /// All accounts together.
    pub total: LedgerAccount,
    /// By source and stream.
    pub accounts: Vec<LedgerAccount>,
    /// Rows of the tables.
    pub tables: Vec<LedgerTable>,
}

/// Records of one source and stream:
/// `received = stored + refused + dropped + duplicates + waiting + missing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerAccount {
    /// e.g. `http/directory`.
    pub source: String,
    /// `connector/record_type`, or `auto`.
    pub stream: String,
    /// Raw records acknowledged.
    pub received: u64,
    /// Events made of them.
    pub stored: u64,
    /// Rejects that are open.
    pub refused: u64,
    /// Dropped by a declared policy.
    pub dropped: u64,
    /// Known already, and not stored again.
    pub duplicates: u64,
    /// Durable, and not mapped yet.
    pub waiting: u64,
    /// Of the events, rejects that a mended mapping made events of later.
    pub mended: u64,
    /// Accounted for nowhere: anything but 0 is a fault.
    pub missing: i64,
}

/// Rows of one table as of the last commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerTable {
    /// Its name.
    pub table: String,
    /// Rows that were written and not removed since.
    pub expected: u64,
    /// Rows that are there.
    pub rows: u64,
    /// Rows that retention, erasure and mapping anew took out, less those that they brought.
    pub removed: i64,
}
