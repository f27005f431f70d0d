//! The doors: the ways in. Each turns bytes of the world into raw batches on the queue, and
//! tells its sender "taken" only when the log has them on disk.
//!
//! What a door deliberately does not know: mappings, OCSF, the lake.

pub mod body;
pub mod bulk;
pub mod file;
pub mod frame;
pub mod hec;
pub mod hec_ack;
pub mod http;
pub mod inflate;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "nats")]
pub mod nats;
pub mod otlp;
// It reads what others keep, with all that the mesh has; under the fuzzer the doors stand alone.
#[cfg(not(fuzzing))]
pub(crate) mod pull;
#[cfg(any(feature = "kafka", feature = "nats"))]
pub mod queued;
pub mod records;
pub mod skim;
pub mod syslog;
pub mod tls;
pub mod token;
pub mod webhook;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_model::{RawBatch, StreamId, Timestamp};

use crate::queue::{Queue, Refusal, Stored};

/// What a door may take in, by name and unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest record.
    pub record_bytes_max: usize,
    /// Largest body, unpacked.
    pub body_bytes_max: u64,
    /// Bodies that are read at the same time.
    pub bodies_max: usize,
    /// Connections of one syslog listener.
    pub connections_max: usize,
    /// Unpacked bytes for each packed one.
    pub unpack_ratio_max: u64,
    /// How long a sender waits for room before it is told to come back.
    pub room_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes_max: 16 << 20,
            body_bytes_max: 512 << 20,
            bodies_max: 64,
            connections_max: 256,
            unpack_ratio_max: 200,
            room_wait: Duration::from_secs(5),
        }
    }
}

/// What every door needs.
#[derive(Clone)]
pub struct Ingress {
    /// Where batches go.
    pub queue: Queue,
    /// What may come.
    pub limits: Limits,
    /// Streams that exist.
    pub streams: Arc<BTreeSet<StreamId>>,
}

impl Ingress {
    /// The stream of this name, or a message with names that are near.
    ///
    /// # Errors
    /// The message for the sender.
    pub fn stream(&self, name: &str) -> Result<StreamId, String> {
        let stream = StreamId::from(name);
        if stream.is_auto() || self.streams.contains(&stream) { Ok(stream) } else { Err(unknown_stream(name, &self.streams)) }
    }

    /// Pushes batches, waiting a while for room; gives what to wait for.
    ///
    /// # Errors
    /// [`Refusal`]: the sender should come back; what was pushed before stays pushed and is
    /// recognised by its ids when it comes again.
    pub async fn push_all(&self, batches: Vec<RawBatch>, stored: &mut Vec<Stored>) -> Result<(), Refusal> {
        for batch in batches {
            match tokio::time::timeout(self.limits.room_wait, self.queue.push(batch)).await {
                Ok(pushed) => stored.push(pushed?),
                Err(_elapsed) => return Err(Refusal::Full),
            }
        }
        Ok(())
    }
}

/// Waits until everything is on disk; false when something was not written.
pub async fn all_stored(stored: Vec<Stored>) -> bool {
    for one in stored {
        if one.await.is_err() {
            return false;
        }
    }
    true
}

/// ``unknown stream `x`; …`` with the streams of the same connector, or a hint.
pub fn unknown_stream(name: &str, known: &BTreeSet<StreamId>) -> String {
    let connector = name.split('/').next().unwrap_or(name);
    let alike = |stream: &StreamId| stream.0.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let mut near: Vec<&StreamId> = known.iter().filter(|stream| stream.0.split('/').any(|part| part == connector)).collect();
    near.sort_by_key(|stream| std::cmp::Reverse(alike(stream)));
    let near: Vec<String> = near.into_iter().map(|stream| format!("`{stream}`")).collect();
    match near.as_slice() {
        [] => format!("unknown stream `{name}`; `auto` recognises each record, `weft check --streams` lists all"),
        near if near.len() > NEAR_MAX => {
            let few = near.get(..NEAR_MAX).unwrap_or_default().join(", ");
            format!("unknown stream `{name}`; near it: {few} and {} more, which `weft check --streams` lists", near.len() - NEAR_MAX)
        }
        near => format!("unknown stream `{name}`; near it: {}", near.join(", ")),
    }
}

/// Streams that are told where another was named.
const NEAR_MAX: usize = 6;

/// The time at which something arrives.
pub fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}
