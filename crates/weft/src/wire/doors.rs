//! Listeners and followers, started as the configuration says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use weft_ingest::Registry;
use weft_ingest::frame::Framing;
use weft_model::{Position, SourceId, StreamId};

use super::pulled::{self, Around, Descriptions};
use crate::cli::Fault;
use crate::config::{Config, FileConfig};
use crate::door::file::Follow;
use crate::door::syslog::Syslog;
use crate::door::token::{Token, Tokens};
use crate::door::{Ingress, all_stored, bulk, hec, http, now, otlp, webhook};
use crate::home::Home;
use crate::pipeline::Pipeline;
use crate::state::StateStore;
use crate::verb::whole;

/// Below which path of the main address the bulk API is.
const BULK: &str = "/ingest/elastic";

/// The ways in that run.
pub(super) struct Doors {
    ingress: Ingress,
    registry: Arc<Registry>,
    positions: BTreeMap<SourceId, Position>,
    stop: CancellationToken,
    listeners: JoinSet<std::io::Result<()>>,
    followers: Vec<std::thread::JoinHandle<()>>,
}

impl Doors {
    pub(super) fn new(ingress: Ingress, registry: Arc<Registry>, positions: BTreeMap<SourceId, Position>, stop: CancellationToken) -> Self {
        Self { ingress, registry, positions, stop, listeners: JoinSet::new(), followers: Vec::new() }
    }

    /// The routes of the HTTP doors. The mesh's own token opens them too.
    pub(super) fn http(&self, config: &Config, own: &str, hooks: BTreeMap<String, webhook::Hook>) -> Router {
        let tokens = tokens(config, own);
        let bulk = bulk::below(BULK, self.bulk(config, tokens.clone()));
        http::routes(http::Http::new(self.ingress.clone(), tokens.clone(), Arc::clone(&self.registry)))
            .merge(hec::routes(hec::Hec::new(self.ingress.clone(), tokens.clone())))
            .merge(otlp::routes(otlp::Otlp::new(self.ingress.clone(), tokens)))
            .merge(webhook::routes(webhook::Webhooks::new(self.ingress.clone(), hooks, Arc::clone(&self.registry))))
            .merge(bulk)
    }

    /// Syslog as configured.
    pub(super) async fn syslog(&mut self, config: &Config) -> Result<(), Fault> {
        let stream = self.ingress.stream(&config.syslog_stream).map_err(Fault::misuse)?;
        if let Some(address) = config.syslog_udp {
            self.udp(address, stream.clone()).await?;
        }
        if let Some(address) = config.syslog_tcp {
            self.tcp(address, stream.clone()).await?;
        }
        if let Some((address, files)) = &config.doors.syslog_tls {
            let tls = TlsAcceptor::from(files.load(now()).map_err(Fault::Misuse)?);
            let listener = TcpListener::bind(address).await.map_err(|error| busy("syslog.tls", *address, &error))?;
            self.listeners.spawn(self.syslog_door(stream).tcp(listener, Some(tls)));
        }
        Ok(())
    }

    /// The bulk API at the root of an address of its own, for senders that take no path.
    pub(super) async fn bulk_listener(&mut self, config: &Config, own: &str) -> Result<(), Fault> {
        let Some(address) = config.doors.bulk_listen else { return Ok(()) };
        let listener = TcpListener::bind(address).await.map_err(|error| busy("bulk.listen", address, &error))?;
        let (app, stop) = (bulk::routes(self.bulk(config, tokens(config, own))), self.stop.clone());
        self.listeners.spawn(async move {
            serve(listener, app, stop).await;
            Ok(())
        });
        Ok(())
    }

    fn bulk(&self, config: &Config, tokens: Tokens) -> bulk::Bulk {
        let indices = config.doors.bulk_indices.iter().map(|(name, stream)| (name.clone(), stream.as_str().into())).collect();
        bulk::Bulk::new(self.ingress.clone(), tokens, indices)
    }

