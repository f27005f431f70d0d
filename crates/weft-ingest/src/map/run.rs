//! The loop over records: decode, recognise, map, and collect events and rejects.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use simd_json::{Buffers, Tape};
use weft_model::{EventBatch, Mapped, Mapping, RawBatch, RawRecord, Reject, RejectCause};

use super::code::Scope;
use super::columns::{Cells, Columns};
use super::drops::{Candidate, Drops};
use super::event::Row;
use super::program::Program;
use super::staged::Marks;
use super::value::Val;
use super::{event, passthrough};
use crate::decode::{self, Malformed};
use crate::language::file::Format;
use crate::recognise::{Given, Read};
use crate::registry::Registry;
use crate::tree::Node;

/// Longest raw record, bytes; longer ones are rejects.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Memory of one kind that is kept between records, bytes.
const KEPT_BYTES: usize = 4 << 20;
/// Nodes that are kept between records.
const KEPT_NODES: usize = KEPT_BYTES / size_of::<Node<'_>>();
/// Runs whose memory is kept: as many as map at the same time.
const POOLED_MAX: usize = 64;
/// Records that are written to the columns together: so few that their cells fit the processor's
/// second cache, so many that the builders are worth fetching.
const CHUNK_RECORDS: usize = 16;
/// Bytes of raw records that are written together.
const CHUNK_BYTES: usize = 256 << 10;

/// Maps batches of any stream; nothing of one batch is seen in the next, only memory is kept.
#[derive(Debug, Clone)]
pub struct Mapper {
    registry: Arc<Registry>,
    drops: Option<Arc<Drops>>,
    pool: Arc<Mutex<Vec<Memory>>>,
}

impl Mapper {
    /// A mapper over these streams.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, drops: None, pool: Arc::default() }
    }

    /// The same, with what shall not be kept.
    #[must_use]
    pub fn with_drops(self, drops: Arc<Drops>) -> Self {
        Self { drops: Some(drops).filter(|drops| !drops.is_empty()), ..self }
    }

    fn pool(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mapping for Mapper {
    fn map(&self, raw: &RawBatch) -> Mapped {
        let pooled = self.pool().pop();
        let mut memory = pooled.unwrap_or_else(|| Memory::new(self.registry.classes.list.len()));
        let program = if raw.stream.is_auto() { None } else { Some(self.registry.program(&raw.stream)) };
        let run = Run { registry: &self.registry, drops: self.drops.as_deref(), program, raw };
        let (mut left, mut rest) = (Mapped::default(), raw.records.as_slice());
        while !rest.is_empty() {
            rest = run.chunk(rest, &mut memory, &mut left);
        }
        let mapped = run.finish(&mut memory, left);
        let mut pool = self.pool();
        if pool.len() < POOLED_MAX {
            pool.push(memory);
        }
        mapped
    }
}

/// Memory that is used again for every record, and then for the next batch.
#[derive(Debug)]
struct Memory {
    columns: Vec<Option<Columns>>,
    scratch: Scratch,
    arena: Bump,
    marks: Marks,
}

impl Memory {
    fn new(classes: usize) -> Self {
        Self { columns: (0..classes).map(|_| None).collect(), scratch: Scratch::default(), arena: Bump::new(), marks: Marks::default() }
    }
}

/// Buffers of the decoders.
#[derive(Default)]
pub struct Scratch {
    /// The JSON parser's own.
    pub buffers: Buffers,
    tape: Option<Tape<'static>>,
    /// Where paths were found, see [`crate::language::Trie::locate`].
    pub slots: Vec<u32>,
}

impl Scratch {
    /// An empty tape, with the memory of one that was given back.
    pub fn tape<'a>(&mut self) -> Tape<'a> {
        self.tape.take().map_or_else(|| Tape(Vec::with_capacity(256)), Tape::reset)
    }

    /// Keeps the memory of a tape that nobody looks at any more.
    pub fn reuse(&mut self, tape: Tape<'_>) {
        if tape.0.capacity() <= KEPT_NODES {
            self.tape = Some(tape.reset());
        }
    }
}

/// One batch on its way.
pub(super) struct Run<'r> {
    pub(super) registry: &'r Registry,
    pub(super) drops: Option<&'r Drops>,
    /// None for `auto`; some none where there is no such stream.
    pub(super) program: Option<Option<&'r Program>>,
    pub(super) raw: &'r RawBatch,
}

