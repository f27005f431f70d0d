//! Looking back: the events that name one of many values, without reading all files.
//!
//! Beside each data file stands an index of the values that its events name, as numbers that the
//! caller makes ([`Keys`]); see [`index`]. It is made when a file is first looked at, or before by
//! [`Lake::index`], belongs to the file by its name, and goes with it. A file without an index, or
//! with one that is damaged or of another form, is read, and gets a new one.

mod index;
mod sift;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use weft_model::{ClassUid, EventBatch};

use crate::LakeError;
use crate::integrity::{Checked, twin};
use crate::lake::{Lake, Reader};
use crate::maintain;
use crate::table::store::Root;
use crate::table::{DataFile, holds_events};
use crate::tail::View;

pub use sift::Sieve;

/// Folder of the indexes, in that of a table which is ours.
pub(crate) const FOLDER: &str = "observables";
/// What an index's name ends with, after that of its file.
pub(crate) const ENDING: &str = ".idx";
/// Indexes read at the same time.
const LOOKS: usize = 16;
/// Rows handed out at a time.
const BATCH_ROWS: usize = 8192;

/// Makes the numbers under which events are found.
pub trait Keys: Send + Sync {
    /// Name of the way in which it does; an index of another one is made anew.
    fn form(&self) -> &str;
    /// Columns that it reads, as dotted paths.
    fn columns(&self) -> &[&str];
    /// The numbers of a batch, in order, each once.
    fn of(&self, batch: &EventBatch) -> Vec<u64>;
}

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Only files whose index says that they may hold something.
    Index,
    /// All files.
    Scan,
}

/// What a look back did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// Data files that there are.
    pub files: u64,
    /// Files that were read.
    pub files_read: u64,
    /// Files that had no index that could be used, and have one now.
    pub files_indexed: u64,
    /// Events in the files that were read, and those that are in no file yet.
    pub events: u64,
}

/// Tables and tail of one moment.
struct Past<'p> {
    root: &'p Root,
    store: &'p Checked,
    view: View,
}

impl Lake {
    /// Gives `visit` every batch of events that may name one of the `wanted` numbers (in order), those
    /// of the tail included; it may name none.
    ///
    /// # Errors
    /// [`LakeError`] when a file cannot be read at all; damaged files are left out, as by queries.
    pub async fn look_back(&self, keys: &Arc<dyn Keys>, wanted: &[u64], way: Way, visit: &mut (dyn FnMut(EventBatch) + Send)) -> Result<Looked, LakeError> {
        let past = Past { root: &self.0.root, store: &self.0.checked, view: self.0.tail.view() };
        past.look(keys, wanted, way, visit).await
    }

    /// Makes indexes that are missing, of `most` files at most; how many were made.
    ///
    /// # Errors
    /// As [`Lake::look_back`].
    pub async fn index(&self, keys: &Arc<dyn Keys>, most: usize) -> Result<u64, LakeError> {
        let past = Past { root: &self.0.root, store: &self.0.checked, view: self.0.tail.view() };
        past.index(keys, most).await
    }
}

impl Reader {
    /// As [`Lake::look_back`], over what was there at the last refresh.
    ///
    /// # Errors
    /// As [`Lake::look_back`].
    pub async fn look_back(&self, keys: &Arc<dyn Keys>, wanted: &[u64], way: Way, visit: &mut (dyn FnMut(EventBatch) + Send)) -> Result<Looked, LakeError> {
        let past = Past { root: &self.root, store: &self.checked, view: self.tail.view() };
        past.look(keys, wanted, way, visit).await
    }
}

/// What is to be done about one file.
enum Verdict {
    Skip,
    Read,
    /// It has no index yet.
    Index,
}

