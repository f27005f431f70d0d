//! Where reading a file stopped, in words that survive a restart.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes of the first line that make the fingerprint.
const HEAD_BYTES_MAX: usize = 1024;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Device of the file.
    pub device: u64,
    /// Inode of the file.
    pub inode: u64,
    /// Digest of the first line: inodes are used again, and truncated files keep theirs.
    pub head: String,
    /// Offset of the next record.
    pub offset: u64,
}

impl Place {
    /// Reads what [`Place::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let mut number = || parts.next()?.parse().ok();
        let (device, inode, offset) = (number()?, number()?, number()?);
        Some(Self { device, inode, head: parts.next()?.to_owned(), offset })
    }

    /// Device, inode, offset, head.
    pub fn to_text(&self) -> String {
        format!("{} {} {} {}", self.device, self.inode, self.offset, self.head)
    }

    /// Whether this file is the one, under whatever name.
    pub fn is_of(&self, path: &Path) -> bool {
        let same = fs::metadata(path).is_ok_and(|file| (file.dev(), file.ino()) == (self.device, self.inode) && file.len() >= self.offset);
        same && fs::File::open(path).ok().and_then(|mut file| head(&mut file)).is_some_and(|head| head == self.head)
    }
}

/// The digest of the first line, once it is whole (or long enough).
pub(super) fn head(file: &mut fs::File) -> Option<String> {
    let mut first = Vec::new();
    file.take(HEAD_BYTES_MAX as u64).read_to_end(&mut first).ok()?;
    let line = match memchr::memchr(b'\n', &first) {
        Some(end) => first.split_at(end).0,
        None if first.len() == HEAD_BYTES_MAX => &first,
        None => return None,
    };
    Some(blake3::hash(line).to_hex().chars().take(16).collect())
}
