//! What the source tree promises, as tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{ocsf, root};

/// Lines of a source file.
const LINES_MAX: usize = 500;

/// Who may know whom. A layer knows the model; what all meet in is `weft`.
const EDGES: [(&str, &[&str]); 13] = [
    ("weft-model", &[]),
    ("weft-ingest", &["weft-model"]),
    ("weft-lake", &["weft-model"]),
    ("weft-analytics", &["weft-model"]),
    ("weft-identity", &["weft-model"]),
    ("weft-policy", &["weft-model"]),
    ("weft-response", &["weft-model"]),
    ("weft-assessment", &["weft-model"]),
    ("weft-console", &["weft-model"]),
    ("weft-connectors", &["weft-model"]),
    ("weft-testkit", &["weft-model", "weft-ingest"]),
    (
        "weft",
        &[
            "weft-model",
            "weft-ingest",
            "weft-lake",
            "weft-analytics",
            "weft-identity",
            "weft-policy",
            "weft-response",
            "weft-assessment",
            "weft-console",
            "weft-connectors",
        ],
    ),
    ("xtask", &[]),
];

/// The engine and the table format behind the lake, named there alone.
const LAKE_ONLY: [&str; 4] = ["datafusion", "deltalake", "parquet", "object_store"];

/// Names in manifests that are common words or open formats rather than somebody's product.
const COMMON: [&str; 12] =
    ["OCSF", "IETF", "Syslog", "Linux", "Windows", "macOS", "Common Event Format", "Log Event Extended Format", "nftables", "Box", "Generic", "Unbound"];

/// Where a name stands for a form of text that many tools write, and is a word of the mapping language;
/// or, in a rule, for a program that anybody may run; or
/// for what a library or a protocol calls itself.
const FORMATS: [(&str, &str); 25] = [
    // A published list of what goes wrong, by the name under which it is known.
    ("content/machines/", "owasp"),
    // Published ways to count a risk, by the name under which they are known.
    ("crates/weft-analytics/src/risk/", "elastic"),
    ("crates/weft-analytics/src/risk/", "splunk"),
    ("crates/weft/src/cli/investigate.rs", "elastic"),
    ("crates/weft/src/cli/investigate.rs", "splunk"),
    ("crates/weft/src/verb/risk.rs", "elastic"),
    ("crates/weft/src/verb/risk.rs", "splunk"),
    // A form in which indicators are shared.
    ("crates/weft-analytics/src/intel/", "misp"),
    // The name of a protocol's service, and of the cryptography that TLS is built on.
    ("crates/weft/src/door/otlp/", "opentelemetry"),
    ("crates/weft/src/door/tls.rs", "aws"),
    ("crates/weft-ingest/", "zeek"),
    ("crates/weft/src/door/", "splunk"),
    ("crates/weft/src/door/bulk/", "elastic"),
    ("crates/weft/src/wire/", "elastic"),
    ("content/detections/behaviour/", "teamviewer"),
    ("content/detections/endpoint/", "docker"),
    ("content/detections/endpoint/", "clamav"),
    ("content/detections/endpoint/", "wazuh"),
    ("content/detections/endpoint/", "osquery"),
    ("content/detections/endpoint/", "nmap"),
    ("content/detections/endpoint/", "nginx"),
    ("content/detections/network/", "nmap"),
    ("content/detections/network/", "nuclei"),
    ("crates/weft-lake/src/bucket/", "aws"),
    ("crates/weft-lake/src/bucket/", "google"),
];

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !["target", "node_modules", "dist", ".git"].iter().any(|skipped| name == *skipped) {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

fn files(below: &[&str], endings: &[&str]) -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    below.iter().for_each(|folder| walk(&root.join(folder), &mut found));
    found.sort();
    let named = found.into_iter().filter(|path| endings.iter().any(|ending| path.extension().is_some_and(|found| found == *ending)));
    named.map(|path| (path.strip_prefix(&root).unwrap().display().to_string(), fs::read_to_string(&path).unwrap_or_default())).collect()
}

fn sources() -> Vec<(String, String)> {
    files(&["crates", "connectors", "xtask"], &["rs"])
}

fn manifests() -> BTreeMap<String, toml::Table> {
    let all = files(&["crates", "connectors", "xtask"], &["toml"]).into_iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    let named = all.map(|(_, text)| {
        let manifest: toml::Table = text.parse().unwrap();
        (manifest["package"]["name"].as_str().unwrap().to_owned(), manifest)
    });
    named.collect()
}

fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    manifest.get("dependencies").and_then(toml::Value::as_table).map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

fn none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn crates_know_only_whom_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.into_iter().collect();
    let mut wrong = Vec::new();
    for (name, manifest) in manifests() {
        let Some(may) = allowed.get(name.as_str()) else {
            wrong.push(format!("`{name}` is not in the table of edges"));
            continue;
        };
        let ours = dependencies(&manifest).into_iter().filter(|other| other.starts_with("weft"));
        wrong.extend(ours.filter(|other| !may.contains(&other.as_str())).map(|other| format!("`{name}` must not know `{other}`")));
    }
    none("edges between crates", &wrong);
}

#[test]
fn one_crate_names_the_engine() {
    let mut wrong = Vec::new();
    for (name, manifest) in manifests().into_iter().filter(|(name, _)| name != "weft-lake") {
        wrong.extend(dependencies(&manifest).into_iter().filter(|other| LAKE_ONLY.contains(&other.as_str())).map(|other| format!("`{name}` names `{other}`")));
    }
    none("only weft-lake names the engine and the table format", &wrong);
}

