//! Files, folders and archives.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use weft_model::{Context, RejectCause};

use super::{Framing, Piece, Splitter, evtx};

/// Archives within archives.
const NESTING_MAX: usize = 3;
/// A container may unpack to this many bytes whatever its size …
const UNPACKED_FREE_BYTES: u64 = 256 << 20;
/// … and beyond that to this many times its size.
const RATIO_MAX: u64 = 400;
/// Largest EVTX file that is read, since its chunks refer to one another, bytes.
const EVTX_BYTES_MAX: u64 = 1 << 30;
/// Members of one archive.
const MEMBERS_MAX: usize = 100_000;
const BUFFER_BYTES: usize = 256 << 10;

/// Reads a file, a folder (all files below it, in order of name) or, for `-`, standard input.
///
/// # Errors
/// When the path itself cannot be read; faults inside are given as pieces.
pub fn read(path: &Path, framing: &Framing, take: &mut dyn FnMut(Piece)) -> std::io::Result<()> {
    if path.as_os_str() == "-" {
        let opened = Opened { name: "-".to_owned(), packed: u64::MAX / RATIO_MAX, framing };
        opened.container(Box::new(std::io::stdin().lock()), 0, take);
        return Ok(());
    }
    if std::fs::metadata(path)?.is_dir() {
        return folder(path, framing, take);
    }
    let file = File::open(path)?;
    let packed = file.metadata()?.len();
    let opened = Opened { name: path.to_string_lossy().into_owned(), packed, framing };
    if ends(&opened.name, ".zip") {
        opened.zip(file, 0, take);
    } else {
        opened.container(Box::new(file), 0, take);
    }
    Ok(())
}

/// Reads what a container holds; `packed` is its size, bytes, by which it may unpack.
pub fn read_container(name: &str, packed: u64, reader: impl Read, framing: &Framing, take: &mut dyn FnMut(Piece)) {
    Opened { name: name.to_owned(), packed, framing }.container(Box::new(reader), 0, take);
}

fn folder(path: &Path, framing: &Framing, take: &mut dyn FnMut(Piece)) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // Links are not followed: they could lead out of the folder, or around in it.
        let kind = std::fs::symlink_metadata(&entry)?.file_type();
        if hidden || kind.is_symlink() {
            continue;
        }
        if let Err(error) = read(&entry, framing, take) {
            let context = Context { file: Some(entry.to_string_lossy().as_ref().into()), ..Context::default() };
            take(Piece::Context(Arc::new(context)));
            take(Piece::Fault { at: 0, cause: RejectCause::Container, message: format!("`{}` cannot be read: {error}", entry.display()), raw: Bytes::new() });
        }
    }
    Ok(())
}

