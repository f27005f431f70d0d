//! From the tail to the tables, so that a crash at any point neither loses nor doubles.
//!
//! 1. rows become Parquet files in memory; their names are written down (*staged*);
//! 2. the files are written and synced;
//! 3. an *intent* is written and synced: these files, these tables, frames up to `to`. From here
//!    on the outcome is decided, whatever a later run of the mapping would make of the frames;
//! 4. one Delta commit for each table, carrying `to` as the version of the log's transaction;
//! 5. the log's checkpoint moves to `to`, the view is swapped, the intent removed.
//!
//! A crash before 3 leaves staged files, which are removed; a crash after 3 is finished by the
//! next start: tables whose transaction is older than `to` get their commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weft_model::{Position, SourceId};

use crate::LakeError;
use crate::integrity::seal;
use crate::ledger::{Balance, Ledger, REMOVED};
use crate::log::{Log, Seq, disk};
use crate::rewrite::Changing;
use crate::table::delta::{Addition, Table};
use crate::table::store::Root;
use crate::table::writer::{self, Encoded};
use crate::table::{self, DataFile, schema};
use crate::tail::{Due, TableFiles, Tail};

const STAGED: &str = "staged.json";
const INTENT: &str = "intent.json";
/// Rows in memory that become one file at most.
const FILE_MEMORY_MAX: usize = 256 << 20;
/// Files written at the same time.
const WRITES: usize = 4;

/// A place in the commit at which a test can cut it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum Step {
    Encoded,
    Staged,
    FileWritten,
    IntentWritten,
    TableCommitted,
    Checkpointed,
    IntentRemoved,
    Retired,
    ChangeStaged,
    ChangeFileWritten,
    ChangeDecided,
    ChangeCommitted,
    ChangeDone,
}

/// Asked before each step is followed by the next; true cuts the commit off.
#[doc(hidden)]
pub type Failpoint = Arc<dyn Fn(Step) -> bool + Send + Sync>;

/// What a commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The last frame that the tables hold now.
    pub upto: Seq,
    /// Rows written.
    pub rows: u64,
    /// Files written.
    pub files: usize,
    /// Bytes of these files.
    pub bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Staged {
    commit: String,
    upto: Seq,
    files: Vec<(String, String)>,
}

/// A commit whose outcome is decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Intent {
    commit: String,
    upto: Seq,
    tables: BTreeMap<String, TableIntent>,
    positions: BTreeMap<SourceId, Position>,
    #[serde(default)]
    ledger: Ledger,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TableIntent {
    schema: StructType,
    files: Vec<DataFile>,
}

/// The one writer of the tables.
pub(crate) struct Writer {
    pub(crate) root: Root,
    pub(crate) log: Log,
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) failpoint: Option<Failpoint>,
    pending: Option<Intent>,
    /// A change of files that is decided and not finished.
    pub(crate) changing: Option<Changing>,
}

impl Writer {
    pub(crate) fn new(root: Root, log: Log, failpoint: Option<Failpoint>) -> Self {
        Self { root, log, tables: BTreeMap::new(), failpoint, pending: None, changing: None }
    }

    /// Finishes or undoes what a crash left, before anything is read from the tables.
    pub(crate) async fn recover(&mut self, tail: &Tail) -> Result<(), LakeError> {
        self.untear_changing()?;
        let intent: Option<Intent> = self.read(INTENT)?;
        if let Some(intent) = intent {
            if intent.upto > self.log.committed() {
                for table in intent.tables.keys() {
                    self.root.remove_torn_commit(table)?;
                }
                self.load(tail).await?;
                self.pending = Some(intent);
                self.finish(tail).await?;
                return self.recover_changing(tail).await;
            }
            self.remove(INTENT)?;
        }
        self.unstage().await?;
        self.load(tail).await?;
        let rows = self.tables.iter().map(|(name, table)| (name.clone(), rows_of(table)));
        self.log.begin_ledger(rows);
        self.recover_changing(tail).await
    }

    async fn load(&mut self, tail: &Tail) -> Result<(), LakeError> {
        for name in self.root.tables().await? {
            let mut table = Table::new(&self.root, &name)?;
            table.load().await?;
            if let Some(schema) = table.schema() {
                tail.set_table(&name, schema, table.files());
            }
            self.tables.insert(name, table);
        }
        Ok(())
    }

