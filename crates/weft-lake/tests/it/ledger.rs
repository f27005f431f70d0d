//! The ledger balances whatever happens, and finds what is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use weft_lake::{Failpoint, Kind, Lake, LakeOptions};
use weft_model::{Mapped, RawBatch};

use crate::support::{ingest, map, number, open, raw};

/// As [`map`], with every fifth number dropped by a policy.
fn map_and_drop(batch: &RawBatch) -> Mapped {
    let kept = RawBatch { records: batch.records.iter().filter(|record| record.id.0 % 5 != 0).cloned().collect(), ..batch.clone() };
    Mapped { dropped: (batch.records.len() - kept.records.len()) as u64, ..map(&kept) }
}

/// The mended mapping: what was no number is one now.
fn map_mended(batch: &RawBatch) -> Mapped {
    let mend = |bytes: &bytes::Bytes| bytes.strip_prefix(b"bad ").map_or_else(|| bytes.clone(), bytes::Bytes::copy_from_slice);
    let records = batch.records.iter().map(|record| weft_model::RawRecord { bytes: mend(&record.bytes), ..record.clone() }).collect();
    map(&RawBatch { records, ..batch.clone() })
}

#[derive(Debug, Clone)]
enum Step {
    /// Numbers `first..first + count` of one of two sources.
    Send {
        source: bool,
        first: u64,
        count: u64,
    },
    Commit,
    /// The process ends at this step of its next commit, and starts again.
    Crash(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), 0u64..120, 1u64..40).prop_map(|(source, first, count)| Step::Send { source, first, count }),
        2 => Just(Step::Commit),
        2 => (0usize..24).prop_map(Step::Crash),
    ]
}

async fn start(dir: &Path, cut: usize) -> Lake {
    let steps = AtomicUsize::new(0);
    let failpoint: Failpoint = Arc::new(move |_| steps.fetch_add(1, Ordering::SeqCst) == cut);
    let (lake, recovery) = loop {
        // The start itself finishes a commit, and may be cut off at the same step.
        let options = LakeOptions { failpoint: Some(Arc::clone(&failpoint)), ..LakeOptions::in_dir(dir).unwrap() };
        match Lake::open(options).await {
            Ok(opened) => break opened,
            Err(weft_lake::LakeError::Interrupted) => {}
            Err(error) => panic!("{error}"),
        }
    };
    for logged in recovery.logged() {
        let logged = logged.unwrap();
        let mapped = map_and_drop(logged.batch());
        lake.publish(logged, mapped).unwrap();
    }
    lake
}

async fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = start(dir.path(), usize::MAX).await;
    let mut sent = 0;
    for step in steps {
        match step {
            Step::Send { source, first, count } => {
                let name = if source { "test/a" } else { "test/b" };
                // The same number of another source is another record.
                let mut batch = RawBatch { source: name.into(), ..raw(first..first + count) };
                batch.records.iter_mut().for_each(|record| record.id.0 += u128::from(source) * 1_000_000);
                sent += count;
                if let Some(logged) = lake.append(batch, true).await.unwrap().logged {
                    let mapped = map_and_drop(logged.batch());
                    lake.publish(logged, mapped).unwrap();
                }
            }
            Step::Commit => drop(lake.commit().await),
            Step::Crash(cut) => {
                drop(lake);
                lake = start(dir.path(), cut).await;
                let _cut = lake.commit().await;
                drop(lake);
                lake = start(dir.path(), usize::MAX).await;
            }
        }
        let total = lake.ledger().total();
        assert_eq!((total.received, total.waiting), (sent, 0));
    }
    lake.commit().await.unwrap();
    let balance = lake.balance(true).await.unwrap();
    assert_eq!(balance.faults, Vec::<String>::new());
    let total = balance.ledger.total();
    assert_eq!(total.received, total.duplicates + total.stored + total.refused + total.dropped);
    if total.stored + total.refused > 0 {
        let events = number(&lake, "SELECT count(*) FROM events").await;
        assert_eq!(u64::try_from(events).unwrap(), total.stored, "the tables themselves agree");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_balances_over_duplicates_rejects_drops_and_crashes(steps in proptest::collection::vec(step(), 1..14)) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(run(steps));
    }
}

