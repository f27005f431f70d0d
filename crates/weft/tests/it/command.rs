//! Verbs that run and end.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::mesh::until;
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
fn records_of_which_none_can_be_used_are_told() {
    let home = tempfile::tempdir().unwrap();
    let rule = home.path().join("rule.yml");
    std::fs::write(
        &rule,
        "title: t\nid: 5f0e4e0c-9a38-4f2f-8c1f-7d118b6b1d0c\nlogsource: {category: authentication}\ndetection: {a: {user: x}, condition: a}\n",
    )
    .unwrap();
    let rule = rule.to_str().unwrap();
    let some = format!("{}\nnot an event\n", event(1));
    for (arguments, input, code, said) in [
        (&["map", "ocsf/event", "-"][..], "not an event\n", 2, "none of 1 records could be mapped"),
        (&["map", "ocsf/event", "-"], "", 0, "there is no record in it"),
        (&["detect", "--rules", rule, "ocsf/event", "-"], "not an event\n", 2, "none of 1 records could be mapped"),
        (&["detect", "--rules", rule, "ocsf/event", "-"], &some, 0, "1 of 2 records could not be mapped"),
    ] {
        let output = weft(home.path(), arguments, input);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(said), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn an_ingest_of_what_never_ends_can_be_interrupted() {
    let home = tempfile::tempdir().unwrap();
    let command = ["ingest", "ocsf/event", "-", "--format", "csv", "--data", home.path().to_str().unwrap()];
    let mut child = Command::new(env!("CARGO_BIN_EXE_weft")).args(command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let endless = std::thread::spawn(move || (0..).step_by(100).find(|from| stdin.write_all(events(*from..from + 100).as_bytes()).is_err()));
    until("something was taken in", || {
        let taken: u64 = std::fs::read_dir(home.path().join("log")).ok()?.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum();
        (taken > 100_000).then_some(())
    });
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let status = until("it ends", || child.try_wait().unwrap());
    endless.join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("interrupted before the end") && text(&output.stdout).contains("in authentication,"), "{}", text(&output.stdout));
}

#[test]
fn what_rejects_cost_is_told_with_the_rest() {
    let home = tempfile::tempdir().unwrap();
    weft(home.path(), &["ingest", "ocsf/event", "-"], &(events(0..3) + "broken\n"));
    let output = weft(home.path(), &["lake", "usage", "--by", "class", "--format", "csv"], "");
    assert!(text(&output.stdout).lines().any(|line| line.starts_with("rejects,1,6,")), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_home_that_cannot_be_one_is_told() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = weft(&file, &["tables"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is not a folder; `--data` names the folder of the mesh"), "{}", text(&output.stderr));
}

#[test]
fn check_finds_what_the_mesh_would_stumble_over() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = home.path().join("nowhere");
    let config = format!(
        "[analytics]\ngeoip = \"{0}.mmdb\"\n[[feed]]\nname = \"own\"\npath = \"{0}\"\n[[file]]\npath = \"/var/log/x\"\nstream = \"ocsf/evnt\"\n",
        nowhere.display()
    );
    std::fs::write(home.path().join("weft.toml"), config).unwrap();
    let output = weft(home.path(), &["check"], "");
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    for said in ["nowhere.mmdb` cannot be read: No such file", "feed `own`: `", "file `/var/log/x`: unknown stream `ocsf/evnt`; near it: `ocsf/event`"] {
        assert!(told.contains(said), "{said}: {told}");
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
    let output = weft(home.path(), &["query", "SELECT 1 FROM web_resource_access"], "");
    assert!(text(&output.stderr).starts_with("weft: there is no table `web_resource_access`: "), "{}", text(&output.stderr));
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
