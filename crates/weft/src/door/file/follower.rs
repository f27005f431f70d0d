//! One file that is followed.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use weft_model::{Context, Position, RawBatch, SourceId, StreamId};

use super::super::frame::{Framed, KEPT_BYTES_MAX};
use super::super::now;
use super::super::records::{Batcher, Salt};
use super::position::{Place, head};

/// Bytes read at a time: a turn of this file.
const READ_BYTES: usize = 1 << 20;
/// Bytes of a block of `#` lines at the top that explains the columns.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// A file with the place up to which it is durable.
pub(crate) struct Follower {
    /// Name of the source.
    pub(crate) source: SourceId,
    file: File,
    name: Arc<str>,
    place: Place,
    header: Option<Arc<str>>,
    /// In the middle of a record that is too long.
    skipping: bool,
    record_max: usize,
}

/// What one read gave.
pub(crate) struct Piece {
    pub(crate) batches: Vec<RawBatch>,
    pub(crate) next: u64,
    pub(crate) more: bool,
}

impl Follower {
    /// Opens a file at `place` if it is still the same, else at its beginning.
    pub(crate) fn open(path: &Path, source: SourceId, place: Option<&Place>, record_max: usize) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let head = head(&mut file).unwrap_or_default();
        let same =
            place.filter(|place| (place.device, place.inode) == (metadata.dev(), metadata.ino()) && place.head == head && place.offset <= metadata.len());
        let offset = same.map_or(0, |place| place.offset);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let place = Place { device: metadata.dev(), inode: metadata.ino(), head, offset };
        Ok(Self { source, file, name: name.into(), place, header: None, skipping: false, record_max })
    }

    /// Whether the path names another file now.
    pub(crate) fn is_rotated(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|file| (file.dev(), file.ino()) != (self.place.device, self.place.inode))
    }

    /// What was read is durable.
    pub(crate) fn advance(&mut self, next: u64) {
        self.place.offset = next;
    }

    /// The next whole lines; with `last`, also the rest without a line end. None when nothing is new.
    pub(crate) fn read(&mut self, stream: &StreamId, last: bool) -> io::Result<Option<Piece>> {
        let length = self.file.metadata()?.len();
        self.recognise(length)?;
        if self.place.offset >= length || self.place.head.is_empty() && !last {
            return Ok(None);
        }
        let mut buffer = self.fill(READ_BYTES)?;
        if memchr::memchr(b'\n', &buffer).is_none() && self.place.offset + (buffer.len() as u64) < length {
            buffer = self.fill(self.record_max.saturating_add(1))?;
        }
        let at_end = self.place.offset + buffer.len() as u64 >= length;
        Ok(self.cut(&Bytes::from(buffer), stream, at_end, last))
    }

    /// A file that was truncated, or written anew in place, begins again under a new identity.
    fn recognise(&mut self, length: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let head = head(&mut self.file).unwrap_or_default();
        let changed = !self.place.head.is_empty() && head != self.place.head;
        if length < self.place.offset || changed {
            self.place.offset = 0;
            self.skipping = false;
            self.header = None;
        }
        if self.place.head != head {
            self.place.head = head;
        }
        if self.header.is_none() {
            self.header = self.read_header()?;
        }
        Ok(())
    }

    /// The block of `#` lines at the top, where there is one.
    fn read_header(&mut self) -> io::Result<Option<Arc<str>>> {
        let mut top = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(HEADER_BYTES_MAX as u64).read_to_end(&mut top)?;
        let lines = top.split_inclusive(|byte| *byte == b'\n').take_while(|line| line.first() == Some(&b'#') && line.ends_with(b"\n"));
        let header: Vec<u8> = lines.flatten().copied().collect();
        Ok((!header.is_empty()).then(|| String::from_utf8_lossy(&header).into_owned().into()))
    }

    fn fill(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::new();
        self.file.seek(SeekFrom::Start(self.place.offset))?;
        (&self.file).take(bytes as u64).read_to_end(&mut buffer)?;
        Ok(buffer)
    }

    fn cut(&mut self, buffer: &Bytes, stream: &StreamId, at_end: bool, last: bool) -> Option<Piece> {
        let identity = format!("{}/{}/{}", self.place.device, self.place.inode, self.place.head);
        let context = Context { file: Some(Arc::clone(&self.name)), header: self.header.clone(), peer: None };
        let mut batcher = Batcher::new(self.source.clone(), stream.clone(), context, Salt::place(identity, 0), now(), self.record_max);
        let mut at = 0;
        while let Some(length) = buffer.get(at..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            self.add(&mut batcher, buffer.slice(at..at + length), at);
            at += length + 1;
        }
        let rest = buffer.slice(at..);
        let too_long = rest.len() > self.record_max;
        if !rest.is_empty() && (too_long || self.skipping || (last && at_end)) {
            if !self.skipping {
                self.add(&mut batcher, rest, at);
            }
            at = buffer.len();
            self.skipping = !(last && at_end);
        }
        if at == 0 {
            return None;
        }
        let next = self.place.offset + at as u64;
        let position = Position(Place { offset: next, ..self.place.clone() }.to_text());
        Some(Piece { batches: batcher.take(&position), next, more: !at_end })
    }

    fn add(&mut self, batcher: &mut Batcher, mut line: Bytes, at: usize) {
        if std::mem::take(&mut self.skipping) {
            return;
        }
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if self.header.is_some() && line.first() == Some(&b'#') {
            // Travels with every batch as its header, see `Context`.
            return;
        }
        batcher.at(self.place.offset + at as u64);
        let length = line.len() as u64;
        if line.len() > self.record_max {
            batcher.add(Framed::TooLarge { kept: line.slice(..line.len().min(KEPT_BYTES_MAX)), length });
        } else if !line.is_empty() {
            batcher.record(line);
        }
    }
}
