//! A table of the lake as the query engine sees it: pruned files and the tail, as one.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetAccessPlan};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use weft_model::event::RAW_DATA;

use super::{Core, prune};
use crate::table::schema::{self, day_field};
use crate::table::{DataFile, holds_events};
use crate::tail::{TableView, View};

/// Columns of `events`: those that say what happened, when, and to whom in every class.
const COMMON: &[&str] = &[
    "time",
    "class_uid",
    "class_name",
    "category_uid",
    "category_name",
    "activity_id",
    "activity_name",
    "type_uid",
    "type_name",
    "severity_id",
    "severity",
    "status_id",
    "status",
    "status_detail",
    "message",
    "metadata",
    "actor",
    "user",
    "device",
    "src_endpoint",
    "dst_endpoint",
    "observables",
    "finding_info",
    RAW_DATA,
    "unmapped",
    "extra",
];

/// Those of them that have parts.
const NESTED: [&str; 8] = ["metadata", "actor", "user", "device", "src_endpoint", "dst_endpoint", "observables", "finding_info"];

/// A file and the table that it is in.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) table: Arc<str>,
    pub(super) path: String,
    pub(super) file: Arc<DataFile>,
}

/// One table, or several that are read under one schema.
pub(super) struct EventTable {
    core: Core,
    schema: SchemaRef,
    files: Vec<Located>,
    tail: Vec<RecordBatch>,
}

impl std::fmt::Debug for EventTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventTable").field("files", &self.files.len()).field("tail", &self.tail.len()).finish_non_exhaustive()
    }
}

impl EventTable {
    pub(super) fn of(core: &Core, name: &str, view: &TableView) -> Self {
        Self { core: core.clone(), schema: schema::with_views(&view.schema), files: located(name, view).collect(), tail: view.tail.clone() }
    }

    /// All classes under the columns that they share.
    pub(super) fn of_all(core: &Core, view: &View) -> Self {
        let tables = || view.iter().filter(|(name, _)| holds_events(name));
        // Texts are read as views of the unpacked pages.
        let schema = schema::with_views(&common_schema(tables().map(|(_, table)| &table.schema)));
        let files = tables().flat_map(|(name, table)| located(name, table)).collect();
        let tail = tables().flat_map(|(_, table)| table.tail.iter().cloned()).collect();
        Self { core: core.clone(), schema, files, tail }
    }

    /// Files that may hold rows for the predicate, with the row groups to look at.
    async fn scan_files(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let predicate = self.predicate(state, filters)?;
        let mut files = self.files.clone();
        if let Some(predicate) = &predicate {
            files = prune::by_statistics(files, predicate, &self.schema);
        }
        files.retain(|file| self.is_readable(file));
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let reader = Arc::new(CachedParquetFileReaderFactory::new(Arc::<crate::integrity::Checked>::clone(&self.core.store), cache));
        let wanted = prune::wanted(filters, &self.schema);
        let files: Vec<PartitionedFile> = if wanted.is_empty() {
            files.iter().map(|file| partitioned(file, None, &self.schema)).collect()
        } else {
            prune::by_content(files, &wanted, &*reader).await?.iter().map(|(file, plan)| partitioned(file, plan.clone(), &self.schema)).collect()
        };
        self.core.notes.files(self.files.len());
        if files.is_empty() {
            return Ok(None);
        }
        let columns = TableSchema::builder(schema::file_schema(&self.schema)).with_table_partition_cols(vec![day_field()]).build();
        let mut source = ParquetSource::new(columns)
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(reader)
            .with_pushdown_filters(true)
            .with_reorder_filters(true);
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }
        let config = FileScanConfigBuilder::new(self.core.url.clone(), Arc::new(source))
            .with_statistics(total(&files, &self.schema))
            .with_file_groups(groups(files, state.config().target_partitions()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }

    /// Not when it is known to be damaged beyond mending; then the answer says so.
    fn is_readable(&self, file: &Located) -> bool {
        let readable = self.core.store.expect(&file.table, &file.path, &file.file);
        if !readable {
            self.core.notes.warn(format!(
                "`{}` is damaged: its {} rows are not in the answer; `weft lake scrub --repair` mends what can be mended",
                file.path, file.file.rows
            ));
        }
        readable
    }

    fn scan_tail(&self, projection: Option<&Vec<usize>>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.tail.is_empty() {
            return Ok(None);
        }
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&wanted)?);
        // Only what is asked for is made to fit.
        let batches = self.tail.iter().map(|batch| schema::adapt(batch, &schema)).collect::<Result<Vec<_>, _>>()?;
        let plan: Arc<dyn ExecutionPlan> = MemorySourceConfig::try_new_exec(&[batches], schema, None)?;
        Ok(Some(plan))
    }

    fn predicate(&self, state: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
        let columns = DFSchema::try_from(Arc::clone(&self.schema))?;
        state.create_physical_expr(filter, &columns).map(Some)
    }
}

