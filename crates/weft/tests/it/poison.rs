//! Bad input on every way in: what comes before and after it arrives, itself is kept with its
//! reason, memory stays bounded, the process lives.

mod inputs;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::mesh::{Mesh, until};
use inputs::Input;
use ways::{Way, Ways};

/// Most that the process may have needed at any time: the inputs have 100 MB and unpack to
/// gigabytes, the bounds of queue, bodies and records add up to less.
const MEMORY_BYTES_MAX: u64 = 1_500 << 20;

/// What became of an input on a way in.
#[derive(Debug, Default)]
struct Fate {
    events: usize,
    rejects: BTreeSet<String>,
}

/// One input by one way in.
type Trial<'a> = (&'a Way, &'a Input);

/// Every input by every way in that takes it; the short form is a third of them, so that each
/// way in has inputs of each kind and each input has several ways in.
fn trials<'a>(ways: &'a Ways, inputs: &'a [Input]) -> Vec<Trial<'a>> {
    let long = std::env::var("WEFT_FAULTS").is_ok_and(|value| value == "long");
    let all = ways.all().enumerate().flat_map(|(at, way)| inputs.iter().enumerate().map(move |(number, input)| (at + number, way, input)));
    all.filter(|(place, way, input)| way.takes(input) && (long || place % 3 == 0)).map(|(_, way, input)| (way, input)).collect()
}

#[test]
fn poison_on_every_way_in_harms_nobody() {
    let home = tempfile::tempdir().unwrap();
    let ways = Ways::prepare(home.path());
    let mesh = Mesh::start(home.path());
    let inputs = inputs::all();
    let trials = trials(&ways, &inputs);
    let expected = send(&ways, &mesh, &trials);
    let messages = until("every neighbour is there", || {
        let found = texts(&mesh, "SELECT DISTINCT message FROM authentication WHERE message LIKE '%-before' OR message LIKE '%-after'");
        (found.len() >= expected.len()).then_some(found)
    });
    assert_eq!(messages.difference(&expected).count(), 0, "nobody else came");
    let fates = until("every input is accounted for", || {
        let fates = fates(&mesh);
        let missing: Vec<String> =
            trials.iter().filter(|(_, input)| !input.is_packed()).map(|(way, input)| mark(way, input)).filter(|mark| !fates.contains_key(mark)).collect();
        println!("not seen yet: {missing:?}");
        missing.is_empty().then_some(fates)
    });
    print(&ways, &inputs, &trials, &fates);
    judge(&trials, &fates);
    bombs_are_refused(&mesh, &trials, inputs.iter().filter(|input| matches!(input.kind, inputs::Kind::Packed(_))).count());
    let memory = mesh.memory_bytes_max();
    assert!(memory < MEMORY_BYTES_MAX, "{} MB were needed", memory >> 20);
    mesh.stop();
    // All of it is committed: the tables can be read without the mesh.
    let committed = crate::count(home.path(), "SELECT count(DISTINCT message) FROM authentication WHERE message LIKE '%-before' OR message LIKE '%-after'");
    assert_eq!(committed as usize, expected.len());
    let done = format!("{} bad inputs by {} ways in, each between two neighbours; {} MB of memory at most", inputs.len(), ways.all().count(), memory >> 20);
    println!("fault|poison|{done}|{}|0|0|none", trials.len());
}

/// Sends them all; gives the names of their neighbours.
fn send(ways: &Ways, mesh: &Mesh, trials: &[Trial<'_>]) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for (way, input) in trials {
        let neighbours = ["before", "after"].map(|place| format!("{}-{}-{place}", way.name(), input.name));
        ways.send(way, mesh, input, &neighbours.clone().map(|name| neighbour(&name)));
        expected.extend(neighbours);
    }
    expected
}

