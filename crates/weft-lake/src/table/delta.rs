//! The Delta log of one table: what is in it, and one more commit.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{Action, Add, LogicalFileView, MetadataExt as _, Protocol, Remove, StructType, Transaction, new_metadata};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::state::DeltaTableState;
use serde_json::{Value, json};
use weft_model::Timestamp;

use super::schema::{self, DAY};
use super::store::Root;
use super::{DataFile, REJECTS};
use crate::LakeError;
use crate::integrity::twin;
use crate::ledger::REMOVED;

/// What one commit adds to one table.
pub(crate) struct Addition<'a> {
    pub(crate) files: &'a [DataFile],
    /// Files that they replace.
    pub(crate) removed: &'a [DataFile],
    /// Whether the new files hold just the rows of the removed ones.
    pub(crate) same_rows: bool,
    /// Rows less than before that nobody may miss: the ledger reads their sum.
    pub(crate) gone: i64,
    /// All columns that the table must have afterwards.
    pub(crate) schema: SchemaRef,
    /// Name of the log that the rows came through.
    pub(crate) app: &'a str,
    /// Last frame of the log whose rows are in it.
    pub(crate) upto: i64,
    /// For whoever reads the history, e.g. the positions of the sources.
    pub(crate) notes: HashMap<String, Value>,
}

/// A table as its Delta log has it.
pub(crate) struct Table {
    name: String,
    log_store: LogStoreRef,
    state: Option<DeltaTableState>,
    root: Root,
}

impl Table {
    /// A table that may not exist yet.
    pub(crate) fn new(root: &Root, name: &str) -> Result<Self, LakeError> {
        Ok(Self { name: name.to_owned(), log_store: root.log_store(name)?, state: None, root: root.clone() })
    }

    /// Loads the table.
    pub(crate) async fn load(&mut self) -> Result<(), LakeError> {
        self.load_at(None).await
    }

    /// Loads the table as it was after a commit.
    pub(crate) async fn load_at(&mut self, version: Option<u64>) -> Result<(), LakeError> {
        twin::check(&self.root, &self.name).await?;
        let state = DeltaTableState::try_new(self.log_store.as_ref(), version).await.map_err(|error| self.fault(&error))?;
        // Deletion vectors and column mapping begin at version 2: we would show what was deleted.
        if state.protocol().min_reader_version() > 1 {
            let message = "another engine has changed it to a newer protocol: read it with that engine, or restore it".to_owned();
            return Err(LakeError::Table { table: self.name.clone(), message });
        }
        self.state = Some(state);
        Ok(())
    }

    /// Looks for commits of others.
    pub(crate) async fn refresh(&mut self) -> Result<(), LakeError> {
        let Some(state) = &mut self.state else { return self.load().await };
        let updated = state.update(self.log_store.as_ref(), None).await;
        updated.map_err(|error| self.fault(&error))
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.state.as_ref().map(DeltaTableState::version)
    }

