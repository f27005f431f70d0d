//! Opening: lock, checkpoint, scan, and the frames that are not committed yet.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use weft_model::{Position, SourceId};

use super::appender::Appender;
use super::disk::{self, Disk};
use super::frame::{Frame, Outline, Seq};
use super::segment::{self, Damage, Sealed};
use super::{BUDGET_UNIT, Dedup, Log, LogError, LogOptions, Logged, Shared, State, Writer};
use crate::ledger::{Book, Entry, Ledger};

const LOCK: &str = "lock";
const ID: &str = "id";
const CHECKPOINT: &str = "checkpoint.json";
const FORM: &str = "form";
/// Form of what is written here; it grows when an earlier version could not read it.
const FORM_NOW: u32 = 2;

/// Up to where the lake holds everything.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    committed: Seq,
    positions: BTreeMap<SourceId, Position>,
    #[serde(default)]
    ledger: Ledger,
}

/// What was found when the log was opened.
pub struct Recovery {
    /// Damaged places with good frames behind them: these records are lost to the lake, their
    /// bytes are kept for a person.
    pub damaged: Vec<Damage>,
    /// The end of the last segment, written when the power went and never acknowledged.
    pub torn: Option<Damage>,
    log: Log,
    source: FrameSource,
}

impl Recovery {
    /// The frames that are not committed, in order, read from the disk one segment at a time.
    /// Each must be published, else it holds up the commit.
    pub fn logged(&self) -> impl Iterator<Item = Result<Logged, LogError>> + '_ {
        let shared = Arc::clone(&self.log.shared);
        // An intent that was rolled forward after the scan has committed some of them.
        let committed = self.log.committed();
        self.source.frames().filter(move |frame| frame.as_ref().map_or(true, |frame| frame.seq > committed)).map(move |frame| {
            let frame = frame?;
            Ok(Logged { seq: frame.seq, kind: frame.kind, batch: Some(frame.batch), shared: Arc::clone(&shared) })
        })
    }

    /// Number of frames that are not published yet.
    pub fn frames(&self) -> usize {
        self.log.outstanding()
    }
}

#[derive(Clone)]
struct FrameSource {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    key: u32,
    after: Seq,
    names: Vec<String>,
}

/// Frames of a log that somebody else may be writing.
pub type Frames<'a> = Box<dyn Iterator<Item = Result<Frame, LogError>> + 'a>;

impl FrameSource {
    fn frames(&self) -> Frames<'_> {
        Box::new(self.names.iter().flat_map(|name| match self.disk.read(&self.dir.join(name)) {
            Ok(bytes) => segment::scan::<Frame>(&Bytes::from(bytes), self.key, self.after).frames.into_iter().map(Ok).collect(),
            // The writer has committed and removed it since we listed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => vec![Err(read_error(&self.dir.join(name), &error))],
        }))
    }
}

/// Reads the frames of a log that another process may be writing, without its lock: those that
/// were not committed when we looked.
///
/// # Errors
/// [`LogError::Read`] when the directory is not there or not a log.
pub fn read(dir: &Path) -> Result<Vec<Frame>, LogError> {
    let disk: Arc<dyn Disk> = Arc::new(super::LocalDisk);
    let id = String::from_utf8(disk.read(&dir.join(ID)).map_err(|error| read_error(&dir.join(ID), &error))?).unwrap_or_default();
    let after = read_checkpoint(&*disk, dir)?.committed;
    let names = segment_names(&*disk, dir)?;
    let source = FrameSource { disk, dir: dir.to_owned(), key: key(&id), after, names };
    source.frames().collect()
}

