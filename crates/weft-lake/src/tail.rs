//! Events that can be seen but are not in a table yet, and the view over both.
//!
//! INVARIANT: tail and tables change under one lock, and a view is taken under it: there is no
//! moment at which a row is in both or in neither.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array as _, ArrayRef, AsArray, Date32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use weft_model::{Mapped, RawBatch, RawRecord, Timestamp};

use crate::log::Seq;
use crate::table::schema::{self, Conflict, DAY, TIME};
use crate::table::{self, DataFile, REJECTS, REPLAYS, reject_rows, table_name};

/// One table at one moment.
#[derive(Debug, Clone)]
pub(crate) struct TableView {
    /// All columns, the partition column last.
    pub(crate) schema: SchemaRef,
    pub(crate) files: Arc<Vec<Arc<DataFile>>>,
    /// Rows that are not in a file yet; their schemas may have less columns.
    pub(crate) tail: Vec<RecordBatch>,
}

/// All tables at one moment.
pub(crate) type View = BTreeMap<String, TableView>;

/// Rows on their way to a table.
pub(crate) struct Rows {
    pub(crate) table: String,
    pub(crate) rows: RecordBatch,
}

#[derive(Debug)]
struct Known {
    schema: SchemaRef,
    files: Arc<Vec<Arc<DataFile>>>,
}

#[derive(Default)]
struct State {
    tables: BTreeMap<String, Known>,
    tail: BTreeMap<Seq, (usize, Vec<Rows>)>,
    bytes: usize,
}

impl State {
    fn set_files(&mut self, files: BTreeMap<String, (SchemaRef, TableFiles)>) {
        for (table, (schema, change)) in files {
            let known = self.tables.entry(table).or_insert_with(|| Known { schema: Arc::clone(&schema), files: Arc::default() });
            // The commit of a crashed run, or another writer, may have brought columns.
            if let Ok(Some(wider)) = schema::widen(&known.schema, &schema) {
                known.schema = wider;
            }
            known.files = Arc::new(match change {
                TableFiles::More(more) => known.files.iter().cloned().chain(more.into_iter().map(Arc::new)).collect(),
                TableFiles::All(all) => all.into_iter().map(Arc::new).collect(),
            });
        }
    }
}

/// The tables and the tail.
#[derive(Default)]
pub(crate) struct Tail(Mutex<State>);

/// Rows of one table that the next commit writes.
pub(crate) struct Due {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Tail {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what a table has in files.
    pub(crate) fn set_table(&self, name: &str, schema: SchemaRef, files: Vec<DataFile>) {
        let files = Arc::new(files.into_iter().map(Arc::new).collect());
        self.state().tables.insert(name.to_owned(), Known { schema, files });
    }

    /// Makes rows visible; all of them or, when one does not fit its table, none.
    pub(crate) fn publish(&self, seq: Seq, rows: Vec<Rows>) -> Result<(), (String, Conflict)> {
        let bytes = rows.iter().map(|rows| rows.rows.columns().iter().map(held).sum::<usize>()).sum();
        let mut state = self.state();
        let mut wider: BTreeMap<String, SchemaRef> = BTreeMap::new();
        for Rows { table, rows } in &rows {
            let known = wider.get(table).or_else(|| state.tables.get(table).map(|known| &known.schema));
            let schema = match known {
                Some(known) => schema::widen(known, rows.schema_ref()).map_err(|conflict| (table.clone(), conflict))?,
                None => Some(rows.schema()),
            };
            if let Some(schema) = schema {
                wider.insert(table.clone(), schema);
            }
        }
        for (table, schema) in wider {
            state.tables.entry(table).and_modify(|known| known.schema = Arc::clone(&schema)).or_insert_with(|| Known { schema, files: Arc::default() });
        }
        state.bytes += bytes;
        state.tail.insert(seq, (bytes, rows));
        Ok(())
    }

    /// Bytes that the tail keeps in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// What a commit up to `to` has to write.
    pub(crate) fn due(&self, to: Seq) -> BTreeMap<String, Due> {
        let state = self.state();
        let mut due: BTreeMap<String, Due> = BTreeMap::new();
        for Rows { table, rows } in state.tail.range(..=to).flat_map(|(_, (_, rows))| rows) {
            let schema = state.tables.get(table).map_or_else(|| rows.schema(), |known| Arc::clone(&known.schema));
            due.entry(table.clone()).or_insert_with(|| Due { schema, batches: Vec::new() }).batches.push(rows.clone());
        }
        due
    }