    /// Queues outside that are read.
    #[cfg_attr(
        not(any(feature = "kafka", feature = "nats")),
        expect(clippy::unused_self, clippy::unnecessary_wraps, unused_variables, reason = "nothing to read is built in")
    )]
    pub(super) fn queues(&mut self, config: &Config) -> Result<(), Fault> {
        #[cfg(feature = "nats")]
        for nats in &config.doors.nats {
            let (stream, framing) = self.read_as(&nats.stream)?;
            let source = crate::door::nats::Nats { ingress: self.ingress.clone(), config: nats.clone(), stream, framing, stop: self.stop.clone() };
            self.listeners.spawn(async move {
                source.run().await;
                Ok(())
            });
        }
        #[cfg(feature = "kafka")]
        for kafka in &config.doors.kafka {
            let (stream, framing) = self.read_as(&kafka.stream)?;
            let (ingress, positions, stop) = (self.ingress.clone(), self.positions.clone(), self.stop.clone());
            let source = crate::door::kafka::Kafka { ingress, config: kafka.clone(), stream, framing, positions, stop };
            self.listeners.spawn(async move {
                source.run().await;
                Ok(())
            });
        }
        Ok(())
    }

    fn read_as(&self, stream: &str) -> Result<(StreamId, Framing), Fault> {
        let stream = self.ingress.stream(stream).map_err(Fault::misuse)?;
        let framing = Framing::of(&self.registry, &stream).unwrap_or_default();
        Ok((stream, framing))
    }

    /// Hears datagrams; gives the address, whose port the system may have chosen.
    pub(super) async fn udp(&mut self, address: SocketAddr, stream: StreamId) -> Result<SocketAddr, Fault> {
        let socket = UdpSocket::bind(address).await.map_err(|error| busy("syslog.udp", address, &error))?;
        let bound = socket.local_addr()?;
        self.listeners.spawn(self.syslog_door(stream).udp(socket));
        Ok(bound)
    }

    /// The same for connections.
    pub(super) async fn tcp(&mut self, address: SocketAddr, stream: StreamId) -> Result<SocketAddr, Fault> {
        let listener = TcpListener::bind(address).await.map_err(|error| busy("syslog.tcp", address, &error))?;
        let bound = listener.local_addr()?;
        self.listeners.spawn(self.syslog_door(stream).tcp(listener, None));
        Ok(bound)
    }

    fn syslog_door(&self, stream: StreamId) -> Syslog {
        Syslog { ingress: self.ingress.clone(), stream, stop: self.stop.clone() }
    }

    /// Follows files.
    pub(super) fn files(&mut self, files: &[FileConfig]) -> Result<(), Fault> {
        for file in files {
            let (stream, framing) = self.read_as(&file.stream)?;
            let (ingress, runtime) = (self.ingress.clone(), tokio::runtime::Handle::current());
            let (whole_stream, handle) = (stream.clone(), runtime.clone());
            let read = move |path: &Path| whole(path, &whole_stream, &framing, &mut |batch| handle.block_on(store(&ingress, batch)));
            let follow = Follow {
                ingress: self.ingress.clone(),
                path: file.path.clone(),
                stream,
                positions: self.positions.clone(),
                stop: self.stop.clone(),
                whole: Box::new(read),
            };
            let thread = std::thread::Builder::new().name("follow".to_owned()).spawn(move || follow.run(&runtime)).map_err(Fault::failed)?;
            self.followers.push(thread);
        }
        Ok(())
    }

    /// Polls APIs and buckets.
    pub(super) fn pulled(&mut self, home: &Home, descriptions: &Descriptions, pipeline: &Pipeline, state: &Arc<dyn StateStore>) -> Result<(), Fault> {
        let around =
            Around { ingress: &self.ingress, registry: &self.registry, home: &home.dir, pipeline, state, positions: &self.positions, stop: &self.stop };
        for ready in pulled::build(&home.config.sources, descriptions, &around).map_err(Fault::Misuse)? {
            self.listeners.spawn(ready.puller.run(ready.source, ready.position));
        }
        Ok(())
    }

    /// Waits until all have ended; they were told to stop.
    pub(super) async fn close(mut self) {
        while self.listeners.join_next().await.is_some() {}
        let followers = self.followers;
        let joined = tokio::task::spawn_blocking(move || followers.into_iter().map(std::thread::JoinHandle::join).filter(Result::is_err).count()).await;
        if joined.is_ok_and(|failed| failed > 0) {
            tracing::error!("a follower of files ended early");
        }
    }
}

/// The configured tokens, and the mesh's own.
fn tokens(config: &Config, own: &str) -> Tokens {
    let configured = config.tokens.iter().map(|token| Token::new(&token.name, &token.secret, token.acknowledge, token.stream.clone()));
    Tokens(configured.chain([Token::new("local", own, false, None)]).collect())
}

async fn store(ingress: &Ingress, batch: weft_model::RawBatch) -> bool {
    match ingress.queue.push(batch).await {
        Ok(stored) => all_stored(vec![stored]).await,
        Err(_) => false,
    }
}

fn busy(kind: &str, address: SocketAddr, error: &std::io::Error) -> Fault {
    Fault::misuse(format!("{kind} `{address}` cannot be listened on: {error}"))
}

/// Serves until told to stop, then lets requests end.
pub(super) async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) {
    let stopped = stop.clone();
    let served = axum::serve(listener, app).with_graceful_shutdown(async move { stopped.cancelled().await });
    // Live tails never end by themselves: after a moment they are cut.
    let cut = async {
        stop.cancelled().await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    };
    tokio::select! {
        served = served => if let Err(error) = served { tracing::error!(%error, "the HTTP listener ended") },
        () = cut => {}
    }
}