/// Each is an event or a reject, and where it comes in as it is, a reject with the cause that fits.
fn judge(trials: &[Trial<'_>], fates: &BTreeMap<String, Fate>) {
    for (way, input) in trials.iter().filter(|(_, input)| !input.is_packed()) {
        let fate = &fates[&mark(way, input)];
        assert!(fate.events > 0 || !fate.rejects.is_empty(), "{} by {}", input.name, way.name());
        let wanted = input.causes;
        assert!(
            wanted.is_empty() || !way.is_plain() || fate.rejects.iter().any(|cause| wanted.contains(&cause.as_str())),
            "{} by {}: one of {wanted:?} is expected, not {fate:?}",
            input.name,
            way.name()
        );
    }
}

/// What a sender over HTTP packs too well or badly is refused to its face, see [`Ways::send`], and told:
/// by every way in that got each kind of it.
fn bombs_are_refused(mesh: &Mesh, trials: &[Trial<'_>], kinds: usize) {
    let refused = texts(mesh, "SELECT DISTINCT concat(source, ' ', message) FROM rejects WHERE cause = 'container' OR cause = 'unauthenticated'");
    assert!(!refused.is_empty());
    for (way, _) in trials.iter().filter(|(way, _)| way.is_http()) {
        let all = trials.iter().filter(|(by, input)| by == way && input.is_packed()).count() == kinds;
        assert!(!all || refused.iter().any(|line| line.starts_with(way.source())), "bombs by {}: {refused:?}", way.name());
    }
}

/// A record that a connector knows, found again by its message.
fn neighbour(name: &str) -> String {
    json!({
        "uuid": name, "published": "2026-03-02T08:00:00.000Z", "eventType": "user.session.start", "displayMessage": name, "severity": "INFO",
        "actor": {"id": "u1", "type": "User", "alternateId": "ada@example.com"}, "outcome": {"result": "SUCCESS"}, "target": [],
    })
    .to_string()
}

/// What tells an input on a way in from all others: it stands at its beginning.
fn mark(way: &Way, input: &Input) -> String {
    format!("poison-{}-{}.", way.name(), input.name)
}

fn rows(mesh: &Mesh, sql: &str) -> Vec<Vec<String>> {
    let answer = mesh.query(sql);
    let rows = answer["rows"].as_array().cloned().unwrap_or_default();
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    rows.iter().map(|row| row.as_array().into_iter().flatten().map(cell).collect()).collect()
}

fn texts(mesh: &Mesh, sql: &str) -> BTreeSet<String> {
    rows(mesh, sql).into_iter().flatten().collect()
}

fn fates(mesh: &Mesh) -> BTreeMap<String, Fate> {
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    let marked = |text: &str| {
        let (_, rest) = text.split_once("poison-")?;
        Some(format!("poison-{}.", rest.split_once('.')?.0))
    };
    for row in rows(mesh, "SELECT substr(raw_data, 1, 1000) FROM events WHERE raw_data LIKE '%poison-%'") {
        if let Some(mark) = row.first().and_then(|raw| marked(raw)) {
            fates.entry(mark).or_default().events += 1;
        }
    }
    // In hexadecimal digits: `poison-`. A body of blanks alone makes more rejects than an answer has rows.
    let marked_ones = "SELECT cause, substr(encode(raw, 'hex'), 1, 2000) FROM rejects WHERE encode(raw, 'hex') LIKE '%706f69736f6e2d%'";
    for row in rows(mesh, marked_ones) {
        let [cause, raw] = row.as_slice() else { continue };
        if let Some(mark) = marked(&unhex(raw)) {
            fates.entry(mark).or_default().rejects.insert(cause.clone());
        }
    }
    fates
}

fn unhex(text: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    let bytes: Vec<u8> = text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A line an input, a word a way in.
fn print(ways: &Ways, inputs: &[Input], trials: &[Trial<'_>], fates: &BTreeMap<String, Fate>) {
    for input in inputs {
        let told = |way: &Way| match fates.get(&mark(way, input)) {
            None if !trials.iter().any(|(by, what)| *by == way && what.name == input.name) => format!("{} -", way.name()),
            None => format!("{} refused", way.name()),
            Some(fate) if fate.rejects.is_empty() => format!("{} event", way.name()),
            Some(fate) => format!("{} {}", way.name(), fate.rejects.iter().cloned().collect::<Vec<_>>().join("+")),
        };
        println!("{:<22} {}", input.name, ways.all().map(told).collect::<Vec<_>>().join("  "));
    }
}
