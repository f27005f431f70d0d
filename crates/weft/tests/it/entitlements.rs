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
