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

#[test]
fn a_bypass_is_the_same_by_id_and_by_slug() {
    let ruleset = json!([{"target": "branch", "enforcement": "active", "conditions": {"ref_name": {"include": ["refs/heads/main"], "exclude": []}},
        "rules": [{"type": "update"}], "bypass_actors": [{"actor_id": 7, "actor_type": "Team"}, {"actor_id": 1, "actor_type": "Integration"}, {"actor_id": 5, "actor_type": "User"}]}]);
    let classic = json!({"main": {"restrictions": {"users": [{"login": "ada", "id": 4}], "teams": [{"slug": "platform"}], "apps": [{"slug": "deployer"}]}, "enforce_admins": true}});
    let mut world = corp(shop(json!({"rulesets": ruleset, "branch_protection": classic})));
    world["installations"] = json!([{"app_id": 1, "app_slug": "deployer", "permissions": {"contents": "write"}, "repository_selection": "all"},
        {"app_id": 2, "app_slug": "other", "permissions": {"contents": "write"}, "repository_selection": "all"}]);
    world["members"] = json!([{"login": "ada", "id": 4, "role": "member"}, {"login": "dan", "id": 5, "role": "member"}]);
    let estate = read(&world);
    let passes = |who: &str| may(&estate, who, "branch:push", "corp/shop@main");
    assert!(passes("bob") && passes("cy") && passes("app:deployer"));
    assert!(!passes("ada") && !passes("dan") && !passes("app:other") && !passes("eve"), "who passes one guard alone");
    // The ruleset lets a user pass, the protection lets a team of hers.
    world["repositories"][0]["rulesets"][0]["bypass_actors"] = json!([{"actor_id": 6, "actor_type": "User"}]);
    world["teams"][0]["members"] = json!([{"login": "bob", "id": 6}]);
    let estate = read(&world);
    assert!(may(&estate, "bob", "branch:push", "corp/shop@main") && !may(&estate, "cy", "branch:push", "corp/shop@main"));
}

#[test]
fn roles_are_those_of_all_files() {
    let ruleset = json!([{"target": "branch", "enforcement": "active", "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"]}},
        "rules": [{"type": "update"}], "bypass_actors": [{"actor_id": 4, "actor_type": "RepositoryRole"}, {"actor_id": 9, "actor_type": "RepositoryRole"}]}]);
    let repositories = json!({"organization": {"login": "corp"}, "repositories": [shop(json!({"rulesets": ruleset, "collaborators": [{"login": "fay", "role_name": "releaser"}]}))]});
    let teams = json!({"organization": {"login": "corp"}, "custom_repository_roles": [{"id": 9, "name": "releaser", "base_role": "write", "permissions": []}],
        "teams": [{"id": 7, "slug": "platform", "members": [{"login": "bob"}], "repositories": [{"name": "shop", "role_name": "push"}]}]});
    let base = json!({"organization": {"login": "corp", "default_repository_permission": "write"}, "members": [{"login": "gil", "role": "member"}]});
    for order in [[&repositories, &teams, &base], [&base, &teams, &repositories]] {
        let mut collector = Collector::default();
        order.into_iter().for_each(|file| collector.add("a.json", file));
        let snapshot = collector.finish();
        assert_eq!(snapshot.faults, []);
        let rules = Arc::new(Rules::read(RULES).unwrap());
        let estate = Estate::new(snapshot, Provider { catalogue: Arc::new(Catalogue::new(actions())), rules, ..Provider::default() });
        assert!(["bob", "fay", "gil"].iter().all(|who| may(&estate, who, "branch:push", "corp/shop@main")));
    }
}

fn ruleset(include: Value, exclude: Value, rules: Value) -> Value {
    json!([{"target": "branch", "enforcement": "active", "conditions": {"ref_name": {"include": include, "exclude": exclude}}, "rules": rules,
        "bypass_actors": [{"actor_id": 5, "actor_type": "RepositoryRole"}]}])
}

fn reviewed() -> Value {
    json!([{"type": "pull_request", "parameters": {"required_approving_review_count": 1}}])
}

