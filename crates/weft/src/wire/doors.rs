//! Listeners and followers, started as the configuration says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weft_ingest::Registry;
use weft_ingest::frame::Framing;
use weft_model::{Position, SourceId, StreamId};

use crate::cli::Fault;
use crate::config::{Config, FileConfig};
use crate::door::file::Follow;
use crate::door::syslog::Syslog;
use crate::door::token::{Token, Tokens};
use crate::door::{Ingress, all_stored, hec, http};
use crate::verb::whole;

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
    pub(super) fn http(&self, config: &Config, own: &str) -> Router {
        let configured = config.tokens.iter().map(|token| Token::new(&token.name, &token.secret, token.acknowledge, token.stream.clone()));
        let tokens = Tokens(configured.chain([Token::new("local", own, false, None)]).collect());
        http::routes(http::Http::new(self.ingress.clone(), tokens.clone(), Arc::clone(&self.registry)))
            .merge(hec::routes(hec::Hec::new(self.ingress.clone(), tokens)))
    }

    /// Syslog as configured.
    pub(super) async fn syslog(&mut self, config: &Config) -> Result<(), Fault> {
        let stream = self.ingress.stream(&config.syslog_stream).map_err(Fault::misuse)?;
        if let Some(address) = config.syslog_udp {
            self.udp(address, stream.clone()).await?;
        }
        if let Some(address) = config.syslog_tcp {
            self.tcp(address, stream).await?;
        }
        Ok(())
    }

    /// Hears datagrams; gives the address, whose port the system may have chosen.
    pub(super) async fn udp(&mut self, address: SocketAddr, stream: StreamId) -> Result<SocketAddr, Fault> {
        let socket = UdpSocket::bind(address).await.map_err(|error| busy("udp", address, &error))?;
        let bound = socket.local_addr()?;
        self.listeners.spawn(self.syslog_door(stream).udp(socket));
        Ok(bound)
    }

    /// The same for connections.
    pub(super) async fn tcp(&mut self, address: SocketAddr, stream: StreamId) -> Result<SocketAddr, Fault> {
        let listener = TcpListener::bind(address).await.map_err(|error| busy("tcp", address, &error))?;
        let bound = listener.local_addr()?;
        self.listeners.spawn(self.syslog_door(stream).tcp(listener));
        Ok(bound)
    }

    fn syslog_door(&self, stream: StreamId) -> Syslog {
        Syslog { ingress: self.ingress.clone(), stream, stop: self.stop.clone() }
    }

    /// Follows files.
    pub(super) fn files(&mut self, files: &[FileConfig]) -> Result<(), Fault> {
        for file in files {
            let stream = self.ingress.stream(&file.stream).map_err(Fault::misuse)?;
            let framing = Framing::of(&self.registry, &stream).unwrap_or_default();
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

async fn store(ingress: &Ingress, batch: weft_model::RawBatch) -> bool {
    match ingress.queue.push(batch).await {
        Ok(stored) => all_stored(vec![stored]).await,
        Err(_) => false,
    }
}

fn busy(kind: &str, address: SocketAddr, error: &std::io::Error) -> Fault {
    Fault::misuse(format!("syslog.{kind} `{address}` cannot be listened on: {error}"))
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
