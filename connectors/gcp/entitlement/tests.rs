use std::sync::Arc;

use serde_json::{Value, json};
use weft_identity::entitlement::escalation::{ADMINISTRATOR, Escalation, Explorer};
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules};
use weft_model::entitlement::Outcome;

use super::*;

const ADA: &str = "user:ada@corp.example";
const BOT: &str = "serviceAccount:bot@shop.iam.gserviceaccount.com";

fn snapshot(files: &[(&str, Value)]) -> Snapshot {
    let mut collector = Collector::default();
    for (name, file) in files {
        assert!(is_one(file), "{file}");
        collector.add(name, file);
    }
    collector.finish()
}

fn provider() -> weft_identity::entitlement::Provider {
    Provider { catalogue: Arc::new(Catalogue::new(actions())), rules: Arc::new(Rules::read(RULES).unwrap()), now: Some("2026-06-01T00:00:00Z".to_owned()) }
}

fn estate(files: &[(&str, Value)]) -> Estate {
    let snapshot = snapshot(files);
    assert_eq!(snapshot.faults, []);
    Estate::new(snapshot, provider())
}

fn policy(bindings: &[(&str, &str)]) -> Value {
    let bindings: Vec<Value> = bindings.iter().map(|(role, member)| json!({"role": role, "members": [member]})).collect();
    json!({"bindings": bindings, "etag": "x", "version": 1})
}

fn outcome(estate: &Estate, who: &str, action: &str, on: &str) -> Outcome {
    estate.can(who, action, &resource(on), &[]).unwrap().outcome
}

fn reaches(estate: &Estate, who: &str) -> Vec<Escalation> {
    Explorer::new(estate).from(who)
}

fn goals(estate: &Estate, who: &str) -> Vec<String> {
    reaches(estate, who).into_iter().map(|one| one.reaches).collect()
}

/// A project below a folder below an organisation.
fn hierarchy() -> Value {
    json!({"projects": [{"projectId": "shop", "projectNumber": "11", "parent": {"type": "folder", "id": "2"}}, {"projectId": "bank", "projectNumber": "12", "parent": {"type": "organization", "id": "1"}}],
        "folders": [{"name": "folders/2", "parent": "organizations/1"}]})
}

#[test]
fn the_rules_name_permissions_that_exist() {
    let provider = provider();
    assert_eq!(provider.rules.unknown(&provider.catalogue), Vec::<String>::new());
    assert!(provider.rules.capability.len() > 40);
}

#[test]
fn a_policy_counts_where_it_stands_and_below() {
    let at = |file: &'static str| estate(&[("hierarchy.json", hierarchy()), (file, policy(&[("roles/storage.objectViewer", ADA)]))]);
    let read = "storage.objects.get";
    for (file, shop, bank) in
        [("shop.json", true, false), ("projects-shop.json", true, false), ("folders-2.json", true, false), ("organizations-1.json", true, true)]
    {
        let estate = at(file);
        let may = |on: &str| outcome(&estate, ADA, read, on) == Outcome::Allowed;
        assert_eq!((may("projects/shop"), may("//storage.googleapis.com/projects/shop/buckets/b"), may("projects/bank")), (shop, shop, bank), "{file}");
        assert_eq!(outcome(&estate, ADA, "storage.objects.delete", "projects/shop"), Outcome::ImplicitlyDenied);
    }
}

#[test]
fn search_results_say_where_resources_stand() {
    let results = json!([
        {"resource": "//cloudresourcemanager.googleapis.com/projects/shop", "project": "projects/11", "folders": ["folders/2"], "organization": "organizations/1",
         "policy": {"bindings": [{"role": "roles/viewer", "members": [ADA]}]}},
        {"resource": "//storage.googleapis.com/ledger", "project": "projects/11", "folders": ["folders/2"], "organization": "organizations/1",
         "policy": {"bindings": [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]}},
        {"resource": "//cloudresourcemanager.googleapis.com/folders/2", "folders": ["folders/2"], "organization": "organizations/1",
         "policy": {"bindings": [{"role": "roles/storage.admin", "members": ["user:bob@corp.example"]}]}}]);
    let estate = estate(&[("all.json", results)]);
    assert_eq!(outcome(&estate, "allUsers", "storage.objects.get", "ledger"), Outcome::Allowed);
    assert_eq!(outcome(&estate, ADA, "storage.objects.get", "ledger"), Outcome::Allowed, "whatever everybody may");
    assert_eq!(outcome(&estate, "user:bob@corp.example", "storage.objects.delete", "ledger"), Outcome::Allowed, "from the folder above");
    assert_eq!(outcome(&estate, ADA, "storage.objects.delete", "ledger"), Outcome::ImplicitlyDenied);
}

