use std::sync::Arc;

use serde_json::{Value, json};
use weft_identity::entitlement::escalation::{ADMINISTRATOR, Escalation, Explorer};
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules};
use weft_model::entitlement::{Outcome, Snapshot};

use super::*;

const SUB: &str = "/subscriptions/S1";
const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const ACCESS: &str = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9";
const GLOBAL: &str = "62e90394-69f5-4237-9190-012177145e10";

fn provider() -> Provider {
    Provider { catalogue: Arc::new(Catalogue::new(actions())), rules: Arc::new(Rules::read(RULES).unwrap()), ..Provider::default() }
}

fn snapshot(files: &[Value]) -> Snapshot {
    let mut collector = Collector::default();
    for (number, file) in files.iter().enumerate() {
        assert!(is_one(file), "{file}");
        collector.add(&format!("{number}.json"), file);
    }
    collector.finish()
}

fn estate(files: &[Value]) -> Estate {
    let snapshot = snapshot(files);
    assert_eq!(snapshot.faults, []);
    Estate::new(snapshot, provider())
}

fn assigned(who: &str, role: &str, scope: &str) -> Value {
    json!({"id": format!("{scope}/providers/Microsoft.Authorization/roleAssignments/1"), "principalId": who, "principalName": format!("{who}@corp.example"),
        "principalType": "User", "roleDefinitionId": format!("{SUB}/providers/Microsoft.Authorization/roleDefinitions/{role}"), "scope": scope,
        "type": "Microsoft.Authorization/roleAssignments", "condition": null})
}

fn outcome(estate: &Estate, who: &str, asked: &str, on: &str) -> Outcome {
    estate.can(&format!("{who}@corp.example"), &action(asked), &resource(on), &[]).unwrap().outcome
}

fn reaches(estate: &Estate, who: &str) -> Vec<Escalation> {
    Explorer::new(estate).from(who)
}

fn goals(estate: &Estate, who: &str) -> Vec<String> {
    reaches(estate, who).into_iter().map(|one| one.reaches).collect()
}

#[test]
fn the_rules_name_actions_with_their_plane() {
    let provider = provider();
    assert_eq!(provider.rules.unknown(&provider.catalogue), Vec::<String>::new());
    assert!(provider.rules.capability.len() > 50 && provider.catalogue.len() > 4_000, "{} {}", provider.rules.capability.len(), provider.catalogue.len());
}

#[test]
fn a_role_counts_at_its_scope_and_below() {
    let estate = estate(&[json!([assigned("ada", CONTRIBUTOR, "/subscriptions/S1/resourceGroups/Shop")])]);
    let write = "Microsoft.Compute/virtualMachines/write";
    assert_eq!(outcome(&estate, "ada", write, "/subscriptions/s1/resourcegroups/shop/providers/Microsoft.Compute/virtualMachines/web"), Outcome::Allowed);
    assert_eq!(outcome(&estate, "ada", write, "/subscriptions/s1/resourceGroups/shop2"), Outcome::ImplicitlyDenied);
    assert_eq!(outcome(&estate, "ada", write, SUB), Outcome::ImplicitlyDenied);
    // What the role leaves out is not denied, but not permitted either; its actions are no data actions.
    let shop = "/subscriptions/S1/resourceGroups/Shop";
    assert_eq!(outcome(&estate, "ada", "Microsoft.Authorization/roleAssignments/write", shop), Outcome::ImplicitlyDenied);
    assert_eq!(outcome(&estate, "ada", "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read", shop), Outcome::ImplicitlyDenied);
}

#[test]
fn what_one_role_leaves_out_another_may_permit() {
    let estate = estate(&[json!([assigned("ada", CONTRIBUTOR, SUB), assigned("ada", ACCESS, SUB)])]);
    assert_eq!(outcome(&estate, "ada", "Microsoft.Authorization/roleAssignments/write", SUB), Outcome::Allowed);
}

#[test]
fn management_groups_hand_down() {
    let group = |name: &str| format!("/providers/Microsoft.Management/managementGroups/{name}");
    let tree = json!({"id": group("corp"), "type": "Microsoft.Management/managementGroups", "properties": {"children": [
        {"id": group("shop"), "type": "Microsoft.Management/managementGroups", "children": [{"id": "/subscriptions/S1", "type": "/subscriptions"}]},
        {"id": "/subscriptions/S2", "type": "/subscriptions"}]}});
    let estate = estate(&[tree, json!([assigned("ada", READER, &group("corp")), assigned("bob", READER, &group("shop"))])]);
    let read = "Microsoft.Compute/virtualMachines/read";
    for (who, on, outcome_wanted) in [
        ("ada", "/subscriptions/S2/x", Outcome::Allowed),
        ("ada", SUB, Outcome::Allowed),
        ("bob", SUB, Outcome::Allowed),
        ("bob", "/subscriptions/S2", Outcome::ImplicitlyDenied),
    ] {
        assert_eq!(outcome(&estate, who, read, on), outcome_wanted, "{who} {on}");
    }
}

