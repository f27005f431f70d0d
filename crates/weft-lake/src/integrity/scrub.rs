//! Every byte that is stored is read and compared with its digest; what is wrong is mended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use serde::Serialize;

use super::seal::{Seal, hex};
use super::{DamagedFile, Outcome, twin};
use crate::LakeError;
use crate::lake::Lake;
use crate::maintain;
use crate::rewrite::{Change, Rewrite};
use crate::table::DataFile;

/// How a scrub goes about.
#[derive(Debug, Clone, Default)]
pub struct ScrubOptions {
    /// Mend what is damaged; else it is only told.
    pub repair: bool,
    /// Folders that hold copies of the lake, whole files of which may take a damaged one's place.
    pub copies: Vec<PathBuf>,
    /// Rest after each file, so that others come first.
    pub pause: Duration,
}

/// What a scrub saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scrubbed {
    /// Data files that were read.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Data files of other engines, which have no digest.
    pub without_digest: usize,
    /// What is not what was written.
    pub damaged: Vec<DamagedFile>,
}

impl Lake {
    /// Reads everything; a damaged file is told, and with [`ScrubOptions::repair`] mended from its
    /// own redundancy, from a copy, or by keeping the rows that are whole.
    ///
    /// # Errors
    /// [`LakeError`] when the storage itself fails; damage is no error.
    pub async fn scrub(&self, options: &ScrubOptions) -> Result<Scrubbed, LakeError> {
        let _alone = self.0.maintenance.lock().await;
        let mut seen = Scrubbed::default();
        for (table, files) in self.data_files() {
            self.scrub_log(&table, options, &mut seen).await?;
            for file in files {
                if file.digest.is_empty() {
                    seen.without_digest += 1;
                    continue;
                }
                seen.files += 1;
                seen.bytes += file.size;
                if let Some(damage) = self.scrub_file(&table, &file, options).await? {
                    tracing::error!(table, path = damage.path, damage.what, outcome = ?damage.outcome, rows_lost = damage.rows_lost, "a damaged file");
                    seen.damaged.push(damage);
                }
                tokio::time::sleep(options.pause).await;
            }
        }
        Ok(seen)
    }

    /// Damage that was met by queries since the start and is not repaired yet.
    pub fn damages(&self) -> Vec<DamagedFile> {
        self.0.checked.damages().all()
    }

    async fn scrub_log(&self, table: &str, options: &ScrubOptions, seen: &mut Scrubbed) -> Result<(), LakeError> {
        for found in twin::examine(&self.0.root, table, true, options.repair).await? {
            let outcome = match (found.lost, options.repair) {
                (true, _) => Outcome::Lost,
                (false, true) => Outcome::Repaired,
                (false, false) => Outcome::Found,
            };
            seen.damaged.push(DamagedFile { table: table.to_owned(), path: found.path, what: found.what, outcome, rows: 0, rows_lost: 0, kept: None });
        }
        Ok(())
    }

    async fn scrub_file(&self, table: &str, file: &DataFile, options: &ScrubOptions) -> Result<Option<DamagedFile>, LakeError> {
        let stored = self.raw_bytes(table, file).await?;
        let (known, bytes) = (file.clone(), stored.clone());
        let found =
            tokio::task::spawn_blocking(move || bytes.as_ref().is_none_or(|bytes| hex(bytes) != known.digest).then(|| describe(&known, bytes.as_ref())));
        let Some(what) = found.await.map_err(|error| LakeError::Store { path: file.path.clone(), message: error.to_string() })? else { return Ok(None) };
        let mut damage =
            DamagedFile { table: table.to_owned(), path: file.path.clone(), what, outcome: Outcome::Found, rows: file.rows, rows_lost: 0, kept: None };
        if !options.repair {
            return Ok(Some(damage));
        }
        let whole = match mend(file, stored.clone()).await {
            Some(whole) => Some(whole),
            None => copy_of(table, file, &options.copies).await,
        };
        if let Some(bytes) = &stored {
            let name = file.path.replace('/', "-");
            let kept = format!("{table}/{}/quarantine/{name}", twin::FOLDER);
            self.0.root.replace(&kept, bytes.to_vec()).await?;
            damage.kept = Some(kept);
        }
        match whole {
            Some(bytes) => {
                self.0.root.replace(&format!("{table}/{}", file.path), bytes).await?;
                damage.outcome = Outcome::Repaired;
            }
            None => self.salvage(table, file, stored, &mut damage).await?,
        }
        self.0.checked.unlearn(&format!("{table}/{}", file.path));
        self.0.checked.damages().forget(table, &file.path);
        Ok(Some(damage))
    }

    /// The bytes as they are, without any check.
    async fn raw_bytes(&self, table: &str, file: &DataFile) -> Result<Option<Bytes>, LakeError> {
        self.0.root.get(&format!("{table}/{}", file.path)).await
    }

