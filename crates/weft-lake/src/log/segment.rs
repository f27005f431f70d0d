//! Segment files, what is wrong with them, and the ids that outlive them.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use weft_model::RecordId;

use super::disk::{self, Disk};
use super::frame::{self, Next, Read, Seq};

pub(super) const HEADER: &[u8; 8] = b"WEFTWAL1";
const IDS_HEADER: &[u8; 8] = b"WEFTIDS1";
/// Folder for damaged bytes, beside the segments.
const QUARANTINE: &str = "quarantine";

/// Bytes of the log that could not be read; the frames around them were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// File name in the log's directory.
    pub segment: String,
    /// Where the damaged bytes begin.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
    /// Copy of the damaged bytes, for a person; none when it could not be made.
    pub saved: Option<PathBuf>,
}

/// A segment that is no longer written to.
#[derive(Debug, Clone, Default)]
pub(super) struct Sealed {
    pub(super) name: String,
    pub(super) first: Seq,
    pub(super) last: Seq,
    /// Ids that take part in deduplication.
    pub(super) ids: Vec<RecordId>,
}

/// What a segment holds.
pub(super) struct Scan<T> {
    pub(super) frames: Vec<T>,
    /// Damaged ranges with something good behind them.
    pub(super) damaged: Vec<(usize, usize)>,
    /// Offset behind the last good frame, when nothing good follows it.
    pub(super) torn: Option<usize>,
}

pub(super) fn name(first: Seq) -> String {
    format!("{first:020}.wal")
}

/// First sequence of a segment, from its file name.
pub(super) fn first(name: &str) -> Option<Seq> {
    name.strip_suffix(".wal")?.parse().ok()
}

/// Reads all good frames whose numbers grow from above `after`.
pub(super) fn scan<T: Read>(bytes: &Bytes, key: u32, after: Seq) -> Scan<T> {
    let mut found = Scan { frames: Vec::new(), damaged: Vec::new(), torn: None };
    let mut last = after;
    let mut offset = if bytes.starts_with(HEADER) { HEADER.len() } else { 0 };
    loop {
        let behind = match frame::decode::<T>(bytes, offset, key) {
            Next::End => return found,
            Next::Frame(frame, behind) if frame.seq() > last => {
                last = frame.seq();
                found.frames.push(*frame);
                offset = behind;
                continue;
            }
            Next::Frame(_, behind) => Some(behind),
            Next::Damaged => frame::resync(bytes, offset + 1, key),
        };
        let Some(behind) = behind else {
            found.torn = Some(offset);
            return found;
        };
        found.damaged.push((offset, behind));
        offset = behind;
    }
}

/// Copies damaged bytes aside and says so.
pub(super) fn quarantine(disk: &dyn Disk, dir: &Path, segment: &str, bytes: &Bytes, from: usize, to: usize) -> Damage {
    let saved = bytes.get(from..to).and_then(|damaged| save(disk, dir, segment, from, damaged).ok());
    Damage { segment: segment.to_owned(), offset: from as u64, bytes: (to - from) as u64, saved }
}

fn save(disk: &dyn Disk, dir: &Path, segment: &str, from: usize, damaged: &[u8]) -> io::Result<PathBuf> {
    let folder = dir.join(QUARANTINE);
    disk.create_dir(&folder)?;
    let name = format!("{segment}-{from}.bin");
    disk::replace(disk, &folder, &name, damaged)?;
    Ok(folder.join(name))
}

/// Replaces a committed segment by the ids that deduplication still needs; gives the name of their file.
pub(super) fn retire(disk: &dyn Disk, dir: &Path, segment: &Sealed) -> io::Result<Option<String>> {
    let name = (!segment.ids.is_empty()).then(|| format!("{:020}-{:020}.ids", segment.first, segment.last));
    if let Some(name) = &name {
        let ids: Vec<u8> = segment.ids.iter().flat_map(|id| id.0.to_le_bytes()).collect();
        let sum = crc32fast::hash(&ids).to_le_bytes();
        let bytes = [IDS_HEADER.as_slice(), &sum, &ids].concat();
        disk::replace(disk, dir, name, &bytes)?;
    }
    disk::remove(disk, dir, &segment.name)?;
    Ok(name)
}

/// Ids of a retired segment; none when the file is damaged.
pub(super) fn read_ids(bytes: &[u8]) -> Option<Vec<RecordId>> {
    let (sum, ids) = bytes.strip_prefix(IDS_HEADER)?.split_first_chunk::<4>()?;
    if crc32fast::hash(ids) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (ids, rest) = ids.as_chunks::<16>();
    rest.is_empty().then(|| ids.iter().map(|id| RecordId(u128::from_le_bytes(*id))).collect())
}
