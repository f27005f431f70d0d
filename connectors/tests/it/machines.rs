//! Machine identities from what each system prints, and the checks on them.

use std::collections::HashMap;

use serde_json::{Value, json};
use weft_connectors::machines::Machines;
use weft_identity::machine::{Review, review};
use weft_model::Timestamp;
use weft_model::machine::{Machine, MachineKind, Proof};

fn collected(files: &[Value]) -> Vec<Machine> {
    let mut machines = Machines::default();
    files.iter().enumerate().for_each(|(number, file)| machines.add(&format!("{number}.json"), file));
    let machines = machines.finish();
    assert_eq!(machines.faults, []);
    machines.found
}

fn named<'m>(machines: &'m [Machine], name: &str) -> &'m Machine {
    machines
        .iter()
        .find(|machine| machine.name == name)
        .unwrap_or_else(|| panic!("{name} is not among {:?}", machines.iter().map(|machine| &machine.name).collect::<Vec<_>>()))
}

const REPORT: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated
ci,arn:aws:iam::111111111111:user/ci,2024-01-01T00:00:00+00:00,false,N/A,N/A,N/A,false,true,2024-01-02T00:00:00+00:00,2026-05-01T10:00:00+00:00,eu-west-1,s3,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A
ada,arn:aws:iam::111111111111:user/ada,2024-01-01T00:00:00+00:00,true,2026-05-30T00:00:00+00:00,N/A,N/A,true,true,2024-06-01T00:00:00+00:00,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A
broken,line
";

#[test]
fn a_credential_report_tells_keys_and_whose_they_are() {
    let mut machines = Machines::default();
    machines.add_text("report.csv", REPORT);
    let machines = machines.finish();
    assert_eq!(machines.faults.iter().map(ToString::to_string).collect::<Vec<_>>(), ["report.csv:4: has 2 columns instead of 22"]);
    let key = named(&machines.found, "arn:aws:iam::111111111111:user/ci#access_key_1");
    assert_eq!((key.kind, key.proof, key.active, key.persons.len()), (MachineKind::AccessKey, Proof::SharedSecret, true, 0));
    assert_eq!(
        (key.used.map(Timestamp::date).as_deref(), key.used_from.as_slice()),
        (Some("2026-05-01"), ["eu-west-1".to_owned(), "s3".to_owned()].as_slice())
    );
    assert_eq!(named(&machines.found, "arn:aws:iam::111111111111:user/ci").kind, MachineKind::ServiceAccount);
    assert_eq!(named(&machines.found, "arn:aws:iam::111111111111:user/ada#access_key_1").persons, ["ada signs in with a password"]);
    assert!(!machines.found.iter().any(|machine| machine.name == "arn:aws:iam::111111111111:user/ada"), "a person is no machine");
}

#[test]
fn owners_and_leaks_of_keys_are_told_in_any_order_of_files() {
    let user = |name: &str, policy: &str| {
        json!({"UserName": name, "Arn": format!("arn:aws:iam::111111111111:user/{name}"), "CreateDate": "2024-01-01T00:00:00Z",
            "AttachedManagedPolicies": [{"PolicyName": policy}], "Tags": [{"Key": "owner", "Value": "platform"}]})
    };
    let details = json!({"UserDetailList": [user("ci", "AWSCompromisedKeyQuarantineV3"), user("ada", "ReadOnlyAccess"), user("gone", "ReadOnlyAccess")]});
    let read = |report_first: bool| {
        let mut machines = Machines::default();
        if report_first {
            machines.add_text("report.csv", REPORT);
        }
        machines.add("account.json", &details);
        if !report_first {
            machines.add_text("report.csv", REPORT);
        }
        machines.finish().found
    };
    let found = read(false);
    assert_eq!(found, read(true));
    assert_eq!(found.len(), 3, "{found:?}");
    for (name, leaked) in [("ci#access_key_1", true), ("ci", true), ("ada#access_key_1", false)] {
        let key = named(&found, &format!("arn:aws:iam::111111111111:user/{name}"));
        let owners: Vec<&str> = key.owners.iter().map(|sign| sign.owner.as_str()).collect();
        assert_eq!((owners.as_slice(), key.leaked.is_some()), (["platform"].as_slice(), leaked), "{name}");
    }
}

