//! Ways in that ask: APIs by their descriptions, and buckets.
//!
//! A source is polled at a position and gives a batch with the position after it. Both become
//! durable in one frame of the log; only then the source is told. What a poll could not get is
//! asked for again, later and later.

mod bucket;
pub(crate) mod http;
mod rest;
pub(crate) mod secret;

use std::time::Duration;

use async_trait::async_trait;
use rand::RngExt as _;
use tokio_util::sync::CancellationToken;
use weft_ingest::pull::Backoff;
use weft_model::{PortError, Position, Source, SourceId, StreamId, Timestamp};

use super::{Ingress, all_stored, now};
use crate::pipeline::{Pipeline, Poll};

pub(crate) use bucket::{Objects, Settings as ObjectSettings};
pub(crate) use http::{Http, Patience};
pub(crate) use rest::Rest;

/// First wait after a fault.
const FIRST_MS: u64 = 500;
/// Longest wait after faults in a row.
const MOST_MS: u64 = 300_000;
/// Longest wait after faults that do not pass by themselves.
const REFUSED_MS: u64 = 60_000;
/// Before what the log did not take is asked for again.
const LOG_MS: u64 = 1000;

/// A source that is polled by itself.
#[async_trait]
pub(crate) trait Pulled: Source {
    /// Milliseconds until it wants to be polled again.
    fn rest_ms(&self) -> u64;
    /// Milliseconds for which the other side does not want to be asked.
    fn held_ms(&self) -> u64;
    /// The newest record that it gave.
    fn newest(&self) -> Option<Timestamp>;
    /// The batch that it gave last is durable.
    async fn stored(&mut self) -> Result<(), PortError>;
}

/// One source at work.
pub(crate) struct Puller {
    /// Name.
    pub(crate) source: SourceId,
    /// Mapping of its records.
    pub(crate) stream: StreamId,
    /// The way to the log.
    pub(crate) ingress: Ingress,
    /// Where its state is told.
    pub(crate) pipeline: Pipeline,
    /// Tells to stop.
    pub(crate) stop: CancellationToken,
}

impl Puller {
    /// Polls until told to stop.
    pub(crate) async fn run(self, mut source: Box<dyn Pulled>, mut position: Position) -> std::io::Result<()> {
        let mut backoff = Backoff::new(FIRST_MS, MOST_MS);
        let mut poll = Poll { stream: self.stream.to_string(), ..Poll::default() };
        self.pipeline.stats().polled(&self.source, &poll);
        loop {
            let polled = tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                polled = self.turn(&mut *source, &mut position) => polled,
            };
            let wait = match polled {
                Ok(()) => {
                    backoff.good();
                    poll = Poll { success: Some(now()), error: None, faults: 0, newest: source.newest(), ..poll };
                    source.rest_ms()
                }
                Err(error) => {
                    let wait = backoff.fault(rand::rng().random()).max(source.held_ms());
                    let wait = if matches!(error, PortError::Refused { .. }) { wait.min(REFUSED_MS) } else { wait };
                    tracing::warn!(source = %self.source, %error, faults = backoff.faults(), wait_ms = wait, "a poll failed");
                    poll = Poll { error: Some(error.to_string()), faults: backoff.faults(), ..poll };
                    wait
                }
            };
            poll.next = Some(Timestamp(now().0.saturating_add_unsigned(wait)));
            self.pipeline.stats().polled(&self.source, &poll);
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            }
        }
    }

    /// One poll, and what it gave made durable.
    async fn turn(&self, source: &mut dyn Pulled, position: &mut Position) -> Result<(), PortError> {
        let batch = source.poll(position).await?;
        if batch.records.is_empty() && batch.next == *position {
            return Ok(());
        }
        let next = batch.next.clone();
        let stored = match self.ingress.queue.push(batch).await {
            Ok(stored) => all_stored(vec![stored]).await,
            Err(_) => false,
        };
        if !stored {
            tokio::time::sleep(Duration::from_millis(LOG_MS)).await;
            return Err(PortError::Unavailable {
                tool: self.source.to_string(),
                message: "the log did not take its records; they are asked for again".to_owned(),
            });
        }
        if !next.0.is_empty() {
            *position = next;
        }
        source.stored().await
    }
}
