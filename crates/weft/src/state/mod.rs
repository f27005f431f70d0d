//! What the mesh must remember outside the lake: positions, runs, sessions, findings seen.
//!
//! A port: SQLite when everything is one process, PostgreSQL when it is not. Values are small
//! and rare; nothing on the path of events waits for them.

pub mod incidents;
pub mod scim;
mod session;
mod sqlite;

use async_trait::async_trait;
use serde_json::Value;
use weft_ingest::pull::Keys;
use weft_model::{Position, SourceId, Timestamp};

pub use session::KeptSessions;
pub use sqlite::Sqlite;

/// The store did not do it.
#[derive(Debug, thiserror::Error)]
#[error("the state store failed: {0}")]
pub struct StateError(pub String);

/// A run of a playbook as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRun {
    /// Identity, derived from the finding and the playbook.
    pub id: String,
    /// Finding that it answers.
    pub finding: String,
    /// Name of the state, to look for.
    pub state: String,
    /// Last change.
    pub updated: Timestamp,
    /// All of it.
    pub body: Value,
}

/// How far an object of a bucket is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Up to this place.
    Upto(u64),
    /// All of it.
    Done,
}

/// The port.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// How far a source was read.
    async fn position(&self, source: &SourceId) -> Result<Option<Position>, StateError>;
    /// Remembers how far a source was read.
    async fn set_position(&self, source: &SourceId, position: &Position, now: Timestamp) -> Result<(), StateError>;
    /// Keeps a run, new or changed.
    async fn keep_run(&self, run: &KeptRun) -> Result<(), StateError>;
    /// One run.
    async fn run(&self, id: &str) -> Result<Option<KeptRun>, StateError>;
    /// The latest runs.
    async fn runs(&self, limit: u32) -> Result<Vec<KeptRun>, StateError>;
    /// Keeps a session by the digest of its token.
    async fn keep_session(&self, digest: &str, until: Timestamp) -> Result<(), StateError>;
    /// Whether a session is open; closed ones are forgotten.
    async fn session(&self, digest: &str, now: Timestamp) -> Result<bool, StateError>;
    /// Ends a session.
    async fn end_session(&self, digest: &str) -> Result<(), StateError>;
    /// Keeps what the detectors remember after all frames of a log up to `upto`.
    async fn keep_memory(&self, log: &str, upto: u64, body: &[u8]) -> Result<(), StateError>;
    /// What they remembered after the last such frame that is not beyond `upto`.
    async fn memory(&self, log: &str, upto: u64) -> Result<Option<Vec<u8>>, StateError>;
    /// Forgets what is older than what [`StateStore::memory`] gives for `upto`, and other logs.
    async fn forget_memory(&self, log: &str, upto: u64) -> Result<(), StateError>;
    /// Remembers keys of records that are about to become durable; the same number again replaces.
    async fn keep_keys(&self, source: &SourceId, keys: &Keys) -> Result<(), StateError>;
    /// Keys of a source, in order of number.
    async fn keys(&self, source: &SourceId) -> Result<Vec<Keys>, StateError>;
    /// Forgets keys whose number is lower, or that are of records before an instant.
    async fn forget_keys(&self, source: &SourceId, number: u64, before: Timestamp) -> Result<(), StateError>;
    /// How far an object of a source was read, if it was.
    async fn object(&self, source: &SourceId, object: &str) -> Result<Option<Progress>, StateError>;
    /// Remembers how far an object was read.
    async fn keep_object(&self, source: &SourceId, object: &str, progress: Progress, now: Timestamp) -> Result<(), StateError>;
    /// Forgets objects that were read before an instant.
    async fn forget_objects(&self, source: &SourceId, before: Timestamp) -> Result<(), StateError>;
    /// A value by name.
    async fn setting(&self, name: &str) -> Result<Option<String>, StateError>;
    /// Keeps a value by name.
    async fn set_setting(&self, name: &str, value: &str) -> Result<(), StateError>;
}
