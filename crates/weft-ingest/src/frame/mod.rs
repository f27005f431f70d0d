//! Bytes to raw records: files, folders and archives opened, streams of bytes split.
//!
//! Every container has limits (how far it may unpack, how long a record may be); what breaks one
//! is told as a [`Piece::Fault`], and reading goes on behind it.

mod envelope;
mod evtx;
mod open;
mod split;

use std::sync::Arc;

use bytes::Bytes;
use weft_model::{Context, RejectCause, StreamId};

use crate::decode::Form;
use crate::language::file::Format;
use crate::map::program::{Delimiter, Program};
use crate::registry::Registry;

pub use open::{read, read_container};
pub use split::Splitter;

/// Longest record that is kept whole, bytes.
pub const RECORD_BYTES_MAX: usize = crate::map::RECORD_BYTES_MAX;
/// What is kept of a record that is longer, bytes.
pub const KEPT_BYTES: usize = 1 << 20;

/// How the bytes of a stream are split.
#[derive(Debug, Clone, Default)]
pub struct Framing {
    /// Forms that may occur; empty for all.
    pub formats: Vec<Format>,
    /// Keys of arrays that carry the records of a JSON document, or paths with dots.
    pub records: Vec<String>,
    /// For `auto`: a document that one of these streams claims is a record, whatever arrays it has.
    pub registry: Option<Arc<Registry>>,
    /// Column names of the stream.
    pub columns: Vec<String>,
    /// Column separator.
    pub delimiter: Option<Delimiter>,
}

impl Framing {
    /// For one stream, or for `auto`; none when there is no such stream.
    pub fn of(registry: &Arc<Registry>, stream: &StreamId) -> Option<Self> {
        if stream.is_auto() {
            let mut records: Vec<String> = registry.programs.iter().flat_map(|program| program.records.iter().cloned()).collect();
            records.sort_unstable();
            records.dedup();
            return Some(Self { records, registry: Some(Arc::clone(registry)), ..Self::default() });
        }
        registry.program(stream).map(Self::of_program)
    }

    fn of_program(program: &Program) -> Self {
        Self {
            formats: program.formats.clone(),
            records: program.records.clone(),
            registry: None,
            columns: program.columns.clone(),
            delimiter: Some(program.delimiter),
        }
    }

    fn allows(&self, format: Format) -> bool {
        self.formats.is_empty() || self.formats.contains(&format)
    }

    fn form(&self) -> Form<'_> {
        Form { columns: &self.columns, delimiter: self.delimiter }
    }
}

/// What comes out of a container.
#[derive(Debug, Clone)]
pub enum Piece {
    /// From here on, what surrounds the records.
    Context(Arc<Context>),
    /// A raw record with its place (offset, or record number) in its source.
    Record {
        /// Offset in bytes, or record number.
        at: u64,
        /// Without the line end.
        bytes: Bytes,
    },
    /// Something that is no record: reading goes on behind it.
    Fault {
        /// Offset in bytes, or record number.
        at: u64,
        /// Kind.
        cause: RejectCause,
        /// For a person.
        message: String,
        /// The bytes, as far as they are kept.
        raw: Bytes,
    },
}
