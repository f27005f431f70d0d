//! The identity graph follows what is pushed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use weft_identity::inventory::Reading;
use weft_model::Timestamp;

use super::service::Service;
use crate::cli::Fault;
use crate::content;
use crate::door::now;
use crate::home::Home;
use crate::identity::{self, Shelf};
use crate::state::Sqlite;
use crate::state::scim::ScimStore as _;

/// The descriptions by which it is read, which all of a source always is.
const PARTS: [&str; 2] = ["generic/scim_users", "generic/scim_groups"];
/// The graph counts microseconds.
const MICROS: i64 = 1_000;
/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// A directory that pushes one by one is waited for until it is quiet for so long,
const QUIET: Duration = Duration::from_secs(2);
/// but no longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps the graph up to date.
pub struct Follower {
    /// Where the graph is.
    pub home: Home,
    /// What is pushed.
    pub service: Arc<Service>,
    /// Everybody who pushes.
    pub state: Arc<Sqlite>,
}

impl Follower {
    /// Until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        // What was pushed just before the last end may not be in the graph yet.
        let mut waiting = Some((Instant::now(), Instant::now()));
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let changed = Arc::clone(&self.service.changed);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = changed.notified() => {
                    waiting = Some((waiting.map_or_else(Instant::now, |(first, _)| first), Instant::now()));
                    continue;
                }
                _ = ticks.tick() => {}
            }
            if waiting.is_some_and(|(first, last)| last.elapsed() >= QUIET || first.elapsed() >= PATIENCE) {
                waiting = None;
                if let Err(fault) = self.follow().await {
                    tracing::error!(?fault, "the identity graph does not have what was pushed; it is tried again in half a minute");
                    waiting = Some((Instant::now(), Instant::now() + PATIENCE));
                }
            }
        }
    }

    /// Takes everything that was pushed into the graph.
    async fn follow(&self) -> Result<(), Fault> {
        let sources = self.state.scim_sources().await?;
        let mut pushed = Vec::new();
        for source in sources {
            let documents = self.service.snapshot(&source).await?;
            pushed.push((source, documents));
        }
        if pushed.is_empty() {
            return Ok(());
        }
        let (home, at) = (self.home.clone(), now());
        tokio::task::spawn_blocking(move || absorb(&home, &pushed, at)).await.map_err(Fault::failed)?
    }
}

/// Each source is a snapshot of all that it has.
fn absorb(home: &Home, pushed: &[(String, [serde_json::Value; 2])], at: Timestamp) -> Result<(), Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let forms = identity::forms(&files)?;
    let shelf = Shelf::of(&home.dir);
    let turn = shelf.turn()?;
    let mut builder = shelf.load()?;
    for (source, documents) in pushed {
        let mut reading = Reading::new(&forms, source);
        documents.iter().for_each(|document| reading.document(&format!("scim/{source}"), document, false));
        // Of whom nobody is left, nothing is said otherwise.
        PARTS.iter().for_each(|part| reading.nothing_left(&format!("{part}@{source}")));
        let (snapshot, _) = reading.finish();
        let absorbed = builder.absorb(&snapshot, at.0.saturating_mul(MICROS)).map_err(Fault::failed)?;
        absorbed.faults.iter().for_each(|fault| tracing::warn!(%fault, source, "something that was pushed is not in the graph"));
    }
    shelf.keep(&builder.finish().map_err(Fault::failed)?, &turn)
}