#[test]
fn a_key_of_a_service_account_makes_it() {
    let at = |role: &'static str| {
        estate(&[
            ("shop.json", policy(&[(role, ADA), ("roles/owner", BOT)])),
            (
                "accounts.json",
                json!([{"name": "projects/shop/serviceAccounts/bot@shop.iam.gserviceaccount.com", "email": "bot@shop.iam.gserviceaccount.com", "projectId": "shop"}]),
            ),
        ])
    };
    let open = at("roles/iam.serviceAccountKeyAdmin");
    let found = reaches(&open, ADA);
    assert_eq!(found[0].reaches, "projects/shop");
    assert_eq!((found[0].hops[0].to.as_str(), found[0].hops[0].actions[0].as_str()), (BOT, "iam.serviceAccountKeys.create"));
    assert_eq!(found[0].hops[0].statements[0].policy, "roles/iam.serviceAccountKeyAdmin at projects/shop");
    assert_eq!(goals(&at("roles/viewer"), ADA), Vec::<String>::new());
    // The owner is one already.
    assert!(reaches(&open, BOT)[0].hops.is_empty());
}

#[test]
fn acting_as_an_account_needs_something_that_runs_as_it() {
    let with = |roles: &[&'static str]| {
        let mut bindings: Vec<(&str, &str)> = roles.iter().map(|role| (*role, ADA)).collect();
        bindings.push(("roles/owner", BOT));
        goals(&estate(&[("shop.json", policy(&bindings))]), ADA)
    };
    assert_eq!(with(&["roles/iam.serviceAccountUser", "roles/compute.instanceAdmin.v1"]), ["projects/shop"]);
    assert_eq!(with(&["roles/iam.serviceAccountUser"]), Vec::<String>::new());
    assert_eq!(with(&["roles/compute.instanceAdmin.v1"]), Vec::<String>::new());
}

fn denied(permission: &str, excepted: Value) -> Value {
    json!({"name": "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fshop/denypolicies/no-keys",
        "rules": [{"denyRule": {"deniedPrincipals": ["principalSet://goog/public:all"], "exceptionPrincipals": excepted, "deniedPermissions": [permission]}}]})
}

#[test]
fn a_deny_policy_blocks_all_but_the_excepted() {
    let policy = || ("shop.json", policy(&[("roles/iam.serviceAccountKeyAdmin", ADA), ("roles/owner", BOT)]));
    let keys = "iam.googleapis.com/serviceAccountKeys.create";
    let blocked = estate(&[policy(), ("deny.json", denied(keys, json!([])))]);
    assert_eq!(
        outcome(&blocked, ADA, "iam.serviceAccountKeys.create", "projects/shop/serviceAccounts/bot@shop.iam.gserviceaccount.com"),
        Outcome::ExplicitlyDenied
    );
    assert_eq!(goals(&blocked, ADA), Vec::<String>::new());
    let excepted = estate(&[policy(), ("deny.json", denied(keys, json!(["principal://goog/subject/ada@corp.example"])))]);
    assert_eq!(goals(&excepted, ADA), ["projects/shop"]);
    let other = estate(&[policy(), ("deny.json", denied("iam.googleapis.com/roles.*", json!([])))]);
    assert_eq!(goals(&other, ADA), ["projects/shop"]);
}

#[test]
fn a_principal_access_boundary_blocks_what_it_leaves_out() {
    let bound = |open: &str| {
        let boundary = json!({"name": "organizations/1/locations/global/principalAccessBoundaryPolicies/b", "details": {"rules": [{"resources": [open], "effect": "ALLOW"}]}});
        let binding = json!({"name": "organizations/1/locations/global/policyBindings/x", "policyKind": "PRINCIPAL_ACCESS_BOUNDARY",
            "policy": "organizations/1/locations/global/principalAccessBoundaryPolicies/b", "target": {"principalSet": "principalSet://goog/cloudIdentityCustomerId/C1"}});
        goals(
            &estate(&[
                ("hierarchy.json", hierarchy()),
                ("shop.json", policy(&[("roles/iam.serviceAccountKeyAdmin", ADA), ("roles/owner", BOT)])),
                ("b.json", boundary),
                ("x.json", binding),
            ]),
            ADA,
        )
    };
    assert_eq!(bound("//cloudresourcemanager.googleapis.com/projects/bank"), Vec::<String>::new());
    assert_eq!(bound("//cloudresourcemanager.googleapis.com/projects/shop"), ["projects/shop"]);
}

#[test]
fn conditions_are_decided_where_they_can_be() {
    let with = |expression: &str| {
        let policy = json!({"bindings": [{"role": "roles/viewer", "members": [ADA], "condition": {"expression": expression}}]});
        outcome(&estate(&[("shop.json", policy)]), ADA, "storage.buckets.list", "projects/shop")
    };
    assert_eq!(with("request.time < timestamp('2027-01-01T00:00:00Z')"), Outcome::Allowed);
    assert_eq!(with("request.time < timestamp('2026-01-01T00:00:00Z')"), Outcome::ImplicitlyDenied);
    assert_eq!(with("resource.name.startsWith('projects/shop')"), Outcome::Allowed);
    assert_eq!(with("resource.name.startsWith('projects/_/buckets')"), Outcome::ImplicitlyDenied);
    assert_eq!(with("resource.type == 'storage.googleapis.com/Bucket'"), Outcome::Conditional);
    assert_eq!(with("resource.matchTag('1/env', 'prod')"), Outcome::Conditional);
    assert_eq!(with("request.time < timestamp('2026-01-01T00:00:00Z') || resource.name == 'projects/shop'"), Outcome::Allowed);
}

