//! Verbs that run and end.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::{count, event, events, text, weft};

#[test]
fn map_writes_events_to_stdout_and_rejects_to_stderr() {
    let home = tempfile::tempdir().unwrap();
    let input = format!("{}\nnot an event\n{}\n", event(1), event(2));
    let output = weft(home.path(), &["map", "ocsf/event", "-"], &input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (mapped, rejected) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((mapped.lines().count(), rejected.lines().count()), (2, 1), "{mapped}\n{rejected}");
    assert!(mapped.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["class_uid"] == 3002));
    assert!(rejected.contains("not an event"));
}

#[test]
fn wrong_use_is_exit_code_2_and_one_line() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["map", "ocsf/nope", "-"][..],
        &["map", "ocsf/event", "/nowhere/at/all"],
        &["query", "SELECT 1"],
        &["approve", "x"],
        &["detect", "--rules", "/nowhere.yml", "ocsf/event", "-"],
    ] {
        let output = weft(home.path(), arguments, "");
        assert_eq!((output.status.code(), text(&output.stderr).lines().count()), (Some(2), 1), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn what_is_ingested_twice_is_there_once() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("events.ndjson");
    std::fs::write(&file, events(0..500) + "broken\n").unwrap();
    for _ in 0..2 {
        let output = weft(home.path(), &["ingest", "ocsf/event", file.to_str().unwrap(), "--format", "csv"], "");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("read,501"), "{}", text(&output.stdout));
    }
    assert_eq!(count(home.path(), "SELECT count(*) FROM authentication"), 500);
    let rejects = weft(home.path(), &["rejects", "list", "--format", "ndjson"], "");
    assert_eq!((rejects.status.code(), text(&rejects.stdout).lines().count()), (Some(1), 1), "{}", text(&rejects.stderr));
}

#[test]
fn a_statement_that_is_wrong_is_told() {
    let home = tempfile::tempdir().unwrap();
    weft(home.path(), &["ingest", "ocsf/event", "-"], &events(0..3));
    for sql in ["SELEKT 1", "SELECT nothing FROM authentication", "DROP TABLE authentication"] {
        let output = weft(home.path(), &["query", sql], "");
        assert_eq!(output.status.code(), Some(2), "{sql}: {}", text(&output.stderr));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("many.ndjson");
    std::fs::write(&file, events(0..20_000)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["map", "ocsf/event", file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

#[test]
fn check_finds_every_fault_at_once() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(weft(home.path(), &["check"], "").status.code(), Some(0));
    std::fs::write(home.path().join("weft.toml"), "listen = 1\nnonsense = 2\n[syslog]\nstream = 3\n").unwrap();
    let output = weft(home.path(), &["check"], "");
    let told = text(&output.stderr);
    assert_eq!((output.status.code(), told.lines().count()), (Some(2), 3), "{told}");
    assert!(told.contains("weft.toml:1:10:") && told.contains("weft.toml:2:1:") && told.contains("weft.toml:4:10:"), "{told}");
}

#[test]
fn streams_are_listed() {
    let home = tempfile::tempdir().unwrap();
    let output = weft(home.path(), &["check", "--streams", "--format", "csv"], "");
    assert!(text(&output.stdout).lines().any(|line| line.trim() == "ocsf/event"), "{}", text(&output.stderr));
}
