//! `[[feed]]`: intelligence that the mesh fetches by itself.

use std::path::PathBuf;

use super::Secret;

/// Between two looks where nothing is said.
pub const EVERY_MS: i64 = 3_600_000;

/// One feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedConfig {
    /// Name of the source that it fills.
    pub name: String,
    /// Where it is.
    pub from: FeedFrom,
    /// Milliseconds between two looks.
    pub every_ms: i64,
    /// Name for a server that asks who it is.
    pub user: Option<String>,
    /// Its password, or a token.
    pub secret: Option<Secret>,
    /// What the values of lists are, as `weft intel import --kind` names it.
    pub kind: Option<String>,
    /// Confidence of what says nothing about it, 0 to 100.
    pub confidence: u8,
    /// Milliseconds that what says nothing about it holds.
    pub valid_for_ms: Option<i64>,
}

/// Where a feed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedFrom {
    /// A document, the manifest or folder of a MISP feed, or a TAXII 2.1 collection.
    Url(url::Url),
    /// A file or folder.
    Path(PathBuf),
}
