//! Sifting the past in two steps: of each file first the columns that are asked about, then, whole, the
//! rows that stay in the sieve.
//!
//! Texts that a file names by number stay numbers in the first step, so that the sieve looks at each
//! distinct one once for many rows.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection};
use weft_model::event::{EXTRA, RAW_DATA, UNMAPPED};
use weft_model::{ClassUid, EventBatch, Timestamp};

use super::{Looked, Past, SOURCE, class_of};
use crate::LakeError;
use crate::lake::Lake;
use crate::table::DataFile;
use crate::table::schema::TIME;

/// Rows sifted at a time: many, because a text that is named by number is looked at once for all.
const SIFTED_ROWS: usize = 32_768;
/// Rows handed out at a time.
const WHOLE_ROWS: usize = 4096;

/// What is looked for.
pub trait Sieve: Send {
    /// Dotted paths of the columns that [`Sieve::rows`] reads of a class; nothing where none of it matters.
    fn columns(&self, class: ClassUid) -> Vec<String>;
    /// Rows of a batch that stay, in order. Columns that no event of a file has are not in the batch, and
    /// texts may be named by number ([`DataType::Dictionary`]).
    fn rows(&mut self, batch: &EventBatch) -> Vec<usize>;
    /// Whole rows that stayed.
    fn take(&mut self, batch: EventBatch);
}

impl Lake {
    /// Sifts all events of `since` until before `until`, file by file in order of time, then the tail.
    ///
    /// # Errors
    /// [`LakeError`] when a file cannot be read at all; damaged files are left out, as by queries.
    pub async fn sift(&self, since: Timestamp, until: Timestamp, sieve: &mut dyn Sieve) -> Result<Looked, LakeError> {
        let past = Past { root: &self.0.root, store: &self.0.checked, view: self.0.tail.view() };
        past.sift((since.0, until.0), sieve).await
    }
}

impl Past<'_> {
    async fn sift(&self, span: (i64, i64), sieve: &mut dyn Sieve) -> Result<Looked, LakeError> {
        let mut files = self.files();
        let mut looked = Looked { files: files.len() as u64, ..Looked::default() };
        let begin = |file: &DataFile| file.bounds(TIME).map_or(i64::MIN, |(first, _)| first);
        files.retain(|(class, _, file)| !sieve.columns(*class).is_empty() && file.bounds(TIME).is_none_or(|(first, last)| first < span.1 && last >= span.0));
        files.sort_by(|(_, a, first), (_, b, second)| (a, begin(first), &first.path).cmp(&(b, begin(second), &second.path)));
        for (class, table, file) in files {
            let Some(bytes) = self.bytes(&table, &file).await? else { continue };
            looked.files_read += 1;
            looked.events += file.rows;
            let fault = |error: parquet::errors::ParquetError| LakeError::Encode { table: table.clone(), message: error.to_string() };
            sift_file(&bytes, class, span, sieve).map_err(fault)?;
            // Others may want the thread: a file takes a while.
            tokio::task::yield_now().await;
        }
        for (name, table) in &self.view {
            let Some(class) = class_of(name).filter(|class| !sieve.columns(*class).is_empty()) else { continue };
            for rows in &table.tail {
                looked.events += rows.num_rows() as u64;
                sift_batch(class, rows, span, sieve).map_err(|error| LakeError::Encode { table: name.clone(), message: error.to_string() })?;
            }
        }
        Ok(looked)
    }
}

fn sift_file(bytes: &Bytes, class: ClassUid, span: (i64, i64), sieve: &mut dyn Sieve) -> parquet::errors::Result<()> {
    let whole = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())?;
    let numbered = Arc::new(Schema::new(whole.schema().fields().iter().map(by_number).collect::<Vec<_>>()));
    let narrow = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), ArrowReaderOptions::new().with_schema(numbered))?;
    let columns = sieve.columns(class);
    let mask = ProjectionMask::columns(narrow.parquet_schema(), columns.iter().map(String::as_str).chain([TIME]));
    let (mut stayed, mut before) = (Vec::new(), 0);
    for rows in narrow.with_projection(mask).with_batch_size(SIFTED_ROWS).build()? {
        let batch = EventBatch { class, source: SOURCE.into(), rows: rows? };
        stayed.extend(rows_within(&batch, span, sieve).into_iter().map(|row| before + row));
        before += batch.rows.num_rows();
    }
    if stayed.is_empty() {
        return Ok(());
    }
    let selection = RowSelection::from_consecutive_ranges(stayed.into_iter().map(|row| row..row + 1), before);
    for rows in whole.with_row_selection(selection).with_batch_size(WHOLE_ROWS).build()? {
        sieve.take(EventBatch { class, source: SOURCE.into(), rows: rows? });
    }
    Ok(())
}

fn sift_batch(class: ClassUid, rows: &RecordBatch, span: (i64, i64), sieve: &mut dyn Sieve) -> Result<(), arrow::error::ArrowError> {
    let batch = EventBatch { class, source: SOURCE.into(), rows: rows.clone() };
    let stayed: UInt64Array = rows_within(&batch, span, sieve).into_iter().map(|row| row as u64).collect();
    if !stayed.is_empty() {
        sieve.take(EventBatch { rows: take_record_batch(rows, &stayed)?, ..batch });
    }
    Ok(())
}

fn rows_within(batch: &EventBatch, (since, until): (i64, i64), sieve: &mut dyn Sieve) -> Vec<usize> {
    let mut rows = sieve.rows(batch);
    let times = batch.rows.column_by_name(TIME).and_then(|column| column.as_primitive_opt::<Int64Type>());
    rows.retain(|row| times.is_none_or(|times| times.is_null(*row) || (since..until).contains(&times.value(*row))));
    rows
}

/// The field with texts named by number, where it is in no list; long texts, which are all different, as views.
fn by_number(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 if [RAW_DATA, UNMAPPED, EXTRA].contains(&field.name().as_str()) => DataType::Utf8View,
        DataType::Utf8 if field.metadata().is_empty() => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(by_number).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
