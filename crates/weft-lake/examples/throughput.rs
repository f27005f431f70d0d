//! How fast the lake writes: Parquet rows a second on one core, durable records a second through
//! the log, and the time of a point query. `cargo run --release -p weft-lake --example throughput`.
#![allow(clippy::too_many_lines, clippy::print_stdout, clippy::expect_used, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::StreamExt as _;
use weft_lake::{Lake, LakeOptions, QueryOptions};
use weft_model::{ClassUid, Context, EventBatch, Mapped, Position, RawBatch, RawRecord, RecordId, Timestamp};

/// Rows of one commit: one file, so that one core does the encoding.
const ROWS: u64 = 100_000;
const START: i64 = 1_723_507_200_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (lake, _) = Lake::open(LakeOptions::in_dir(dir.path()).expect("a path")).await.expect("a lake");
        parquet(&lake).await;
        point_query(&lake).await;
        log(&lake, 100, 64).await;
        log(&lake, 1, 256).await;
    });
}

/// A small random number generator: the same rows in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

async fn parquet(lake: &Lake) {
    for round in 0..4 {
        let batches: Vec<Mapped> = (0..ROWS / 1000).map(|part| mapped(round * ROWS + part * 1000, 1000)).collect();
        for events in batches {
            let logged = lake.append(raw(0, 1, 10), false).await.expect("an append").logged.expect("a frame");
            lake.publish(logged, events).expect("rows that fit");
        }
        let memory = lake.tail_bytes();
        let begun = Instant::now();
        let done = lake.commit().await.expect("a commit");
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "parquet: {} rows, {} files, {:.0} bytes a row in memory, {:.0} on disk, {:.0} rows/s with sync and commit",
            done.rows,
            done.files,
            memory as f64 / done.rows as f64,
            done.bytes as f64 / done.rows as f64,
            done.rows as f64 / seconds
        );
    }
}

async fn point_query(lake: &Lake) {
    for (name, sql) in [
        ("by uid, nested, bloom filter", format!("SELECT raw_data FROM network_activity WHERE metadata.uid = '{:032x}'", 250_017)),
        ("by address, nested, bloom filter", "SELECT count(*) FROM network_activity WHERE src_endpoint.ip = '10.9.9.9'".to_owned()),
        ("without any help", "SELECT count(*) FROM network_activity WHERE raw_data LIKE '%nothing like it%'".to_owned()),
        ("count by class", "SELECT class_uid, count(*) FROM events GROUP BY class_uid".to_owned()),
    ] {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            lake.session(QueryOptions::default()).collect(&sql).await.expect("an answer");
            best = best.min(begun.elapsed());
        }
        println!("query {name}: {:.1} ms over {} rows", best.as_secs_f64() * 1e3, 4 * ROWS);
    }
}

async fn log(lake: &Lake, records: u64, callers: usize) {
    let appends = 200_000 / records;
    let begun = Instant::now();
    let mut latencies: Vec<Duration> = futures::stream::iter(0..appends)
        .map(|number| async move {
            let batch = raw(number * records, records, 1700);
            let sent = Instant::now();
            let appended = lake.append(batch, true).await.expect("an append");
            let latency = sent.elapsed();
            lake.publish(appended.logged.expect("a frame"), Mapped::default()).expect("nothing to fit");
            latency
        })
        .buffer_unordered(callers)
        .collect()
        .await;
    let seconds = begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let p99 = latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default();
    let total = (appends * records) as f64;
    println!(
        "log: {records} records an append, {callers} callers: {:.0} records/s, {:.0} MB/s, p99 {:.1} ms",
        total / seconds,
        total * 1.7e-3 / seconds,
        p99.as_secs_f64() * 1e3
    );
    lake.commit().await.expect("a commit");
}

fn raw(first: u64, records: u64, bytes: usize) -> RawBatch {
    let text = Bytes::from(vec![b'x'; bytes]);
    let record = |number: u64| RawRecord {
        id: RecordId(u128::from(number) << 64 | u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | (bytes as u128) << 100),
        bytes: text.clone(),
    };
    RawBatch {
        source: "bench".into(),
        stream: "bench/record".into(),
        context: Context::default(),
        next: Position::default(),
        received: Timestamp(START),
        records: (first..first + records).map(record).collect(),
    }
}

fn mapped(first: u64, rows: u64) -> Mapped {
    Mapped { batches: vec![EventBatch { class: ClassUid(4001), source: "bench".into(), rows: events(first, rows) }], rejects: Vec::new(), ..Mapped::default() }
}

fn object(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).expect("columns of equal length");
    Arc::new(StructArray::from(rows))
}

