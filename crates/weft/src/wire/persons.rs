//! Findings are told by the names of persons as the identity graph has them now, whoever changed it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::Fault;
use crate::home::Home;
use crate::identity::{self, Shelf};
use crate::pipeline::Pipeline;
use crate::state::Sqlite;

/// Between two looks at whether the graph is another one.
const LOOK: Duration = Duration::from_secs(1);

/// What is looked at, and who is told.
pub(super) struct Persons {
    pub(super) home: Home,
    pub(super) state: Arc<Sqlite>,
    pub(super) pipeline: Pipeline,
    pub(super) stop: CancellationToken,
}

/// Until told to stop.
pub(super) async fn run(persons: Persons) {
    let shelf = Shelf::of(&persons.home.dir);
    let mut known = shelf.stamp();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = persons.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let there = shelf.stamp();
        if there == known {
            continue;
        }
        match names(&persons).await {
            Ok(names) => persons.pipeline.call(names),
            Err(fault) => tracing::error!(?fault, "the new names of persons cannot be read; the ones before stay until the next import or push"),
        }
        known = there;
    }
}

async fn names(persons: &Persons) -> Result<HashMap<String, String>, Fault> {
    let decisions = identity::decisions(&*persons.state).await?;
    let home = persons.home.clone();
    tokio::task::spawn_blocking(move || identity::names(&home, &decisions)).await.map_err(Fault::failed)?
}
