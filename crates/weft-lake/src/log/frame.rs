//! One raw batch as bytes.
//!
//! ```text
//! frame   = magic u32 | length u32 | checksum u32 | payload
//! payload = seq u64 | flags u8 | received i64 | duplicates u32 | source | stream | context | position
//!           | count u32 | (id u128 | length u32)* | bytes of all records
//! text    = length u32 | UTF-8
//! ```
//! Little endian. Frames of the first form, with another magic, have no `duplicates`; they are
//! read and not written any more. The checksum covers length and payload and starts from the key of the log:
//! a record that contains a frame of another log, or one that somebody made up, is not taken for
//! a frame when the reader looks for the next good one after a damaged one.

use bytes::Bytes;
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, SourceId, StreamId, Timestamp};

/// Number of a frame; grows by one, has holes only where frames were damaged.
pub type Seq = u64;

const MAGIC: [u8; 4] = *b"wFr2";
const MAGIC_FIRST: [u8; 4] = *b"wFr1";
const HEAD: usize = 12;
/// Flag: the ids of this frame take part in deduplication.
const DEDUPE: u8 = 1;
/// Flag: its records are rejects that are mapped again.
const REPLAY: u8 = 2;
/// Longest payload; keeps a damaged length from being believed.
pub const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How a frame takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its records are taken as they come: the source does not send them again.
    Plain,
    /// Records whose id is known are left out.
    Dedupe,
    /// Its records are rejects, by their ids, that a mended mapping may take now.
    Replay,
}

/// A frame that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number.
    pub seq: Seq,
    /// How it takes part.
    pub kind: Kind,
    /// Records that came with it and were known already.
    pub duplicates: u64,
    /// What it holds.
    pub batch: RawBatch,
}

/// What an opening has to know of a frame; its records are not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) seq: Seq,
    /// Ids that take part in deduplication.
    pub(super) ids: Vec<RecordId>,
    /// How far its source is read behind it, when it says so.
    pub(super) next: Option<(SourceId, Position)>,
    /// Where its records come from.
    pub(super) origin: (SourceId, StreamId),
    /// How many there are.
    pub(super) records: u64,
    /// How it takes part.
    pub(super) kind: Kind,
    /// Records that came with it and were known already.
    pub(super) duplicates: u64,
}

/// What may be read of a frame.
pub(super) trait Read: Sized {
    /// Reads the payload at `at`; none when it is not one.
    fn read(segment: &Bytes, at: usize, length: usize) -> Option<Self>;
    /// Number of the frame.
    fn seq(&self) -> Seq;
}

/// What stands at an offset of a segment.
pub(super) enum Next<T> {
    /// A good frame and the offset behind it.
    Frame(Box<T>, usize),
    /// The end.
    End,
    /// Something that is not a good frame.
    Damaged,
}

/// Appends `batch` as a frame; none (and nothing appended) when it is longer than a frame may be.
pub(super) fn encode(out: &mut Vec<u8>, key: u32, seq: Seq, (kind, duplicates): (Kind, u64), batch: &RawBatch) -> Option<()> {
    let start = out.len();
    let context = serde_json::to_vec(&batch.context).unwrap_or_default();
    let length = payload_length(batch, context.len());
    if length > FRAME_BYTES_MAX {
        return None;
    }
    out.reserve(HEAD + length);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.push(match kind {
        Kind::Plain => 0,
        Kind::Dedupe => DEDUPE,
        Kind::Replay => REPLAY,
    });
    out.extend_from_slice(&batch.received.0.to_le_bytes());
    out.extend_from_slice(&u32::try_from(duplicates).unwrap_or(u32::MAX).to_le_bytes());
    for text in [batch.source.0.as_bytes(), batch.stream.0.as_bytes(), &context, batch.next.0.as_bytes()] {
        put_length(out, text.len());
        out.extend_from_slice(text);
    }
    put_length(out, batch.records.len());
    for record in &batch.records {
        out.extend_from_slice(&record.id.0.to_le_bytes());
        put_length(out, record.bytes.len());
    }
    for record in &batch.records {
        out.extend_from_slice(&record.bytes);
    }
    let (head, payload) = out.split_at_mut_checked(start + HEAD)?;
    let sum = checksum(key, u32::try_from(length).ok()?, payload);
    head.last_chunk_mut::<4>()?.copy_from_slice(&sum.to_le_bytes());
    Some(())
}

/// Length of the payload, so that buffers are sized and limits checked before anything is copied.
pub(super) fn payload_length(batch: &RawBatch, context: usize) -> usize {
    let records: usize = batch.records.iter().map(|record| 20 + record.bytes.len()).sum();
    8 + 1 + 8 + 4 + 16 + batch.source.0.len() + batch.stream.0.len() + context + batch.next.0.len() + 4 + records
}

/// Reads what stands at `offset`; the records share the memory of `segment`.
pub(super) fn decode<T: Read>(segment: &Bytes, offset: usize, key: u32) -> Next<T> {
    let rest = segment.get(offset..).unwrap_or_default();
    if rest.is_empty() {
        return Next::End;
    }
    match payload(rest, key).and_then(|length| Some((length, T::read(segment, offset + HEAD, length)?))) {
        Some((length, frame)) => Next::Frame(Box::new(frame), offset + HEAD + length),
        None => Next::Damaged,
    }
}

