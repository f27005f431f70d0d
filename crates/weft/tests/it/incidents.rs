//! Incidents and risk through the whole program: from records to the lake, over kills, by persons' word.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::mesh::{Mesh, until};
use crate::{text, weft};

/// A finding of some tool; `minute` counts from the begin of 2026-09-21.
pub(crate) fn finding(uid: &str, minute: i64, severity: i64, entities: &[(&str, i64, &str)]) -> String {
    let observables: Vec<Value> = entities.iter().map(|(name, type_id, value)| json!({"name": name, "type_id": type_id, "value": value})).collect();
    let event = json!({
        "class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200_401, "severity_id": severity, "status_id": 1,
        "time": 1_789_948_800_000_i64 + minute * 60_000, "message": format!("Finding {uid}"),
        "metadata": {"version": "1.8.0", "uid": uid, "product": {"name": "Some tool", "vendor_name": "Somebody"}},
        "finding_info": {"uid": uid, "title": format!("Finding {uid}"), "analytic": {"uid": format!("analytic-{uid}"), "type_id": 1}, "attacks": [{"technique": {"uid": "T1078"}}]},
        "observables": observables,
    });
    format!("{event}\n")
}

/// Two about ada, over her machine; one about somebody else.
fn story() -> String {
    [
        finding("f1", 0, 3, &[("user.email_addr", 5, "ada@corp.example")]),
        finding("f2", 60, 4, &[("actor.user.name", 4, "CORP\\ada"), ("device.hostname", 1, "WS7")]),
        finding("f3", 120, 4, &[("device.hostname", 1, "ws7.corp.example")]),
        finding("f4", 130, 4, &[("user.name", 4, "bob")]),
    ]
    .concat()
}

