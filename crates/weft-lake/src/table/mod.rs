//! Tables: names, schemas, Parquet files and the Delta log. Nothing outside this module knows
//! which table format it is.

pub(crate) mod cloud;
pub(crate) mod count;
pub(crate) mod delta;
mod files;
pub(crate) mod schema;
pub(crate) mod store;
pub(crate) mod writer;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use weft_model::{ClassUid, RawBatch, RawRecord, Reject};

use crate::LakeError;
use crate::integrity::Seal;

/// Table of the records that did not become events.
pub const REJECTS: &str = "rejects";
/// Table of the rejects that a mended mapping has made events of since.
pub const REPLAYS: &str = "replays";

/// Whether a table holds events, and not what the lake keeps beside them.
pub fn holds_events(table: &str) -> bool {
    !matches!(table, REJECTS | REPLAYS)
}

/// Name of the table of a class: its OCSF name, e.g. `authentication`.
pub fn table_name(class: ClassUid) -> String {
    match weft_model::ocsf::schema().class(class.0) {
        Some(known) => known.name.to_string(),
        // A class of a schema that we do not have: kept under its number.
        None => format!("class_{class}"),
    }
}

/// A data file of a table, as its Delta log has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataFile {
    /// Path within the table.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) rows: u64,
    /// Days since 1970.
    pub(crate) day: i32,
    /// Delta statistics: `numRecords`, `minValues`, `maxValues`, `nullCount`.
    pub(crate) stats: Value,
    /// BLAKE3 of the bytes; empty when another engine wrote the file.
    pub(crate) digest: String,
    /// Layout of what the file can be checked and mended by, see [`crate::integrity::seal`].
    #[serde(default)]
    pub(crate) seal: String,
    /// What was done to its rows, e.g. that the raw records were dropped.
    #[serde(default)]
    pub(crate) mark: String,
}

impl DataFile {
    /// How it can be checked and mended, if it can.
    pub(crate) fn seal(&self) -> Option<Seal> {
        self.seal.parse().ok()
    }

    /// Smallest and largest value of a top-level number.
    pub(crate) fn bounds(&self, column: &str) -> Option<(i64, i64)> {
        let value = |bound: &str| self.stats.get(bound)?.get(column)?.as_i64();
        Some((value("minValues")?, value("maxValues")?))
    }

    /// Number of rows without a value.
    pub(crate) fn nulls(&self, column: &str) -> Option<u64> {
        self.stats.get("nullCount")?.get(column)?.as_u64()
    }
}

/// Rejects as rows of their table.
pub(crate) fn reject_rows(rejects: &[Reject], received: i64) -> Result<RecordBatch, ArrowError> {
    let text = |f: &dyn Fn(&Reject) -> String| -> ArrayRef { Arc::new(rejects.iter().map(|reject| Some(f(reject))).collect::<StringArray>()) };
    RecordBatch::try_from_iter([
        ("id", text(&|reject| reject.id.to_string())),
        ("time", Arc::new(Int64Array::from(vec![received; rejects.len()])) as ArrayRef),
        ("source", text(&|reject| reject.source.to_string())),
        ("stream", text(&|reject| reject.stream.to_string())),
        ("cause", text(&|reject| reject.cause.name().to_owned())),
        ("message", text(&|reject| reject.message.clone())),
        ("context", text(&|reject| serde_json::to_string(&reject.context).unwrap_or_default())),
        ("raw", Arc::new(rejects.iter().map(|reject| Some(reject.raw.as_ref())).collect::<BinaryArray>())),
    ])
}

/// Rejects that became events, as rows of their table.
pub(crate) fn replay_rows<'r>(batch: &RawBatch, mended: impl Iterator<Item = &'r RawRecord>) -> Result<RecordBatch, ArrowError> {
    let ids: StringArray = mended.map(|record| Some(record.id.to_string())).collect();
    let count = arrow::array::Array::len(&ids);
    let same = |text: String| -> ArrayRef { Arc::new(StringArray::from(vec![text; count])) };
    RecordBatch::try_from_iter([
        ("id", Arc::new(ids) as ArrayRef),
        ("time", Arc::new(Int64Array::from(vec![batch.received.0; count])) as ArrayRef),
        ("source", same(batch.source.to_string())),
        ("stream", same(batch.stream.to_string())),
    ])
}

/// Events of one class as Parquet, one file for each of their days: what a commit writes, for
/// exports and for measuring. Sorted by time, ZSTD, with page index and Bloom filters.
///
/// # Errors
/// The batches do not fit one table, or Parquet refuses them.
pub fn to_parquet(class: ClassUid, batches: &[RecordBatch]) -> Result<Vec<Vec<u8>>, LakeError> {
    let fault = |message: String| LakeError::Encode { table: table_name(class), message };
    let rows = batches.iter().map(crate::tail::with_day).collect::<Result<Vec<_>, _>>().map_err(|conflict| fault(conflict.to_string()))?;
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let mut table = first.schema();
    for batch in &rows {
        table = schema::widen(&table, batch.schema_ref()).map_err(|conflict| fault(conflict.to_string()))?.unwrap_or(table);
    }
    let files = writer::encode(&rows, &table).map_err(|error| fault(error.to_string()))?;
    Ok(files.into_iter().map(|file| file.bytes).collect())
}
