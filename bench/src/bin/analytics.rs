//! Correlations beside their anchor (`rsigma-eval`), and behaviour analytics over a million entities:
//! one thread, CPU time, the same events in memory, as parsed JSON there and as Arrow here.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml --bin analytics`

#![allow(clippy::print_stdout, reason = "a tool for the terminal")]

use std::sync::Arc;

use arrow::array::{Int64Array, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use rsigma_eval::{CorrelationConfig, CorrelationEngine, JsonEvent};
use serde_json::{Value, json};
use weft_analytics::{Engine, FieldMap, RuleFile, compile};
use weft_model::{ClassUid, Detector as _, EventBatch, Timestamp};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Events of one batch, as the doors make them.
const BATCH: usize = 4096;
const KIND: &str = "[[kind]]\nname = \"k\"\nproduct = \"bench\"\nclass = [1]\n";
const BASE: &str = "title: A\nid: a\nname: a\nlogsource: {product: bench}\ndetection: {sel: {what: a}, condition: sel}\nlevel: low\n---\ntitle: B\nid: b\nname: b\nlogsource: {product: bench}\ndetection: {sel: {what: b}, condition: sel}\nlevel: low\n---\n";

struct Event {
    time: i64,
    what: &'static str,
    host: String,
    user: String,
}

/// Nanoseconds that this thread was on a CPU.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("it is a number")
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("it is a number") * 4096.0
}

fn batches(events: &[Event]) -> Vec<EventBatch> {
    events.chunks(BATCH).enumerate().map(|(number, chunk)| batch(number, chunk)).collect()
}

fn batch(number: usize, chunk: &[Event]) -> EventBatch {
    let uid: StringArray = (0..chunk.len()).map(|row| Some(format!("{:032x}", number * BATCH + row))).collect();
    let uid = StructArray::from(vec![(Arc::new(Field::new("uid", DataType::Utf8, true)), Arc::new(uid) as arrow::array::ArrayRef)]);
    let text = |of: fn(&Event) -> &str| Arc::new(chunk.iter().map(|event| Some(of(event))).collect::<StringArray>());
    let schema = Schema::new(vec![
        Field::new("time", DataType::Int64, true),
        Field::new("metadata", uid.data_type_of(), true),
        Field::new("what", DataType::Utf8, true),
        Field::new("host", DataType::Utf8, true),
        Field::new("user", DataType::Utf8, true),
    ]);
    let time: Int64Array = chunk.iter().map(|event| Some(event.time)).collect();
    let rows = RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(time), Arc::new(uid), text(|event| event.what), text(|event| &event.host), text(|event| &event.user)],
    );
    EventBatch { class: ClassUid(1), source: "bench".into(), rows: rows.expect("the columns fit") }
}

trait TypeOf {
    fn data_type_of(&self) -> DataType;
}
impl TypeOf for StructArray {
    fn data_type_of(&self) -> DataType {
        use arrow::array::Array as _;
        self.data_type().clone()
    }
}

fn engine(text: &str) -> Engine {
    let (engine, faults) = compile(&[RuleFile { name: "bench".into(), text: text.into() }], &FieldMap::parse(KIND).expect("the fields are sound"));
    assert!(faults.is_empty(), "{faults:?}");
    engine
}

fn ours(text: &str, events: &[Event]) -> (f64, usize) {
    let (batches, mut engine, mut found) = (batches(events), engine(text), 0);
    let begun = cpu();
    for batch in &batches {
        found += engine.observe(batch).len();
    }
    found += engine.advance(Timestamp(i64::MAX)).iter().filter(|finding| !finding.update).count();
    ((cpu() - begun) / events.len() as f64, found)
}

