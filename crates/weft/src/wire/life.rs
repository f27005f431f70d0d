//! The lake in daily life, beside everything else: merging, expiring, scrubbing.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use weft_lake::ScrubOptions;
use weft_model::Timestamp;

use crate::config::LakeLife;
use crate::door::now;
use crate::life;
use crate::mesh::journal::QueueJournal;
use crate::pipeline::Pipeline;
use crate::respond::Journal as _;
use crate::state::StateStore;

/// Setting that holds when the last scrub ended, milliseconds.
const SCRUBBED: &str = "lake.scrubbed_ms";
/// Rest after each file of a scrub: it takes as little of the disk as it can.
const PAUSE: Duration = Duration::from_millis(50);
/// How often it is looked whether a query has met damage.
const LOOK: Duration = Duration::from_secs(30);
const HOUR_MS: i64 = 3_600_000;

/// What the rounds work with.
pub(super) struct Life {
    pub(super) pipeline: Pipeline,
    pub(super) life: LakeLife,
    pub(super) journal: QueueJournal,
    pub(super) state: Arc<dyn StateStore>,
    pub(super) stop: CancellationToken,
}

/// Until told to stop; what runs then is cut off between two files and goes on at the next start.
pub(super) async fn run(life: Life) {
    tokio::select! {
        () = life.stop.cancelled() => {}
        ((), ()) = async { tokio::join!(rounds(&life), scrubs(&life)) } => {}
    }
}

async fn rounds(life: &Life) {
    if life.life.every_seconds == 0 {
        return std::future::pending().await;
    }
    let every = Duration::from_secs(life.life.every_seconds);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match life::round(life.pipeline.lake(), &life.life, now()).await {
            Ok(receipts) => keep(life, receipts).await,
            Err(error) => tracing::error!(%error, "the lake could not be tidied; it is tried again"),
        }
    }
}

async fn scrubs(life: &Life) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
    loop {
        ticks.tick().await;
        if life.pipeline.lake().damages().is_empty() && !is_due(life).await {
            continue;
        }
        let options = ScrubOptions { repair: true, copies: life.life.copies.clone(), pause: PAUSE };
        match life.pipeline.lake().scrub(&options).await {
            Ok(seen) => {
                tracing::info!(files = seen.files, bytes = seen.bytes, damaged = seen.damaged.len(), "scrubbed the lake");
                keep(life, life::damage(&seen, now())).await;
            }
            Err(error) => tracing::error!(%error, "the lake could not be scrubbed; it is tried again"),
        }
        if let Err(error) = life.state.set_setting(SCRUBBED, &now().0.to_string()).await {
            tracing::error!(%error, "the time of the scrub could not be kept");
        }
    }
}

async fn is_due(life: &Life) -> bool {
    if life.life.scrub_hours == 0 {
        return false;
    }
    let last = life.state.setting(SCRUBBED).await.ok().flatten().and_then(|last| last.parse().ok());
    let Some(last) = last.map(Timestamp) else {
        // A lake that was just made has nothing to scrub: the first time is counted from now.
        let _kept = life.state.set_setting(SCRUBBED, &now().0.to_string()).await;
        return false;
    };
    now().0 - last.0 >= i64::try_from(life.life.scrub_hours).unwrap_or(i64::MAX).saturating_mul(HOUR_MS)
}

async fn keep(life: &Life, receipts: impl IntoIterator<Item = serde_json::Value>) {
    let receipts: Vec<_> = receipts.into_iter().collect();
    if !receipts.is_empty()
        && let Err(error) = life.journal.keep(receipts).await
    {
        tracing::error!(error, "a receipt could not be kept");
    }
}