    /// The columns, with the partition column last.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        Some(schema::table_schema(&self.state.as_ref()?.snapshot().arrow_schema()))
    }

    /// All data files.
    pub(crate) fn files(&self) -> Vec<DataFile> {
        let Some(state) = &self.state else { return Vec::new() };
        state.log_data().iter().map(|view| data_file(&view)).collect()
    }

    /// Last frame of this log that the table holds.
    pub(crate) async fn holds(&self, app: &str) -> Result<Option<i64>, LakeError> {
        let Some(state) = &self.state else { return Ok(None) };
        state.transaction_version(self.log_store.as_ref(), app).await.map_err(|error| self.fault(&error))
    }

    /// Adds files, and columns where there are new ones, in one commit; returns its version.
    pub(crate) async fn commit(&mut self, addition: Addition<'_>) -> Result<u64, LakeError> {
        let mut actions = self.schema_actions(&addition.schema)?;
        actions.extend(addition.removed.iter().map(|file| Action::Remove(remove(file, addition.same_rows))));
        actions.extend(addition.files.iter().map(|file| Action::Add(Add { data_change: !addition.same_rows, ..add(file) })));
        if addition.gone != 0 {
            let before = self.holds(REMOVED).await?.unwrap_or(0);
            actions.push(Action::Txn(Transaction::new(REMOVED, before + addition.gone)));
        }
        let properties = CommitProperties::default()
            .with_application_transaction(Transaction::new(addition.app, addition.upto))
            .with_metadata(addition.notes)
            .with_cleanup_expired_logs(Some(true));
        let operation = match (addition.same_rows, addition.removed.is_empty()) {
            (true, _) => DeltaOperation::Optimize { predicate: None, target_size: 0 },
            (false, true) => DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![DAY.to_owned()]), predicate: None },
            (false, false) => DeltaOperation::Delete { predicate: None },
        };
        let reference = self.state.as_ref().map(|state| state as &dyn TableReference);
        let commit = CommitBuilder::from(properties).with_actions(actions).build(reference, self.log_store.clone(), operation).await;
        let commit = commit.map_err(|error| self.fault(&error))?;
        let version = commit.version();
        self.state = Some(commit.snapshot());
        Ok(version)
    }

    fn schema_actions(&self, wanted: &SchemaRef) -> Result<Vec<Action>, LakeError> {
        let kernel = || -> Result<StructType, LakeError> {
            wanted
                .as_ref()
                .try_into_kernel()
                .map_err(|error: arrow::error::ArrowError| LakeError::Table { table: self.name.clone(), message: error.to_string() })
        };
        let Some(state) = &self.state else {
            let metadata = new_metadata(&kernel()?, [DAY], configuration(&self.name)).and_then(|metadata| metadata.with_name(self.name.clone()));
            let protocol: Protocol = serde_json::from_value(json!({"minReaderVersion": 1, "minWriterVersion": 2}))?;
            return Ok(vec![Action::Protocol(protocol), Action::Metadata(metadata.map_err(|error| self.fault(&error))?)]);
        };
        match self.schema() {
            Some(known) if known.fields() == wanted.fields() => Ok(Vec::new()),
            _ => {
                let metadata = state.metadata().clone().with_schema(&kernel()?).map_err(|error| self.fault(&error))?;
                Ok(vec![Action::Metadata(metadata)])
            }
        }
    }

    fn fault(&self, error: &dyn std::fmt::Display) -> LakeError {
        LakeError::Table { table: self.name.clone(), message: error.to_string() }
    }
}

fn configuration(table: &str) -> Vec<(&'static str, &'static str)> {
    // Other engines collect statistics of these only: the rest are texts that nobody ranges over.
    let skipping = if table == REJECTS { "time" } else { "time,class_uid,type_uid,severity_id,activity_id,status_id" };
    vec![("delta.checkpointInterval", "50"), ("delta.dataSkippingStatsColumns", skipping), ("delta.logRetentionDuration", "interval 7 days")]
}

fn partition(file: &DataFile) -> HashMap<String, Option<String>> {
    HashMap::from([(DAY.to_owned(), Some(Timestamp(i64::from(file.day) * Timestamp::DAY_MS).date()))])
}

fn remove(file: &DataFile, same_rows: bool) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change: !same_rows,
        deletion_timestamp: Some(now_ms()),
        extended_file_metadata: Some(true),
        partition_values: Some(partition(file)),
        size: i64::try_from(file.size).ok(),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
    }
}

fn add(file: &DataFile) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: partition(file),
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        modification_time: now_ms(),
        data_change: true,
        stats: Some(file.stats.to_string()),
        tags: Some(tags(file)),
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

/// Names of our tags of a data file.
const DIGEST: &str = "weft.blake3";
const SEAL: &str = "weft.seal";
const MARK: &str = "weft.mark";

fn tags(file: &DataFile) -> HashMap<String, Option<String>> {
    let tags = [(DIGEST, &file.digest), (SEAL, &file.seal), (MARK, &file.mark)];
    tags.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), Some(text.clone()))).collect()
}

fn data_file(view: &LogicalFileView) -> DataFile {
    #[expect(deprecated, reason = "the only way to the tags, which say how a file is checked")]
    let tags = view.add_action().tags.unwrap_or_default();
    let tag = |name: &str| tags.get(name).cloned().flatten().unwrap_or_default();
    let stats: Value = view.stats().and_then(|stats| serde_json::from_str(&stats).ok()).unwrap_or_default();
    let day = view.partition_values_map().get(DAY).and_then(Option::as_deref).and_then(parse_day).unwrap_or(0);
    let rows = stats.get("numRecords").and_then(Value::as_u64).unwrap_or(0);
    let size = u64::try_from(view.size()).unwrap_or(0);
    DataFile { path: view.path().into_owned(), size, rows, day, stats, digest: tag(DIGEST), seal: tag(SEAL), mark: tag(MARK) }
}

/// Days since 1970 of `YYYY-MM-DD`.
fn parse_day(text: &str) -> Option<i32> {
    use arrow::compute::kernels::cast_utils::Parser as _;
    use arrow::datatypes::Date32Type;
    Date32Type::parse(text)
}

/// Time of writing, for the table format only; nothing is decided by it.
fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
