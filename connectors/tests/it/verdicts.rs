//! Our rules on events that others have labelled: a detection engine's own test events, and the
//! CloudTrail of attacks that were carried out.
//!
//! `verdicts.toml` says which of our rules are about the threat of which of theirs, and why the
//! verdicts differ where they do. The tables in the guide are written from both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use weft_analytics::Engine;
use weft_ingest::frame::{self, Framing, Piece};
use weft_ingest::{Mapper, Registry};
use weft_model::{Context, Detector as _, Mapping as _, StreamId};
use weft_testkit::{batch, data, registry, say};

use crate::detections::{Rule, all_rules, fields, kept, rules};

const PANTHER: &str = "panther/rule_tests.ndjson.gz";
const STRATUS: &str = "identity/stratus-cloudtrail";
/// Log types of identity providers and of what gives identities rights.
const IDENTITY: [&str; 12] = [
    "Okta.",
    "Azure.Audit",
    "AWS.CloudTrail",
    "GSuite.",
    "GitHub.Audit",
    "OneLogin.",
    "Auth0.",
    "Duo.",
    "GCP.AuditLog",
    "OnePassword.",
    "PushSecurity.",
    "Microsoft365.",
];

#[derive(Deserialize)]
struct Claims {
    /// Name of a rule of ours: their rules about the same threat.
    covers: BTreeMap<String, Vec<String>>,
    /// Their rule, or `rule: test`: why our verdict is another one.
    differs: BTreeMap<String, String>,
    /// Their rule, or the beginning of its name and `*`: why there is none of ours.
    lacks: BTreeMap<String, String>,
}

/// One labelled event.
struct Case {
    rule: String,
    test: String,
    kinds: String,
    expected: bool,
    event: Bytes,
}

fn claims() -> Claims {
    toml::from_str(include_str!("verdicts.toml")).unwrap()
}

fn cases(registry: &Arc<Registry>, file: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    let framing = Framing { records: Vec::new(), registry: None, ..Framing::of(registry, &StreamId::from(StreamId::AUTO)).unwrap() };
    let mut take = |piece: Piece| {
        let Piece::Record { bytes, .. } = piece else { return };
        let case: Value = serde_json::from_slice(&bytes).unwrap();
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        let kinds: Vec<&str> = case["log_types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let expected = case["expected"].as_bool().unwrap_or_default();
        cases.push(Case { rule: text("rule"), test: text("name"), kinds: kinds.join(", "), expected, event: case["event"].to_string().into() });
    };
    frame::read(file, &framing, &mut take).unwrap();
    cases
}

/// What our rules tell of single records: names by id of the rule.
struct Judge {
    registry: Arc<Registry>,
    engine: Engine,
    names: BTreeMap<String, String>,
}

impl Judge {
    fn new(rules: &[Rule]) -> Self {
        let (registry, _) = registry();
        // Correlations and behaviour analytics need more than one event to say something.
        let single = rules.iter().filter(|rule| rule.yaml["correlation"].is_null() && rule.yaml["weft"].is_null());
        let names = single.map(|rule| (rule.text("id").to_owned(), rule.text("name").to_owned())).collect();
        Self { registry, engine: all_rules(&fields()), names }
    }

    fn names(&mut self, stream: &str, record: &Bytes) -> BTreeSet<String> {
        let mapped = Mapper::new(Arc::clone(&self.registry)).map(&batch(stream, Context::default(), vec![record.clone()]));
        let found = mapped.batches.iter().flat_map(|events| self.engine.observe(events)).collect::<Vec<_>>();
        found.into_iter().filter_map(|finding| self.names.get(&finding.analytic_uid).cloned()).collect()
    }
}

#[derive(Default)]
struct Row {
    events: usize,
    agree: usize,
    differ: usize,
    lacking: BTreeSet<String>,
    covered: BTreeSet<String>,
}

#[test]
fn verdicts_on_the_events_of_a_detection_engine() {
    let Some(file) = data(PANTHER) else { return };
    let (all, claims) = (rules(), claims());
    let mut judge = Judge::new(&all);
    let cases = cases(&judge.registry.clone(), &file);
    let mut ours: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, theirs) in &claims.covers {
        assert!(all.iter().any(|rule| rule.text("name") == name), "verdicts.toml: there is no rule `{name}`");
        theirs.iter().for_each(|rule| ours.entry(rule).or_default().push(name));
    }
    let (mut rows, mut differing): (BTreeMap<&str, Row>, Vec<(String, String)>) = (BTreeMap::new(), Vec::new());
    for case in &cases {
        let row = rows.entry(&case.kinds).or_default();
        row.events += 1;
        let Some(names) = ours.get(case.rule.as_str()) else {
            row.lacking.insert(case.rule.clone());
            continue;
        };
        row.covered.insert(case.rule.clone());
        let told = judge.names(StreamId::AUTO, &case.event);
        if names.iter().any(|name| told.contains(*name)) == case.expected {
            row.agree += 1;
        } else {
            row.differ += 1;
            let key = format!("{}: {}", case.rule, case.test);
            let reason = claims.differs.get(&key).or_else(|| claims.differs.get(&case.rule)).cloned().unwrap_or_default();
            differing.push((key, format!("{} | {reason}", if case.expected { "fires" } else { "silent" })));
        }
    }
    let text = page(&rows, &differing, &claims);
    say(&text);
    // The reasons are about these events: of others only the table is printed.
    if cases.len() == EVENTS {
        let unexplained: Vec<&String> = differing.iter().filter(|(_, reason)| reason.ends_with("| ")).map(|(key, _)| key).collect();
        assert!(unexplained.is_empty(), "verdicts.toml: no reason for {unexplained:#?}");
        kept("docs/guide/panther-table.md", &text, "verdicts");
    }
}

