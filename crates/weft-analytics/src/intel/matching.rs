//! Sightings: which events of a batch name an indicator.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher as _;
use std::rc::Rc;

use arrow::array::{Array as _, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use hashbrown::{DefaultHashBuilder, HashTable};
use weft_model::event::{column, text};
use weft_model::{Entity, EventBatch, Evidence, Finding, Technique, Timestamp};

use super::{Intel, Kind, Value, score};
use crate::engine::{EVIDENCE_MAX, observables, walk_column};

/// Paths that are no observables of OCSF and name what indicators are about.
const MORE_PATHS: [(&str, &[Kind]); 3] =
    [("answers.rdata", &[Kind::Ip, Kind::Domain]), ("tls.sni", &[Kind::Domain]), ("tls.ja4_fingerprint_list.value", &[Kind::Ja4])];
/// Where an event that comes without observables, as OCSF of others may, names what indicators are
/// about, with the OCSF type.
const PLAIN_PATHS: [(&str, i64); 24] = [
    ("src_endpoint.ip", 2),
    ("dst_endpoint.ip", 2),
    ("proxy_endpoint.ip", 2),
    ("device.ip", 2),
    ("src_endpoint.hostname", 1),
    ("dst_endpoint.hostname", 1),
    ("proxy_endpoint.hostname", 1),
    ("device.hostname", 1),
    ("query.hostname", 1),
    ("url.hostname", 1),
    ("url.url_string", 6),
    ("http_request.url.hostname", 1),
    ("http_request.url.url_string", 6),
    ("http_request.user_agent", 16),
    ("file.hashes.value", 8),
    ("process.file.hashes.value", 8),
    ("actor.process.file.hashes.value", 8),
    ("email.from", 5),
    ("email.to", 5),
    ("user.email_addr", 5),
    ("actor.user.email_addr", 5),
    ("tls.ja3_hash.value", 8),
    ("tls.ja3s_hash.value", 8),
    ("tls.certificate.fingerprints.value", 8),
];
/// Columns that matching reads, with what stands below them.
pub const COLUMNS: [&str; 20] = [
    "time",
    "metadata.uid",
    "observables",
    "answers",
    "tls",
    "src_endpoint.ip",
    "src_endpoint.hostname",
    "dst_endpoint.ip",
    "dst_endpoint.hostname",
    "proxy_endpoint",
    "device.ip",
    "device.hostname",
    "query.hostname",
    "url",
    "http_request",
    "file.hashes",
    "process.file.hashes",
    "actor",
    "email",
    "user.email_addr",
];
/// Most sightings of one batch; beyond, the batch is of an indicator's own making.
const SIGHTINGS_MAX: usize = 10_000;
/// Most entities of one sighting.
const ENTITIES_MAX: usize = 50;
/// Most sources that a finding names.
const SOURCES_MAX: usize = 20;

/// From when the events are that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Now: an indicator counts from its beginning on.
    Present,
    /// Before an indicator was known: it counts for what was before its end.
    Past,
}

/// Kinds that an observable can be, by its OCSF type and path.
fn kinds(type_id: i64, name: &str) -> &'static [Kind] {
    match type_id {
        1 => &[Kind::Domain, Kind::Ip],
        2 => &[Kind::Ip],
        5 => &[Kind::Email],
        6 => &[Kind::Url],
        8 if name.contains("ja3s") => &[Kind::Ja3s],
        8 if name.contains("ja3") => &[Kind::Ja3],
        8 if name.contains("certificate") => &[Kind::Certificate],
        8 => &[Kind::Hash],
        16 => &[Kind::UserAgent],
        _ => &[],
    }
}

/// A value of an event, with the values that stand in it.
fn values(kinds: &[Kind], text: &str) -> Vec<Value> {
    let Some(value) = kinds.iter().find_map(|kind| Value::observed(*kind, text)) else { return Vec::new() };
    let within = value.within();
    std::iter::once(value).chain(within).collect()
}

/// Gets row, path, what kinds it can be, and text.
type EachItem<'e> = dyn FnMut(usize, &str, &'static [Kind], &str) + 'e;

