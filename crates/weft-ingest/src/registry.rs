//! All streams that there are, compiled.

use std::sync::Arc;

use weft_model::StreamId;

use crate::language::Fault;
use crate::language::compile::{ConnectorSource, compile};
use crate::language::file::ConnectorFile;
use crate::map::program::{Classes, Program};
use crate::recognise::Recogniser;

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
        let compiled = compile(sources);
        let registry = Self { connectors: compiled.connectors, classes: compiled.classes, programs: compiled.programs, recogniser: compiled.recogniser };
        (Arc::new(registry), compiled.faults)
    }

    /// The program of a stream.
    pub fn program(&self, stream: &StreamId) -> Option<&Program> {
        self.programs.iter().find(|program| program.stream == *stream)
    }

    /// All streams by name, and `auto`.
    pub fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.programs.iter().map(|program| &program.stream)
    }
}
