//! SQL over tables and tail, within a budget.

mod functions;
mod guard;
mod notes;
mod provider;
mod prune;
mod text;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use futures::StreamExt as _;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::error::LakeError;
use crate::integrity::Checked;
use crate::tail::View;
use guard::GivenUp;
use notes::Notes;
pub use notes::QueryStats;
use provider::EventTable;
pub use text::missing_table;

/// Bytes that are read from the end of a file to have its footer with one read.
const FOOTER_BYTES: usize = 64 << 10;
/// The name under which queries see the object store of the lake.
const STORE: &str = "weft-lake://tables";
/// All classes as one table.
pub const EVENTS: &str = "events";

/// Bounds of all queries of a process together.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Memory for sorting, joining and grouping; more is spilled to disk.
    pub memory_bytes: usize,
    /// Where it is spilled; without it the temporary directory of the system.
    pub spill_dir: Option<PathBuf>,
    /// Most bytes spilled.
    pub spill_bytes_max: u64,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { memory_bytes: 1 << 30, spill_dir: None, spill_bytes_max: 20 << 30 }
    }
}

/// Bounds of one query.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Most rows of a result; the rest is cut off and [`Truncated`] says so.
    pub rows_max: usize,
    /// Longest time, planning included.
    pub time_max: Duration,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self { rows_max: 100_000, time_max: Duration::from_secs(60) }
    }
}

/// The result has more rows than were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated {
    /// Number of rows that were given.
    pub rows: usize,
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is not SQL, or names what does not exist.
    #[error("{message}")]
    Sql {
        /// What is wrong, for the person who wrote it.
        message: String,
    },
    /// It took longer than allowed.
    #[error("the query took longer than {} s: narrow it, for instance by `day` or `time`", limit.as_secs_f64())]
    Time {
        /// The limit.
        limit: Duration,
    },
    /// It needs more memory than there is for queries.
    #[error("the query needs too much memory: {message}")]
    Memory {
        /// What asked for it.
        message: String,
    },
    /// A file turned out to be damaged after rows had been given; asked again, it is left out.
    #[error("{message}; ask again to get the answer of the other files")]
    Damaged {
        /// Which file.
        message: String,
    },
    /// Reading or computing failed.
    #[error("the query failed: {message}")]
    Failed {
        /// The engine's words.
        message: String,
    },
}

impl QueryError {
    /// The query's task is gone without a word: the lake was closed, or the engine panicked.
    fn ended() -> Self {
        Self::Failed { message: "it ended unexpectedly".to_owned() }
    }

    fn of(error: &DataFusionError) -> Self {
        let root = error.find_root();
        let message = root.strip_backtrace();
        match root {
            DataFusionError::ResourcesExhausted(_) => Self::Memory { message },
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Diagnostic(..) => Self::Sql { message: text::plainly(&message) },
            // The spill limit is told as a plain I/O error.
            _ if message.contains("spilling process has exceeded") => Self::Memory { message },
            _ => Self::Failed { message },
        }
    }
}

/// What all queries of a process share.
#[derive(Clone)]
pub(crate) struct Engine {
    core: Core,
    threads: Arc<Threads>,
}

/// What a single query needs; it keeps nothing of the lake alive.
#[derive(Clone)]
struct Core {
    runtime: Arc<RuntimeEnv>,
    url: ObjectStoreUrl,
    store: Arc<Checked>,
    /// What the query at hand learns on its way.
    notes: Arc<Notes>,
}

/// Threads of their own: a query that computes for long must not hold up those that take events.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        // May happen on any thread, asynchronous ones included, which must not block.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    pub(crate) fn new(store: Arc<Checked>, options: &EngineOptions) -> Result<Self, LakeError> {
        let fault = |error: DataFusionError| LakeError::Store { path: STORE.to_owned(), message: error.to_string() };
        let mode = match &options.spill_dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|error| LakeError::of_io(&dir.display().to_string(), &error))?;
                DiskManagerMode::Directories(vec![dir.clone()])
            }
            None => DiskManagerMode::OsTmpDirectory,
        };
        let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(options.spill_bytes_max);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(fault)?;
        let url = ObjectStoreUrl::parse(STORE).map_err(fault)?;
        runtime.register_object_store(url.as_ref(), Arc::<Checked>::clone(&store));
        let threads = tokio::runtime::Builder::new_multi_thread().thread_name("weft-query").enable_all().build();
        let threads = threads.map_err(|error| LakeError::of_io("threads for queries", &error))?;
        Ok(Self { core: Core { runtime, url, store, notes: Arc::default() }, threads: Arc::new(Threads(Some(threads))) })
    }
}

