//! What flows: raw records in, OCSF events out, and the rejects beside them.

use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// One place that telemetry comes from, e.g. `http/okta` or `file:/var/log/auth.log`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceId(pub Arc<str>);

/// A record type of a connector, `connector/record_type`, or `auto`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId(pub Arc<str>);

impl StreamId {
    /// The stream whose record type is recognised record by record.
    pub const AUTO: &'static str = "auto";

    /// Whether records of this stream are recognised one by one.
    pub fn is_auto(&self) -> bool {
        &*self.0 == Self::AUTO
    }
}

impl From<&str> for SourceId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<&str> for StreamId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a source has been read, in the source's own words (an offset, a cursor, a time).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(pub String);

/// An OCSF class by its `class_uid`, e.g. 3002 Authentication; 0 is the base event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClassUid(pub u32);

impl ClassUid {
    /// The class of events that fit no other one.
    pub const BASE: Self = Self(0);
    /// Compliance finding: a check and its outcome.
    pub const COMPLIANCE_FINDING: Self = Self(2003);
    /// Detection finding: an analytic that fired.
    pub const DETECTION_FINDING: Self = Self(2004);
    /// API activity, also that of the mesh itself.
    pub const API_ACTIVITY: Self = Self(6003);
    /// Remediation activity: what a response did.
    pub const REMEDIATION_ACTIVITY: Self = Self(7001);
}

impl fmt::Display for ClassUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of one raw record: the same record read twice has the same id.
///
/// First 128 bits of BLAKE3 over stream, salt and bytes. The salt tells equal records of one
/// source apart: their offset in a file, their ordinal among equals in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub u128);

impl RecordId {
    /// Derives the id of `bytes` in `stream`.
    pub fn of(stream: &StreamId, salt: &[u8], bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(stream.0.as_bytes()).update(&[0]).update(salt).update(&[0]).update(bytes);
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self(u128::from_be_bytes(id))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One record as a tool wrote it, never altered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Identity, for deduplication and as fall-back of `metadata.uid`.
    pub id: RecordId,
    /// The bytes, without the line end.
    pub bytes: Bytes,
}

/// What surrounds records and is needed to read them again: they travel together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// File (or archive member) name, e.g. `conn.log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Arc<str>>,
    /// Header lines that name the columns: a CSV header, Zeek's `#fields` block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Arc<str>>,
    /// Address of the sender, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Arc<str>>,
}

/// Raw records of one source, in order, with the position that follows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBatch {
    /// Where they come from.
    pub source: SourceId,
    /// Which mapping reads them.
    pub stream: StreamId,
    /// What surrounds them.
    pub context: Context,
    /// Position after the last record.
    pub next: Position,
    /// When the mesh received them.
    pub received: Timestamp,
    /// The records.
    pub records: Vec<RawRecord>,
}

/// Events of one OCSF class as columns; see `docs/guide/ocsf.md` for the layout.
#[derive(Debug, Clone)]
pub struct EventBatch {
    /// Class of every row.
    pub class: ClassUid,
    /// Source of every row.
    pub source: SourceId,
    /// The rows; columns are OCSF attributes.
    pub rows: RecordBatch,
}

/// The outcome of mapping: nothing is lost between the two lists.
#[derive(Debug, Clone, Default)]
pub struct Mapped {
    /// Events, at most one batch a class.
    pub batches: Vec<EventBatch>,
    /// Records that did not become events.
    pub rejects: Vec<Reject>,
    /// Records that a declared policy dropped.
    pub dropped: u64,
}

impl Mapped {
    /// Number of events over all batches.
    pub fn events(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows.num_rows()).sum()
    }
}

/// Raw records to events: total, it never fails as a whole.
pub trait Mapping: Send + Sync {
    /// Maps each record to one event or one reject, or drops it by a declared policy:
    /// `records = events + rejects + dropped`.
    fn map(&self, raw: &RawBatch) -> Mapped;
}

/// Why a record did not become an event; stable names, they are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCause {
    /// Longer than the limit.
    TooLarge,
    /// Nested deeper, or with more parts, than the limit.
    TooDeep,
    /// Not in the form that the stream declares (JSON, CEF, …).
    Malformed,
    /// Not UTF-8.
    Encoding,
    /// `auto` found no stream that claims it.
    Unrecognised,
    /// No time could be read from it.
    NoTime,
    /// The mapping produced something that OCSF does not allow.
    Invalid,
    /// A container (archive, EVTX) that is damaged or too large when unpacked.
    Container,
    /// Its sender could not show who it is. Kept as evidence, never to become an event.
    Unauthenticated,
}

impl RejectCause {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::Malformed => "malformed",
            Self::Encoding => "encoding",
            Self::Unrecognised => "unrecognised",
            Self::NoTime => "no_time",
            Self::Invalid => "invalid",
            Self::Container => "container",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

/// A record that did not become an event, kept whole so that it can be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Identity of the record.
    pub id: RecordId,
    /// Where it came from.
    pub source: SourceId,
    /// Which mapping refused it.
    pub stream: StreamId,
    /// What surrounded it.
    pub context: Context,
    /// Kind of fault.
    pub cause: RejectCause,
    /// For a person: what, where, and what to do.
    pub message: String,
    /// The record, verbatim.
    pub raw: Bytes,
}
