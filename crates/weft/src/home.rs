//! The mesh's home: a folder with configuration, log, lake and state.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_ingest::{Drops, Mapper, Registry};
use weft_lake::LakeOptions;

use crate::cli::{Common, Fault};
use crate::config::{self, Config};

/// What a running mesh tells the command line beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// `http://…` of console and doors.
    pub address: String,
    /// Token for both.
    pub token: String,
    /// Process.
    pub pid: u32,
}

/// The folder with its configuration.
#[derive(Debug, Clone)]
pub struct Home {
    /// The folder.
    pub dir: PathBuf,
    /// Read and checked.
    pub config: Config,
}

/// Why a path cannot be the home, if it cannot: it need not exist yet.
fn unusable(dir: &Path) -> Option<String> {
    match fs::read_dir(dir) {
        Ok(_) => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Some("is not a folder".to_owned()),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

impl Home {
    /// Reads the configuration; the folder need not exist.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn of(common: &Common) -> Result<Self, Fault> {
        if let Some(reason) = unusable(&common.data) {
            return Err(Fault::misuse(format!("`{}` {reason}; `--data` names the folder of the mesh", common.data.display())));
        }
        let beside = common.data.join("weft.toml");
        let (file, must) = common.config.as_ref().map_or((&beside, false), |file| (file, true));
        let config = match fs::read_to_string(file) {
            Ok(text) => config::parse(&file.display().to_string(), &text).map_err(|faults| Fault::Misuse(faults.iter().map(ToString::to_string).collect()))?,
            Err(error) if must || error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Fault::misuse(format!("`{}` cannot be read: {error}", file.display())));
            }
            Err(_) => Config::default(),
        };
        Ok(Self { dir: common.data.clone(), config })
    }

    /// Makes the folder, for this user alone: it holds what the organisation's tools know.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(&self) -> Result<(), Fault> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|error| Fault::misuse(format!("`{}` cannot be made: {error}", self.dir.display())))
    }

    /// Whether there is a lake to read.
    pub fn exists(&self) -> bool {
        self.dir.join("log").is_dir() || self.dir.join("lake").is_dir() || self.config.lake_url.is_some()
    }

    /// Where the lake is.
    ///
    /// # Errors
    /// The configured URL is none.
    pub fn lake_options(&self) -> Result<LakeOptions, Fault> {
        let mut options = LakeOptions::in_dir(&self.dir).map_err(Fault::failed)?;
        if let Some(url) = &self.config.lake_url {
            options.root = url.parse().map_err(|error| Fault::misuse(format!("`lake.url` `{url}` is not a URL: {error}")))?;
        }
        Ok(options)
    }

    /// The mapping with the organisation's drop policies.
    ///
    /// # Errors
    /// Every fault of the policies, one line each.
    pub fn mapper(&self, registry: Arc<Registry>) -> Result<Mapper, Fault> {
        let drops = Drops::compile(&registry, &self.config.drops).map_err(Fault::Misuse)?;
        Ok(Mapper::new(registry).with_drops(Arc::new(drops)))
    }

    /// The state store's file.
    pub fn state_file(&self) -> PathBuf {
        self.dir.join("state.sqlite")
    }

    fn run_file(&self) -> PathBuf {
        self.dir.join("run.json")
    }

    /// Tells where the mesh runs, readable for this user alone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn announce(&self, run: &RunFile) -> Result<(), Fault> {
        let file = self.run_file();
        let _old = fs::remove_file(&file);
        let mut opened = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)
            .map_err(|error| Fault::failed(format!("`{}`: {error}", file.display())))?;
        Ok(opened.write_all(&serde_json::to_vec(run).map_err(Fault::failed)?)?)
    }

    /// Takes it back.
    pub fn retire(&self) {
        let _gone = fs::remove_file(self.run_file());
    }

    /// The mesh that runs on this home, if its process is there.
    pub fn running(&self) -> Option<RunFile> {
        let run: RunFile = serde_json::from_slice(&fs::read(self.run_file()).ok()?).ok()?;
        Path::new("/proc").join(run.pid.to_string()).exists().then_some(run)
    }
}
