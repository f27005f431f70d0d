//! The correlations and behaviour analytics of the mesh, each with a scenario beside it: events
//! that fire and events that do not.
//!
//! A block `events` holds one OCSF event a line, in short: `at` (`[Nd ]HH:MM[:SS]`), `times` and
//! `every` repeat it, `{n}` and `{hash}` in texts and `#n` for a number tell the repetitions
//! apart. The block `finding` that follows names what must be told: title and number of events.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use weft_analytics::{Engine, FieldMap, Location, Places, RuleFile, compile};
use weft_model::{Detector as _, Finding, Timestamp};

use crate::events::batch;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/detections");
/// A Monday.
const BEGIN_MS: i64 = 1_789_948_800_000;

struct Atlas;
impl Places for Atlas {
    fn locate(&self, address: IpAddr) -> Option<Location> {
        let place = |latitude, longitude, name: &str| Some(Location { latitude, longitude, radius_km: 50.0, name: name.into() });
        match address.to_string().as_str() {
            "192.0.2.1" => place(52.52, 13.405, "Berlin"),
            "192.0.2.2" => place(-33.87, 151.21, "Sydney"),
            _ => None,
        }
    }
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(Path::new(ROOT).join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|found| found == ending));
    found.sort();
    found
}

fn fields() -> FieldMap {
    let mut all = FieldMap::default();
    for path in ["fields.toml", "behaviour/fields.toml"] {
        all.extend(FieldMap::parse(&std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap()).unwrap());
    }
    all
}

fn engine(rules: &Path) -> Engine {
    let (mut engine, faults) = compile(&[RuleFile { name: rules.display().to_string(), text: std::fs::read_to_string(rules).unwrap() }], &fields());
    assert_eq!(faults, Vec::new(), "{}", rules.display());
    engine.set_places(&(Arc::new(Atlas) as Arc<dyn Places>));
    engine
}

fn span(text: &str) -> i64 {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count: i64 = text.strip_suffix(unit).unwrap().parse().unwrap();
    count * [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)].iter().find(|(name, _)| *name == unit).unwrap().1
}

fn moment(text: &str) -> i64 {
    let (days, clock) = text.split_once(' ').unwrap_or(("0d", text));
    let units = [3_600_000, 60_000, 1_000];
    BEGIN_MS + span(days) + clock.split(':').zip(units).map(|(part, unit)| part.parse::<i64>().unwrap() * unit).sum::<i64>()
}

fn filled(value: &Value, n: i64) -> Value {
    match value {
        Value::String(text) if text == "#n" => json!(n),
        Value::String(text) => json!(text.replace("{n}", &n.to_string()).replace("{hash}", &Finding::uid_of(&n.to_string(), &[]))),
        Value::Object(entries) => Value::Object(entries.iter().map(|(key, value)| (key.clone(), filled(value, n))).collect()),
        other => other.clone(),
    }
}

fn events(block: &str) -> Vec<(u32, Value)> {
    let mut all = Vec::new();
    for line in block.lines() {
        let mut short: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let fields = short.as_object_mut().unwrap();
        let mut take = |name: &str| fields.remove(name);
        let at = moment(take("at").unwrap().as_str().unwrap());
        let class = take("class_uid").unwrap().as_u64().unwrap() as u32;
        let times = take("times").map_or(1, |times| times.as_i64().unwrap());
        let every = take("every").map_or(0, |every| span(every.as_str().unwrap()));
        for n in 0..times {
            let mut event = filled(&short, n);
            event["time"] = json!(at + n * every);
            event["metadata"] = json!({"uid": Finding::uid_of(&format!("{line}{n}"), &[])});
            all.push((class, event));
        }
    }
    all.sort_by_key(|(_, event)| event["time"].as_i64());
    all
}

fn told(engine: &mut Engine, events: &[(u32, Value)]) -> Vec<String> {
    let mut last: Vec<Finding> = Vec::new();
    let mut hear = |found: Vec<Finding>| {
        for finding in found {
            last.retain(|known| known.uid != finding.uid);
            last.push(finding);
        }
    };
    for run in events.chunk_by(|(a, _), (b, _)| a == b) {
        for chunk in run.chunks(1_000) {
            hear(engine.observe(&batch(run[0].0, &chunk.iter().map(|(_, event)| event.clone()).collect::<Vec<_>>())));
        }
    }
    hear(engine.advance(Timestamp(BEGIN_MS + 400 * 86_400_000)));
    let mut lines: Vec<String> = last.into_iter().map(|finding| format!("{} [{} events]", finding.title, finding.evidence.len())).collect();
    lines.sort();
    lines
}

/// The blocks of a scenario: kind and text.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("\n```");
    let fenced = parts.skip(1).step_by(2).map(|part| part.split_once('\n').unwrap_or((part, "")));
    fenced.collect()
}

fn check(folder: &str) -> usize {
    let mut wrong = String::new();
    let rules = files(folder, "yml");
    for path in &rules {
        let story = std::fs::read_to_string(path.with_extension("md")).unwrap_or_else(|_| panic!("{} has no scenario", path.display()));
        let blocks = blocks(&story);
        let (mut fired, mut silent) = (false, false);
        for pair in blocks.chunks(2) {
            let [("events", given), ("finding", expected)] = pair else { panic!("{}: `events`, then `finding`", path.display()) };
            let actual = told(&mut engine(path), &events(given)).join("\n");
            fired |= !actual.is_empty();
            silent |= actual.is_empty();
            if actual != expected.trim() {
                wrong.push_str(&format!("{}: expected\n{}\nbut it is\n{actual}\n", path.display(), expected.trim()));
            }
        }
        assert!(fired && silent, "{}: one story must fire, and one must not", path.display());
    }
    assert!(wrong.is_empty(), "{wrong}");
    rules.len()
}

#[test]
fn correlations() {
    assert!(check("correlation") >= 15);
}

#[test]
fn behaviours() {
    assert!(check("behaviour") >= 15);
}

#[test]
fn every_rule_says_why() {
    for path in files("correlation", "yml").into_iter().chain(files("behaviour", "yml")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let (rules, faults) = weft_analytics::sigma::rule::parse(&text);
        assert_eq!(faults, Vec::new(), "{}", path.display());
        for (rule, document) in rules.iter().zip(text.split("\n---\n")) {
            assert!(!rule.description.is_empty() && !rule.techniques.is_empty(), "{}: {}", path.display(), rule.title);
            let feeds = rule.description.contains("Feeds") || rule.description.contains("it speaks only when");
            assert!(feeds || (document.contains("references:") && document.contains("falsepositives:")), "{}: {}", path.display(), rule.title);
        }
    }
}
