//! Intelligence: the stories of `content/intel`, the store against a naive one, real feeds.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, Int64Builder, ListBuilder, StringArray, StringBuilder, StructArray, StructBuilder};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use serde_json::Value as Json;
use weft_analytics::intel::matching::{Sightings, View};
use weft_analytics::intel::pack::Writer;
use weft_analytics::intel::read::{self, Format, Options, Sink};
use weft_analytics::intel::{Build, Facts, Held, Intel, Kind, Lists, Pack, Value, keys, match_batch, warning};
use weft_model::{ClassUid, EventBatch, Finding, Timestamp};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ti");
const STORIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/intel");
/// 2026-06-01.
const NOW: i64 = 1_780_272_000_000;

fn options() -> Options {
    Options { at: NOW, confidence: 50, valid_for: None, kind: None }
}

fn pack(name: &str, text: &[u8], options: &Options, lists: &Lists) -> Pack {
    let mut writer = Writer::new(name, name, options.at);
    let known = BTreeMap::new();
    let mut sink = Sink { writer: &mut writer, lists, known: &known, revoked: Vec::new() };
    let format = read::recognise(text).unwrap();
    read::read(format, text, options, &mut sink).unwrap();
    writer.done()
}

fn intel(packs: &[Pack]) -> Intel {
    let mut build = Build::default();
    packs.iter().for_each(|pack| pack.build(&mut build).unwrap());
    build.finish()
}

/// Events in short: `uid`, `class`, `time`, and observables by path.
fn batch(events: &[Json]) -> EventBatch {
    let fields =
        Fields::from(vec![Field::new("name", DataType::Utf8, true), Field::new("type_id", DataType::Int64, true), Field::new("value", DataType::Utf8, true)]);
    let mut list = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    let schema = weft_model::ocsf::schema();
    let class = events[0]["class"].as_u64().unwrap() as u32;
    for event in events {
        let items = list.values();
        for (path, value) in event["observables"].as_object().unwrap() {
            let type_id = schema.resolve(class, path).ok().and_then(|path| path.leaf().and_then(|leaf| leaf.observable)).unwrap_or(if path.contains("hash") {
                8
            } else {
                0
            });
            items.field_builder::<StringBuilder>(0).unwrap().append_value(path);
            items.field_builder::<Int64Builder>(1).unwrap().append_value(i64::from(type_id));
            items.field_builder::<StringBuilder>(2).unwrap().append_value(value.as_str().unwrap());
            items.append(true);
        }
        list.append(true);
    }
    let uids: ArrayRef = Arc::new(events.iter().map(|event| event["uid"].as_str()).collect::<StringArray>());
    let metadata = StructArray::from(vec![(Arc::new(Field::new("uid", DataType::Utf8, true)), uids)]);
    let times: Int64Array = events.iter().map(|event| Some(event["time"].as_str().map_or(NOW, |time| read::millis(time).unwrap()))).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![("time", Arc::new(times)), ("metadata", Arc::new(metadata)), ("observables", Arc::new(list.finish()))];
    EventBatch { class: ClassUid(class), source: "test".into(), rows: RecordBatch::try_from_iter(columns).unwrap() }
}

/// Events as others send them: OCSF without observables.
fn plain(events: &[Json]) -> EventBatch {
    let whole: Vec<Json> = events
        .iter()
        .map(|event| {
            let mut event = event.clone();
            event["metadata"] = serde_json::json!({"uid": event["uid"]});
            event["time"] = NOW.into();
            event
        })
        .collect();
    crate::events::batch(events[0]["class"].as_u64().unwrap() as u32, &whole)
}

fn told(finding: &Finding) -> String {
    let uids: Vec<&str> = finding.evidence.iter().map(|event| event.uid.as_str()).collect();
    format!("{} | severity {} | {}", finding.title, finding.severity_id, uids.join(" "))
}

