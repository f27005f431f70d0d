//! Kept rejects as raw batches again.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use weft_lake::{Lake, QueryError, QueryOptions};
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, StreamId, Timestamp};

/// Rejects that one replay takes; a further one takes the next.
const REPLAY_MAX: usize = 1_000_000;

/// Every reject as a batch of one record, but for those whose sender could not show who it is. Its
/// id says that it is a replay, so that the log does not take it for the record that it knows
/// already, and a second replay does not double it.
///
/// # Errors
/// The lake cannot be read.
pub async fn kept(lake: &Lake) -> Result<Vec<RawBatch>, QueryError> {
    if !lake.tables().iter().any(|table| table.name == weft_lake::REJECTS) {
        return Ok(Vec::new());
    }
    let session = lake.session(QueryOptions { rows_max: REPLAY_MAX, ..QueryOptions::default() });
    let found = session.collect("SELECT DISTINCT id, source, stream, context, raw, time FROM rejects WHERE cause <> 'unauthenticated'").await?;
    let mut batches = Vec::new();
    for rows in &found.batches {
        let text = |name: &str| rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        let (Some(ids), Some(sources), Some(streams), Some(contexts)) = (text("id"), text("source"), text("stream"), text("context")) else { continue };
        let raw = rows.column_by_name("raw").and_then(|column| column.as_binary_opt::<i32>());
        let time = rows.column_by_name("time").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(raw), Some(time)) = (raw, time) else { continue };
        for row in 0..rows.num_rows() {
            let stream = StreamId::from(streams.value(row));
            let bytes = Bytes::copy_from_slice(if raw.is_valid(row) { raw.value(row) } else { b"" });
            let id = RecordId::of(&stream, format!("replay {}", ids.value(row)).as_bytes(), &bytes);
            let context: Context = serde_json::from_str(contexts.value(row)).unwrap_or_default();
            batches.push(RawBatch {
                source: sources.value(row).into(),
                stream,
                context,
                next: Position::default(),
                received: Timestamp(time.value(row)),
                records: vec![RawRecord { id, bytes }],
            });
        }
    }
    Ok(batches)
}
