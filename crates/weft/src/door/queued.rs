//! What the sources that are queues themselves have in common: messages with a number each become
//! records, and the number that was read last is told to the queue when the records are on disk.
//!
//! A message read twice has the same ids, so that what was stored and not yet told is not doubled.

use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use weft_ingest::frame::{Framing, Piece, Splitter};
use weft_model::{Context, Position, StreamId};

use super::records::{Batcher, Salt};
use super::{Ingress, all_stored, now};

/// Records of one message: its number and theirs are one number.
const MESSAGE_RECORDS_BITS: u32 = 20;
/// Between two attempts to reach the queue: doubled up to the second.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// One queue that is read.
#[derive(Clone)]
pub struct Queued {
    /// The way to the log.
    pub ingress: Ingress,
    /// Name of the source, for people.
    pub source: String,
    /// What tells this queue's numbers from those of all others, also of one that had its name before.
    pub origin: String,
    /// Mapping of the records.
    pub stream: StreamId,
    /// How messages are cut.
    pub framing: Framing,
}

/// A message of the queue.
#[derive(Debug)]
pub struct Message {
    /// Number, rising.
    pub number: u64,
    /// Subject or topic.
    pub subject: String,
    /// Content: a record, or several as a file may have them.
    pub payload: Bytes,
}

impl Queued {
    /// Hands messages on and waits until they are on disk, with the position behind them.
    ///
    /// # Errors
    /// They are not; read them again.
    pub async fn store(&self, messages: Vec<Message>, next: &Position) -> Result<(), String> {
        let (record_max, mut stored) = (self.ingress.limits.record_bytes_max, Vec::new());
        let mut batcher =
            Batcher::new(self.source.as_str().into(), self.stream.clone(), Context::default(), Salt::place(self.origin.clone(), 0), now(), record_max);
        let mut batches = Vec::new();
        for message in messages {
            let around = Context { file: Some(message.subject.as_str().into()), ..Context::default() };
            if !batcher.is_around(&around) {
                batches.extend(batcher.take(&Position::default()));
                batcher.surround(around.clone());
            }
            batcher.at(message.number << MESSAGE_RECORDS_BITS);
            let mut splitter = Splitter::new(self.framing.clone(), around).with_record_max(record_max);
            let mut take = |piece| match piece {
                Piece::Record { bytes, .. } => batcher.record(bytes),
                Piece::Fault { cause, message, raw, .. } => batcher.refuse(cause, message, raw),
                Piece::Context(context) => {
                    batches.extend(batcher.take(&Position::default()));
                    batcher.surround((*context).clone());
                }
            };
            splitter.push(&message.payload, &mut take);
            splitter.finish(&mut take);
            if batcher.is_full() {
                batches.extend(batcher.take(&Position::default()));
            }
        }
        batches.extend(batcher.take(&Position::default()));
        if let Some(last) = batches.last_mut() {
            last.next = next.clone();
        }
        for batch in batches {
            // Waits for room: the queue outside holds what comes meanwhile.
            stored.push(self.ingress.queue.push(batch).await.map_err(|refusal| refusal.to_string())?);
        }
        if all_stored(stored).await { Ok(()) } else { Err("the records could not be written".to_owned()) }
    }
}

/// What is waited after a fault, longer each time.
#[derive(Debug)]
pub struct Pause {
    name: String,
    wait: Duration,
    begun: tokio::time::Instant,
}

impl Pause {
    /// For a source of this name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), wait: AGAIN.0, begun: tokio::time::Instant::now() }
    }

    /// Says what went wrong and waits; what ran for a while before begins with the shortest wait.
    pub async fn after(&mut self, message: &str, stop: &CancellationToken) {
        if stop.is_cancelled() {
            return;
        }
        if self.begun.elapsed() > AGAIN.1 {
            self.wait = AGAIN.0;
        }
        tracing::warn!(source = self.name, message, again_in_ms = self.wait.as_millis(), "reading stopped");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(self.wait) => {}
        }
        (self.wait, self.begun) = (AGAIN.1.min(self.wait * 2), tokio::time::Instant::now());
    }
}
