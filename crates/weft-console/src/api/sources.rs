//! Sources and rejects.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceHealth {
    /// Records arrive.
    Running,
    /// Nothing to read at the moment.
    Idle,
    /// Held back because the lake is behind.
    Waiting,
    /// Cannot be read.
    Failed,
}

/// How a source that the mesh asks itself is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PollState {
    /// When a poll succeeded last, epoch milliseconds.
    pub success_ms: Option<i64>,
    /// Age of the newest record at that moment, milliseconds.
    pub lag_ms: Option<i64>,
    /// Failed polls in a row; the wait between them grows.
    pub faults: u32,
    /// When it is polled next, epoch milliseconds.
    pub next_ms: Option<i64>,
}

/// One source and its rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SourceState {
    /// e.g. `http/directory`.
    pub source: String,
    /// `connector/record_type`, or `auto`.
    pub stream: String,
    /// How it is doing.
    pub health: SourceHealth,
    /// Why, when it failed or waits.
    pub reason: Option<String>,
    /// Raw records per second over the last minute.
    pub records_per_second: f64,
    /// Raw bytes per second over the last minute.
    pub bytes_per_second: f64,
    /// Raw records read since the start.
    pub read: u64,
    /// Events made of them.
    pub mapped: u64,
    /// Raw records that could not be mapped.
    pub rejected: u64,
    /// When the last record came, epoch milliseconds.
    pub last_ms: Option<i64>,
    /// Records per second over the last minutes, oldest first, for a small curve.
    #[serde(default)]
    pub recent: Vec<f64>,
    /// For sources that the mesh asks itself.
    #[serde(default)]
    pub poll: Option<PollState>,
}

/// Rejects that share a stream, a cause and the shape of their message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectGroup {
    /// Name of the group, for `weft rejects show`.
    #[serde(default)]
    pub group: String,
    /// Stream they came on.
    pub stream: String,
    /// Why, for a person.
    pub cause: String,
    /// How many.
    pub count: u64,
    /// When the first came, epoch milliseconds.
    #[serde(default)]
    pub first_ms: i64,
    /// When the last came, epoch milliseconds.
    pub last_ms: i64,
    /// The beginning of one of them, verbatim.
    pub example: String,
}