#[test]
fn one_machine_of_two_files_has_what_both_tell() {
    let key = |more: Value| {
        let mut key = json!({"name": "projects/p/serviceAccounts/bot@p.iam.gserviceaccount.com/keys/1", "validAfterTime": "2025-01-01T00:00:00Z"});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([key])
    };
    let exposed = key(json!({"disabled": true, "disableReason": "SERVICE_ACCOUNT_KEY_DISABLE_REASON_EXPOSED"}));
    let ending = key(json!({"validBeforeTime": "2026-01-01T00:00:00Z"}));
    let token = |more: Value| json!({"organization": "corp", "members": [], "personal_access_tokens": [more]});
    let used = token(json!({"token_id": 5, "owner": {"login": "ada"}, "token_last_used_at": "2026-03-01T00:00:00Z"}));
    let bare = token(json!({"token_id": 5}));
    let files = [exposed, ending, used, bare];
    let found = collected(&files);
    let mut turned = files;
    turned.reverse();
    assert_eq!(found, collected(&turned));
    let key = named(&found, "projects/p/serviceAccounts/bot@p.iam.gserviceaccount.com/keys/1");
    assert_eq!((key.active, key.leaked.is_some(), key.expires.map(Timestamp::date).as_deref()), (false, true, Some("2026-01-01")));
    let token = named(&found, "token:corp/5");
    assert_eq!((token.use_told, token.used.is_some(), token.acts_as.as_deref(), token.owners.len()), (true, true, Some("ada"), 1));
}

#[test]
fn another_text_is_no_report() {
    let mut machines = Machines::default();
    machines.add_text("x.csv", "a,b\n1,2\n");
    assert!(machines.faults[0].reason.contains("no credential report"));
}

#[test]
fn applications_tell_their_secrets_and_owners() {
    let machines = collected(&[
        json!({"value": [{"id": "o-1", "appId": "A-1", "displayName": "deployer", "createdDateTime": "2025-01-01T00:00:00Z", "owners": [{"userPrincipalName": "ada@corp.example"}],
            "passwordCredentials": [{"keyId": "k-1", "startDateTime": "2025-01-01T00:00:00Z", "endDateTime": "2099-01-01T00:00:00Z"}], "keyCredentials": [{"keyId": "c-1", "type": "AsymmetricX509Cert", "startDateTime": "2025-01-01T00:00:00Z", "endDateTime": "2026-01-01T00:00:00Z"}]}]}),
        json!([{"appId": "a-1", "lastSignInActivity": {"lastSignInDateTime": "2026-03-01T00:00:00Z"}}]),
        json!([{"@odata.type": "#microsoft.graph.agentIdentity", "id": "ag-1", "displayName": "helper", "sponsors": [{"userPrincipalName": "bob@corp.example"}]}]),
    ]);
    let application = named(&machines, "a-1");
    assert_eq!(
        (application.kind, application.owners[0].owner.as_str(), application.used.map(Timestamp::date).as_deref()),
        (MachineKind::OauthApplication, "ada@corp.example", Some("2026-03-01"))
    );
    assert_eq!(named(&machines, "a-1#k-1").proof, Proof::SharedSecret);
    assert_eq!(
        (named(&machines, "a-1#c-1").kind, named(&machines, "a-1#c-1").acts_as.as_deref()),
        (MachineKind::Certificate, Some("servicePrincipal:deployer"))
    );
    assert_eq!((named(&machines, "ag-1").kind, named(&machines, "ag-1").delegator.as_deref()), (MachineKind::AiAgent, Some("bob@corp.example")));
}

#[test]
fn keys_of_service_accounts_and_their_use() {
    let account = "projects/shop/serviceAccounts/bot@shop.iam.gserviceaccount.com";
    let machines = collected(&[
        json!([{"name": account, "email": "bot@shop.iam.gserviceaccount.com", "projectId": "shop", "description": "nightly export, ops@corp.example"}]),
        json!([{"name": format!("{account}/keys/k1"), "keyType": "USER_MANAGED", "validAfterTime": "2024-01-01T00:00:00Z", "validBeforeTime": "9999-12-31T23:59:59Z"}, {"name": format!("{account}/keys/k2"), "keyType": "SYSTEM_MANAGED", "validAfterTime": "2026-01-01T00:00:00Z"}]),
        json!([{"activityType": "serviceAccountLastAuthentication", "fullResourceName": format!("//iam.googleapis.com/{account}"), "activity": {"lastAuthenticatedTime": "2026-04-01T07:00:00Z"}}]),
    ]);
    let bot = named(&machines, "serviceAccount:bot@shop.iam.gserviceaccount.com");
    assert_eq!((bot.owners[0].owner.as_str(), bot.used.map(Timestamp::date).as_deref()), ("ops@corp.example", Some("2026-04-01")));
    let key = named(&machines, &format!("{account}/keys/k1"));
    assert_eq!((key.expires, key.proof), (None, Proof::KeyPair));
    assert_eq!(machines.iter().filter(|machine| machine.kind == MachineKind::AccessKey).count(), 1, "the platform's own keys are not told");
}