    /// Finishes what is decided.
    pub(crate) async fn settle(&mut self, tail: &Tail) -> Result<(), LakeError> {
        if self.pending.is_some() {
            self.finish(tail).await?;
        }
        self.finish_changing(tail).await
    }

    /// Writes everything that is published up to the first frame that is not, or to `most`.
    pub(crate) async fn commit(&mut self, tail: &Tail, most: Seq) -> Result<Committed, LakeError> {
        self.settle(tail).await?;
        let upto = self.log.horizon().min(most);
        if upto <= self.log.committed() {
            return Ok(Committed { upto: self.log.committed(), ..Committed::default() });
        }
        let due = tail.due(upto);
        let schemas: Vec<(String, SchemaRef)> = due.iter().map(|(name, due)| (name.clone(), Arc::clone(&due.schema))).collect();
        let encoded = encode_all(due).await?;
        self.step(Step::Encoded)?;
        let commit = uuid::Uuid::now_v7().simple().to_string();
        let files = name_files(&commit, encoded);
        self.stage(&commit, upto, &files).await?;
        let mut tables = BTreeMap::new();
        for (name, schema) in schemas {
            tables.insert(name, TableIntent { schema: kernel_schema(&schema)?, files: Vec::new() });
        }
        let done = Committed {
            upto,
            rows: files.iter().map(|(_, file, _)| file.rows).sum(),
            files: files.len(),
            bytes: files.iter().map(|(_, file, _)| file.size).sum(),
        };
        for (table, file) in self.write_files(files).await? {
            if let Some(intent) = tables.get_mut(&table) {
                intent.files.push(file);
            }
        }
        let mut ledger = self.log.ledger_at(upto);
        for (table, intent) in &tables {
            ledger.wrote(table, intent.files.iter().map(|file| file.rows).sum());
        }
        let intent = Intent { commit, upto, tables, positions: self.log.positions_at(upto), ledger };
        self.write(INTENT, &intent)?;
        self.pending = Some(intent);
        self.step(Step::IntentWritten)?;
        self.finish(tail).await?;
        Ok(done)
    }

    /// Writes down which files are about to appear, so that they can be removed if nothing
    /// comes of them.
    async fn stage(&mut self, commit: &str, upto: Seq, files: &[(String, DataFile, Vec<u8>)]) -> Result<(), LakeError> {
        self.unstage().await?;
        let files = files.iter().map(|(table, file, _)| (table.clone(), file.path.clone())).collect();
        self.write(STAGED, &Staged { commit: commit.to_owned(), upto, files })?;
        self.step(Step::Staged)
    }

    /// Removes files of a commit that was cut off before its intent.
    async fn unstage(&mut self) -> Result<(), LakeError> {
        let staged: Option<Staged> = self.read(STAGED)?;
        let Some(staged) = staged else { return Ok(()) };
        // INVARIANT: a staged commit that is not above the checkpoint has become part of the tables.
        if staged.upto > self.log.committed() {
            for (table, path) in &staged.files {
                self.root.remove(table, path).await?;
            }
        }
        self.remove(STAGED)
    }

    async fn write_files(&self, files: Vec<(String, DataFile, Vec<u8>)>) -> Result<Vec<(String, DataFile)>, LakeError> {
        let write = |(table, file, bytes): (String, DataFile, Vec<u8>)| async move {
            self.root.put(&table, &file.path, bytes).await?;
            self.step(Step::FileWritten)?;
            Ok((table, file))
        };
        stream::iter(files).map(write).buffer_unordered(WRITES).try_collect().await
    }

    /// Carries out the pending intent; doing it again after a fault is the same as once.
    async fn finish(&mut self, tail: &Tail) -> Result<(), LakeError> {
        let Some(intent) = self.pending.clone() else { return Ok(()) };
        let mut swapped = BTreeMap::new();
        for (name, part) in &intent.tables {
            let change = self.commit_table(name, part, &intent).await?;
            swapped.insert(name.clone(), change);
            self.step(Step::TableCommitted)?;
        }
        self.log.checkpoint(intent.upto, intent.positions.clone(), intent.ledger.clone())?;
        tail.swap(intent.upto, swapped);
        self.pending = None;
        self.step(Step::Checkpointed)?;
        self.remove(INTENT)?;
        self.step(Step::IntentRemoved)?;
        self.remove(STAGED)?;
        self.log.retire()?;
        self.step(Step::Retired)
    }