impl Log {
    /// Opens or creates the log in `dir` and finds what is not committed.
    ///
    /// # Errors
    /// [`LogError::Locked`] when another process has it; [`LogError::Read`] and
    /// [`LogError::Write`] when the directory cannot be used. Damaged frames are no error, they
    /// are reported in the [`Recovery`].
    pub fn open(dir: &Path, options: LogOptions) -> Result<(Self, Recovery), LogError> {
        let disk = Arc::clone(&options.disk);
        disk.create_dir(dir).map_err(|error| read_error(dir, &error))?;
        let lock = lock(dir)?;
        let id = log_id(&*disk, dir)?;
        check_form(&*disk, dir)?;
        let checkpoint = read_checkpoint(&*disk, dir)?;
        let mut found = scan_all(&*disk, dir, key(&id), checkpoint.committed)?;
        let mut window = Dedup::new(options.dedup_ids);
        let retired = read_retired(&*disk, dir, &mut window)?;
        found.sealed.iter().flat_map(|sealed| &sealed.ids).for_each(|id| {
            window.insert(*id);
        });
        let state = State {
            committed: checkpoint.committed,
            last: found.last.max(checkpoint.committed),
            outstanding: found.outstanding.iter().copied().collect(),
            positions: checkpoint.positions,
            ahead: std::mem::take(&mut found.ahead),
            book: Book::new(checkpoint.ledger, std::mem::take(&mut found.entries)),
            ..State::default()
        };
        let next = state.last.saturating_add(1);
        let source = FrameSource { disk: Arc::clone(&disk), dir: dir.to_owned(), key: key(&id), after: checkpoint.committed, names: found.names() };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            key: key(&id),
            id,
            disk,
            dedup_ids: options.dedup_ids,
            renew: std::sync::atomic::AtomicBool::new(false),
            sealed: Mutex::new(found.sealed.into()),
            retired: Mutex::new(retired.into()),
            state: Mutex::new(state),
        });
        let log = start(shared, lock, window, next, options)?;
        let recovery = Recovery { damaged: found.damaged, torn: found.torn, log: log.clone(), source };
        Ok((log, recovery))
    }
}

fn start(shared: Arc<Shared>, lock: Option<File>, window: Dedup, next: Seq, options: LogOptions) -> Result<Log, LogError> {
    let (requests, incoming) = mpsc::channel(options.queue_batches_max.max(1));
    let bytes_max = options.queue_bytes_max.max(BUDGET_UNIT);
    let bytes = Arc::new(Semaphore::new(bytes_max / BUDGET_UNIT));
    let appender = Appender { shared: Arc::clone(&shared), options, window, next, active: None, buffer: Vec::new() };
    let thread = std::thread::Builder::new().name("weft-log".to_owned()).spawn(move || appender.run(incoming));
    let thread = thread.map_err(|error| LogError::Write { message: error.to_string() })?;
    let writer = Arc::new(Writer { requests: Some(requests), thread: Some(thread), _lock: lock });
    Ok(Log { writer, bytes, bytes_max, shared })
}

#[derive(Default)]
struct Found {
    sealed: Vec<Sealed>,
    outstanding: Vec<Seq>,
    ahead: BTreeMap<Seq, (SourceId, Position)>,
    entries: BTreeMap<Seq, Entry>,
    last: Seq,
    damaged: Vec<Damage>,
    torn: Option<Damage>,
}

impl Found {
    fn names(&self) -> Vec<String> {
        self.sealed.iter().map(|sealed| sealed.name.clone()).collect()
    }
}

/// Segments that are read ahead of the one that is looked through.
const READ_AHEAD: usize = 1;

fn scan_all(disk: &dyn Disk, dir: &Path, key: u32, committed: Seq) -> Result<Found, LogError> {
    let mut found = Found::default();
    let names = segment_names(disk, dir)?;
    std::thread::scope(|scope| {
        let (read, next) = sync_channel(READ_AHEAD);
        let names = names.as_slice();
        let ahead = move || names.iter().all(|name| read.send(disk.read(&dir.join(name))).is_ok());
        let reader = std::thread::Builder::new().name("weft-log-read".to_owned()).spawn_scoped(scope, ahead);
        reader.map_err(|error| read_error(dir, &error))?;
        scan_each(disk, dir, names, &next, &mut found, (key, committed))
    })?;
    remove_empty(disk, dir, &mut found)?;
    Ok(found)
}