impl Past<'_> {
    fn files(&self) -> Vec<(ClassUid, String, Arc<DataFile>)> {
        let tables = self.view.iter().filter_map(|(name, table)| Some((class_of(name)?, name, table)));
        tables.flat_map(|(class, name, table)| table.files.iter().map(move |file| (class, name.clone(), Arc::clone(file)))).collect()
    }

    async fn look(&self, keys: &Arc<dyn Keys>, wanted: &[u64], way: Way, visit: &mut (dyn FnMut(EventBatch) + Send)) -> Result<Looked, LakeError> {
        let mut looked = Looked::default();
        let files = self.files();
        looked.files = files.len() as u64;
        let judge = |(class, table, file): (ClassUid, String, Arc<DataFile>)| async move {
            let verdict = self.judge(&**keys, wanted, way, &table, &file).await?;
            Ok::<_, LakeError>((class, table, file, verdict))
        };
        let mut judged = stream::iter(files).map(judge).buffered(LOOKS);
        while let Some(judged) = judged.next().await {
            let (class, table, file, verdict) = judged?;
            if matches!(verdict, Verdict::Skip) {
                continue;
            }
            let Some(batches) = self.read(&**keys, class, &table, &file).await? else { continue };
            let mut may_hold = true;
            if matches!(verdict, Verdict::Index) {
                let numbers = self.keep(keys, &table, &file, batches.clone()).await?;
                looked.files_indexed += 1;
                may_hold = way == Way::Scan || index::meets(numbers.iter().copied(), wanted);
            }
            looked.files_read += 1;
            if may_hold {
                looked.events += file.rows;
                batches.into_iter().for_each(&mut *visit);
            }
        }
        for (name, table) in &self.view {
            let Some(class) = class_of(name) else { continue };
            for rows in &table.tail {
                looked.events += rows.num_rows() as u64;
                visit(EventBatch { class, source: SOURCE.into(), rows: rows.clone() });
            }
        }
        Ok(looked)
    }

    async fn judge(&self, keys: &dyn Keys, wanted: &[u64], way: Way, table: &str, file: &DataFile) -> Result<Verdict, LakeError> {
        if way == Way::Scan {
            return Ok(Verdict::Read);
        }
        let Some(bytes) = self.root.get(&place(table, &file.path)).await? else { return Ok(Verdict::Index) };
        Ok(match index::open(&bytes, keys.form()).map(|numbers| index::meets(numbers, wanted)) {
            Some(true) => Verdict::Read,
            Some(false) => Verdict::Skip,
            None => Verdict::Index,
        })
    }

    async fn index(&self, keys: &Arc<dyn Keys>, most: usize) -> Result<u64, LakeError> {
        let mut made = 0;
        for (class, table, file) in self.files() {
            if made as usize >= most {
                break;
            }
            let there = self.root.get(&place(&table, &file.path)).await?.is_some_and(|bytes| index::is_of(&bytes, keys.form()));
            if there {
                continue;
            }
            if let Some(batches) = self.read(&**keys, class, &table, &file).await? {
                self.keep(keys, &table, &file, batches).await?;
                made += 1;
            }
        }
        Ok(made)
    }

    /// The bytes of a file; none when it is damaged, which is noted, or gone.
    async fn bytes(&self, table: &str, file: &DataFile) -> Result<Option<Bytes>, LakeError> {
        match maintain::bytes(self.store, table, file).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => {
                let known = self.store.damages().all().iter().any(|damage| damage.table == table && damage.path == file.path);
                let gone = self.root.get(&format!("{table}/{}", file.path)).await?.is_none();
                if known || gone { Ok(None) } else { Err(error) }
            }
        }
    }

    /// The columns that matter of a file; none when it is damaged, which is noted, or gone.
    async fn read(&self, keys: &dyn Keys, class: ClassUid, table: &str, file: &DataFile) -> Result<Option<Vec<EventBatch>>, LakeError> {
        let Some(bytes) = self.bytes(table, file).await? else { return Ok(None) };
        let columns: Vec<String> = keys.columns().iter().map(|column| (*column).to_owned()).collect();
        let name = table.to_owned();
        let decoded = tokio::task::spawn_blocking(move || decode(bytes, &columns)).await;
        let fault = |message: String| LakeError::Encode { table: name.clone(), message };
        let rows = decoded.map_err(|error| fault(error.to_string()))?.map_err(|error| fault(error.to_string()))?;
        Ok(Some(rows.into_iter().map(|rows| EventBatch { class, source: SOURCE.into(), rows }).collect()))
    }

    async fn keep(&self, keys: &Arc<dyn Keys>, table: &str, file: &DataFile, batches: Vec<EventBatch>) -> Result<Vec<u64>, LakeError> {
        let made = Arc::clone(keys);
        let numbers = tokio::task::spawn_blocking(move || {
            let mut numbers: Vec<u64> = batches.iter().flat_map(|batch| made.of(batch)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        });
        let numbers = numbers.await.map_err(|error| LakeError::Encode { table: table.to_owned(), message: error.to_string() })?;
        self.root.replace(&place(table, &file.path), index::write(&numbers, keys.form())).await?;
        Ok(numbers)
    }
}

/// Source of events that are read again.
const SOURCE: &str = "lake";

fn place(table: &str, path: &str) -> String {
    format!("{table}/{}/{FOLDER}/{path}{ENDING}", twin::FOLDER)
}

/// The data file that an index belongs to, of its path within the root.
pub(crate) fn data_file(path: &str) -> Option<String> {
    let (table, rest) = path.split_once('/')?;
    let within = rest.strip_prefix(twin::FOLDER)?.strip_prefix('/')?.strip_prefix(FOLDER)?.strip_prefix('/')?;
    Some(format!("{table}/{}", within.strip_suffix(ENDING)?))
}

/// The class whose events a table holds.
fn class_of(table: &str) -> Option<ClassUid> {
    if !holds_events(table) {
        return None;
    }
    let known = weft_model::ocsf::schema().class_by_name(table).map(|class| class.uid);
    known.or_else(|| table.strip_prefix("class_")?.parse().ok()).map(ClassUid)
}

fn decode(bytes: Bytes, columns: &[String]) -> parquet::errors::Result<Vec<RecordBatch>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
    Ok(builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?.collect::<Result<Vec<_>, _>>()?)
}