impl Core {
    fn context(&self, view: &View) -> Result<SessionContext, DataFusionError> {
        let mut config = SessionConfig::new().with_information_schema(true).with_default_catalog_and_schema("weft", "lake");
        let options = config.options_mut();
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        options.execution.parquet.metadata_size_hint = Some(FOOTER_BYTES);
        // Text stays as it is written: the console and the rules read plain strings.
        options.execution.parquet.schema_force_view_types = false;
        options.sql_parser.map_string_types_to_utf8view = false;
        let context = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        for function in functions::all() {
            context.register_udf(function);
        }
        for (name, table) in view {
            context.register_table(name.as_str(), Arc::new(EventTable::of(self, name, table)))?;
        }
        context.register_table(EVENTS, Arc::new(EventTable::of_all(self, view)))?;
        Ok(context)
    }
}

/// A session: each query sees everything that was visible when it began.
#[derive(Clone)]
pub struct Query {
    engine: Engine,
    view: Arc<dyn Fn() -> View + Send + Sync>,
    options: QueryOptions,
}

impl Query {
    pub(crate) fn new(engine: Engine, view: Arc<dyn Fn() -> View + Send + Sync>, options: QueryOptions) -> Self {
        Self { engine, view, options }
    }

    /// Begins a query; dropping the rows ends it.
    ///
    /// # Errors
    /// [`QueryError`]; only questions are answered, never a statement that changes something.
    pub async fn rows(&self, sql: &str) -> Result<Rows, QueryError> {
        if sql.len() > text::TEXT_BYTES_MAX {
            return Err(QueryError::Sql { message: format!("the query is longer than {} bytes", text::TEXT_BYTES_MAX) });
        }
        let deadline = Instant::now() + self.options.time_max;
        let (planned, plan) = oneshot::channel();
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let Some(threads) = &self.engine.threads.0 else { return Err(QueryError::ended()) };
        let given_up = GivenUp::default();
        let run = run(self.engine.core.clone(), (self.view)(), text::quote_names(sql), given_up.clone(), planned, sender);
        let task = EndOnDrop { task: threads.spawn(run).abort_handle(), given_up };
        let schema = tokio::time::timeout_at(deadline, plan).await.map_err(|_late| QueryError::Time { limit: self.options.time_max })?;
        let (schema, notes) = schema.map_err(|_gone| QueryError::ended())??;
        Ok(Rows { schema, notes, batches, task: Some(task), deadline, options: self.options.clone(), given: 0, truncated: None, ended: false })
    }

    /// All rows within the budget.
    ///
    /// # Errors
    /// As [`Query::rows`]; running out of time is an error, running out of rows is not.
    pub async fn collect(&self, sql: &str) -> Result<QueryResult, QueryError> {
        loop {
            match self.collect_once(sql).await {
                // Each time one file more is known and left out, so this ends.
                Err(QueryError::Damaged { .. }) => {}
                result => return result,
            }
        }
    }

    async fn collect_once(&self, sql: &str) -> Result<QueryResult, QueryError> {
        let mut rows = self.rows(sql).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await {
            batches.push(batch?);
        }
        Ok(QueryResult { schema: rows.schema(), batches, truncated: rows.truncated(), stats: rows.stats(), warnings: rows.warnings() })
    }
}

/// Batches that are computed before they are asked for.
const BATCHES_AHEAD: usize = 2;

/// Ends the query when nobody wants its rows any more; it stops at the next batch it handles.
struct EndOnDrop {
    task: AbortHandle,
    given_up: GivenUp,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.given_up.set();
        self.task.abort();
    }
}

/// What a query gives, in order; the last says that it is whole.
type Item = Result<Option<RecordBatch>, QueryError>;
/// Its columns, and what it learns on its way.
type Planned = Result<(SchemaRef, Arc<Notes>), QueryError>;