#[test]
fn keys_and_tokens_of_an_organisation() {
    let machines = collected(&[
        json!({"organization": "corp", "repositories": [{"full_name": "corp/shop", "collaborators": [{"login": "eve", "role_name": "admin"}],
            "keys": [{"title": "ci", "read_only": false, "created_at": "2023-01-01T00:00:00Z", "last_used": null, "added_by": "ada"}]}],
        "personal_access_tokens": [{"id": 5, "owner": {"login": "ada"}, "token_expires_at": null, "token_last_used_at": "2026-05-01T00:00:00Z", "access_granted_at": "2025-01-01T00:00:00Z"}],
        "installations": [{"app_id": 1, "app_slug": "deployer", "permissions": {}, "app_owner": "vendor"}]}),
    ]);
    let key = named(&machines, "key:corp/shop/ci");
    assert_eq!((key.use_told, key.used, key.owners.iter().max_by_key(|sign| sign.confidence).unwrap().owner.as_str()), (true, None, "ada"));
    assert_eq!(named(&machines, "token:corp/5").persons.len(), 1);
    assert_eq!(named(&machines, "app:deployer").third_party, Some(true));
}

#[test]
fn tokens_that_are_kept_in_secrets() {
    let machines = collected(&[json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": "shop", "labels": {"team": "platform"}, "creationTimestamp": "2025-01-01T00:00:00Z"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app-token", "namespace": "shop", "annotations": {"kubernetes.io/service-account.name": "app"}, "creationTimestamp": "2025-01-01T00:00:00Z"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}}, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}}]})]);
    assert_eq!(machines.len(), 2);
    assert_eq!(named(&machines, "system:serviceaccount:shop:app").owners[0].owner, "platform");
    assert_eq!(named(&machines, "secret:shop/app-token").proof, Proof::SharedSecret);
}

#[test]
fn roles_of_workloads_and_vendors() {
    let role = |name: &str, trust: Value| {
        json!({"RoleName": name, "Arn": format!("arn:aws:iam::111111111111:role/{name}"), "Path": "/", "CreateDate": "2024-01-01T00:00:00Z", "AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}]},
        "RoleLastUsed": {"LastUsedDate": "2026-02-01T00:00:00Z", "Region": "eu-west-1"}, "Tags": [{"Key": "Owner", "Value": "platform"}]})
    };
    let machines = collected(&[
        json!({"RoleDetailList": [role("web", json!({"Service": "ec2.amazonaws.com"})), role("vendor", json!({"AWS": "arn:aws:iam::222222222222:root"})), role("people", json!({"AWS": "arn:aws:iam::111111111111:root"}))],
        "UserDetailList": [{"UserName": "ci", "Arn": "arn:aws:iam::111111111111:user/ci", "AttachedManagedPolicies": [{"PolicyName": "AWSCompromisedKeyQuarantineV3"}]}]}),
    ]);
    assert_eq!(machines.len(), 3, "{machines:?}");
    let vendor = named(&machines, "arn:aws:iam::111111111111:role/vendor");
    assert_eq!((vendor.third_party, vendor.owners[0].owner.as_str()), (Some(true), "platform"));
    assert_eq!(named(&machines, "arn:aws:iam::111111111111:role/web").third_party, Some(false));
    assert!(named(&machines, "arn:aws:iam::111111111111:user/ci").leaked.is_some());
}

#[test]
fn reach_comes_from_entitlements() {
    let account = "projects/shop/serviceAccounts/bot@shop.iam.gserviceaccount.com";
    let files = |role: &str| {
        [
            json!([{"name": account, "email": "bot@shop.iam.gserviceaccount.com", "projectId": "shop"}]),
            json!([{"resource": "//cloudresourcemanager.googleapis.com/projects/shop", "policy": {"bindings": [{"role": role, "members": ["serviceAccount:bot@shop.iam.gserviceaccount.com"]}, {"role": "roles/owner", "members": ["serviceAccount:root@shop.iam.gserviceaccount.com"]}]}}]),
        ]
    };
    let review = |role: &str| -> Review {
        let files = files(role);
        review(collected(&files), &crate::federation::estates(&files), &HashMap::new(), Timestamp(1_800_000_000_000)).remove(0)
    };
    let strong = review("roles/iam.serviceAccountKeyAdmin");
    assert_eq!((strong.reaches.as_slice(), strong.facts["escalates"].as_str()), (["projects/shop".to_owned()].as_slice(), "yes"));
    let weak = review("roles/viewer");
    assert_eq!((weak.reaches.as_slice(), weak.facts["escalates"].as_str()), ([].as_slice(), "no"));
}