#[derive(Default)]
struct Story {
    lists: Vec<warning::List>,
    packs: Vec<Pack>,
    gaps: Vec<String>,
    found: Vec<String>,
    blocks: usize,
}

impl Story {
    fn block(&mut self, kind: &str, text: &str, place: &str) {
        self.blocks += 1;
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        match kind.split_once(' ').unwrap_or((kind, "")) {
            ("warning", _) => self.lists.push(warning::parse(text.as_bytes()).unwrap()),
            ("feed", name) => {
                let made = pack(name, text.as_bytes(), &options(), &Lists::of(self.lists.clone()));
                self.gaps = made.gaps().0.iter().map(|gap| format!("{}: {}", gap.place, gap.reason)).collect();
                self.packs.push(made);
            }
            ("gap", _) => assert_eq!(self.gaps, lines(text), "{place}"),
            ("events", view) => {
                let events: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                let (batch, intel) = (if view == "plain" { plain(&events) } else { batch(&events) }, intel(&self.packs));
                let mut sightings = Sightings::new(if view == "past" { View::Past } else { View::Present });
                sightings.look(&intel, &batch, Timestamp(NOW));
                self.found = sightings.findings(&intel).iter().map(told).collect();
            }
            ("finding", _) => assert_eq!(self.found, lines(text), "{place}"),
            (other, _) => panic!("{place}: `{other}` is no block"),
        }
    }
}

#[test]
fn stories_come_true() {
    let mut files: Vec<_> = std::fs::read_dir(STORIES).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (mut story, mut rest, mut line) = (Story::default(), text.as_str(), 1);
        while let Some((before, after)) = rest.split_once("\n```") {
            let heading = before.contains("\n## ");
            if heading {
                story = Story::default();
            }
            let (kind, body) = after.split_once('\n').unwrap();
            let (body, after) = body.split_once("```").unwrap();
            line += before.matches('\n').count() + 1;
            story.block(kind.trim(), body.trim_end(), &format!("{}:{line}", file.display()));
            line += body.matches('\n').count() + 1;
            rest = after;
        }
        assert!(story.blocks > 0, "{}", file.display());
    }
}

fn held(source: &str) -> Held {
    Held { source: source.into(), facts: Facts { confidence: 50, from: NOW, ..Facts::default() } }
}

/// What meets a value, by looking at every indicator.
fn naive(indicators: &[(Value, u32)], value: &Value) -> Vec<(String, u32)> {
    let address = |text: &str| text.parse::<Ipv4Addr>().ok().map(u32::from);
    let network = |text: &str| {
        let (base, length) = text.split_once('/')?;
        Some((address(base)?, length.parse::<u32>().ok()?))
    };
    let same = indicators.iter().filter(|(one, _)| one.kind == value.kind);
    let mut met: Vec<(String, u32)> = match value.kind {
        Kind::Domain => {
            same.filter(|(one, _)| value.text == one.text || value.text.ends_with(&format!(".{}", one.text))).map(|(one, n)| (one.text.clone(), *n)).collect()
        }
        Kind::Ip => {
            let this = address(&value.text).unwrap();
            let holds = |text: &str| network(text).filter(|(base, length)| (this ^ base).checked_shr(32 - length).unwrap_or(0) == 0).map(|(_, length)| length);
            let same: Vec<_> = same.collect();
            let longest = same.iter().filter_map(|(one, _)| holds(&one.text)).max();
            same.iter()
                .filter(|(one, _)| one.text == value.text || (longest.is_some() && holds(&one.text) == longest))
                .map(|(one, n)| (one.text.clone(), *n))
                .collect()
        }
        _ => same.filter(|(one, _)| one.text == value.text).map(|(one, n)| (one.text.clone(), *n)).collect(),
    };
    met.sort();
    met.dedup();
    met
}

