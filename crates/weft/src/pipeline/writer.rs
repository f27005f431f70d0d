//! The log's end of the queue.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use weft_lake::{LogError, Logged};

use super::{Pipeline, Shared};
use crate::queue::{Delivery, Queue};

/// Bytes that share one sync.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Between two attempts on a full disk.
const RETRY: Duration = Duration::from_secs(1);
/// Logged frames on their way to the workers.
const FORWARD_FRAMES_MAX: usize = 16;

/// Takes from the queue, writes, acknowledges.
pub struct Writer {
    shared: Arc<Shared>,
    queue: Queue,
    forward: mpsc::Sender<Logged>,
}

impl Writer {
    /// Between `queue` and the workers. The thread that it starts ends with the writer.
    ///
    /// # Errors
    /// The system has no thread for us.
    pub fn new(pipeline: &Pipeline, queue: Queue, work: SyncSender<Logged>) -> std::io::Result<Self> {
        let (forward, mut logged) = mpsc::channel::<Logged>(FORWARD_FRAMES_MAX);
        // Waiting for a worker blocks, so it is done where nothing else runs.
        std::thread::Builder::new().name("forward".to_owned()).spawn(move || {
            while let Some(logged) = logged.blocking_recv() {
                if work.send(logged).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { shared: Arc::clone(&pipeline.shared), queue, forward })
    }

    /// Until the queue is closed and empty.
    pub async fn run(self) {
        while let Some(group) = self.queue.next(GROUP_BYTES_MAX).await {
            // Polled in order, and never sent to the back of the line for having done much: the frames
            // of a source stay in the order of its positions.
            let written = tokio::task::unconstrained(join_all(group.into_iter().map(|delivery| self.write(delivery)))).await;
            let mut logged: Vec<Logged> = written.into_iter().flatten().collect();
            // INVARIANT: frames reach the workers in the order of the log. A commit ends before the first
            // frame that is not published; behind others, it would keep the room that those wait for.
            logged.sort_by_key(Logged::seq);
            for logged in logged {
                if self.forward.send(logged).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Writes one delivery, waiting out what passes; one that cannot be written is not acknowledged.
    async fn write(&self, delivery: Delivery) -> Option<Logged> {
        loop {
            match self.shared.lake.append(delivery.batch.clone(), true).await {
                Ok(appended) => {
                    let batch = delivery.acknowledge();
                    let bytes = batch.records.iter().map(|record| record.bytes.len() as u64).sum();
                    self.shared.stats.read(&batch.source, &batch.stream, batch.records.len() as u64, bytes, appended.duplicates as u64, batch.received);
                    return appended.logged;
                }
                Err(error @ (LogError::Full | LogError::Write { .. })) if !self.stopping() => {
                    tracing::warn!(%error, "waiting to write the log");
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => {
                    if matches!(error, LogError::Failed { .. }) {
                        self.shared.fail(error.to_string());
                    }
                    tracing::error!(%error, "a batch was refused");
                    return None;
                }
            }
        }
    }

    fn stopping(&self) -> bool {
        self.shared.stopping.load(std::sync::atomic::Ordering::Acquire)
    }
}
