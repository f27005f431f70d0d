//! How well tools are understood that nobody has foreseen: a third of the connectors is taken out
//! of the registry, and the generic streams are asked about the records of their scenarios.
//!
//! What the connector itself makes of a record is the measure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use weft_ingest::{Mapper, Registry};
use weft_model::{Context, Mapping as _, StreamId};

use crate::scenario::{self, Raw};
use crate::{batch, connectors, registry, root};

/// Of how many connectors one is hidden.
pub const PARTS: usize = 3;

/// What is asked for: name, and the paths that it may have.
const FACTS: [(&str, &[&str]); 9] = [
    ("user", &["actor.user.name", "user.name", "actor.user.email_addr", "user.email_addr", "actor.user.uid", "user.uid"]),
    ("source", &["src_endpoint.ip", "evidences[].src_endpoint.ip", "device.ip"]),
    ("destination", &["dst_endpoint.ip", "evidences[].dst_endpoint.ip"]),
    ("host", &["device.hostname", "src_endpoint.hostname", "dst_endpoint.hostname"]),
    ("time", &["time"]),
    ("file", &["file.path", "file.name", "evidences[].file.path", "process.file.path"]),
    ("hash", &["file.hashes[].value", "evidences[].file.hashes[].value", "process.file.hashes[].value"]),
    ("url", &["http_request.url.url_string", "http_request.url.hostname", "evidences[].url.url_string", "query.hostname"]),
    ("status", &["status_id"]),
];

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Records that were asked about.
    pub records: usize,
    /// That became no event.
    pub rejected: usize,
    /// That another particular stream took for its own.
    pub mistaken: Vec<String>,
    /// That a generic stream took.
    pub generic: usize,
    /// Of these, with the class of the connector.
    pub same_class: usize,
    /// Of these, in the base class although the connector knows a better one.
    pub base: usize,
    /// Fact: how often it was told, of how often.
    pub facts: BTreeMap<&'static str, (usize, usize)>,
    /// Class of the connector and class of the generic stream where they differ.
    pub confused: BTreeMap<(String, String), usize>,
    /// A line for each record that was not understood.
    pub notes: Vec<String>,
}

/// Hides every third of the connectors; the first so many thirds of them, in turn.
pub fn measure(parts: usize) -> Outcome {
    let (full, _) = registry();
    let names: Vec<String> = connectors().into_iter().map(|source| source.name).collect();
    let generic = generic(&full);
    let mut outcome = Outcome::default();
    for part in 0..parts.min(PARTS) {
        let hidden: BTreeSet<&String> = names.iter().filter(|name| !generic.contains(name.as_str())).skip(part).step_by(PARTS).collect();
        let rest: Vec<_> = connectors().into_iter().filter(|source| !hidden.contains(&source.name)).collect();
        let (rest, _) = Registry::build(&rest);
        for name in hidden {
            let folder = root().join("connectors").join(name).join("scenarios");
            for raw in scenario::raw_records(&full, &folder).unwrap_or_default() {
                outcome.raw(&full, &rest, &raw);
            }
        }
    }
    outcome
}

impl Outcome {
    fn raw(&mut self, full: &Arc<Registry>, rest: &Arc<Registry>, raw: &Raw) {
        for Guess { context, record, told, guessed } in guesses(full, rest, raw) {
            self.records += 1;
            let Some(guessed) = guessed else {
                self.rejected += 1;
                self.notes.push(format!("rejected {}", raw.place));
                continue;
            };
            let Some(program) = claimed(rest, context, record) else { continue };
            if !program.1 {
                self.mistaken.push(format!("{} {} taken for {}", raw.place, raw.stream, program.0));
                continue;
            }
            self.generic += 1;
            self.compare(&told, &guessed, raw, &program.0);
        }
    }