    /// The table of this name, loaded if it exists.
    pub(crate) async fn table(&mut self, name: &str) -> Result<&mut Table, LakeError> {
        if !self.tables.contains_key(name) {
            let exists = self.root.tables().await?.iter().any(|known| known == name);
            let mut table = Table::new(&self.root, name)?;
            if exists {
                table.load().await?;
            }
            self.tables.insert(name.to_owned(), table);
        }
        self.tables.get_mut(name).ok_or_else(|| LakeError::Table { table: name.to_owned(), message: "it vanished".to_owned() })
    }

    async fn commit_table(&mut self, name: &str, part: &TableIntent, intent: &Intent) -> Result<(SchemaRef, TableFiles), LakeError> {
        let wanted = arrow_schema(name, &part.schema)?;
        let app = app_id(&self.log);
        let upto = i64::try_from(intent.upto).unwrap_or(i64::MAX);
        let table = self.table(name).await?;
        let before = table.version();
        if before.is_some() {
            table.refresh().await?;
        }
        if table.holds(&app).await?.is_some_and(|held| held >= upto) {
            return Ok((table.schema().unwrap_or(wanted), TableFiles::All(table.files())));
        }
        let schema = match table.schema() {
            Some(known) => {
                schema::widen(&known, &wanted).map_err(|conflict| LakeError::Table { table: name.to_owned(), message: conflict.to_string() })?.unwrap_or(known)
            }
            None => wanted,
        };
        let addition =
            Addition { files: &part.files, removed: &[], same_rows: false, gone: 0, schema: Arc::clone(&schema), app: &app, upto, notes: notes(intent)? };
        let version = table.commit(addition).await?;
        let alone = version == before.map_or(0, |before| before + 1);
        let change = if alone { TableFiles::More(part.files.clone()) } else { TableFiles::All(table.files()) };
        self.root.keep_commit(name, version).await?;
        Ok((schema, change))
    }

    /// Compares the ledger with what is in the tables now, commits of others included.
    pub(crate) async fn balance(&mut self, tail: &Tail, deep: bool) -> Result<Balance, LakeError> {
        let committed = self.log.ledger_committed();
        let (mut there, mut miscounted) = (BTreeMap::new(), Vec::new());
        for name in self.root.tables().await? {
            let table = self.current(&name, tail).await?;
            let removed = table.holds(REMOVED).await?.unwrap_or(0);
            if deep {
                let files = table.files();
                miscounted.extend(table::count::miscounted(&*self.root.store, &name, &files).await);
            }
            there.insert(name.clone(), (self.tables.get(&name).map_or(0, rows_of), removed));
        }
        let mut balance = Balance::of(self.log.ledger_at(Seq::MAX), &committed, &there);
        balance.faults.extend(miscounted);
        Ok(balance)
    }

    /// A table with the commits of others; what they changed is shown from now on.
    async fn current(&mut self, name: &str, tail: &Tail) -> Result<&Table, LakeError> {
        let table = self.table(name).await?;
        let before = table.version();
        table.refresh().await?;
        if table.version() != before
            && let Some(schema) = table.schema()
        {
            tail.set_table(name, schema, table.files());
        }
        Ok(table)
    }

    pub(crate) fn step(&self, step: Step) -> Result<(), LakeError> {
        match &self.failpoint {
            Some(cut) if cut(step) => Err(LakeError::Interrupted),
            _ => Ok(()),
        }
    }

    pub(crate) fn read<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<Option<T>, LakeError> {
        match self.log.disk().read(&self.log.dir().join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LakeError::of_io(name, &error)),
        }
    }

    pub(crate) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), LakeError> {
        let json = serde_json::to_vec(value)?;
        disk::replace(self.log.disk(), self.log.dir(), name, &json).map_err(|error| LakeError::of_io(name, &error))
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), LakeError> {
        disk::remove(self.log.disk(), self.log.dir(), name).map_err(|error| LakeError::of_io(name, &error))
    }
}

