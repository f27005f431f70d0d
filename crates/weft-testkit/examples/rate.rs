//! How fast records are mapped on one core, over the connectors on disk:
//! `cargo run --release -p weft-testkit --example rate -- STREAM PATH…`.
//!
//! Prints records and megabytes a second for the whole way from raw bytes to Arrow columns. With
//! `--rounds=N` before the stream it goes on for longer, which is what a profiler wants.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use weft_ingest::Mapper;
use weft_ingest::frame::{self, Framing, Piece};
use weft_model::{Context, Mapping as _, RawBatch, StreamId};
use weft_testkit::{batch, registry};

/// As in the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Records of one batch, as the doors make them.
const BATCH_RECORDS: usize = 4096;
/// How often everything is mapped; the best round counts.
const ROUNDS: usize = 7;

fn main() {
    let (options, arguments): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let rounds = options.iter().find_map(|option| option.strip_prefix("--rounds=")?.parse().ok()).unwrap_or(ROUNDS);
    let Some((stream, paths)) = arguments.split_first() else {
        eprintln!("usage: rate [--rounds=N] STREAM PATH…");
        std::process::exit(2);
    };
    let (registry, _) = registry();
    let Some(framing) = Framing::of(&registry, &StreamId::from(stream.as_str())) else {
        eprintln!("there is no stream `{stream}`");
        std::process::exit(2);
    };
    let batches = read(stream, paths, &framing);
    let records: usize = batches.iter().map(|batch| batch.records.len()).sum();
    let bytes: usize = batches.iter().flat_map(|batch| &batch.records).map(|record| record.bytes.len()).sum();
    let mapper = Mapper::new(Arc::clone(&registry));
    let best = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            let events: usize = batches.iter().map(|batch| mapper.map(batch).events()).sum();
            (begun.elapsed().as_secs_f64(), events)
        })
        .min_by(|left, right| left.0.total_cmp(&right.0));
    if let Some((seconds, events)) = best {
        let count = |number: usize| u32::try_from(number).map_or(f64::MAX, f64::from);
        println!("{records} records of {:.0} bytes, {events} events", count(bytes) / count(records));
        println!("{:.0} events/s, {:.0} MB/s on one core", count(events) / seconds, count(bytes) / seconds / 1e6);
    }
}

fn read(stream: &str, paths: &[String], framing: &Framing) -> Vec<RawBatch> {
    let mut batches = Vec::new();
    let mut context = Context::default();
    let mut held = Vec::new();
    for path in paths {
        let outcome = frame::read(Path::new(path), framing, &mut |piece| match piece {
            Piece::Context(changed) => {
                batches.push(batch(stream, context.clone(), std::mem::take(&mut held)));
                context = (*changed).clone();
            }
            Piece::Record { bytes, .. } => {
                held.push(bytes);
                if held.len() >= BATCH_RECORDS {
                    batches.push(batch(stream, context.clone(), std::mem::take(&mut held)));
                }
            }
            Piece::Fault { message, .. } => eprintln!("{message}"),
        });
        if let Err(error) = outcome {
            eprintln!("`{path}` cannot be read: {error}");
        }
    }
    batches.push(batch(stream, context, held));
    batches
}
