//! Sources for the console.

use weft_console::api::{PollState, SourceHealth, SourceState};
use weft_model::{SourceId, Timestamp};

use super::Mesh;
use crate::door::now;
use crate::pipeline::{Poll, SourceStat};

/// Milliseconds without a record after which a source is idle.
const IDLE_MS: i64 = 60_000;

/// Every source with its rates; those that are polled also before their first record.
pub(super) fn sources(mesh: &Mesh) -> Vec<SourceState> {
    let (at, failure) = (now(), mesh.pipeline.failure());
    let mut polls = mesh.pipeline.stats().polls();
    let counted = mesh.pipeline.stats().all();
    let silent = polls.iter().filter(|(source, _)| !counted.iter().any(|(known, _)| known == *source));
    let silent = silent.map(|(source, poll)| (source.clone(), SourceStat::silent(&poll.stream))).collect::<Vec<_>>();
    counted.into_iter().chain(silent).map(|(source, stat)| state(&source, stat, polls.remove(&source), failure.clone(), at)).collect()
}

fn state(source: &SourceId, stat: SourceStat, poll: Option<Poll>, failure: Option<String>, at: Timestamp) -> SourceState {
    let (records_per_second, bytes_per_second) = stat.rates(at);
    let fresh = stat.last.is_some_and(|last| at.0 - last.0 < IDLE_MS);
    let error = poll.as_ref().and_then(|poll| poll.error.clone());
    let health = match (&failure, &error, fresh) {
        (Some(_), ..) | (None, Some(_), _) => SourceHealth::Failed,
        (None, None, true) => SourceHealth::Running,
        (None, None, false) => SourceHealth::Idle,
    };
    SourceState {
        source: source.to_string(),
        recent: stat.curve(at),
        stream: stat.stream,
        health,
        reason: failure.or(error),
        records_per_second,
        bytes_per_second,
        read: stat.read,
        mapped: stat.mapped,
        rejected: stat.rejected,
        last_ms: stat.last.map(|last| last.0),
        poll: poll.map(|poll| PollState {
            success_ms: poll.success.map(|at| at.0),
            lag_ms: poll.success.zip(poll.newest).map(|(success, newest)| success.0.saturating_sub(newest.0).max(0)),
            faults: poll.faults,
            next_ms: poll.next.map(|at| at.0),
        }),
    }
}
