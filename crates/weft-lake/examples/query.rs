//! How fast the lake answers, for `bench/query.py`, which runs another engine beside it.
//!
//! ```text
//! query make DIR ROWS     a lake of network events over a year, compacted
//! query ask DIR SQL       one answer in a fresh process: seconds, files and bytes read
//! ```
#![allow(clippy::print_stdout, clippy::expect_used, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use weft_lake::{CompactOptions, Lake, LakeOptions, QueryOptions, Reader};
use weft_model::{ClassUid, Context, EventBatch, Mapped, Position, RawBatch, RawRecord, RecordId, Timestamp};

const START: i64 = 1_723_507_200_000;
const YEAR_MS: u64 = 365 * 86_400_000;
/// Rows of a batch, and batches of a commit.
const BATCH: u64 = 20_000;
const BATCHES: u64 = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["make", dir, rows] => runtime.block_on(make(Path::new(dir), rows.parse().expect("a number of rows"))),
        ["ask", dir, sql] => runtime.block_on(ask(Path::new(dir), sql)),
        _ => println!("usage: query make DIR ROWS | query ask DIR SQL"),
    }
}

async fn make(dir: &Path, rows: u64) {
    let (lake, _) = Lake::open(LakeOptions::in_dir(dir).expect("a path")).await.expect("a lake");
    for (commit, first) in (0..rows).step_by((BATCH * BATCHES) as usize).enumerate() {
        for batch in 0..BATCHES {
            let from = first + batch * BATCH;
            let count = BATCH.min(rows.saturating_sub(from));
            if count > 0 {
                let logged = lake.append(raw(from), false).await.expect("an append").logged.expect("a frame");
                let batch = EventBatch { class: ClassUid(4001), source: "bench".into(), rows: events(from, count, rows) };
                lake.publish(logged, Mapped { batches: vec![batch], ..Mapped::default() }).expect("rows that fit");
            }
        }
        let done = lake.commit().await.expect("a commit");
        if commit % 10 == 0 {
            println!("{} of {rows} rows, {:.0} bytes a row", first + done.rows, done.bytes as f64 / done.rows as f64);
        }
    }
    let merged = lake.compact(&CompactOptions { files_min: 2, ..CompactOptions::default() }).await.expect("a compaction");
    println!("{merged:?}");
    lake.vacuum(std::time::SystemTime::now() + std::time::Duration::from_secs(9)).await.expect("a vacuum");
}

async fn ask(dir: &Path, sql: &str) {
    let begun = Instant::now();
    let reader = Reader::open(&LakeOptions::in_dir(dir).expect("a path")).await.expect("a lake");
    let opened = begun.elapsed().as_secs_f64();
    let result = reader.session(QueryOptions::default()).collect(sql).await.expect("an answer");
    let total = begun.elapsed().as_secs_f64();
    let first = result.batches.iter().find(|batch| batch.num_rows() > 0);
    let first: Vec<String> =
        first.map(|row| row.columns().iter().map(|column| array_value_to_string(column, 0).unwrap_or_default()).collect()).unwrap_or_default();
    println!(
        "{{\"seconds\": {:.4}, \"open\": {opened:.4}, \"files\": {}, \"files_read\": {}, \"bytes_read\": {}, \"first\": \"{}\"}}",
        total - opened,
        result.stats.files,
        result.stats.files_read,
        result.stats.bytes_read,
        first.join(" ")
    );
}

fn raw(number: u64) -> RawBatch {
    RawBatch {
        source: "bench".into(),
        stream: "bench/record".into(),
        context: Context::default(),
        next: Position::default(),
        received: Timestamp(START),
        records: vec![RawRecord { id: RecordId(u128::from(number)), bytes: Bytes::from_static(b"x") }],
    }
}

/// The same numbers in every run.
fn dice(n: u64, salt: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(salt.wrapping_mul(0xD1B5_4A32_D192_ED03));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn object(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).expect("columns of equal length");
    Arc::new(StructArray::from(rows))
}