/// Offset of the next good frame after a damaged place.
pub(super) fn resync(segment: &Bytes, from: usize, key: u32) -> Option<usize> {
    let mut offset = from;
    loop {
        let rest = segment.get(offset..)?;
        offset += rest.windows(MAGIC.len()).position(is_magic)?;
        if payload(segment.get(offset..)?, key).is_some() {
            return Some(offset);
        }
        offset += 1;
    }
}

/// Length of the payload when head and checksum are right.
fn payload(rest: &[u8], key: u32) -> Option<usize> {
    let (head, rest) = rest.split_first_chunk::<HEAD>()?;
    let [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    let good = is_magic(&[m0, m1, m2, m3]) && checksum(key, length, payload) == u32::from_le_bytes([c0, c1, c2, c3]);
    good.then_some(payload.len())
}

fn is_magic(bytes: &[u8]) -> bool {
    bytes == MAGIC || bytes == MAGIC_FIRST
}

fn checksum(key: u32, length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(key);
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Makes the checksum of one frame fit what stands in it: what a log without checksums would believe.
#[cfg(test)]
pub(super) fn seal_again(frame: &mut [u8], key: u32) {
    let (head, payload) = frame.split_at_mut(HEAD);
    let sum = checksum(key, payload.len() as u32, payload);
    head[8..].copy_from_slice(&sum.to_le_bytes());
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // INVARIANT: lengths are below FRAME_BYTES_MAX, checked before.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

impl Read for Frame {
    fn read(segment: &Bytes, at: usize, length: usize) -> Option<Self> {
        let head = Head::of(segment, at, length)?;
        let context: Context = serde_json::from_str(head.context).ok()?;
        let mut records = Vec::with_capacity(head.sizes.len());
        let mut from = at + length - head.records;
        for (id, size) in head.sizes {
            let behind = from + size;
            records.push(RawRecord { id, bytes: segment.slice(from..behind) });
            from = behind;
        }
        let (source, stream, next) = (SourceId::from(head.source), StreamId::from(head.stream), Position(head.next.to_owned()));
        let batch = RawBatch { source, stream, context, next, received: head.received, records };
        Some(Self { seq: head.seq, kind: head.kind, duplicates: head.duplicates, batch })
    }

    fn seq(&self) -> Seq {
        self.seq
    }
}

impl Read for Outline {
    fn read(segment: &Bytes, at: usize, length: usize) -> Option<Self> {
        let head = Head::of(segment, at, length)?;
        let _sound: Context = serde_json::from_str(head.context).ok()?;
        let ids = if head.kind == Kind::Dedupe { head.sizes.iter().map(|(id, _)| *id).collect() } else { Vec::new() };
        let next = (!head.next.is_empty()).then(|| (SourceId::from(head.source), Position(head.next.to_owned())));
        let origin = (SourceId::from(head.source), StreamId::from(head.stream));
        Some(Self { seq: head.seq, ids, next, origin, records: head.sizes.len() as u64, kind: head.kind, duplicates: head.duplicates })
    }

    fn seq(&self) -> Seq {
        self.seq
    }
}

/// A payload as far as the bytes of its records.
struct Head<'a> {
    seq: Seq,
    kind: Kind,
    duplicates: u64,
    received: Timestamp,
    source: &'a str,
    stream: &'a str,
    context: &'a str,
    next: &'a str,
    sizes: Vec<(RecordId, usize)>,
    /// Bytes of all records, which are the end of the payload.
    records: usize,
}

impl<'a> Head<'a> {
    /// Reads the payload at `at`; the form stands in front of it.
    fn of(segment: &'a [u8], at: usize, length: usize) -> Option<Self> {
        let first_form = segment.get(at.checked_sub(HEAD)?..)?.starts_with(&MAGIC_FIRST);
        let payload = segment.get(at..at.checked_add(length)?)?;
        let mut reader = Reader { rest: payload };
        let seq = u64::from_le_bytes(*reader.array()?);
        let [flags] = *reader.array()?;
        let received = Timestamp(i64::from_le_bytes(*reader.array()?));
        let duplicates = if first_form { 0 } else { u64::from(u32::from_le_bytes(*reader.array()?)) };
        let kind = match flags {
            _ if flags & REPLAY != 0 => Kind::Replay,
            _ if flags & DEDUPE != 0 => Kind::Dedupe,
            _ => Kind::Plain,
        };
        let [source, stream, context, next] = [reader.text()?, reader.text()?, reader.text()?, reader.text()?];
        let count = reader.length()?;
        // A record takes at least 20 bytes: a made-up count cannot make us reserve more than is there.
        let mut sizes = Vec::with_capacity(count.min(payload.len() / 20));
        let mut records = 0_usize;
        for _ in 0..count {
            let (id, size) = (RecordId(u128::from_le_bytes(*reader.array()?)), reader.length()?);
            records = records.checked_add(size)?;
            sizes.push((id, size));
        }
        let head = Self { seq, kind, duplicates, received, source, stream, context, next, sizes, records };
        (records == reader.rest.len()).then_some(head)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*self.array()?)).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        std::str::from_utf8(taken).ok()
    }
}
