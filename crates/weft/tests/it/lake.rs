//! The lake in daily life, from the command line.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{count, events, text, weft};

fn rows(home: &Path, arguments: &[&str]) -> Vec<serde_json::Value> {
    let output = weft(home, &[arguments, &["--format", "ndjson"]].concat(), "");
    assert!(output.status.code().is_some_and(|code| code < 2), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn value(rows: &[serde_json::Value], what: &str) -> u64 {
    rows.iter().find(|row| row["what"] == what).unwrap_or_else(|| panic!("{rows:?}"))["count"].as_u64().unwrap()
}

fn filled(home: &Path, files: usize) {
    for part in 0..files {
        let output = weft(home, &["ingest", "ocsf/event", "-"], &events(part * 100..part * 100 + 100));
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn files_are_merged_and_cleared_away() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), 2);
    let done = rows(home.path(), &["lake", "compact", "--all"]);
    assert_eq!((value(&done, "files before"), value(&done, "files after"), value(&done, "rows")), (2, 1, 200));
    assert_eq!(value(&rows(home.path(), &["lake", "vacuum", "--older-than", "0s"]), "files"), 2);
    assert_eq!(count(home.path(), "SELECT count(*) FROM authentication"), 200);
    let usage = rows(home.path(), &["lake", "usage", "--by", "tool,day", "--price", "1000000"]);
    assert_eq!((usage.len(), usage[0]["tool"].as_str(), usage[0]["events"].as_u64()), (1, Some("Test Test"), Some(200)));
    assert!(usage[0]["raw_bytes"].as_u64() > usage[0]["stored_bytes"].as_u64() && usage[0]["cost_month"].as_f64() > Some(0.0), "{usage:?}");
    let wrong = weft(home.path(), &["lake", "vacuum", "--older-than", "soon"], "");
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}

/// A data file of the sign-ins.
fn data(home: &Path) -> PathBuf {
    let mut folders = vec![home.join("lake/authentication")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            match path.extension() {
                Some(extension) if extension == "parquet" => return path,
                _ if path.is_dir() && path.file_name().unwrap().to_string_lossy().starts_with("day=") => folders.push(path),
                _ => {}
            }
        }
    }
    panic!("no data file")
}

#[test]
fn a_flipped_byte_is_found_and_mended() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), 1);
    let file = data(home.path());
    let whole = fs::read(&file).unwrap();
    let mut bytes = whole.clone();
    bytes[321] ^= 8;
    fs::write(&file, bytes).unwrap();
    let found = rows(home.path(), &["lake", "scrub"]);
    assert_eq!((found.len(), found[0]["outcome"].as_str()), (1, Some("found")), "{found:?}");
    assert!(file.to_string_lossy().ends_with(found[0]["file"].as_str().unwrap()));
    let mended = rows(home.path(), &["lake", "scrub", "--repair"]);
    assert_eq!((mended[0]["outcome"].as_str(), fs::read(&file).unwrap() == whole), (Some("repaired"), true), "{mended:?}");
    assert_eq!(count(home.path(), "SELECT count(*) FROM api_activity WHERE api.operation = 'lake.scrub'"), 1, "a receipt is kept");
}

#[test]
fn rules_say_how_long_what_is_kept() {
    let home = tempfile::tempdir().unwrap();
    filled(home.path(), 1);
    let refused = weft(home.path(), &["lake", "retain"], "");
    assert_eq!(refused.status.code(), Some(2));
    fs::write(home.path().join("weft.toml"), "[[retention]]\nclass = \"authentication\"\ndays = 1\n").unwrap();
    let expired = rows(home.path(), &["lake", "retain"]);
    assert_eq!((expired[0]["table"].as_str(), expired[0]["events"].as_u64()), (Some("authentication"), Some(100)), "the events are of 2025");
    assert_eq!(count(home.path(), "SELECT count(*) FROM events WHERE class_uid = 3002 OR message LIKE 'retention removed 100 events%'"), 1);
}

