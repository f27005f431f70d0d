//! The loop over records: decode, recognise, map, and collect events and rejects.

use std::sync::Arc;

use bumpalo::Bump;
use simd_json::Buffers;
use weft_model::{EventBatch, Mapped, Mapping, RawBatch, RawRecord, Reject, RejectCause};

use super::code::Scope;
use super::columns::Columns;
use super::program::Program;
use super::staged::Marks;
use super::value::Val;
use super::{event, passthrough};
use crate::decode::{self, Malformed};
use crate::language::file::Format;
use crate::registry::Registry;

/// Longest raw record, bytes; longer ones are rejects.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Arena kept between records, bytes.
const ARENA_KEPT_BYTES: usize = 4 << 20;

/// Maps batches of any stream; holds no state between batches.
#[derive(Debug, Clone)]
pub struct Mapper {
    registry: Arc<Registry>,
}

impl Mapper {
    /// A mapper over these streams.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }
}

impl Mapping for Mapper {
    fn map(&self, raw: &RawBatch) -> Mapped {
        let mut run = Run::new(&self.registry);
        let fixed = if raw.stream.is_auto() { None } else { Some(self.registry.program(&raw.stream)) };
        for record in &raw.records {
            if let Err(fault) = run.record(fixed, raw, record) {
                run.rejects.push(reject(raw, record, fault));
            }
        }
        run.finish(raw)
    }
}

fn reject(raw: &RawBatch, record: &RawRecord, fault: Malformed) -> Reject {
    Reject {
        id: record.id,
        source: raw.source.clone(),
        stream: raw.stream.clone(),
        context: raw.context.clone(),
        cause: fault.cause,
        message: fault.message,
        raw: record.bytes.clone(),
    }
}

/// Memory that is used again for every record of a batch.
struct Run<'r> {
    registry: &'r Registry,
    columns: Vec<Option<Columns>>,
    rejects: Vec<Reject>,
    scratch: Scratch,
    arena: Bump,
    slots: Vec<u32>,
    marks: Marks,
    last: Option<usize>,
}

/// Buffers of the decoders.
#[derive(Default)]
pub struct Scratch {
    /// Copy of the record that the JSON parser unescapes in place.
    pub bytes: Vec<u8>,
    /// The JSON parser's own.
    pub buffers: Buffers,
}

impl<'r> Run<'r> {
    fn new(registry: &'r Registry) -> Self {
        Self {
            registry,
            columns: registry.classes.list.iter().map(|_| None).collect(),
            rejects: Vec::new(),
            scratch: Scratch::default(),
            arena: Bump::new(),
            slots: Vec::new(),
            marks: Marks::default(),
            last: None,
        }
    }

    fn record(&mut self, fixed: Option<Option<&Program>>, raw: &RawBatch, record: &RawRecord) -> Result<(), Malformed> {
        if record.bytes.len() > RECORD_BYTES_MAX {
            return Err(Malformed::new(RejectCause::TooLarge, format!("the record has {} bytes; the limit is {RECORD_BYTES_MAX}", record.bytes.len())));
        }
        let text = decode::text(&record.bytes)?;
        if self.arena.allocated_bytes() > ARENA_KEPT_BYTES {
            self.arena = Bump::new();
        } else {
            self.arena.reset();
        }
        let program = match fixed {
            Some(Some(program)) => program,
            Some(None) => {
                return Err(Malformed::new(RejectCause::Unrecognised, format!("there is no stream `{}`; `weft map --streams` lists them", raw.stream)));
            }
            None => self.recognise(text, raw, record)?,
        };
        let format = decode::fitting(&program.formats, text, &raw.context);
        let mut nodes = decode::decode(format, program, text, raw, &mut self.scratch, &self.arena)?;
        if format == Format::Ocsf {
            return passthrough::map(self.registry, &nodes, raw, record, &self.arena, &mut self.columns);
        }
        if !program.expand.is_empty() {
            nodes = decode::expand(&program.expand, nodes, &self.arena, raw.received.0);
        }
        program.trie.locate(&nodes, &mut self.slots);
        let scope = Scope {
            nodes: &nodes,
            slots: &self.slots,
            item: Val::Node(&nodes, 0),
            index: 0,
            absent: &[],
            captures: &[],
            batch: raw,
            record,
            arena: &self.arena,
        };
        match event::map(program, &self.registry.classes, &scope, &mut self.marks, &mut self.columns) {
            Some(_) => Ok(()),
            None => Err(Malformed::new(RejectCause::Invalid, format!("no event of `{}` can be made of it", program.stream))),
        }
    }

    /// The stream that claims the record: the one of the record before is asked first.
    fn recognise(&mut self, text: &str, raw: &RawBatch, record: &RawRecord) -> Result<&'r Program, Malformed> {
        let found = self.registry.recogniser.find(text, raw, record, &mut self.scratch, &self.arena, &mut self.slots, self.last);
        self.last = found.as_ref().ok().copied();
        let place = found?;
        self.registry.programs.get(place).ok_or_else(|| Malformed::new(RejectCause::Unrecognised, "no stream claims it".to_owned()))
    }

    fn finish(mut self, raw: &RawBatch) -> Mapped {
        let mut mapped = Mapped { batches: Vec::new(), rejects: std::mem::take(&mut self.rejects) };
        for (columns, class) in self.columns.iter_mut().zip(&self.registry.classes.list) {
            let Some(columns) = columns.as_mut().filter(|columns| !columns.is_empty()) else { continue };
            match columns.finish(&class.layout, &class.schema) {
                Ok(rows) => mapped.batches.push(EventBatch { class: class.class, source: raw.source.clone(), rows }),
                // Arrow refused what we built: all of its records are rejects rather than lost.
                Err(error) => {
                    mapped.rejects = raw.records.iter().map(|record| reject(raw, record, Malformed::new(RejectCause::Invalid, error.to_string()))).collect();
                    mapped.batches.clear();
                    break;
                }
            }
        }
        mapped
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}