/// 40 columns as a firewall would fill them, with 1.7 kB of raw record.
fn events(first: u64, rows: u64) -> RecordBatch {
    let mut random = Numbers(first.wrapping_add(88_172_645_463_325_252));
    let mut text =
        |f: &dyn Fn(u64, &mut Numbers) -> String| -> ArrayRef { Arc::new((first..first + rows).map(|n| Some(f(n, &mut random))).collect::<StringArray>()) };
    let ip = |_: u64, random: &mut Numbers| format!("10.{}.{}.{}", random.below(8), random.below(256), random.below(256));
    let few = |names: &'static [&'static str]| {
        move |_: u64, random: &mut Numbers| names.get(random.below(names.len() as u64) as usize).copied().unwrap_or("").to_owned()
    };
    let src = object(vec![
        ("ip", text(&ip)),
        ("hostname", text(&|_, r| format!("host-{}", r.below(5000)))),
        ("mac", text(&|_, r| format!("{:012x}", r.below(5000)))),
        ("zone", text(&few(&["lan", "dmz", "guest"]))),
    ]);
    let dst = object(vec![
        ("ip", text(&ip)),
        ("hostname", text(&|_, r| format!("srv-{}.example.com", r.below(3000)))),
        ("domain", text(&|_, r| format!("d{}.example.com", r.below(3000)))),
        ("zone", text(&few(&["internet", "dmz"]))),
    ]);
    let user = object(vec![
        ("name", text(&|_, r| format!("user{}", r.below(20_000)))),
        ("uid", text(&|_, r| format!("S-1-5-21-{}", r.below(20_000)))),
        ("email_addr", text(&|_, r| format!("user{}@example.com", r.below(20_000)))),
    ]);
    let process = object(vec![
        ("name", text(&few(&["svchost.exe", "chrome.exe", "sshd", "curl"]))),
        ("cmd_line", text(&|n, r| format!("/usr/bin/curl -s https://d{}.example.com/{n}", r.below(3000)))),
    ]);
    let product = object(vec![("name", text(&few(&["firewall"]))), ("vendor_name", text(&few(&["Example"])))]);
    let metadata = object(vec![
        ("uid", text(&|n, _| format!("{n:032x}"))),
        ("version", text(&few(&["1.8.0"]))),
        ("product", product),
        ("log_name", text(&few(&["traffic", "threat"]))),
    ]);
    let device = object(vec![("hostname", text(&few(&["fw1", "fw2", "fw3"]))), ("uid", text(&few(&["0001", "0002", "0003"])))]);
    let raw_data = text(&|n, r| {
        let mut raw = format!("{{\"id\":{n},\"src\":\"10.{}.{}.{}\",\"session\":\"{:016x}\"", r.below(8), r.below(256), r.below(256), r.next());
        while raw.len() < 1680 {
            raw.push_str(&format!(",\"field_{}\":\"value {} of {}\",\"flag\":true", raw.len() % 40, r.below(1_000_000), r.below(50)));
        }
        raw.push('}');
        raw
    });
    let unmapped = text(&|_, r| format!("{{\"policy\":{},\"rule\":\"r{}\"}}", r.below(500), r.below(900)));
    let message = text(&few(&["session closed", "session opened", "denied by policy"]));
    let names: Vec<ArrayRef> = vec![
        text(&few(&["Network Activity"])),
        text(&few(&["Network Activity"])),
        text(&few(&["Open", "Close", "Refuse"])),
        text(&few(&["Informational", "Low"])),
        text(&few(&["Success", "Failure"])),
    ];
    let mut whole = |limit: u64| -> ArrayRef { Arc::new((0..rows).map(|_| Some(random.below(limit) as i64)).collect::<Int64Array>()) };
    let traffic = object(vec![("bytes_in", whole(1_000_000)), ("bytes_out", whole(1_000_000)), ("packets_in", whole(5000)), ("packets_out", whole(5000))]);
    let [activity, port, severity, status, duration] = [whole(7), whole(65_536), whole(6), whole(3), whole(60_000)];
    let constant = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value; rows as usize])) };
    let time: ArrayRef = Arc::new((first..first + rows).map(|n| START + (n / 10) as i64).collect::<Int64Array>());
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("time", time),
        ("class_uid", constant(4001)),
        ("category_uid", constant(4)),
        ("type_uid", constant(400_101)),
        ("activity_id", activity),
        ("severity_id", severity),
        ("status_id", status),
        ("duration", duration),
        ("port", port),
        ("message", message),
        ("metadata", metadata),
        ("src_endpoint", src),
        ("dst_endpoint", dst),
        ("actor", object(vec![("user", user), ("process", process)])),
        ("device", device),
        ("traffic", traffic),
        ("unmapped", unmapped),
        ("raw_data", raw_data),
    ];
    columns.extend(["class_name", "category_name", "activity_name", "severity", "status"].into_iter().zip(names));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).expect("columns of equal length")
}
