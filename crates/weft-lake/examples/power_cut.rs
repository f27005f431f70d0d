//! The program of the power-cut trial, see `xtask/checks/power_cut.py`: numbered events into a
//! lake, each acknowledgement told on standard output, until the power goes.
//!
//! `power_cut DIR [control]` first says what it finds (`FOUND first-last…`, `ROWS n`), then goes on.
//! With the feature `acknowledge-before-sync`, `control` acknowledges too early: it has to lose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a trial may fail loudly")]

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, StructArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use weft_lake::{Lake, LakeOptions, QueryOptions};
use weft_model::{ClassUid, Context, EventBatch, Mapped, Position, RawBatch, RawRecord, RecordId, Timestamp};

/// Events acknowledged together.
const BATCH: u64 = 20;
/// Batches between two commits.
const COMMIT_BATCHES: u64 = 40;

fn raw(first: u64) -> RawBatch {
    let record = |n: u64| RawRecord { id: RecordId(u128::from(n)), bytes: Bytes::from(format!("{n} {}", "x".repeat(400))) };
    RawBatch {
        source: "trial/numbers".into(),
        stream: "trial/number".into(),
        context: Context::default(),
        next: Position((first + BATCH).to_string()),
        received: Timestamp(1_763_924_400_000),
        records: (first..first + BATCH).map(record).collect(),
    }
}

fn map(raw: &RawBatch) -> Mapped {
    let numbers: Vec<i64> = raw.records.iter().map(|record| record.id.0 as i64).collect();
    let uids: ArrayRef = Arc::new(numbers.iter().map(|n| Some(n.to_string())).collect::<StringArray>());
    let metadata = StructArray::from(RecordBatch::try_from_iter([("uid", uids)]).unwrap());
    let text: ArrayRef = Arc::new(raw.records.iter().map(|record| Some(String::from_utf8_lossy(&record.bytes).into_owned())).collect::<StringArray>());
    let rows = RecordBatch::try_from_iter([
        ("time", Arc::new(Int64Array::from_iter_values(numbers.iter().map(|n| 1_763_924_400_000 + n))) as ArrayRef),
        ("n", Arc::new(Int64Array::from(numbers)) as ArrayRef),
        ("metadata", Arc::new(metadata) as ArrayRef),
        ("raw_data", text),
    ]);
    Mapped { batches: vec![EventBatch { class: ClassUid(3002), source: raw.source.clone(), rows: rows.unwrap() }], ..Mapped::default() }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

async fn found(lake: &Lake) -> u64 {
    if lake.tables().is_empty() {
        say("FOUND");
        say("ROWS 0");
        return 0;
    }
    let session = lake.session(QueryOptions { rows_max: usize::MAX, ..QueryOptions::default() });
    let result = session.collect("SELECT n FROM authentication ORDER BY n").await.unwrap();
    let numbers: Vec<i64> = result.batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for n in &numbers {
        match ranges.last_mut() {
            Some((_, last)) if *n <= *last + 1 => *last = *n,
            _ => ranges.push((*n, *n)),
        }
    }
    let told: Vec<String> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    say(&format!("FOUND {}", told.join(" ")));
    say(&format!("ROWS {}", numbers.len()));
    let balance = lake.balance(true).await.unwrap();
    say(&format!("LEDGER {}", if balance.balances() { "balances".to_owned() } else { balance.faults.join("; ") }));
    numbers.last().map_or(0, |last| u64::try_from(*last).unwrap() + 1)
}

async fn trial(dir: &Path, control: bool) {
    let mut options = LakeOptions::in_dir(dir).unwrap();
    if control {
        #[cfg(feature = "acknowledge-before-sync")]
        {
            options.log.durability = weft_lake::log::Durability::AckBeforeSync;
        }
    }
    options.engine.memory_bytes = 64 << 20;
    let (lake, recovery) = Lake::open(options).await.unwrap();
    for logged in recovery.logged() {
        let logged = logged.unwrap();
        let mapped = map(logged.batch());
        lake.publish(logged, mapped).unwrap();
    }
    let mut next = found(&lake).await.div_ceil(BATCH) * BATCH;
    say("READY");
    for number in 1.. {
        let appended = lake.append(raw(next), true).await.unwrap();
        say(&format!("ACK {next}-{}", next + BATCH - 1));
        if let Some(logged) = appended.logged {
            let mapped = map(logged.batch());
            lake.publish(logged, mapped).unwrap();
        }
        next += BATCH;
        // In the control the tables stay as they are: what they hold is synced by themselves.
        if !control && number % COMMIT_BATCHES == 0 {
            lake.commit().await.unwrap();
            say("COMMIT");
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let control = arguments.get(2).is_some_and(|word| word == "control");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(trial(Path::new(arguments.get(1).expect("a directory")), control));
}
