//! Plain files of Parquet beside the tables: what is written whole and read whole, and is no event.

use std::fs::File;
use std::path::Path;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::LakeError;

/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 20;
/// Rows that are read at a time.
const BATCH_ROWS: usize = 1 << 17;

fn fault(path: &Path, error: impl std::fmt::Display) -> LakeError {
    LakeError::Store { path: path.display().to_string(), message: error.to_string() }
}

/// Writes batches of one schema as one file, and syncs it. Columns of plain numbers are kept as differences:
/// they are ids, in order or close to each other.
///
/// # Errors
/// The file cannot be written, or there is no batch.
pub fn write_plain(path: &Path, batches: impl IntoIterator<Item = RecordBatch>) -> Result<(), LakeError> {
    let mut batches = batches.into_iter().peekable();
    let schema = batches.peek().map(RecordBatch::schema).ok_or_else(|| fault(path, "there are no columns"))?;
    let level = ZstdLevel::try_new(1).map_err(|error| fault(path, error))?;
    let mut properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).set_max_row_group_row_count(Some(GROUP_ROWS));
    for field in schema.fields().iter().filter(|field| *field.data_type() == DataType::UInt32) {
        let column = ColumnPath::from(field.name().as_str());
        properties = properties.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    let file = File::create(path).map_err(|error| LakeError::of_io(&path.display().to_string(), &error))?;
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties.build())).map_err(|error| fault(path, error))?;
    for batch in batches {
        writer.write(&batch).map_err(|error| fault(path, error))?;
    }
    let file = writer.into_inner().map_err(|error| fault(path, error))?;
    file.sync_all().map_err(|error| LakeError::of_io(&path.display().to_string(), &error))
}

/// Reads a file batch by batch.
///
/// # Errors
/// It cannot be read, or is not Parquet.
pub fn read_plain(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>> + use<>, LakeError> {
    let file = File::open(path).map_err(|error| fault(path, error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.with_batch_size(BATCH_ROWS).build());
    let (reader, path) = (reader.map_err(|error| fault(path, error))?, path.to_owned());
    Ok(reader.map(move |batch| batch.map_err(|error| fault(&path, error))))
}
