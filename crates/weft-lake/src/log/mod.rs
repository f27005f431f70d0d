//! The durable log of raw batches: acknowledged means synced.
//!
//! A frame lives here from the moment a source hands it over until the lake has committed its
//! events. What the log does not know: what a record means, tables, SQL.

mod appender;
mod dedup;
pub mod disk;
#[cfg(test)]
mod faults;
mod frame;
mod open;
mod segment;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot};
use weft_model::{Position, RawBatch, SourceId};

use crate::ledger::{Book, Entry, Ledger, Outcome};

pub use appender::Appended;
pub use dedup::Dedup;
pub use disk::{Disk, DiskFile, LocalDisk};
pub use frame::{FRAME_BYTES_MAX, Frame, Kind, Seq};
pub use open::{Frames, Recovery, read};
pub use segment::Damage;

use appender::Request;
use segment::Sealed;

/// When an append is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// After the sync: a power cut loses nothing that was acknowledged.
    #[default]
    Synced,
    /// Before it. Loses acknowledged records: the control that shows that the test can see a loss.
    #[cfg(any(test, feature = "acknowledge-before-sync"))]
    AckBeforeSync,
}

/// Bounds and habits of the log.
#[derive(Clone)]
pub struct LogOptions {
    /// A segment that has grown past this is sealed and a new one begun.
    pub segment_bytes: u64,
    /// Most bytes written with one sync.
    pub group_bytes_max: usize,
    /// Most batches that wait for the disk; further callers wait for a place.
    pub queue_batches_max: usize,
    /// Most bytes that wait for the disk.
    pub queue_bytes_max: usize,
    /// Record ids remembered for deduplication.
    pub dedup_ids: usize,
    /// When an append is acknowledged.
    pub durability: Durability,
    /// Where it is written.
    pub disk: Arc<dyn Disk>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            group_bytes_max: 8 << 20,
            queue_batches_max: 1024,
            queue_bytes_max: 64 << 20,
            dedup_ids: 4_000_000,
            durability: Durability::Synced,
            disk: Arc::new(LocalDisk),
        }
    }
}

/// Why the log did not take or give a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Nothing was written; try again when there is space.
    #[error("the disk of the log is full: free some space, nothing that was acknowledged is lost")]
    Full,
    /// Nothing was written; the next attempt may succeed.
    #[error("the log cannot be written: {message}")]
    Write {
        /// The system's words.
        message: String,
    },
    /// A sync failed: what is on the disk is unknown until the log is opened again.
    #[error("the log has failed and must be opened again: {message}")]
    Failed {
        /// The system's words.
        message: String,
    },
    /// The batch can never be written.
    #[error("the batch is longer than {limit} bytes: split it")]
    TooLarge {
        /// Most bytes of a frame.
        limit: usize,
    },
    /// Another process writes here.
    #[error("`{dir}` is in use by process {pid}: stop it or choose another directory")]
    Locked {
        /// Directory of the log.
        dir: String,
        /// The process that has it, as it wrote itself down.
        pid: String,
    },
    /// The log cannot be opened or read.
    #[error("`{path}` cannot be read: {message}")]
    Read {
        /// File or directory.
        path: String,
        /// The system's words.
        message: String,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

/// A frame that is durable and waits to be mapped and published.
///
/// INVARIANT: every frame is either published or handed back: dropping this puts it in
/// [`Log::unpublished`], so that no caller that was cancelled can hold up the commit for ever.
#[derive(Debug)]
pub struct Logged {
    seq: Seq,
    kind: Kind,
    batch: Option<RawBatch>,
    shared: Arc<Shared>,
}

impl Logged {
    /// Its number.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The records as they stand in the log, without duplicates.
    pub fn batch(&self) -> &RawBatch {
        static EMPTY: std::sync::LazyLock<RawBatch> = std::sync::LazyLock::new(|| RawBatch {
            source: "".into(),
            stream: "".into(),
            context: weft_model::Context::default(),
            next: Position::default(),
            received: weft_model::Timestamp(0),
            records: Vec::new(),
        });
        self.batch.as_ref().unwrap_or(&EMPTY)
    }

    /// How it takes part.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its events can be seen now: it counts as done for the next commit.
    pub(crate) fn published(mut self, outcome: Outcome) {
        self.batch = None;
        let mut state = self.shared.state();
        state.outstanding.remove(&self.seq);
        state.book.settle(self.seq, outcome);
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.shared.state().unpublished.push_back((self.seq, self.kind, batch));
        }
    }
}

