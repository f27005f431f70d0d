use std::sync::Arc;

use serde_json::{Value, json};
use weft_identity::entitlement::escalation::{ADMINISTRATOR, Explorer};
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules};
use weft_model::entitlement::Outcome;

use super::*;

fn read(value: &Value) -> Estate {
    assert!(is_one(value));
    let mut collector = Collector::default();
    collector.add("corp.json", value);
    let snapshot = collector.finish();
    assert_eq!(snapshot.faults, []);
    Estate::new(snapshot, Provider { catalogue: Arc::new(Catalogue::new(actions())), rules: Arc::new(Rules::read(RULES).unwrap()), ..Provider::default() })
}

fn may(estate: &Estate, who: &str, action: &str, on: &str) -> bool {
    estate.can(who, action, on, &[]).unwrap().outcome == Outcome::Allowed
}

fn corp(repository: Value) -> Value {
    json!({"organization": {"login": "corp", "default_repository_permission": "read"},
        "members": [{"login": "root", "role": "admin"}, {"login": "ada", "role": "member"}, {"login": "bob", "role": "member"}],
        "teams": [{"id": 7, "slug": "platform", "members": [{"login": "bob"}], "repositories": [{"name": "shop", "role_name": "push"}]},
                  {"id": 8, "slug": "night", "parent": {"slug": "platform"}, "members": [{"login": "cy", "role": "maintainer"}], "repositories": []}],
        "repositories": [repository]})
}

fn shop(more: Value) -> Value {
    let mut repository = json!({"full_name": "corp/shop", "default_branch": "main", "collaborators": [{"login": "eve", "role_name": "admin"}], "keys": []});
    repository.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    repository
}

#[test]
fn the_rules_name_actions_that_exist() {
    let catalogue = Catalogue::new(actions());
    assert_eq!(Rules::read(RULES).unwrap().unknown(&catalogue), Vec::<String>::new());
}

#[test]
fn base_permission_teams_and_collaborators_go_together() {
    let estate = read(&corp(shop(json!({}))));
    assert!(may(&estate, "ada", "contents:read", "corp/shop") && !may(&estate, "ada", "contents:write", "corp/shop"));
    assert!(may(&estate, "bob", "contents:write", "corp/shop") && !may(&estate, "bob", "administration:write", "corp/shop"));
    assert!(may(&estate, "cy", "contents:write", "corp/shop"), "from the team above");
    assert!(may(&estate, "eve", "administration:write", "corp/shop") && !may(&estate, "eve", "members:write", "corp"));
    assert_eq!(Explorer::new(&estate).from("root")[0].reaches, ADMINISTRATOR);
}

#[test]
fn custom_roles_have_their_base_and_unknown_ones_are_told() {
    let mut world = corp(json!({"full_name": "corp/shop", "default_branch": "main", "collaborators": [{"login": "eve", "role_name": "releaser"}]}));
    world["custom_repository_roles"] = json!([{"name": "releaser", "base_role": "write", "permissions": ["manage_webhooks"]}]);
    let estate = read(&world);
    assert!(
        may(&estate, "eve", "contents:write", "corp/shop")
            && may(&estate, "eve", "hooks:write", "corp/shop")
            && !may(&estate, "eve", "secrets:write", "corp/shop")
    );
    world["custom_repository_roles"] = json!([]);
    let mut collector = Collector::default();
    collector.add("corp.json", &world);
    assert!(collector.finish().faults[0].reason.contains("the role `releaser` on `corp/shop`"));
}

#[test]
fn a_protected_branch_is_pushed_by_those_who_pass() {
    let reviewed = json!({"main": {"required_pull_request_reviews": {"required_approving_review_count": 1, "bypass_pull_request_allowances": {"users": [], "teams": [{"slug": "night"}], "apps": []}},
        "enforce_admins": {"enabled": true}}});
    let estate = read(&corp(shop(json!({"branch_protection": reviewed}))));
    assert!(may(&estate, "cy", "branch:push", "corp/shop@main"));
    assert!(!may(&estate, "bob", "branch:push", "corp/shop@main") && !may(&estate, "eve", "branch:push", "corp/shop@main"));
    assert!(may(&estate, "eve", "administration:write", "corp/shop@main"), "who may edit the guard");
}

#[test]
fn rulesets_are_passed_by_their_actors() {
    let rules = |enforcement: &str| {
        json!([{"target": "branch", "enforcement": enforcement, "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"]}},
            "rules": [{"type": "pull_request", "parameters": {"required_approving_review_count": 2}}], "bypass_actors": [{"actor_id": 7, "actor_type": "Team"}, {"actor_type": "DeployKey"}]}])
    };
    let keys = json!([{"title": "ci", "read_only": false}, {"title": "mirror", "read_only": true}]);
    let active = read(&corp(shop(json!({"rulesets": rules("active"), "keys": keys}))));
    assert!(may(&active, "bob", "branch:push", "corp/shop@main") && may(&active, "key:corp/shop/ci", "branch:push", "corp/shop@main"));
    assert!(!active.principals().any(|name| name == "key:corp/shop/mirror"));
    let off = read(&corp(shop(json!({"rulesets": rules("disabled")}))));
    assert!(!off.principals().any(|name| name == "workflow:corp/shop@main"));
}

#[test]
fn applications_have_what_their_installation_says() {
    let mut world = corp(shop(json!({})));
    world["installations"] = json!([
        {"app_id": 1, "app_slug": "deployer", "permissions": {"contents": "write", "metadata": "read"}, "repository_selection": "selected", "repositories": [{"name": "other"}]},
        {"app_id": 2, "app_slug": "manager", "permissions": {"members": "write", "organization_administration": "write"}, "repository_selection": "all"}]);
    let estate = read(&world);
    assert!(may(&estate, "app:deployer", "contents:write", "corp/other") && !may(&estate, "app:deployer", "contents:write", "corp/shop"));
    assert_eq!(Explorer::new(&estate).from("app:manager")[0].reaches, ADMINISTRATOR);
    assert!(Explorer::new(&estate).from("app:deployer").is_empty());
}
