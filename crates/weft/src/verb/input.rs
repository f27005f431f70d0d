//! STREAM and PATH… of a command to raw batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft_ingest::Registry;
use weft_ingest::frame::{self, Framing, Piece, RECORD_BYTES_MAX};
use weft_model::{Context, Mapped, Position, RawBatch, StreamId};

use crate::cli::{self, Fault};
use crate::door::records::{Batcher, Salt};
use crate::door::{now, unknown_stream};

/// What was read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ReadCount {
    /// Raw records, with those that a container or the reader refused.
    pub(super) records: u64,
    /// Paths that could not be read, one line each.
    pub(super) faults: Vec<String>,
}

impl ReadCount {
    /// The faults as the end of the command.
    pub(super) fn check(self) -> Result<(), Fault> {
        if self.faults.is_empty() { Ok(()) } else { Err(Fault::Misuse(self.faults)) }
    }
}

/// What became of records that are mapped and not stored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    events: u64,
    rejects: u64,
}

impl Tally {
    /// Counts what the mapping made of a batch.
    pub(super) fn add(&mut self, mapped: &Mapped) {
        self.events += mapped.batches.iter().map(|events| events.rows.num_rows() as u64).sum::<u64>();
        self.rejects += mapped.rejects.len() as u64;
    }

    /// Whether anything could be used; `hint` says where to look on.
    ///
    /// # Errors
    /// There were records, and nothing could.
    pub(super) fn check(self, count: &ReadCount, hint: &str) -> Result<(), Fault> {
        if count.records == 0 && count.faults.is_empty() {
            cli::say("there is no record in it");
        }
        // Records may also be dropped, by decision.
        let is_useless = self.events == 0 && self.rejects > 0 && self.rejects >= count.records;
        if is_useless { Err(Fault::misuse(format!("none of {} records could be mapped; {hint}", self.rejects))) } else { Ok(()) }
    }

    /// Says how many could not be used.
    pub(super) fn say_rejects(self, count: &ReadCount, hint: &str) {
        if self.rejects > 0 && self.events > 0 {
            cli::say(&format!("{} of {} records could not be mapped; {hint}", self.rejects, count.records));
        }
    }
}

/// The stream of this name with its framing.
pub(super) fn stream(registry: &Arc<Registry>, name: &str) -> Result<(StreamId, Framing), Fault> {
    let stream = StreamId::from(name);
    let framing = Framing::of(registry, &stream).ok_or_else(|| Fault::misuse(unknown_stream(name, &registry.streams().cloned().collect())))?;
    Ok((stream, framing))
}

/// Reads all paths; a path that cannot be read leaves the others.
pub(super) fn read(paths: &[PathBuf], stream: &StreamId, framing: &Framing, sink: &mut dyn FnMut(RawBatch)) -> ReadCount {
    let mut count = ReadCount::default();
    for path in paths {
        let mut gather = Gather { stream, batcher: batcher(stream, &Arc::new(Context::default()), path), path, records: 0, sink };
        let outcome = frame::read(path, framing, &mut |piece| gather.take(piece));
        gather.flush();
        count.records += gather.records;
        if let Err(error) = outcome {
            count.faults.push(format!("`{}` cannot be read: {error}", path.display()));
        }
    }
    count
}

/// Reads one container to its end, each batch when the one before is durable.
///
/// # Errors
/// It cannot be read, or was not stored.
pub(crate) fn whole(path: &Path, stream: &StreamId, framing: &Framing, store: &mut dyn FnMut(RawBatch) -> bool) -> Result<(), String> {
    let mut stored = true;
    let count = read(&[path.to_owned()], stream, framing, &mut |batch| stored = stored && store(batch));
    match count.faults.into_iter().next() {
        Some(fault) => Err(fault),
        None if stored => Ok(()),
        None => Err("not everything was stored".to_owned()),
    }
}

fn batcher(stream: &StreamId, context: &Arc<Context>, path: &Path) -> Batcher {
    let name = context.file.clone().unwrap_or_else(|| path.display().to_string().into());
    let source = format!("file:{name}");
    // The name of a member and the place in it: reading the same file twice gives the same ids.
    Batcher::new(source.as_str().into(), stream.clone(), (**context).clone(), Salt::place(name.as_bytes().to_vec(), 0), now(), RECORD_BYTES_MAX)
}

struct Gather<'a> {
    stream: &'a StreamId,
    batcher: Batcher,
    path: &'a Path,
    records: u64,
    sink: &'a mut dyn FnMut(RawBatch),
}

impl Gather<'_> {
    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Context(context) => {
                self.flush();
                self.batcher = batcher(self.stream, &context, self.path);
                return;
            }
            Piece::Record { at, bytes } => {
                self.batcher.at(at);
                self.batcher.record(bytes);
            }
            Piece::Fault { at, cause, message, raw } => {
                self.batcher.at(at);
                self.batcher.refuse(cause, message, raw);
            }
        }
        self.records += 1;
        if self.batcher.is_full() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.batcher.take(&Position::default()).into_iter().for_each(&mut *self.sink);
    }
}