fn rows_of(table: &Table) -> u64 {
    table.files().iter().map(|file| file.rows).sum()
}

/// Name of the log's transaction in the tables; another log, another name: its frames count from
/// one again.
fn app_id(log: &Log) -> String {
    format!("weft-log-{}", log.id())
}

fn notes(intent: &Intent) -> Result<HashMap<String, Value>, LakeError> {
    Ok(HashMap::from([("weftPositions".to_owned(), serde_json::to_value(&intent.positions)?), ("weftUpto".to_owned(), json!(intent.upto))]))
}

pub(crate) fn kernel_schema(schema: &Schema) -> Result<StructType, LakeError> {
    schema.try_into_kernel().map_err(|error: arrow::error::ArrowError| LakeError::Encode { table: String::new(), message: error.to_string() })
}

pub(crate) fn arrow_schema(table: &str, kernel: &StructType) -> Result<SchemaRef, LakeError> {
    let arrow: Result<Schema, arrow::error::ArrowError> = kernel.try_into_arrow();
    arrow.map(|arrow| schema::table_schema(&arrow)).map_err(|error| LakeError::Table { table: table.to_owned(), message: error.to_string() })
}

pub(crate) fn name_files(commit: &str, encoded: Vec<(String, Encoded)>) -> Vec<(String, DataFile, Vec<u8>)> {
    let name = |(number, (table, file)): (usize, (String, Encoded))| {
        let day = weft_model::Timestamp(i64::from(file.day) * weft_model::Timestamp::DAY_MS).date();
        let (file, bytes) = data_file(format!("day={day}/{commit}-{number}.zstd.parquet"), file);
        (table, file, bytes)
    };
    encoded.into_iter().enumerate().map(name).collect()
}

/// Seals an encoded file under its name.
pub(crate) fn data_file(path: String, file: Encoded) -> (DataFile, Vec<u8>) {
    let Encoded { day, rows, bytes, stats } = file;
    let sealed = seal(bytes);
    let size = sealed.bytes.len() as u64;
    let seal = sealed.seal.map(|seal| seal.to_string()).unwrap_or_default();
    (DataFile { path, size, rows, day, stats, digest: sealed.digest, seal, mark: String::new() }, sealed.bytes)
}

/// Encodes on the threads for blocking work, a table's share at a time.
pub(crate) async fn encode_all(due: BTreeMap<String, Due>) -> Result<Vec<(String, Encoded)>, LakeError> {
    let shares =
        due.into_iter().flat_map(|(name, Due { schema, batches })| split(batches).into_iter().map(move |share| (name.clone(), Arc::clone(&schema), share)));
    let encode = |(name, schema, share): (String, SchemaRef, Vec<arrow::record_batch::RecordBatch>)| async move {
        let table = name.clone();
        let task = tokio::task::spawn_blocking(move || writer::encode(&share, &schema));
        let files = task.await.map_err(|error| LakeError::Encode { table: table.clone(), message: error.to_string() })?;
        let files = files.map_err(|error| LakeError::Encode { table, message: error.to_string() })?;
        Ok::<_, LakeError>(files.into_iter().map(|file| (name.clone(), file)).collect::<Vec<_>>())
    };
    // Half of the cores: while a commit runs, records go on being acknowledged and mapped.
    let parallel = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
    let files: Vec<Vec<_>> = stream::iter(shares).map(encode).buffered(parallel).try_collect().await?;
    Ok(files.into_iter().flatten().collect())
}

/// Shares that fit in memory twice: 32-bit offsets of one text column end at 2 GiB.
fn split(batches: Vec<arrow::record_batch::RecordBatch>) -> Vec<Vec<arrow::record_batch::RecordBatch>> {
    let mut shares: Vec<Vec<_>> = Vec::new();
    let mut bytes = usize::MAX;
    for batch in batches {
        let size = batch.get_array_memory_size();
        if bytes.saturating_add(size) > FILE_MEMORY_MAX {
            shares.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
        if let Some(share) = shares.last_mut() {
            share.push(batch);
        }
    }
    shares
}
