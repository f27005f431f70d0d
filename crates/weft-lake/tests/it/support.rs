//! Numbered events and a small mapping of them.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, ListBuilder, StringArray, StringBuilder, StructArray, StructBuilder};
use arrow::datatypes::{DataType, Field, Fields, Int64Type};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use weft_lake::{Failpoint, Lake, LakeOptions, QueryOptions, Recovery};
use weft_model::{ClassUid, Context, EventBatch, Mapped, Position, RawBatch, RawRecord, RecordId, Reject, RejectCause, Timestamp};

pub const AUTHENTICATION: ClassUid = ClassUid(3002);
pub const NETWORK: ClassUid = ClassUid(4001);
/// 2024-08-13T00:00:00Z
pub const START: i64 = 1_723_507_200_000;

/// Records `n` of a source; every seventh is no event.
pub fn raw(numbers: std::ops::Range<u64>) -> RawBatch {
    let record = |n: u64| {
        let text = if n % 7 == 6 { format!("bad {n}") } else { format!("{n}") };
        RawRecord { id: RecordId(u128::from(n)), bytes: Bytes::from(text) }
    };
    RawBatch {
        source: "test/numbers".into(),
        stream: "test/number".into(),
        context: Context::default(),
        next: Position(numbers.end.to_string()),
        received: Timestamp(START),
        records: numbers.map(record).collect(),
    }
}

/// Even numbers are sign-ins, odd ones network events, at one event every `step` milliseconds.
pub fn map_every(raw: &RawBatch, step: i64) -> Mapped {
    let parsed = |record: &RawRecord| std::str::from_utf8(&record.bytes).ok()?.parse::<u64>().ok();
    let numbers: Vec<u64> = raw.records.iter().filter_map(parsed).collect();
    let (even, odd): (Vec<u64>, Vec<u64>) = numbers.into_iter().partition(|n| n % 2 == 0);
    let batch =
        |class: ClassUid, numbers: Vec<u64>| (!numbers.is_empty()).then(|| EventBatch { class, source: raw.source.clone(), rows: rows(class, &numbers, step) });
    let reject = |record: &RawRecord| Reject {
        id: record.id,
        source: raw.source.clone(),
        stream: raw.stream.clone(),
        context: raw.context.clone(),
        cause: RejectCause::Malformed,
        message: "not a number".to_owned(),
        raw: record.bytes.clone(),
    };
    let rejects = raw.records.iter().filter(|record| parsed(record).is_none()).map(reject).collect();
    Mapped { batches: [batch(AUTHENTICATION, even), batch(NETWORK, odd)].into_iter().flatten().collect(), rejects, dropped: 0 }
}

pub fn map(raw: &RawBatch) -> Mapped {
    map_every(raw, 1000)
}

/// The same records under another mapping: all of them sign-ins.
pub fn map_otherwise(raw: &RawBatch) -> Mapped {
    let mapped = map(raw);
    let as_sign_in = |batch: EventBatch| EventBatch { class: AUTHENTICATION, ..batch };
    let batches: Vec<_> = mapped.batches.into_iter().map(as_sign_in).collect();
    Mapped { batches, rejects: mapped.rejects, dropped: mapped.dropped }
}

pub fn texts(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<StringArray>())
}

pub fn object(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
    Arc::new(StructArray::from(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()))
}

