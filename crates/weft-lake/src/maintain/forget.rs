//! Every trace of a person taken out of the lake, and the proof that none is left.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arrow::array::BooleanArray;
use arrow::compute::{filter_record_batch, not};
use serde::Serialize;

use super::replace::Replaced;
use super::{decode, texts};
use crate::LakeError;
use crate::integrity::twin;
use crate::lake::Lake;

/// Shortest identifier: a shorter one would stand in everything.
pub const IDENTIFIER_BYTES_MIN: usize = 4;

/// What was taken out of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Table.
    pub table: String,
    /// Rows that named the person.
    pub rows: u64,
    /// Files that held them.
    pub files: u64,
    /// BLAKE3 of these files.
    pub digests: Vec<String>,
}

/// Where an identifier still stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Files that were read, with what is packed in them.
    pub files: u64,
    /// Those that hold the identifier.
    pub found: Vec<String>,
}

impl Lake {
    /// Takes out every row that names the identifier anywhere, also in its raw record, whatever the
    /// case of its letters. Older versions of the tables lose their files in [`Lake::purge`].
    ///
    /// # Errors
    /// [`LakeError`]; doing it again goes on.
    pub async fn forget(&self, identifier: &str, dry: bool) -> Result<Vec<Forgotten>, LakeError> {
        self.commit().await?;
        let _alone = self.0.maintenance.lock().await;
        let mut all = Vec::new();
        for (table, files) in self.data_files() {
            let mut forgotten = Forgotten { table: table.clone(), rows: 0, files: 0, digests: Vec::new() };
            for file in files {
                let (sender, counted) = std::sync::mpsc::channel();
                let (wanted, mark, name) = (identifier.to_owned(), file.mark.clone(), table.clone());
                self.replace_file(&table, &file, "forgotten", move |batches| {
                    let fault = |error: arrow::error::ArrowError| LakeError::Encode { table: name.clone(), message: error.to_string() };
                    let (mut keep, mut rows) = (Vec::new(), 0);
                    for batch in batches {
                        let found: BooleanArray = texts::rows_with(&batch, &wanted);
                        rows += found.true_count() as u64;
                        keep.push(filter_record_batch(&batch, &not(&found).map_err(fault)?).map_err(fault)?);
                    }
                    // The receiver waits for it below.
                    let _sent = sender.send(rows);
                    Ok((rows > 0 && !dry).then_some(Replaced { keep, more: Vec::new(), mark }))
                })
                .await?;
                let rows = counted.try_recv().unwrap_or(0);
                if rows > 0 {
                    forgotten.rows += rows;
                    forgotten.files += 1;
                    forgotten.digests.push(file.digest.clone());
                }
            }
            if forgotten.rows > 0 {
                all.push(forgotten);
            }
        }
        Ok(all)
    }

    /// Begins a new segment of the log with the next frame, so that the commit after it frees all
    /// that was written before.
    pub fn renew_log(&self) {
        self.0.log.renew();
    }

    /// Removes everything that is kept for a while only: files of older versions, damaged bytes that
    /// were set aside. Queries that began before may fail.
    ///
    /// # Errors
    /// [`LakeError`] when something cannot be removed.
    pub async fn purge(&self) -> Result<u64, LakeError> {
        let mut removed = self.vacuum(SystemTime::now() + std::time::Duration::from_secs(1)).await?.files as u64;
        for (table, _) in self.data_files() {
            let folder = format!("{table}/{}/quarantine", twin::FOLDER);
            for (name, _) in self.0.root.list(&folder).await? {
                self.0.root.remove(&table, &format!("{}/quarantine/{name}", twin::FOLDER)).await?;
                removed += 1;
            }
        }
        let aside = self.0.log.dir().join("quarantine");
        for entry in std::fs::read_dir(&aside).into_iter().flatten().flatten() {
            std::fs::remove_file(entry.path()).map_err(|error| LakeError::of_io(&entry.path().display().to_string(), &error))?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// Looks for an identifier in every file below a folder, in its bytes and, for Parquet, in what is
/// packed in it.
///
/// # Errors
/// [`LakeError`] when a file cannot be read.
pub fn prove(folder: &Path, identifier: &str) -> Result<Proof, LakeError> {
    let mut proof = Proof::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| LakeError::of_io(&folder.display().to_string(), &error))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                proof.files += 1;
                if names(&path, identifier)? {
                    proof.found.push(path.display().to_string());
                }
            }
        }
    }
    proof.found.sort();
    Ok(proof)
}

fn names(path: &PathBuf, identifier: &str) -> Result<bool, LakeError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        // Gone since it was listed.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(LakeError::of_io(&path.display().to_string(), &error)),
    };
    if texts::contains(&bytes, identifier.as_bytes()) {
        return Ok(true);
    }
    let is_data = path.extension().is_some_and(|extension| extension == "parquet") && !path.components().any(|part| part.as_os_str() == "_delta_log");
    if !is_data {
        return Ok(false);
    }
    let batches = decode("", bytes.into()).unwrap_or_default();
    Ok(batches.iter().any(|batch| texts::rows_with(batch, identifier).true_count() > 0))
}
