//! Events mapped anew from their raw records, in place of the old ones.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use serde::Serialize;
use weft_model::{EventBatch, Timestamp};

use super::replace::Replaced;
use crate::LakeError;
use crate::lake::Lake;
use crate::table::{DataFile, holds_events, schema, table_name};

/// What becomes of some rows.
pub struct Anew {
    /// For each row whether it stays as it is.
    pub keep: Vec<bool>,
    /// What the others become; as many events as rows that do not stay.
    pub events: Vec<EventBatch>,
}

/// Rows of a table to what they become.
pub type Remap = Arc<dyn Fn(&str, &RecordBatch) -> Anew + Send + Sync>;

/// What was mapped anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Remapped {
    /// Files looked into.
    pub files: u64,
    /// Rows looked at.
    pub rows: u64,
    /// Events that were replaced.
    pub replaced: u64,
    /// Files written anew.
    pub files_changed: u64,
}

impl Lake {
    /// Replaces events of a time range by what `remap` makes of them. Each file is one change, so
    /// that a crash leaves every event once, old or new; doing it again finishes it.
    ///
    /// # Errors
    /// [`LakeError`]; files that were done before stay done.
    pub async fn remap(&self, since: Timestamp, until: Timestamp, remap: Remap) -> Result<Remapped, LakeError> {
        self.commit().await?;
        let _alone = self.0.maintenance.lock().await;
        let mut done = Remapped::default();
        for (table, files) in self.data_files().into_iter().filter(|(table, _)| holds_events(table)) {
            for file in files.iter().filter(|file| overlaps(file, since, until)) {
                let (sender, counted) = std::sync::mpsc::channel();
                let (name, remap, mark) = (table.clone(), Arc::clone(&remap), file.mark.clone());
                let changed = self.replace_file(&table, file, "mapped anew", move |batches| {
                    let made = anew(&name, batches, &*remap, mark)?;
                    // The receiver waits for it below.
                    let _sent = sender.send(made.as_ref().map_or(0, |(_, rows)| *rows));
                    Ok(made.map(|(replaced, _)| replaced))
                });
                let changed = changed.await?;
                done.files += 1;
                done.rows += file.rows;
                done.files_changed += u64::from(changed);
                done.replaced += if changed { counted.try_recv().unwrap_or(0) } else { 0 };
            }
        }
        Ok(done)
    }
}

/// Whether a file may hold events of the range.
fn overlaps(file: &DataFile, since: Timestamp, until: Timestamp) -> bool {
    file.bounds(schema::TIME).is_none_or(|(first, last)| last >= since.0 && first < until.0)
}

fn anew(table: &str, batches: Vec<RecordBatch>, remap: &dyn Fn(&str, &RecordBatch) -> Anew, mark: String) -> Result<Option<(Replaced, u64)>, LakeError> {
    let fault = |message: String| LakeError::Encode { table: table.to_owned(), message };
    let mut replaced = Replaced { mark, ..Replaced::default() };
    let mut count = 0;
    for batch in batches {
        let Anew { keep, events } = remap(table, &batch);
        let gone = keep.iter().filter(|keep| !**keep).count();
        let come: usize = events.iter().map(|events| events.rows.num_rows()).sum();
        if gone != come || keep.len() != batch.num_rows() {
            return Err(fault(format!("{gone} events would become {come}: nothing is changed")));
        }
        count += gone as u64;
        for events in events {
            replaced.more.push((table_name(events.class), crate::tail::with_day(&events.rows).map_err(|conflict| fault(conflict.to_string()))?));
        }
        replaced.keep.push(filter_record_batch(&batch, &BooleanArray::from(keep)).map_err(|error| fault(error.to_string()))?);
    }
    Ok((count > 0).then_some((replaced, count)))
}
