//! All streams that there are, compiled.

use std::sync::Arc;

use bumpalo::Bump;
use bytes::Bytes;
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, SourceId, StreamId, Timestamp};

use crate::decode;
use crate::language::Fault;
use crate::language::compile::{ConnectorSource, compile};
use crate::language::file::ConnectorFile;
use crate::map::Scratch;
use crate::map::program::{Classes, Program};
use crate::recognise::{Given, Recogniser};

/// Streams, classes and the way to tell streams apart.
#[derive(Debug, Default)]
pub struct Registry {
    /// Manifests.
    pub connectors: Vec<ConnectorFile>,
    /// Columns of every class.
    pub classes: Classes,
    /// Streams.
    pub programs: Vec<Program>,
    /// For STREAM `auto`.
    pub recogniser: Recogniser,
}

impl Registry {
    /// Compiles connectors; what has a fault is left out and told.
    pub fn build(sources: &[ConnectorSource]) -> (Arc<Self>, Vec<Fault>) {
        Self::build_as(sources, false)
    }

    /// The same for [`crate::map::explain`]: slower to build, and no different at work.
    pub fn build_traced(sources: &[ConnectorSource]) -> (Arc<Self>, Vec<Fault>) {
        Self::build_as(sources, true)
    }

    fn build_as(sources: &[ConnectorSource], traced: bool) -> (Arc<Self>, Vec<Fault>) {
        let compiled = compile(sources, traced);
        let registry = Self { connectors: compiled.connectors, classes: compiled.classes, programs: compiled.programs, recogniser: compiled.recogniser };
        (Arc::new(registry), compiled.faults)
    }

    /// The program of a stream.
    pub fn program(&self, stream: &StreamId) -> Option<&Program> {
        self.programs.iter().find(|program| program.stream == *stream)
    }

    /// Whether a stream claims this JSON object; one that claims whatever has its form does not count.
    pub fn claims(&self, object: &[u8]) -> bool {
        let Ok(text) = decode::text(object) else { return false };
        let (arena, mut scratch) = (Bump::new(), Scratch::default());
        let Ok(nodes) = decode::json(text, &mut scratch, &arena) else { return false };
        let stream = StreamId::from(StreamId::AUTO);
        let record = RawRecord { id: RecordId(0), bytes: Bytes::new() };
        let (source, context, next) = (SourceId::from(""), Context::default(), Position::default());
        let batch = RawBatch { source, stream, context, next, received: Timestamp(0), records: Vec::new() };
        let claimed = self.recogniser.claim(nodes, Given { text, batch: &batch, record: &record }, &arena, &mut scratch.slots);
        claimed.ok().and_then(|place| self.programs.get(place)).is_some_and(|program| !program.generic)
    }

    /// The stream that STREAM `auto` gives the first record of a batch to, or what that carries.
    pub fn recognised(&self, batch: &RawBatch) -> Option<&Program> {
        let record = batch.records.first()?;
        let text = decode::unmarked(decode::text(&record.bytes).ok()?);
        let (arena, mut scratch) = (Bump::new(), Scratch::default());
        let stream = self.recognise(Given { text, batch, record }, &mut scratch, &arena).ok()?.program.stream.clone();
        self.program(&stream)
    }

    /// All streams by name, and `auto`.
    pub fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.programs.iter().map(|program| &program.stream)
    }
}