fn anchor(text: &str, events: &[Event]) -> (f64, usize) {
    let collection = rsigma_parser::parse_sigma_yaml(text).expect("the anchor reads it");
    let mut engine = CorrelationEngine::new(CorrelationConfig::default());
    engine.add_collection(&collection).expect("the anchor takes it");
    let values: Vec<Value> = events.iter().map(|event| json!({"what": event.what, "host": event.host, "user": event.user})).collect();
    let begun = cpu();
    let mut found = 0;
    for (event, value) in events.iter().zip(&values) {
        use rsigma_eval::ProcessResultExt as _;
        found += engine.process_event_at(&JsonEvent::borrow(value), event.time / 1_000).correlation_count();
    }
    ((cpu() - begun) / events.len() as f64, found)
}

fn compare(name: &str, correlation: &str, events: &[Event]) {
    let text = format!("{BASE}title: X\nid: x\ncorrelation:\n{correlation}level: high\n");
    let (theirs, told) = anchor(&text, events);
    let mut best = (f64::MAX, 0);
    for _ in 0..3 {
        let (cost, found) = ours(&text, events);
        best = (best.0.min(cost), found);
    }
    println!("{name:<34} {:>9.0} ns/event {:>9.0} ns/event {:>8.1} x   ({told} and {} findings)", theirs, best.0, theirs / best.0, best.1);
}

fn behaviour(name: &str, weft: &str, entities: usize, events: usize) {
    let text = format!("title: X\nid: x\nlogsource: {{product: bench}}\ndetection: {{sel: {{what: a}}, condition: sel}}\nweft: {weft}\n");
    let mut engine = engine(&text);
    let before = resident();
    let (mut spent, mut made) = (0.0, 0);
    while made < events {
        let chunk: Vec<Event> = (made..(made + BATCH).min(events))
            .map(|n| Event { time: n as i64 * 20, what: "a", host: format!("host{}", n % 997), user: format!("user-{:07}", n.wrapping_mul(7_919) % entities) })
            .collect();
        let batch = batch(made / BATCH, &chunk);
        let begun = cpu();
        std::hint::black_box(engine.observe(&batch));
        std::hint::black_box(engine.advance(Timestamp(chunk.last().map_or(0, |event| event.time) - 60_000)));
        spent += cpu() - begun;
        made += chunk.len();
    }
    let bytes = (resident() - before) / engine.pressure().entities.max(1) as f64;
    println!("{name:<34} {:>9.0} events/s/core, {bytes:.0} bytes an entity, {} entities", events as f64 / spent * 1e9, engine.pressure().entities);
}

fn main() {
    // First, while the process holds nothing that could be used again.
    behaviour("first_seen, 1,000,000 entities", "{first_seen: {value: host, by: [user], learn: 1d}}", 1_000_000, 4_000_000);
    behaviour("deviation, 1,000,000 entities", "{deviation: {by: [user], every: 1h, learn: 1d}}", 1_000_000, 4_000_000);
    println!("{:<34} {:>18} {:>18}", "", "anchor", "Weft");
    let users = |n: usize| Event { time: n as i64 * 100, what: "a", host: "h".into(), user: format!("user{}", n % 2_000) };
    let many: Vec<Event> = (0..20_000).map(users).collect();
    compare(
        "value_count, 2,000 values a window",
        "  type: value_count\n  rules: [a]\n  group-by: [host]\n  timespan: 10m\n  condition: {field: user, gte: 2001}\n",
        &many,
    );
    let hosts = |n: usize| Event { time: n as i64 * 10, what: if n % 3 == 2 { "b" } else { "a" }, host: format!("host{}", n % 1_000), user: "u".into() };
    let spread: Vec<Event> = (0..300_000).map(hosts).collect();
    let all: Vec<Event> = (0..300_000).map(|n| Event { what: "a", ..hosts(n) }).collect();
    compare("event_count, 1,000 groups", "  type: event_count\n  rules: [a]\n  group-by: [host]\n  timespan: 10m\n  condition: {gte: 301}\n", &all);
    compare("temporal_ordered, 1,000 groups", "  type: temporal_ordered\n  rules: [a, b]\n  group-by: [host]\n  timespan: 1m\n", &spread);
}