    /// Replaces the tail up to `to` by the files it became.
    pub(crate) fn swap(&self, to: Seq, files: BTreeMap<String, (SchemaRef, TableFiles)>) {
        let mut state = self.state();
        let rest = state.tail.split_off(&to.saturating_add(1));
        let gone = std::mem::replace(&mut state.tail, rest);
        state.bytes = state.bytes.saturating_sub(gone.values().map(|(bytes, _)| bytes).sum());
        state.set_files(files);
        drop(state);
        // Freeing the rows takes time that queries should not wait for.
        drop(gone);
    }

    /// Files are other ones now, with the tail as it is.
    pub(crate) fn refile(&self, files: BTreeMap<String, (SchemaRef, TableFiles)>) {
        self.state().set_files(files);
    }

    /// Columns of a table.
    pub(crate) fn schema(&self, table: &str) -> Option<SchemaRef> {
        self.state().tables.get(table).map(|known| Arc::clone(&known.schema))
    }

    /// Everything at this moment.
    pub(crate) fn view(&self) -> View {
        let state = self.state();
        let tables = state
            .tables
            .iter()
            .map(|(name, known)| (name.clone(), TableView { schema: Arc::clone(&known.schema), files: Arc::clone(&known.files), tail: Vec::new() }));
        let mut view: View = tables.collect();
        for Rows { table, rows } in state.tail.values().flat_map(|(_, rows)| rows) {
            if let Some(table) = view.get_mut(table) {
                table.tail.push(rows.clone());
            }
        }
        view
    }
}

/// How the files of a table changed.
pub(crate) enum TableFiles {
    /// These are new.
    More(Vec<DataFile>),
    /// Somebody else committed too: these are all.
    All(Vec<DataFile>),
}

/// Mapped events and rejects as rows of their tables.
pub(crate) fn rows_of(mapped: &Mapped, received: Timestamp) -> Result<Vec<Rows>, (String, Conflict)> {
    let mut all = Vec::with_capacity(mapped.batches.len() + 1);
    for batch in mapped.batches.iter().filter(|batch| batch.rows.num_rows() > 0) {
        let table = table_name(batch.class);
        let rows = with_day(&batch.rows).map_err(|conflict| (table.clone(), conflict))?;
        all.push(Rows { table, rows });
    }
    if !mapped.rejects.is_empty() {
        let rows = reject_rows(&mapped.rejects, received.0).map_err(conflict).and_then(|rows| with_day(&rows));
        all.push(Rows { table: REJECTS.to_owned(), rows: rows.map_err(|conflict| (REJECTS.to_owned(), conflict))? });
    }
    Ok(all)
}

/// Rejects that became events leave the list.
pub(crate) fn replay_rows<'r>(batch: &RawBatch, mended: impl Iterator<Item = &'r RawRecord>) -> Result<Option<Rows>, (String, Conflict)> {
    let of_table = |conflict: Conflict| (REPLAYS.to_owned(), conflict);
    let rows = table::replay_rows(batch, mended).map_err(|error| of_table(conflict(error)))?;
    let rows = with_day(&rows).map_err(of_table)?;
    Ok((rows.num_rows() > 0).then(|| Rows { table: REPLAYS.to_owned(), rows }))
}

/// The rows in the types that a table keeps, with the partition column derived from `time`.
pub(crate) fn with_day(rows: &RecordBatch) -> Result<RecordBatch, Conflict> {
    let schema = schema::table_schema_of(rows.schema_ref());
    let time = rows.column_by_name(TIME).map(|time| cast(time, &DataType::Int64)).transpose().map_err(conflict)?;
    let Some(time) = time else {
        return Err(Conflict { column: TIME.to_owned(), old: "required".to_owned(), new: "absent".to_owned() });
    };
    // Without a time an event is of the first day: kept and found, instead of being refused.
    let day: Date32Array = time.as_primitive::<Int64Type>().iter().map(|ms| Some(Timestamp(ms.unwrap_or(0)).day())).collect();
    let body = schema::adapt(rows, &schema::file_schema(&schema)).map_err(conflict)?;
    let columns: Vec<ArrayRef> = body.columns().iter().cloned().chain([Arc::new(day) as ArrayRef]).collect();
    debug_assert!(schema.fields().last().is_some_and(|field| field.name() == DAY));
    RecordBatch::try_new(schema, columns).map_err(conflict)
}

fn conflict(error: ArrowError) -> Conflict {
    Conflict { column: "*".to_owned(), old: "representable".to_owned(), new: error.to_string() }
}

/// Bytes that an array keeps in memory; one without any value is a window on an array that all share.
fn held(array: &ArrayRef) -> usize {
    if array.null_count() == array.len() {
        return 0;
    }
    match (array.as_struct_opt(), array.as_list_opt::<i32>()) {
        (Some(object), _) => object.columns().iter().map(held).sum(),
        (_, Some(list)) => size_of_val(list.value_offsets()) + held(list.values()),
        _ => array.get_array_memory_size(),
    }
}
