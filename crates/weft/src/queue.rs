//! The bounded, fair queue between the doors and the log.
//!
//! One lane a source; the reader takes from the lanes in turn, by bytes (deficit round robin,
//! Shreedhar and Varghese 1995), so that a flood in one lane delays the others by one quantum.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};
use weft_model::{RawBatch, SourceId};

/// Bytes that a lane may give in one turn.
const QUANTUM_BYTES: usize = 1 << 20;
/// What a record costs beside its bytes.
const RECORD_OVERHEAD_BYTES: usize = 64;
/// Bytes of small batches that become one: what a frame costs, they share.
const TOGETHER_BYTES_MAX: usize = 2 << 20;
/// Records of them.
const TOGETHER_RECORDS_MAX: usize = 8192;

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one source. An empty lane always takes one batch, so that a full house starves nobody.
    pub lane_bytes_max: usize,
    /// Bytes of all sources.
    pub total_bytes_max: usize,
    /// Sources that may wait at the same time.
    pub lanes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { lane_bytes_max: 32 << 20, total_bytes_max: 192 << 20, lanes_max: 4096 }
    }
}

/// Resolves when the batch is on disk; an error means that it was not written.
pub type Stored = oneshot::Receiver<()>;

/// Why a batch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Come back in a moment.
    #[error("the queue is full, try again in a second")]
    Full,
    /// The mesh is going down.
    #[error("the mesh is shutting down")]
    Closed,
}

/// A batch on its way to the log: what one door pushed, or several small ones of one stream.
#[derive(Debug)]
pub struct Delivery {
    /// The records.
    pub batch: RawBatch,
    /// Of each push, who waits.
    stored: Vec<oneshot::Sender<()>>,
    bytes: usize,
}

impl Delivery {
    /// Tells the doors that the batch is on disk, and gives it on.
    pub fn acknowledge(self) -> RawBatch {
        for waiting in self.stored {
            // The door may have given up on its client; the batch is stored all the same.
            let _gone = waiting.send(());
        }
        self.batch
    }

    /// Whether `next` says the same of its records, and both are small. A batch with a position stays
    /// alone: the position is durable with its own records.
    fn takes(&self, next: &Self) -> bool {
        let (here, there) = (&self.batch, &next.batch);
        here.next.0.is_empty()
            && there.next.0.is_empty()
            && (&here.source, &here.stream, &here.context) == (&there.source, &there.stream, &there.context)
            && self.bytes + next.bytes <= TOGETHER_BYTES_MAX
            && here.records.len() + there.records.len() <= TOGETHER_RECORDS_MAX
    }

    /// Takes in the records of `next`, behind its own; they count as received when the first were.
    fn join(&mut self, next: Self) {
        self.batch.records.extend(next.batch.records);
        self.stored.extend(next.stored);
        self.bytes += next.bytes;
    }
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Delivery>,
    bytes: usize,
    deficit: usize,
}

#[derive(Default)]
struct Inner {
    lanes: HashMap<SourceId, Lane>,
    turn: VecDeque<SourceId>,
    bytes: usize,
    closed: bool,
}

/// The queue; clones share it.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Mutex<Inner>>,
    filled: Arc<Notify>,
    drained: Arc<Notify>,
    bounds: Bounds,
}

impl Queue {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        Self { inner: Arc::default(), filled: Arc::default(), drained: Arc::default(), bounds }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while holding the lock cannot leave it half changed: no call in between may panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch now or not at all.
    ///
    /// # Errors
    /// The batch comes back with the reason.
    pub fn try_push(&self, batch: RawBatch) -> Result<Stored, (Refusal, Box<RawBatch>)> {
        let bytes = weight(&batch);
        let mut inner = self.lock();
        if inner.closed {
            return Err((Refusal::Closed, Box::new(batch)));
        }
        let waiting = inner.lanes.get(&batch.source).map_or(0, |lane| lane.bytes);
        let fits = waiting + bytes <= self.bounds.lane_bytes_max && inner.bytes + bytes <= self.bounds.total_bytes_max;
        let first = waiting == 0 && inner.turn.len() < self.bounds.lanes_max;
        if !(first || waiting > 0 && fits) {
            return Err((Refusal::Full, Box::new(batch)));
        }
        let (stored, wait) = oneshot::channel();
        let source = batch.source.clone();
        if waiting == 0 {
            inner.turn.push_back(source.clone());
        }
        inner.bytes += bytes;
        let lane = inner.lanes.entry(source).or_default();
        lane.bytes += bytes;
        lane.waiting.push_back(Delivery { batch, stored: vec![stored], bytes });
        drop(inner);
        self.filled.notify_one();
        Ok(wait)
    }