fn door(n: usize, badge: &str) -> String {
    format!(r#"{{"ts":"2026-03-02T08:00:{:02}Z","door":"north","badge":"{badge}","result":"granted","reader":"192.0.2.7","n":{n}}}"#, n % 60) + "\n"
}

/// A tool that the home adds, with this status for a granted entry.
fn connector(home: &Path, granted: u8) {
    let folder = home.join("connectors/portcullis/mapping");
    fs::create_dir_all(&folder).unwrap();
    let manifest = "name = \"portcullis\"\nvendor = \"Portcullis\"\nproduct = \"Door Controller\"\ndomain = \"identity\"\nfacets = [\"source\"]\n\n[[stream]]\nname = \"access\"\ntitle = \"Doors\"\nformat = \"json\"\nrecognise = \"exists(door) and exists(badge)\"\n";
    fs::write(home.join("connectors/portcullis/connector.toml"), manifest).unwrap();
    let mapping = format!(
        "[table.status]\ngranted = {granted}\n\n[set]\n\"metadata.product.name\" = \"'Door Controller'\"\n\"metadata.product.vendor_name\" = \"'Portcullis'\"\n\n[[event]]\nclass = \"authentication\"\n[event.set]\n\"activity_id\" = \"1\"\n\"time\" = \"ts\"\n\"status_id\" = \"table(result, status)\"\n\"user.email_addr\" = \"badge\"\n\"user.name\" = \"badge\"\n\"src_endpoint.ip\" = \"reader\"\n\"dst_endpoint.name\" = \"door\"\n"
    );
    fs::write(folder.join("access.toml"), mapping).unwrap();
}

#[test]
fn a_mended_mapping_is_applied_to_what_is_there() {
    let home = tempfile::tempdir().unwrap();
    connector(home.path(), 2);
    let doors: String = (0..50).map(|n| door(n, "ada@example.com")).collect();
    weft(home.path(), &["ingest", "portcullis/access", "-"], &doors);
    weft(home.path(), &["ingest", "ocsf/event", "-"], &events(0..10));
    let uids = || text(&weft(home.path(), &["query", "SELECT metadata.uid FROM authentication ORDER BY 1", "--format", "csv"], "").stdout);
    let (before, wrong) = (uids(), "SELECT count(*) FROM authentication WHERE status_id = 2");
    assert_eq!(count(home.path(), wrong), 50);
    connector(home.path(), 1);
    let none = rows(home.path(), &["lake", "remap", "--stream", "portcullis/access", "--until", "2026-03-01T00:00:00Z"]);
    assert_eq!(value(&none, "replaced"), 0, "out of the range");
    let done = rows(home.path(), &["lake", "remap", "--stream", "portcullis/access", "--since", "2026-03-01T00:00:00Z"]);
    assert_eq!(value(&done, "replaced"), 50);
    assert_eq!((count(home.path(), wrong), count(home.path(), "SELECT count(*) FROM authentication WHERE status_id = 1")), (0, 50));
    assert_eq!(uids(), before, "the same events, none twice");
    let unknown = weft(home.path(), &["lake", "remap", "--stream", "portcullis/acces"], "");
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown.stderr));
}

/// Every byte of the home, but for the connectors that the user wrote.
fn names(home: &Path, wanted: &[u8]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![home.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).unwrap().to_ascii_lowercase().windows(wanted.len()).any(|window| window == wanted) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_person_is_forgotten_and_the_receipt_does_not_say_whom() {
    let home = tempfile::tempdir().unwrap();
    connector(home.path(), 1);
    let doors: String = (0..50).map(|n| door(n, if n % 5 == 0 { "Ada.Secret@Example.com" } else { "bob@example.com" })).collect();
    weft(home.path(), &["ingest", "portcullis/access", "-"], &(doors + "{\"about\":\"ada.secret@example.com\"}\n"));
    let who = b"ada.secret@example.com";
    assert!(!names(home.path(), who).is_empty(), "the control: it stands in the log before");
    let entity = "user.email_addr=ada.secret@example.com";
    let dry = rows(home.path(), &["lake", "forget", "--entity", entity, "--dry-run"]);
    assert_eq!(dry.iter().map(|row| row["events"].as_u64().unwrap()).sum::<u64>(), 11, "{dry:?}");
    let output = weft(home.path(), &["lake", "forget", "--entity", entity], "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(names(home.path(), who), Vec::<PathBuf>::new());
    let left = "SELECT count(*) FROM events WHERE raw_data ILIKE '%ada.secret%'";
    assert_eq!((count(home.path(), left), count(home.path(), "SELECT count(*) FROM authentication")), (0, 40));
    let receipt = rows(home.path(), &["query", "SELECT message, unmapped FROM api_activity WHERE api.operation = 'lake.forget'"]);
    let receipt = receipt[0].to_string();
    assert!(receipt.contains("11 events") && receipt.contains("hash") && receipt.contains("digests") && !receipt.contains("secret"), "{receipt}");
    for wrong in ["user.name", "user.name=ada", "=ada@example.com"] {
        assert_eq!(weft(home.path(), &["lake", "forget", "--entity", wrong], "").status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn the_past_can_be_asked_and_events_exported() {
    let home = tempfile::tempdir().unwrap();
    weft(home.path(), &["ingest", "ocsf/event", "-"], &events(0..100));
    let now = text(&weft(home.path(), &["query", "SELECT now()", "--format", "csv"], "").stdout).lines().nth(1).unwrap().trim_matches('"').to_owned();
    weft(home.path(), &["ingest", "ocsf/event", "-"], &events(100..250));
    let then = rows(home.path(), &["query", "--as-of", &now, "SELECT count(*) AS n FROM authentication"]);
    assert_eq!((then[0]["n"].as_u64(), count(home.path(), "SELECT count(*) FROM authentication")), (Some(100), 250));
    let stats = weft(home.path(), &["query", "--stats", "SELECT message FROM authentication WHERE metadata.uid = 'event-7'"], "");
    assert!(text(&stats.stderr).contains("1 of 2 files were read"), "{}", text(&stats.stderr));
    let out = home.path().join("out");
    let done = rows(home.path(), &["export", out.to_str().unwrap(), "--layout", "security-lake", "--class", "authentication", "--account", "123456789012"]);
    assert_eq!(done[0]["events"].as_u64(), Some(250), "{done:?}");
    assert!(out.join("ext/weft_authentication/region=us-east-1/accountId=123456789012/eventDay=20251123").is_dir());
    let wrong = weft(home.path(), &["export", out.to_str().unwrap(), "--class", "sign_ins"], "");
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}
