//! From one system into another, by tokens: what is trusted is entered, what is not stays closed.

use std::sync::Arc;

use serde_json::{Value, json};
use weft_connectors::systems::Collectors;
use weft_identity::entitlement::escalation::{ADMINISTRATOR, Escalation};
use weft_identity::entitlement::federation::{across, strangers};
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules};

const ROLE: &str = "arn:aws:iam::111111111111:role/deploy";
const HOST: &str = "token.actions.githubusercontent.com";

pub(crate) fn estates(files: &[Value]) -> Vec<Estate> {
    let mut collectors = Collectors::default();
    files.iter().enumerate().for_each(|(number, file)| collectors.add(&format!("{number}.json"), file));
    let (read, faults) = collectors.finish();
    assert_eq!(faults, []);
    let provider = |system: &weft_connectors::systems::System| Provider {
        catalogue: Arc::new(Catalogue::new((system.actions)())),
        rules: Arc::new(Rules::read(system.rules).unwrap()),
        ..Provider::default()
    };
    read.into_iter().map(|(system, snapshot)| Estate::new(snapshot, provider(&system))).collect()
}

/// A role that may do everything, with who may assume it.
fn account(trust: Value) -> Value {
    let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    json!({"UserDetailList": [], "GroupDetailList": [], "Policies": [], "RoleDetailList": [{"RoleName": "deploy", "RoleId": "AROA1", "Arn": ROLE, "Path": "/",
        "AttachedManagedPolicies": [], "RolePolicyList": [{"PolicyName": "all", "PolicyDocument": all}], "InstanceProfileList": [],
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]}}]})
}

fn web(host: &str, condition: Value) -> Value {
    json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": format!("arn:aws:iam::111111111111:oidc-provider/{host}")}, "Condition": condition})
}

fn corp(protected: bool) -> Value {
    let protection = if protected {
        json!({"main": {"required_pull_request_reviews": {"required_approving_review_count": 1}, "enforce_admins": {"enabled": true}}})
    } else {
        json!({})
    };
    json!({"organization": "corp", "members": [{"login": "root", "role": "admin"}], "teams": [],
        "repositories": [{"full_name": "corp/shop", "default_branch": "main", "branch_protection": protection,
            "collaborators": [{"login": "ada", "role_name": "write"}, {"login": "eve", "role_name": "read"}, {"login": "adm", "role_name": "admin"}]}]})
}

fn of<'f>(found: &'f [Escalation], principal: &str) -> Vec<&'f Escalation> {
    found.iter().filter(|one| one.principal == principal).collect()
}

#[test]
fn whoever_pushes_a_workflow_is_the_role_that_trusts_it() {
    let trust = web(HOST, json!({"StringEquals": {format!("{HOST}:aud"): "sts.amazonaws.com"}, "StringLike": {format!("{HOST}:sub"): "repo:corp/shop:*"}}));
    let found = across(&estates(&[corp(false), account(trust)]));
    let path = of(&found, "ada")[0];
    assert_eq!(path.reaches, ADMINISTRATOR);
    let hops: Vec<(&str, &str)> = path.hops.iter().map(|hop| (hop.from.as_str(), hop.to.as_str())).collect();
    assert_eq!(hops, [("ada", "workflow:corp/shop"), ("workflow:corp/shop", ROLE)]);
    assert_eq!(path.hops[1].actions, ["sts:AssumeRoleWithWebIdentity"]);
    assert!(path.hops.iter().all(|hop| !hop.statements.is_empty()));
    assert!(of(&found, "eve").is_empty(), "who only reads pushes nothing");
    assert_eq!(of(&found, "root")[0].hops[0].capabilities, ["administrator"]);
}

#[test]
fn a_protected_branch_is_trusted_without_those_who_cannot_push_it() {
    let trust = || web(HOST, json!({"StringEquals": {format!("{HOST}:sub"): "repo:corp/shop:ref:refs/heads/main"}}));
    assert!(!of(&across(&estates(&[corp(false), account(trust())])), "ada").is_empty());
    let guarded = across(&estates(&[corp(true), account(trust())]));
    assert!(of(&guarded, "ada").is_empty());
    assert_eq!(of(&guarded, "adm")[0].hops[0].capabilities, ["edit-guard"]);
}

