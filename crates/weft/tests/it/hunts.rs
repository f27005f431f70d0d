//! The hunts of the content: each scenario's events in one lake, and each hunt hits its own alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{text, weft};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/hunts");
/// A Monday.
const BEGIN_MS: i64 = 1_789_948_800_000;
/// The time that is asked: two months later, for a week.
const SINCE_MS: i64 = BEGIN_MS + 60 * 86_400_000;
const UNTIL_MS: i64 = BEGIN_MS + 67 * 86_400_000;

fn files(ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|found| found == ending));
    found.sort();
    found
}

fn span(text: &str) -> i64 {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count: i64 = text.strip_suffix(unit).unwrap().parse().unwrap();
    count * [("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)].iter().find(|(name, _)| *name == unit).unwrap().1
}

fn moment(text: &str) -> i64 {
    let (days, clock) = text.split_once(' ').unwrap();
    BEGIN_MS + span(days) + clock.split(':').zip([3_600_000, 60_000]).map(|(part, unit)| part.parse::<i64>().unwrap() * unit).sum::<i64>()
}

/// One line of a block as OCSF events: `at`, `times` and `every` repeat it, `{n}` tells them apart.
fn expand(line: &str, name: &str, out: &mut String) {
    let mut short: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
    let fields = short.as_object_mut().unwrap();
    let at = moment(fields.remove("at").unwrap().as_str().unwrap());
    let times = fields.remove("times").map_or(1, |times| times.as_i64().unwrap());
    let every = fields.remove("every").map_or(0, |every| span(every.as_str().unwrap()));
    let (class, activity) = (fields["class_uid"].as_i64().unwrap(), fields["activity_id"].as_i64().unwrap());
    for n in 0..times {
        let mut event: Value = serde_json::from_str(&short.to_string().replace("{n}", &n.to_string())).unwrap();
        event["time"] = json!(at + n * every);
        event["severity_id"] = json!(1);
        event["category_uid"] = json!(class / 1000);
        event["type_uid"] = json!(class * 100 + activity);
        let uid = weft_model::Finding::uid_of(&format!("{name}{line}{n}"), &[]);
        event["metadata"] = json!({"version": "1.8.0", "uid": uid, "product": {"name": "Test", "vendor_name": "Test"}});
        out.push_str(&format!("{event}\n"));
    }
}

/// Events of all scenarios, and by hunt the lines that must be told.
fn stories() -> (String, BTreeMap<String, BTreeSet<String>>) {
    let (mut events, mut expected) = (String::new(), BTreeMap::new());
    for path in files("toml") {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let story = std::fs::read_to_string(path.with_extension("md")).unwrap_or_else(|_| panic!("hunt `{name}` has no scenario"));
        let blocks: Vec<(&str, &str)> = story.split("\n```").skip(1).step_by(2).map(|part| part.split_once('\n').unwrap_or((part, ""))).collect();
        let (mut hits, mut silent) = (BTreeSet::new(), false);
        for pair in blocks.chunks(2) {
            let [("events", given), ("finding", told)] = pair else { panic!("{name}: `events`, then `finding`") };
            given.lines().for_each(|line| expand(line, &name, &mut events));
            silent |= told.trim().is_empty();
            hits.extend(told.lines().filter(|line| !line.is_empty()).map(str::to_owned));
        }
        assert!(!hits.is_empty() && silent, "{name}: one story must hit, and one must not");
        expected.insert(name, hits);
    }
    (events, expected)
}

fn hunt(home: &Path, arguments: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let (since, until) = (SINCE_MS.to_string(), UNTIL_MS.to_string());
    let output = weft(home, &[&["hunt", "--format", "ndjson", "--since", &since, "--until", &until], arguments].concat(), "");
    let events = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), events, text(&output.stderr))
}

#[test]
fn every_hunt_hits_its_own_story_and_no_other() {
    let (events, expected) = stories();
    assert!(expected.len() >= 10);
    let home = tempfile::tempdir().unwrap();
    let output = weft(home.path(), &["ingest", "ocsf/event", "-"], &events);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (code, found, errors) = hunt(home.path(), &[]);
    assert_eq!((code, errors.as_str()), (Some(1), ""));
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in &found {
        let name = event["finding_info"]["analytic"]["uid"].as_str().unwrap().trim_start_matches("hunt:").to_owned();
        let about = event["observables"].as_array().unwrap().iter();
        // Names of who and what; processes of a rule's event are told in any case.
        let mut about: Vec<&str> = about.map(|entity| entity["value"].as_str().unwrap()).collect();
        if name == "archive_encrypted_in_a_pipe" {
            about.retain(|value| value.starts_with("build"));
        }
        about.dedup();
        assert!(!event["finding_info"]["related_events"].as_array().unwrap().is_empty(), "{name} has no evidence");
        told.entry(name).or_default().insert(sorted(&about.join(" ")));
    }
    let expected: BTreeMap<String, BTreeSet<String>> =
        expected.into_iter().map(|(name, lines)| (name, lines.iter().map(|line| sorted(line)).collect())).collect();
    assert_eq!(told, expected);
    // A hit of the next run is the same finding.
    let (_, again, _) = hunt(home.path(), &["dormant_account_returns"]);
    assert!(again.len() == 1 && found.contains(&again[0]), "{again:?}");
}

fn sorted(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    words.sort_unstable();
    words.dedup();
    words.join(" ")
}

#[test]
fn a_hunt_without_data_says_so_and_a_broken_one_is_refused() {
    let home = tempfile::tempdir().unwrap();
    weft(home.path(), &["ingest", "ocsf/event", "-"], &crate::events(0..3));
    let (code, found, errors) = hunt(home.path(), &["mail_to_own_private_address"]);
    assert_eq!((code, found.len()), (Some(0), 0));
    assert!(errors.contains("table `email_activity` was never received"), "{errors}");
    assert_eq!(hunt(home.path(), &["nothing"]).0, Some(2));
    let list = weft(home.path(), &["hunt", "--list", "--format", "ndjson"], "");
    assert_eq!(text(&list.stdout).lines().count(), files("toml").len());

    std::fs::create_dir_all(home.path().join("content/hunts")).unwrap();
    let broken = "title = \"x\"\nhypothesis = \"y\"\nseverity = \"odd\"\nlook_back = \"soon\"\nattack = [\"T0\"]\nreferences = []\nfalse_positives = [\"z\"]\nsql = \"SELECT 1\"\n[needs]\nnothing = [\"a\"]\nauthentication = [\"user.nope\"]\n";
    std::fs::write(home.path().join("content/hunts/broken.toml"), broken).unwrap();
    let check = weft(home.path(), &["check"], "");
    let told = text(&check.stderr);
    assert_eq!(check.status.code(), Some(2));
    for fault in ["`odd`", "`soon`", "`T0`", "`references` is empty", "no class `nothing`", "nope", "{since}", "evidence"] {
        assert!(told.lines().any(|line| line.contains("content/hunts/broken.toml") && line.contains(fault)), "{fault}: {told}");
    }
}