fn ends(name: &str, suffix: &str) -> bool {
    name.len().checked_sub(suffix.len()).and_then(|start| name.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

struct Opened<'f> {
    name: String,
    packed: u64,
    framing: &'f Framing,
}

impl Opened<'_> {
    /// Unpacks by the first bytes, which do not lie, rather than by the name.
    fn container(&self, reader: Box<dyn Read + '_>, depth: usize, take: &mut dyn FnMut(Piece)) {
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        let head = match std::io::BufRead::fill_buf(&mut reader) {
            Ok(head) => head.get(..8.min(head.len())).unwrap_or(head).to_vec(),
            Err(error) => return self.broken(&error, take),
        };
        let deeper = |inner: Box<dyn Read + '_>, suffix: &str, take: &mut dyn FnMut(Piece)| {
            let name =
                if ends(&self.name, suffix) { self.name.get(..self.name.len() - suffix.len()).unwrap_or(&self.name).to_owned() } else { self.name.clone() };
            let capped = Box::new(Capped { inner, left: UNPACKED_FREE_BYTES.max(self.packed.saturating_mul(RATIO_MAX)) });
            Opened { name, packed: self.packed, framing: self.framing }.container(capped, depth + 1, take);
        };
        match head.as_slice() {
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'P', b'K', 3, 4, ..] if depth >= NESTING_MAX => {
                self.fault(format!("archives nest deeper than {NESTING_MAX}"), take);
            }
            [0x1f, 0x8b, ..] => deeper(Box::new(flate2::bufread::MultiGzDecoder::new(reader)), ".gz", take),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => match zstd::stream::Decoder::with_buffer(reader) {
                Ok(decoder) => deeper(Box::new(decoder), ".zst", take),
                Err(error) => self.broken(&error, take),
            },
            [b'P', b'K', 3, 4, ..] => self.zip_in_memory(reader, depth, take),
            evtx::MAGIC => self.evtx(reader, take),
            _ => self.split(reader, take),
        }
    }

    fn split(&self, mut reader: impl Read, take: &mut dyn FnMut(Piece)) {
        let context = Context { file: Some(self.name.as_str().into()), ..Context::default() };
        take(Piece::Context(Arc::new(context.clone())));
        let mut splitter = Splitter::new(self.framing.clone(), context);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => splitter.push(buffer.get(..count).unwrap_or(&buffer), take),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // What was read so far is still worth something.
                Err(error) => {
                    splitter.finish(take);
                    return self.broken(&error, take);
                }
            }
        }
        splitter.finish(take);
    }

    fn evtx(&self, reader: impl Read, take: &mut dyn FnMut(Piece)) {
        let mut bytes = Vec::new();
        match reader.take(EVTX_BYTES_MAX + 1).read_to_end(&mut bytes) {
            Ok(count) if count as u64 > EVTX_BYTES_MAX => self.fault(format!("the EVTX file is larger than {EVTX_BYTES_MAX} bytes"), take),
            Ok(_) => {
                take(Piece::Context(Arc::new(Context { file: Some(self.name.as_str().into()), ..Context::default() })));
                evtx::records(bytes, take);
            }
            Err(error) => self.broken(&error, take),
        }
    }

    fn zip_in_memory(&self, reader: impl Read, depth: usize, take: &mut dyn FnMut(Piece)) {
        let mut bytes = Vec::new();
        match reader.take(EVTX_BYTES_MAX).read_to_end(&mut bytes) {
            Ok(_) => self.zip(Cursor::new(bytes), depth, take),
            Err(error) => self.broken(&error, take),
        }
    }

    fn zip(&self, reader: impl Read + std::io::Seek, depth: usize, take: &mut dyn FnMut(Piece)) {
        let mut archive = match zip::ZipArchive::new(reader) {
            Ok(archive) => archive,
            Err(error) => return self.fault(format!("the archive is damaged: {error}"), take),
        };
        for member in 0..archive.len().min(MEMBERS_MAX) {
            let file = match archive.by_index(member) {
                // Resource forks that macOS adds to archives: about the files, no telemetry.
                Ok(file) if file.is_dir() || file.name().is_ok_and(|name| name.starts_with("__MACOSX/")) => continue,
                Ok(file) => file,
                Err(error) => {
                    self.fault(format!("member {member} of the archive cannot be read: {error}"), take);
                    continue;
                }
            };
            // Only the name is used, never as a path to write to.
            let packed = file.compressed_size().max(1);
            let opened = Opened {
                name: format!("{}!{}", self.name, file.name().map_or_else(|_| format!("member {member}"), |name| name.into_owned())),
                packed,
                framing: self.framing,
            };
            let left = UNPACKED_FREE_BYTES.max(packed.saturating_mul(RATIO_MAX));
            opened.container(Box::new(Capped { inner: Box::new(file), left }), depth + 1, take);
        }
    }

    fn broken(&self, error: &std::io::Error, take: &mut dyn FnMut(Piece)) {
        self.fault(format!("`{}` breaks off: {error}", self.name), take);
    }

    fn fault(&self, message: String, take: &mut dyn FnMut(Piece)) {
        take(Piece::Context(Arc::new(Context { file: Some(self.name.as_str().into()), ..Context::default() })));
        take(Piece::Fault { at: 0, cause: RejectCause::Container, message, raw: Bytes::new() });
    }
}

/// Ends with an error when more comes out than a container of its size may hold.
struct Capped<'r> {
    inner: Box<dyn Read + 'r>,
    left: u64,
}

impl Read for Capped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| std::io::Error::other("it unpacks to far more than its size: a bomb, or it must be unpacked by hand"))?;
        Ok(count)
    }
}