fn workflows(estate: &Estate) -> Vec<&str> {
    estate.principals().filter_map(|name| name.strip_prefix("workflow:corp/shop")).collect()
}

#[test]
fn a_ruleset_guards_what_it_includes_and_does_not_exclude() {
    let guarded = |include: Value, exclude: Value, rules: Value| {
        let estate = read(&corp(shop(json!({"rulesets": ruleset(include, exclude, rules)}))));
        workflows(&estate).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(guarded(json!(["~DEFAULT_BRANCH"]), json!([]), reviewed()), ["", "@main"]);
    assert_eq!(guarded(json!(["~DEFAULT_BRANCH"]), json!(["refs/heads/ma*"]), reviewed()), [""]);
    assert_eq!(guarded(json!(["~ALL"]), json!([]), reviewed()), ["", "@main", "@~ALL"]);
    assert_eq!(guarded(json!(["~ALL"]), json!(["~DEFAULT_BRANCH"]), reviewed()), ["", "@~ALL"]);
    assert_eq!(guarded(json!(["~ALL"]), json!([]), json!([{"type": "update"}])), ["", "@main"], "anybody makes a new branch");
    assert_eq!(guarded(json!(["refs/heads/release/*"]), json!([]), json!([{"type": "update"}, {"type": "creation"}])), ["", "@release/*"]);
}

#[test]
fn an_environment_is_deployed_to_from_the_branches_of_its_policy() {
    let admin = json!({"main": {"required_pull_request_reviews": {"required_approving_review_count": 1}}});
    let read = |policy: Value, more: Value, protection: &Value| {
        let mut environment = json!({"name": "prod", "deployment_branch_policy": policy});
        environment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(&corp(shop(json!({"branch_protection": protection, "environments": [environment]}))))
    };
    let deploys = |estate: &Estate, who: &str| may(estate, who, "environment:deploy", "corp/shop#prod");
    let protected = json!({"protected_branches": true, "custom_branch_policies": false});
    let custom = json!({"protected_branches": false, "custom_branch_policies": true});
    let named = |names: &[&str]| json!({"branch_policies": names.iter().map(|name| json!({"name": name, "type": "branch"})).collect::<Vec<_>>()});
    let (open, main) = ("workflow:corp/shop", "workflow:corp/shop@main");
    for (policy, more, protection, of_open, of_main) in [
        (&protected, json!({}), &admin, false, true),
        (&custom, named(&["main"]), &admin, false, true),
        (&custom, named(&["m*"]), &admin, true, true),
        (&custom, named(&["release/*"]), &admin, true, false),
        (&custom, json!({"branch_policies": [{"name": "v*", "type": "tag"}]}), &admin, true, false),
    ] {
        let estate = read(policy.clone(), more.clone(), protection);
        assert_eq!((deploys(&estate, open), deploys(&estate, main)), (of_open, of_main), "{policy} {more}");
    }
    assert_eq!(workflows(&read(protected.clone(), json!({}), &json!({}))), [""], "no branch is protected: all deploy");
    let reviewed = json!({"protection_rules": [{"type": "required_reviewers", "prevent_self_review": false,
        "reviewers": [{"type": "User", "reviewer": {"login": "bob"}}, {"type": "User", "reviewer": {"login": "ada"}}, {"type": "User", "reviewer": {"login": "eve"}}]}]});
    let anywhere = read(Value::Null, reviewed.clone(), &admin);
    assert!(deploys(&anywhere, "bob") && deploys(&anywhere, "eve") && !deploys(&anywhere, "ada"), "who approves must push as well");
    let both = read(protected, reviewed.clone(), &admin);
    assert!(deploys(&both, "eve") && !deploys(&both, "bob"), "who pushes no protected branch deploys nothing");
    let mut others = reviewed;
    others["protection_rules"][0]["prevent_self_review"] = json!(true);
    assert!(!deploys(&read(Value::Null, others, &admin), "bob"), "nobody approves alone");
    let mut collector = Collector::default();
    collector.add("corp.json", &corp(shop(json!({"environments": [{"name": "prod", "deployment_branch_policy": custom}]}))));
    assert!(collector.finish().faults[0].reason.contains("add its `branch_policies`"));
}
