//! What was imported is matched from then on, and with what was before.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use weft_lake::past::Way;

use crate::door::now;
use crate::intel::Renewed;
use crate::intel::retro::{self, Retro};
use crate::pipeline::Pipeline;

/// Between two looks at whether something was imported.
const LOOK: Duration = Duration::from_secs(1);

/// Between two looks at whether files have no index of observables yet, and how many get one at a time.
const INDEX_EVERY: Duration = Duration::from_secs(30);
const INDEX_FILES: usize = 64;

/// Until told to stop; what is looked back for then is cut off.
pub(super) async fn run(pipeline: Pipeline, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        ((), ()) = async { tokio::join!(renew(&pipeline), index(&pipeline)) } => {}
    }
}

/// New files get their index beside everything else, so that looking back need not wait for it.
async fn index(pipeline: &Pipeline) {
    let keys = retro::keys();
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + INDEX_EVERY, INDEX_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = pipeline.lake().index(&keys, INDEX_FILES).await {
            tracing::error!(%error, "the index of observables could not be made; it is tried again");
        }
    }
}

/// New indicators are looked for in what was before them; what named one is a finding.
async fn look_back(pipeline: &Pipeline, renewed: Renewed) {
    let mut past = Retro::new(renewed.intel, now());
    let keys = retro::keys();
    let looked = pipeline.lake().look_back(&keys, &renewed.keys, Way::Index, &mut |batch| past.look(&batch)).await;
    let findings = past.findings();
    match looked {
        Ok(looked) => {
            tracing::info!(indicators = renewed.keys.len(), files = looked.files, read = looked.files_read, sightings = findings.len(), "looked back")
        }
        Err(error) => tracing::error!(%error, "the past could not be looked at for new indicators; `weft intel retro` does it by hand"),
    }
    let pipeline = pipeline.clone();
    match tokio::task::spawn_blocking(move || pipeline.found(findings)).await {
        Ok(Ok(())) => {}
        Ok(Err(owed)) => tracing::error!(owed, "sightings of the past could not be kept"),
        Err(error) => tracing::error!(%error, "sightings of the past could not be kept"),
    }
}

async fn renew(pipeline: &Pipeline) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let live = std::sync::Arc::clone(pipeline.intel());
        if !live.is_behind() {
            continue;
        }
        match tokio::task::spawn_blocking(move || live.renew()).await {
            Ok(renewed) if renewed.keys.is_empty() => {}
            Ok(renewed) => look_back(pipeline, renewed).await,
            Err(error) => tracing::error!(%error, "the new indicators could not be read"),
        }
    }
}
