//! Rules of the project against the records of tools: each says why, and its scenario has records
//! that it must tell and records that it must not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use weft_analytics::{Engine, FieldMap, RuleFile, compile};
use weft_ingest::{Mapper, Registry};
use weft_model::{Detector as _, Mapping as _, Timestamp, attack};
use weft_testkit::scenario::{self, Story};
use weft_testkit::{batch, root};

/// Fewest rules about single events, and fewest detections of identity threats.
const RULES_MIN: usize = 60;
const IDENTITY_MIN: usize = 45;
/// After every record of a scenario.
const LATER: Timestamp = Timestamp(4_102_444_800_000);
const DOMAINS: [(&str, &str); 7] = [
    ("identity", "Identity"),
    ("cloud", "Cloud"),
    ("endpoint", "Endpoint"),
    ("network", "Network"),
    ("saas", "SaaS and development"),
    ("email", "E-mail and data protection"),
    ("ot", "Industrial systems"),
];

/// One document of a rule file.
pub(crate) struct Rule {
    /// Below the project's root.
    pub(crate) file: String,
    pub(crate) yaml: Value,
}

impl Rule {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.yaml[key].as_str().unwrap_or_default().trim()
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        self.yaml["tags"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    fn tagged<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.tags().filter_map(move |tag| tag.strip_prefix(prefix))
    }

    /// Whether it says nothing alone: a correlation listens to it.
    pub(crate) fn feeds(&self) -> bool {
        let told = self.text("description");
        told.contains("Feeds") || told.contains("it speaks only when")
    }

    fn kind(&self) -> &str {
        if !self.yaml["correlation"].is_null() {
            "correlation"
        } else if !self.yaml["weft"].is_null() {
            "behaviour"
        } else {
            "rule"
        }
    }

    fn domain(&self) -> &str {
        self.tagged("weft.").find(|tag| DOMAINS.iter().any(|(name, _)| name == tag)).unwrap_or_default()
    }

    pub(crate) fn techniques(&self) -> Vec<String> {
        self.tagged("attack.t").filter(|tag| tag.starts_with(|c: char| c.is_ascii_digit())).map(|tag| format!("T{tag}")).collect()
    }

