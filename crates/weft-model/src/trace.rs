//! One id from the first event to the verified effect.

use std::fmt;

use serde::{Deserialize, Serialize};

/// W3C trace id, 32 hexadecimal digits; kept in `metadata.correlation_uid` of every event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceId(String);

impl TraceId {
    /// The trace that begins at a finding: derived from its uid, so that a replay has the same.
    pub fn of(seed: &str) -> Self {
        Self(blake3::hash(seed.as_bytes()).to_hex().chars().take(32).collect())
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
