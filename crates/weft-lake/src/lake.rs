//! The lake of one process: log, tail and tables as one.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use tokio::sync::Mutex;
use url::Url;
use weft_model::{Mapped, Position, RawBatch, SourceId, Timestamp};

use crate::commit::{Committed, Failpoint, Writer};
use crate::error::{LakeError, PublishError};
use crate::history;
use crate::integrity::{Checked, Damages};
use crate::ledger::{Balance, Ledger, Outcome};
use crate::log::{Appended, Kind, Log, LogError, LogOptions, Logged, Recovery, Seq};
use crate::query::{Engine, EngineOptions, Query, QueryOptions};
use crate::table::DataFile;
use crate::table::delta::Table;
use crate::table::schema::Conflict;
use crate::table::store::Root;
use crate::tail::{Rows, Tail, View, rows_of};

/// Where the lake is and how much it may use.
#[derive(Clone)]
pub struct LakeOptions {
    /// Root of the tables: `file:///…`, or what the storage features add (`s3://…`).
    pub root: Url,
    /// Settings of the object store, by the names that it uses itself.
    pub storage: HashMap<String, String>,
    /// Directory of the log; always on a local disk.
    pub log_dir: PathBuf,
    /// Bounds of the log.
    pub log: LogOptions,
    /// Bounds of all queries together.
    pub engine: EngineOptions,
    #[doc(hidden)]
    pub failpoint: Option<Failpoint>,
}

impl LakeOptions {
    /// The usual layout under one directory: `lake/` for the tables, `log/` for the log,
    /// `spill/` for queries that need more than memory.
    ///
    /// # Errors
    /// [`LakeError::Store`] when the directory cannot be named by a URL.
    pub fn in_dir(dir: &Path) -> Result<Self, LakeError> {
        let engine = EngineOptions { spill_dir: Some(dir.join("spill")), ..EngineOptions::default() };
        Ok(Self { root: dir_url(&dir.join("lake"))?, storage: HashMap::new(), log_dir: dir.join("log"), log: LogOptions::default(), engine, failpoint: None })
    }
}

/// The URL of a directory of this machine.
///
/// # Errors
/// [`LakeError::Store`] when the path cannot be made absolute.
pub fn dir_url(dir: &Path) -> Result<Url, LakeError> {
    let absolute = std::path::absolute(dir).map_err(|error| LakeError::of_io(&dir.display().to_string(), &error))?;
    Url::from_directory_path(&absolute)
        .map_err(|()| LakeError::Store { path: absolute.display().to_string(), message: "it is not a path of this machine".to_owned() })
}

/// A table as it is now.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// Its name, that of an OCSF class or `rejects`.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Data files.
    pub files: usize,
    /// Rows in files.
    pub rows: u64,
    /// Rows that are not in a file yet.
    pub tail_rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// The lake of the one process that writes; clones share it.
#[derive(Clone)]
pub struct Lake(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) log: Log,
    pub(crate) tail: Tail,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) engine: Engine,
    pub(crate) root: Root,
    /// What queries read through.
    pub(crate) checked: Arc<Checked>,
    /// Held by the one task of daily life that runs.
    pub(crate) maintenance: Mutex<()>,
}

impl Lake {
    /// Opens or creates the lake, finishes or undoes a commit that a crash cut off, and finds the
    /// frames that are not in the tables yet: map and publish each of [`Recovery::logged`].
    ///
    /// # Errors
    /// [`LogError::Locked`] when another process writes; else what cannot be read.
    pub async fn open(options: LakeOptions) -> Result<(Self, Recovery), LakeError> {
        let root = Root::open(&options.root, &options.storage)?;
        let (dir, log_options) = (options.log_dir.clone(), options.log.clone());
        let opened = tokio::task::spawn_blocking(move || Log::open(&dir, log_options)).await;
        let (log, recovery) = opened.map_err(|error| LogError::Failed { message: error.to_string() })??;
        let checked = Arc::new(Checked::new(Arc::clone(&root.store), Damages::default()));
        let engine = Engine::new(Arc::clone(&checked), &options.engine)?;
        let mut writer = Writer::new(root.clone(), log.clone(), options.failpoint);
        let tail = Tail::default();
        writer.recover(&tail).await?;
        let inner = Inner { log, tail, writer: Mutex::new(writer), engine, root, checked, maintenance: Mutex::default() };
        Ok((Self(Arc::new(inner)), recovery))
    }

    /// Makes a batch durable; see [`Log::append`].
    ///
    /// # Errors
    /// [`LogError`]; then no record of this batch is kept.
    pub async fn append(&self, batch: RawBatch, dedupe: bool) -> Result<Appended, LogError> {
        self.0.log.append(batch, dedupe).await
    }