/// Calls `each` with everything that could be an indicator.
fn each_item(batch: &EventBatch, each: &mut EachItem<'_>) {
    let list = column(&batch.rows, "observables");
    if let Some(list) = list.as_ref().and_then(|list| list.as_list_opt::<i32>())
        && let Some(items) = list.values().as_struct_opt()
    {
        let of = |name: &str| items.column_by_name(name).cloned();
        let (Some(names), Some(types), Some(texts)) = (of("name"), of("type_id"), of("value")) else { return };
        let types = types_of(&types);
        for row in (0..list.len()).filter(|row| list.is_valid(*row)) {
            let range = list.value_offsets().get(row).zip(list.value_offsets().get(row + 1)).map(|(from, to)| (*from as usize)..(*to as usize));
            for item in range.into_iter().flatten() {
                let (Some(name), Some(text)) = (text(&names, item), text(&texts, item)) else { continue };
                let kinds = kinds(types.get(item).copied().unwrap_or(0), name);
                if !kinds.is_empty() {
                    each(row, name, kinds, text);
                }
            }
        }
    }
    let named = list.as_ref().and_then(|list| list.as_list_opt::<i32>());
    let is_plain = |row: usize| named.is_none_or(|list| list.is_null(row) || list.value_length(row) == 0);
    if (0..batch.rows.num_rows()).any(is_plain) {
        for (path, type_id) in PLAIN_PATHS {
            let kinds = kinds(type_id, path);
            walk_column(&batch.rows, path, &mut |row, text| {
                if is_plain(row) {
                    each(row, path, kinds, text);
                }
            });
        }
    }
    for (path, kinds) in MORE_PATHS {
        walk_column(&batch.rows, path, &mut |row, text| each(row, path, kinds, text));
    }
}

fn types_of(array: &ArrayRef) -> Vec<i64> {
    let cast = arrow::compute::cast(array, &arrow::datatypes::DataType::Int64);
    cast.ok().and_then(|array| array.as_primitive_opt::<Int64Type>().map(|array| array.iter().map(Option::unwrap_or_default).collect())).unwrap_or_default()
}

/// Texts that were met, each with what it came to.
struct Distinct<T> {
    table: HashTable<(u8, Box<str>, T)>,
    hasher: DefaultHashBuilder,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self { table: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }
}

impl<T: Clone> Distinct<T> {
    /// What a text came to; found out by `find` the first time.
    fn get(&mut self, kinds: &[Kind], text: &str, find: impl FnOnce() -> T) -> T {
        let first = kinds.first().map_or(u8::MAX, |kind| kind.number());
        let hash = self.hasher.hash_one((first, text));
        if let Some((_, _, known)) = self.table.find(hash, |(kind, known, _)| *kind == first && **known == *text) {
            return known.clone();
        }
        let found = find();
        let hasher = &self.hasher;
        self.table.insert_unique(hash, (first, text.into(), found.clone()), |(kind, text, _)| hasher.hash_one((*kind, &**text)));
        found
    }
}

/// Every distinct value of a batch that could be an indicator.
pub(super) fn each_value(batch: &EventBatch, each: &mut dyn FnMut(&Value)) {
    let mut seen: Distinct<()> = Distinct::default();
    each_item(batch, &mut |_, _, kinds, text| seen.get(kinds, text, || values(kinds, text).iter().for_each(&mut *each)));
}

/// An indicator that a value meets, with the numbers of the facts.
struct Met {
    kind: Kind,
    text: String,
    facts: Vec<u32>,
}

fn look(intel: &Intel, kinds: &[Kind], text: &str) -> Option<Rc<Vec<Met>>> {
    let mut met: Vec<Met> = Vec::new();
    for value in values(kinds, text) {
        intel.meets(&value, &mut |kind, text, facts| match met.last_mut() {
            Some(last) if last.kind == kind && last.text == text => last.facts.push(facts),
            _ => met.push(Met { kind, text: text.to_owned(), facts: vec![facts] }),
        });
    }
    (!met.is_empty()).then(|| Rc::new(met))
}

/// All events that named one indicator.
#[derive(Debug, Default)]
struct Sighting {
    evidence: Vec<Evidence>,
    events: u64,
    first: i64,
    last: i64,
    /// Observables that met it: path and value.
    observed: BTreeSet<(String, String)>,
    entities: Vec<Entity>,
    facts: BTreeSet<u32>,
    score: u8,
}

/// Sightings over one batch or several.
#[derive(Debug)]
pub struct Sightings {
    view: View,
    found: BTreeMap<(Kind, String), Sighting>,
    left: u64,
}

/// A sighting in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<'s> {
    /// Kind of the indicator.
    pub kind: Kind,
    /// The indicator, or the id of one that needs several values.
    pub indicator: String,
    /// Events that named it.
    pub events: u64,
    /// Time of the first.
    pub first: Timestamp,
    /// Time of the last.
    pub last: Timestamp,
    /// Paths and values that met it.
    pub observed: Vec<String>,
    /// The first of the events.
    pub evidence: &'s [Evidence],
}