fn denied(principals: Value, excluded: Value, actions: Value) -> Value {
    json!({"type": "Microsoft.Authorization/denyAssignments", "properties": {"denyAssignmentName": "locked", "scope": SUB, "principals": principals,
        "excludePrincipals": excluded, "permissions": [{"actions": actions, "notActions": ["*/read"], "dataActions": [], "notDataActions": []}]}})
}

#[test]
fn a_deny_assignment_blocks_all_but_the_excluded() {
    let everybody = json!([{"id": "00000000-0000-0000-0000-000000000000", "type": "SystemDefined"}]);
    let assignments = || json!([assigned("ada", OWNER, SUB), assigned("bob", OWNER, SUB)]);
    let estate = estate(&[assignments(), json!([denied(everybody, json!([{"id": "bob"}]), json!(["*"]))])]);
    let write = "Microsoft.Authorization/roleAssignments/write";
    assert_eq!(outcome(&estate, "ada", write, SUB), Outcome::ExplicitlyDenied);
    assert_eq!(outcome(&estate, "ada", "Microsoft.Compute/virtualMachines/read", SUB), Outcome::Allowed);
    assert_eq!(outcome(&estate, "bob", write, SUB), Outcome::Allowed);
    assert_eq!(goals(&estate, "ada@corp.example"), Vec::<String>::new());
    assert_eq!(goals(&estate, "bob@corp.example"), ["/subscriptions/s1"]);
}

#[test]
fn a_deny_assignment_under_a_condition_denies_what_is_sure_alone() {
    let write = "Microsoft.Authorization/roleAssignments/write";
    let everybody = || json!([{"id": "00000000-0000-0000-0000-000000000000", "type": "SystemDefined"}]);
    let attributes = json!("@Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'ledger'");
    let others = json!(format!("!(ActionMatches{{'{write}'}}) OR (@Request[x:y] StringEquals 'z')"));
    let with = |path: &str, condition: &Value| {
        let mut deny = denied(everybody(), json!([]), json!(["*"]));
        deny.pointer_mut(path).unwrap().as_object_mut().unwrap().insert("condition".to_owned(), condition.clone());
        snapshot(&[json!([assigned("ada", OWNER, SUB)]), json!([deny])])
    };
    for path in ["/properties", "/properties/permissions/0"] {
        for (condition, of_roles, of_others) in [
            (&attributes, Outcome::Conditional, Outcome::Conditional),
            (&others, Outcome::Conditional, Outcome::ExplicitlyDenied),
            (&json!(" "), Outcome::ExplicitlyDenied, Outcome::ExplicitlyDenied),
        ] {
            let read = with(path, condition);
            assert_eq!(read.faults, []);
            let estate = Estate::new(read, provider());
            let found = (outcome(&estate, "ada", write, SUB), outcome(&estate, "ada", "Microsoft.Compute/virtualMachines/write", SUB));
            assert_eq!(found, (of_roles, of_others), "{path} {condition}");
        }
        let read = with(path, &json!("((("));
        assert!(read.faults[0].to_string().starts_with("deny assignment locked: the condition `(((` cannot be read"), "{}", read.faults[0]);
        assert_eq!(outcome(&Estate::new(read, provider()), "ada", write, SUB), Outcome::Conditional);
    }
}

#[test]
fn what_is_eligible_depends_on_activation() {
    let eligible = json!({"value": [{"type": "Microsoft.Authorization/roleEligibilityScheduleInstances", "properties": {"principalId": "ada", "principalType": "User",
        "roleDefinitionId": format!("x/{OWNER}"), "scope": SUB}}]});
    let estate = estate(&[eligible]);
    let verdict = estate.can("ada", &action("Microsoft.Compute/virtualMachines/write"), "/subscriptions/s1", &[]).unwrap();
    assert_eq!(verdict.outcome, Outcome::Conditional);
    assert_eq!(verdict.causes[0].depends_on, ["eligible, once activated"]);
    assert_eq!(goals(&estate, "ada"), Vec::<String>::new());
}