impl<'r> Run<'r> {
    /// Maps the first records, as many as are written to the columns together; the rest comes back.
    /// What becomes no event is noted in `left`.
    fn chunk(&self, records: &'r [RawRecord], memory: &mut Memory, left: &mut Mapped) -> &'r [RawRecord] {
        let Memory { columns, scratch, arena, marks } = memory;
        if arena.allocated_bytes() > KEPT_BYTES {
            *arena = Bump::new();
        } else {
            arena.reset();
        }
        let arena = &*arena;
        let mut rows = BumpVec::with_capacity_in(CHUNK_RECORDS, arena);
        let (mut taken, mut bytes) = (0, 0);
        for record in records.iter().take(CHUNK_RECORDS) {
            match self.record(record, scratch, marks, arena) {
                Ok(Some(row)) => rows.push(row),
                Ok(None) => left.dropped += 1,
                Err(fault) => left.rejects.push(self.reject(record, fault)),
            }
            taken += 1;
            bytes += record.bytes.len();
            if bytes > CHUNK_BYTES {
                break;
            }
        }
        // Stable: rows of one class keep their order.
        rows.sort_by_key(|row: &Row<'_>| row.class);
        for same in rows.chunk_by(|a, b| a.class == b.class) {
            let Some(row) = same.first() else { continue };
            let (Some(columns), Some(class)) = (columns.get_mut(row.class), self.registry.classes.list.get(row.class)) else { continue };
            let cells: &[Cells<'_>] = arena.alloc_slice_fill_iter(same.iter().map(|row| row.cells));
            columns.get_or_insert_with(|| Columns::new(&class.layout)).write(cells, arena);
        }
        records.get(taken..).unwrap_or_default()
    }

    /// The row of a record; none when a policy drops it.
    fn record<'a>(&'a self, record: &'a RawRecord, scratch: &mut Scratch, marks: &mut Marks, arena: &'a Bump) -> Result<Option<Row<'a>>, Malformed> {
        if record.bytes.len() > RECORD_BYTES_MAX {
            return Err(Malformed::new(RejectCause::TooLarge, format!("the record has {} bytes; the limit is {RECORD_BYTES_MAX}", record.bytes.len())));
        }
        let whole = decode::text(&record.bytes)?;
        let given = Given { text: decode::unmarked(whole), batch: self.raw, record };
        let Read { program, format, nodes } = self.read(given, scratch, arena)?;
        let nodes = decode::expand(&program.expand, nodes, arena, self.raw.received.0);
        let candidate = Candidate { nodes, batch: self.raw, record, whole, arena };
        if self.drops.is_some_and(|drops| drops.drops(&program.stream, candidate)) {
            return Ok(None);
        }
        if format == Format::Ocsf {
            return passthrough::map(self.registry, nodes, self.raw, record, arena).map(Some);
        }
        program.trie.locate(nodes, &mut scratch.slots);
        let slots = arena.alloc_slice_copy(&scratch.slots);
        let item = Val::Node(nodes, 0);
        let scope = Scope { nodes, slots, item, index: 0, absent: &[], captures: &[], batch: self.raw, record, whole, arena };
        let row = event::map(program, &self.registry.classes, &scope, marks);
        row.map(Some).ok_or_else(|| Malformed::new(RejectCause::Invalid, format!("no event of `{}` can be made of it", program.stream)))
    }

    /// The tree of a record, and the stream that it is of.
    pub(super) fn read<'a>(&'a self, given: Given<'a>, scratch: &mut Scratch, arena: &'a Bump) -> Result<Read<'a>, Malformed> {
        match self.program {
            Some(Some(program)) => {
                let format = decode::fitting(&program.formats, given.text, &self.raw.context);
                Ok(Read { program, format, nodes: decode::decode(format, program, given.text, self.raw, scratch, arena)? })
            }
            Some(None) => {
                let message = format!("there is no stream `{}`; `weft map --streams` lists them", self.raw.stream);
                Err(Malformed::new(RejectCause::Unrecognised, message))
            }
            None => self.registry.recognise(given, scratch, arena),
        }
    }

    fn reject(&self, record: &RawRecord, fault: Malformed) -> Reject {
        Reject {
            id: record.id,
            source: self.raw.source.clone(),
            stream: self.raw.stream.clone(),
            context: self.raw.context.clone(),
            cause: fault.cause,
            message: fault.message,
            raw: record.bytes.clone(),
        }
    }

    fn finish(&self, memory: &mut Memory, mut mapped: Mapped) -> Mapped {
        for (columns, class) in memory.columns.iter_mut().zip(&self.registry.classes.list) {
            let Some(columns) = columns.as_mut().filter(|columns| !columns.is_empty()) else { continue };
            match columns.finish(&class.layout, &class.schema) {
                Ok(rows) => mapped.batches.push(EventBatch { class: class.class, source: self.raw.source.clone(), rows }),
                // Arrow refused what we built: all of its records are rejects rather than lost.
                Err(error) => {
                    let refused = |record| self.reject(record, Malformed::new(RejectCause::Invalid, error.to_string()));
                    *memory = Memory::new(self.registry.classes.list.len());
                    return Mapped { rejects: self.raw.records.iter().map(refused).collect(), ..Mapped::default() };
                }
            }
        }
        mapped
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}
