//! From the queue into the lake: log, acknowledge, map, detect, publish, commit.
//!
//! A frame is acknowledged when the log has synced it, and leaves the log when a commit has put
//! its events into the tables. Everything between can be done again: ids are derived from
//! content, so a crash at any point neither loses nor doubles.

mod memory;
mod settle;
mod stats;
mod sums;
mod work;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc};
use weft_analytics::entity::Known;
use weft_analytics::incident::Decision;
use weft_assessment::Samples;
use weft_console::TailEvent;
use weft_lake::{Committed, Kind, Lake, LogError, Logged, Recovery};
use weft_model::{Detector, Finding, Mapping, RawBatch};

pub use memory::Memory;
pub use stats::{Poll, SourceStat, Stats};
pub use sums::Remembered;
pub use work::Work;
pub(crate) use work::{OWN_SOURCE, own_batch};
pub use writer::Writer;

use crate::intel::Live;
use crate::state::StateStore;

/// Frames that are logged and wait for a worker, of at most about 2 MB each.
const WORK_FRAMES_MAX: usize = 32;
/// Events that a slow reader of the live tail may lag behind.
const TAIL_EVENTS_MAX: usize = 8192;
/// Findings that may wait for the loop.
const FINDINGS_MAX: usize = 1024;
/// Newest waits, from arrival to visible, that the metric is computed from.
const WAITS_MAX: usize = 50_000;
/// Published bytes at which a commit is made before its time.
const COMMIT_BYTES: usize = 96 << 20;
/// Published bytes at which workers wait for a commit: the bound of the tail's memory.
pub(crate) const TAIL_BYTES_MAX: usize = 192 << 20;
/// Between two looks at whether all is mapped.
const LOOK: Duration = Duration::from_millis(20);
/// How often the size of the tail is looked at; at full speed it grows by a few bytes a microsecond.
const COMMIT_LOOK: Duration = Duration::from_millis(50);

/// What the pipeline is made of; given once.
pub struct Parts {
    /// The lake.
    pub lake: Lake,
    /// Any stream to events and rejects.
    pub mapping: Arc<dyn Mapping>,
    /// Detectors; they see every event batch, one after another.
    pub detectors: Vec<Box<dyn Detector>>,
    /// Indicators that every event is matched with.
    pub intel: Arc<Live>,
    /// How much later than newer events an event may come and still be put in order.
    pub lateness: Duration,
    /// Where what they remember is kept.
    pub state: Arc<dyn StateStore>,
    /// What they remembered at the last commit.
    pub memory: Memory,
    /// Who is nobody, and who matters how much.
    pub entities: Known,
    /// What persons decided about incidents.
    pub decisions: Vec<Decision>,
    /// Time between commits.
    pub commit_every: Duration,
    /// Threads that map.
    pub workers: usize,
}

/// The running pipeline; clones share it.
#[derive(Clone)]
pub struct Pipeline {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) lake: Lake,
    pub(crate) mapping: Arc<dyn Mapping>,
    pub(crate) detectors: Mutex<Vec<Box<dyn Detector>>>,
    pub(crate) intel: Arc<Live>,
    pub(crate) tail: broadcast::Sender<TailEvent>,
    pub(crate) stats: Stats,
    pub(crate) findings: mpsc::Sender<Finding>,
    pub(crate) found: AtomicU64,
    pub(crate) waits: Mutex<Samples>,
    pub(crate) failed: Mutex<Option<String>>,
    pub(crate) stopping: AtomicBool,
    pub(crate) time: settle::EventTime,
    /// Held by each worker while it has a frame in hand, so that a commit can look between two.
    pub(crate) still: RwLock<()>,
    /// What findings come to.
    pub(crate) sums: sums::Sums,
    /// Findings that were handed to the loop and not answered yet, by uid.
    pub(crate) unanswered: Mutex<BTreeMap<String, Arc<Finding>>>,
    state: Arc<dyn StateStore>,
    commit_every: Duration,
}