    /// Waits for room: the way of doors that can make their sender wait (TCP, files).
    ///
    /// # Errors
    /// [`Refusal::Closed`] when the mesh goes down.
    pub async fn push(&self, mut batch: RawBatch) -> Result<Stored, Refusal> {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            match self.try_push(batch) {
                Ok(stored) => return Ok(stored),
                Err((Refusal::Closed, _)) => return Err(Refusal::Closed),
                Err((Refusal::Full, back)) => batch = *back,
            }
            drained.await;
        }
    }

    /// The next deliveries, at least one and about `bytes_max` at most; none when closed and empty.
    pub async fn next(&self, bytes_max: usize) -> Option<Vec<Delivery>> {
        loop {
            let filled = self.filled.notified();
            tokio::pin!(filled);
            filled.as_mut().enable();
            let (taken, closed) = self.take(bytes_max);
            if !taken.is_empty() {
                self.drained.notify_waiters();
                return Some(taken);
            }
            if closed {
                return None;
            }
            filled.await;
        }
    }

    fn take(&self, bytes_max: usize) -> (Vec<Delivery>, bool) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let (mut taken, mut bytes): (Vec<Delivery>, _) = (Vec::new(), 0);
        while bytes < bytes_max {
            let Some(source) = inner.turn.pop_front() else { break };
            let Some(lane) = inner.lanes.get_mut(&source) else { continue };
            lane.deficit += QUANTUM_BYTES;
            while let Some(delivery) = lane.waiting.pop_front_if(|delivery| delivery.bytes <= lane.deficit) {
                lane.deficit -= delivery.bytes;
                lane.bytes -= delivery.bytes;
                bytes += delivery.bytes;
                match taken.last_mut().filter(|last| last.takes(&delivery)) {
                    Some(last) => last.join(delivery),
                    None => taken.push(delivery),
                }
            }
            if lane.waiting.is_empty() {
                inner.lanes.remove(&source);
            } else {
                inner.turn.push_back(source);
            }
        }
        inner.bytes = inner.bytes.saturating_sub(bytes);
        (taken, inner.closed)
    }

    /// Refuses what comes from now on; what waits is still read.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Bytes that wait, for metrics.
    pub fn waiting_bytes(&self) -> usize {
        self.lock().bytes
    }
}

fn weight(batch: &RawBatch) -> usize {
    batch.records.iter().map(|record| record.bytes.len() + RECORD_OVERHEAD_BYTES).sum::<usize>().max(1)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weft_model::{Context, Position, RawRecord, RecordId, StreamId, Timestamp};

    use super::*;

    fn batch(source: &str, size: usize) -> RawBatch {
        let stream = StreamId::from("auto");
        let bytes = Bytes::from(vec![b'x'; size]);
        let records = vec![RawRecord { id: RecordId::of(&stream, b"", &bytes), bytes }];
        RawBatch { source: source.into(), stream, context: Context::default(), next: Position::default(), received: Timestamp(0), records }
    }

    #[tokio::test]
    async fn a_flood_does_not_starve_a_neighbour() {
        let queue = Queue::new(Bounds::default());
        for _ in 0..20 {
            queue.try_push(batch("flood", 1 << 20)).unwrap();
        }
        queue.try_push(batch("quiet", 10)).unwrap();
        let taken = queue.next(4 << 20).await.unwrap();
        assert!(taken.iter().any(|d| &*d.batch.source.0 == "quiet"), "the quiet source waits behind the flood");
    }

    #[tokio::test]
    async fn full_refuses_one_source_and_takes_the_other() {
        let queue = Queue::new(Bounds { lane_bytes_max: 1000, total_bytes_max: 1500, lanes_max: 2 });
        queue.try_push(batch("a", 800)).unwrap();
        assert!(matches!(queue.try_push(batch("a", 800)), Err((Refusal::Full, _))));
        queue.try_push(batch("b", 5000)).unwrap();
        assert!(matches!(queue.try_push(batch("c", 1)), Err((Refusal::Full, _))), "bounded number of lanes");
        assert_eq!(queue.next(usize::MAX).await.unwrap().len(), 2);
        assert_eq!(queue.waiting_bytes(), 0);
    }

    #[tokio::test]
    async fn acknowledged_when_stored_and_refused_when_dropped() {
        let queue = Queue::new(Bounds::default());
        let (one, two) = (queue.try_push(batch("a", 1)).unwrap(), queue.try_push(batch("b", 1)).unwrap());
        let mut taken = queue.next(usize::MAX).await.unwrap().into_iter();
        taken.next().unwrap().acknowledge();
        drop(taken);
        assert!(one.await.is_ok());
        assert!(two.await.is_err());
        queue.close();
        assert!(queue.next(1).await.is_none());
        assert_eq!(queue.push(batch("a", 1)).await.unwrap_err(), Refusal::Closed);
    }

    #[tokio::test]
    async fn small_batches_of_one_stream_become_one_and_each_is_acknowledged() {
        let queue = Queue::new(Bounds::default());
        let at = |position: &str| RawBatch { next: Position(position.to_owned()), ..batch("a", 1) };
        let other = RawBatch { stream: StreamId::from("okta/system_log"), ..batch("a", 1) };
        let pushed = [batch("a", 1), batch("a", 2), other, batch("a", 3), at("7"), batch("a", 2 << 20)];
        let waits: Vec<_> = pushed.into_iter().map(|batch| queue.try_push(batch).unwrap()).collect();
        let mut taken = Vec::new();
        while queue.waiting_bytes() > 0 {
            taken.extend(queue.next(1 << 20).await.unwrap());
        }
        assert_eq!(taken.iter().map(|delivery| delivery.batch.records.len()).collect::<Vec<_>>(), [2, 1, 1, 1, 1]);
        taken.into_iter().for_each(|delivery| drop(delivery.acknowledge()));
        for wait in waits {
            assert!(wait.await.is_ok(), "every door is told");
        }
    }

    #[tokio::test]
    async fn a_pusher_that_waits_is_woken() {
        let queue = Queue::new(Bounds { lane_bytes_max: 200, total_bytes_max: 1000, lanes_max: 2 });
        queue.try_push(batch("a", 100)).unwrap();
        let pusher = tokio::spawn({
            let queue = queue.clone();
            async move { queue.push(batch("a", 100)).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert_eq!(queue.next(1).await.unwrap().len(), 1);
        pusher.await.unwrap().unwrap();
        assert_eq!(queue.next(1).await.unwrap().len(), 1);
    }
}
