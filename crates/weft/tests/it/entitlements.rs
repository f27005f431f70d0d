//! Entitlements and machine identities of several systems, from the command line.

use std::path::Path;

use serde_json::{Value, json};

use crate::{text, weft};

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

fn rows(output: &std::process::Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An organisation whose repository is trusted by a role, a project, and a cluster.
fn world(folder: &Path) {
    let host = "token.actions.githubusercontent.com";
    write(
        folder,
        "corp.json",
        &json!({"organization": "corp", "members": [], "teams": [], "repositories": [{"full_name": "corp/shop", "default_branch": "main",
            "collaborators": [{"login": "ada", "role_name": "write"}], "keys": [{"title": "ci", "read_only": false, "created_at": "2020-01-01T00:00:00Z", "last_used": null}]}]}),
    );
    let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    write(
        folder,
        "account.json",
        &json!({"UserDetailList": [], "GroupDetailList": [], "Policies": [], "RoleDetailList": [{"RoleName": "deploy", "RoleId": "AROA1", "Arn": "arn:aws:iam::111111111111:role/deploy", "Path": "/",
            "AttachedManagedPolicies": [], "RolePolicyList": [{"PolicyName": "all", "PolicyDocument": all}], "InstanceProfileList": [],
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": format!("arn:aws:iam::111111111111:oidc-provider/{host}")}, "Condition": {"StringLike": {format!("{host}:sub"): "repo:corp/shop:*"}}}]}}]}),
    );
    write(folder, "shop.json", &json!({"bindings": [{"role": "roles/viewer", "members": ["user:ada@corp.example"]}], "etag": "x"}));
}

#[test]
fn a_path_goes_from_one_system_into_another() {
    let home = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    world(folder.path());
    let path = folder.path().to_str().unwrap();
    let output = weft(home.path(), &["entitlements", "escalations", path, "--principal", "ada", "--format", "ndjson"], "");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let found = rows(&output);
    let far = found.iter().find(|row| row["reaches"] == "administrator").unwrap();
    assert_eq!(far["account"], "111111111111");
    assert_eq!((&far["hops"][0]["to"], &far["hops"][1]["to"]), (&json!("workflow:corp/shop"), &json!("arn:aws:iam::111111111111:role/deploy")));
    assert!(far["hops"].as_array().unwrap().iter().all(|hop| !hop["statements"].as_array().unwrap().is_empty()));
    let who =
        weft(home.path(), &["entitlements", "who-can", "--action", "storage.buckets.list", "--resource", "projects/shop", path, "--format", "ndjson"], "");
    assert_eq!(rows(&who).iter().map(|row| row["principal"].clone()).collect::<Vec<_>>(), ["user:ada@corp.example"]);
}

#[test]
fn machines_are_listed_and_checked() {
    let home = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    world(folder.path());
    let path = folder.path().to_str().unwrap();
    let output = weft(home.path(), &["entitlements", "machines", path, "--format", "ndjson"], "");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let listed = rows(&output);
    let key = listed.iter().find(|row| row["machine"] == "key:corp/shop/ci").unwrap();
    let failed = key["failed"].to_string();
    assert!(failed.contains("machine-offboarded") && failed.contains("machine-long-lived-secret") && failed.contains("machine-owner"), "{failed}");
    let role = listed.iter().find(|row| row["kind"] == "workload_identity").unwrap();
    assert_eq!(role["reaches"], json!(["administrator"]));
    assert!(role["failed"].to_string().contains("machine-overprivileged") && !role["failed"].to_string().contains("machine-open-trust"), "{role}");
    let findings = rows(&weft(home.path(), &["entitlements", "machines", path, "--findings", "--format", "ndjson"], ""));
    assert!(findings.iter().all(|event| event["class_uid"] == 2003 && event["compliance"]["status"] == "Fail"));
    assert!(findings.iter().any(|event| event["compliance"]["control"] == "NHI7:2025"));
}

#[test]
fn what_holds_nothing_is_told_in_one_line() {
    let home = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "x.json", &json!({"bindings": []}));
    let output = weft(home.path(), &["entitlements", "machines", folder.path().to_str().unwrap()], "");
    assert_eq!((output.status.code(), text(&output.stderr).lines().count()), (Some(2), 1), "{}", text(&output.stderr));
}

#[test]
fn where_there_is_no_path_it_is_said_how_many_were_looked_at() {
    let home = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "corp.json",
        &json!({"organization": "corp", "members": [{"login": "ada", "role": "member"}, {"login": "ed", "role": "member"}], "teams": [], "repositories": []}),
    );
    let path = folder.path().to_str().unwrap();
    let output = weft(home.path(), &["entitlements", "escalations", path, "--format", "ndjson"], "");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
    assert!(text(&output.stderr).contains("2 principals were looked at"), "{}", text(&output.stderr));
    world(folder.path());
    let output = weft(home.path(), &["entitlements", "escalations", path, "--principal", "ada", "--format", "ndjson"], "");
    assert!(text(&output.stderr).contains("1 principals were looked at, and"), "{}", text(&output.stderr));
}

#[test]
fn calls_are_read_as_a_trail_writes_them() {
    let home = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let permits = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}]});
    let arn = "arn:aws:iam::111111111111:user/ada";
    write(
        folder.path(),
        "account.json",
        &json!({"UserDetailList": [{"UserName": "ada", "UserId": "A1", "Arn": arn, "Path": "/", "GroupList": [], "AttachedManagedPolicies": [],
            "UserPolicyList": [{"PolicyName": "own", "PolicyDocument": permits}]}], "GroupDetailList": [], "Policies": [], "RoleDetailList": []}),
    );
    let record = |name: &str| json!({"eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "eventName": name, "userIdentity": {"arn": arn}});
    let trail = serde_json::to_string_pretty(&json!({"Records": [record("GetObject"), record("PutObject")]})).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, trail.as_bytes()).unwrap();
    std::fs::create_dir(folder.path().join("trail")).unwrap();
    std::fs::write(folder.path().join("trail/a.json.gz"), packed.finish().unwrap()).unwrap();
    std::fs::write(folder.path().join("trail/b.json"), &trail).unwrap();
    let account = folder.path().join("account.json");
    for calls in ["trail/a.json.gz", "trail/b.json", "trail"] {
        let calls = folder.path().join(calls);
        let output = weft(home.path(), &["entitlements", "unused", account.to_str().unwrap(), "--calls", calls.to_str().unwrap(), "--format", "ndjson"], "");
        assert_eq!((output.status.code(), rows(&output)[0]["used"].clone()), (Some(0), json!(2)), "{calls:?} {}", text(&output.stderr));
    }
    let output = weft(home.path(), &["entitlements", "unused", account.to_str().unwrap(), "--calls", "-"], "{\"principal\": 1}\n");
    assert!(text(&output.stderr).contains("record 1: `principal` is missing"), "{}", text(&output.stderr));
}

#[test]
fn the_cases_of_the_guide_are_decided_as_they_stand_there() {
    let guide = include_str!("../../../../docs/guide/entitlements.md");
    let case = guide.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let home = tempfile::tempdir().unwrap();
    let output = weft(home.path(), &["entitlements", "evaluate", "-", "--format", "ndjson"], &format!("{case}\n{case}"));
    assert_eq!((output.status.code(), rows(&output).len()), (Some(0), 2), "{}", text(&output.stderr));
    assert!(rows(&output).iter().all(|row| row["outcome"] == "allowed"), "{}", text(&output.stdout));
    let broken = weft(home.path(), &["entitlements", "evaluate", "-", "--format", "ndjson"], &format!("7\n{case}\n{{\"id\":"));
    assert_eq!((broken.status.code(), rows(&broken).len(), text(&broken.stderr).lines().count()), (Some(2), 1, 2), "{}", text(&broken.stderr));
}