fn parquet_files(dir: &Path, table: &str) -> Vec<PathBuf> {
    let days = std::fs::read_dir(dir.join("lake").join(table)).unwrap().flatten().map(|day| day.path()).filter(|day| day.to_string_lossy().contains("day="));
    days.flat_map(|day| std::fs::read_dir(day).unwrap().flatten().map(|file| file.path()).collect::<Vec<_>>()).collect()
}

/// Writes a data file again without its last event, as somebody who hides a trace would.
fn remove_one_event(file: &Path) {
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap()).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(file).unwrap(), batches[0].schema(), None).unwrap();
    let last = batches.len() - 1;
    for (place, batch) in batches.iter().enumerate() {
        writer.write(&batch.slice(0, batch.num_rows() - usize::from(place == last))).unwrap();
    }
    writer.close().unwrap();
}

#[tokio::test]
async fn an_event_that_was_removed_behind_its_back_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _recovery) = open(dir.path()).await;
    ingest(&lake, raw(0..70)).await;
    lake.commit().await.unwrap();
    assert!(lake.balance(true).await.unwrap().balances(), "nothing is gone yet");
    let file = parquet_files(dir.path(), "authentication").pop().unwrap();
    remove_one_event(&file);
    let balance = lake.balance(true).await.unwrap();
    let [fault] = balance.faults.as_slice() else { panic!("{:?}", balance.faults) };
    assert!(fault.contains("authentication/day=2024-08-13/"), "{fault}");
}

#[tokio::test]
async fn a_commit_that_takes_rows_out_of_a_table_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _recovery) = open(dir.path()).await;
    ingest(&lake, raw(0..70)).await;
    ingest(&lake, raw(70..84)).await;
    lake.commit().await.unwrap();
    let log = dir.path().join("lake/network_activity/_delta_log");
    let first = std::fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    let added = first.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).find_map(|action| action.get("add").cloned()).unwrap();
    let remove = serde_json::json!({"remove": {"path": added["path"], "dataChange": true, "deletionTimestamp": 0}});
    std::fs::write(log.join("00000000000000000001.json"), format!("{remove}\n")).unwrap();
    let balance = lake.balance(false).await.unwrap();
    assert_eq!(balance.faults, ["table `network_activity` holds 0 rows, 36 were written to it and not removed since: 36 lost"]);
}

#[tokio::test]
async fn a_replayed_reject_leaves_the_list_and_the_ledger_follows() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, recovery) = open(dir.path()).await;
    ingest(&lake, raw(0..70)).await;
    lake.commit().await.unwrap();
    drop(recovery);
    let rejects: Vec<_> = raw(0..70).records.into_iter().filter(|record| record.bytes.starts_with(b"bad")).collect();
    let replay = RawBatch { records: rejects, next: weft_model::Position::default(), ..raw(0..0) };
    let logged = lake.log().append_as(replay, Kind::Replay).await.unwrap().logged.unwrap();
    // A crash here: the replay is durable and is mapped at the next start, as a replay.
    drop((logged, lake));
    let (lake, recovery) = open(dir.path()).await;
    for logged in recovery.logged() {
        let logged = logged.unwrap();
        let mut mapped = map_mended(logged.batch());
        // One of them is still no event.
        mapped.rejects.extend(map(&RawBatch { records: vec![logged.batch().records[0].clone()], ..logged.batch().clone() }).rejects);
        mapped.batches.iter_mut().for_each(|events| {
            let keep = arrow::compute::kernels::cmp::neq(events.rows.column_by_name("n").unwrap(), &arrow::array::Int64Array::new_scalar(6)).unwrap();
            events.rows = arrow::compute::filter_record_batch(&events.rows, &keep).unwrap();
        });
        lake.publish(logged, mapped).unwrap();
    }
    lake.commit().await.unwrap();
    let open_rejects = number(&lake, "SELECT count(*) FROM rejects WHERE id NOT IN (SELECT id FROM replays)").await;
    let total = lake.ledger().total();
    assert_eq!((open_rejects, total.open_rejects(), total.stored, total.received), (1, 1, 69, 70));
    assert_eq!(number(&lake, "SELECT count(*) FROM events").await, 69);
    assert_eq!(lake.balance(true).await.unwrap().faults, Vec::<String>::new());
}