/// One batch as it is looked at.
struct Batch<'b> {
    batch: &'b EventBatch,
    uids: Option<ArrayRef>,
    times: Option<ArrayRef>,
}

impl Batch<'_> {
    fn evidence(&self, row: usize) -> Evidence {
        let uid = self.uids.as_ref().and_then(|uids| text(uids, row)).unwrap_or_default().to_owned();
        Evidence { uid, class: self.batch.class, time: Timestamp(self.time(row).unwrap_or(0)) }
    }

    fn time(&self, row: usize) -> Option<i64> {
        let times = self.times.as_ref()?.as_primitive_opt::<Int64Type>()?;
        (row < times.len() && times.is_valid(row)).then(|| times.value(row))
    }
}

/// A value at a place of an event that met an indicator.
struct Place<'p> {
    row: usize,
    path: &'p str,
    kind: Kind,
    text: &'p str,
}

impl Sightings {
    /// None yet.
    pub fn new(view: View) -> Self {
        Self { view, found: BTreeMap::new(), left: 0 }
    }

    /// Looks at a batch; each distinct value is looked up once.
    pub fn look(&mut self, intel: &Intel, batch: &EventBatch, now: Timestamp) {
        if intel.is_empty() {
            return;
        }
        let here = Batch { batch, uids: column(&batch.rows, "metadata.uid"), times: column(&batch.rows, "time") };
        let mut seen: Distinct<Option<Rc<Vec<Met>>>> = Distinct::default();
        // Of what needs several values in one event: which of them were there.
        let mut parts: BTreeMap<(usize, u32), BTreeMap<(Kind, String), String>> = BTreeMap::new();
        each_item(batch, &mut |row, path, kinds, text| {
            let Some(met) = seen.get(kinds, text, || look(intel, kinds, text)) else { return };
            for Met { kind, text: indicator, facts } in met.iter() {
                for number in facts {
                    let Some(held) = intel.held(*number) else { continue };
                    if held.facts.all_of > 1 {
                        parts.entry((row, *number)).or_default().insert((*kind, indicator.clone()), path.to_owned());
                    } else {
                        self.note(&here, intel, &Place { row, path, kind: *kind, text }, (*kind, indicator), *number, now);
                    }
                }
            }
        });
        for ((row, number), values) in parts {
            let Some(held) = intel.held(number).filter(|held| values.len() >= usize::from(held.facts.all_of)) else { continue };
            let id = if held.facts.id.is_empty() { &held.facts.name } else { &held.facts.id };
            let first = values.keys().next().map_or(Kind::Ip, |(kind, _)| *kind);
            for ((kind, indicator), path) in &values {
                self.note(&here, intel, &Place { row, path, kind: *kind, text: indicator }, (first, id), number, now);
            }
        }
    }

    fn note(&mut self, here: &Batch<'_>, intel: &Intel, place: &Place<'_>, (kind, indicator): (Kind, &str), number: u32, now: Timestamp) {
        let Some(held) = intel.held(number) else { return };
        let time = here.time(place.row).unwrap_or(now.0).min(now.0);
        let score = score::score(place.kind, &held.facts, Timestamp(time));
        if score == 0 || (self.view == View::Present && held.facts.from > now.0) {
            return;
        }
        let key = (kind, indicator.to_owned());
        if !self.found.contains_key(&key) && self.found.len() >= SIGHTINGS_MAX {
            self.left += 1;
            return;
        }
        let sighting = self.found.entry(key).or_insert_with(|| Sighting { first: i64::MAX, last: i64::MIN, ..Sighting::default() });
        sighting.facts.insert(number);
        sighting.score = sighting.score.max(score);
        if sighting.observed.len() < ENTITIES_MAX {
            sighting.observed.insert((place.path.to_owned(), place.text.to_owned()));
        }
        let evidence = here.evidence(place.row);
        // The same event at another place, or of another source.
        if sighting.evidence.iter().rev().take(8).any(|known| known.uid == evidence.uid && known.class == evidence.class) {
            return;
        }
        sighting.events += 1;
        sighting.first = sighting.first.min(evidence.time.0);
        sighting.last = sighting.last.max(evidence.time.0);
        if sighting.evidence.len() < EVIDENCE_MAX {
            sighting.evidence.push(evidence);
            sighting.take_entities(here.batch, place);
        }
    }