#[async_trait]
impl TableProvider for EventTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // The tail is not filtered here, so the filter stays above the scan.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(&self, state: &dyn Session, projection: Option<&Vec<usize>>, filters: &[Expr], limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let parts = [self.scan_files(state, projection, filters, limit).await?, self.scan_tail(projection)?];
        let mut parts: Vec<_> = parts.into_iter().flatten().collect();
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                parts.push(last);
                UnionExec::try_new(parts)
            }
            (None, _) => {
                let schema = match projection {
                    Some(wanted) => Arc::new(self.schema.project(wanted)?),
                    None => Arc::clone(&self.schema),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
        }
    }
}

fn located<'a>(name: &'a str, view: &'a TableView) -> impl Iterator<Item = Located> + 'a {
    let table: Arc<str> = name.into();
    view.files.iter().map(move |file| Located { table: Arc::clone(&table), path: format!("{name}/{}", file.path), file: Arc::clone(file) })
}

/// The plain common columns of a lake without events: a question is answered by nothing, not refused.
fn empty_schema() -> SchemaRef {
    let number = |name: &str| name == "time" || name.ends_with("_id") || name.ends_with("_uid");
    let plain = COMMON.iter().filter(|name| !NESTED.contains(name));
    let columns = plain.map(|name| Arc::new(Field::new(*name, if number(name) { DataType::Int64 } else { DataType::Utf8 }, true)));
    Arc::new(Schema::new(columns.chain([day_field()]).collect::<Fields>()))
}

/// The common columns, each as wide as any table has it; one whose types disagree is left out.
fn common_schema<'a>(tables: impl Iterator<Item = &'a SchemaRef> + Clone) -> SchemaRef {
    if tables.clone().next().is_none() {
        return empty_schema();
    }
    let columns = COMMON.iter().filter_map(|name| {
        let mut fields = tables.clone().filter_map(|table| table.field_with_name(name).ok());
        let first: SchemaRef = Arc::new(Schema::new(vec![fields.next()?.clone()]));
        let joined = fields.try_fold(first, |wide, field| schema::widen(&wide, &Arc::new(Schema::new(vec![field.clone()]))).map(|wider| wider.unwrap_or(wide)));
        joined.ok()?.fields().first().cloned()
    });
    Arc::new(Schema::new(columns.chain([day_field()]).collect::<Fields>()))
}

fn partitioned(located: &Located, plan: Option<ParquetAccessPlan>, schema: &SchemaRef) -> PartitionedFile {
    // Without the partition column, which is added with the partition value.
    let mut statistics = Statistics::new_unknown(&schema::file_schema(schema));
    statistics.num_rows = Precision::Exact(usize::try_from(located.file.rows).unwrap_or(usize::MAX));
    let file = PartitionedFile::new(located.path.clone(), located.file.size)
        .with_partition_values(vec![ScalarValue::Date32(Some(located.file.day))])
        .with_statistics(Arc::new(statistics));
    match plan {
        Some(plan) => file.with_extension(plan),
        None => file,
    }
}

fn total(files: &[PartitionedFile], schema: &SchemaRef) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    let rows = files.iter().filter_map(|file| file.statistics.as_ref()?.num_rows.get_value().copied()).sum();
    statistics.num_rows = Precision::Exact(rows);
    statistics
}

/// About equal shares of bytes, neighbours in time apart so that all threads have work.
fn groups(mut files: Vec<PartitionedFile>, shares: usize) -> Vec<FileGroup> {
    files.sort_by_key(|file| std::cmp::Reverse(file.object_meta.size));
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = (0..shares.clamp(1, files.len().max(1))).map(|_| (0, Vec::new())).collect();
    for file in files {
        if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += file.object_meta.size;
            group.push(file);
        }
    }
    groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect()
}