fn any_value() -> impl Strategy<Value = Value> {
    let label = prop::sample::select(vec!["a", "b", "evil", "good"]);
    prop_oneof![
        (0_u8..4, 0_u8..4, prop::option::of(prop::sample::select(vec![12_u8, 16, 24, 30, 32]))).prop_map(|(a, b, length)| {
            let text = length.map_or(format!("10.0.{a}.{b}"), |length| format!("10.0.{a}.{b}/{length}"));
            Value::observed(Kind::Ip, &text).unwrap()
        }),
        (prop::collection::vec(label, 1..4), prop::sample::select(vec!["com", "co.uk"])).prop_map(|(labels, suffix)| Value::observed(
            Kind::Domain,
            &format!("{}.{suffix}", labels.join("."))
        )
        .unwrap()),
        (0_u8..20, prop::sample::select(vec![Kind::Hash, Kind::Ja3, Kind::Ja3s])).prop_map(|(n, kind)| Value::observed(kind, &format!("{n:032x}")).unwrap()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_looking_at_everything(indicators in prop::collection::vec(any_value(), 0..200), asked in prop::collection::vec(any_value(), 1..50)) {
        let (mut build, mut all) = (Build::default(), Vec::new());
        for (number, value) in indicators.into_iter().enumerate() {
            let facts = build.facts(held(["x", "y"][number % 2]));
            build.add(value.kind, &value.text, facts);
            all.push((value, facts));
        }
        let intel = build.finish();
        let size = intel.size();
        prop_assert_eq!(size.exact_bytes, size.exact * 16);
        for value in asked.into_iter().filter(|value| !value.text.contains('/')) {
            let mut met = Vec::new();
            intel.meets(&value, &mut |_, text, facts| met.push((text.to_owned(), facts)));
            met.sort();
            prop_assert_eq!(met, naive(&all, &value), "{:?}", value);
        }
        for (value, _) in &all {
            prop_assert!(intel.holds(value));
        }
    }

    /// An index that is asked for an indicator never leaves an event out that the indicator meets.
    #[test]
    fn an_index_finds_what_matching_finds(indicators in prop::collection::vec(any_value(), 1..30), seen in prop::collection::vec(any_value(), 1..30)) {
        let mut build = Build::default();
        let facts = build.facts(held("x"));
        indicators.iter().for_each(|value| build.add(value.kind, &value.text, facts));
        let events: Vec<Json> = seen.iter().filter(|value| !value.text.contains('/')).enumerate().map(|(n, value)| {
            let path = match value.kind { Kind::Ip => "src_endpoint.ip", Kind::Domain => "dst_endpoint.hostname", Kind::Ja3 => "tls.ja3_hash.value", Kind::Ja3s => "tls.ja3s_hash.value", _ => "file.hashes.value" };
            serde_json::json!({"uid": format!("e{n}"), "class": 4001, "observables": {path: value.text}})
        }).collect();
        prop_assume!(!events.is_empty());
        let batch = batch(&events);
        let index = keys::of_batch(&batch);
        let found = match_batch(&build.finish(), &batch, Timestamp(NOW));
        for finding in found {
            let (kind, text) = finding.matched[0].strip_prefix("indicator: ").unwrap().split_once(' ').unwrap();
            prop_assert!(index.binary_search(&keys::of_indicator(Kind::of_name(kind).unwrap(), text)).is_ok(), "{} {}", kind, text);
        }
    }

    #[test]
    fn no_document_makes_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..400), json in "[\\[{\"a-z:,0-9}\\] ]{0,200}") {
        for text in [bytes.as_slice(), json.as_bytes()] {
            let Ok(format) = read::recognise(text) else { continue };
            let (mut writer, known, lists) = (Writer::new("x", "x", NOW), BTreeMap::new(), Lists::default());
            let _refused = read::read(format, text, &options(), &mut Sink { writer: &mut writer, lists: &lists, known: &known, revoked: Vec::new() });
            let pack = writer.done();
            let again = Pack::of_bytes(&pack.to_bytes().unwrap()).unwrap();
            prop_assert_eq!(&again, &pack);
        }
        let _damaged = Pack::of_bytes(&bytes);
    }
}