fn scan_each(
    disk: &dyn Disk,
    dir: &Path,
    names: &[String],
    read: &Receiver<io::Result<Vec<u8>>>,
    found: &mut Found,
    (key, committed): (u32, Seq),
) -> Result<(), LogError> {
    for (index, name) in names.iter().enumerate() {
        let path = dir.join(name);
        let bytes = read.recv().unwrap_or_else(|_| disk.read(&path));
        let bytes = Bytes::from(bytes.map_err(|error| read_error(&path, &error))?);
        let mut scan = segment::scan::<Outline>(&bytes, key, found.last);
        if let Some(at) = scan.torn.take() {
            let last_segment = index + 1 == names.len();
            if last_segment {
                found.torn = Some(Damage { segment: name.clone(), offset: at as u64, bytes: (bytes.len() - at) as u64, saved: None });
                disk.truncate(&path, at as u64).map_err(|error| read_error(&path, &error))?;
            } else {
                scan.damaged.push((at, bytes.len()));
            }
        }
        found.damaged.extend(scan.damaged.iter().map(|&(from, to)| segment::quarantine(disk, dir, name, &bytes, from, to)));
        take_frames(found, name, scan.frames, committed);
    }
    Ok(())
}

fn take_frames(found: &mut Found, name: &str, frames: Vec<Outline>, committed: Seq) {
    let first = segment::first(name).unwrap_or(0);
    let mut sealed = Sealed { name: name.to_owned(), first, last: first.saturating_sub(1), ids: Vec::new() };
    for frame in frames {
        sealed.last = frame.seq;
        found.last = frame.seq;
        sealed.ids.extend(frame.ids);
        if frame.seq > committed {
            found.outstanding.push(frame.seq);
            found.entries.insert(frame.seq, Entry::durable(frame.origin, frame.records, frame.kind, frame.duplicates));
            found.ahead.extend(frame.next.map(|next| (frame.seq, next)));
        }
    }
    found.sealed.push(sealed);
}

/// A segment without frames would be in the way of the next one, which has the same name.
fn remove_empty(disk: &dyn Disk, dir: &Path, found: &mut Found) -> Result<(), LogError> {
    for sealed in found.sealed.extract_if(.., |sealed| sealed.last < sealed.first) {
        if found.damaged.iter().any(|damage| damage.segment == sealed.name && damage.saved.is_none()) {
            return Err(LogError::Read {
                path: dir.join(&sealed.name).display().to_string(),
                message: "it is damaged and could not be copied aside".to_owned(),
            });
        }
        disk::remove(disk, dir, &sealed.name).map_err(|error| read_error(&dir.join(&sealed.name), &error))?;
    }
    Ok(())
}

