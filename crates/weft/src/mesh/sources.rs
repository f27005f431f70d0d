//! Sources for the console.

use weft_console::api::{SourceHealth, SourceState};

use super::Mesh;
use crate::door::now;

/// Milliseconds without a record after which a source is idle.
const IDLE_MS: i64 = 60_000;

/// Every source with its rates.
pub(super) fn sources(mesh: &Mesh) -> Vec<SourceState> {
    let (at, failure) = (now(), mesh.pipeline.failure());
    let state = |(source, stat): (weft_model::SourceId, crate::pipeline::SourceStat)| {
        let (records_per_second, bytes_per_second) = stat.rates(at);
        let fresh = stat.last.is_some_and(|last| at.0 - last.0 < IDLE_MS);
        let health = match (&failure, fresh) {
            (Some(_), _) => SourceHealth::Failed,
            (None, true) => SourceHealth::Running,
            (None, false) => SourceHealth::Idle,
        };
        SourceState {
            source: source.to_string(),
            recent: stat.curve(at),
            stream: stat.stream,
            health,
            reason: failure.clone(),
            records_per_second,
            bytes_per_second,
            read: stat.read,
            mapped: stat.mapped,
            rejected: stat.rejected,
            last_ms: stat.last.map(|last| last.0),
        }
    };
    mesh.pipeline.stats().all().into_iter().map(state).collect()
}