/// Events of the file that the reasons were written for.
const EVENTS: usize = 1978;

fn page(rows: &BTreeMap<&str, Row>, differing: &[(String, String)], claims: &Claims) -> String {
    let sum = |of: fn(&Row) -> usize| rows.values().map(of).sum::<usize>();
    let count = |of: fn(&Row) -> &BTreeSet<String>| rows.values().flat_map(of).collect::<BTreeSet<_>>().len();
    let mut text = format!(
        "# Verdicts on the events of another engine's rules\n\n[Panther's rules](https://github.com/panther-labs/panther-analysis) come with events of more than sixty log types and\nthe verdict that each must give. Here are the verdicts of our rules about the same threats, written in our own words\nand for OCSF: one event at a time, recognised by STREAM `auto`. The events are read in place and not part of the project.\n\n```sh\ncargo nextest run -p weft-connectors verdicts --no-capture     # prints the tables; with WEFT_BLESS=1 writes this page\n```\n\n{} events of {} rules. {} rules are covered, with {} events: {} verdicts agree, {} differ, each with its reason below.\n{} rules are not covered.\n\n| log type | events | rules covered | agree | differ | rules not covered |\n|---|---:|---:|---:|---:|---:|\n",
        sum(|row| row.events),
        count(|row| &row.covered) + count(|row| &row.lacking),
        count(|row| &row.covered),
        sum(|row| row.agree + row.differ),
        sum(|row| row.agree),
        sum(|row| row.differ),
        count(|row| &row.lacking),
    );
    for (kinds, row) in rows {
        let _ = writeln!(text, "| {kinds} | {} | {} | {} | {} | {} |", row.events, row.covered.len(), row.agree, row.differ, row.lacking.len());
    }
    text.push_str("\n## Where verdicts differ\n\n| event | expected | why ours is another one |\n|---|---|---|\n");
    for (key, reason) in differing {
        let _ = writeln!(text, "| {key} | {reason} |");
    }
    text.push_str("\n## What is not covered\n\n| rules | why |\n|---|---|\n");
    let reason = |rule: &str| {
        let by_name = claims.lacks.get(rule);
        by_name.or_else(|| {
            claims
                .lacks
                .iter()
                .filter(|(name, _)| name.strip_suffix('*').is_some_and(|start| rule.starts_with(start)))
                .max_by_key(|(name, _)| name.len())
                .map(|(_, why)| why)
        })
    };
    let mut whys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for rule in rows.values().flat_map(|row| &row.lacking) {
        whys.entry(reason(rule).map_or("no rule about this threat yet", String::as_str)).or_default().insert(rule);
    }
    for (why, rules) in whys {
        let _ = writeln!(text, "| {} | {why} |", rules.into_iter().collect::<Vec<_>>().join(", "));
    }
    text
}

