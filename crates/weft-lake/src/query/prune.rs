//! Which files, and which row groups of them, cannot hold a row that a query asks for.
//!
//! By the statistics of the Delta log: `day`, `time` and other top-level numbers. By content:
//! equality with a text at any depth (`actor.user.name = 'x'`, `has_observable(…, 'x')`) is looked
//! up in the bloom filters, which the engine by itself does for top-level columns only.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::logical_expr::expr::{BinaryExpr, InList, ScalarFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::metadata::ParquetMetaData;

use super::functions::HAS_OBSERVABLE;
use super::provider::Located;
use crate::table::schema::DAY;

/// Files looked into at the same time.
const LOOKS: usize = 16;

/// A column that must equal one of these texts.
pub(super) struct Wanted {
    path: String,
    values: Vec<String>,
}

/// Drops files whose statistics exclude the predicate.
pub(super) fn by_statistics(files: Vec<Located>, predicate: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Vec<Located> {
    let built = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(Arc::clone(predicate));
    // What cannot be pruned by is read.
    let Ok(pruning) = built else { return files };
    let keep = pruning.prune(&FileStatistics { files: &files, schema });
    match keep {
        Ok(keep) => files.into_iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect(),
        Err(_) => files,
    }
}

struct FileStatistics<'a> {
    files: &'a [Located],
    schema: &'a SchemaRef,
}

impl FileStatistics<'_> {
    fn bound(&self, column: &Column, pick: impl Fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        if column.name == DAY {
            return Some(Arc::new(self.files.iter().map(|file| Some(file.file.day)).collect::<Date32Array>()));
        }
        let target = self.schema.field_with_name(&column.name).ok()?.data_type();
        let values: Int64Array = self.files.iter().map(|file| file.file.bounds(&column.name).map(&pick)).collect();
        matches!(target, DataType::Int64 | DataType::Int32).then(|| cast(&values, target).ok())?
    }
}

impl PruningStatistics for FileStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |(min, _)| min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |(_, max)| max)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        if column.name == DAY {
            return Some(Arc::new(UInt64Array::from(vec![0; self.files.len()])));
        }
        Some(Arc::new(self.files.iter().map(|file| file.file.nulls(&column.name)).collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(|file| Some(file.file.rows)).collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The equalities with texts that every row of the result must satisfy.
pub(super) fn wanted(filters: &[Expr], schema: &SchemaRef) -> Vec<Wanted> {
    filters.iter().flat_map(split_conjunction).filter_map(|filter| wanted_by(filter, schema)).collect()
}

fn wanted_by(filter: &Expr, schema: &SchemaRef) -> Option<Wanted> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (path, value) = path(left).zip(text(right)).or_else(|| path(right).zip(text(left)))?;
            text_column(schema, &path).then(|| Wanted { path: path.join("."), values: vec![value] })
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let path = path(expr)?;
            let values = list.iter().map(text).collect::<Option<Vec<_>>>()?;
            text_column(schema, &path).then(|| Wanted { path: path.join("."), values })
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == HAS_OBSERVABLE => {
            let [list, value, ..] = args.as_slice() else { return None };
            let path = path(list)?;
            Some(Wanted { path: format!("{}.list.element.value", path.join(".")), values: vec![text(value)?] })
        }
        _ => None,
    }
}

/// Names from a column down through its fields.
fn path(expr: &Expr) -> Option<Vec<String>> {
    match expr {
        Expr::Column(column) => Some(vec![column.name.clone()]),
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "get_field" => {
            let (base, keys) = args.split_first()?;
            let mut names = path(base)?;
            for key in keys {
                names.push(text(key)?);
            }
            Some(names)
        }
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text.clone()),
        _ => None,
    }
}

fn text_column(schema: &SchemaRef, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let Ok(column) = schema.field_with_name(first) else { return false };
    let leaf = rest.iter().try_fold(column.data_type(), |data_type, name| match data_type {
        DataType::Struct(fields) => fields.find(name).map(|(_, field)| field.data_type()),
        _ => None,
    });
    matches!(leaf, Some(DataType::Utf8 | DataType::Utf8View))
}

/// Drops files, and skips row groups, that do not have the wanted texts.
pub(super) async fn by_content(
    files: Vec<Located>,
    wanted: &[Wanted],
    factory: &dyn ParquetFileReaderFactory,
) -> Result<Vec<(Located, Option<ParquetAccessPlan>)>> {
    let metrics = ExecutionPlanMetricsSet::new();
    let look = |file: Located| {
        let reader = factory.create_reader(0, PartitionedFile::new(file.path.clone(), file.file.size), Some(super::FOOTER_BYTES), &metrics);
        async move { Ok::<_, datafusion::error::DataFusionError>((file, row_groups(reader?, wanted).await?)) }
    };
    let looked: Vec<_> = stream::iter(files).map(look).buffered(LOOKS).try_collect().await?;
    Ok(looked.into_iter().filter(|(_, plan)| plan.as_ref().is_none_or(|plan| !plan.row_group_indexes().is_empty())).collect())
}

/// The engine's reader with its cache of footers, as the Parquet crate wants it.
struct Footer(Box<dyn AsyncFileReader + Send>);

impl AsyncFileReader for Footer {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.0.get_bytes(range)
    }

    fn get_metadata<'a>(&'a mut self, options: Option<&'a ArrowReaderOptions>) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        self.0.get_metadata(options)
    }
}

async fn row_groups(reader: Box<dyn AsyncFileReader + Send>, wanted: &[Wanted]) -> Result<Option<ParquetAccessPlan>> {
    let mut reader = Footer(reader);
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
    let metadata = ArrowReaderMetadata::load_async(&mut reader, options).await?;
    let parquet = Arc::clone(metadata.metadata());
    let mut plan = ParquetAccessPlan::new_all(parquet.num_row_groups());
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata);
    for group in 0..parquet.num_row_groups() {
        for Wanted { path, values } in wanted {
            if !may_hold(&mut builder, &parquet, group, path, values).await? {
                plan.skip(group);
                break;
            }
        }
    }
    Ok(Some(plan))
}

async fn may_hold(
    builder: &mut ParquetRecordBatchStreamBuilder<Footer>,
    parquet: &ParquetMetaData,
    group: usize,
    path: &str,
    values: &[String],
) -> Result<bool> {
    let columns = parquet.file_metadata().schema_descr().columns();
    let Some(place) = columns.iter().position(|column| column.path().string() == path) else {
        // An older file without this column: null everywhere, and null equals nothing.
        return Ok(false);
    };
    let filter = builder.get_row_group_column_bloom_filter(group, place).await?;
    Ok(filter.is_none_or(|filter| values.iter().any(|value| filter.check(&value.as_str()))))
}
