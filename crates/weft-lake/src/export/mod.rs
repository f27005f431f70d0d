//! Events as plain files for others: Parquet by class and day, or in the layout and the version of
//! OCSF that a security lake in the cloud takes.

mod older;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use serde::Serialize;
use weft_model::{Timestamp, event};

use crate::LakeError;
use crate::lake::{Lake, Reader};
use crate::maintain::{files, rows};
use crate::table::schema::{self, TIME};
use crate::table::{DataFile, holds_events};
use crate::tail::View;
use crate::{integrity::Checked, table::store::Root};

/// How files are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// `CLASS/day=YYYY-MM-DD/…`, all columns as they are.
    Parquet,
    /// `ext/SOURCE_CLASS/region=…/accountId=…/eventDay=YYYYMMDD/…`, OCSF 1.1, one class a source:
    /// <https://docs.aws.amazon.com/security-lake/latest/userguide/custom-sources.html>.
    SecurityLake {
        /// First part of the names of the sources.
        source: String,
        /// Region of events that name none.
        region: String,
        /// Account of events that name none; `external` is what is said of what is no account.
        account: String,
    },
}

/// What is exported.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Layout.
    pub layout: Layout,
    /// Classes; empty means all.
    pub classes: Vec<String>,
    /// Events from this time on.
    pub since: Timestamp,
    /// Events before this time.
    pub until: Timestamp,
}

/// What was written of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Class.
    pub class: String,
    /// Events written.
    pub rows: u64,
    /// Events that the older version has no class for.
    pub skipped: u64,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What an export reads.
struct Source<'a> {
    root: &'a Root,
    view: View,
}

impl Lake {
    /// Writes the events that are in the tables as files below a folder.
    ///
    /// # Errors
    /// [`LakeError`]; files that were written before stay.
    pub async fn export(&self, options: &ExportOptions, out: &Path) -> Result<Vec<Exported>, LakeError> {
        self.commit().await?;
        export(Source { root: &self.0.root, view: self.0.tail.view() }, options, out).await
    }
}

impl Reader {
    /// As [`Lake::export`], beside the process that writes.
    ///
    /// # Errors
    /// As [`Lake::export`].
    pub async fn export(&self, options: &ExportOptions, out: &Path) -> Result<Vec<Exported>, LakeError> {
        export(Source { root: &self.root, view: self.tail.view() }, options, out).await
    }
}

async fn export(source: Source<'_>, options: &ExportOptions, out: &Path) -> Result<Vec<Exported>, LakeError> {
    let checked = Checked::new(Arc::clone(&source.root.store), crate::integrity::Damages::default());
    let mut all = Vec::new();
    for (table, content) in &source.view {
        let asked = if options.classes.is_empty() { holds_events(table) } else { options.classes.contains(table) };
        if !asked {
            continue;
        }
        let mut done = Exported { class: table.clone(), ..Exported::default() };
        for file in content.files.iter().filter(|file| overlaps(file, options)) {
            let batches = rows(&checked, table, file).await?;
            let batches = batches.iter().map(|batch| within(table, batch, options)).collect::<Result<Vec<_>, _>>()?;
            write(table, batches, &options.layout, out, &mut done).await?;
        }
        all.push(done);
    }
    Ok(all)
}

fn overlaps(file: &DataFile, options: &ExportOptions) -> bool {
    file.bounds(TIME).is_none_or(|(first, last)| last >= options.since.0 && first < options.until.0)
}

fn within(table: &str, batch: &RecordBatch, options: &ExportOptions) -> Result<RecordBatch, LakeError> {
    let times = batch.column_by_name(TIME).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let keep: BooleanArray = match times {
        Some(times) => times.iter().map(|time| Some(time.is_none_or(|time| (options.since.0..options.until.0).contains(&time)))).collect(),
        None => vec![true; batch.num_rows()].into(),
    };
    filter_record_batch(batch, &keep).map_err(|error| fault(table, &error))
}

async fn write(table: &str, batches: Vec<RecordBatch>, layout: &Layout, out: &Path, done: &mut Exported) -> Result<(), LakeError> {
    let mut parts: BTreeMap<PathBuf, Vec<RecordBatch>> = BTreeMap::new();
    for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
        match layout {
            Layout::Parquet => parts.entry(PathBuf::from(table)).or_default().push(batch),
            Layout::SecurityLake { source, region, account } => {
                let rows = batch.num_rows() as u64;
                let Some((class, translated)) = older::translate(table, &batch).map_err(|error| fault(table, &error))? else {
                    done.skipped += rows;
                    continue;
                };
                for ((region, account), rows) in by_account(&batch, &translated, region, account).map_err(|error| fault(table, &error))? {
                    let folder = Path::new("ext").join(format!("{source}_{class}")).join(format!("region={region}")).join(format!("accountId={account}"));
                    parts.entry(folder).or_default().push(rows);
                }
            }
        }
    }
    for (folder, batches) in parts {
        let (_, encoded) = files(table, None, batches).await?;
        for (file, bytes) in encoded {
            let day = Timestamp(i64::from(file.day) * Timestamp::DAY_MS).date();
            let day = if *layout == Layout::Parquet { format!("day={day}") } else { format!("eventDay={}", day.replace('-', "")) };
            let name = Path::new(&file.path).file_name().map(PathBuf::from).unwrap_or_default();
            let target = out.join(&folder).join(day);
            done.rows += file.rows;
            done.files += 1;
            done.bytes += bytes.len() as u64;
            let written = tokio::task::spawn_blocking(move || std::fs::create_dir_all(&target).and_then(|()| std::fs::write(target.join(name), bytes))).await;
            written.map_err(std::io::Error::other).flatten().map_err(|error| LakeError::of_io(&out.display().to_string(), &error))?;
        }
    }
    Ok(())
}

type Accounts = BTreeMap<(String, String), RecordBatch>;

/// The rows of each region and account; `original` says which, `rows` are what is written.
fn by_account(original: &RecordBatch, rows: &RecordBatch, region: &str, account: &str) -> Result<Accounts, arrow::error::ArrowError> {
    let text = |path: &[&str]| crate::maintain::column(original, path);
    let (regions, accounts) = (text(&["cloud", "region"]), text(&["cloud", "account", "uid"]));
    let at = |column: &Option<arrow::array::ArrayRef>, row: usize, default: &str| {
        let found = column.as_ref().and_then(|column| event::text(column, row)).map(str::to_owned);
        // It becomes the name of a folder.
        found.filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))).unwrap_or_else(|| default.to_owned())
    };
    let keys: Vec<(String, String)> = (0..rows.num_rows()).map(|row| (at(&regions, row, region), at(&accounts, row, account))).collect();
    let distinct: std::collections::BTreeSet<&(String, String)> = keys.iter().collect();
    let part = |key: &&(String, String)| {
        let keep: BooleanArray = keys.iter().map(|other| Some(other == *key)).collect();
        filter_record_batch(rows, &keep).map(|rows| ((*key).clone(), rows))
    };
    distinct.iter().map(part).collect()
}

fn fault(table: &str, error: &dyn std::fmt::Display) -> LakeError {
    LakeError::Encode { table: table.to_owned(), message: error.to_string() }
}

/// The partition column is derived again from `time`.
fn with_day(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    crate::tail::with_day(batch).map_err(|conflict: schema::Conflict| arrow::error::ArrowError::SchemaError(conflict.to_string()))
}