    /// Puts the rows of whole row groups in a new file in place of this one.
    async fn salvage(&self, table: &str, file: &DataFile, stored: Option<Bytes>, damage: &mut DamagedFile) -> Result<(), LakeError> {
        let Some(seal) = file.seal() else {
            // Without digests of its parts nobody can tell which rows are whole: left for a person.
            return Ok(());
        };
        let size = file.size;
        let read = tokio::task::spawn_blocking(move || stored.map(|bytes| whole_rows(&bytes, size, &seal)).unwrap_or_default()).await;
        let batches = read.unwrap_or_default();
        let saved: u64 = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let (schema, add) = maintain::files(table, self.table_schema(table), batches).await?;
        let change = Change { remove: vec![file.clone()], schema: (!add.is_empty()).then_some(schema), add };
        let rewrite = Rewrite { tables: BTreeMap::from([(table.to_owned(), change)]), same_rows: false, why: "damage" };
        if self.0.writer.lock().await.rewrite(&self.0.tail, rewrite).await? {
            self.0.root.remove(table, &file.path).await?;
            damage.rows_lost = file.rows.saturating_sub(saved);
            damage.outcome = if saved > 0 { Outcome::Salvaged } else { Outcome::Lost };
            damage.what = format!("{}; {} of {} rows are lost", damage.what, damage.rows_lost, file.rows);
        }
        Ok(())
    }
}

/// What is wrong, as exactly as the seal can tell.
fn describe(file: &DataFile, bytes: Option<&Bytes>) -> String {
    let Some(bytes) = bytes else { return "it is missing".to_owned() };
    if bytes.len() as u64 != file.size {
        return format!("it has {} bytes instead of {}", bytes.len(), file.size);
    }
    let Some(seal) = file.seal() else { return "bytes are not those that were written".to_owned() };
    let Some(blocks) = seal.damaged(bytes) else { return "its footer is not what was written".to_owned() };
    let [first, .., last] = blocks.as_slice() else {
        return match blocks.first() {
            Some(only) => format!("bytes {} to {} are not what was written", seal.block(*only).start, seal.block(*only).end),
            None => "its redundancy is not what was written; its rows are whole".to_owned(),
        };
    };
    format!("{} blocks between bytes {} and {} are not what was written", blocks.len(), seal.block(*first).start, seal.block(*last).end)
}

async fn mend(file: &DataFile, stored: Option<Bytes>) -> Option<Vec<u8>> {
    let (seal, bytes, size, digest) = (file.seal()?, stored?, file.size, file.digest.clone());
    tokio::task::spawn_blocking(move || seal.mend(&bytes, size, &digest)).await.ok().flatten()
}

async fn copy_of(table: &str, file: &DataFile, copies: &[PathBuf]) -> Option<Vec<u8>> {
    for folder in copies {
        // The folder may be the lake itself or the home that it is in.
        for path in [folder.join(table).join(&file.path), folder.join("lake").join(table).join(&file.path)] {
            let bytes = tokio::fs::read(path).await.unwrap_or_default();
            if hex(&bytes) == file.digest {
                return Some(bytes);
            }
        }
    }
    None
}

/// Rows of the row groups that no damage touches.
fn whole_rows(stored: &Bytes, size: u64, seal: &Seal) -> Vec<RecordBatch> {
    let mut padded = stored.to_vec();
    padded.resize(usize::try_from(size).unwrap_or(0), 0);
    let Some(damaged) = seal.damaged(&padded) else { return Vec::new() };
    let Some(metadata) = seal.footers(&padded).into_iter().find_map(|footer| ParquetMetaDataReader::decode_metadata(footer).ok()) else { return Vec::new() };
    let whole: Vec<usize> = (0..metadata.num_row_groups()).filter(|group| !is_touched(&metadata, *group, &damaged, seal)).collect();
    read_groups(padded.into(), metadata, whole).unwrap_or_default()
}

fn is_touched(metadata: &ParquetMetaData, group: usize, damaged: &[usize], seal: &Seal) -> bool {
    let chunks = metadata.row_groups().get(group).map(|group| group.columns()).unwrap_or_default();
    chunks.iter().any(|chunk| {
        let (start, length) = chunk.byte_range();
        let blocks = seal.touched(&(start..start + length));
        damaged.iter().any(|block| blocks.contains(block))
    })
}

fn read_groups(bytes: Bytes, metadata: ParquetMetaData, groups: Vec<usize>) -> Option<Vec<RecordBatch>> {
    let metadata = ArrowReaderMetadata::try_new(std::sync::Arc::new(metadata), ArrowReaderOptions::new()).ok()?;
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata).with_row_groups(groups).build().ok()?;
    let batches = reader.collect::<Result<Vec<_>, _>>().ok()?;
    batches.iter().map(|batch| crate::tail::with_day(batch).ok()).collect()
}