#[test]
fn every_crate_obeys_the_lints() {
    let lint = |manifest: &toml::Table| manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    let wrong: Vec<String> = manifests().into_iter().filter(|(_, manifest)| lint(manifest) != Some(true)).map(|(name, _)| name).collect();
    none("`[lints] workspace = true` is missing", &wrong);
}

/// Vendor and product names of every manifest.
fn vendor_words() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for (_, text) in files(&["connectors"], &["toml"]).into_iter().filter(|(path, _)| path.ends_with("connector.toml")) {
        let manifest: toml::Table = text.parse().unwrap();
        for key in ["vendor", "product"] {
            words.extend(manifest.get(key).and_then(toml::Value::as_str).map(str::to_owned));
        }
    }
    words.into_iter().filter(|word| !COMMON.contains(&word.as_str())).collect()
}

/// Code that ships: without comments, and without what is for tests.
fn shipped(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"));
    lines.map(|(number, line)| (number + 1, line.split("//").next().unwrap_or(line)))
}

fn has_word(line: &str, word: &str) -> bool {
    let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    line.match_indices(word).any(|(at, found)| {
        let (before, rest) = line.split_at(at);
        boundary(before.chars().next_back()) && boundary(rest.strip_prefix(found).unwrap_or(rest).chars().next())
    })
}

#[test]
fn vendor_words_stay_in_connectors() {
    let words: Vec<(String, String)> = vendor_words().into_iter().map(|word| (word.to_lowercase(), word)).collect();
    assert!(words.len() >= 5, "the manifests were not read: {words:?}");
    let mut wrong = Vec::new();
    for (path, text) in files(&["crates", "content"], &["rs", "yml", "toml", "cedar", "json"]) {
        let is_test = path.contains("/tests") || path.contains("/benches/") || path.contains("/demo") || path.contains("/ocsf/") || path.contains("/schema/");
        if is_test || path.starts_with("crates/weft-testkit") || path.ends_with("Cargo.toml") {
            continue;
        }
        for (number, line) in shipped(&text) {
            let lower = line.to_lowercase();
            let may = |word: &str| FORMATS.iter().any(|(below, format)| path.starts_with(below) && *format == word);
            wrong.extend(words.iter().filter(|(word, _)| !may(word) && has_word(&lower, word)).map(|(_, word)| format!("{path}:{number}: `{word}`")));
        }
    }
    none("vendor words outside connectors/", &wrong);
}

#[test]
fn files_are_short() {
    let long = sources().into_iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > LINES_MAX);
    none(&format!("files over {LINES_MAX} lines"), &long.map(|(path, lines)| format!("{path}: {lines}")).collect::<Vec<_>>());
}

#[test]
fn every_crate_says_what_it_is() {
    let first = |path: &str| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs") || path == "connectors/lib.rs";
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|(path, text)| first(path) && (!text.starts_with("//! ") || text.starts_with("//! placeholder")))
        .map(|(path, _)| path)
        .collect();
    none("`//!` is missing at the top", &wrong);
}

#[test]
fn no_test_is_ignored() {
    let mark = concat!("#[", "ignore");
    let wrong: Vec<String> = sources().into_iter().filter(|(_, text)| text.contains(mark)).map(|(path, _)| path).collect();
    none("tests that nobody runs", &wrong);
}

#[test]
fn generated_tables_are_current() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    assert!(
        ocsf::is_current(&read(ocsf::TABLES), &read(ocsf::DECLARATION)),
        "run `cargo xtask ocsf SCHEMA.json`: {} is not that of {}",
        ocsf::TABLES,
        ocsf::DECLARATION
    );
}

#[test]
fn changelog_fragments_have_a_kind() {
    let kinds = ["added", "changed", "fixed", "removed", "security"];
    let wrong = files(&["changelog.d"], &["md"]).into_iter().filter(|(path, text)| {
        let kind = text.split_once(": ").map(|(kind, _)| kind);
        !path.ends_with("README.md") && !kind.is_some_and(|kind| kinds.contains(&kind))
    });
    none("a fragment begins with added, changed, fixed, removed or security, and a colon", &wrong.map(|(path, _)| path).collect::<Vec<_>>());
}

#[test]
fn decisions_are_listed() {
    let index = fs::read_to_string(root().join("docs/decisions/README.md")).unwrap();
    let wrong = files(&["docs/decisions"], &["md"])
        .into_iter()
        .filter_map(|(path, _)| path.rsplit('/').next().map(str::to_owned))
        .filter(|name| name != "README.md" && !index.contains(name.as_str()));
    none("decisions that docs/decisions/README.md does not list", &wrong.collect::<Vec<_>>());
}

#[test]
fn supply_chain_rules_are_there() {
    let deny: toml::Table = fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap();
    for section in ["advisories", "licenses", "bans", "sources"] {
        assert!(deny.contains_key(section), "`[{section}]` is missing in deny.toml");
    }
}

#[test]
fn words_are_found_whole() {
    assert!(has_word("for okta only", "okta") && has_word("\"okta/x\"", "okta"));
    assert!(!has_word("paws", "aws") && !has_word("awsome", "aws"));
}
