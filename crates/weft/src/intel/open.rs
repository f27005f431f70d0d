//! Files, folders and archives to documents.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Most bytes of all documents of one import, unpacked.
pub const BYTES_MAX: u64 = 4 << 30;
/// Most documents.
const DOCUMENTS_MAX: usize = 100_000;
/// Packings within packings: a `.tar` in a `.xz` in a `.zip`.
const NESTING_MAX: usize = 4;
/// Folders within folders.
const DEPTH_MAX: usize = 32;
/// Memory that a packed stream may ask for, bytes.
const XZ_MEMORY_MAX: u64 = 256 << 20;
/// Bytes of a header, and of what its contents are rounded to, in a `.tar`.
const BLOCK: usize = 512;
/// Endings of what is looked at in a folder or an archive.
const ENDINGS: [&str; 12] = ["json", "stix", "csv", "txt", "tsv", "list", "ipset", "netset", "gz", "zst", "xz", "zip"];

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it stood.
    pub name: String,
    /// Its bytes, unpacked.
    pub bytes: Vec<u8>,
}

/// Documents as they are read, within bounds.
#[derive(Default)]
pub struct Documents {
    /// What was read.
    pub found: Vec<Document>,
    bytes: u64,
}

impl Documents {
    /// Reads a file, a folder, or `-` for standard input.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(&mut self, path: &Path) -> Result<(), String> {
        let told = |reason: String| format!("`{}` {reason}", path.display());
        if path.as_os_str() == "-" {
            return self.unpack("-", Box::new(std::io::stdin().lock()), 0).map_err(told);
        }
        if !path.is_dir() {
            let file = File::open(path).map_err(|error| told(format!("cannot be read: {error}")))?;
            return self.unpack(&path.display().to_string(), Box::new(file), 0).map_err(told);
        }
        let before = self.found.len();
        for file in crate::content::walk(path, DEPTH_MAX) {
            let name = file.display().to_string();
            if is_looked_at(&name) {
                let opened = File::open(&file).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
                self.unpack(&name, Box::new(opened), 0).map_err(|reason| format!("`{name}` {reason}"))?;
            }
        }
        if self.found.len() == before { Err(told(format!("holds no file that ends in one of: {}", ENDINGS.join(", ")))) } else { Ok(()) }
    }

    /// Takes bytes that came from elsewhere, packed or not.
    ///
    /// # Errors
    /// What cannot be unpacked.
    pub fn take(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.unpack(name, Box::new(bytes), 0).map_err(|reason| format!("`{name}` {reason}"))
    }

    fn unpack(&mut self, name: &str, mut reader: Box<dyn Read + '_>, depth: usize) -> Result<(), String> {
        if depth > NESTING_MAX {
            return Err(format!("is packed more than {NESTING_MAX} times"));
        }
        let mut begin = [0; BLOCK];
        let length = fill(&mut *reader, &mut begin)?;
        let begin = begin.get(..length).unwrap_or_default().to_vec();
        let is_tar = begin.get(257..262) == Some(b"ustar");
        let whole = std::io::Cursor::new(begin.clone()).chain(reader);
        let deeper = depth + 1;
        let stem = |ending: &str| name.strip_suffix(ending).unwrap_or(name).to_owned();
        match begin.as_slice() {
            [0x1f, 0x8b, ..] => self.unpack(&stem(".gz"), Box::new(flate2::read::MultiGzDecoder::new(whole)), deeper),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let decoder = zstd::Decoder::new(whole).map_err(|error| format!("cannot be unpacked: {error}"))?;
                self.unpack(&stem(".zst"), Box::new(decoder), deeper)
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_MAX, liblzma::stream::CONCATENATED);
                let stream = stream.map_err(|error| format!("cannot be unpacked: {error}"))?;
                self.unpack(&stem(".xz"), Box::new(liblzma::read::XzDecoder::new_stream(whole, stream)), deeper)
            }
            [b'P', b'K', 3, 4, ..] => self.zip(whole, deeper),
            _ if is_tar => self.tar(whole, deeper),
            _ => self.keep(name, whole),
        }
    }

    fn keep(&mut self, name: &str, reader: impl Read) -> Result<(), String> {
        let room = BYTES_MAX.saturating_sub(self.bytes);
        let mut bytes = Vec::new();
        // What a header says of its size may be a lie: what is read counts.
        reader.take(room + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
        if bytes.len() as u64 > room {
            return Err(format!("and what came before it are larger than {BYTES_MAX} bytes, unpacked; split it"));
        }
        if self.found.len() >= DOCUMENTS_MAX {
            return Err(format!("comes after {DOCUMENTS_MAX} others; split it"));
        }
        self.bytes += bytes.len() as u64;
        self.found.push(Document { name: name.to_owned(), bytes });
        Ok(())
    }

    fn zip(&mut self, reader: impl Read, depth: usize) -> Result<(), String> {
        let mut bytes = Vec::new();
        reader.take(BYTES_MAX).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|error| format!("is no `.zip`: {error}"))?;
        for number in 0..archive.len() {
            let entry = archive.by_index(number).map_err(|error| format!("has an entry that cannot be read: {error}"))?;
            let name = entry.name().map_err(|error| format!("has an entry without a name: {error}"))?.into_owned();
            if !entry.is_dir() && is_looked_at(&name) {
                self.unpack(&name, Box::new(entry), depth)?;
            }
        }
        Ok(())
    }

    /// POSIX `ustar` and what GNU makes of it; names are told only, so that none leads anywhere.
    fn tar(&mut self, mut reader: impl Read, depth: usize) -> Result<(), String> {
        let mut header = [0; BLOCK];
        while fill(&mut reader, &mut header)? == BLOCK && header.iter().any(|byte| *byte != 0) {
            let text = |from: usize, to: usize| {
                let field = header.get(from..to).unwrap_or_default();
                String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
            };
            let size = u64::from_str_radix(text(124, 136).trim(), 8).map_err(|_| "is a `.tar` with a size that is no number".to_owned())?;
            let (name, is_file) = (text(0, 100), matches!(header.get(156), Some(b'0' | 0)));
            let mut contents = reader.by_ref().take(size);
            if is_file && is_looked_at(&name) {
                self.unpack(&name, Box::new(&mut contents), depth)?;
            }
            let left = contents.limit() + size.next_multiple_of(BLOCK as u64) - size;
            std::io::copy(&mut reader.by_ref().take(left), &mut std::io::sink()).map_err(|error| format!("cannot be read: {error}"))?;
        }
        Ok(())
    }
}

fn is_looked_at(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let ending = file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    !file.starts_with('.') && ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// As many bytes as there are, up to the length of the buffer.
fn fill(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> Result<usize, String> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot be read: {error}")),
        }
    }
    Ok(length)
}