/// The ends that the binary holds: give them to the tasks that use them, join them when all is over.
pub struct Running {
    /// Handle for everybody.
    pub pipeline: Pipeline,
    /// Findings, for the loop.
    pub findings: Option<mpsc::Receiver<Finding>>,
    /// Where logged frames go.
    pub work: std::sync::mpsc::SyncSender<Logged>,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts the workers.
    ///
    /// # Errors
    /// The system has no thread for us.
    pub fn start(mut parts: Parts) -> std::io::Result<Self> {
        parts.memory.restore(&mut parts.detectors);
        let (work, waiting) = std::sync::mpsc::sync_channel(WORK_FRAMES_MAX);
        let (findings_in, findings) = mpsc::channel(FINDINGS_MAX);
        let shared = Arc::new(Shared {
            lake: parts.lake,
            mapping: parts.mapping,
            detectors: Mutex::new(parts.detectors),
            intel: parts.intel,
            tail: broadcast::channel(TAIL_EVENTS_MAX).0,
            stats: Stats::default(),
            findings: findings_in,
            found: AtomicU64::new(0),
            waits: Mutex::new(Samples::new(WAITS_MAX)),
            failed: Mutex::default(),
            stopping: AtomicBool::new(false),
            time: settle::EventTime::new(parts.lateness),
            still: RwLock::default(),
            sums: sums::Sums::new(parts.entities, parts.decisions, &mut parts.memory),
            unanswered: Mutex::new(parts.memory.findings.into_iter().map(|finding| (finding.uid.clone(), finding)).collect()),
            state: parts.state,
            commit_every: parts.commit_every,
        });
        let waiting = Arc::new(Mutex::new(waiting));
        let mut workers = Vec::new();
        for number in 0..parts.workers.max(1) {
            let work = Work::new(Arc::clone(&shared), Arc::clone(&waiting));
            workers.push(std::thread::Builder::new().name(format!("map-{number}")).spawn(move || work.run())?);
        }
        Ok(Self { pipeline: Pipeline { shared }, findings: Some(findings), work, workers })
    }

    /// Waits until the workers have done what was given to them.
    pub fn join(self) {
        let Self { work, workers, findings, .. } = self;
        drop((work, findings));
        for worker in workers {
            if worker.join().is_err() {
                tracing::error!("a mapping thread ended early; its frames are mapped again at the next start");
            }
        }
    }
}

