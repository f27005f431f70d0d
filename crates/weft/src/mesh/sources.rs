//! Sources and rejects for the console.

use weft_console::api::{ApiError, RejectGroup, SourceHealth, SourceState};
use weft_lake::QueryOptions;

use super::{Mesh, cells};
use crate::door::now;
use crate::pipeline::Pipeline;

/// Milliseconds without a record after which a source is idle.
const IDLE_MS: i64 = 60_000;
/// Most groups of rejects that are shown.
const GROUPS_MAX: usize = 500;

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

/// SQL of the groups; also what `weft rejects list` prints.
pub const REJECT_GROUPS: &str = "SELECT stream, cause, count(*) AS count, max(time) AS last_ms, min(message) AS message, min(raw) AS example FROM rejects GROUP BY stream, cause ORDER BY count DESC";

/// Rejects by stream and cause, most frequent first.
pub(super) async fn rejects(pipeline: &Pipeline) -> Result<Vec<RejectGroup>, ApiError> {
    if !pipeline.lake().tables().iter().any(|table| table.name == weft_lake::REJECTS) {
        return Ok(Vec::new());
    }
    let session = pipeline.lake().session(QueryOptions { rows_max: GROUPS_MAX, ..QueryOptions::default() });
    let result = session.collect(REJECT_GROUPS).await.map_err(|error| ApiError::internal(error.to_string()))?;
    let group = |row: Vec<serde_json::Value>| {
        let mut row = row.into_iter();
        let mut text = || row.next().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default();
        let (stream, cause, count, last, message, example) = (text(), text(), text(), text(), text(), text());
        RejectGroup {
            stream,
            cause: format!("{cause}: {message}"),
            count: count.parse().unwrap_or(0),
            last_ms: last.parse().unwrap_or(0),
            example: example.chars().take(400).collect(),
        }
    };
    Ok(cells::rows(&result.batches).into_iter().map(group).collect())
}
