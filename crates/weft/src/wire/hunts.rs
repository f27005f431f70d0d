//! Hunts on their schedule: what they find becomes findings by the mesh's ordinary way.

use std::time::Duration;

use weft_analytics::hunt::Hunt;
use weft_console::api::HuntRun;
use weft_model::{Finding, Timestamp};

use super::loops::Loops;
use crate::door::now;
use crate::hunting::Hunted;
use crate::mesh::detection::{keep_run, last_run};
use crate::respond::Journal as _;

/// Between two looks at which hunts are due.
const EVERY: Duration = Duration::from_secs(30);

/// For ever: whoever calls this stops it.
pub(super) async fn run(loops: &Loops) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        for hunt in loops.hunts.all.iter().filter(|hunt| hunt.every_ms.is_some()) {
            if let Err(error) = due(loops, hunt).await {
                tracing::error!(error, hunt = hunt.name, "a hunt could not be run; it is tried again");
            }
        }
    }
}

async fn due(loops: &Loops, hunt: &Hunt) -> Result<(), String> {
    let (name, until) = (format!("hunt:{}", hunt.name), now());
    let last: Option<i64> = loops.respond.state.setting(&name).await.map_err(|error| error.to_string())?.and_then(|text| text.parse().ok());
    if last.is_some_and(|last| until.0 < last.saturating_add(hunt.every_ms.unwrap_or(i64::MAX))) {
        return Ok(());
    }
    let since = Timestamp(until.0.saturating_sub(hunt.look_back_ms));
    let hunted = match loops.hunts.run(loops.pipeline.lake(), hunt, since, until).await {
        Ok(hunted) => hunted,
        Err(error) => {
            told(loops, hunt, HuntRun { time: until.0, hits: None, detail: Some(error.clone()) }).await?;
            return Err(error);
        }
    };
    match hunted {
        Hunted::NoData(what) => {
            told(loops, hunt, HuntRun { time: until.0, hits: None, detail: Some(format!("nothing to look at yet: {what}")) }).await?;
            // It is due as soon as there is something.
            tracing::debug!(hunt = hunt.name, what, "a hunt has nothing to look at yet");
            return Ok(());
        }
        Hunted::Hits(hits, faults) => {
            faults.iter().for_each(|fault| tracing::warn!(fault, "a hunt"));
            if !hits.is_empty() {
                tracing::info!(hunt = hunt.name, hits = hits.len(), "a hunt hit");
                loops.journal.keep(hits.iter().map(Finding::to_ocsf).collect()).await?;
            }
            let detail = (!faults.is_empty()).then(|| faults.join("; "));
            told(loops, hunt, HuntRun { time: until.0, hits: Some(hits.len()), detail }).await?;
        }
    }
    // Kept after the hits: a crash between the two finds them again, under the same uids.
    loops.respond.state.set_setting(&name, &until.0.to_string()).await.map_err(|error| error.to_string())
}

/// What a run came to, for persons. One that cannot look tries again twice a minute: that it still cannot is not written down each time.
async fn told(loops: &Loops, hunt: &Hunt, run: HuntRun) -> Result<(), String> {
    let last = last_run(&*loops.respond.state, &hunt.name).await.map_err(|error| error.to_string())?;
    if run.hits.is_none() && last.is_some_and(|last| last.hits.is_none() && last.detail == run.detail) {
        return Ok(());
    }
    keep_run(&*loops.respond.state, &hunt.name, &run).await.map_err(|error| error.to_string())
}
