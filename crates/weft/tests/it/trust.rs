//! Nothing is lost without an account of it, and nothing is forgotten over a kill.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::mesh::{Mesh, until};
use crate::{count, events, text, weft};

fn rows(home: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = weft(home, &[arguments, &["--format", "json"]].concat(), "");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}{}", text(&output.stdout), text(&output.stderr)))
}

/// The figures of the accounts of others than the mesh itself.
fn figures(home: &Path) -> [u64; 6] {
    let rows = rows(home, &["ledger"]);
    ["received", "stored", "refused", "dropped", "duplicates", "mended"]
        .map(|figure| rows.iter().filter(|row| row["source"] != "weft" && row["source"] != "total").map(|row| row[figure].as_u64().unwrap()).sum())
}

#[test]
fn the_ledger_accounts_for_every_record_and_finds_one_that_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let policy = "[[drop]]\nstream = \"ocsf/event\"\nwhere = \"message ends '7'\"\nreason = \"sevens are noise\"\n";
    std::fs::write(home.path().join("weft.toml"), policy).unwrap();
    let file = home.path().join("events.ndjson");
    std::fs::write(&file, events(0..100) + "broken\nbroken too\n").unwrap();
    let file = file.to_str().unwrap();
    for _ in 0..2 {
        assert!(weft(home.path(), &["ingest", "ocsf/event", file], "").status.success());
    }
    assert_eq!(figures(home.path()), [204, 90, 2, 10, 102, 0]);
    let good = weft(home.path(), &["ledger", "--deep"], "");
    assert_eq!((good.status.code(), text(&good.stderr)), (Some(0), String::new()));
    assert_eq!(count(home.path(), "SELECT count(*) FROM authentication"), 90);
    // Behind its back: the file of the table's only commit is gone.
    let day = std::fs::read_dir(home.path().join("lake/authentication"))
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("day="))
        .unwrap();
    let data = std::fs::read_dir(day.path()).unwrap().flatten().next().unwrap().path();
    std::fs::remove_file(&data).unwrap();
    let bad = weft(home.path(), &["ledger", "--deep"], "");
    let told = text(&bad.stderr);
    assert_eq!((bad.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    assert!(told.contains("does not balance: file `authentication/day=2025-11-23/"), "{told}");
}

/// A tool of the organisation's own, whose mapping has a fault at first.
fn connector(home: &Path, time: &str) {
    let folder = home.join("connectors/badge/mapping");
    std::fs::create_dir_all(&folder).unwrap();
    let manifest = "name = \"badge\"\nvendor = \"Test\"\nproduct = \"Badge\"\ndomain = \"identity\"\n[[stream]]\nname = \"door\"\nformat = \"kv\"\n";
    std::fs::write(home.join("connectors/badge/connector.toml"), manifest).unwrap();
    let mapping = format!(
        "[[event]]\nclass = \"authentication\"\nset = {{ activity_id = 1, time = \"{time}\", \"user.name\" = \"who\", \"service.name\" = \"'door'\", message = \"who\" }}\n"
    );
    std::fs::write(folder.join("door.toml"), mapping).unwrap();
}

#[test]
fn rejects_are_a_work_list_that_gets_shorter() {
    let home = tempfile::tempdir().unwrap();
    connector(home.path(), "at");
    let file = home.path().join("records.ndjson");
    // Ten lines that are no JSON yet go to a stream that wants it.
    let lines: String = (0..10).map(|n| format!("who=user{n} at=2025-11-23T19:00:{n:02}Z\n")).collect();
    std::fs::write(&file, events(0..5) + &lines).unwrap();
    assert!(weft(home.path(), &["ingest", "ocsf/event", file.to_str().unwrap()], "").status.success());
    let listed = rows(home.path(), &["rejects", "list"]);
    let [group] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((group["count"].as_u64(), group["tool"].as_str(), group["cause"].as_str()), (Some(10), Some("ocsf"), Some("malformed")), "{group}");
    assert!(group["first_ms"].as_i64() <= group["last_ms"].as_i64() && group["example"].as_str().unwrap().starts_with("who=user"), "{group}");
    let name = group["group"].as_str().unwrap();
    assert_eq!(rows(home.path(), &["rejects", "show", name]).len(), 10);
    assert_eq!(weft(home.path(), &["rejects", "show", "nope"], "").status.code(), Some(2));
    // Nothing maps them yet: the replay changes nothing.
    assert!(weft(home.path(), &["rejects", "replay"], "").status.success());
    assert_eq!(figures(home.path()), [15, 5, 10, 0, 0, 0]);
    // The stream learns their form.
    let manifest = home.path().join("connectors/ocsf");
    std::fs::create_dir_all(manifest.join("mapping")).unwrap();
    let widened = "name = \"ocsf\"\nvendor = \"OCSF\"\nproduct = \"OCSF\"\ndomain = \"generic\"\n[[stream]]\nname = \"event\"\nformat = [\"ocsf\", \"kv\"]\n";
    std::fs::write(manifest.join("connector.toml"), widened).unwrap();
    std::fs::copy(home.path().join("connectors/badge/mapping/door.toml"), manifest.join("mapping/event.toml")).unwrap();
    let replayed = rows(home.path(), &["rejects", "replay", "--group", name]);
    assert_eq!(replayed.iter().find(|row| row["what"] == "mapped now").unwrap()["count"], 10, "{replayed:?}");
    assert_eq!(weft(home.path(), &["rejects", "list"], "").status.code(), Some(0), "the list is empty");
    assert_eq!(count(home.path(), "SELECT count(*) FROM authentication"), 15);
    assert_eq!(figures(home.path()), [15, 15, 0, 0, 0, 10]);
    // Once more changes nothing, and it balances.
    assert!(weft(home.path(), &["rejects", "replay"], "").status.success());
    assert_eq!(count(home.path(), "SELECT count(*) FROM authentication"), 15);
    assert_eq!(weft(home.path(), &["ledger", "--deep"], "").status.code(), Some(0));
}

#[test]
fn explain_names_the_rule_of_each_attribute() {
    let home = tempfile::tempdir().unwrap();
    connector(home.path(), "at");
    let output = weft(home.path(), &["map", "--explain", "badge/door", "-"], "who=ada at=2025-11-23T19:00:00Z where=lab\n");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let field = said["fields"].as_array().unwrap().iter().find(|field| field["path"] == "user.name").unwrap();
    assert_eq!((field["place"].as_str(), field["rule"].as_str(), &field["from"][0]), (Some("badge/mapping/door.toml:3"), Some("who"), &Value::from("who")));
    assert_eq!(said["unmapped"], serde_json::json!(["where"]));
    let refused = weft(home.path(), &["map", "--explain", "ocsf/event", "-"], "no event\n");
    assert_eq!(refused.status.code(), Some(1), "a reject is something found");
}

/// Lines of an attack over SSH: so many failures, and perhaps the success.
fn ssh(failures: std::ops::Range<usize>, success: bool) -> String {
    let failed = |n: usize| format!("Mar  2 09:15:{n:02} bastion-1 sshd[{n}]: Failed password for root from 203.0.113.77 port {} ssh2\n", 40_000 + n);
    let accepted = "Mar  2 09:16:30 bastion-1 sshd[99]: Accepted password for root from 203.0.113.77 port 41000 ssh2\n";
    failures.map(failed).chain(success.then(|| accepted.to_owned())).collect()
}

/// Half of an attack, a kill after its commit, the other half; how many findings there are.
fn findings_over_a_kill(forget: bool) -> u64 {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("weft.toml"), "[budget]\ncommit_seconds = 1\n").unwrap();
    let mesh = Mesh::start(home.path());
    assert!(mesh.send_to("/ingest/linux/auth", ssh(0..4, false), Duration::from_secs(60)).is_some());
    let committed = || {
        let checkpoint: Value = serde_json::from_slice(&std::fs::read(home.path().join("log/checkpoint.json")).ok()?).ok()?;
        (checkpoint["ledger"]["accounts"]["http/linux/auth"]["linux/auth"]["stored"] == 4).then_some(())
    };
    until("the first half is committed", committed);
    // Dropped, the process is killed.
    drop(mesh);
    if forget {
        std::fs::remove_file(home.path().join("state.sqlite")).unwrap();
        for rest in ["state.sqlite-wal", "state.sqlite-shm"] {
            let _absent = std::fs::remove_file(home.path().join(rest));
        }
    }
    let mesh = Mesh::start(home.path());
    assert!(mesh.send_to("/ingest/linux/auth", ssh(4..6, true), Duration::from_secs(60)).is_some());
    mesh.stop();
    let tables = text(&weft(home.path(), &["tables", "--format", "csv"], "").stdout);
    if tables.contains("detection_finding") {
        count(home.path(), "SELECT count(DISTINCT finding_info.uid) FROM detection_finding WHERE finding_info.title = 'SSH brute force that succeeded'")
    } else {
        0
    }
}

