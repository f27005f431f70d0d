//! Where the tables are: a local directory or an object store, behind one root.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deltalake::logstore::{StorageConfig, logstore_for, store_for};
use futures::TryStreamExt as _;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt as _};
use url::Url;

use crate::LakeError;

/// The root of the lake.
#[derive(Clone)]
pub(crate) struct Root {
    url: Url,
    options: HashMap<String, String>,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The directory, when it is one: then we sync what we write ourselves.
    pub(super) local: Option<PathBuf>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url.fmt(f)
    }
}

impl Root {
    /// Opens a root; a local directory is created.
    pub(crate) fn open(url: &Url, options: &HashMap<String, String>) -> Result<Self, LakeError> {
        let mut url = url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let fault = |message: String| LakeError::Store { path: url.to_string(), message };
        let local = match url.scheme() {
            "file" => Some(url.to_file_path().map_err(|()| fault("it is not a path of this machine".to_owned()))?),
            _ => None,
        };
        if let Some(dir) = &local {
            std::fs::create_dir_all(dir).map_err(|error| fault(error.to_string()))?;
        }
        super::cloud::register();
        let store = store_for(&url, options.iter()).map_err(|error| fault(error.to_string()))?;
        Ok(Self { url, options: options.clone(), store, local })
    }

    pub(crate) fn log_store(&self, table: &str) -> Result<deltalake::logstore::LogStoreRef, LakeError> {
        let fault = |message: String| LakeError::Store { path: format!("{}{table}", self.url), message };
        let url = self.url.join(&format!("{table}/")).map_err(|error| fault(error.to_string()))?;
        let config = StorageConfig::parse_options(self.options.iter()).map_err(|error| fault(error.to_string()))?;
        logstore_for(&url, config).map_err(|error| fault(error.to_string()))
    }

    /// Names of the folders that hold a Delta log.
    pub(crate) async fn tables(&self) -> Result<Vec<String>, LakeError> {
        let fault = |error: object_store::Error| LakeError::Store { path: self.url.to_string(), message: error.to_string() };
        let listed = self.store.list_with_delimiter(None).await.map_err(fault)?;
        let mut names = Vec::new();
        for prefix in listed.common_prefixes {
            let Some(name) = prefix.filename() else { continue };
            let log = prefix.clone().join("_delta_log");
            if self.store.list(Some(&log)).try_next().await.map_err(fault)?.is_some() {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Writes a file so that it is durable when this returns.
    pub(crate) async fn put(&self, table: &str, path: &str, bytes: Vec<u8>) -> Result<(), LakeError> {
        let name = format!("{table}/{path}");
        match &self.local {
            Some(dir) => {
                let (dir, file) = (dir.clone(), dir.join(&name));
                let written = tokio::task::spawn_blocking(move || write_synced(&dir, &file, &bytes)).await;
                written.map_err(std::io::Error::other).flatten().map_err(|error| LakeError::of_io(&name, &error))
            }
            None => match self.store.put(&StorePath::from(name.as_str()), bytes.into()).await {
                Ok(_) => Ok(()),
                Err(error) => Err(LakeError::Store { path: name, message: error.to_string() }),
            },
        }
    }

    /// Removes a file; one that is not there is no fault.
    pub(crate) async fn remove(&self, table: &str, path: &str) -> Result<(), LakeError> {
        let name = format!("{table}/{path}");
        if let Some(cold) = self.path(&name).and_then(|file| std::fs::read_link(file).ok()) {
            std::fs::remove_file(&cold).map_err(|error| LakeError::of_io(&cold.display().to_string(), &error))?;
        }
        match self.store.delete(&StorePath::from(name.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(LakeError::Store { path: name, message: error.to_string() }),
        }
    }

    /// Makes a Delta commit durable: the table format's own writer does not sync.
    pub(crate) fn sync_commit(&self, table: &str, version: u64) -> Result<(), LakeError> {
        let Some(dir) = &self.local else { return Ok(()) };
        let log = dir.join(table).join("_delta_log");
        let name = format!("{version:020}.json");
        std::fs::File::open(log.join(&name)).and_then(|file| file.sync_all()).and_then(|()| sync_up(dir, &log)).map_err(|error| LakeError::of_io(&name, &error))
    }

    /// Removes a last Delta commit that a power cut left empty or torn. Only called when an
    /// intent says that this very commit will be made again.
    pub(crate) fn remove_torn_commit(&self, table: &str) -> Result<(), LakeError> {
        let Some(dir) = &self.local else { return Ok(()) };
        let log = dir.join(table).join("_delta_log");
        let Ok(entries) = std::fs::read_dir(&log) else { return Ok(()) };
        let last = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "json")).max();
        let Some(last) = last else { return Ok(()) };
        let whole = std::fs::read_to_string(&last).is_ok_and(|text| {
            !text.trim().is_empty() && text.lines().all(|line| line.is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok())
        });
        if whole {
            return Ok(());
        }
        tracing::warn!(commit = %last.display(), "removing a commit that was cut off by a crash; it is made again");
        std::fs::remove_file(&last).map_err(|error| LakeError::of_io(&last.display().to_string(), &error))
    }
}

fn write_synced(root: &Path, file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(root);
    let known = folder.is_dir();
    std::fs::create_dir_all(folder)?;
    let mut out = std::fs::File::create_new(file)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::File::open(folder)?.sync_all()?;
    if known { Ok(()) } else { sync_up(root, folder) }
}

/// Syncs the directories from `folder` up to `root`, so that new names survive.
pub(super) fn sync_up(root: &Path, folder: &Path) -> std::io::Result<()> {
    for dir in folder.ancestors() {
        std::fs::File::open(dir)?.sync_all()?;
        if dir == root {
            break;
        }
    }
    Ok(())
}
