//! Files that no table names any more.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::LakeError;
use crate::integrity::twin;
use crate::lake::Lake;
use crate::past;

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Vacuumed {
    /// Data files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Lake {
    /// Removes data files that no table names and that were written before `before`. Queries that
    /// began earlier may still read them, and older versions of a table need them: choose a time
    /// that both have left behind.
    ///
    /// # Errors
    /// [`LakeError`] when a folder cannot be listed or a file cannot be removed.
    pub async fn vacuum(&self, before: SystemTime) -> Result<Vacuumed, LakeError> {
        let _alone = self.0.maintenance.lock().await;
        // No file is half way to its table while the writer is ours.
        let mut writer = self.0.writer.lock().await;
        writer.settle(&self.0.tail).await?;
        let mut done = Vacuumed::default();
        for (table, files) in self.data_files() {
            let known: BTreeSet<String> = files.iter().map(|file| format!("{table}/{}", file.path)).collect();
            for object in self.0.root.walk(&table).await? {
                let path = object.location.to_string();
                let ours = path.ends_with(".parquet") && !path.contains("/_");
                let written = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(object.last_modified.timestamp_millis()).unwrap_or(0));
                // An index goes with its file.
                if past::data_file(&path).is_some_and(|file| !known.contains(&file)) {
                    self.0.root.remove(&table, path.strip_prefix(&format!("{table}/")).unwrap_or(&path)).await?;
                    continue;
                }
                if ours && !known.contains(&path) && written < before {
                    let within = path.strip_prefix(&format!("{table}/")).unwrap_or(&path).to_owned();
                    self.0.root.remove(&table, &within).await?;
                    self.0.checked.unlearn(&path);
                    done.files += 1;
                    done.bytes += object.size;
                }
            }
            twin::tidy(&self.0.root, &table).await?;
        }
        Ok(done)
    }
}
