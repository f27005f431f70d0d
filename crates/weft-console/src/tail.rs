//! The live tail as server-sent events.
//!
//! Bounded at both ends: a slow reader makes the channel drop its oldest, a fast source makes a
//! batch overflow, and both are counted and told.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::sse::Event;
use futures::Stream;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::{Instant, sleep_until};

use crate::api::{EventRow, Observable, TailBatch};
use crate::backend::TailEvent;
use crate::filter::{Expr, matches};
use crate::latency::Latency;

/// Most entities of a row of the list.
pub(crate) const ROW_OBSERVABLES_MAX: usize = 12;
/// Most events of one batch: more than that no one reads.
const BATCH_ROWS_MAX: usize = 200;
/// Least time between two batches.
const BATCH_INTERVAL: Duration = Duration::from_millis(200);
/// Longest message of a row.
const MESSAGE_CHARS_MAX: usize = 400;

pub(crate) struct Tail {
    pub(crate) receiver: broadcast::Receiver<TailEvent>,
    pub(crate) filter: Expr,
    pub(crate) latency: Arc<Latency>,
    /// One of the places for readers, given back when the browser goes.
    pub(crate) _place: OwnedSemaphorePermit,
}

impl Tail {
    /// Batches until the sender is gone.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold((self, Instant::now()), |(mut tail, not_before)| async move {
            let batch = tail.batch(not_before).await?;
            let event = Event::default().event("batch").json_data(&batch).unwrap_or_default();
            Some((Ok(event), (tail, Instant::now() + BATCH_INTERVAL)))
        })
    }

    async fn batch(&mut self, not_before: Instant) -> Option<TailBatch> {
        let mut batch = TailBatch { rows: Vec::new(), seen: 0, skipped: 0 };
        let mut received = Vec::new();
        loop {
            let due = batch.seen > 0;
            tokio::select! {
                next = self.receiver.recv() => match next {
                    Ok(next) => self.take(next, &mut batch, &mut received),
                    Err(RecvError::Lagged(lost)) => {
                        batch.seen += lost;
                        batch.skipped += lost;
                    }
                    Err(RecvError::Closed) if batch.seen == 0 => return None,
                    Err(RecvError::Closed) => break,
                },
                () = sleep_until(not_before), if due => break,
            }
        }
        let now = now_ms();
        received.into_iter().for_each(|at: i64| self.latency.record(u64::try_from(now - at).unwrap_or(0)));
        Some(batch)
    }

    fn take(&self, next: TailEvent, batch: &mut TailBatch, received: &mut Vec<i64>) {
        batch.seen += 1;
        if batch.rows.len() >= BATCH_ROWS_MAX {
            batch.skipped += 1;
        } else if matches(&self.filter, &next.event) {
            batch.rows.push(row_of(&next.event));
            received.push(next.received_ms);
        }
    }
}

/// The list's view of a whole event.
pub(crate) fn row_of(event: &Value) -> EventRow {
    let at = |pointer: &str| event.pointer(pointer);
    let text = |pointer: &str| at(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| at(pointer).and_then(Value::as_i64).unwrap_or_default();
    EventRow {
        uid: text("/metadata/uid").unwrap_or_default(),
        time: number("/time"),
        class_uid: number("/class_uid"),
        class_name: text("/class_name"),
        activity_name: text("/activity_name"),
        severity_id: number("/severity_id"),
        status: text("/status"),
        message: text("/message").map(shorten),
        product: text("/metadata/product/name"),
        observables: at("/observables").map(observables).unwrap_or_default(),
    }
}

pub(crate) fn observables(value: &Value) -> Vec<Observable> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Observable::deserialize_from).take(ROW_OBSERVABLES_MAX).collect()
}

pub(crate) fn shorten(text: String) -> String {
    if text.len() <= MESSAGE_CHARS_MAX { text } else { text.chars().take(MESSAGE_CHARS_MAX).chain(['…']).collect() }
}

impl Observable {
    /// None for what is not an observable with a value.
    fn deserialize_from(value: &Value) -> Option<Self> {
        serde_json::from_value::<Self>(value.clone()).ok().filter(|one| one.value.as_deref().is_some_and(|value| !value.is_empty()))
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
