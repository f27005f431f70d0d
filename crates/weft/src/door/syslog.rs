//! Syslog over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425).
//!
//! A datagram or message is one record; equal ones are two events, so ids count up by
//! connection. A TCP sender is read on only when what it sent is on disk. UDP cannot be told to
//! wait: what the kernel's buffer does not hold while the log is slow is lost, as that protocol
//! has it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use weft_model::{Context, Position, StreamId};

use super::frame::{Framed, SyslogFrames};
use super::records::{Batcher, Salt};
use super::{Ingress, all_stored, now};

/// Longest syslog message; RFC 5424 asks for 2 kB, tools that put JSON in it need more.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// How long a record waits for company.
const LINGER: Duration = Duration::from_millis(50);
/// How long a sender may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait after a failed accept or receive (out of descriptors, say).
const BREATH: Duration = Duration::from_millis(200);

/// A listener and the stream of what it hears.
#[derive(Clone)]
pub struct Syslog {
    /// The way to the log.
    pub ingress: Ingress,
    /// Mapping of the records.
    pub stream: StreamId,
    /// Tells to stop.
    pub stop: CancellationToken,
}

/// A different origin for every connection and start, so that equal messages differ.
fn origin(kind: &str, peer: SocketAddr) -> Bytes {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    Bytes::from(format!("{kind}/{peer}/{}/{}/{connection}", now().0, std::process::id()))
}

impl Syslog {
    fn batcher(&self, kind: &str, peer: SocketAddr, salt: Salt) -> Batcher {
        let source = format!("syslog/{kind}:{}", peer.ip());
        let context = Context { peer: Some(peer.ip().to_string().into()), ..Context::default() };
        Batcher::new(source.as_str().into(), self.stream.clone(), context, salt, now(), self.message_max())
    }

    fn message_max(&self) -> usize {
        self.ingress.limits.record_bytes_max.min(MESSAGE_BYTES_MAX)
    }

    /// Hears datagrams until told to stop.
    ///
    /// # Errors
    /// None that ends it; faults of single receives are waited out.
    pub async fn udp(self, socket: UdpSocket) -> io::Result<()> {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let (origin, mut sequence) = (origin("udp", socket.local_addr()?), 0_u64);
        while !self.stop.is_cancelled() {
            let first = tokio::select! {
                () = self.stop.cancelled() => break,
                first = socket.recv_from(&mut buffer) => first,
            };
            let Ok((length, peer)) = first else {
                tokio::time::sleep(BREATH).await;
                continue;
            };
            let mut heard = vec![(peer, copy(&buffer, length))];
            self.hear_more(&socket, &mut buffer, &mut heard).await;
            if !self.hand_on(heard, &origin, &mut sequence).await {
                break;
            }
        }
        Ok(())
    }

    /// What else arrives before the batch is full or the linger is over.
    async fn hear_more(&self, socket: &UdpSocket, buffer: &mut [u8], heard: &mut Vec<(SocketAddr, Bytes)>) {
        let over = tokio::time::sleep(LINGER);
        tokio::pin!(over);
        let mut bytes = 0;
        while heard.len() < super::records::BATCH_RECORDS_MAX && bytes < super::records::BATCH_BYTES_MAX {
            tokio::select! {
                () = &mut over => return,
                more = socket.recv_from(buffer) => {
                    let Ok((length, peer)) = more else { return };
                    bytes += length;
                    heard.push((peer, copy(buffer, length)));
                }
            }
        }
    }

    /// One batch a sender; false when the mesh goes down.
    async fn hand_on(&self, mut heard: Vec<(SocketAddr, Bytes)>, origin: &Bytes, sequence: &mut u64) -> bool {
        heard.sort_by_key(|(peer, _)| peer.ip());
        for group in heard.chunk_by(|a, b| a.0.ip() == b.0.ip()) {
            let Some((peer, _)) = group.first() else { continue };
            let mut batcher = self.batcher("udp", *peer, Salt::place(origin.clone(), *sequence));
            *sequence += group.len() as u64;
            group.iter().filter(|(_, bytes)| !bytes.is_empty()).for_each(|(_, bytes)| batcher.record(bytes.clone()));
            for batch in batcher.take(&Position::default()) {
                // Nobody waits for the answer: the protocol has none.
                if self.ingress.queue.push(batch).await.is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// Accepts connections until told to stop, then lets them end; with `tls` they begin with a handshake.
    ///
    /// # Errors
    /// None that ends it; faults of single accepts are waited out.
    pub async fn tcp(self, listener: TcpListener, tls: Option<TlsAcceptor>) -> io::Result<()> {
        let places = Arc::new(Semaphore::new(self.ingress.limits.connections_max));
        let mut connections = JoinSet::new();
        while !self.stop.is_cancelled() {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            match (accepted, places.clone().try_acquire_owned()) {
                (Ok((stream, peer)), Ok(place)) => {
                    let (door, tls) = (self.clone(), tls.clone());
                    connections.spawn(async move {
                        door.serve(stream, peer, tls).await;
                        drop(place);
                    });
                }
                (Ok((stream, peer)), Err(_)) => {
                    tracing::warn!(%peer, max = self.ingress.limits.connections_max, "too many syslog connections, one was closed");
                    drop(stream);
                }
                (Err(_), _) => tokio::time::sleep(BREATH).await,
            }
        }
        while connections.join_next().await.is_some() {}
        Ok(())
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
        let Some(acceptor) = tls else { return self.connection("tcp", stream, peer).await };
        let shaken = tokio::select! {
            () = self.stop.cancelled() => return,
            shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => self.connection("tls", stream, peer).await,
            Ok(Err(error)) => tracing::warn!(%peer, %error, "a TLS handshake failed"),
            Err(_late) => tracing::warn!(%peer, seconds = HANDSHAKE.as_secs(), "a TLS handshake took too long"),
        }
    }

    async fn connection(&self, kind: &str, mut stream: impl AsyncRead + Unpin, peer: SocketAddr) {
        let mut frames = SyslogFrames::new(self.message_max());
        let mut batcher = self.batcher(kind, peer, Salt::place(origin(kind, peer), 0));
        let (mut buffer, mut framed) = (BytesMut::with_capacity(64 << 10), Vec::new());
        loop {
            let read = tokio::select! {
                () = self.stop.cancelled() => Ok(0),
                read = stream.read_buf(&mut buffer) => read,
            };
            let ended = !matches!(read, Ok(1..));
            frames.push(&buffer.split(), &mut framed);
            if ended {
                frames.finish(&mut framed);
            }
            if !self.store(&mut batcher, &mut framed).await || ended {
                return;
            }
        }
    }

    /// Hands on and waits until it is on disk; false ends the connection.
    async fn store(&self, batcher: &mut Batcher, framed: &mut Vec<Framed>) -> bool {
        framed.drain(..).for_each(|one| batcher.add(one));
        batcher.received(now());
        let mut stored = Vec::new();
        for batch in batcher.take(&Position::default()) {
            match self.ingress.queue.push(batch).await {
                Ok(one) => stored.push(one),
                Err(_) => return false,
            }
        }
        all_stored(stored).await
    }
}

fn copy(buffer: &[u8], length: usize) -> Bytes {
    let mut bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or(buffer));
    while matches!(bytes.last(), Some(b'\n' | b'\r' | 0)) {
        bytes.truncate(bytes.len() - 1);
    }
    bytes
}

#[cfg(test)]
mod tests;