/// Technique against detection: what was carried out in AWS, and the identity part of the events.
#[test]
fn verdicts_by_technique() {
    let (Some(stratus), Some(panther)) = (data(STRATUS), data(PANTHER)) else { return };
    let all = rules();
    let mut judge = Judge::new(&all);
    let title = |name: &String| all.iter().find(|rule| rule.text("name") == name).map(|rule| rule.text("title")).unwrap_or_default();
    let mut text = String::from(
        "# Techniques against detections\n\nWhat our rules tell of attacks whose technique is known. Written by\n`WEFT_BLESS=1 cargo nextest run -p weft-connectors verdicts`, from data that is not part of the project.\n\n## CloudTrail of attacks that were carried out\n\n[Stratus Red Team](https://stratus-red-team.cloud/) carried out each of these in AWS; its CloudTrail is looked at as a whole.\n\n| technique | events | told by |\n|---|---:|---|\n",
    );
    let mut attacks: Vec<_> = std::fs::read_dir(stratus).unwrap().map(|entry| entry.unwrap().path()).collect();
    attacks.sort();
    let mut missed = Vec::new();
    for path in &attacks {
        let events: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let told: BTreeSet<String> = events.iter().flat_map(|event| judge.names("aws/cloudtrail", &event.to_string().into())).collect();
        let titles: BTreeSet<&str> = told.iter().filter(|name| all.iter().any(|rule| rule.text("name") == *name && !rule.feeds())).map(title).collect();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if titles.is_empty() {
            missed.push(name.clone());
        }
        let _ = writeln!(text, "| {name} | {} | {} |", events.len(), titles.into_iter().collect::<Vec<_>>().join("<br>"));
    }
    let _ = writeln!(
        text,
        "\n{} of {} are told{}.",
        attacks.len() - missed.len(),
        attacks.len(),
        if missed.is_empty() { String::new() } else { format!("; not {}", missed.join(", ")) }
    );
    text.push_str("\n## Identity events of another engine's rules\n\nEvents that must fire, of log types of identities, by the technique that our rule names.\n\n| technique | detection | events told |\n|---|---|---:|\n");
    let mut techniques: BTreeMap<(String, String), usize> = BTreeMap::new();
    let claims = claims();
    for case in cases(&judge.registry.clone(), &panther).iter().filter(|case| case.expected && IDENTITY.iter().any(|kind| case.kinds.starts_with(kind))) {
        for name in judge.names(StreamId::AUTO, &case.event).iter().filter(|name| claims.covers.get(*name).is_some_and(|theirs| theirs.contains(&case.rule))) {
            let rule = all.iter().find(|rule| rule.text("name") == name).unwrap();
            rule.techniques().into_iter().for_each(|technique| *techniques.entry((technique, rule.text("title").to_owned())).or_default() += 1);
        }
    }
    for ((technique, title), events) in &techniques {
        let named = weft_model::attack::by_id(technique).map_or("", |entry| entry.name);
        let _ = writeln!(text, "| {technique} {named} | {title} | {events} |");
    }
    say(&text);
    if attacks.len() == ATTACKS {
        assert!(missed.len() <= 2, "not told: {missed:?}");
        kept("docs/guide/technique-table.md", &text, "verdicts");
    }
}

/// Files of attacks that the page was written for.
const ATTACKS: usize = 22;