    /// The log, for callers on threads of their own.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// Makes the events and rejects of a frame visible to queries, all at once.
    ///
    /// # Errors
    /// [`PublishError`] gives everything back when a column does not fit its table.
    pub fn publish(&self, logged: Logged, mapped: Mapped) -> Result<(), PublishError> {
        let outcome = Outcome::of(logged.kind(), &mapped);
        let published = rows_for(&logged, &mapped).and_then(|rows| self.0.tail.publish(logged.seq(), rows));
        match published {
            Ok(()) => {
                logged.published(outcome);
                Ok(())
            }
            Err((table, conflict)) => Err(PublishError { table, conflict, logged: Box::new(logged), mapped: Box::new(mapped) }),
        }
    }

    /// What was received and what became of it, events that are not committed yet too.
    pub fn ledger(&self) -> Ledger {
        self.0.log.ledger_at(Seq::MAX)
    }

    /// The ledger against the tables. `deep` counts the rows in the data files themselves, else
    /// what the tables say of them is believed.
    ///
    /// # Errors
    /// [`LakeError`] when a table cannot be read at all.
    pub async fn balance(&self, deep: bool) -> Result<Balance, LakeError> {
        // Held throughout: no file may be replaced between what is said of it and the look at it.
        self.0.writer.lock().await.balance(&self.0.tail, deep).await
    }

    /// Frames that are durable but that nobody holds: map and publish them before a commit, else
    /// they hold it up.
    pub fn unpublished(&self) -> Vec<Logged> {
        self.0.log.unpublished()
    }

    /// Bytes of published events that wait for a commit: commit when they are too many, and let
    /// sources wait meanwhile.
    pub fn tail_bytes(&self) -> usize {
        self.0.tail.bytes()
    }

    /// How far each source is durable: where to go on reading after a start.
    pub fn positions(&self) -> BTreeMap<SourceId, Position> {
        self.0.log.positions()
    }

    /// Moves what is published into the tables, up to the first frame that is not published.
    ///
    /// # Errors
    /// [`LakeError`]; then everything stays visible and durable, and the next commit goes on
    /// where this one stopped.
    pub async fn commit(&self) -> Result<Committed, LakeError> {
        self.commit_to(Seq::MAX).await
    }

    /// As [`Lake::commit`], not beyond the frame `to`.
    ///
    /// # Errors
    /// As [`Lake::commit`].
    pub async fn commit_to(&self, to: Seq) -> Result<Committed, LakeError> {
        self.0.writer.lock().await.commit(&self.0.tail, to).await
    }

    /// The last frame such that it and all before it are published.
    pub fn horizon(&self) -> Seq {
        self.0.log.horizon()
    }

    /// Random name of the log: frames of another one count from one again.
    pub fn log_id(&self) -> &str {
        self.0.log.id()
    }

    /// The last frame that the tables hold.
    pub fn committed(&self) -> Seq {
        self.0.log.committed()
    }

    /// What exists now.
    pub fn tables(&self) -> Vec<TableInfo> {
        infos(&self.0.tail.view())
    }

    /// Data files of every table.
    pub(crate) fn data_files(&self) -> Vec<(String, Vec<DataFile>)> {
        let view = self.0.tail.view();
        view.into_iter().map(|(name, table)| (name, table.files.iter().map(|file| (**file).clone()).collect())).collect()
    }

    /// Columns of a table.
    pub(crate) fn table_schema(&self, table: &str) -> Option<SchemaRef> {
        self.0.tail.schema(table)
    }

    /// What is stored, by table and day.
    pub fn stored(&self) -> Vec<StoredDay> {
        stored(&self.0.tail.view())
    }

    /// A query session over the tables as they were at a moment.
    ///
    /// # Errors
    /// [`LakeError::Table`] when the history does not reach back so far.
    pub async fn as_of(&self, at: Timestamp, options: QueryOptions) -> Result<Query, LakeError> {
        let view = history::view_at(&self.0.root, at).await?;
        Ok(Query::new(self.0.engine.clone(), Arc::new(move || view.clone()), options))
    }

    /// A query session over everything that is visible at the moment of each query.
    pub fn session(&self, options: QueryOptions) -> Query {
        let lake = Arc::clone(&self.0);
        Query::new(self.0.engine.clone(), Arc::new(move || lake.tail.view()), options)
    }
}

/// One day of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDay {
    /// Table.
    pub table: String,
    /// The day, `YYYY-MM-DD`.
    pub day: String,
    /// Data files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

