//! The decision log: every answer becomes an event, in batches, on the way that all events go.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::respond::Journal;

/// Events that may wait. When the log takes none, answers wait: a decision without a record is none.
const WAITING_EVENTS_MAX: usize = 16_384;
/// Events of one batch.
const BATCH_EVENTS_MAX: usize = 1_000;
/// Between two attempts to hand a batch on.
const AGAIN: Duration = Duration::from_secs(1);

/// Starts the log; it ends when it is told to and has handed everything on.
pub(super) fn start(journal: Arc<dyn Journal>, stop: CancellationToken) -> (mpsc::Sender<Value>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(WAITING_EVENTS_MAX);
    (sender, tokio::spawn(run(journal, receiver, stop)))
}

async fn run(journal: Arc<dyn Journal>, mut events: mpsc::Receiver<Value>, stop: CancellationToken) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            taken = events.recv_many(&mut batch, BATCH_EVENTS_MAX) => if taken == 0 { return },
            () = stop.cancelled() => return,
        }
        while let Err(error) = journal.keep(batch.clone()).await {
            tracing::error!(error, events = batch.len(), "decisions could not be kept; they are tried again");
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
        }
        batch.clear();
    }
}
