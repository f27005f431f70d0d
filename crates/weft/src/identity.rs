//! The identity graph of a home: plain Parquet in its lake, replaced as a whole; decisions in its state.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use weft_analytics::entity::Known;
use weft_identity::graph::{Builder, Graph, TABLES, Table};
use weft_identity::inventory::Forms;
use weft_identity::person::{Decision, Population, Words};

use crate::cli::Fault;
use crate::content::{self, Files};
use crate::home::Home;
use crate::state::{Sqlite, StateError, StateStore};

/// Setting that holds the decisions about persons.
const DECISIONS: &str = "identity-decisions";
/// File that names the folder that counts.
const CURRENT: &str = "current";

/// The folder.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

/// Held while something changes: two imports at once wait for each other.
pub struct Turn {
    _file: fs::File,
}

/// A graph with its persons.
pub struct People {
    /// The graph.
    pub graph: Graph,
    /// Persons of its accounts.
    pub population: Population,
    /// What was decided so far.
    pub decisions: Vec<Decision>,
}

impl Shelf {
    /// Of a home; the folder need not exist.
    pub fn of(home: &Path) -> Self {
        Self { dir: home.join("lake").join("identity") }
    }

    /// Waits for its turn to change something.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn turn(&self) -> Result<Turn, Fault> {
        let told = |error: io::Error| Fault::failed(format!("`{}` cannot be used: {error}", self.dir.display()));
        fs::create_dir_all(&self.dir).map_err(told)?;
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(self.dir.join(".lock")).map_err(told)?;
        file.lock().map_err(told)?;
        Ok(Turn { _file: file })
    }

    /// Name of the folder that counts; another one after each import, none before the first.
    pub fn stamp(&self) -> Option<String> {
        fs::read_to_string(self.dir.join(CURRENT)).ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty() && !name.contains('/'))
    }

    /// Everything that is kept, to be added to; empty before the first import.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn load(&self) -> Result<Builder, Fault> {
        let mut builder = Builder::default();
        let Some(name) = self.stamp() else { return Ok(builder) };
        for table in TABLES {
            let path = file(&self.dir.join(&name), table);
            for rows in weft_lake::read_plain(&path).map_err(Fault::failed)? {
                let told = |error| Fault::failed(format!("`{}`: {error}; take `{}` away and import the snapshots again", path.display(), self.dir.display()));
                builder.fill(table, &rows.map_err(Fault::failed)?).map_err(told)?;
            }
        }
        Ok(builder)
    }

    /// Keeps a graph in place of what was kept: readers see the old or the new, whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, graph: &Graph, _turn: &Turn) -> Result<(), Fault> {
        let name = format!("graph-{:016x}", rand::random::<u64>());
        let folder = self.dir.join(&name);
        let told = |error: io::Error| Fault::failed(format!("`{}` cannot be written: {error}", self.dir.display()));
        fs::create_dir_all(&folder).map_err(told)?;
        for table in TABLES {
            let mut broken = None;
            let rows = graph.table(table).map_while(|rows| rows.map_err(|error| broken = Some(error)).ok());
            weft_lake::write_plain(&file(&folder, table), rows).map_err(Fault::failed)?;
            if let Some(error) = broken {
                return Err(Fault::failed(error));
            }
        }
        let before = self.stamp();
        let beside = self.dir.join("current.new");
        let moved = fs::File::create(&beside).and_then(|mut file| {
            file.write_all(name.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, self.dir.join(CURRENT))?;
            fs::File::open(&self.dir)?.sync_all()
        });
        moved.map_err(told)?;
        if let Some(before) = before.filter(|before| *before != name) {
            // A reader that has it open goes on; what is left behind counts no more.
            let _gone = fs::remove_dir_all(self.dir.join(before));
        }
        Ok(())
    }
}

fn file(folder: &Path, table: Table) -> PathBuf {
    folder.join(format!("{}.parquet", table.name()))
}