pub fn rows(class: ClassUid, numbers: &[u64], step: i64) -> RecordBatch {
    let each = |f: &dyn Fn(u64) -> String| texts(numbers.iter().map(|n| f(*n)));
    let whole = |f: &dyn Fn(u64) -> i64| -> ArrayRef { Arc::new(numbers.iter().map(|n| Some(f(*n))).collect::<Int64Array>()) };
    let user = object(vec![("name", each(&|n| format!("user{}", n % 100))), ("uid", each(&|n| format!("u-{n}")))]);
    RecordBatch::try_from_iter_with_nullable([
        ("time", whole(&|n| START + n as i64 * step), true),
        ("class_uid", whole(&|_| i64::from(class.0)), true),
        ("severity_id", whole(&|n| (n % 6) as i64), true),
        ("n", whole(&|n| n as i64), true),
        ("metadata", object(vec![("uid", each(&|n| format!("{n:032x}"))), ("version", each(&|_| "1.8.0".to_owned()))]), true),
        ("actor", object(vec![("user", user)]), true),
        ("src_endpoint", object(vec![("ip", each(&|n| format!("10.0.{}.{}", n / 250 % 250, n % 250)))]), true),
        ("observables", observables(numbers), true),
        ("unmapped", each(&|n| format!("{{\"a\":{{\"b\":[{n},\"x\"]}}}}")), true),
        ("raw_data", each(&|n| n.to_string()), true),
    ])
    .unwrap()
}

fn observables(numbers: &[u64]) -> ArrayRef {
    let fields =
        Fields::from(vec![Field::new("name", DataType::Utf8, true), Field::new("type_id", DataType::Int64, true), Field::new("value", DataType::Utf8, true)]);
    let mut list = ListBuilder::new(StructBuilder::from_fields(fields, numbers.len()));
    for n in numbers {
        let item = list.values();
        item.field_builder::<StringBuilder>(0).unwrap().append_value("src_endpoint.ip");
        item.field_builder::<arrow::array::Int64Builder>(1).unwrap().append_value(2);
        item.field_builder::<StringBuilder>(2).unwrap().append_value(format!("10.0.{}.{}", n / 250 % 250, n % 250));
        item.append(true);
        list.append(true);
    }
    Arc::new(list.finish())
}

pub async fn open(dir: &Path) -> (Lake, Recovery) {
    Lake::open(LakeOptions::in_dir(dir).unwrap()).await.unwrap()
}

pub async fn open_cut(dir: &Path, failpoint: Failpoint) -> (Lake, Recovery) {
    Lake::open(LakeOptions { failpoint: Some(failpoint), ..LakeOptions::in_dir(dir).unwrap() }).await.unwrap()
}

/// Maps and publishes what a start found.
pub fn replay(lake: &Lake, recovery: &Recovery, map: fn(&RawBatch) -> Mapped) {
    for logged in recovery.logged() {
        let logged = logged.unwrap();
        let mapped = map(logged.batch());
        lake.publish(logged, mapped).unwrap();
    }
}

pub async fn ingest(lake: &Lake, batch: RawBatch) {
    let logged = lake.append(batch, false).await.unwrap().logged.unwrap();
    let mapped = map(logged.batch());
    lake.publish(logged, mapped).unwrap();
}

/// The first column of the first row, as a number.
pub async fn number(lake: &Lake, sql: &str) -> i64 {
    let result = lake.session(QueryOptions::default()).collect(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let value = arrow::compute::cast(result.batches[0].column(0), &DataType::Int64).unwrap();
    value.as_primitive::<Int64Type>().value(0)
}

/// All texts of the first column.
pub async fn strings(lake: &Lake, sql: &str) -> Vec<String> {
    let result = lake.session(QueryOptions::default()).collect(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let texts = |batch: &RecordBatch| {
        let column = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
        column.as_string::<i32>().iter().map(|text| text.unwrap_or("null").to_owned()).collect::<Vec<_>>()
    };
    result.batches.iter().flat_map(texts).collect()
}

/// Numbers of the files that a plan reads.
pub async fn files_read(lake: &Lake, sql: &str) -> usize {
    let result = lake.session(QueryOptions::default()).collect(&format!("EXPLAIN FORMAT INDENT {sql}")).await.unwrap();
    let plan = result.to_text();
    plan.matches(".parquet").count()
}

/// Data files on the disk, whether a table names them or not.
pub fn files_of(dir: &Path) -> usize {
    let mut found = 0;
    let mut folders = vec![dir.join("lake")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("_delta_log") && !path.ends_with("_weft") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found += 1;
            }
        }
    }
    found
}
