//! Rows to Parquet: what is sorted, encoded, indexed and counted.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Date32Type, FieldRef, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::{ColumnDescriptor, ColumnPath};
use serde_json::{Map, Value, json};

use super::schema::{self, DAY, TIME};

/// Rows of a row group: small enough to skip, large enough to compress.
const ROW_GROUP_ROWS: usize = 131_072;
/// Bytes of a row group, encoded.
const ROW_GROUP_BYTES: usize = 128 << 20;
/// Rows that are gathered and written at a time.
const PORTION_ROWS: usize = 8192;
/// Rows that stand in order, on average, for them to be written where they stand.
const RUN_ROWS_MIN: usize = 256;
/// One false answer in a hundred: a tenth of the bits that one in ten thousand would take.
const BLOOM_FPP: f64 = 0.01;

/// One file to be: rows of one day, as bytes.
pub(crate) struct Encoded {
    pub(crate) day: i32,
    pub(crate) rows: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stats: Value,
}

/// Encodes batches of one table (with the partition column) as one file a day.
pub(crate) fn encode(batches: &[RecordBatch], table: &SchemaRef) -> Result<Vec<Encoded>, ParquetError> {
    let kept = schema::present(batches, table);
    let batches = batches.iter().map(|batch| schema::adapt(batch, &kept)).collect::<Result<Vec<_>, _>>()?;
    by_time(&batches).chunk_by(|a, b| a.day == b.day).map(|rows| encode_day(&batches, rows, &kept)).collect()
}

/// A row of one of several batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    day: i32,
    time: i64,
    batch: usize,
    row: usize,
}

/// All rows by time; those without one are first, equal ones keep their order.
fn by_time(batches: &[RecordBatch]) -> Vec<Place> {
    let mut places = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (batch, rows) in batches.iter().enumerate() {
        let days = rows.column_by_name(DAY).and_then(|column| column.as_primitive_opt::<Date32Type>());
        let times = rows.column_by_name(TIME).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let Some((days, times)) = days.zip(times) else { continue };
        let rows = days.iter().zip(times).enumerate();
        places.extend(rows.map(|(row, (day, time))| Place { day: day.unwrap_or(0), time: time.unwrap_or(i64::MIN), batch, row }));
    }
    places.sort_unstable();
    places
}

/// Rows that are not in order are gathered in portions: small enough that their memory is used again and again.
fn encode_day(batches: &[RecordBatch], rows: &[Place], table: &SchemaRef) -> Result<Encoded, ParquetError> {
    let file = schema::file_schema(table);
    let columns: Vec<usize> = table.fields().iter().enumerate().filter(|(_, field)| field.name() != DAY).map(|(place, _)| place).collect();
    let batches = batches.iter().map(|batch| batch.project(&columns)).collect::<Result<Vec<_>, _>>()?;
    let mut writer = ArrowWriter::try_new(Vec::with_capacity(1 << 20), Arc::clone(&file), Some(properties(&file, rows.len())?))?;
    let together = |a: &Place, b: &Place| a.batch == b.batch && a.row + 1 == b.row;
    if rows.chunk_by(together).count() * RUN_ROWS_MIN <= rows.len() {
        // They stand in order already, as records mostly arrive: nothing is copied.
        for run in rows.chunk_by(together) {
            let Some((first, batch)) = run.first().and_then(|first| Some((first, batches.get(first.batch)?))) else { continue };
            writer.write(&batch.slice(first.row, run.len()))?;
        }
    } else {
        let batches = batches.iter().map(long_texts_as_views).collect::<Result<Vec<_>, _>>()?;
        for portion in rows.chunks(PORTION_ROWS) {
            let places: Vec<(usize, usize)> = portion.iter().map(|place| (place.batch, place.row)).collect();
            writer.write(&interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &places)?)?;
        }
    }
    let metadata = writer.finish()?;
    let bytes = std::mem::take(writer.inner_mut());
    Ok(Encoded { day: rows.first().map_or(0, |row| row.day), rows: rows.len() as u64, stats: stats(&metadata, rows.len()), bytes })
}

/// Gathering then moves a pointer a row; the file's own types stay, the encoder takes either.
fn long_texts_as_views(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |(field, array): (&FieldRef, &ArrayRef)| match array.as_string_opt::<i32>() {
        Some(texts) if is_long(&[field.name()]) => {
            (Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)), Arc::new(StringViewArray::from(texts)) as ArrayRef)
        }
        _ => (Arc::clone(field), Arc::clone(array)),
    };
    let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = batch.schema_ref().fields().iter().zip(batch.columns()).map(column).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Whether a column holds a text of some hundred bytes, another one in every row.
