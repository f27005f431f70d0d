//! Damaged logs: every byte of the last frames torn off, and bits flipped anywhere.
//!
//! Each prints a line for `cargo xtask faults`; with `WEFT_FAULTS=long` they are longer.

use std::collections::BTreeMap;
use std::path::Path;

use weft_lake::{Log, LogOptions};
use weft_model::{Position, RawBatch};

use crate::crash::{counts, crash_and_return};
use crate::support::{ingest, map, open, raw};

const FRAMES: u64 = 24;
const FRAME_RECORDS: u64 = 5;

fn long() -> bool {
    std::env::var("WEFT_FAULTS").is_ok_and(|value| value == "long")
}

/// A small generator: the same places on every run.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// A log of numbered records, none of them committed; its one segment and where its frames begin.
fn written(dir: &Path) -> (String, Vec<u8>, Vec<usize>) {
    let (log, _recovery) = Log::open(dir, LogOptions::default()).unwrap();
    for frame in 0..FRAMES {
        let batch = RawBatch { next: Position::default(), ..raw(frame * FRAME_RECORDS..(frame + 1) * FRAME_RECORDS) };
        log.append_blocking(batch, false).unwrap();
    }
    drop(log);
    let name = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).find(|name| name.ends_with(".wal")).unwrap();
    let bytes = std::fs::read(dir.join(&name)).unwrap();
    let starts = bytes.windows(4).enumerate().filter(|(_, window)| *window == b"wFr2").map(|(at, _)| at).collect();
    (name, bytes, starts)
}

/// Records that are found, by number, and whether damage was told.
fn found(dir: &Path) -> (BTreeMap<u64, Vec<u8>>, bool) {
    let (log, recovery) = Log::open(dir, LogOptions::default()).unwrap();
    let mut all = BTreeMap::new();
    for logged in recovery.logged() {
        for record in &logged.unwrap().batch().records {
            assert!(all.insert(u64::try_from(record.id.0).unwrap(), record.bytes.to_vec()).is_none(), "doubled");
        }
    }
    let told = !recovery.damaged.is_empty() || recovery.torn.is_some();
    drop((log, recovery));
    (all, told)
}

fn original(numbers: std::ops::Range<u64>) -> BTreeMap<u64, Vec<u8>> {
    raw(numbers).records.iter().map(|record| (u64::try_from(record.id.0).unwrap(), record.bytes.to_vec())).collect()
}

#[test]
fn torn_log() {
    let dir = tempfile::tempdir().unwrap();
    let (name, bytes, starts) = written(dir.path());
    let (mut trials, last) = (0, starts[starts.len() - if long() { 8 } else { 3 }]);
    for length in last..bytes.len() {
        std::fs::write(dir.path().join(&name), &bytes[..length]).unwrap();
        let whole = starts.iter().skip(1).chain([&bytes.len()]).filter(|end| **end <= length).count() as u64;
        let (all, told) = found(dir.path());
        assert_eq!(all, original(0..whole * FRAME_RECORDS), "torn at byte {length}");
        assert!(told || starts.contains(&length), "torn at byte {length} and not told");
        trials += 1;
    }
    // A reader without frames takes the half line for a record.
    let lines: Vec<u8> = original(0..10).into_values().flat_map(|line| [line, b"\n".to_vec()].concat()).collect();
    let control = (1..lines.len()).filter(|length| !lines[..*length].ends_with(b"\n")).count();
    println!("fault|torn log|the file cut at every byte of its last frames|{trials}|0|0|line by line: {control} half records taken for whole");
}

#[test]
fn flipped_log() {
    let dir = tempfile::tempdir().unwrap();
    let (name, bytes, starts) = written(dir.path());
    let trials: u64 = if long() { 10_000 } else { 400 };
    let all = original(0..FRAMES * FRAME_RECORDS);
    let mut control = 0;
    for trial in 0..trials {
        // The first bytes are the mark of the file, which no frame is in.
        let at = 8 + usize::try_from(mix(trial) % (bytes.len() as u64 - 8)).unwrap();
        let bit = 1_u8 << (mix(trial ^ 0x5555) % 8);
        let mut damaged = bytes.clone();
        damaged[at] ^= bit;
        std::fs::write(dir.path().join(&name), &damaged).unwrap();
        let frame = starts.iter().rposition(|start| *start <= at).unwrap() as u64;
        let (left, told) = found(dir.path());
        let lost = frame * FRAME_RECORDS..(frame + 1) * FRAME_RECORDS;
        let expected: BTreeMap<_, _> = all.iter().filter(|(number, _)| !lost.contains(number)).map(|(number, bytes)| (*number, bytes.clone())).collect();
        assert!(told, "bit {bit} of byte {at} and nobody says so");
        assert_eq!(left, expected, "bit {bit} of byte {at}: more is gone than its frame, or something is not as it was written");
        // The same bit in a record that nothing guards changes it and nobody knows.
        control += u64::from(starts.iter().any(|start| at > start + 60));
        let _again = std::fs::remove_dir_all(dir.path().join("quarantine"));
    }
    println!(
        "fault|flipped log|one bit flipped: its frame set aside and told, all others whole|{trials}|0|0|without checksums: {control} flips change records unseen"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_every_step() {
    let mut cuts = 0;
    for at in 0.. {
        if !crash_and_return(at, map).await {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 30, "{cuts} steps in three commits of three tables");
    // A start that does not map the log again sees what a lake without one would have.
    let dir = tempfile::tempdir().unwrap();
    let (lake, recovery) = open(dir.path()).await;
    ingest(&lake, raw(0..70)).await;
    lake.commit().await.unwrap();
    ingest(&lake, raw(70..140)).await;
    drop((lake, recovery));
    let (lake, _not_mapped) = open(dir.path()).await;
    let control = 120 - counts(&lake).await.0;
    assert!(control > 0);
    println!(
        "fault|crash at every durable step|and three times again during recovery, under the same and another mapping|{cuts}|0|0|without the log: lost {control}"
    );
}
