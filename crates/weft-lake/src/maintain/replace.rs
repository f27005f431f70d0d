//! Rows of a file taken out, altered, or mapped anew, as one change.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;

use super::{files, rows};
use crate::LakeError;
use crate::lake::Lake;
use crate::rewrite::{Change, Rewrite};
use crate::table::DataFile;

/// What becomes of the rows of a file.
#[derive(Default)]
pub(crate) struct Replaced {
    /// Rows of the same table.
    pub(crate) keep: Vec<RecordBatch>,
    /// Rows of any table, with the partition column.
    pub(crate) more: Vec<(String, RecordBatch)>,
    /// What is to be known about the new file.
    pub(crate) mark: String,
}

impl Lake {
    /// Replaces a file by what its rows become; false when `becomes` gives nothing, or when the
    /// file was replaced by somebody else meanwhile.
    pub(crate) async fn replace_file<F>(&self, table: &str, file: &DataFile, why: &'static str, becomes: F) -> Result<bool, LakeError>
    where
        F: FnOnce(Vec<RecordBatch>) -> Result<Option<Replaced>, LakeError> + Send + 'static,
    {
        let batches = rows(&self.0.checked, table, file).await?;
        let made = tokio::task::spawn_blocking(move || becomes(batches)).await;
        let made = made.map_err(|error| LakeError::Encode { table: table.to_owned(), message: error.to_string() })??;
        let Some(Replaced { keep, more, mark }) = made else { return Ok(false) };
        let mut tables: BTreeMap<String, Vec<RecordBatch>> = BTreeMap::new();
        tables.insert(table.to_owned(), keep.into_iter().filter(|batch| batch.num_rows() > 0).collect());
        for (name, batch) in more.into_iter().filter(|(_, batch)| batch.num_rows() > 0) {
            tables.entry(name).or_default().push(batch);
        }
        let mut changes = BTreeMap::new();
        for (name, batches) in tables {
            let mut change = Change { remove: if name == table { vec![file.clone()] } else { Vec::new() }, ..Change::default() };
            if !batches.is_empty() {
                let (schema, mut add) = files(&name, self.table_schema(&name), batches).await?;
                if name == table {
                    add.iter_mut().for_each(|(file, _)| file.mark.clone_from(&mark));
                }
                (change.schema, change.add) = (Some(schema), add);
            }
            changes.insert(name, change);
        }
        let rewrite = Rewrite { tables: changes, same_rows: false, why };
        self.0.writer.lock().await.rewrite(&self.0.tail, rewrite).await
    }

    /// Takes whole files out of a table.
    pub(crate) async fn drop_files(&self, table: &str, files: Vec<DataFile>, why: &'static str) -> Result<bool, LakeError> {
        let change = Change { remove: files, ..Change::default() };
        let rewrite = Rewrite { tables: BTreeMap::from([(table.to_owned(), change)]), same_rows: false, why };
        self.0.writer.lock().await.rewrite(&self.0.tail, rewrite).await
    }
}
