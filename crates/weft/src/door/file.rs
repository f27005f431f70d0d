//! Files that grow: followed by inode, through rotation by renaming and by copying and truncating.
//!
//! Looks instead of listening: it works on every file system, and half a second is soon enough.
//! The place of a record is the file's identity and offset, so that reading it again after a
//! crash doubles nothing. Compressed files and archives are read once, when they are whole.

mod follower;
mod position;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use weft_model::{Position, SourceId, StreamId};

use super::{Ingress, all_stored};
use follower::Follower;
pub use position::Place;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Files that one entry of the configuration may follow.
const FILES_MAX: usize = 1024;
/// Folders below a folder.
const DEPTH_MAX: usize = 8;
/// Endings of files that are read once and not followed.
const WHOLE: [&str; 5] = ["gz", "zst", "zip", "evtx", "xz"];

/// One entry of the configuration at work.
pub struct Follow {
    /// The way to the log.
    pub ingress: Ingress,
    /// A file, a folder, or a folder with a pattern as last part.
    pub path: PathBuf,
    /// Mapping of the records.
    pub stream: StreamId,
    /// How far each source was read before.
    pub positions: BTreeMap<SourceId, Position>,
    /// Tells to stop.
    pub stop: CancellationToken,
    /// Reads a file that is a container; gives whether all of it is durable.
    pub whole: ReadWhole,
}

/// Reads a whole file; the error is for a person.
pub type ReadWhole = Box<dyn Fn(&Path) -> Result<(), String> + Send>;

impl Follow {
    /// Looks until told to stop; runs on a thread of its own.
    pub fn run(mut self, runtime: &tokio::runtime::Handle) {
        let mut followed: BTreeMap<PathBuf, Follower> = BTreeMap::new();
        let mut told = false;
        while !self.stop.is_cancelled() {
            let found = files(&self.path);
            if let (Err(error), false) = (&found, told) {
                tracing::warn!(path = %self.path.display(), %error, "cannot be read; looking again until it can");
            }
            told = found.is_err();
            let more = self.look(found.unwrap_or_default(), &mut followed, runtime);
            if !more {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// One round over all files, a bounded piece of each: fair among them. True when there is more.
    pub(crate) fn look(&mut self, found: Vec<PathBuf>, followed: &mut BTreeMap<PathBuf, Follower>, runtime: &tokio::runtime::Handle) -> bool {
        let gone: Vec<PathBuf> = followed.keys().filter(|path| !found.contains(path)).cloned().collect();
        let mut more = false;
        for path in gone {
            if let Some(mut follower) = followed.remove(&path) {
                self.drain(&mut follower, runtime);
            }
        }
        for path in found {
            if is_whole(&path) {
                self.read_whole(&path);
                continue;
            }
            if followed.get(&path).is_some_and(|follower| follower.is_rotated(&path))
                && let Some(mut old) = followed.remove(&path)
            {
                self.drain(&mut old, runtime);
            }
            if !followed.contains_key(&path) {
                match self.begin(&path, runtime) {
                    Ok(follower) => drop(followed.insert(path.clone(), follower)),
                    Err(error) => tracing::debug!(path = %path.display(), %error, "cannot be opened"),
                }
            }
            if let Some(follower) = followed.get_mut(&path) {
                more |= self.step(follower, false, runtime);
            }
        }
        more
    }

    /// Opens a file where it was left; what was renamed away meanwhile is read to its end first.
    fn begin(&self, path: &Path, runtime: &tokio::runtime::Handle) -> std::io::Result<Follower> {
        let source = source_of(path);
        let place = self.positions.get(&source).and_then(|position| Place::parse(&position.0));
        let here = fs::metadata(path)?;
        if let Some(place) = &place
            && (place.device, place.inode) != (here.dev(), here.ino())
            && let Some(renamed) = siblings(path).into_iter().find(|other| place.is_of(other))
        {
            let mut old = Follower::open(&renamed, source.clone(), Some(place), self.ingress.limits.record_bytes_max)?;
            self.drain(&mut old, runtime);
        }
        Follower::open(path, source, place.as_ref(), self.ingress.limits.record_bytes_max)
    }

    fn drain(&self, follower: &mut Follower, runtime: &tokio::runtime::Handle) {
        while !self.stop.is_cancelled() && self.step(follower, true, runtime) {}
    }

    /// Reads one piece and waits until it is durable; true when there may be more.
    fn step(&self, follower: &mut Follower, last: bool, runtime: &tokio::runtime::Handle) -> bool {
        let piece = match follower.read(&self.stream, last) {
            Ok(Some(piece)) => piece,
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(source = %follower.source, %error, "cannot be read further now");
                return false;
            }
        };
        let stored = runtime.block_on(async {
            let mut stored = Vec::new();
            for batch in piece.batches {
                match self.ingress.queue.push(batch).await {
                    Ok(one) => stored.push(one),
                    Err(_) => return false,
                }
            }
            all_stored(stored).await
        });
        if stored {
            follower.advance(piece.next);
        }
        stored && piece.more
    }

    fn read_whole(&mut self, path: &Path) {
        let source = source_of(path);
        let Ok(metadata) = fs::metadata(path) else { return };
        let mark = Position(format!("whole {} {}", metadata.len(), metadata.mtime()));
        if self.positions.get(&source) == Some(&mark) {
            return;
        }
        match (self.whole)(path) {
            Ok(()) => drop(self.positions.insert(source, mark)),
            Err(error) => tracing::warn!(path = %path.display(), error, "cannot be read; looking again"),
        }
    }
}

fn source_of(path: &Path) -> SourceId {
    format!("file:{}", path.display()).as_str().into()
}

fn is_whole(path: &Path) -> bool {
    path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| WHOLE.contains(&ending.to_ascii_lowercase().as_str()))
}

fn siblings(path: &Path) -> Vec<PathBuf> {
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).take(FILES_MAX).collect()
}

/// The files that a path of the configuration means now.
///
/// # Errors
/// The file or folder cannot be read.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut found = Vec::new();
    if name.contains('*') {
        let folder = path.parent().unwrap_or(Path::new("."));
        walk(folder, 0, &mut found)?;
        found.retain(|file| file.file_name().and_then(|file| file.to_str()).is_some_and(|file| matches(name, file)));
    } else if path.is_dir() {
        walk(path, 1, &mut found)?;
    } else {
        fs::metadata(path)?;
        found.push(path.to_owned());
    }
    found.sort();
    if found.len() > FILES_MAX {
        tracing::warn!(path = %path.display(), files = found.len(), max = FILES_MAX, "too many files, the first by name are followed");
        found.truncate(FILES_MAX);
    }
    Ok(found)
}

/// Depth 0 stays in the folder itself.
fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() {
            found.push(entry.path());
        } else if kind.is_dir() && (1..DEPTH_MAX).contains(&depth) {
            // A folder that may not be read hides its own files only.
            let _unreadable = walk(&entry.path(), depth + 1, found);
        }
    }
    Ok(())
}

/// `*` stands for any characters, also none.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