/// One query, on the threads for queries.
async fn run(core: Core, view: View, sql: String, given_up: GivenUp, planned: oneshot::Sender<Planned>, batches: mpsc::Sender<Item>) {
    let mut planned = Some(planned);
    loop {
        let core = Core { notes: Arc::default(), ..core.clone() };
        let known = core.store.damages().all().len();
        match attempt(&core, &view, &sql, &given_up, &mut planned, &batches).await {
            Ok(()) => return,
            // A damaged file was met, and is left out from now on.
            Err(error) if core.store.damages().all().len() > known => {
                if planned.is_some() {
                    continue;
                }
                let _gone = batches.send(Err(QueryError::Damaged { message: error.find_root().strip_backtrace() })).await;
                return;
            }
            Err(error) => {
                // The caller may have gone; then nobody needs the answer.
                let error = QueryError::of(&error);
                match planned.take() {
                    Some(planned) => drop(planned.send(Err(error))),
                    None => drop(batches.send(Err(error)).await),
                }
                return;
            }
        }
    }
}

/// Plans and runs; tells the columns with the first rows, so that a file that turns out to be
/// damaged before costs no more than another attempt.
async fn attempt(
    core: &Core,
    view: &View,
    sql: &str,
    given_up: &GivenUp,
    planned: &mut Option<oneshot::Sender<Planned>>,
    batches: &mpsc::Sender<Item>,
) -> Result<(), DataFusionError> {
    let context = core.context(view)?;
    let only_questions = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let plan = context.sql_with_options(sql, only_questions).await?.create_physical_plan().await?;
    let plan = guard::guarded(plan, given_up)?;
    let mut stream = execute_stream(Arc::clone(&plan), context.task_ctx())?;
    loop {
        let batch = stream.next().await.transpose()?;
        if let Some(planned) = planned.take()
            && planned.send(Ok((stream.schema(), Arc::clone(&core.notes)))).is_err()
        {
            return Ok(());
        }
        let ended = batch.is_none();
        if ended {
            core.notes.finish(&*plan);
        }
        // At the end it is said in so many words: a channel that just closes is a query that died.
        if batches.send(Ok(batch)).await.is_err() || ended {
            return Ok(());
        }
    }
}

/// Rows as they come.
pub struct Rows {
    schema: SchemaRef,
    notes: Arc<Notes>,
    batches: mpsc::Receiver<Item>,
    task: Option<EndOnDrop>,
    deadline: Instant,
    options: QueryOptions,
    given: usize,
    truncated: Option<Truncated>,
    ended: bool,
}

impl Rows {
    /// Columns of the result.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether rows were cut off; known at the end.
    pub fn truncated(&self) -> Option<Truncated> {
        self.truncated
    }

    /// How many files were read for it; complete at the end.
    pub fn stats(&self) -> QueryStats {
        self.notes.stats()
    }

    /// What is missing from the answer, for a person; complete at the end.
    pub fn warnings(&self) -> Vec<String> {
        self.notes.warnings()
    }

    /// The next rows; none at the end or when the row budget is used up.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.ended {
            return None;
        }
        let next = tokio::time::timeout_at(self.deadline, self.batches.recv()).await;
        let batch = match next {
            Ok(Some(Ok(Some(batch)))) => batch,
            Ok(Some(Ok(None))) => {
                self.ended = true;
                return None;
            }
            Ok(None) => return self.end(QueryError::ended()),
            Ok(Some(Err(error))) => return self.end(error),
            Err(_late) => return self.end(QueryError::Time { limit: self.options.time_max }),
        };
        let left = self.options.rows_max - self.given;
        if batch.num_rows() <= left {
            self.given += batch.num_rows();
            return Some(Ok(batch));
        }
        self.given += left;
        self.truncated = Some(Truncated { rows: self.given });
        self.ended = true;
        self.task = None;
        (left > 0).then(|| Ok(batch.slice(0, left)))
    }

    fn end(&mut self, error: QueryError) -> Option<Result<RecordBatch, QueryError>> {
        self.ended = true;
        self.task = None;
        Some(Err(error))
    }
}

/// A whole result.
#[derive(Debug, Clone)]
pub struct QueryResult {
    /// Columns.
    pub schema: SchemaRef,
    /// Rows.
    pub batches: Vec<RecordBatch>,
    /// Whether there were more.
    pub truncated: Option<Truncated>,
    /// How many files were read for it.
    pub stats: QueryStats,
    /// What is missing from it, for a person.
    pub warnings: Vec<String>,
}

impl QueryResult {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// As a table of text.
    pub fn to_text(&self) -> String {
        pretty_format_batches(&self.batches).map_or_else(|error| error.to_string(), |text| text.to_string())
    }
}
