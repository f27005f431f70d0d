//! The log against a disk that loses power, fills up, fails to sync, and rots.
#![allow(clippy::print_stdout, reason = "the command for faults reads these lines")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, Timestamp};

use super::simulated::SimulatedDisk;
use super::{Disk, Durability, Log, LogError, LogOptions, Recovery};
use crate::ledger::Outcome;

const DIR: &str = "/simulated/log";

fn batch(numbers: std::ops::Range<u128>) -> RawBatch {
    let record = |number: u128| RawRecord { id: RecordId(number), bytes: Bytes::from(format!("{{\"n\":{number}}}")) };
    RawBatch {
        source: "test/a".into(),
        stream: "test/numbers".into(),
        context: Context { file: Some("numbers.json".into()), ..Context::default() },
        next: Position(numbers.end.to_string()),
        received: Timestamp(1_700_000_000_000),
        records: numbers.map(record).collect(),
    }
}

fn options(disk: &Arc<SimulatedDisk>) -> LogOptions {
    LogOptions { segment_bytes: 2_000, disk: Arc::clone(disk) as Arc<dyn Disk>, ..LogOptions::default() }
}

fn open(disk: &Arc<SimulatedDisk>) -> (Log, Recovery) {
    Log::open(Path::new(DIR), options(disk)).unwrap()
}

fn numbers(recovery: &Recovery) -> Vec<u128> {
    recovery.logged().flat_map(|logged| logged.unwrap().batch().records.iter().map(|record| record.id.0).collect::<Vec<_>>()).collect()
}

/// Appends until the power goes after `operations`; returns what was acknowledged and what the
/// next start finds.
fn cut_after(operations: usize, seed: u64, durability: Durability) -> (Vec<u128>, Vec<u128>) {
    let disk = Arc::new(SimulatedDisk::default());
    let mut acknowledged = Vec::new();
    disk.cut_power_after(operations);
    if let Ok((log, _)) = Log::open(Path::new(DIR), LogOptions { durability, ..options(&disk) }) {
        for number in 0..30 {
            if log.append_blocking(batch(number * 3..number * 3 + 3), false).is_ok() {
                acknowledged.extend(number * 3..number * 3 + 3);
            }
        }
    }
    disk.restore_power(seed);
    let (_log, recovery) = open(&disk);
    (acknowledged, numbers(&recovery))
}

#[test]
fn a_damaged_frame_is_set_aside_and_the_rest_is_read() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _) = open(&disk);
    for number in 0..40 {
        log.append_blocking(batch(number..number + 1), false).unwrap();
    }
    drop(log);
    let segments = disk.names(Path::new(DIR), ".wal");
    assert!(segments.len() > 2, "the test wants several segments");
    disk.flip(&segments[0], 150);
    let (log, recovery) = open(&disk);
    let found = numbers(&recovery);
    assert_eq!(found.len(), 39, "one frame is lost, no more: {found:?}");
    let [damage] = recovery.damaged.as_slice() else { panic!("{:?}", recovery.damaged) };
    assert!(damage.offset < 150 && damage.offset + damage.bytes > 150);
    assert_eq!(disk.read(damage.saved.as_ref().unwrap()).unwrap().len() as u64, damage.bytes);
    log.append_blocking(batch(40..41), false).unwrap();
    drop((log, recovery));
    let (_log, recovery) = open(&disk);
    assert_eq!(numbers(&recovery).len(), 40);
}

#[test]
fn a_torn_end_is_cut_off() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _) = open(&disk);
    log.append_blocking(batch(0..3), false).unwrap();
    log.append_blocking(batch(3..6), false).unwrap();
    drop(log);
    let segment = disk.names(Path::new(DIR), ".wal").pop().unwrap();
    disk.shorten(&segment, 5);
    let (_log, recovery) = open(&disk);
    assert_eq!(numbers(&recovery), [0, 1, 2]);
    assert!(recovery.torn.is_some() && recovery.damaged.is_empty());
}

