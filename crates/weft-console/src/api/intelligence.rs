//! Indicators of others: where they come from, and how feeds are doing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything that is known of intelligence here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntelligenceState {
    /// Feeds that the mesh fetches by itself.
    pub feeds: Vec<FeedView>,
    /// Sources of indicators, fetched or imported by hand.
    pub sources: Vec<IntelSource>,
    /// Values that are matched as they stand.
    pub exact: u64,
    /// Networks that are matched.
    pub networks: u64,
    /// Warning lists, which are asked first.
    pub warning_lists: u64,
    /// What cannot be read, each with its place.
    pub faults: Vec<String>,
}

/// A feed and how it is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedView {
    /// Name of the source that it fills.
    pub name: String,
    /// Where it is, without what may be secret.
    pub from: String,
    /// Milliseconds between two looks.
    pub every_ms: i64,
    /// When it was fetched last with success, epoch milliseconds.
    pub success_ms: Option<i64>,
    /// When something of it was imported last.
    pub changed_ms: Option<i64>,
    /// When it is fetched next; none while it is.
    pub next_ms: Option<i64>,
    /// Failed looks in a row; the wait between them grows.
    pub faults: u32,
    /// Why the last look failed, and what to do.
    pub error: Option<String>,
    /// What of the last answer could not be taken.
    pub remarks: Vec<String>,
}

/// A source of indicators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntelSource {
    /// Its name.
    pub name: String,
    /// Where it came from.
    pub origin: String,
    /// When, epoch milliseconds.
    pub imported_ms: i64,
    /// Indicators that are matched.
    pub indicators: u64,
    /// Indicators that warning lists keep from being matched.
    pub suppressed: u64,
    /// What was not taken; `weft intel list --gaps` says why.
    pub gaps: u64,
}