#[test]
fn a_condition_narrows_the_actions_that_it_names() {
    let mut constrained = assigned("ada", OWNER, SUB);
    constrained["condition"] = json!(
        "((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {acdd72a7-3385-48ef-bd42-f606fba81ae7}))"
    );
    let estate = estate(&[json!([constrained])]);
    assert_eq!(outcome(&estate, "ada", "Microsoft.Compute/virtualMachines/write", SUB), Outcome::Allowed);
    assert_eq!(outcome(&estate, "ada", "Microsoft.Authorization/roleAssignments/write", SUB), Outcome::Conditional);
}

#[test]
fn custom_roles_are_read_and_unknown_ones_are_told() {
    let role = json!([{"name": "r-1", "roleName": "Restarter", "roleType": "CustomRole", "assignableScopes": [SUB],
        "permissions": [{"actions": ["Microsoft.Compute/virtualMachines/*"], "notActions": ["Microsoft.Compute/virtualMachines/delete"], "dataActions": [], "notDataActions": []}]}]);
    let custom = estate(&[role, json!([assigned("ada", "r-1", SUB)])]);
    assert_eq!(outcome(&custom, "ada", "Microsoft.Compute/virtualMachines/restart/action", SUB), Outcome::Allowed);
    assert_eq!(outcome(&custom, "ada", "Microsoft.Compute/virtualMachines/delete", SUB), Outcome::ImplicitlyDenied);
    let missing = snapshot(&[json!([assigned("ada", "gone", SUB)])]);
    assert_eq!(missing.faults.len(), 1);
    assert!(missing.faults[0].reason.contains("`gone` is not in the snapshot"), "{}", missing.faults[0]);
}

#[test]
fn nested_groups_count_and_a_cycle_is_told() {
    let mut held = assigned("g1", READER, SUB);
    held["principalType"] = json!("Group");
    let groups = json!([
        {"id": "g1", "displayName": "ops", "securityEnabled": true, "members": [{"id": "g2"}]},
        {"id": "g2", "displayName": "night", "securityEnabled": true, "members": [{"id": "ada"}, {"id": "g1"}]}]);
    let users = json!([{"id": "ada", "userPrincipalName": "ada@corp.example"}]);
    let read = snapshot(&[json!([held]), groups, users]);
    assert_eq!(read.faults.len(), 1);
    assert!(read.faults[0].reason.contains("cycle"), "{}", read.faults[0]);
    let estate = Estate::new(read, provider());
    assert_eq!(outcome(&estate, "ada", "Microsoft.Compute/virtualMachines/read", SUB), Outcome::Allowed);
}

fn machine(id: &str, identity: &str) -> Value {
    json!({"id": format!("{SUB}/resourceGroups/shop/providers/{id}"), "type": "x", "identity": {"type": "SystemAssigned", "principalId": identity}})
}

#[test]
fn whoever_runs_commands_on_a_machine_is_its_identity() {
    let files = |role: &str| {
        [
            json!([assigned("ada", role, "/subscriptions/S1/resourceGroups/shop"), assigned("mi", OWNER, SUB)]),
            json!([machine("Microsoft.Compute/virtualMachines/web", "mi")]),
        ]
    };
    let open = estate(&files(CONTRIBUTOR));
    let found = reaches(&open, "ada@corp.example");
    let path = found.iter().find(|one| one.reaches == "/subscriptions/s1").unwrap();
    assert_eq!(path.hops[0].to, "managedIdentity:mi@corp.example");
    assert_eq!(path.hops[0].actions, ["control:Microsoft.Compute/virtualMachines/runCommand/action"]);
    assert_eq!(path.hops[1].to, "/subscriptions/s1");
    assert!(path.hops.iter().all(|hop| !hop.statements.is_empty()));
    // A reader runs nothing.
    assert_eq!(goals(&estate(&files(READER)), "ada@corp.example"), Vec::<String>::new());
}

fn application(owner: &str) -> [Value; 4] {
    [
        json!([{"id": "app-1", "appId": "a-1", "passwordCredentials": [], "owners": [{"id": owner}]}]),
        json!([{"id": "sp-1", "appId": "a-1", "servicePrincipalType": "Application", "displayName": "deployer",
            "appRoleAssignments": [{"principalId": "sp-1", "resourceId": "graph", "appRoleId": "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8"}]}]),
        json!([{"id": "ada", "userPrincipalName": "ada@corp.example"}, {"id": "eve", "userPrincipalName": "eve@corp.example"}]),
        json!({"directoryRoleAssignments": [{"principalId": "root", "roleDefinitionId": GLOBAL, "directoryScopeId": "/"}]}),
    ]
}

#[test]
fn an_owner_of_an_application_takes_its_permissions() {
    let estate = estate(&application("ada"));
    let found = reaches(&estate, "ada@corp.example");
    assert_eq!(found[0].reaches, ADMINISTRATOR);
    assert_eq!(found[0].hops[0].to, "servicePrincipal:deployer");
    assert_eq!(found[0].hops[1].actions, ["graph:RoleManagement.ReadWrite.Directory"]);
    assert_eq!(goals(&estate, "eve@corp.example"), Vec::<String>::new());
    assert!(reaches(&estate, "root")[0].hops.is_empty());
}