#[test]
fn retried_records_are_known_after_a_restart_and_after_the_segment_is_gone() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _) = open(&disk);
    assert_eq!(log.append_blocking(batch(0..20), true).unwrap().duplicates, 0);
    let again = log.append_blocking(batch(15..25), true).unwrap();
    assert_eq!((again.duplicates, again.logged.unwrap().batch().records.len()), (5, 5));
    drop(log);
    let (log, _) = open(&disk);
    assert_eq!(log.append_blocking(RawBatch { next: Position::default(), ..batch(0..25) }, true).unwrap().duplicates, 25);
    for number in 100..160 {
        log.append_blocking(batch(number..number + 1), true).unwrap();
    }
    log.unpublished().into_iter().for_each(|logged| logged.published(Outcome::default()));
    let before = disk.names(Path::new(DIR), ".wal").len();
    let last = log.shared.state().last;
    log.checkpoint(last, log.positions(), log.ledger_at(last)).unwrap();
    log.retire().unwrap();
    assert!(disk.names(Path::new(DIR), ".wal").len() < before);
    drop(log);
    let (log, recovery) = open(&disk);
    assert_eq!(recovery.frames(), 0);
    assert_eq!(log.append_blocking(batch(0..25), true).unwrap().duplicates, 25);
    assert_eq!(log.append_blocking(batch(0..25), false).unwrap().duplicates, 0, "a source that does not retry is not asked");
}

#[test]
fn positions_follow_what_is_durable() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _) = open(&disk);
    log.append_blocking(batch(0..4), false).unwrap();
    log.append_blocking(batch(4..9), false).unwrap();
    assert_eq!(log.positions()[&"test/a".into()].0, "9");
    assert_eq!(log.positions_at(1)[&"test/a".into()].0, "4");
    drop(log);
    let (log, _recovery) = open(&disk);
    assert_eq!(log.positions()[&"test/a".into()].0, "9");
}

#[test]
fn a_caller_that_goes_away_does_not_hold_up_the_commit() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _) = open(&disk);
    drop(log.append_blocking(batch(0..1), false).unwrap());
    let kept = log.append_blocking(batch(1..2), false).unwrap().logged.unwrap();
    kept.published(Outcome::default());
    assert_eq!(log.horizon(), 0, "frame 1 is not published");
    let mut handed_back = log.unpublished();
    assert_eq!(handed_back.len(), 1);
    handed_back.pop().unwrap().published(Outcome::default());
    assert_eq!(log.horizon(), 2);
}

#[test]
fn many_callers_share_a_sync() {
    let disk = Arc::new(SimulatedDisk::default());
    let (log, _) = Log::open(Path::new(DIR), LogOptions { segment_bytes: 1 << 20, ..options(&disk) }).unwrap();
    disk.slow_syncs();
    let before = disk.syncs();
    std::thread::scope(|scope| {
        for caller in 0..8u128 {
            let log = &log;
            scope.spawn(move || {
                futures::executor::block_on(futures::future::join_all((0..50u128).map(|n| log.append(batch(caller * 50 + n..caller * 50 + n + 1), false))))
            });
        }
    });
    let syncs = disk.syncs() - before;
    assert!(syncs < 200, "{syncs} syncs for 400 appends");
    drop(log);
    let (_log, recovery) = open(&disk);
    assert_eq!(numbers(&recovery).into_iter().collect::<BTreeSet<_>>().len(), 400);
}

#[test]
fn a_second_process_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_log, _recovery) = Log::open(dir.path(), LogOptions::default()).unwrap();
    let error = Log::open(dir.path(), LogOptions::default()).err().unwrap();
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
}

#[test]
fn the_log_of_a_running_process_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _recovery) = Log::open(dir.path(), LogOptions::default()).unwrap();
    log.append_blocking(batch(0..2), false).unwrap();
    let frames = super::read(dir.path()).unwrap();
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].batch, batch(0..2));
}

/// Faults of the disk; each prints a line for `cargo xtask faults`.
mod faults {
    use super::*;

    const OPERATIONS: usize = 150;

    fn lost(operations: usize, durability: Durability) -> usize {
        let (acknowledged, found) = cut_after(operations, operations as u64, durability);
        let distinct: BTreeSet<_> = found.iter().copied().collect();
        assert_eq!(distinct.len(), found.len(), "doubled after {operations} operations");
        acknowledged.iter().filter(|number| !distinct.contains(number)).count()
    }

