//! `weft intel retro`: values against the past, through the index of observables.

use std::time::{Duration, Instant};

use weft_analytics::intel::{Build, Facts, Held, Intel, Kind, Value, keys};
use weft_lake::past::{Looked, Way};
use weft_lake::{Lake, LakeError, Reader};
use weft_model::EventBatch;

use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::door::now;
use crate::home::Home;
use crate::intel::retro::{self, Retro};
use crate::verb::offline;

/// Ways of asking the past are timed several times, and the best counts: the first warms the disk's cache.
const ROUNDS: usize = 5;
/// Events of evidence that are printed.
const EVIDENCE_TOLD: usize = 20;

/// The lake of this process, or that of a running mesh beside it.
enum Source {
    Own(Box<Lake>),
    Beside(Box<Reader>),
}

impl Source {
    async fn of(home: &Home) -> Result<Self, Fault> {
        if home.running().is_none() {
            return Ok(Self::Own(Box::new(offline::open(home).await?)));
        }
        cli::say("the mesh is running: events of the last seconds, which are in no file yet, are not looked at");
        Ok(Self::Beside(Box::new(Reader::open(&home.lake_options()?).await.map_err(Fault::failed)?)))
    }

    async fn look(&self, wanted: &[u64], way: Way, visit: &mut (dyn FnMut(EventBatch) + Send)) -> Result<Looked, LakeError> {
        let keys = retro::keys();
        match self {
            Self::Own(lake) => lake.look_back(&keys, wanted, way, visit).await,
            Self::Beside(reader) => reader.look_back(&keys, wanted, way, visit).await,
        }
    }
}

/// Looks back; exit code 1 when a value was seen.
pub(super) async fn run(home: &Home, texts: &[String], kind: Option<Kind>, compare: bool, out: &mut Output) -> Result<Outcome, Fault> {
    let values = values(texts, kind)?;
    let mut wanted: Vec<u64> = values.iter().map(|value| keys::of_indicator(value.kind, &value.text)).collect();
    wanted.sort_unstable();
    let source = Source::of(home).await?;
    let mut past = Retro::new(intel(&values), now());
    let looked = source.look(&wanted, Way::Index, &mut |batch| past.look(&batch)).await.map_err(Fault::failed)?;
    print(&past, out)?;
    cli::say(&format!(
        "{} of {} files were read, {} of them to make their index; {} events were looked at",
        looked.files_read, looked.files, looked.files_indexed, looked.events
    ));
    if compare {
        timings(&source, &values, &wanted).await?;
    }
    Ok(if past.seen().is_empty() { Outcome::Done } else { Outcome::Found })
}

fn values(texts: &[String], kind: Option<Kind>) -> Result<Vec<Value>, Fault> {
    let (mut values, mut wrong) = (Vec::new(), Vec::new());
    for text in texts {
        match kind.map_or_else(|| Value::guess(text), |kind| Value::indicator(kind, text)) {
            // What a digest is one of cannot be seen.
            Ok(value) if kind.is_none() && value.kind == Kind::Hash => {
                values.extend([Kind::Hash, Kind::Certificate, Kind::Ja3, Kind::Ja3s].into_iter().filter_map(|kind| Value::observed(kind, text)));
            }
            Ok(value) => values.push(value),
            Err(reason) => wrong.push(reason),
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(Fault::Misuse(wrong)) }
}

/// The values as indicators that somebody asks for.
fn intel(values: &[Value]) -> Intel {
    let mut build = Build::default();
    let facts = build.facts(Held { source: "asked".into(), facts: Facts { confidence: 50, from: now().0, ..Facts::default() } });
    values.iter().for_each(|value| build.add(value.kind, &value.text, facts));
    build.finish()
}

fn print(past: &Retro, out: &mut Output) -> Result<(), Fault> {
    let mut rows = Rows::new(["indicator", "kind", "events", "first_seen", "last_seen", "observed", "evidence"]);
    for seen in past.seen() {
        let evidence: Vec<serde_json::Value> = seen.evidence.iter().take(EVIDENCE_TOLD).map(|event| event.uid.clone().into()).collect();
        rows.push([
            seen.indicator.into(),
            seen.kind.name().into(),
            seen.events.into(),
            seen.first.rfc3339().into(),
            seen.last.rfc3339().into(),
            seen.observed.join("; ").into(),
            evidence.into(),
        ]);
    }
    out.rows(&rows)
}

async fn timings(source: &Source, values: &[Value], wanted: &[u64]) -> Result<(), Fault> {
    let (by_index, read) = best(source, values, wanted, Way::Index).await?;
    let (by_scan, all) = best(source, values, wanted, Way::Scan).await?;
    cli::say(&format!("through the index: {:.2} ms, {read} files read", by_index.as_secs_f64() * 1e3));
    cli::say(&format!("full scan: {:.2} ms, {all} files read", by_scan.as_secs_f64() * 1e3));
    cli::say(&format!("{:.1} times faster", by_scan.as_secs_f64() / by_index.as_secs_f64().max(1e-9)));
    Ok(())
}

async fn best(source: &Source, values: &[Value], wanted: &[u64], way: Way) -> Result<(Duration, u64), Fault> {
    let (mut best, mut read) = (Duration::MAX, 0);
    for _ in 0..ROUNDS {
        let mut past = Retro::new(intel(values), now());
        let begun = Instant::now();
        let looked = source.look(wanted, way, &mut |batch| past.look(&batch)).await.map_err(Fault::failed)?;
        best = best.min(begun.elapsed());
        read = looked.files_read;
    }
    Ok((best, read))
}