fn rows(home: &Path, arguments: &[&str], input: &str) -> Vec<Value> {
    let output = weft(home, &[arguments, &["--format", "ndjson"]].concat(), input);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn findings_of_tools_become_incidents_that_persons_merge_and_split() {
    let home = tempfile::tempdir().unwrap();
    let output = weft(home.path(), &["ingest", "ocsf/event", "-"], &story());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let list = rows(home.path(), &["incidents"], "");
    let counts: Vec<u64> = list.iter().map(|row| row["findings"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 3], "{list:?}");
    let (bob, ada) = (list[0]["incident"].as_str().unwrap(), list[1]["incident"].as_str().unwrap());
    let short: String = ada.chars().take(8).collect();
    let whole = rows(home.path(), &["incidents", &short], "").remove(0);
    assert_eq!(whole["unmapped"]["joins"].as_array().unwrap().len(), 2);
    assert_eq!(whole["unmapped"]["sources"]["Some tool"], json!([3, 0]));
    assert!(whole["desc"].as_str().unwrap().contains("user ada"), "{whole}");
    assert_eq!(weft(home.path(), &["incidents", "nothing"], "").status.code(), Some(1));

    // By the same functions, from a file.
    let of_file = rows(home.path(), &["incidents", "--from", "-"], &story());
    let mut uids: Vec<&str> = of_file.iter().map(|event| event["finding_info_list"][0]["uid"].as_str().unwrap()).collect();
    uids.sort_unstable();
    let mut expected = [ada, bob];
    expected.sort_unstable();
    assert_eq!(uids, expected);

    let merged = weft(home.path(), &["incidents", "merge", ada, bob], "");
    assert_eq!(merged.status.code(), Some(0), "{}", text(&merged.stderr));
    assert_eq!(weft(home.path(), &["incidents", "merge", ada, ada], "").status.code(), Some(2));
    let one = rows(home.path(), &["incidents", "--from", "-"], &story());
    assert_eq!((one.len(), one[0]["unmapped"]["findings"].as_u64()), (1, Some(4)), "remembered");
    // The next run of the pipeline obeys.
    weft(home.path(), &["ingest", "ocsf/event", "-"], &finding("f5", 140, 4, &[("user.name", 4, "bob")]));
    let list = rows(home.path(), &["incidents"], "");
    assert_eq!((list.len(), list[0]["findings"].as_u64(), list[0]["incident"].as_str()), (1, Some(5), Some(ada)), "{list:?}");
    let all = rows(home.path(), &["incidents", "--all"], "");
    assert!(all.iter().any(|row| row["status"].as_str().unwrap() == format!("merged into {ada}")), "{all:?}");
    let split = weft(home.path(), &["incidents", "split", ada, "f5"], "");
    assert_eq!(split.status.code(), Some(0), "{}", text(&split.stderr));
    assert_eq!(weft(home.path(), &["incidents", "split", ada, "stranger"], "").status.code(), Some(2));
}

#[test]
fn risk_of_findings_in_the_lake_and_in_files() {
    let home = tempfile::tempdir().unwrap();
    weft(home.path(), &["ingest", "ocsf/event", "-"], &story());
    for arguments in [&["risk"][..], &["risk", "--from", "-"]] {
        let list = rows(home.path(), arguments, &story());
        let names: Vec<&str> = list.iter().map(|row| row["entity"].as_str().unwrap()).collect();
        assert_eq!(names, ["ws7.corp.example", "ada@corp.example", "bob"], "{list:?}");
        assert!((list[0]["score"].as_f64().unwrap() - 69.86).abs() < 0.1, "{list:?}");
    }
    let parts = rows(home.path(), &["risk", "ada", "--preset", "elastic"], "");
    let sum: f64 = parts.iter().map(|row| row["part"].as_f64().unwrap()).sum();
    assert!((sum - parts[0]["score"].as_f64().unwrap()).abs() < 0.02);
    assert_eq!(parts.iter().map(|row| row["finding"].as_str().unwrap()).collect::<Vec<_>>(), ["f2", "f1"]);
    assert_eq!(weft(home.path(), &["risk", "nobody"], "").status.code(), Some(1));
    assert_eq!(weft(home.path(), &["risk", "--from", "-"], "{}\n").status.code(), Some(2));
    assert_eq!(weft(home.path(), &["risk", "--at", "soon"], "").status.code(), Some(2));
}

#[test]
fn the_running_mesh_tells_incidents_over_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let lines: Vec<String> = story().lines().map(|line| format!("{line}\n")).collect();
    let of_ada = |mesh: &Mesh| {
        let all = mesh.get("/api/v1/incidents");
        all.as_array().unwrap().iter().map(|row| row["findings"].as_u64().unwrap()).max().unwrap_or(0)
    };
    let mesh = Mesh::start(home.path());
    lines[..2].iter().for_each(|line| assert!(mesh.send(line.clone()).is_some()));
    until("the first two findings are an incident", || (of_ada(&mesh) == 2).then_some(()));
    // Killed without a word; what was acknowledged is shown again.
    drop(mesh);
    let mesh = Mesh::start(home.path());
    lines[2..].iter().for_each(|line| assert!(mesh.send(line.clone()).is_some()));
    until("all of them are two incidents", || (of_ada(&mesh) == 3 && mesh.get("/api/v1/incidents").as_array().unwrap().len() == 2).then_some(()));
    let list = || rows(home.path(), &["incidents"], "");
    let told = until("they are told in the lake", || Some(list()).filter(|list| list.iter().map(|row| row["findings"].as_u64().unwrap()).sum::<u64>() == 4));
    assert_eq!(told.len(), 2);
    let (first, second) = (told[0]["incident"].as_str().unwrap(), told[1]["incident"].as_str().unwrap());
    assert_eq!(weft(home.path(), &["incidents", "merge", first, second], "").status.code(), Some(0));
    until("the running mesh obeys", || (list().len() == 1).then_some(()));
    assert!(mesh.send_to("/api/v1/incidents/decisions", "{}".to_owned(), Duration::from_secs(5)).is_none());
    drop(mesh);
    let mesh = Mesh::start(home.path());
    assert_eq!(of_ada(&mesh), 4, "remembered over the next kill");
    // Risks are those of now: what was found two months ago is forgotten.
    assert_eq!(mesh.get("/api/v1/risks"), json!([]));
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    assert!(mesh.send(finding("f6", (now - 1_789_948_800_000) / 60_000, 4, &[("device.hostname", 1, "ws9")])).is_some());
    let risks = until("the risk of the present is there", || Some(mesh.get("/api/v1/risks")).filter(|risks| risks[0]["entity"] == "ws9"));
    assert_eq!((risks[0]["findings"].as_u64(), risks[0]["because_of"][0]["finding"].as_str()), (Some(1), Some("f6")), "{risks}");
}

