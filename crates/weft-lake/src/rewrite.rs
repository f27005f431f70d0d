//! Files of several tables replaced by others, all at once.
//!
//! What compaction, retention, deletion, mapping anew and repair have in common: new files are
//! written under names that are staged first, then an intent that names everything is synced, then
//! each table gets one commit, and the view changes for all tables in one step. A crash before the
//! intent leaves files that are removed; a crash after it is finished by the next start. Old files
//! stay until they are vacuumed, so that queries that began before go on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::datatypes::SchemaRef;
use deltalake::kernel::StructType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::LakeError;
use crate::commit::{Step, Writer, arrow_schema, kernel_schema};
use crate::table::delta::Addition;
use crate::table::{DataFile, schema};
use crate::tail::{TableFiles, Tail};

const STAGED: &str = "change-staged.json";
const CHANGE: &str = "change.json";

/// What changes in one table.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) remove: Vec<DataFile>,
    pub(crate) add: Vec<(DataFile, Vec<u8>)>,
    /// Columns of the new files; none when there are no new ones.
    pub(crate) schema: Option<SchemaRef>,
}

/// Changes of several tables that become visible together.
pub(crate) struct Rewrite {
    pub(crate) tables: BTreeMap<String, Change>,
    /// Whether each table has just the rows that it had.
    pub(crate) same_rows: bool,
    /// Why, for whoever reads the table's history.
    pub(crate) why: &'static str,
}

impl Rewrite {
    fn staged(&self) -> Vec<(String, String)> {
        self.tables.iter().flat_map(|(table, change)| change.add.iter().map(|(file, _)| (table.clone(), file.path.clone()))).collect()
    }
}

/// A change whose outcome is decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Changing {
    number: i64,
    same_rows: bool,
    why: String,
    tables: BTreeMap<String, TableChange>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TableChange {
    schema: Option<StructType>,
    add: Vec<DataFile>,
    remove: Vec<DataFile>,
}

impl Writer {
    /// Replaces files; false (and nothing is changed) when one that is to be removed is gone already.
    pub(crate) async fn rewrite(&mut self, tail: &Tail, rewrite: Rewrite) -> Result<bool, LakeError> {
        self.settle(tail).await?;
        if !self.are_there(&rewrite).await? {
            return Ok(false);
        }
        self.unstage_change().await?;
        self.write(STAGED, &rewrite.staged())?;
        self.step(Step::ChangeStaged)?;
        let number = self.next_number(&rewrite).await?;
        let (same_rows, why) = (rewrite.same_rows, rewrite.why.to_owned());
        let mut tables = BTreeMap::new();
        for (name, change) in rewrite.tables {
            let mut add = Vec::new();
            for (file, bytes) in change.add {
                self.root.put(&name, &file.path, bytes).await?;
                self.step(Step::ChangeFileWritten)?;
                add.push(file);
            }
            let schema = change.schema.map(|schema| kernel_schema(&schema)).transpose()?;
            tables.insert(name, TableChange { schema, add, remove: change.remove });
        }
        let changing = Changing { number, same_rows, why, tables };
        self.write(CHANGE, &changing)?;
        self.changing = Some(changing);
        self.step(Step::ChangeDecided)?;
        self.finish_changing(tail).await?;
        Ok(true)
    }