    /// Indicators that were met beyond what is told of one look.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The sightings in figures, one an indicator.
    pub fn seen(&self) -> Vec<Seen<'_>> {
        self.found.iter().map(|((kind, indicator), sighting)| sighting.seen(*kind, indicator)).collect()
    }

    /// The sightings as findings, one an indicator.
    pub fn findings(&self, intel: &Intel) -> Vec<Finding> {
        self.found.iter().map(|((kind, indicator), sighting)| sighting.finding(intel, *kind, indicator, self.view)).collect()
    }
}

impl Sighting {
    fn seen(&self, kind: Kind, indicator: &str) -> Seen<'_> {
        Seen {
            kind,
            indicator: indicator.to_owned(),
            events: self.events,
            first: Timestamp(self.first),
            last: Timestamp(self.last),
            observed: self.observed.iter().map(|(path, value)| format!("{path}: {value}")).collect(),
            evidence: &self.evidence,
        }
    }

    fn take_entities(&mut self, batch: &EventBatch, place: &Place<'_>) {
        if self.entities.len() >= ENTITIES_MAX {
            return;
        }
        let own = Entity { name: place.path.to_owned(), type_id: type_id(place.kind), value: place.text.to_owned() };
        for entity in std::iter::once(own).chain(observables(&batch.rows, place.row)) {
            let known = self.entities.iter().any(|known| known.value == entity.value && known.name == entity.name);
            if !known && self.entities.len() < ENTITIES_MAX {
                self.entities.push(entity);
            }
        }
    }

    fn finding(&self, intel: &Intel, kind: Kind, indicator: &str, view: View) -> Finding {
        let analytic = format!("intel/{}", kind.name());
        let held: Vec<_> = self.facts.iter().filter_map(|number| intel.held(*number)).collect();
        let mut matched = vec![format!("indicator: {} {indicator}", kind.name())];
        matched.extend(self.observed.iter().map(|(path, value)| format!("{path}: {value}")));
        matched.push(format!("events: {} from {} to {}", self.events, Timestamp(self.first).rfc3339(), Timestamp(self.last).rfc3339()));
        for held in held.iter().take(SOURCES_MAX) {
            matched.push(source_line(held, kind));
        }
        let sources: BTreeSet<&str> = held.iter().map(|held| &*held.source).collect();
        let sources = sources.into_iter().take(SOURCES_MAX).collect::<Vec<_>>().join(", ");
        let before = if view == View::Past { " in the past" } else { "" };
        let techniques: BTreeSet<&String> = held.iter().flat_map(|held| &held.facts.techniques).collect();
        Finding {
            uid: Finding::uid_of(&format!("{analytic}/{indicator}{before}"), &self.evidence),
            analytic_uid: analytic,
            title: format!("Indicator of {sources} seen{before}: {indicator}"),
            severity_id: score::severity_id(self.score),
            time: Timestamp(self.last),
            matched,
            entities: self.entities.clone(),
            evidence: self.evidence.clone(),
            techniques: techniques.into_iter().map(|uid| Technique { uid: uid.clone(), tactic: None }).collect(),
            update: false,
        }
    }
}

/// Who says so, how sure, and for how long.
fn source_line(held: &super::Held, kind: Kind) -> String {
    let facts = &held.facts;
    let mut line = format!("source: {}, confidence {}, valid from {}", held.source, facts.confidence, Timestamp(facts.from).rfc3339());
    if let Some(end) = score::end(kind, facts) {
        line.push_str(&format!(" to {}", end.rfc3339()));
    }
    for part in [&facts.name, &facts.id].into_iter().filter(|part| !part.is_empty()) {
        line.push_str(&format!(", {part}"));
    }
    if !facts.indicates.is_empty() {
        line.push_str(&format!(", indicates {}", facts.indicates.join(", ")));
    }
    line
}

/// OCSF observable type of a kind.
fn type_id(kind: Kind) -> i64 {
    match kind {
        Kind::Domain => 1,
        Kind::Ip => 2,
        Kind::Email => 5,
        Kind::Url => 6,
        Kind::Hash | Kind::Certificate | Kind::Ja3 | Kind::Ja3s => 8,
        Kind::UserAgent => 16,
        Kind::Ja4 => 99,
    }
}

/// The findings of one batch.
pub fn match_batch(intel: &Intel, batch: &EventBatch, now: Timestamp) -> Vec<Finding> {
    let mut sightings = Sightings::new(View::Present);
    sightings.look(intel, batch, now);
    sightings.findings(intel)
}
