//! Small files beside the tables, and what lies in them.

use std::io::Write as _;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path as StorePath;
use object_store::{ObjectMeta, ObjectStoreExt as _};

use super::store::{Root, sync_up};
use crate::LakeError;
use crate::integrity::twin;

impl Root {
    /// The bytes of a file, if it is there.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Bytes>, LakeError> {
        let fault = |error: object_store::Error| LakeError::Store { path: name.to_owned(), message: error.to_string() };
        match self.store.get(&StorePath::from(name)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(fault),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }

    /// Where a file is on this machine, if the tables are.
    pub(crate) fn path(&self, name: &str) -> Option<std::path::PathBuf> {
        self.local.as_ref().map(|dir| dir.join(name))
    }

    /// Writes a file, or another one in its place, so that a crash leaves the old or the new, whole.
    pub(crate) async fn replace(&self, name: &str, bytes: Vec<u8>) -> Result<(), LakeError> {
        let Some(dir) = &self.local else {
            let put = self.store.put(&StorePath::from(name), bytes.into()).await;
            return put.map(drop).map_err(|error| LakeError::Store { path: name.to_owned(), message: error.to_string() });
        };
        let (dir, file) = (dir.clone(), dir.join(name));
        let written = tokio::task::spawn_blocking(move || {
            // A file in the cold tier stays there.
            let file = std::fs::read_link(&file).unwrap_or(file);
            let folder = file.parent().unwrap_or(&dir).to_owned();
            let known = folder.is_dir();
            std::fs::create_dir_all(&folder)?;
            let new = file.with_file_name(format!(".{}.new", file.file_name().unwrap_or_default().to_string_lossy()));
            let mut out = std::fs::File::create(&new)?;
            out.write_all(&bytes)?;
            out.sync_all()?;
            std::fs::rename(&new, &file)?;
            std::fs::File::open(&folder)?.sync_all()?;
            if known { Ok(()) } else { sync_up(&dir, &folder) }
        });
        written.await.map_err(std::io::Error::other).flatten().map_err(|error| LakeError::of_io(name, &error))
    }

    /// Names and sizes of the files directly in a folder.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, LakeError> {
        let fault = |error: object_store::Error| LakeError::Store { path: folder.to_owned(), message: error.to_string() };
        let listed = self.store.list_with_delimiter(Some(&StorePath::from(folder))).await.map_err(fault)?;
        Ok(listed.objects.into_iter().filter_map(|object| Some((object.location.filename()?.to_owned(), object.size))).collect())
    }

    /// Every file below a folder; paths are those within the root.
    pub(crate) async fn walk(&self, folder: &str) -> Result<Vec<ObjectMeta>, LakeError> {
        let fault = |error: object_store::Error| LakeError::Store { path: folder.to_owned(), message: error.to_string() };
        self.store.list(Some(&StorePath::from(folder))).try_collect().await.map_err(fault)
    }

    /// Makes a commit durable, and a second copy of it.
    pub(crate) async fn keep_commit(&self, table: &str, version: u64) -> Result<(), LakeError> {
        self.sync_commit(table, version)?;
        twin::keep(self, table, version).await
    }
}
