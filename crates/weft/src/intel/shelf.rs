//! The files under `intel/`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use weft_analytics::intel::pack::{Known, Writer};
use weft_analytics::intel::{Build, Intel, Lists, Pack, warning};

/// Most bytes of a source, unpacked.
const PACK_BYTES_MAX: u64 = 8 << 30;
/// How hard sources are packed: they are read at every start.
const LEVEL: i32 = 3;

/// The folder.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

/// Held while something changes: two imports at once wait for each other.
pub struct Turn {
    _file: fs::File,
}

impl Shelf {
    /// Of a home; the folder need not exist.
    pub fn of(home: &Path) -> Self {
        Self { dir: home.join("intel") }
    }

    /// A name that can be that of a file.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn name(name: &str) -> Result<String, String> {
        let fits = !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if fits { Ok(name.to_owned()) } else { Err(format!("`{name}` is no name for a source; give one of letters, digits, `-`, `_` and `.` with `--source`")) }
    }

    /// Waits for its turn to change something.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn turn(&self) -> Result<Turn, String> {
        let told = |error: io::Error| format!("`{}` cannot be used: {error}", self.dir.display());
        fs::create_dir_all(self.dir.join("sources")).map_err(told)?;
        fs::create_dir_all(self.dir.join("lists")).map_err(told)?;
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(self.dir.join(".lock")).map_err(told)?;
        file.lock().map_err(told)?;
        Ok(Turn { _file: file })
    }

    /// Names of the sources, in order.
    pub fn sources(&self) -> Vec<String> {
        names(&self.dir.join("sources"), ".ti")
    }

    /// Names of the warning lists, in order.
    pub fn list_names(&self) -> Vec<String> {
        names(&self.dir.join("lists"), ".json")
    }

    /// How far a collection was read for a source; nothing of another place that it came from before. Blocking.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_to(&self, source: &str, origin: &str) -> Result<String, String> {
        let pack = self.pack(source)?.filter(|pack| pack.origin() == origin);
        Ok(pack.map(|pack| pack.position().to_owned()).unwrap_or_default())
    }

    /// All of a source; none when it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn pack(&self, source: &str) -> Result<Option<Pack>, String> {
        let path = self.source_file(source);
        let told = |error: io::Error| format!("`{}` cannot be read: {error}", path.display());
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(error)),
        };
        let mut bytes = Vec::new();
        zstd::Decoder::new(file).map_err(told)?.take(PACK_BYTES_MAX).read_to_end(&mut bytes).map_err(told)?;
        Pack::of_bytes(&bytes).map(Some).map_err(|reason| format!("`{}` {reason}", path.display()))
    }

    /// Everything that can be read, and what cannot.
    pub fn packs(&self) -> (Vec<Pack>, Vec<String>) {
        let (mut packs, mut faults) = (Vec::new(), Vec::new());
        for source in self.sources() {
            match self.pack(&source) {
                Ok(pack) => packs.extend(pack),
                Err(fault) => faults.push(fault),
            }
        }
        (packs, faults)
    }

    /// Everything, for matching; a source that cannot be read is left out and told.
    pub fn intel(&self) -> (Intel, Vec<String>) {
        let (packs, mut faults) = self.packs();
        let mut build = Build::default();
        build.reserve(packs.iter().map(Pack::len).sum());
        faults.extend(packs.iter().filter_map(|pack| pack.build(&mut build).err()));
        (build.finish(), faults)
    }

    /// The warning lists, and what of them cannot be read.
    pub fn lists(&self) -> (Lists, Vec<String>) {
        let (mut lists, mut faults) = (Vec::new(), Vec::new());
        for name in self.list_names() {
            let path = self.list_file(&name);
            let read = fs::read(&path).map_err(|error| format!("cannot be read: {error}")).and_then(|bytes| warning::parse(&bytes));
            match read {
                Ok(list) => lists.push(list),
                Err(reason) => faults.push(format!("`{}` {reason}", path.display())),
            }
        }
        (Lists::of(lists), faults)
    }

    /// What sources know that indicators point at.
    pub fn known(&self) -> BTreeMap<String, Known> {
        let (packs, _) = self.packs();
        packs.into_iter().flat_map(|pack| pack.known().clone()).collect()
    }

    /// Keeps a source, in place of what was kept of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, pack: &Pack, _turn: &Turn) -> Result<(), String> {
        let bytes = pack.to_bytes()?;
        self.write(&self.source_file(pack.source()), |out| zstd::stream::copy_encode(bytes.as_slice(), out, LEVEL))
    }

    /// Keeps a warning list under a name of its own.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_list(&self, name: &str, bytes: &[u8], _turn: &Turn) -> Result<(), String> {
        self.write(&self.list_file(name), |mut out| out.write_all(bytes))
    }

    /// Asks the warning lists anew for every source; how many are suppressed now.
    ///
    /// # Errors
    /// A source cannot be read or written.
    pub fn apply_lists(&self, lists: &Lists, turn: &Turn) -> Result<(), String> {
        for source in self.sources() {
            if let Some(pack) = self.pack(&source)? {
                self.keep(&Writer::anew(&pack, lists)?, turn)?;
            }
        }
        Ok(())
    }

    /// Removes a source or a warning list; false when there is none of this name.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &str, _turn: &Turn) -> Result<bool, String> {
        let mut any = false;
        for path in [self.source_file(name), self.list_file(name)] {
            match fs::remove_file(&path) {
                Ok(()) => any = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("`{}` cannot be removed: {error}", path.display())),
            }
        }
        Ok(any)
    }

    /// Tells a running mesh that something is different.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn changed(&self, _turn: &Turn) -> Result<(), String> {
        let stamp = format!("{:032x}", rand::random::<u128>());
        self.write(&self.dir.join("stamp"), |mut out| out.write_all(stamp.as_bytes()))
    }

    /// Another text after each change; none before the first.
    pub fn stamp(&self) -> Option<String> {
        fs::read_to_string(self.dir.join("stamp")).ok()
    }

    fn source_file(&self, source: &str) -> PathBuf {
        self.dir.join("sources").join(format!("{source}.ti"))
    }

    fn list_file(&self, name: &str) -> PathBuf {
        self.dir.join("lists").join(format!("{name}.json"))
    }

    /// Written beside and moved into place: a reader sees the old or the new, whole.
    fn write(&self, path: &Path, fill: impl FnOnce(&fs::File) -> io::Result<()>) -> Result<(), String> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let written = fs::File::create(&beside).and_then(|file| {
            fill(&file)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            fs::File::open(path.parent().unwrap_or(&self.dir))?.sync_all()
        });
        written.map_err(|error| format!("`{}` cannot be written: {error}", path.display()))
    }
}

fn names(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(ending).map(str::to_owned)).collect();
    names.sort();
    names
}
