//! Old data files in a folder of cheaper storage, in the same table.
//!
//! Delta names files relative to the table, and few engines follow anything else. So the file moves
//! and a symbolic link stays in its place: one table for every reader, the same bytes, the same
//! digests. The link takes the file's place by one rename, after the copy is synced.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use weft_model::Timestamp;

use super::bytes;
use crate::LakeError;
use crate::lake::Lake;

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tiered {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Lake {
    /// Moves data files of days before that of `before` into a folder.
    ///
    /// # Errors
    /// [`LakeError`] when the lake is on an object store, which has classes of storage itself, or
    /// the folder cannot be written; what was moved before stays moved.
    pub async fn tier(&self, cold: &Path, before: Timestamp) -> Result<Tiered, LakeError> {
        let _alone = self.0.maintenance.lock().await;
        let cold = std::path::absolute(cold).map_err(|error| LakeError::of_io(&cold.display().to_string(), &error))?;
        let mut done = Tiered::default();
        for (table, files) in self.data_files() {
            for file in files.into_iter().filter(|file| file.day < before.day()) {
                let Some(hot) = self.0.root.path(&format!("{table}/{}", file.path)) else {
                    let message = "the lake is on an object store: give its classes of storage a lifecycle rule there".to_owned();
                    return Err(LakeError::Store { path: cold.display().to_string(), message });
                };
                if hot.is_symlink() {
                    continue;
                }
                let (bytes, target) = (bytes(&self.0.checked, &table, &file).await?, cold.join(&table).join(&file.path));
                let moved = tokio::task::spawn_blocking(move || relocate(&hot, &target, &bytes)).await;
                moved.map_err(std::io::Error::other).flatten().map_err(|error| LakeError::of_io(&file.path, &error))?;
                done.files += 1;
                done.bytes += file.size;
            }
        }
        Ok(done)
    }
}

fn relocate(hot: &Path, target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = target.parent().unwrap_or(target);
    std::fs::create_dir_all(folder)?;
    let new = beside(target, "new");
    let mut out = std::fs::File::create(&new)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::rename(&new, target)?;
    std::fs::File::open(folder)?.sync_all()?;
    let link = beside(hot, "link");
    let _left = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(target, &link)?;
    std::fs::rename(&link, hot)?;
    hot.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!(".{}.{ending}", path.file_name().unwrap_or_default().to_string_lossy()))
}
