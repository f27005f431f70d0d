//! Mapping beside its anchor, in one run on one core: 48 attributes of CloudTrail records, from raw
//! JSON into Arrow columns, by VRL and by Weft; then Weft's whole connector.
//!
//! The anchor is as fast as VRL goes: the program is one object literal, its values go into Arrow
//! by `arrow-json` without text in between, and it keeps neither the raw record nor the rest.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml -- FILE…` (NDJSON, may be gz).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use arrow::json::reader::{ReaderBuilder, infer_json_schema_from_iterator};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use vrl::compiler::runtime::Runtime;
use vrl::compiler::{Program, TargetValueRef, TimeZone, compile};
use vrl::value::{Secrets, Value};
use weft_ingest::frame::{self, Framing, Piece};
use weft_ingest::{ConnectorSource, Mapper, Registry};
use weft_model::{Context, Mapping as _, RawBatch, StreamId};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Records of one batch, as the doors make them.
const BATCH_RECORDS: usize = 4096;
/// Records of one round; the file is repeated until there are as many.
const RECORDS: usize = 65_536;
/// Rounds; both sides take turns and the best of each counts.
const ROUNDS: usize = 7;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        return Err("usage: weft-bench FILE… (CloudTrail, one record a line; .gz is fine)".into());
    }
    let (whole, _) = weft_testkit::registry();
    let (small, faults) = Registry::build(&[source()?]);
    if let Some(fault) = faults.first() {
        return Err(fault.to_string().into());
    }
    let records = read(&paths, &whole)?;
    let bytes: usize = records.iter().map(Bytes::len).sum();
    let anchor = Anchor::new(&records)?;
    let streams = [("Weft, 48 attributes, with raw and unmapped", "cloudtrail/api", small), ("Weft, whole connector", "aws/cloudtrail", whole)];
    let mut best = [f64::MAX; 4];
    for _ in 0..ROUNDS {
        best[0] = best[0].min(timed(|| records.iter().map(|record| anchor.text(record).len()).sum()));
        best[1] = best[1].min(timed(|| records.chunks(BATCH_RECORDS).map(|chunk| anchor.columns(chunk).num_rows()).sum()));
        for (best, (_, stream, registry)) in best.iter_mut().skip(2).zip(&streams) {
            let batches: Vec<RawBatch> = records.chunks(BATCH_RECORDS).map(|chunk| weft_testkit::batch(stream, Context::default(), chunk.to_vec())).collect();
            let mapper = Mapper::new(Arc::clone(registry));
            *best = best.min(timed(|| batches.iter().map(|batch| mapper.map(batch).events()).sum()));
        }
    }
    println!("{} records of {} bytes, one core, best of {ROUNDS} rounds", records.len(), bytes / records.len());
    let names = ["VRL, 48 attributes, to JSON text", "VRL, 48 attributes, to Arrow", streams[0].0, streams[1].0];
    for (name, seconds) in names.iter().zip(best) {
        println!("{name:<46} {:>9.0} events/s {:>6.0} MB/s {:>6.1} x", records.len() as f64 / seconds, bytes as f64 / seconds / 1e6, best[1] / seconds);
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> usize) -> f64 {
    let begun = Instant::now();
    let done = std::hint::black_box(work());
    assert!(done > 0, "nothing was mapped");
    begun.elapsed().as_secs_f64()
}

/// The anchor: parsed by `serde_json` into VRL's values as in Vector, mapped, written.
struct Anchor {
    program: Program,
    schema: SchemaRef,
}

impl Anchor {
    fn new(records: &[Bytes]) -> Result<Self> {
        let text = std::fs::read_to_string(here("cloudtrail/api.vrl"))?;
        let program = compile(&text, &vrl::stdlib::all()).map_err(|faults| vrl::diagnostic::Formatter::new(&text, faults).to_string())?.program;
        let mut anchor = Self { program, schema: Arc::new(arrow::datatypes::Schema::empty()) };
        // What a request was about differs from call to call: it is one text in both.
        let seen = records.iter().map(|record| Ok(serde_json::to_value(anchor.value(record)).expect("a value is JSON")));
        anchor.schema = Arc::new(infer_json_schema_from_iterator(seen)?);
        Ok(anchor)
    }

    fn columns(&self, records: &[Bytes]) -> RecordBatch {
        let values: Vec<Value> = records.iter().map(|record| self.value(record)).collect();
        let mut decoder = ReaderBuilder::new(Arc::clone(&self.schema)).with_batch_size(BATCH_RECORDS).build_decoder().expect("the schema is sound");
        decoder.serialize(&values).expect("the schema was inferred of these values");
        decoder.flush().expect("the values fit").expect("there are rows")
    }

    fn text(&self, record: &[u8]) -> Vec<u8> {
        serde_json::to_vec(&self.value(record)).expect("a value is JSON")
    }

    fn value(&self, record: &[u8]) -> Value {
        let mut value: Value = serde_json::from_slice(record).expect("the file holds JSON");
        let (mut metadata, mut secrets) = (Value::Object(Default::default()), Secrets::default());
        let mut target = TargetValueRef { value: &mut value, metadata: &mut metadata, secrets: &mut secrets };
        Runtime::default().resolve(&mut target, &self.program, &TimeZone::default()).expect("the program fits the records");
        value
    }
}

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn source() -> Result<ConnectorSource> {
    let files = ["connector.toml", "mapping/api.toml"];
    let files = files.iter().map(|name| Ok(((*name).to_owned(), std::fs::read_to_string(here("cloudtrail").join(name))?))).collect::<Result<_>>()?;
    Ok(ConnectorSource { name: "cloudtrail".to_owned(), files })
}

fn read(paths: &[String], registry: &Registry) -> Result<Vec<Bytes>> {
    let framing = Framing::of(registry, &StreamId::from("aws/cloudtrail")).ok_or("there is no stream `aws/cloudtrail`")?;
    let mut once = Vec::new();
    for path in paths {
        frame::read(Path::new(path), &framing, &mut |piece| {
            if let Piece::Record { bytes, .. } = piece {
                once.push(bytes);
            }
        })?;
    }
    if once.is_empty() {
        return Err("there are no records in the files".into());
    }
    Ok(once.iter().cycle().take(RECORDS).cloned().collect())
}