pub(crate) struct Shared {
    dir: PathBuf,
    key: u32,
    id: String,
    disk: Arc<dyn Disk>,
    dedup_ids: usize,
    /// The next frame begins a segment.
    renew: std::sync::atomic::AtomicBool,
    sealed: Mutex<VecDeque<Sealed>>,
    /// Files of ids of segments that are gone, oldest first, with their number.
    retired: Mutex<VecDeque<(String, usize)>>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("dir", &self.dir).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    failed: Option<String>,
    committed: Seq,
    last: Seq,
    /// Durable frames that are not published yet.
    outstanding: std::collections::BTreeSet<Seq>,
    /// Those of them that nobody holds.
    unpublished: VecDeque<(Seq, Kind, RawBatch)>,
    /// Positions of the sources at the last commit.
    positions: BTreeMap<SourceId, Position>,
    /// Positions that frames after it carry.
    ahead: BTreeMap<Seq, (SourceId, Position)>,
    /// What came in, and what became of it.
    book: Book,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealed(&self) -> MutexGuard<'_, VecDeque<Sealed>> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self) -> Result<(), LogError> {
        match &self.state().failed {
            Some(message) => Err(LogError::Failed { message: message.clone() }),
            None => Ok(()),
        }
    }

    fn fail(&self, error: &io::Error) -> LogError {
        let message = error.to_string();
        self.state().failed = Some(message.clone());
        LogError::Failed { message }
    }

    /// Registers a durable frame before anybody hears of it: a commit must not overtake it.
    fn admit(self: &Arc<Self>, seq: Seq, batch: RawBatch, kind: Kind, duplicates: u64) -> Logged {
        let mut state = self.state();
        state.book.admit(seq, Entry::durable((batch.source.clone(), batch.stream.clone()), batch.records.len() as u64, kind, duplicates));
        state.outstanding.insert(seq);
        state.last = state.last.max(seq);
        if !batch.next.0.is_empty() {
            state.ahead.insert(seq, (batch.source.clone(), batch.next.clone()));
        }
        drop(state);
        Logged { seq, kind, batch: Some(batch), shared: Arc::clone(self) }
    }
}

/// Handle of the log; clones share it. The last one to go waits for the writer and gives up the
/// lock.
#[derive(Clone)]
pub struct Log {
    writer: Arc<Writer>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    shared: Arc<Shared>,
}

struct Writer {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Held for as long as the writer lives.
    _lock: Option<std::fs::File>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // The writer does not panic; if it did, there is nothing left to wait for.
            let _ended = thread.join();
        }
    }
}

/// A unit of the queue's byte budget; a semaphore counts to 2^29 at least.
const BUDGET_UNIT: usize = 1024;

impl Log {
    /// Appends a batch and waits until it is durable. With `dedupe`, records whose id is in the
    /// window are left out: they are durable already.
    ///
    /// Dropping the future loses nothing: the frame is then found in [`Log::unpublished`].
    ///
    /// # Errors
    /// [`LogError`]; then no record of this batch is in the log.
    pub async fn append(&self, batch: RawBatch, dedupe: bool) -> Result<Appended, LogError> {
        self.append_as(batch, if dedupe { Kind::Dedupe } else { Kind::Plain }).await
    }