    #[test]
    fn a_power_cut_at_every_operation() {
        for operations in 0..OPERATIONS {
            assert_eq!(lost(operations, Durability::Synced), 0, "lost after {operations} operations");
        }
        let control: usize = (0..OPERATIONS).map(|operations| lost(operations, Durability::AckBeforeSync)).sum();
        assert!(control > 0, "the test cannot see a loss");
        println!(
            "fault|power cut, simulated|a disk that forgets what was not synced, cut at every operation|{OPERATIONS}|0|0|acknowledged before the sync: lost {control}"
        );
    }

    #[test]
    fn a_full_log_disk() {
        let mut trials = 0;
        for space in (0..300).step_by(7) {
            let disk = Arc::new(SimulatedDisk::default());
            let (log, _) = open(&disk);
            log.append_blocking(batch(0..1), true).unwrap();
            disk.set_space(space);
            let mut refused = false;
            for number in 1..4 {
                match log.append_blocking(batch(number..number + 1), true) {
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error, LogError::Full);
                        refused = true;
                        disk.set_space(1 << 20);
                        let retried = log.append_blocking(batch(number..number + 1), true).unwrap();
                        assert_eq!(retried.duplicates, 0, "what was refused is not known");
                    }
                }
            }
            trials += usize::from(refused);
            drop(log);
            let (_log, recovery) = open(&disk);
            assert_eq!(numbers(&recovery), [0, 1, 2, 3], "with room for {space} bytes");
            assert!(recovery.damaged.is_empty() && recovery.torn.is_none());
        }
        assert!(trials > 30);
        println!("fault|full disk, simulated|writes that fit only in part|{trials}|0|0|the half-written frame is cut off, the next start finds no damage");
    }

    #[test]
    fn an_error_of_fsync() {
        let trials: u128 = 40;
        for at in 1..=trials {
            let disk = Arc::new(SimulatedDisk::default());
            let (log, _) = Log::open(Path::new(DIR), LogOptions { segment_bytes: 1 << 20, ..options(&disk) }).unwrap();
            let mut acknowledged: Vec<u128> = (0..at).filter(|number| log.append_blocking(batch(*number..number + 1), false).is_ok()).collect();
            disk.fail_next_sync();
            for _ in 0..3 {
                assert!(matches!(log.append_blocking(batch(at..at + 1), false), Err(LogError::Failed { .. })), "nothing is acknowledged after it");
            }
            drop(log);
            let (log, recovery) = open(&disk);
            let found = numbers(&recovery);
            assert!(acknowledged.iter().all(|number| found.contains(number)));
            acknowledged.clear();
            assert!(log.append_blocking(batch(at + 1..at + 2), false).is_ok(), "opened again, it goes on");
        }
        println!("fault|fsync error|the sync after so many frames fails|{trials}|0|0|nothing is acknowledged until the log is opened again");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_segments_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), flips in proptest::collection::vec(0usize..900, 0..6)) {
        let disk = Arc::new(SimulatedDisk::default());
        let (log, _) = open(&disk);
        for number in 0..5 {
            log.append_blocking(batch(number..number + 2), false).unwrap();
        }
        drop(log);
        let segment = disk.names(Path::new(DIR), ".wal").pop().unwrap();
        flips.iter().for_each(|at| disk.flip(&segment, *at));
        disk.extend(&segment, &bytes);
        let (_log, recovery) = open(&disk);
        prop_assert!(numbers(&recovery).len() <= 10);
    }

    #[test]
    fn what_is_written_is_read(records in proptest::collection::vec((any::<u128>(), proptest::collection::vec(any::<u8>(), 0..50)), 0..5), received in any::<i64>(), position in ".*") {
        let disk = Arc::new(SimulatedDisk::default());
        let (log, _) = open(&disk);
        let written = RawBatch {
            received: Timestamp(received),
            next: Position(format!("x{position}")),
            records: records.into_iter().map(|(id, bytes)| RawRecord { id: RecordId(id), bytes: bytes.into() }).collect(),
            ..batch(0..0)
        };
        log.append_blocking(written.clone(), false).unwrap();
        drop(log);
        let (_log, recovery) = open(&disk);
        let read = recovery.logged().next().unwrap().unwrap();
        prop_assert_eq!(read.batch(), &written);
    }
}

#[test]
fn paths_of_the_simulation_are_not_of_this_machine() {
    assert!(!PathBuf::from(DIR).exists());
}