#[test]
fn a_trust_of_a_branch_or_environment_of_any_repository_is_entered_where_it_is_open() {
    for rest in ["ref:refs/heads/main", "ref:refs/heads/ma*", "environment:prod"] {
        let trust = || web(HOST, json!({"StringLike": {format!("{HOST}:sub"): format!("repo:corp/*:{rest}")}}));
        let open = across(&estates(&[corp(false), account(trust())]));
        assert_eq!(of(&open, "ada").first().map(|path| path.reaches.as_str()), Some(ADMINISTRATOR), "{rest}");
        assert!(of(&open, "eve").is_empty(), "{rest}");
    }
    let subject = |value: &str| web(HOST, json!({"StringLike": {format!("{HOST}:sub"): value}}));
    let guarded = across(&estates(&[corp(true), account(subject("repo:corp/*:ref:refs/heads/main"))]));
    assert!(of(&guarded, "ada").is_empty() && !of(&guarded, "adm").is_empty());
    for other in ["repo:bank/*:ref:refs/heads/main", "repo:corp/b*:environment:prod", "repo:corp/shops:*"] {
        assert_eq!(across(&estates(&[corp(false), account(subject(other))])), [], "{other}");
    }
}

#[test]
fn rulesets_leave_open_what_they_exclude() {
    let guarded = |include: &str, exclude: &str| {
        let mut corp = corp(false);
        corp["repositories"][0]["rulesets"] = json!([{"target": "branch", "enforcement": "active", "rules": [{"type": "pull_request", "parameters": {"required_approving_review_count": 1}}],
            "conditions": {"ref_name": {"include": [include], "exclude": [exclude]}}, "bypass_actors": []}]);
        corp
    };
    let enters = |corp: Value, rest: &str| {
        let trust = web(HOST, json!({"StringLike": {format!("{HOST}:sub"): format!("repo:corp/shop:{rest}")}}));
        !of(&across(&estates(&[corp, account(trust)])), "ada").is_empty()
    };
    for (include, exclude, rest, open) in [
        ("~ALL", "", "ref:refs/heads/main", false),
        ("~ALL", "", "ref:refs/heads/feature", false),
        ("~ALL", "", "pull_request", false),
        ("~ALL", "", "ref:refs/tags/v1", true),
        ("~ALL", "refs/heads/dev/*", "ref:refs/heads/dev/a", true),
        ("~ALL", "refs/heads/dev/*", "ref:refs/heads/dev/a/b", false),
        ("~ALL", "refs/heads/dev/*", "ref:refs/heads/main", false),
        ("~DEFAULT_BRANCH", "refs/heads/main", "ref:refs/heads/main", true),
        ("refs/heads/release/*", "", "ref:refs/heads/release/1", false),
        ("refs/heads/release/*", "", "ref:refs/heads/release/1/2", true),
        ("refs/heads/release/*", "refs/heads/release/x", "ref:refs/heads/release/x", true),
        ("refs/heads/release/*", "", "ref:refs/heads/other", true),
    ] {
        assert_eq!(enters(guarded(include, exclude), rest), open, "{include} without `{exclude}`: {rest}");
    }
}

