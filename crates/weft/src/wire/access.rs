//! The decision point for other tools: read beside the content, started with the rest.

use std::sync::Arc;

use axum::Router;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use weft_identity::access::AccessPoint;

use crate::access::{Service, Settings, load, routes};
use crate::cli::Fault;
use crate::content::Files;
use crate::home::{Home, RunFile};
use crate::mesh::journal::QueueJournal;
use crate::queue::Queue;

/// Policies and facts on their way from the disk.
pub(super) struct Reading(JoinHandle<Result<AccessPoint, Vec<String>>>, Files);

/// The decision point that runs.
pub(super) struct Access {
    service: Arc<Service>,
    following: JoinHandle<()>,
    log: JoinHandle<()>,
    answered: CancellationToken,
}

/// Begins to read; many facts take a while.
pub(super) fn read(home: &Home, files: &Files) -> Reading {
    let kept: Files = files.iter().filter(|(path, _)| path.contains(".cedar")).map(|(path, text)| (path.clone(), text.clone())).collect();
    let (home, of_mesh) = (home.clone(), kept.clone());
    Reading(tokio::task::spawn_blocking(move || load::point(&home, &of_mesh)), kept)
}

/// OpenAPI paths of the decision point.
pub(super) fn described() -> serde_json::Value {
    serde_json::from_str(crate::access::OPENAPI).unwrap_or_default()
}

impl Reading {
    /// Starts the decision point when all is read.
    ///
    /// # Errors
    /// Every fault of policies and facts.
    pub(super) async fn start(self, home: &Home, run: &RunFile, queue: &Queue, stop: &CancellationToken) -> Result<Access, Fault> {
        let Self(reading, files) = self;
        let point = reading.await.map_err(Fault::failed)?.map_err(Fault::Misuse)?;
        let settings = Settings { home: home.clone(), files, address: run.address.clone(), token: run.token.clone() };
        let answered = CancellationToken::new();
        let (service, log) = Service::start(point, settings, Arc::new(QueueJournal(queue.clone())), answered.clone());
        let following = tokio::spawn(Arc::clone(&service).follow(stop.clone()));
        Ok(Access { service, following, log, answered })
    }
}

impl Access {
    pub(super) fn routes(&self) -> Router {
        routes(Arc::clone(&self.service))
    }

    /// Ends the log after the last answer.
    pub(super) async fn close(self) -> Result<(), Fault> {
        self.following.await.map_err(Fault::failed)?;
        self.answered.cancel();
        self.log.await.map_err(Fault::failed)
    }
}
