//! Effective permissions and escalation, on labelled snapshots that we did not write.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use weft_connectors::entitlement::snapshot::Collector;
use weft_connectors::entitlement::{RULES, actions};
use weft_identity::entitlement::escalation::{ADMINISTRATOR, Escalation, Explorer};
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules};
use weft_model::entitlement::Outcome;

pub(crate) fn provider() -> Provider {
    Provider { catalogue: Arc::new(Catalogue::new(actions())), rules: Arc::new(Rules::read(RULES).unwrap()), ..Provider::default() }
}

/// The folder of labelled data, or one line that says that it is not there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/identity").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not here", path.display());
    None
}

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_rules_name_actions_that_exist() {
    let provider = provider();
    assert_eq!(provider.rules.unknown(&provider.catalogue), Vec::<String>::new());
}

#[test]
fn labelled_scenarios_are_found() {
    let Some(folder) = data("pathfinding-labs") else { return };
    let provider = provider();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut agree, mut all) = (0, 0);
    for file in files.iter().filter(|file| !file.ends_with("INDEX.json")) {
        let scenario = json(file);
        let mut collector = Collector::default();
        collector.add("scenario", &scenario);
        let snapshot = collector.finish();
        let faults = snapshot.faults.clone();
        let estate = Estate::new(snapshot, provider.clone());
        let expected = &scenario["expected"];
        let listed: Vec<&str> = estate.principals().collect();
        let nodes = expected["nodes"].as_array().unwrap();
        let principals = nodes.iter().filter(|node| node["type"] == "principal").filter_map(|node| node["arn"].as_str());
        let wanted: Vec<&str> = principals.filter(|name| listed.contains(name)).collect();
        let found = Explorer::new(&estate).from(expected["principals"][0].as_str().unwrap());
        let to_bucket = expected["target"] == "to-bucket";
        // A snapshot need not hold the administrator that its label names: then the way there counts.
        let there = nodes.iter().any(|node| node["isAdmin"] == true && node["arn"].as_str().is_some_and(|name| listed.contains(&name)));
        let is_goal = |one: &&Escalation| if to_bucket { one.reaches.starts_with("arn:aws:s3:::") } else { one.reaches == ADMINISTRATOR || !there };
        let path = found.iter().find(is_goal);
        all += 1;
        let ok = path.is_some_and(|path| wanted.iter().all(|name| passes(path, name)));
        agree += usize::from(ok);
        let name = file.file_stem().unwrap().to_string_lossy();
        println!(
            "{} {name}",
            if ok {
                "agrees"
            } else if path.is_some() {
                "other "
            } else {
                "MISSED"
            }
        );
        if !ok {
            println!("   wanted {wanted:?}\n   found {:?}\n   faults {faults:?}", found.iter().map(short).collect::<Vec<_>>());
        }
    }
    println!("{agree} of {all} agree");
    assert!(agree * 100 >= all * 95, "{agree} of {all}");
}

fn passes(path: &Escalation, name: &str) -> bool {
    path.principal == name || path.hops.iter().any(|hop| hop.from == name || hop.to == name)
}

fn short(escalation: &Escalation) -> String {
    let hops = escalation.hops.iter().map(|hop| format!("{} -> {} by {}", hop.from, hop.to, hop.actions.join("+")));
    format!("{}: {}", escalation.reaches, hops.collect::<Vec<_>>().join("; "))
}

#[test]
fn single_questions_are_answered_as_labelled() {
    let Some(folder) = data("iamspy") else { return };
    let provider = provider();
    let cases = json(&folder.join("cases.json"));
    let mut wrong = Vec::new();
    let mut all = 0;
    for case in cases[0]["cases"].as_array().unwrap() {
        let mut collector = Collector::default();
        for name in ["gaads", "resources", "scps"].iter().filter_map(|key| case[0].get(*key)).flat_map(|files| files.as_array().unwrap()) {
            let name = name.as_str().unwrap();
            collector.add(name, &json(&folder.join("files").join(name)));
        }
        let estate = Estate::new(collector.finish(), provider.clone());
        let text = |number: usize| case[1][number].as_str().unwrap();
        let with = case[1].get(3).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let with: Vec<(String, Vec<String>)> =
            with.filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key.to_owned(), vec![value.to_owned()])).collect();
        let strict = case[1].get(5).and_then(Value::as_bool) == Some(true);
        // Whoever the snapshot does not list cannot: one case asks for such a principal.
        let outcome = estate.can(text(0), text(1), text(2), &with).map_or(Outcome::ImplicitlyDenied, |verdict| verdict.outcome);
        // The table calls possible what depends on conditions, unless it is strict about them.
        let possible = outcome == Outcome::Allowed || (outcome == Outcome::Conditional && !strict);
        all += 1;
        if Some(possible) != case[2].as_bool() {
            wrong.push(format!("{case}: {outcome:?}"));
        }
    }
    println!("{} of {all} as labelled", all - wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