#[test]
fn a_condition_that_is_open_is_no_path() {
    let with = |condition: Value| {
        let policy = json!({"bindings": [{"role": "roles/iam.serviceAccountKeyAdmin", "members": [ADA], "condition": condition}, {"role": "roles/owner", "members": [BOT]}]});
        goals(&estate(&[("shop.json", policy)]), ADA)
    };
    assert_eq!(with(json!({"expression": "resource.matchTag('1/env', 'prod')"})), Vec::<String>::new());
    assert_eq!(with(json!({"expression": "request.time < timestamp('2026-01-01T00:00:00Z')"})), Vec::<String>::new());
    assert_eq!(with(json!({"expression": "request.time < timestamp('2027-01-01T00:00:00Z')"})), ["projects/shop"]);
}

#[test]
fn nested_groups_count_and_missing_ones_are_told() {
    let groups =
        json!({"groupMemberships": {"ops@corp.example": ["group:night@corp.example"], "night@corp.example": ["ada@corp.example", "group:ops@corp.example"]}});
    let read =
        snapshot(&[("groups.json", groups), ("shop.json", policy(&[("roles/viewer", "group:ops@corp.example"), ("roles/editor", "group:gone@corp.example")]))]);
    let told: Vec<&str> = read.faults.iter().map(|fault| fault.reason.as_str()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("cycle") && told[1].contains("`group:gone@corp.example`"), "{told:?}");
    let estate = Estate::new(read, provider());
    assert_eq!(outcome(&estate, ADA, "storage.buckets.list", "projects/shop"), Outcome::Allowed);
}

#[test]
fn power_over_the_organisation_is_administration() {
    let at = |file: &'static str, role: &'static str| goals(&estate(&[("hierarchy.json", hierarchy()), (file, policy(&[(role, ADA)]))]), ADA);
    assert_eq!(at("organizations-1.json", "roles/resourcemanager.organizationAdmin"), [ADMINISTRATOR]);
    assert_eq!(at("folders-2.json", "roles/resourcemanager.folderAdmin"), ["folders/2"]);
    assert_eq!(at("organizations-1.json", "roles/browser"), Vec::<String>::new());
}

#[test]
fn custom_roles_are_read_and_unknown_ones_are_told() {
    let role = json!({"name": "projects/shop/roles/keys", "includedPermissions": ["iam.serviceAccountKeys.create"], "title": "Keys", "stage": "GA"});
    let custom = estate(&[("role.json", role), ("shop.json", policy(&[("projects/shop/roles/keys", ADA), ("roles/owner", BOT)]))]);
    assert_eq!(goals(&custom, ADA), ["projects/shop"]);
    let read = snapshot(&[(
        "shop.json",
        json!({"bindings": [{"role": "projects/shop/roles/gone", "members": [ADA]}, {"members": [ADA]}, {"role": "roles/viewer", "members": "x"}]}),
    )]);
    let told: Vec<String> = read.faults.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().any(|one| one.contains("`projects/shop/roles/gone` is not in the snapshot")), "{told:?}");
    assert!(told.iter().any(|one| one.starts_with("shop.json: bindings[1]: `role` is missing")), "{told:?}");
}

#[test]
fn a_disabled_account_does_nothing() {
    let account = json!([{"name": "projects/shop/serviceAccounts/bot@shop.iam.gserviceaccount.com", "email": "bot@shop.iam.gserviceaccount.com", "projectId": "shop", "disabled": true}]);
    let estate = estate(&[("accounts.json", account), ("shop.json", policy(&[("roles/iam.serviceAccountKeyAdmin", ADA), ("roles/owner", BOT)]))]);
    assert_eq!(goals(&estate, ADA), Vec::<String>::new());
}

#[test]
fn owners_of_a_project_are_whom_a_bucket_names() {
    let bucket = json!([{"resource": "//storage.googleapis.com/ledger", "project": "projects/shop", "policy": {"bindings": [{"role": "roles/storage.objectViewer", "members": ["projectViewer:shop"]}]}}]);
    let estate = estate(&[("shop.json", policy(&[("roles/viewer", ADA), ("roles/browser", BOT)])), ("bucket.json", bucket)]);
    assert_eq!(outcome(&estate, ADA, "storage.objects.get", "ledger"), Outcome::Allowed);
    assert_eq!(outcome(&estate, BOT, "storage.objects.get", "ledger"), Outcome::ImplicitlyDenied);
}
