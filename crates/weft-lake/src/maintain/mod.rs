//! The lake in daily life: small files become large ones, old ones go, damaged ones are mended.
//!
//! One task at a time; each reads and encodes beside running commits and queries and holds the
//! writer only to put its files in place.

pub(crate) mod compact;
pub(crate) mod forget;
pub(crate) mod remap;
mod replace;
pub(crate) mod retain;
mod texts;
pub(crate) mod tier;
pub(crate) mod vacuum;

pub(crate) use texts::column;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as StorePath;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::LakeError;
use crate::commit::data_file;
use crate::integrity::Checked;
use crate::table::writer;
use crate::table::{DataFile, schema};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8192;

/// The bytes of a data file after their check.
pub(crate) async fn bytes(store: &Checked, table: &str, file: &DataFile) -> Result<Bytes, LakeError> {
    let path = format!("{table}/{}", file.path);
    store.expect(table, &path, &Arc::new(file.clone()));
    let fault = |error: object_store::Error| LakeError::Store { path: path.clone(), message: error.to_string() };
    store.get(&StorePath::from(path.as_str())).await.map_err(fault)?.bytes().await.map_err(fault)
}

/// All rows of a data file, with the partition column.
pub(crate) async fn rows(store: &Checked, table: &str, file: &DataFile) -> Result<Vec<RecordBatch>, LakeError> {
    let bytes = bytes(store, table, file).await?;
    let name = table.to_owned();
    let decoded = tokio::task::spawn_blocking(move || decode(&name, bytes)).await;
    decoded.map_err(|error| fault(table, &error))?
}

/// Rows of a Parquet file of ours.
pub(crate) fn decode(table: &str, bytes: Bytes) -> Result<Vec<RecordBatch>, LakeError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.with_batch_size(BATCH_ROWS).build());
    let batches = reader.map_err(|error| fault(table, &error))?.collect::<Result<Vec<_>, _>>().map_err(|error| fault(table, &error))?;
    batches.iter().map(|batch| crate::tail::with_day(batch).map_err(|conflict| fault(table, &conflict))).collect()
}

fn fault(table: &str, error: &dyn std::fmt::Display) -> LakeError {
    LakeError::Encode { table: table.to_owned(), message: error.to_string() }
}

/// Rows as sealed files of a table, one a day, and the columns that they have.
pub(crate) async fn files(table: &str, known: Option<SchemaRef>, batches: Vec<RecordBatch>) -> Result<(SchemaRef, Vec<(DataFile, Vec<u8>)>), LakeError> {
    let name = table.to_owned();
    let encoded = tokio::task::spawn_blocking(move || encode(&name, known, &batches)).await;
    encoded.map_err(|error| fault(table, &error))?
}

type Files = (SchemaRef, Vec<(DataFile, Vec<u8>)>);

fn encode(table: &str, known: Option<SchemaRef>, batches: &[RecordBatch]) -> Result<Files, LakeError> {
    let first = known.or_else(|| batches.first().map(RecordBatch::schema));
    let Some(mut columns) = first else { return Ok((Arc::new(arrow::datatypes::Schema::empty()), Vec::new())) };
    for batch in batches {
        columns = schema::widen(&columns, batch.schema_ref()).map_err(|conflict| fault(table, &conflict))?.unwrap_or(columns);
    }
    let encoded = writer::encode(batches, &columns).map_err(|error| fault(table, &error))?;
    let id = uuid::Uuid::now_v7().simple().to_string();
    let name = |(number, file): (usize, writer::Encoded)| {
        let day = weft_model::Timestamp(i64::from(file.day) * weft_model::Timestamp::DAY_MS).date();
        data_file(format!("day={day}/{id}-{number}.zstd.parquet"), file)
    };
    Ok((columns, encoded.into_iter().enumerate().map(name).collect()))
}

/// Rows of these files, by day.
pub(crate) fn by_day(files: &[DataFile]) -> BTreeMap<i32, Vec<DataFile>> {
    let mut days: BTreeMap<i32, Vec<DataFile>> = BTreeMap::new();
    for file in files {
        days.entry(file.day).or_default().push(file.clone());
    }
    days
}