/// What is kept of a home.
///
/// # Errors
/// Nothing was imported.
pub fn imported(home: &Home) -> Result<Shelf, Fault> {
    let shelf = Shelf::of(&home.dir);
    let none = || Fault::misuse(format!("`{}` holds no identities yet; `weft identity import PATH` takes snapshots in", home.dir.display()));
    shelf.stamp().map(|_| shelf).ok_or_else(none)
}

/// The graph of a home with its persons.
///
/// # Errors
/// Nothing was imported, or something cannot be read.
pub async fn people(home: &Home, files: &Files) -> Result<People, Fault> {
    let shelf = imported(home)?;
    let graph = shelf.load()?.finish().map_err(Fault::failed)?;
    let decisions = kept(home).await?;
    let population = Population::of(&graph, &decisions, &words(files)?);
    Ok(People { graph, population, decisions })
}

/// Every name of every person of a home with the one under which findings tell it; none before the first import.
///
/// # Errors
/// Something cannot be read.
pub fn names(home: &Home, decisions: &[Decision]) -> Result<HashMap<String, String>, Fault> {
    let shelf = Shelf::of(&home.dir);
    if shelf.stamp().is_none() {
        return Ok(HashMap::new());
    }
    let words = words(&content::files(&home.dir).map_err(Fault::Misuse)?)?;
    let graph = shelf.load()?.finish().map_err(Fault::failed)?;
    Ok(Population::of(&graph, decisions, &words).names(&graph))
}

/// What is known of entities, persons included.
///
/// # Errors
/// Something cannot be read.
pub async fn entities(home: &Home, files: &Files) -> Result<Known, Fault> {
    let mut known = content::entities(files).map_err(Fault::Misuse)?;
    known.call(names(home, &kept(home).await?)?);
    Ok(known)
}

async fn kept(home: &Home) -> Result<Vec<Decision>, Fault> {
    if !home.state_file().exists() {
        return Ok(Vec::new());
    }
    Ok(decisions(&Sqlite::open(&home.state_file()).await.map_err(Fault::failed)?).await?)
}

/// All decisions about persons so far.
///
/// # Errors
/// The store failed, or holds something else.
pub async fn decisions(state: &dyn StateStore) -> Result<Vec<Decision>, StateError> {
    let Some(kept) = state.setting(DECISIONS).await? else { return Ok(Vec::new()) };
    serde_json::from_str(&kept).map_err(|error| StateError(format!("what was decided about persons cannot be read: {error}")))
}

/// Keeps one more. Whoever decides has had its turn since it looked at persons, so that nobody decided in between.
///
/// # Errors
/// The store failed.
pub async fn decide(home: &Home, decision: &Decision, _turn: &Turn) -> Result<(), Fault> {
    let state = Sqlite::open(&home.state_file()).await.map_err(Fault::failed)?;
    let mut all = decisions(&state).await?;
    all.push(decision.clone());
    let text = serde_json::to_string(&all).map_err(Fault::failed)?;
    Ok(state.set_setting(DECISIONS, &text).await?)
}

/// Logins that are no person's: `content/identity/*.toml`, all of them together.
///
/// # Errors
/// Every file that cannot be read, one line each.
pub fn words(files: &Files) -> Result<Words, Fault> {
    let (mut words, mut faults) = (Words::default(), Vec::new());
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with("content/identity/") && path.ends_with(".toml")) {
        match toml::from_str::<Words>(text) {
            Ok(more) => {
                words.service.extend(more.service);
                words.shared.extend(more.shared);
            }
            Err(error) => faults.push(format!("{path}: {}", error.message())),
        }
    }
    if faults.is_empty() { Ok(words) } else { Err(Fault::Misuse(faults)) }
}

/// Descriptions of snapshots: `inventory/*.toml` of connectors.
///
/// # Errors
/// Every fault, one line each.
pub fn forms(files: &Files) -> Result<Forms, Fault> {
    let described = files.iter().filter_map(|(path, text)| {
        let (tool, _) = path.strip_prefix("connectors/")?.strip_suffix(".toml")?.split_once("/inventory/")?;
        Some((tool, path.as_str(), text.as_str()))
    });
    Forms::compile(described).map_err(|faults| Fault::Misuse(faults.iter().map(ToString::to_string).collect()))
}