#[test]
fn a_password_is_reset_for_those_who_hold_no_role() {
    let helpdesk = "729827e3-9c14-49f7-bb1b-9608f156bbb8";
    let privileged = "7be44c8a-adaf-4e2a-84d6-ab2649e08a13";
    let files = |role: &str| {
        [
            json!([{"id": "ada", "userPrincipalName": "ada@corp.example"}, {"id": "root", "userPrincipalName": "root@corp.example"}]),
            json!({"directoryRoleAssignments": [{"principalId": "root", "roleDefinitionId": GLOBAL, "directoryScopeId": "/"}, {"principalId": "ada", "roleDefinitionId": role, "directoryScopeId": "/"}]}),
        ]
    };
    assert_eq!(goals(&estate(&files(helpdesk)), "ada@corp.example"), Vec::<String>::new());
    assert_eq!(goals(&estate(&files(privileged)), "ada@corp.example"), [ADMINISTRATOR]);
}

#[test]
fn a_role_at_a_unit_is_about_its_members() {
    let users = || json!([{"id": "ada", "userPrincipalName": "ada@corp.example"}, {"id": "bob", "userPrincipalName": "bob@corp.example"}, {"id": "cy", "userPrincipalName": "cy@corp.example"}]);
    let roles = json!({"directoryRoleAssignments": [{"principalId": "ada", "roleDefinitionId": "729827e3-9c14-49f7-bb1b-9608f156bbb8", "directoryScopeId": "/administrativeUnits/AU1"}]});
    let units = json!({"administrativeUnits": [{"id": "au1", "displayName": "shop", "members": [{"id": "bob"}]}]});
    let unit = estate(&[users(), roles.clone(), units]);
    let may = |on: &str| unit.can("ada@corp.example", "directory:microsoft.directory/users/password/update", on, &[]).unwrap().outcome;
    assert_eq!((may("bob@corp.example"), may("cy@corp.example")), (Outcome::Allowed, Outcome::ImplicitlyDenied));
    assert!(snapshot(&[users(), roles]).faults[0].reason.contains("/administrativeunits/au1"));
}

#[test]
fn a_group_that_roles_are_assigned_to_is_guarded() {
    let groups_administrator = "fdd7a751-b60b-444a-984c-02652fe8fa1c";
    let files = |assignable: bool, owner: Value| {
        [
            json!([{"id": "ada", "userPrincipalName": "ada@corp.example"}]),
            json!([{"id": "g1", "displayName": "tier0", "securityEnabled": true, "isAssignableToRole": assignable, "members": [], "owners": owner}]),
            json!({"directoryRoleAssignments": [{"principalId": "ada", "roleDefinitionId": groups_administrator, "directoryScopeId": "/"}, {"principalId": "g1", "roleDefinitionId": GLOBAL, "directoryScopeId": "/"}]}),
        ]
    };
    assert_eq!(goals(&estate(&files(true, json!([]))), "ada@corp.example"), Vec::<String>::new());
    assert_eq!(goals(&estate(&files(true, json!([{"id": "ada"}]))), "ada@corp.example"), [ADMINISTRATOR]);
    assert_eq!(goals(&estate(&files(false, json!([]))), "ada@corp.example"), [ADMINISTRATOR]);
}

#[test]
fn data_of_a_vault_is_reached_by_its_access_policies() {
    let vault = json!([{"id": "/subscriptions/S1/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/kv", "type": "Microsoft.KeyVault/vaults"}]);
    let estate = estate(&[vault, json!([assigned("ada", CONTRIBUTOR, SUB), assigned("bob", READER, SUB)])]);
    assert_eq!(goals(&estate, "ada@corp.example"), ["/subscriptions/s1/resourcegroups/shop/providers/microsoft.keyvault/vaults/kv/data"]);
    assert_eq!(goals(&estate, "bob@corp.example"), Vec::<String>::new());
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let read = snapshot(&[json!([assigned("ada", READER, SUB), {"principalId": "x", "roleDefinitionId": "y"}, {"what": 1}, 7])]);
    let told: Vec<String> = read.faults.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].starts_with("0.json[1]: `scope` is missing") && told[1].starts_with("0.json[2]: ") && told[2].starts_with("0.json[3]: is not an object"),
        "{told:?}"
    );
    assert_eq!(read.principals.iter().filter(|one| one.name == "ada@corp.example").count(), 1);
}