#[test]
fn an_environment_is_entered_from_the_branches_that_may_deploy() {
    let trust = || web(HOST, json!({"StringEquals": {format!("{HOST}:sub"): "repo:corp/shop:environment:prod"}}));
    let with = |protected: bool, names: &[&str]| {
        let mut corp = corp(protected);
        let policies: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        corp["repositories"][0]["environments"] =
            json!([{"name": "prod", "deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true}, "branch_policies": policies}]);
        across(&estates(&[corp, account(trust())]))
    };
    let found = with(false, &["main"]);
    let hops: Vec<&str> = of(&found, "ada")[0].hops.iter().map(|hop| hop.to.as_str()).collect();
    assert_eq!(hops, ["workflow:corp/shop", "workflow:corp/shop#prod", ROLE]);
    assert!(of(&with(true, &["main"]), "ada").is_empty());
    assert!(!of(&with(true, &["main", "hotfix/*"]), "ada").is_empty());
    assert_eq!(of(&with(true, &["main"]), "adm")[0].hops[0].capabilities, ["edit-guard"]);
}

#[test]
fn another_repository_is_not_trusted() {
    let trust = web(HOST, json!({"StringLike": {format!("{HOST}:sub"): "repo:corp/bank:*"}}));
    assert_eq!(across(&estates(&[corp(false), account(trust)])), []);
}

#[test]
fn a_subject_that_is_too_wide_lets_strangers_in() {
    let with = |condition: Value| strangers(&estates(&[account(web(HOST, condition))])[0]).into_iter().map(|one| one.reaches).collect::<Vec<_>>();
    let audience = json!({"StringEquals": {format!("{HOST}:aud"): "sts.amazonaws.com"}});
    assert_eq!(with(audience), [ROLE, ADMINISTRATOR]);
    assert_eq!(with(json!({"StringLike": {format!("{HOST}:sub"): "repo:*"}})), [ROLE, ADMINISTRATOR]);
    assert_eq!(with(json!({"StringLike": {format!("{HOST}:sub"): "repo:corp/*"}})), Vec::<String>::new());
    assert_eq!(with(json!({"StringEquals": {format!("{HOST}:repository_owner"): "corp"}})), Vec::<String>::new());
}

#[test]
fn a_service_account_is_the_role_that_trusts_it() {
    let issuer = "oidc.eks.eu-west-1.amazonaws.com/id/ABC";
    let account_of = |name: &str, annotations: Value| json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "shop", "annotations": annotations}});
    let cluster = json!({"apiVersion": "v1", "kind": "List", "items": [
        account_of("app", json!({"eks.amazonaws.com/role-arn": ROLE})), account_of("other", json!({"eks.amazonaws.com/role-arn": ROLE})), account_of("plain", json!({})),
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "run", "namespace": "shop"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b", "namespace": "shop"}, "roleRef": {"kind": "Role", "name": "run"}, "subjects": [{"kind": "User", "name": "ada"}]}]});
    let trust = web(issuer, json!({"StringEquals": {format!("{issuer}:sub"): "system:serviceaccount:shop:app", format!("{issuer}:aud"): "sts.amazonaws.com"}}));
    let found = across(&estates(&[cluster, account(trust)]));
    assert_eq!(of(&found, "system:serviceaccount:shop:app")[0].reaches, ADMINISTRATOR);
    assert!(of(&found, "system:serviceaccount:shop:other").is_empty(), "the trust names another one");
    let path = of(&found, "ada")[0];
    assert_eq!((path.hops.len(), path.hops[0].capabilities[0].as_str()), (2, "create-pod"));
}

#[test]
fn a_pod_identity_is_the_role_that_its_service_may_assume() {
    let cluster = || json!({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": "shop"}}]});
    let association = || json!({"association": {"clusterName": "c", "namespace": "shop", "serviceAccount": "app", "roleArn": ROLE}});
    let service = |name: &str| json!({"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": {"Service": name}});
    let found = across(&estates(&[cluster(), association(), account(service("pods.eks.amazonaws.com"))]));
    assert_eq!(of(&found, "system:serviceaccount:shop:app")[0].reaches, ADMINISTRATOR);
    assert_eq!(across(&estates(&[cluster(), association(), account(service("ec2.amazonaws.com"))])), []);
}

#[test]
fn a_federated_credential_lets_a_workflow_be_an_application() {
    let application = |subject: &str| {
        json!({"applications": [{"id": "app-1", "appId": "a-1", "passwordCredentials": [], "federatedIdentityCredentials": [{"issuer": format!("https://{HOST}"), "subject": subject, "audiences": ["api://AzureADTokenExchange"]}]}],
            "servicePrincipals": [{"id": "sp-1", "appId": "a-1", "servicePrincipalType": "Application", "displayName": "deployer"}],
            "roleAssignments": [{"principalId": "sp-1", "principalType": "ServicePrincipal", "roleDefinitionId": "x/8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "scope": "/subscriptions/s1"}]})
    };
    let found = across(&estates(&[corp(false), application("repo:corp/shop:ref:refs/heads/main")]));
    assert_eq!(of(&found, "ada")[0].reaches, "/subscriptions/s1");
    assert_eq!(of(&found, "ada")[0].hops[1].to, "servicePrincipal:deployer");
    assert_eq!(across(&estates(&[corp(false), application("repo:corp/bank:ref:refs/heads/main")])), []);
}

#[test]
fn a_pool_lets_a_repository_be_a_service_account() {
    let pool = "projects/11/locations/global/workloadIdentityPools/ci";
    let cloud = |repository: &str| {
        json!({"iamPolicies": [
            {"resource": "//cloudresourcemanager.googleapis.com/projects/shop", "policy": {"bindings": [{"role": "roles/owner", "members": ["serviceAccount:bot@shop.iam.gserviceaccount.com"]}]}},
            {"resource": "//iam.googleapis.com/projects/shop/serviceAccounts/bot@shop.iam.gserviceaccount.com", "policy": {"bindings": [{"role": "roles/iam.workloadIdentityUser",
                "members": [format!("principalSet://iam.googleapis.com/{pool}/attribute.repository/{repository}")]}]}}],
            "workloadIdentityPoolProviders": [{"name": format!("{pool}/providers/gh"), "oidc": {"issuerUri": format!("https://{HOST}")},
                "attributeMapping": {"google.subject": "assertion.sub", "attribute.repository": "assertion.repository"}, "attributeCondition": "assertion.repository_owner == 'corp'"}]})
    };
    let found = across(&estates(&[corp(false), cloud("corp/shop")]));
    assert_eq!(of(&found, "ada")[0].reaches, "projects/shop", "{found:?}");
    assert_eq!(across(&estates(&[corp(false), cloud("corp/bank")])), []);
    assert_eq!(strangers(&estates(&[cloud("corp/shop")])[0]), []);
}
