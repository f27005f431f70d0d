//! Maps files by the connectors on disk, for those who write mappings:
//! `cargo run -p weft-testkit --example map -- STREAM PATH…`, with `--events` for the events
//! themselves, `--rejects` for the rejects. Faults of connector files are always told.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::too_many_lines, reason = "a tool for the terminal")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use bytes::Bytes;
use weft_ingest::Mapper;
use weft_ingest::frame::{self, Framing, Piece};
use weft_ingest::schema::{Level, Validator};
use weft_model::{Context, Mapping as _, StreamId};
use weft_testkit::{batch, registry};

#[derive(Default)]
struct Tally {
    read: usize,
    mapped: BTreeMap<String, usize>,
    rejected: BTreeMap<String, usize>,
    violations: BTreeMap<String, usize>,
}

fn main() {
    let (options, rest): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let (registry, faults) = registry();
    for fault in &faults {
        eprintln!("{fault}");
    }
    let Some((stream, paths)) = rest.split_first() else {
        println!("{} streams, {} faults", registry.programs.len(), faults.len());
        std::process::exit(i32::from(!faults.is_empty()));
    };
    let Some(framing) = Framing::of(&registry, &StreamId::from(stream.as_str())) else {
        eprintln!("there is no stream `{stream}`; there are {}", registry.streams().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        std::process::exit(2);
    };
    let has = |name: &str| options.iter().any(|option| option == name);
    let (mapper, validator, mut tally) = (Mapper::new(registry), Validator::new(), Tally::default());
    let mut out = std::io::stdout().lock();
    for path in paths {
        let mut context = Context::default();
        let mut held: Vec<Bytes> = Vec::new();
        let mut flush = |context: &Context, held: &mut Vec<Bytes>| {
            let mapped = mapper.map(&batch(stream, context.clone(), std::mem::take(held)));
            for events in &mapped.batches {
                *tally
                    .mapped
                    .entry(format!("{} {}", events.class, weft_model::ocsf::schema().class(events.class.0).map_or("", |class| &class.name)))
                    .or_default() += events.rows.num_rows();
                for event in events.to_json() {
                    for violation in validator.validate(&event).into_iter().filter(|violation| violation.level() == Level::Error) {
                        *tally.violations.entry(format!("{} {violation}", events.class)).or_default() += 1;
                    }
                    if has("--events") {
                        let _ = writeln!(out, "{event}");
                    }
                }
            }
            for reject in &mapped.rejects {
                *tally.rejected.entry(format!("{}: {}", reject.cause.name(), reject.message)).or_default() += 1;
                if has("--rejects") {
                    eprintln!("{} {} {}", reject.cause.name(), reject.message, String::from_utf8_lossy(&reject.raw));
                }
            }
        };
        let outcome = frame::read(Path::new(path), &framing, &mut |piece| match piece {
            Piece::Context(changed) => {
                flush(&context, &mut held);
                context = (*changed).clone();
            }
            Piece::Record { bytes, .. } => {
                tally.read += 1;
                held.push(bytes);
                if held.len() >= 4096 {
                    flush(&context, &mut held);
                }
            }
            Piece::Fault { cause, message, .. } => {
                eprintln!("{}: {} {message}", context.file.as_deref().unwrap_or_default(), cause.name());
            }
        });
        flush(&context, &mut held);
        if let Err(error) = outcome {
            eprintln!("`{path}` cannot be read: {error}");
        }
    }
    let mapped: usize = tally.mapped.values().sum();
    let rejected: usize = tally.rejected.values().sum();
    eprintln!("read {} = mapped {mapped} + rejected {rejected}", tally.read);
    for (title, counts) in [("mapped", &tally.mapped), ("rejected", &tally.rejected), ("violations", &tally.violations)] {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (what, count) in counts.into_iter().take(40) {
            eprintln!("  {title} {count:>8} {what}");
        }
    }
}
