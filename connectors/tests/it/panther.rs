//! Records that a detection engine's rules were written for, of more than sixty log types: which
//! stream takes each, and which class it becomes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use weft_ingest::Mapper;
use weft_ingest::frame::{self, Framing, Piece};
use weft_model::{Context, Mapping as _, StreamId};
use weft_testkit::{batch, data, registry, say};

/// Share of the log types of which records become events.
const ACCEPTED_MIN: f64 = 0.95;
/// Share of the log types most of whose records a particular connector takes.
const KNOWN_MIN: f64 = 0.90;

#[derive(Default)]
struct Row {
    records: usize,
    events: usize,
    known: usize,
    base: usize,
    streams: BTreeMap<String, usize>,
    classes: BTreeMap<String, usize>,
}

#[test]
fn log_types_of_rules_are_known() {
    let Some(file) = data("panther/rule_tests.ndjson.gz") else { return };
    let (registry, _) = registry();
    let mapper = Mapper::new(Arc::clone(&registry));
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut take = |piece: Piece| {
        let Piece::Record { bytes, .. } = piece else { return };
        let test: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let kinds = test["log_types"].as_array().into_iter().flatten().filter_map(|kind| kind.as_str()).collect::<Vec<_>>().join("+");
        let row = rows.entry(kinds).or_default();
        let event = Bytes::from(test["event"].to_string());
        let one = batch(StreamId::AUTO, Context::default(), vec![event.clone()]);
        let mapped = mapper.map(&one);
        row.records += 1;
        for made in mapped.batches.iter().flat_map(weft_model::EventBatch::to_json) {
            row.events += 1;
            assert_eq!(made["raw_data"].as_str().unwrap().as_bytes(), &event[..], "the raw record is kept");
            row.base += usize::from(made["class_uid"] == 0);
            *row.classes.entry(made["class_name"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        if let Some(program) = registry.recognised(&one) {
            row.known += usize::from(!program.generic);
            *row.streams.entry(program.stream.0.to_string()).or_default() += 1;
        }
    };
    let framing = Framing { records: Vec::new(), registry: None, ..Framing::of(&registry, &StreamId::from(StreamId::AUTO)).unwrap() };
    frame::read(&file, &framing, &mut take).unwrap();
    say(&table(&rows));
    let share = |count: usize| f64::from(u32::try_from(count).unwrap()) / f64::from(u32::try_from(rows.len().max(1)).unwrap());
    assert!(rows.len() > 60, "{} log types", rows.len());
    assert!(share(rows.values().filter(|row| row.events == row.records).count()) >= ACCEPTED_MIN);
    let unknown: BTreeSet<&String> = rows.iter().filter(|(_, row)| row.known * 2 <= row.records).map(|(kind, _)| kind).collect();
    assert!(share(rows.len() - unknown.len()) >= KNOWN_MIN, "taken by a generic stream: {unknown:?}");
}

fn table(rows: &BTreeMap<String, Row>) -> String {
    let most = |counts: &BTreeMap<String, usize>| counts.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name.clone()).unwrap_or_default();
    let mut text = format!("{:<44} {:>7} {:>7} {:>6} {:>5}  {:<30} class\n", "log type", "records", "events", "known", "base", "stream");
    for (kind, row) in rows {
        let _ = writeln!(
            text,
            "{kind:<44} {:>7} {:>7} {:>6} {:>5}  {:<30} {}",
            row.records,
            row.events,
            row.known,
            row.base,
            most(&row.streams),
            most(&row.classes)
        );
    }
    text
}