fn is_long(path: &[&str]) -> bool {
    matches!(path, ["raw_data" | "unmapped" | "extra" | "raw"])
}

fn properties(file: &SchemaRef, rows: usize) -> Result<WriterProperties, ParquetError> {
    let parquet = ArrowSchemaConverter::new().convert(file)?;
    let ndv = u64::try_from(rows.min(ROW_GROUP_ROWS)).unwrap_or(u64::MAX);
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_column_index_truncate_length(Some(64))
        .set_created_by(concat!("weft ", env!("CARGO_PKG_VERSION")).to_owned());
    for (place, column) in parquet.columns().iter().enumerate() {
        builder = column_properties(builder, column, ndv);
        if column.path().parts() == [TIME] {
            let sorted = SortingColumn { column_idx: i32::try_from(place).unwrap_or(0), descending: false, nulls_first: true };
            builder = builder.set_sorting_columns(Some(vec![sorted]));
        }
    }
    Ok(builder.build())
}

fn column_properties(builder: WriterPropertiesBuilder, column: &ColumnDescriptor, ndv: u64) -> WriterPropertiesBuilder {
    let path = column.path().clone();
    match path.parts().iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // Every value is different: a dictionary would be built, found too large and thrown away.
        parts if is_long(parts) => builder.set_column_dictionary_enabled(path.clone(), false).set_column_statistics_enabled(path, EnabledStatistics::None),
        [TIME] => builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
            .set_column_statistics_enabled(path, EnabledStatistics::Page),
        ["metadata", "uid"] | ["id"] => bloom(builder.set_column_dictionary_enabled(path.clone(), false), path, ndv),
        parts if column.physical_type() == Type::BYTE_ARRAY && is_searched(parts) => bloom(builder, path, ndv),
        // Smallest and largest of texts that nobody looks up by value say nothing and cost a comparison a row.
        _ if column.physical_type() == Type::BYTE_ARRAY => builder.set_column_statistics_enabled(path, EnabledStatistics::None),
        _ => builder,
    }
}

fn bloom(builder: WriterPropertiesBuilder, path: ColumnPath, ndv: u64) -> WriterPropertiesBuilder {
    builder.set_column_bloom_filter_enabled(path.clone(), true).set_column_bloom_filter_fpp(path.clone(), BLOOM_FPP).set_column_bloom_filter_max_ndv(path, ndv)
}

/// Whether people look for single values of this column: identifiers, addresses, names, hashes.
pub(crate) fn is_searched(path: &[&str]) -> bool {
    match path {
        // Of the mesh, the product or the class, the same in every row.
        ["metadata", ..] | ["class_name" | "category_name" | "activity_name" | "type_name"] => false,
        ["observables", .., last] => *last == "value",
        [.., "fingerprints" | "hashes", "list", "element", last] => *last == "value",
        [.., last] => matches!(
            *last,
            "uid" | "uid_alt" | "ip" | "name" | "hostname" | "domain" | "email_addr" | "mac" | "url_string" | "md5" | "sha1" | "sha256" | "session_uid"
        ),
        [] => false,
    }
}

/// Statistics of the file as Delta keeps them, for the top-level numbers that queries filter on.
fn stats(metadata: &ParquetMetaData, rows: usize) -> Value {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for place in 0..metadata.file_metadata().schema_descr().num_columns() {
        let column = metadata.file_metadata().schema_descr().column(place);
        let [name] = column.path().parts() else { continue };
        let chunks: Option<Vec<_>> = metadata.row_groups().iter().map(|group| group.columns().get(place)?.statistics()).collect();
        let Some((low, high, absent)) = chunks.and_then(|chunks| bounds(&chunks)) else { continue };
        nulls.insert(name.clone(), json!(absent));
        if let Some((low, high)) = low.zip(high) {
            min.insert(name.clone(), json!(low));
            max.insert(name.clone(), json!(high));
        }
    }
    json!({"numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls})
}

fn bounds(chunks: &[&Statistics]) -> Option<(Option<i64>, Option<i64>, u64)> {
    let mut nulls = 0;
    let (mut low, mut high) = (None::<i64>, None::<i64>);
    for chunk in chunks {
        nulls += chunk.null_count_opt()?;
        let (min, max) = match chunk {
            Statistics::Int64(values) => (values.min_opt().copied(), values.max_opt().copied()),
            Statistics::Int32(values) => (values.min_opt().map(|v| i64::from(*v)), values.max_opt().map(|v| i64::from(*v))),
            _ => return None,
        };
        low = low.into_iter().chain(min).min();
        high = high.into_iter().chain(max).max();
    }
    Some((low, high, nulls))
}