fn segment_names(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, LogError> {
    let mut names = disk.list(dir).map_err(|error| read_error(dir, &error))?;
    names.retain(|name| segment::first(name).is_some());
    names.sort_unstable();
    Ok(names)
}

/// Remembers the ids of segments that are gone; gives their files with the number of ids in each.
fn read_retired(disk: &dyn Disk, dir: &Path, window: &mut Dedup) -> Result<Vec<(String, usize)>, LogError> {
    let mut retired = Vec::new();
    for name in retired_names(disk, dir).map_err(|error| read_error(dir, &error))? {
        let bytes = disk.read(&dir.join(&name)).map_err(|error| read_error(&dir.join(&name), &error))?;
        // A damaged one only weakens deduplication of retries that are long over.
        let ids = segment::read_ids(&bytes).unwrap_or_default();
        retired.push((name, ids.len()));
        for id in ids {
            window.insert(id);
        }
    }
    Ok(retired)
}

fn retired_names(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<String>> {
    let mut names = disk.list(dir)?;
    names.retain(|name| name.ends_with(".ids"));
    names.sort_unstable();
    Ok(names)
}

/// Frees sealed segments up to `to`; keeps the ids that the window still needs.
pub(super) fn retire(shared: &Shared, to: Seq) -> io::Result<()> {
    let (disk, dir) = (&*shared.disk, &*shared.dir);
    let mut retired = shared.retired.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(segment) = shared.sealed().pop_front_if(|sealed| sealed.last <= to) else { break };
        match segment::retire(disk, dir, &segment) {
            Ok(ids) => retired.extend(ids.map(|name| (name, segment.ids.len()))),
            Err(error) => {
                shared.sealed().push_front(segment);
                return Err(error);
            }
        }
    }
    // The newest files that fill the window stay.
    let mut kept: usize = retired.iter().map(|(_, ids)| ids).sum();
    while let Some((name, ids)) = retired.front().filter(|(_, ids)| kept - ids >= shared.dedup_ids) {
        disk::remove(disk, dir, name)?;
        kept -= ids;
        retired.pop_front();
    }
    Ok(())
}

pub(super) fn write_checkpoint(disk: &dyn Disk, dir: &Path, committed: Seq, positions: &BTreeMap<SourceId, Position>, ledger: &Ledger) -> io::Result<()> {
    let json = serde_json::to_vec(&Checkpoint { committed, positions: positions.clone(), ledger: ledger.clone() })?;
    disk::replace(disk, dir, CHECKPOINT, &json)
}

fn read_checkpoint(disk: &dyn Disk, dir: &Path) -> Result<Checkpoint, LogError> {
    let path = dir.join(CHECKPOINT);
    match disk.read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| LogError::Read { path: path.display().to_string(), message: error.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Checkpoint::default()),
        Err(error) => Err(read_error(&path, &error)),
    }
}

/// The random name of the log, made at its first opening.
fn log_id(disk: &dyn Disk, dir: &Path) -> Result<String, LogError> {
    let path = dir.join(ID);
    match disk.read(&path) {
        Ok(id) if id.len() == 32 => return Ok(String::from_utf8_lossy(&id).into_owned()),
        Ok(_) => return Err(LogError::Read { path: path.display().to_string(), message: "it is damaged, it must hold 32 hexadecimal digits".to_owned() }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(read_error(&path, &error)),
        Err(_) => {}
    }
    if !segment_names(disk, dir)?.is_empty() {
        return Err(LogError::Read { path: path.display().to_string(), message: "it is missing, but there are segments that need it".to_owned() });
    }
    let id = uuid::Uuid::new_v4().simple().to_string();
    disk::replace(disk, dir, ID, id.as_bytes()).map_err(|error| read_error(&path, &error))?;
    Ok(id)
}

/// Refuses what a later version wrote, and marks what this one writes.
fn check_form(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let path = dir.join(FORM);
    let form: u32 = match disk.read(&path) {
        Ok(bytes) => std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u32::MAX),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 1,
        Err(error) => return Err(read_error(&path, &error)),
    };
    if form > FORM_NOW {
        let message = format!("it was written by a later version of weft, in a form that this one does not know (it knows up to {FORM_NOW}): use that version");
        return Err(LogError::Read { path: dir.display().to_string(), message });
    }
    if form < FORM_NOW {
        disk::replace(disk, dir, FORM, FORM_NOW.to_string().as_bytes()).map_err(|error| read_error(&path, &error))?;
    }
    Ok(())
}

/// Start value of the checksums.
fn key(id: &str) -> u32 {
    crc32fast::hash(id.as_bytes())
}

fn lock(dir: &Path) -> Result<Option<File>, LogError> {
    if !dir.is_dir() {
        // A disk that is not of this machine has no other processes.
        return Ok(None);
    }
    let path = dir.join(LOCK);
    let mut file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(|error| read_error(&path, &error))?;
    match file.try_lock() {
        Ok(()) => {
            let _advisory = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(Some(file))
        }
        Err(fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _advisory = file.read_to_string(&mut pid);
            Err(LogError::Locked { dir: dir.display().to_string(), pid })
        }
        Err(fs::TryLockError::Error(error)) => Err(read_error(&path, &error)),
    }
}

fn read_error(path: &Path, error: &io::Error) -> LogError {
    LogError::Read { path: path.display().to_string(), message: error.to_string() }
}