    fn compare(&mut self, told: &Value, guessed: &Value, raw: &Raw, by: &str) {
        let class = |event: &Value| event.get("class_name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (wanted, have) = (class(told), class(guessed));
        if wanted == have {
            self.same_class += 1;
        } else {
            self.base += usize::from(have == "Base Event");
            self.notes.push(format!("class {wanted} -> {have} {by} {}", raw.place));
            *self.confused.entry((wanted, have)).or_default() += 1;
        }
        for (fact, paths) in FACTS {
            let values = |event: &Value| paths.iter().flat_map(|path| at(event, path)).collect::<BTreeSet<String>>();
            let (wanted, have) = (values(told), values(guessed));
            if wanted.is_empty() {
                continue;
            }
            let (found, all) = self.facts.entry(fact).or_default();
            *all += 1;
            if wanted.intersection(&have).next().is_some() {
                *found += 1;
            } else {
                self.notes.push(format!("{fact} {wanted:?} -> {have:?} {by} {}", raw.place));
            }
        }
    }

    /// The table.
    pub fn text(&self) -> String {
        let share =
            |found: usize, all: usize| (found * 1000).checked_div(all).map_or_else(|| "-".to_owned(), |mille| format!("{}.{} %", mille / 10, mille % 10));
        let mut text = format!(
            "strangers: {} records, rejected {}, taken for another tool {}, generic {}\n  same class {} ({}), base instead {}\n",
            self.records,
            self.rejected,
            self.mistaken.len(),
            self.generic,
            self.same_class,
            share(self.same_class, self.generic),
            self.base
        );
        for (fact, (found, all)) in &self.facts {
            text.push_str(&format!("  {fact:<12} {found:>5} of {all:>5} {}\n", share(*found, *all)));
        }
        let mut confused: Vec<_> = self.confused.iter().collect();
        confused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for ((wanted, have), count) in confused.into_iter().take(25) {
            text.push_str(&format!("  {count:>5} {wanted} -> {have}\n"));
        }
        text
    }
}

/// A record, what its connector tells of it, and what is told without the connector.
pub(crate) struct Guess<'r> {
    pub(crate) context: &'r Context,
    pub(crate) record: &'r Bytes,
    pub(crate) told: Value,
    /// None where it became no event.
    pub(crate) guessed: Option<Value>,
}

/// The records of a scenario that the whole registry understands, as the `rest` of it does by `auto`.
pub(crate) fn guesses<'r>(full: &Arc<Registry>, rest: &Arc<Registry>, raw: &'r Raw) -> impl Iterator<Item = Guess<'r>> + use<'r> {
    let (known, stranger) = (Mapper::new(Arc::clone(full)), Mapper::new(Arc::clone(rest)));
    raw.records.iter().filter_map(move |(context, record)| {
        let told = event(&known, &raw.stream, context, record)?;
        Some(Guess { context, record, told, guessed: event(&stranger, StreamId::AUTO, context, record) })
    })
}

/// Names of the connectors whose streams are generic.
pub(crate) fn generic(registry: &Registry) -> BTreeSet<&str> {
    registry.programs.iter().filter(|program| program.generic).filter_map(|program| program.stream.0.split('/').next()).collect()
}

fn event(mapper: &Mapper, stream: &str, context: &Context, record: &Bytes) -> Option<Value> {
    let mapped = mapper.map(&batch(stream, context.clone(), vec![record.clone()]));
    mapped.batches.iter().flat_map(weft_model::EventBatch::to_json).next()
}

/// The stream that takes a record, and whether it is a generic one.
fn claimed(registry: &Registry, context: &Context, record: &Bytes) -> Option<(String, bool)> {
    registry.recognised(&batch(StreamId::AUTO, context.clone(), vec![record.clone()])).map(|program| (program.stream.0.to_string(), program.generic))
}

/// All values at a path; `[]` is every item.
fn at(event: &Value, path: &str) -> Vec<String> {
    let mut found = vec![event];
    for step in path.split('.') {
        let (key, each) = step.strip_suffix("[]").map_or((step, false), |key| (key, true));
        found = found.into_iter().filter_map(|value| value.get(key)).collect();
        if each {
            found = found.into_iter().filter_map(Value::as_array).flatten().collect();
        }
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_lowercase);
    found.into_iter().map(text).filter(|text| !text.is_empty() && text != "unknown").collect()
}