#[test]
fn what_detectors_remember_survives_a_kill() {
    assert_eq!(findings_over_a_kill(false), 1, "four failures before the kill and two after it are six");
    assert_eq!(findings_over_a_kill(true), 0, "the control forgets, and sees only two");
}

#[test]
fn a_session_and_the_figures_of_the_running_mesh_survive_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(home.path());
    assert!(mesh.send(events(0..50) + "broken\n").is_some());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cookie = runtime.block_on(async {
        let body = serde_json::json!({"token": mesh.token()});
        let answer = reqwest::Client::new().post(format!("http://{}/api/v1/session", mesh.host())).json(&body).send().await.unwrap();
        answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    });
    let signed_in = |mesh: &Mesh| {
        runtime.block_on(async {
            let request = reqwest::Client::new().get(format!("http://{}/api/v1/sources", mesh.host())).header("cookie", &cookie);
            request.send().await.unwrap().status().as_u16()
        })
    };
    assert_eq!(signed_in(&mesh), 200);
    drop(mesh);
    let mesh = Mesh::start(home.path());
    assert_eq!(signed_in(&mesh), 200, "a restart signs nobody out");
    let account = until("the log is mapped again", || {
        let ledger = mesh.get("/api/v1/ledger");
        let account = ledger["accounts"].as_array().unwrap().iter().find(|account| account["source"] == "http/ocsf/event")?.clone();
        (account["waiting"] == 0).then_some(account)
    });
    assert_eq!((&account["received"], &account["stored"], &account["refused"]), (&Value::from(51), &Value::from(50), &Value::from(1)));
    let metrics = runtime.block_on(async {
        let request = reqwest::Client::new().get(format!("http://{}/metrics", mesh.host())).bearer_auth(mesh.token());
        request.send().await.unwrap().text().await.unwrap()
    });
    assert!(metrics.contains("weft_records_total{source=\"http/ocsf/event\",stream=\"ocsf/event\",outcome=\"stored\"} 50"), "{metrics}");
    mesh.stop();
}