    /// [`Log::append`], for records of any kind.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn append_as(&self, batch: RawBatch, kind: Kind) -> Result<Appended, LogError> {
        let bytes = frame::payload_length(&batch, 256);
        if bytes > FRAME_BYTES_MAX {
            return Err(LogError::TooLarge { limit: FRAME_BYTES_MAX });
        }
        let units = u32::try_from(bytes.min(self.bytes_max).div_ceil(BUDGET_UNIT)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.bytes).acquire_many_owned(units).await.map_err(|_closed| LogError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let request = Request { batch, kind, answer, _bytes: permit };
        let requests = self.writer.requests.as_ref().ok_or(LogError::Closed)?;
        requests.send(request).await.map_err(|_closed| LogError::Closed)?;
        answered.await.map_err(|_closed| LogError::Closed)?
    }

    /// [`Log::append`] for a thread that is not asynchronous.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_blocking(&self, batch: RawBatch, dedupe: bool) -> Result<Appended, LogError> {
        futures::executor::block_on(self.append(batch, dedupe))
    }

    /// Durable frames that nobody holds: their caller went away before publishing them.
    pub fn unpublished(&self) -> Vec<Logged> {
        let frames = std::mem::take(&mut self.shared.state().unpublished);
        frames.into_iter().map(|(seq, kind, batch)| Logged { seq, kind, batch: Some(batch), shared: Arc::clone(&self.shared) }).collect()
    }

    /// How far each source is durable, committed or not.
    pub fn positions(&self) -> BTreeMap<SourceId, Position> {
        self.positions_at(Seq::MAX)
    }

    /// How far each source is durable up to a frame.
    pub(crate) fn positions_at(&self, to: Seq) -> BTreeMap<SourceId, Position> {
        let state = self.shared.state();
        let mut positions = state.positions.clone();
        positions.extend(state.ahead.range(..=to).map(|(_, (source, position))| (source.clone(), position.clone())));
        positions
    }

    /// Accounts of everything up to a frame.
    pub(crate) fn ledger_at(&self, to: Seq) -> Ledger {
        self.shared.state().book.at(to)
    }

    /// Accounts up to the last commit.
    pub(crate) fn ledger_committed(&self) -> Ledger {
        self.shared.state().book.committed.clone()
    }

    /// Counts what is in the tables already when the ledger begins.
    pub(crate) fn begin_ledger(&self, rows: impl Iterator<Item = (String, u64)>) {
        self.shared.state().book.committed.begin(rows);
    }

    /// The last frame such that it and all before it are published.
    pub(crate) fn horizon(&self) -> Seq {
        let state = self.shared.state();
        state.outstanding.first().map_or(state.last, |first| first.saturating_sub(1))
    }

    /// Number of durable frames that are not published yet.
    pub fn outstanding(&self) -> usize {
        self.shared.state().outstanding.len()
    }

    /// The last committed frame.
    pub fn committed(&self) -> Seq {
        self.shared.state().committed
    }

    /// Random name of this log, never the same for two.
    pub(crate) fn id(&self) -> &str {
        &self.shared.id
    }

    pub(crate) fn dir(&self) -> &std::path::Path {
        &self.shared.dir
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.shared.disk
    }

    /// Writes down that the lake holds everything up to `to`.
    pub(crate) fn checkpoint(&self, to: Seq, positions: BTreeMap<SourceId, Position>, ledger: Ledger) -> Result<(), LogError> {
        let shared = &*self.shared;
        open::write_checkpoint(&*shared.disk, &shared.dir, to, &positions, &ledger).map_err(|error| LogError::Write { message: error.to_string() })?;
        let mut state = shared.state();
        state.committed = state.committed.max(to);
        state.ahead = state.ahead.split_off(&to.saturating_add(1));
        state.outstanding = state.outstanding.split_off(&to.saturating_add(1));
        state.positions = positions;
        state.book.commit(to, ledger);
        Ok(())
    }

    /// Seals the segment that is written to when the next frame comes.
    pub(crate) fn renew(&self) {
        self.shared.renew.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Frees the space of everything up to the checkpoint.
    pub(crate) fn retire(&self) -> Result<(), LogError> {
        let to = self.committed();
        open::retire(&self.shared, to).map_err(|error| LogError::Write { message: error.to_string() })
    }
}
