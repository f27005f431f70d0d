//! What runs beside the events: findings to responses, checks on their schedule, the metric.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use weft_assessment::Metric;
use weft_model::Finding;
use weft_policy::{Check, Subject};

use super::hunts;
use crate::door::now;
use crate::hunting::Hunts;
use crate::mesh::journal::QueueJournal;
use crate::mesh::ledger;
use crate::mesh::posture::{PostureBoard, metric_trace};
use crate::pipeline::{OWN_SOURCE, Pipeline};
use crate::respond::{Journal as _, Respond};

/// Between two measurements that are kept as events.
const METRIC_EVERY: Duration = Duration::from_secs(60);

/// Between two looks at the ledger.
const LEDGER_EVERY: Duration = Duration::from_secs(300);

/// What the loops work with.
pub(super) struct Loops {
    pub(super) respond: Arc<Respond>,
    pub(super) board: Arc<PostureBoard>,
    pub(super) journal: QueueJournal,
    pub(super) metrics: Arc<Vec<Metric>>,
    pub(super) pipeline: Pipeline,
    pub(super) checks: Vec<Check>,
    pub(super) hunts: Hunts,
    pub(super) every: u64,
    pub(super) stop: CancellationToken,
}

/// Until told to stop.
pub(super) async fn run(loops: Loops, findings: Option<mpsc::Receiver<Finding>>) {
    match loops.respond.resume().await {
        Ok(0) => {}
        Ok(runs) => tracing::info!(runs, "went on with runs that were cut off"),
        Err(error) => tracing::error!(%error, "runs could not be resumed"),
    }
    let stop = loops.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        ((), (), (), (), (), ()) = async { tokio::join!(answer(&loops, findings), check(&loops), measure(&loops), account(&loops), hunts::run(&loops), loops.respond.stand_by()) } => {}
    }
}

async fn answer(loops: &Loops, findings: Option<mpsc::Receiver<Finding>>) {
    let Some(mut findings) = findings else { return };
    while let Some(finding) = findings.recv().await {
        loops.board.found(&finding);
        if let Err(error) = loops.respond.finding(&finding).await {
            tracing::error!(%error, finding = finding.uid, "a finding could not be answered; it is tried again at the next start");
            continue;
        }
        loops.pipeline.answered(&finding.uid);
    }
}

async fn check(loops: &Loops) {
    let mut ticks = tokio::time::interval(Duration::from_secs(loops.every));
    loop {
        ticks.tick().await;
        let subjects = tokio::task::spawn_blocking(subjects).await.unwrap_or_default();
        let events = loops.board.run(&loops.checks, &subjects, now());
        if !events.is_empty()
            && let Err(error) = loops.journal.keep(events).await
        {
            tracing::error!(error, "outcomes of checks could not be kept");
        }
    }
}

async fn measure(loops: &Loops) {
    let mut ticks = tokio::time::interval(METRIC_EVERY);
    loop {
        ticks.tick().await;
        let waits = loops.pipeline.waits();
        let events: Vec<_> =
            loops.metrics.iter().filter(|_| !waits.is_empty()).map(|metric| metric.measure(&waits).to_ocsf(&metric_trace(metric), now())).collect();
        if !events.is_empty()
            && let Err(error) = loops.journal.keep(events).await
        {
            tracing::error!(error, "a measurement could not be kept");
        }
    }
}

async fn account(loops: &Loops) {
    let (mut told, mut ticks) = (BTreeMap::new(), tokio::time::interval(LEDGER_EVERY));
    loop {
        ticks.tick().await;
        let events = match loops.pipeline.lake().balance(false).await {
            Ok(balance) => ledger::events(&balance, &mut told, OWN_SOURCE, now()),
            Err(error) => {
                tracing::error!(%error, "the ledger could not be compared with the tables");
                continue;
            }
        };
        if !events.is_empty()
            && let Err(error) = loops.journal.keep(events).await
        {
            tracing::error!(error, "figures of the ledger could not be kept");
        }
    }
}

/// What of this machine can be looked at.
pub(crate) fn subjects() -> Vec<Subject> {
    super::responder::subjects()
}