#[test]
fn what_is_kept_is_read_again_or_refused() {
    let made = pack("x", b"198.51.100.7\nevil.example\n", &options(), &Lists::default());
    let bytes = made.to_bytes().unwrap();
    for end in 0..bytes.len() {
        let cut = Pack::of_bytes(&bytes[..end]);
        assert!(cut.is_err() || cut.unwrap().rows().any(|row| row.is_err()), "{end}");
    }
}

#[test]
fn what_is_nested_deep_costs_itself_alone() {
    let deep = format!("{{\"type\":\"bundle\",\"objects\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
    let made = pack("x", deep.as_bytes(), &options(), &Lists::default());
    assert_eq!((made.len(), made.gaps().1), (0, 1));
}

fn unpacked(program: &str, file: &str) -> Option<Vec<u8>> {
    let path = Path::new(DATA).join(file);
    let output = Command::new(program).arg("-dc").arg(&path).output().ok().filter(|output| output.status.success());
    if output.is_none() {
        println!("skipped: {} is not here", path.display());
    }
    output.map(|output| output.stdout)
}

#[test]
fn counts_of_lists_become_confidence() {
    let Some(text) = unpacked("gzip", "ipsum.txt.gz") else { return };
    let lines = text.split(|byte| *byte == b'\n').filter(|line| line.first().is_some_and(u8::is_ascii_digit)).count();
    let pack = pack("ipsum", &text, &options(), &Lists::default());
    assert_eq!((pack.len(), pack.gaps().1), (lines, 0));
    let confidences: std::collections::BTreeSet<u8> = pack.rows().map(|row| row.unwrap().facts.confidence).collect();
    assert!(confidences.contains(&50) && confidences.contains(&75) && confidences.iter().all(|confidence| (50..=99).contains(confidence)), "{confidences:?}");
    let size = intel(&[pack]).size();
    assert_eq!(size.exact_bytes, lines * 16);
}

#[test]
fn attack_is_known_and_holds_no_indicator() {
    let Some(text) = unpacked("xz", "enterprise-attack-18.1.bundle.json.xz") else { return };
    let pack = pack("attack", &text, &options(), &Lists::default());
    assert_eq!((pack.len(), pack.gaps().1), (0, 0));
    let of = |kind: &str| pack.known().values().filter(|known| known.kind == kind).count();
    assert!(of("attack-pattern") > 800 && of("intrusion-set") > 180 && of("malware") > 600 && of("tool") > 80);
    assert_eq!(pack.others()["attack-pattern"], of("attack-pattern") as u64);
    assert!(pack.known().values().any(|known| known.attack.as_deref() == Some("T1110.001") && known.name == "Password Guessing"));
}

#[test]
fn public_warning_lists_suppress() {
    let archive = Path::new(DATA).join("misp-warninglists.tar.xz");
    let Some(output) =
        Command::new("tar").arg("xOJf").arg(&archive).args(["--wildcards", "*/list.json"]).output().ok().filter(|output| output.status.success())
    else {
        println!("skipped: {} is not here", archive.display());
        return;
    };
    let lists: Vec<warning::List> = serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect();
    assert!(lists.len() > 100);
    let lists = Lists::of(lists);
    assert!(lists.gaps().len() < 20, "{:?}", lists.gaps());
    let on = |text: &str| lists.on(&Value::guess(text).unwrap()).is_some();
    for text in ["8.8.8.8", "1.1.1.1", "10.1.2.3", "google.com", "d41d8cd98f00b204e9800998ecf8427e", "2001:4860:4860::8888"] {
        assert!(on(text), "{text}");
    }
    for text in ["77.90.185.20", "evil-never-seen-7231.org", "00000000000000000000000000000001"] {
        assert!(!on(text), "{text}");
    }
    assert_eq!(read::recognise(b"{\"name\":\"x\",\"type\":\"string\",\"list\":[]}"), Ok(Format::WarningList));
}