/// A firewall's traffic: 20,000 users, 5,000 hosts; each user works in a few weeks of the year only.
fn events(first: u64, rows: u64, all: u64) -> RecordBatch {
    let text = |f: &dyn Fn(u64) -> String| -> ArrayRef { Arc::new((first..first + rows).map(|n| Some(f(n))).collect::<StringArray>()) };
    let whole = |f: &dyn Fn(u64) -> i64| -> ArrayRef { Arc::new((first..first + rows).map(|n| Some(f(n))).collect::<Int64Array>()) };
    let pick =
        |names: &'static [&'static str], salt: u64| move |n: u64| names.get((dice(n, salt) % names.len() as u64) as usize).copied().unwrap_or("").to_owned();
    let at = |n: u64| (u128::from(n) * u128::from(YEAR_MS) / u128::from(all)) as i64;
    let user = |n: u64| (n * 400 / all) * 50 + dice(n, 1) % 50;
    let ip = |n: u64, salt: u64| format!("10.{}.{}.{}", dice(n, salt) % 8, dice(n, salt + 1) % 256, dice(n, salt + 2) % 256);
    let src = object(vec![
        ("ip", text(&|n| ip(n, 10))),
        ("port", whole(&|n| 1024 + (dice(n, 2) % 64_000) as i64)),
        ("hostname", text(&|n| format!("host-{}", dice(n, 3) % 5000))),
    ]);
    let dst =
        object(vec![("ip", text(&|n| ip(n, 20))), ("port", whole(&|n| [443, 80, 53, 22, 3389, 8443].get((dice(n, 4) % 6) as usize).copied().unwrap_or(0)))]);
    let user = object(vec![("name", text(&|n| format!("user{}", user(n)))), ("uid", text(&|n| format!("S-1-5-21-{}", user(n))))]);
    let product = object(vec![("name", text(&|_| "firewall".to_owned())), ("vendor_name", text(&|_| "Example".to_owned()))]);
    let metadata = object(vec![("uid", text(&|n| format!("{:016x}{n:016x}", dice(n, 5)))), ("version", text(&|_| "1.8.0".to_owned())), ("product", product)]);
    let traffic = object(vec![("bytes_in", whole(&|n| (dice(n, 6) % 1_000_000) as i64)), ("bytes_out", whole(&|n| (dice(n, 7) % 1_000_000) as i64))]);
    let raw_data = text(&|n| {
        format!(
            "{{\"id\":{n},\"session\":\"{:016x}\",\"policy\":{},\"action\":\"allow\",\"app\":\"web-browsing\",\"zone\":\"lan\",\"bytes\":{}}}",
            dice(n, 8),
            n % 500,
            dice(n, 6) % 1_000_000
        )
    });
    RecordBatch::try_from_iter_with_nullable([
        ("time", whole(&|n| START + at(n)), true),
        ("class_uid", whole(&|_| 4001), true),
        ("activity_id", whole(&|n| (dice(n, 9) % 6) as i64 + 1), true),
        ("severity_id", whole(&|n| [1, 1, 1, 1, 2, 2, 3, 4].get((dice(n, 30) % 8) as usize).copied().unwrap_or(0)), true),
        ("status_id", whole(&|n| (dice(n, 31) % 2) as i64 + 1), true),
        ("activity_name", text(&pick(&["Open", "Close", "Reset", "Fail", "Refuse", "Traffic"], 9)), true),
        ("message", text(&pick(&["session closed", "session opened", "denied by policy", "reset by peer"], 32)), true),
        ("metadata", metadata, true),
        ("src_endpoint", src, true),
        ("dst_endpoint", dst, true),
        ("actor", object(vec![("user", user)]), true),
        ("traffic", traffic, true),
        ("raw_data", raw_data, true),
    ])
    .expect("columns of equal length")
}
