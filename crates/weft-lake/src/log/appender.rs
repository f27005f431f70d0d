//! The one thread that writes: many frames, one write, one sync, then the answers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use weft_model::{RawBatch, RecordId};

use super::disk::DiskFile;
use super::frame::{self, Kind, Seq};
use super::segment::{self, HEADER, Sealed};
use super::{Dedup, Durability, LogError, LogOptions, Logged, Shared};
use crate::ledger::Outcome;

/// One batch on its way to the disk.
pub(super) struct Request {
    pub(super) batch: RawBatch,
    pub(super) kind: Kind,
    pub(super) answer: oneshot::Sender<Result<Appended, LogError>>,
    /// Gives the queue its bytes back when the request is done.
    pub(super) _bytes: OwnedSemaphorePermit,
}

/// What became of an appended batch.
#[derive(Debug)]
pub struct Appended {
    /// The frame, to be mapped and published; none when every record was a duplicate.
    pub logged: Option<Logged>,
    /// Records that were known already and not written again.
    pub duplicates: usize,
}

pub(super) struct Appender {
    pub(super) shared: Arc<Shared>,
    pub(super) options: LogOptions,
    pub(super) window: Dedup,
    pub(super) next: Seq,
    pub(super) active: Option<Active>,
    pub(super) buffer: Vec<u8>,
}

/// The segment that is written to.
pub(super) struct Active {
    file: Box<dyn DiskFile>,
    length: u64,
    sealed: Sealed,
}

/// A request whose frame is in the buffer.
struct Waiting {
    request: Request,
    seq: Option<Seq>,
    duplicates: usize,
}

impl Appender {
    /// Runs until every handle of the log is gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut group = VecDeque::from([first]);
            let mut bytes = 0;
            while bytes < self.options.group_bytes_max {
                let Ok(request) = requests.try_recv() else { break };
                bytes += frame::payload_length(&request.batch, 0);
                group.push_back(request);
            }
            self.write_group(group);
        }
    }

    fn write_group(&mut self, group: VecDeque<Request>) {
        self.buffer.clear();
        let (first, mut fresh) = (self.next, Vec::new());
        let group: Vec<Waiting> = group.into_iter().filter_map(|request| self.encode(request, &mut fresh)).collect();
        let written = self.write(first, &fresh);
        if let Err(error) = written {
            self.window.forget_last(fresh.len());
            self.next = first;
            for waiting in group {
                // The caller may have gone; then nobody needs the answer.
                let _gone = waiting.request.answer.send(Err(error.clone()));
            }
            return;
        }
        for waiting in group {
            self.answer(waiting);
        }
    }

    /// Puts a frame in the buffer; answers at once when it cannot be one.
    fn encode(&mut self, mut request: Request, fresh: &mut Vec<RecordId>) -> Option<Waiting> {
        let before = request.batch.records.len();
        let known = fresh.len();
        if request.kind == Kind::Dedupe {
            request.batch.records.retain(|record| {
                let new = self.window.insert(record.id);
                if new {
                    fresh.push(record.id);
                }
                new
            });
        }
        let duplicates = before - request.batch.records.len();
        // An empty frame is worth writing only for what it carries: a position, or how many
        // records were known already, which the ledger must not forget.
        if request.batch.records.is_empty() && request.batch.next.0.is_empty() && duplicates == 0 {
            return Some(Waiting { request, seq: None, duplicates });
        }
        if frame::encode(&mut self.buffer, self.shared.key, self.next, (request.kind, duplicates as u64), &request.batch).is_none() {
            self.window.forget_last(fresh.len() - known);
            fresh.truncate(known);
            let _gone = request.answer.send(Err(LogError::TooLarge { limit: frame::FRAME_BYTES_MAX }));
            return None;
        }
        let seq = self.next;
        self.next += 1;
        Some(Waiting { request, seq: Some(seq), duplicates })
    }

    fn write(&mut self, first: Seq, fresh: &[RecordId]) -> Result<(), LogError> {
        self.shared.check()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let renew = self.shared.renew.swap(false, std::sync::atomic::Ordering::AcqRel);
        let mut active = match self.active.take() {
            // An empty one has the name that the next one would have.
            Some(active) if active.length < self.options.segment_bytes && !(renew && active.length > HEADER.len() as u64) => active,
            full => self.roll(full, first)?,
        };
        let before = active.length;
        if let Err(error) = active.file.append(&self.buffer) {
            // What was half written must not stay in front of the next frame.
            match active.file.cut(before) {
                Ok(()) => self.active = Some(active),
                Err(cut) => return Err(self.shared.fail(&cut)),
            }
            return Err(write_error(&error));
        }
        if self.options.durability == Durability::Synced {
            // After a failed sync nobody knows what is on the disk: the kernel may have dropped
            // the pages and report success the next time. Only reading it again tells.
            active.file.sync().map_err(|error| self.shared.fail(&error))?;
        }
        active.length += self.buffer.len() as u64;
        active.sealed.last = self.next.saturating_sub(1);
        active.sealed.ids.extend_from_slice(fresh);
        self.active = Some(active);
        Ok(())
    }

    /// Seals the full segment and begins one; the old one stays in use when that fails.
    fn roll(&mut self, full: Option<Active>, first: Seq) -> Result<Active, LogError> {
        let (disk, dir) = (&*self.options.disk, &*self.shared.dir);
        let name = segment::name(first);
        let begun = disk.create(&dir.join(&name)).and_then(|mut file| {
            file.reserve(self.options.segment_bytes);
            file.append(HEADER)?;
            file.sync()?;
            disk.sync_dir(dir)?;
            Ok(file)
        });
        let file = begun.map_err(|error| {
            // A half-made file would be in the way of the next attempt.
            let _absent = disk.remove(&dir.join(&name));
            write_error(&error)
        });
        match file {
            Ok(file) => {
                if let Some(full) = full {
                    self.shared.sealed().push_back(full.sealed);
                }
                Ok(Active { file, length: HEADER.len() as u64, sealed: Sealed { name, first, last: first.saturating_sub(1), ids: Vec::new() } })
            }
            Err(error) => {
                self.active = full;
                Err(error)
            }
        }
    }

    fn answer(&self, waiting: Waiting) {
        let Request { batch, kind, answer, .. } = waiting.request;
        let nothing_new = batch.records.is_empty() && batch.next.0.is_empty();
        let mut logged = waiting.seq.map(|seq| self.shared.admit(seq, batch, kind, waiting.duplicates as u64));
        if nothing_new && let Some(logged) = logged.take() {
            logged.published(Outcome::default());
        }
        // A caller that has gone drops what it was sent, and so hands the frame back.
        let _gone = answer.send(Ok(Appended { logged, duplicates: waiting.duplicates }));
    }
}

fn write_error(error: &io::Error) -> LogError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LogError::Full,
        _ => LogError::Write { message: error.to_string() },
    }
}
