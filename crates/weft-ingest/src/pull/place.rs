//! How far an API was read, in words that survive a restart.

use serde::{Deserialize, Serialize};
use weft_model::Position;

/// Longest place that is kept, bytes: tokens of APIs are a few hundred.
const PLACE_BYTES_MAX: usize = 32 << 10;

/// A place in an API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Chunks so far: tells which remembered keys belong to what is durable.
    pub number: u64,
    /// No further walk begins before this instant, epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Newest event that was seen, epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// The walk that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) walk: Option<Walk>,
}

/// A walk over the pages of one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Walk {
    pub(super) since: i64,
    /// What the window ends before, the same for each page: pages by number would shift otherwise.
    pub(super) until: i64,
    /// When the walk began by the server's clock, where that is before `until`: what came later may be on pages
    /// that were passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) began: Option<i64>,
    /// The window ends before the present because the API takes no longer one.
    #[serde(default)]
    pub(super) capped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<Next>,
    /// Newest event of the walk; the place's own moves only when the walk has ended, since pages
    /// may come newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) newest: Option<i64>,
}

/// Where the next page is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Next {
    Url(String),
    Token(String),
    Page(u64),
    Offset(u64),
}

impl Walk {
    /// Over a window, from its first page.
    pub(super) fn over(since: i64, until: i64) -> Self {
        Self { since, until, began: None, capped: false, next: None, newest: None }
    }

    /// Whatever was there before this instant was shown.
    pub(super) fn shown_until(&self) -> i64 {
        self.began.map_or(self.until, |began| began.min(self.until))
    }
}

impl Place {
    /// Reads what [`Place::position`] wrote; a position of somebody else is the beginning.
    pub fn of(position: &Position) -> Self {
        serde_json::from_str(&position.0).unwrap_or_default()
    }

    /// In the words of the log.
    pub fn position(&self) -> Position {
        let text = serde_json::to_string(self).unwrap_or_default();
        if text.len() <= PLACE_BYTES_MAX {
            return Position(text);
        }
        // Without the walk it begins again at `since`, and what is known is left out.
        let short = Self { walk: None, ..self.clone() };
        Position(serde_json::to_string(&short).unwrap_or_default())
    }

    /// Whether nothing but the count differs.
    pub(super) fn is_where(&self, other: &Self) -> bool {
        (self.since, self.newest, &self.walk) == (other.since, other.newest, &other.walk)
    }
}