    fn tactics(&self) -> Vec<&str> {
        self.tagged("attack.").filter(|tag| attack::tactic(tag).is_some()).collect()
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

/// Files of this ending in the folders of detections.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    walk(&root().join("content/detections"), &mut all);
    for connector in weft_connectors::files() {
        walk(&root().join("connectors").join(connector.name).join("detections"), &mut all);
    }
    all.retain(|path| path.extension().is_some_and(|found| found == ending));
    all.sort();
    all
}

pub(crate) fn rules() -> Vec<Rule> {
    files("yml").iter().flat_map(|path| rules_of(path)).collect()
}

fn rules_of(path: &Path) -> Vec<Rule> {
    let file = path.strip_prefix(root()).unwrap().display().to_string();
    let text = std::fs::read_to_string(path).unwrap();
    let documents = text.split("\n---\n");
    documents.map(|document| Rule { file: file.clone(), yaml: serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{file}: {error}")) }).collect()
}

pub(crate) fn fields() -> FieldMap {
    let mut all = FieldMap::default();
    files("toml").iter().for_each(|path| all.extend(FieldMap::parse(&std::fs::read_to_string(path).unwrap()).unwrap()));
    all
}

pub(crate) fn engine(paths: &[PathBuf], fields: &FieldMap) -> Engine {
    let files: Vec<RuleFile> = paths.iter().map(|path| RuleFile { name: path.display().to_string(), text: std::fs::read_to_string(path).unwrap() }).collect();
    let (engine, faults) = compile(&files, fields);
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    engine
}

pub(crate) fn all_rules(fields: &FieldMap) -> Engine {
    engine(&files("yml"), fields)
}

/// Titles of what the rules of one file tell of these records, and how many records they rest on.
fn told(rules: &Path, fields: &FieldMap, registry: &Arc<Registry>, story: &Story) -> (BTreeSet<String>, usize) {
    let (mut engine, mapper) = (engine(&[rules.to_owned()], fields), Mapper::new(Arc::clone(registry)));
    let mut findings = Vec::new();
    for raw in &story.raws {
        for (context, record) in &raw.records {
            let mapped = mapper.map(&batch(&raw.stream, context.clone(), vec![record.clone()]));
            let rejects: Vec<&str> = mapped.rejects.iter().map(|reject| reject.message.as_str()).collect();
            assert!(rejects.is_empty(), "{}: {rejects:?}", rules.display());
            findings.extend(mapped.batches.iter().flat_map(|events| engine.observe(events)));
        }
    }
    findings.extend(engine.advance(LATER));
    let evidence: BTreeSet<&str> = findings.iter().flat_map(|finding| &finding.evidence).map(|event| event.uid.as_str()).collect();
    let count = evidence.len();
    (findings.into_iter().map(|finding| finding.title).collect(), count)
}

#[test]
fn every_rule_tells_its_scenario() {
    let ((registry, _), fields) = (weft_testkit::registry(), fields());
    let mut wrong = String::new();
    // Correlations and behaviour analytics of the mesh have scenarios of events, which `weft-analytics` runs.
    let of_events = |path: &PathBuf| ["correlation", "behaviour"].iter().any(|folder| path.parent().is_some_and(|parent| parent.ends_with(folder)));
    let alone = |path: &Path| rules_of(path).iter().all(|rule| rule.kind() == "rule");
    for path in files("yml").into_iter().filter(|path| !of_events(path)) {
        let stories = scenario::stories(&registry, &path.with_extension("md")).unwrap_or_else(|error| panic!("{}: no scenario: {error}", path.display()));
        for (number, story) in stories.iter().enumerate() {
            let ((found, evidence), expected) = (told(&path, &fields, &registry, story), story.findings.iter().cloned().collect::<BTreeSet<_>>());
            let records: usize = story.raws.iter().map(|raw| raw.records.len()).sum();
            // A rule about single events must tell each record of a story that fires.
            if found != expected || (alone(&path) && !expected.is_empty() && evidence != records) {
                let place = format!("{}: story {}", path.display(), number + 1);
                wrong.push_str(&format!("{place}: expected {expected:?} of {records} records, but it is {found:?} of {evidence}\n"));
            }
        }
        let (fires, silent) = (stories.iter().any(|story| !story.findings.is_empty()), stories.iter().any(|story| story.findings.is_empty()));
        if !(fires && silent && stories.iter().all(|story| !story.raws.is_empty())) {
            wrong.push_str(&format!("{}: one story must fire, and one must not\n", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_rule_says_why() {
    let (mut wrong, mut ids) = (Vec::new(), BTreeMap::new());
    for rule in rules() {
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{}: `{}`: {what}", rule.file, rule.text("title")));
            }
        };
        let id = rule.text("id").to_owned();
        must(id.len() == 36 && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]), "`id` is a UUID");
        // Two documents about one threat share an id where one is the other's behaviour.
        must(ids.insert(id, rule.file.clone()).is_none_or(|other| other == rule.file), "the id is another rule's");
        must(!rule.text("name").is_empty(), "`name` is missing");
        // Techniques of industrial systems (T08…) are not in the table of ATT&CK Enterprise.
        let known = |technique: &String| technique.starts_with("T08") || attack::by_id(technique).is_some();
        must(!rule.techniques().is_empty() && rule.techniques().iter().all(known), "tags name techniques of ATT&CK");
        must(!rule.domain().is_empty(), "a tag `weft.DOMAIN` is missing");
        if rule.feeds() {
            continue;
        }
        must(rule.text("description").len() > 80, "`description` says why it matters");
        must(["low", "medium", "high", "critical"].contains(&rule.text("level")), "`level` is one that somebody looks at");
        for list in ["references", "falsepositives"] {
            must(rule.yaml[list].as_array().is_some_and(|items| !items.is_empty()), &format!("`{list}` is missing"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_as_many_as_promised() {
    let all = rules();
    let loud = || all.iter().filter(|rule| !rule.feeds());
    let rules = loud().filter(|rule| rule.kind() == "rule").count();
    let identity = loud().filter(|rule| rule.tags().any(|tag| tag == "weft.itdr")).count();
    assert!(rules >= RULES_MIN && identity >= IDENTITY_MIN, "{rules} rules about single events, {identity} detections of identity threats");
    for (domain, _) in DOMAINS {
        assert!(loud().any(|rule| rule.domain() == domain), "none about {domain}");
    }
}

/// `docs/guide/detections.md` is what the rules say; `WEFT_BLESS=1` writes it anew.
#[test]
fn the_list_in_the_guide_is_current() {
    let all = rules();
    kept("docs/guide/detections.md", &list(&all), "detections");
}

/// Compares a page of the guide with what it should be, or writes it.
pub(crate) fn kept(page: &str, text: &str, filter: &str) {
    let path = root().join(page);
    if std::env::var_os("WEFT_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{page} is not current: run `WEFT_BLESS=1 cargo nextest run -p weft-connectors {filter}`");
}

fn list(all: &[Rule]) -> String {
    let loud: Vec<&Rule> = all.iter().filter(|rule| !rule.feeds()).collect();
    let of = |kind: &str| loud.iter().filter(|rule| rule.kind() == kind).count();
    let identity = loud.iter().filter(|rule| rule.tags().any(|tag| tag == "weft.itdr")).count();
    let mut text = format!(
        "# Detections\n\n{} detections: {} rules about single events, {} correlations, {} behaviour analytics. {identity} of them are about\nidentity threats (•). Rules that only feed others are left out. How they are written: [rules](rules.md),\n[behaviour](behaviour.md). Written from the rules by `WEFT_BLESS=1 cargo nextest run -p weft-connectors detections`.\n\n| domain | rules | correlations | behaviour | identity threats |\n|---|---:|---:|---:|---:|\n",
        loud.len(),
        of("rule"),
        of("correlation"),
        of("behaviour"),
    );
    for (domain, title) in DOMAINS {
        let count = |kind: &str| loud.iter().filter(|rule| rule.domain() == domain && rule.kind() == kind).count();
        let threats = loud.iter().filter(|rule| rule.domain() == domain && rule.tags().any(|tag| tag == "weft.itdr")).count();
        text.push_str(&format!("| {title} | {} | {} | {} | {threats} |\n", count("rule"), count("correlation"), count("behaviour")));
    }
    for (domain, title) in DOMAINS {
        text.push_str(&format!("\n## {title}\n\n| tactic | detection | techniques | level | kind | of |\n|---|---|---|---|---|---|\n"));
        let mut rows: Vec<String> = loud.iter().filter(|rule| rule.domain() == domain).map(|rule| row(rule)).collect();
        rows.sort();
        text.push_str(&rows.concat());
    }
    text
}

fn row(rule: &Rule) -> String {
    let tactics: Vec<&str> = rule.tactics().into_iter().filter_map(attack::tactic).map(|(_, name)| name).collect();
    let of = rule.file.strip_prefix("connectors/").and_then(|path| path.split('/').next()).unwrap_or("any tool");
    let mark = if rule.tags().any(|tag| tag == "weft.itdr") { "• " } else { "" };
    let (title, file) = (rule.text("title"), &rule.file);
    format!("| {} | {mark}[{title}](../../{file}) | {} | {} | {} | {of} |\n", tactics.join(", "), rule.techniques().join(", "), rule.text("level"), rule.kind())
}