fn stored(view: &View) -> Vec<StoredDay> {
    let mut days: BTreeMap<(String, i32), StoredDay> = BTreeMap::new();
    for (name, table) in view {
        for file in table.files.iter() {
            let date = Timestamp(i64::from(file.day) * Timestamp::DAY_MS).date();
            let day = days.entry((name.clone(), file.day)).or_insert_with(|| StoredDay { table: name.clone(), day: date, files: 0, rows: 0, bytes: 0 });
            day.files += 1;
            day.rows += file.rows;
            day.bytes += file.size;
        }
    }
    days.into_values().collect()
}

/// The rows of a frame. Of a replay, what is refused again is on the list already, and what maps
/// now leaves it.
fn rows_for(logged: &Logged, mapped: &Mapped) -> Result<Vec<Rows>, (String, Conflict)> {
    let received = logged.batch().received;
    if logged.kind() != Kind::Replay {
        return rows_of(mapped, received);
    }
    let refused: std::collections::HashSet<_> = mapped.rejects.iter().map(|reject| reject.id).collect();
    let mended = logged.batch().records.iter().filter(|record| !refused.contains(&record.id));
    let events = Mapped { rejects: Vec::new(), batches: mapped.batches.clone(), dropped: mapped.dropped };
    let mut rows = rows_of(&events, received)?;
    rows.extend(crate::tail::replay_rows(logged.batch(), mended)?);
    Ok(rows)
}

fn infos(view: &View) -> Vec<TableInfo> {
    let info = |(name, table): (&String, &crate::tail::TableView)| TableInfo {
        name: name.clone(),
        schema: Arc::clone(&table.schema),
        files: table.files.len(),
        rows: table.files.iter().map(|file| file.rows).sum(),
        tail_rows: table.tail.iter().map(|rows| rows.num_rows() as u64).sum(),
        bytes: table.files.iter().map(|file| file.size).sum(),
    };
    view.iter().map(info).collect()
}

/// The tables for a process that only reads, while another may write.
///
/// It sees what is committed. What the log holds beyond that can be read by [`crate::log::read`],
/// mapped, and given to [`Reader::show`].
pub struct Reader {
    pub(crate) root: Root,
    tables: Mutex<BTreeMap<String, Table>>,
    pub(crate) tail: Arc<Tail>,
    engine: Engine,
    pub(crate) checked: Arc<Checked>,
}

impl Reader {
    /// Opens the tables under `options.root`; the log directory is not touched.
    ///
    /// # Errors
    /// [`LakeError`] when they cannot be read.
    pub async fn open(options: &LakeOptions) -> Result<Self, LakeError> {
        let root = Root::open(&options.root, &options.storage)?;
        let checked = Arc::new(Checked::new(Arc::clone(&root.store), Damages::default()));
        let engine = Engine::new(Arc::clone(&checked), &options.engine)?;
        let reader = Self { root, tables: Mutex::default(), tail: Arc::default(), engine, checked };
        reader.refresh().await?;
        Ok(reader)
    }

    /// Looks for what was committed meanwhile.
    ///
    /// # Errors
    /// [`LakeError`] when a table cannot be read; the others are then as they were.
    pub async fn refresh(&self) -> Result<(), LakeError> {
        let mut tables = self.tables.lock().await;
        for name in self.root.tables().await? {
            let mut table = match tables.remove(&name) {
                Some(table) => table,
                None => Table::new(&self.root, &name)?,
            };
            table.refresh().await?;
            if let Some(schema) = table.schema() {
                self.tail.set_table(&name, schema, table.files());
            }
            tables.insert(name, table);
        }
        Ok(())
    }

    /// Shows the events of a frame that is not committed, in this process alone.
    ///
    /// # Errors
    /// The table and the conflict, as text, when they do not fit.
    pub fn show(&self, seq: crate::log::Seq, received: weft_model::Timestamp, mapped: &Mapped) -> Result<(), LakeError> {
        let shown = rows_of(mapped, received).and_then(|rows| self.tail.publish(seq, rows));
        shown.map_err(|(table, conflict)| LakeError::Encode { table, message: conflict.to_string() })
    }

    /// What exists now.
    pub fn tables(&self) -> Vec<TableInfo> {
        infos(&self.tail.view())
    }

    /// What is stored, by table and day.
    pub fn stored(&self) -> Vec<StoredDay> {
        stored(&self.tail.view())
    }

    /// A query session over the tables as they were at a moment.
    ///
    /// # Errors
    /// As [`Lake::as_of`].
    pub async fn as_of(&self, at: Timestamp, options: QueryOptions) -> Result<Query, LakeError> {
        let view = history::view_at(&self.root, at).await?;
        Ok(Query::new(self.engine.clone(), Arc::new(move || view.clone()), options))
    }

    /// A query session over what was there at the last refresh.
    pub fn session(&self, options: QueryOptions) -> Query {
        let tail = Arc::clone(&self.tail);
        Query::new(self.engine.clone(), Arc::new(move || tail.view()), options)
    }
}