    async fn are_there(&mut self, rewrite: &Rewrite) -> Result<bool, LakeError> {
        for (name, change) in &rewrite.tables {
            let files = self.table(name).await?.files();
            let known: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
            if !change.remove.iter().all(|file| known.contains(file.path.as_str())) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Above every change that a table of this one has seen: how a restart knows which are done.
    async fn next_number(&mut self, rewrite: &Rewrite) -> Result<i64, LakeError> {
        let app = self.change_app();
        let mut last = 0;
        for name in rewrite.tables.keys() {
            last = last.max(self.table(name).await?.holds(&app).await?.unwrap_or(0));
        }
        Ok(last + 1)
    }

    fn change_app(&self) -> String {
        format!("weft-change-{}", self.log.id())
    }

    /// Carries out a decided change; doing it again after a fault is the same as once.
    pub(crate) async fn finish_changing(&mut self, tail: &Tail) -> Result<(), LakeError> {
        let Some(changing) = self.changing.clone() else { return Ok(()) };
        let mut swapped = BTreeMap::new();
        for (name, change) in &changing.tables {
            if let Some(swap) = self.change_table(name, change, &changing).await? {
                swapped.insert(name.clone(), swap);
            }
            self.step(Step::ChangeCommitted)?;
        }
        tail.refile(swapped);
        self.changing = None;
        self.remove(CHANGE)?;
        self.step(Step::ChangeDone)?;
        self.remove(STAGED)
    }

    async fn change_table(&mut self, name: &str, change: &TableChange, changing: &Changing) -> Result<Option<(SchemaRef, TableFiles)>, LakeError> {
        let app = self.change_app();
        let wanted = change.schema.as_ref().map(|schema| arrow_schema(name, schema)).transpose()?;
        let table = self.table(name).await?;
        if table.version().is_some() {
            table.refresh().await?;
        }
        let known = table.schema();
        let Some(schema) = joined(name, known, wanted)? else { return Ok(None) };
        if table.holds(&app).await?.is_none_or(|held| held < changing.number) {
            let notes: HashMap<String, Value> = HashMap::from([("weftWhy".to_owned(), json!(changing.why))]);
            let (files, removed) = (&*change.add, &*change.remove);
            let same_rows = changing.same_rows;
            let rows = |files: &[DataFile]| files.iter().map(|file| i64::try_from(file.rows).unwrap_or(i64::MAX)).sum::<i64>();
            let gone = rows(removed) - rows(files);
            let addition = Addition { files, removed, same_rows, gone, schema: schema.clone(), app: &app, upto: changing.number, notes };
            let version = table.commit(addition).await?;
            let files = TableFiles::All(table.files());
            self.root.keep_commit(name, version).await?;
            return Ok(Some((schema, files)));
        }
        Ok(Some((schema, TableFiles::All(table.files()))))
    }

    /// Finishes or undoes what a crash left.
    pub(crate) async fn recover_changing(&mut self, tail: &Tail) -> Result<(), LakeError> {
        match self.read(CHANGE)? {
            Some(changing) => {
                self.changing = Some(changing);
                self.finish_changing(tail).await
            }
            None => self.unstage_change().await,
        }
    }

    /// Removes last commits that a power cut tore, of tables whose change is made again.
    pub(crate) fn untear_changing(&self) -> Result<(), LakeError> {
        let changing: Option<Changing> = self.read(CHANGE)?;
        changing.iter().flat_map(|changing| changing.tables.keys()).try_for_each(|table| self.root.remove_torn_commit(table))
    }

    /// Removes new files of a change that was cut off before it was decided.
    async fn unstage_change(&mut self) -> Result<(), LakeError> {
        let staged: Option<Vec<(String, String)>> = self.read(STAGED)?;
        let Some(staged) = staged else { return Ok(()) };
        for (table, path) in staged {
            // INVARIANT: a staged file that is in its table belongs to a change that is done.
            let known = self.table(&table).await?.files().iter().any(|file| file.path == path);
            if !known {
                self.root.remove(&table, &path).await?;
            }
        }
        self.remove(STAGED)
    }
}

fn joined(name: &str, known: Option<SchemaRef>, wanted: Option<SchemaRef>) -> Result<Option<SchemaRef>, LakeError> {
    let conflict = |conflict: schema::Conflict| LakeError::Table { table: name.to_owned(), message: conflict.to_string() };
    Ok(match (known, wanted) {
        (Some(known), Some(wanted)) => Some(schema::widen(&known, &wanted).map_err(conflict)?.unwrap_or(known)),
        (known, wanted) => known.or(wanted),
    })
}
