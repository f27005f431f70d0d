//! Rejects as a work list: grouped, shown, and mapped again when their mapping was mended.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use weft_console::api::{ApiError, RejectGroup};
use weft_lake::{Lake, QueryError, QueryOptions, REJECTS, REPLAYS};
use weft_model::{Context, Mapping, Position, RawBatch, RawRecord, RecordId, StreamId, Timestamp, event};

use super::cells;

/// Rejects that one replay takes; a further one takes the next.
const REPLAY_MAX: usize = 1_000_000;
/// Records of one replayed frame.
const REPLAY_FRAME_RECORDS: usize = 1000;
/// Most groups of rejects that are shown.
const GROUPS_MAX: usize = 500;
/// Characters of an example.
const EXAMPLE_CHARS_MAX: usize = 400;

/// Rejects that are still open, with the shape of their message and the group that they are of.
/// What a message quotes, and every number in it, differs from record to record and is left out
/// of the shape.
fn open(replays: bool) -> String {
    let shape = r"regexp_replace(regexp_replace(message, '`[^`]*`', '`…`', 'g'), '[0-9]+', '#', 'g')";
    // Those whose sender could not show who it is were never let in, and no mapping can mend that.
    let list = if replays { format!("{REJECTS} LEFT ANTI JOIN {REPLAYS} ON {REJECTS}.id = {REPLAYS}.id") } else { REJECTS.to_owned() };
    format!(
        "(SELECT *, substr(md5(concat_ws('|', stream, cause, shape)), 1, 8) AS \"group\" FROM (SELECT *, {shape} AS shape FROM {list}) AS shaped) AS open_rejects"
    )
}

/// SQL of the groups, most frequent first. `replays` says whether that table is there.
pub fn groups_sql(replays: bool) -> String {
    format!(
        "SELECT \"group\", split_part(stream, '/', 1) AS tool, stream, cause, shape AS message, count(*) AS count, min(time) AS first_ms, max(time) AS last_ms, \
         min(raw) AS example FROM {} GROUP BY \"group\", stream, cause, shape ORDER BY count DESC, \"group\"",
        open(replays)
    )
}

/// SQL of the rejects of one group.
pub fn show_sql(group: &str, replays: bool) -> String {
    let quoted = group.replace('\'', "''");
    format!("SELECT id, time AS time_ms, source, stream, cause, message, raw FROM {} WHERE \"group\" = '{quoted}' ORDER BY time, id", open(replays))
}

fn has(lake: &Lake, name: &str) -> bool {
    lake.tables().iter().any(|table| table.name == name)
}

/// The groups for the console.
pub(super) async fn groups(lake: &Lake) -> Result<Vec<RejectGroup>, ApiError> {
    if !has(lake, REJECTS) {
        return Ok(Vec::new());
    }
    let session = lake.session(QueryOptions { rows_max: GROUPS_MAX, ..QueryOptions::default() });
    let result = session.collect(&groups_sql(has(lake, REPLAYS))).await.map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(cells::rows(&result.batches).into_iter().map(group).collect())
}

fn group(row: Vec<serde_json::Value>) -> RejectGroup {
    let mut row = row.into_iter();
    let mut text = || row.next().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default();
    let (group, _tool, stream, cause, message, count, first, last, example) = (text(), text(), text(), text(), text(), text(), text(), text(), text());
    RejectGroup {
        group,
        stream,
        cause: format!("{cause}: {message}"),
        count: count.parse().unwrap_or(0),
        first_ms: first.parse().unwrap_or(0),
        last_ms: last.parse().unwrap_or(0),
        example: example.chars().take(EXAMPLE_CHARS_MAX).collect(),
    }
}

/// Open rejects, all or of one group, as raw batches under the ids that they have: a replayed
/// event has the uid that it would have had at first.
///
/// # Errors
/// The lake cannot be read.
pub async fn kept(lake: &Lake, group: Option<&str>) -> Result<Vec<RawBatch>, QueryError> {
    if !has(lake, REJECTS) {
        return Ok(Vec::new());
    }
    let session = lake.session(QueryOptions { rows_max: REPLAY_MAX, ..QueryOptions::default() });
    let wanted = group.map(|group| format!(" AND \"group\" = '{}'", group.replace('\'', "''"))).unwrap_or_default();
    let sql = format!(
        "SELECT DISTINCT id, source, stream, context, raw, time FROM {} WHERE cause <> 'unauthenticated'{wanted} ORDER BY source, stream, context, time, id",
        open(has(lake, REPLAYS))
    );
    let found = session.collect(&sql).await?;
    let mut batches: Vec<RawBatch> = Vec::new();
    for rows in &found.batches {
        let text = |name: &str, row: usize| rows.column_by_name(name).and_then(|column| event::text(column, row)).unwrap_or_default();
        let raw = rows.column_by_name("raw").and_then(|column| column.as_binary_opt::<i32>());
        let time = rows.column_by_name("time").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(raw), Some(time)) = (raw, time) else { continue };
        for row in 0..rows.num_rows() {
            let Ok(id) = u128::from_str_radix(text("id", row), 16) else { continue };
            let record = RawRecord { id: RecordId(id), bytes: Bytes::copy_from_slice(if raw.is_valid(row) { raw.value(row) } else { b"" }) };
            let batch = RawBatch {
                source: text("source", row).into(),
                stream: StreamId::from(text("stream", row)),
                context: serde_json::from_str::<Context>(text("context", row)).unwrap_or_default(),
                next: Position::default(),
                received: Timestamp(time.value(row)),
                records: Vec::new(),
            };
            gather(&mut batches, batch, record);
        }
    }
    Ok(batches)
}

/// Records of one origin travel together.
fn gather(batches: &mut Vec<RawBatch>, origin: RawBatch, record: RawRecord) {
    match batches.last_mut() {
        Some(last)
            if last.records.len() < REPLAY_FRAME_RECORDS
                && (&last.source, &last.stream, &last.context, last.received) == (&origin.source, &origin.stream, &origin.context, origin.received) =>
        {
            last.records.push(record);
        }
        _ => batches.push(RawBatch { records: vec![record], ..origin }),
    }
}

/// What a mapping takes now.
pub fn mended(rejects: Vec<RawBatch>, mapping: &Arc<dyn Mapping>) -> Vec<RawBatch> {
    let takes = |batch: RawBatch| {
        let refused: HashSet<RecordId> = match crate::door::records::refused(&batch) {
            // The reader refused them, not a mapping: they stay.
            Some(rejects) => rejects.into_iter().map(|reject| reject.id).collect(),
            None => mapping.map(&batch).rejects.into_iter().map(|reject| reject.id).collect(),
        };
        let records: Vec<RawRecord> = batch.records.iter().filter(|record| !refused.contains(&record.id)).cloned().collect();
        RawBatch { records, ..batch }
    };
    rejects.into_iter().map(takes).filter(|batch| !batch.records.is_empty()).collect()
}