#[test]
fn persons_assign_close_and_reopen_and_what_is_worse_opens_again() {
    let home = tempfile::tempdir().unwrap();
    let mesh = Mesh::start(home.path());
    assert!(mesh.send(story()).is_some());
    let ada = || mesh.get("/api/v1/incidents").as_array().unwrap().iter().find(|row| row["findings"].as_u64() >= Some(3)).cloned();
    let uid = until("there is an incident", ada)["uid"].as_str().unwrap().to_owned();
    let act = |body: Value| mesh.act("/api/v1/incidents/actions", &body);
    let whole = || mesh.get(&format!("/api/v1/incidents/{uid}"));
    let first = until("its evidence is in the lake", || Some(whole()).filter(|whole| whole["tools"] == json!(["Some tool"])));
    assert_eq!((&first["state"], first["members"].as_array().map(Vec::len)), (&json!("new"), Some(3)), "{first}");
    assert_eq!(first["members"][0]["event"], "f1", "a finding leads to its event");
    let later: Vec<&str> = first["joins"].as_array().unwrap().iter().map(|join| join["later"].as_str().unwrap()).collect();
    assert_eq!(later, ["f2", "f3"], "each finding but the first says why it belongs");
    assert_eq!(first["joins"][0]["entity"], "user ada");

    assert_eq!(act(json!({"action": "assign", "incident": uid, "owner": "lena"})), 204);
    assert_eq!((&whole()["state"], &whole()["owner"]), (&json!("in_progress"), &json!("lena")));
    assert_eq!(act(json!({"action": "reopen", "incident": uid})), 409, "it is open");
    assert_eq!(act(json!({"action": "close", "incident": uid, "verdict": "benign", "reason": "  "})), 409, "a reason is needed");
    assert_eq!(act(json!({"action": "close", "incident": "nothing", "verdict": "benign", "reason": "x"})), 404);
    assert_eq!(act(json!({"action": "close", "incident": uid, "verdict": "benign", "reason": "an exercise"})), 204);
    assert_eq!((&whole()["state"], &whole()["closing"]["reason"]), (&json!("closed"), &json!("an exercise")));
    // More of the same leaves it closed; another kind of finding opens it again.
    let same = finding("f3", 150, 4, &[("device.hostname", 1, "ws7")]).replace("\"uid\":\"f3\"", "\"uid\":\"f3b\"");
    assert!(mesh.send(same).is_some());
    until("more of the same is part of it", || (whole()["findings"] == 4).then_some(()));
    assert_eq!(whole()["state"], "closed");
    let told = until("the closing is told", || {
        Some(rows(home.path(), &["incidents", "--all"], "")).filter(|rows| rows.iter().any(|row| row["status"] == "closed as benign"))
    });
    assert!(!rows(home.path(), &["incidents"], "").iter().any(|row| row["incident"] == uid), "closed ones are not listed: {told:?}");
    assert!(mesh.send(finding("f9", 160, 4, &[("device.hostname", 1, "ws7")])).is_some());
    until("another kind opens it again", || (whole()["state"] == "in_progress").then_some(()));

    // The same from the command line, over a kill.
    let verb = |arguments: &[&str]| weft(home.path(), &[&["incidents"], arguments].concat(), "").status.code();
    until("it is listed again", || rows(home.path(), &["incidents"], "").iter().any(|row| row["incident"] == uid).then_some(()));
    assert_eq!(verb(&["close", &uid, "--verdict", "nonsense", "--reason", "x"]), Some(2));
    assert_eq!(verb(&["close", &uid, "--verdict", "false-positive", "--reason", "the new scanner"]), Some(0));
    assert_eq!(whole()["state"], "closed");
    until("it is told", || rows(home.path(), &["incidents", "--all"], "").iter().any(|row| row["status"] == "closed as false positive").then_some(()));
    drop(mesh);
    let mesh = Mesh::start(home.path());
    let whole = || mesh.get(&format!("/api/v1/incidents/{uid}"));
    until("it is remembered", || (whole()["closing"]["verdict"] == "false_positive").then_some(()));
    assert_eq!(verb(&["reopen", &uid]), Some(0));
    assert_eq!(verb(&["assign", &uid]), Some(0));
    assert_eq!((&whole()["state"], &whole()["owner"]), (&json!("new"), &Value::Null));
    let operations = until("every decision is an event in the incident's trace", || {
        let trace = whole()["trace_id"].as_str().unwrap().to_owned();
        let answer = mesh.query(&format!("SELECT api['operation'] FROM api_activity WHERE metadata['correlation_uid'] = '{trace}' ORDER BY time"));
        let all: Vec<String> = answer["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
        (all.len() == 5).then_some(all)
    });
    assert_eq!(operations, ["incident.assign", "incident.close", "incident.close", "incident.reopen", "incident.assign"]);
    let versions = whole()["versions"].as_array().unwrap().clone();
    assert!(versions.iter().any(|version| version["what"].as_str().unwrap().contains("closed it as benign: an exercise")), "{versions:?}");
}