impl Pipeline {
    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.shared.lake
    }

    /// Counts by source.
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Names of persons under which findings are told from now on.
    pub fn call(&self, names: HashMap<String, String>) {
        self.shared.sums.call(names);
    }

    /// Indicators that are matched now.
    pub fn intel(&self) -> &Arc<Live> {
        &self.shared.intel
    }

    /// Keeps findings that were made beside the events, and hands them to the loop. Blocking.
    ///
    /// # Errors
    /// How many the log did not take.
    pub fn found(&self, findings: Vec<Finding>) -> Result<(), usize> {
        let (kept, owed) = {
            let _in_hand = self.shared.still.read().unwrap_or_else(PoisonError::into_inner);
            work::keep_all(&self.shared, findings)
        };
        for finding in kept {
            if self.shared.findings.blocking_send(finding).is_err() {
                break;
            }
        }
        if owed.is_empty() { Ok(()) } else { Err(owed.len()) }
    }

    /// Findings since the start.
    pub fn findings_found(&self) -> u64 {
        self.shared.found.load(Ordering::Relaxed)
    }

    /// Milliseconds from arrival to visible, of the newest events.
    pub fn waits(&self) -> Samples {
        self.shared.waits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events from now on.
    pub fn tail(&self) -> broadcast::Receiver<TailEvent> {
        self.shared.tail.subscribe()
    }

    /// Why nothing can be taken in any more, if so.
    pub fn failure(&self) -> Option<String> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The loop is done with a finding.
    pub fn answered(&self, finding: &str) {
        self.shared.unanswered.lock().unwrap_or_else(PoisonError::into_inner).remove(finding);
    }

    /// Hands on what the last run found and did not answer, and maps what it left in the log.
    /// Blocking.
    pub fn recover(&self, recovery: &Recovery, work: &std::sync::mpsc::SyncSender<Logged>) -> u64 {
        let unanswered: Vec<Arc<Finding>> = self.shared.unanswered.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for finding in unanswered {
            if self.shared.findings.blocking_send(Finding::clone(&finding)).is_err() {
                break;
            }
        }
        let mut frames = 0;
        for logged in recovery.logged() {
            match logged {
                Ok(logged) => {
                    if work.send(logged).is_err() {
                        break;
                    }
                    frames += 1;
                }
                Err(error) => tracing::error!(%error, "a frame of the log cannot be read"),
            }
        }
        for damage in &recovery.damaged {
            tracing::error!(?damage, "a part of the log is damaged; it is kept for a person");
        }
        frames
    }

    /// Waits until everything that is durable has been mapped.
    pub async fn settled(&self) {
        while self.shared.lake.log().outstanding() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Rejects go the way of any record again: durable, mapped, detected, visible.
    ///
    /// # Errors
    /// The log did not take them.
    pub async fn replay(&self, rejects: RawBatch) -> Result<(), LogError> {
        let appended = self.shared.lake.log().append_as(rejects, Kind::Replay).await?;
        let shared = Arc::clone(&self.shared);
        let publish = move || appended.logged.into_iter().for_each(|logged| work::publish(&shared, logged));
        tokio::task::spawn_blocking(publish).await.map_err(|error| LogError::Failed { message: error.to_string() })
    }

    /// Commits at its time, or when much waits, until told to stop; then a last time by [`Pipeline::commit`].
    pub async fn commit_regularly(self) {
        let mut last = tokio::time::Instant::now();
        while !self.shared.stopping.load(Ordering::Acquire) {
            tokio::time::sleep(COMMIT_LOOK).await;
            if last.elapsed() >= self.shared.commit_every || self.shared.lake.tail_bytes() >= COMMIT_BYTES {
                self.commit().await;
                last = tokio::time::Instant::now();
            }
        }
    }

    /// Commits now; a fault is told and tried again the next time.
    pub async fn commit(&self) {
        // Frames whose worker went away would hold up the commit for ever.
        let orphans = self.shared.lake.unpublished();
        if !orphans.is_empty() {
            let shared = Arc::clone(&self.shared);
            let done = tokio::task::spawn_blocking(move || orphans.into_iter().for_each(|logged| work::publish(&shared, logged))).await;
            if let Err(error) = done {
                tracing::error!(%error, "frames could not be mapped");
            }
        }
        match self.commit_with_memory().await {
            Ok(done) if done.rows > 0 => tracing::debug!(rows = done.rows, files = done.files, bytes = done.bytes, "committed"),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the lake could not commit; it goes on with the next one"),
        }
    }

    async fn commit_with_memory(&self) -> Result<Committed, String> {
        let shared = Arc::clone(&self.shared);
        let taken = tokio::task::spawn_blocking(move || memory::take(&shared)).await.map_err(|error| error.to_string())?;
        let Some((upto, body)) = taken else { return Ok(Committed::default()) };
        let (lake, state) = (&self.shared.lake, &self.shared.state);
        state.keep_memory(lake.log_id(), upto, &body).await.map_err(|error| error.to_string())?;
        let done = lake.commit_to(upto).await.map_err(|error| error.to_string())?;
        state.forget_memory(lake.log_id(), lake.committed()).await.map_err(|error| error.to_string())?;
        Ok(done)
    }

    /// Tells workers and the commits that the end is near.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
    }
}

impl Shared {
    pub(crate) fn fail(&self, message: String) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
    }
}
