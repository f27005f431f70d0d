//! Torn and flipped frames: what is read back is what was written, or it is named as lost.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, Timestamp};

use super::frame;
use super::simulated::SimulatedDisk;
use super::{Disk, Log, LogOptions, Recovery};

const DIR: &str = "/simulated/log";
/// Frames of the log under test, and those of them that are torn or flipped byte by byte.
const FRAMES: u128 = 12;
const LAST: usize = 3;
const FLIPS: usize = 10_000;

fn batch(number: u128) -> RawBatch {
    RawBatch {
        source: "test/a".into(),
        stream: "test/numbers".into(),
        context: Context::default(),
        next: Position(number.to_string()),
        received: Timestamp(1_700_000_000_000),
        records: vec![RawRecord { id: RecordId(number), bytes: Bytes::from(format!("{{\"number\":{number}}}")) }],
    }
}

fn open(disk: &Arc<SimulatedDisk>) -> Recovery {
    let options = LogOptions { disk: Arc::clone(disk) as Arc<dyn Disk>, ..LogOptions::default() };
    Log::open(Path::new(DIR), options).unwrap().1
}

/// A log of one segment and where its frames begin.
fn written() -> (Arc<SimulatedDisk>, PathBuf, Vec<u8>, Vec<usize>) {
    let disk = Arc::new(SimulatedDisk::default());
    let options = LogOptions { disk: Arc::clone(&disk) as Arc<dyn Disk>, ..LogOptions::default() };
    let (log, _) = Log::open(Path::new(DIR), options).unwrap();
    for number in 0..FRAMES {
        log.append_blocking(batch(number), false).unwrap();
    }
    drop(log);
    let segment = disk.names(Path::new(DIR), ".wal").pop().unwrap();
    let bytes = disk.read(&segment).unwrap();
    let starts: Vec<usize> = bytes.windows(4).enumerate().filter(|(_, window)| *window == b"wFr2").map(|(at, _)| at).collect();
    assert_eq!(starts.len(), FRAMES as usize);
    (disk, segment, bytes, starts)
}

fn found(recovery: &Recovery) -> BTreeMap<u128, RawBatch> {
    recovery.logged().map(|logged| logged.unwrap().batch().clone()).map(|batch| (batch.records[0].id.0, batch)).collect()
}

/// All that came back is what was written; returns the numbers that did not.
fn lost(recovery: &Recovery) -> Vec<u128> {
    let found = found(recovery);
    found.iter().for_each(|(number, read)| assert_eq!(*read, batch(*number), "another record than was written"));
    (0..FRAMES).filter(|number| !found.contains_key(number)).collect()
}

#[test]
fn a_log_torn_at_any_byte_of_its_last_frames_keeps_those_before() {
    let (disk, segment, bytes, starts) = written();
    for end in starts[starts.len() - LAST]..=bytes.len() {
        disk.set(&segment, bytes[..end].to_vec());
        let recovery = open(&disk);
        let whole = starts.iter().skip(1).chain([&bytes.len()]).filter(|next| **next <= end).count() as u128;
        assert_eq!(lost(&recovery), (whole..FRAMES).collect::<Vec<_>>(), "torn at byte {end}");
        assert!(recovery.damaged.is_empty());
        disk.set(&segment, bytes.clone());
    }
}

#[test]
fn any_flipped_byte_of_the_last_frames_costs_its_frame_and_is_named() {
    let (disk, segment, bytes, starts) = written();
    for at in starts[starts.len() - LAST]..bytes.len() {
        for bit in [1_u8, 0x10, 0x80] {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            disk.set(&segment, flipped);
            let recovery = open(&disk);
            let hit = starts.iter().filter(|start| **start <= at).count() as u128 - 1;
            assert_eq!(lost(&recovery), [hit], "byte {at}");
            assert_eq!(recovery.damaged.len() + usize::from(recovery.torn.is_some()), 1, "byte {at}");
            disk.set(&segment, bytes.clone());
        }
    }
}

#[test]
fn ten_thousand_flips_lose_one_frame_each_and_alter_none() {
    let (disk, segment, bytes, starts) = written();
    let mut random = 88_172_645_463_325_252_u64;
    let mut losses = 0;
    for _ in 0..FLIPS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = starts[0] + (random % (bytes.len() - starts[0]) as u64) as usize;
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (random >> 61);
        disk.set(&segment, flipped);
        losses += lost(&open(&disk)).len();
        disk.set(&segment, bytes.clone());
    }
    assert_eq!(losses, FLIPS, "each flip costs the frame that it hits, no more and no less");
}

/// What the same flips do to a log whose checksums fit whatever is there.
#[test]
fn the_control_without_checksums_reads_what_was_never_written() {
    let (_, _, bytes, starts) = written();
    let altered = starts.iter().filter(|start| {
        // Ten bytes before the end of the frame: in its record.
        let next = starts.iter().find(|next| *next > start).copied().unwrap_or(bytes.len());
        let mut flipped = bytes.clone();
        flipped[next - 10] ^= 1;
        frame::seal_again(&mut flipped[**start..next], 7);
        let frame::Next::Frame(read, _) = frame::decode::<frame::Frame>(&Bytes::from(flipped), **start, 7) else { return false };
        read.batch != batch(read.batch.records[0].id.0)
    });
    assert!(altered.count() > 0, "the test cannot see an altered record");
}
