//! A whole body in memory, for forms that cannot be read piece by piece.
//!
//! All that are held at the same time share one bound, so that many senders cannot do together
//! what one may not.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::inflate::{Inflate, InflateError};

/// Largest body that is held whole, unpacked.
pub const BODY_BYTES_MAX: u64 = 64 << 20;
/// All bodies that are held whole at the same time, unpacked.
const HELD_BYTES_MAX: usize = 256 << 20;
/// A unit of that bound.
const UNIT_BYTES: usize = 64 << 10;
/// How much of a body that cannot be unpacked is kept, as it was sent.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// Room for bodies; clones share it.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(HELD_BYTES_MAX / UNIT_BYTES)))
    }
}

/// A body; its room is given back with it.
#[derive(Debug)]
pub struct Whole {
    /// Unpacked.
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum BodyFault {
    /// Too many large ones at the same time.
    #[error("too many large bodies at the same time, try again in a second")]
    Busy,
    /// Larger than one may be.
    #[error("the body is larger than {limit} bytes; send it in parts")]
    TooLarge {
        /// Bytes, unpacked.
        limit: u64,
        /// Its beginning.
        kept: Bytes,
    },
    /// The connection ended in it.
    #[error("the body broke off: {message}")]
    Broken {
        /// What the connection says.
        message: String,
        /// What came.
        kept: Bytes,
    },
    /// Not what its header says, or a bomb.
    #[error("{fault}")]
    Packed {
        /// What is wrong.
        fault: InflateError,
        /// Its beginning, as it was sent.
        kept: Bytes,
    },
}

impl BodyFault {
    /// What is kept of it.
    pub fn kept(&self) -> Option<Bytes> {
        match self {
            Self::Busy => None,
            Self::TooLarge { kept, .. } | Self::Broken { kept, .. } | Self::Packed { kept, .. } => (!kept.is_empty()).then(|| kept.clone()),
        }
    }
}

/// What `Content-Encoding` says; a value that is no text is one that nobody knows.
pub fn encoding(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?"))
}

impl Room {
    /// Reads all of `body`, unpacked by `encoding` within `ratio_max`.
    ///
    /// # Errors
    /// [`BodyFault`], with what can be kept of the body.
    pub async fn read(&self, encoding: Option<&str>, ratio_max: u64, body: Body) -> Result<Whole, BodyFault> {
        let inflate = Inflate::new(encoding, ratio_max).map_err(|fault| BodyFault::Packed { fault, kept: Bytes::new() })?;
        let mut reading = Reading { room: &self.0, held: None, whole: BytesMut::new(), sent: BytesMut::new() };
        reading.all(inflate, body).await?;
        Ok(Whole { bytes: reading.whole.freeze(), _room: reading.held })
    }
}

struct Reading<'a> {
    room: &'a Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    whole: BytesMut,
    /// The beginning as it came.
    sent: BytesMut,
}

impl Reading<'_> {
    async fn all(&mut self, mut inflate: Inflate, body: Body) -> Result<(), BodyFault> {
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|fault| BodyFault::Broken { message: fault.to_string(), kept: self.kept() })?;
            let wanted = KEPT_BYTES_MAX.saturating_sub(self.sent.len()).min(chunk.len());
            self.sent.extend_from_slice(chunk.split_at(wanted).0);
            let whole = &mut self.whole;
            inflate.push(chunk, |piece| whole.extend_from_slice(&piece)).map_err(|fault| BodyFault::Packed { fault, kept: self.kept() })?;
            if inflate.written() > BODY_BYTES_MAX {
                return Err(BodyFault::TooLarge { limit: BODY_BYTES_MAX, kept: self.kept() });
            }
            self.hold()?;
        }
        let rest = inflate.finish().map_err(|fault| BodyFault::Packed { fault, kept: self.kept() })?;
        self.whole.extend(rest);
        self.hold()
    }

    fn kept(&mut self) -> Bytes {
        self.sent.split().freeze()
    }

    /// Takes room as the body grows; a small one needs a unit.
    fn hold(&mut self) -> Result<(), BodyFault> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = self.whole.len().div_ceil(UNIT_BYTES);
        let Some(more) = wanted.checked_sub(held).and_then(|more| u32::try_from(more).ok()).filter(|more| *more > 0) else { return Ok(()) };
        let more = Arc::clone(self.room).try_acquire_many_owned(more).map_err(|_| BodyFault::Busy)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(room: &Room, encoding: Option<&str>, body: Vec<u8>) -> Result<Whole, BodyFault> {
        room.read(encoding, 100, Body::from(body)).await
    }

    #[tokio::test]
    async fn bodies_share_their_room_and_give_it_back() {
        let room = Room(Arc::new(Semaphore::new(3)));
        let first = read(&room, None, vec![b'x'; 2 * UNIT_BYTES]).await.unwrap();
        assert_eq!(first.bytes.len(), 2 * UNIT_BYTES);
        assert!(matches!(read(&room, None, vec![b'x'; 2 * UNIT_BYTES]).await, Err(BodyFault::Busy)));
        assert_eq!(read(&room, None, vec![b'y'; 10]).await.unwrap().bytes, vec![b'y'; 10]);
        drop(first);
        assert!(read(&room, None, vec![b'x'; 3 * UNIT_BYTES]).await.is_ok());
    }

    #[tokio::test]
    async fn what_cannot_be_unpacked_is_kept_as_it_was_sent() {
        let fault = read(&Room::default(), Some("gzip"), b"not gzip".to_vec()).await.unwrap_err();
        assert_eq!(fault.to_string(), "the body is not valid gzip");
        assert_eq!(fault.kept().unwrap(), &b"not gzip"[..]);
        let large = read(&Room::default(), None, vec![0; BODY_BYTES_MAX as usize + 1]).await.unwrap_err();
        assert_eq!(large.kept().unwrap().len(), KEPT_BYTES_MAX);
    }
}
