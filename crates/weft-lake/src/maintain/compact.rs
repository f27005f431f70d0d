//! Small files of a day become large ones, sorted by time.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{by_day, files, rows};
use crate::LakeError;
use crate::lake::Lake;
use crate::rewrite::{Change, Rewrite};
use crate::table::DataFile;

/// What is compacted, and into what.
#[derive(Debug, Clone, Copy)]
pub struct CompactOptions {
    /// Bytes of a file that is large enough to be left alone. A merge holds about eight times as
    /// much in memory.
    pub file_bytes: u64,
    /// Rows of a file at most, whatever their size.
    pub file_rows: u64,
    /// Fewest files that are worth a merge.
    pub files_min: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self { file_bytes: 32 << 20, file_rows: 2_000_000, files_min: 4 }
    }
}

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Files that were merged.
    pub files_before: usize,
    /// Files that they became.
    pub files_after: usize,
    /// Rows in them.
    pub rows: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
}

/// Files that become one each.
pub(crate) fn plan(all: &[DataFile], options: &CompactOptions) -> Vec<Vec<DataFile>> {
    let mut groups = Vec::new();
    for (_, files) in by_day(all) {
        let mut small: BTreeMap<String, Vec<DataFile>> = BTreeMap::new();
        for file in files.into_iter().filter(|file| file.size < options.file_bytes / 2 && file.rows < options.file_rows / 2) {
            small.entry(file.mark.clone()).or_default().push(file);
        }
        for (_, files) in small {
            groups.extend(merge(files, options).into_iter().filter(|group| group.len() >= options.files_min.max(2)));
        }
    }
    groups
}

/// Neighbours in time, as many as fit.
fn merge(mut files: Vec<DataFile>, options: &CompactOptions) -> Vec<Vec<DataFile>> {
    files.sort_by_key(|file| (file.bounds(crate::table::schema::TIME), file.path.clone()));
    let mut groups: Vec<Vec<DataFile>> = Vec::new();
    let (mut bytes, mut rows) = (u64::MAX, u64::MAX);
    for file in files {
        (bytes, rows) = (bytes.saturating_add(file.size), rows.saturating_add(file.rows));
        if bytes > options.file_bytes || rows > options.file_rows {
            groups.push(Vec::new());
            (bytes, rows) = (file.size, file.rows);
        }
        if let Some(group) = groups.last_mut() {
            group.push(file);
        }
    }
    groups
}

impl Lake {
    /// Merges small files, one group after another; each is in place when the next begins. What
    /// cannot be read is left as it is.
    ///
    /// # Errors
    /// [`LakeError`]; what was merged before stays merged.
    pub async fn compact(&self, options: &CompactOptions) -> Result<Compacted, LakeError> {
        let _alone = self.0.maintenance.lock().await;
        let mut done = Compacted::default();
        for (table, all) in self.data_files() {
            for group in plan(&all, options) {
                match self.merge_group(&table, &group).await {
                    Ok(Some(merged)) => done.add(&merged),
                    Ok(None) => {}
                    Err(error @ (LakeError::Store { .. } | LakeError::Encode { .. })) => tracing::warn!(%error, table, "files were not compacted"),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(done)
    }

    async fn merge_group(&self, table: &str, group: &[DataFile]) -> Result<Option<Compacted>, LakeError> {
        let mut batches = Vec::new();
        for file in group {
            batches.extend(rows(&self.0.checked, table, file).await?);
        }
        let (schema, mut add) = files(table, self.table_schema(table), batches).await?;
        let mark = group.first().map(|file| file.mark.clone()).unwrap_or_default();
        add.iter_mut().for_each(|(file, _)| file.mark.clone_from(&mark));
        let sum = |files: &mut dyn Iterator<Item = &DataFile>| files.fold((0, 0, 0), |sum, file| (sum.0 + 1, sum.1 + file.rows, sum.2 + file.size));
        let (before, after) = (sum(&mut group.iter()), sum(&mut add.iter().map(|(file, _)| file)));
        if before.1 != after.1 {
            let message = format!("a merge would make {} rows of {}: the files stay as they are, please report this", after.1, before.1);
            return Err(LakeError::Table { table: table.to_owned(), message });
        }
        let change = Change { remove: group.to_vec(), add, schema: Some(schema) };
        let rewrite = Rewrite { tables: BTreeMap::from([(table.to_owned(), change)]), same_rows: true, why: "compaction" };
        let replaced = self.0.writer.lock().await.rewrite(&self.0.tail, rewrite).await?;
        let merged = Compacted { files_before: before.0, files_after: after.0, rows: before.1, bytes_before: before.2, bytes_after: after.2 };
        Ok(replaced.then_some(merged))
    }
}

impl Compacted {
    fn add(&mut self, other: &Self) {
        self.files_before += other.files_before;
        self.files_after += other.files_after;
        self.rows += other.rows;
        self.bytes_before += other.bytes_before;
        self.bytes_after += other.bytes_after;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(day: i32, time: i64, size: u64) -> DataFile {
        let stats = json!({"minValues": {"time": time}, "maxValues": {"time": time + 5}});
        DataFile { path: format!("{day}-{time}"), size, rows: 10, day, stats, digest: String::new(), seal: String::new(), mark: String::new() }
    }

    #[test]
    fn neighbours_of_a_day_are_merged_up_to_the_size() {
        let options = CompactOptions { file_bytes: 100, file_rows: 1000, files_min: 2 };
        let files = [file(1, 30, 40), file(1, 10, 40), file(1, 20, 40), file(1, 40, 10), file(1, 0, 99), file(2, 0, 10), file(3, 0, 10), file(3, 1, 10)];
        let plan: Vec<Vec<String>> = plan(&files, &options).into_iter().map(|group| group.into_iter().map(|file| file.path).collect()).collect();
        assert_eq!(plan, [vec!["1-10", "1-20"], vec!["1-30", "1-40"], vec!["3-0", "3-1"]]);
    }

    #[test]
    fn few_files_are_not_worth_it() {
        let files = [file(1, 0, 1), file(1, 1, 1), file(1, 2, 1)];
        assert!(plan(&files, &CompactOptions::default()).is_empty());
        assert_eq!(plan(&files, &CompactOptions { files_min: 3, ..CompactOptions::default() }).len(), 1);
    }
}
