use serde_json::json;
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules};
use weft_model::entitlement::Outcome;

use super::*;

fn role(kind: &str, namespace: &str, name: &str, rules: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": rules})
}

fn binding(kind: &str, namespace: &str, role: (&str, &str), subjects: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "b", "namespace": namespace},
        "roleRef": {"kind": role.0, "name": role.1}, "subjects": subjects})
}

fn snapshot(items: &[Value]) -> Snapshot {
    let mut collector = Collector::default();
    collector.add("cluster.json", &json!({"apiVersion": "v1", "kind": "List", "items": items}));
    collector.finish()
}

fn estate(items: &[Value]) -> Estate {
    let snapshot = snapshot(items);
    assert_eq!(snapshot.faults, []);
    Estate::new(snapshot, Provider { catalogue: Arc::new(Catalogue::default()), rules: Arc::new(Rules::read(RULES).unwrap()), ..Provider::default() })
}

fn may(estate: &Estate, who: &str, action: &str, on: &str) -> bool {
    estate.can(who, action, on, &[]).unwrap().outcome == Outcome::Allowed
}

const APP: &str = "system:serviceaccount:shop:app";

fn reader() -> Value {
    role("ClusterRole", "", "reader", json!([{"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "verbs": ["get", "list"]}]))
}

fn app() -> Value {
    json!([{"kind": "ServiceAccount", "name": "app", "namespace": "shop"}])
}

#[test]
fn a_role_permits_where_it_is_bound() {
    let here = estate(&[reader(), binding("RoleBinding", "shop", ("ClusterRole", "reader"), app())]);
    assert!(may(&here, APP, "core/pods:get", "shop/web") && may(&here, APP, "core/pods:list", "shop/"));
    assert!(!may(&here, APP, "core/pods:get", "bank/web") && !may(&here, APP, "core/pods:list", "*") && !may(&here, APP, "core/nodes:get", "/n1"));
    let everywhere = estate(&[reader(), binding("ClusterRoleBinding", "", ("ClusterRole", "reader"), app())]);
    assert!(may(&everywhere, APP, "core/pods:get", "bank/web") && may(&everywhere, APP, "apps/deployments:list", "*"));
    assert!(!may(&everywhere, APP, "core/pods:delete", "bank/web") && !may(&everywhere, APP, "core/pods/exec:get", "bank/web"));
}

#[test]
fn names_of_resources_narrow() {
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["db"], "verbs": ["get"]}]);
    let estate = estate(&[role("Role", "shop", "one", rules), binding("RoleBinding", "shop", ("Role", "one"), json!([{"kind": "User", "name": "ada"}]))]);
    assert!(may(&estate, "ada", "core/secrets:get", "shop/db"));
    assert!(!may(&estate, "ada", "core/secrets:get", "shop/key") && !may(&estate, "ada", "core/secrets:get", "shop/"));
}

#[test]
fn a_star_among_names_is_not_all_of_them() {
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["*"], "verbs": ["get"]}]);
    let estate = estate(&[role("Role", "shop", "one", rules), binding("RoleBinding", "shop", ("Role", "one"), json!([{"kind": "User", "name": "ada"}]))]);
    assert!(!may(&estate, "ada", "core/secrets:get", "shop/db") && !may(&estate, "ada", "core/secrets:get", "shop/"));
}

#[test]
fn wildcards_reach_parts_of_resources_and_urls_stand_apart() {
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["/metrics", "/healthz/*"], "verbs": ["get"]}]);
    let estate =
        estate(&[role("ClusterRole", "", "all", rules), binding("ClusterRoleBinding", "", ("ClusterRole", "all"), json!([{"kind": "Group", "name": "ops"}]))]);
    assert!(may(&estate, "group:ops", "core/pods/exec:create", "bank/web") && may(&estate, "group:ops", "url:get", "/healthz/etcd"));
    assert!(!may(&estate, "group:ops", "url:post", "/metrics"));
}

#[test]
fn groups_that_everybody_is_in_count_for_everybody() {
    let subjects = json!([{"kind": "Group", "name": "system:serviceaccounts:shop"}]);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "other", "namespace": "shop"}});
    let stranger = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "other", "namespace": "bank"}});
    let estate = estate(&[reader(), binding("ClusterRoleBinding", "", ("ClusterRole", "reader"), subjects), account, stranger]);
    let who: Vec<&str> = estate.who_can("core/pods:get", "bank/web", &[]).map(|(who, _)| who).collect();
    assert_eq!(who, ["group:system:serviceaccounts:shop", "system:serviceaccount:shop:other"]);
}

#[test]
fn what_cannot_be_read_costs_itself_alone() {
    let broken = role(
        "ClusterRole",
        "",
        "broken",
        json!([{"apiGroups": [""], "resources": "pods", "verbs": ["get"]}, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]),
    );
    let read = snapshot(&[
        broken,
        binding("ClusterRoleBinding", "", ("ClusterRole", "broken"), app()),
        binding("ClusterRoleBinding", "", ("ClusterRole", "gone"), json!([{"kind": "Robot", "name": "r"}])),
        json!({"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "p"}}),
    ]);
    let reasons: Vec<&str> = read.faults.iter().map(|fault| fault.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "`Gadget` says nothing of entitlements; wanted are roles, bindings and service accounts",
            "rule 1 of the ClusterRole `broken`: `resources` is not a list",
            "the ClusterRole `gone` is not in the snapshot: it permits nothing",
            "`Robot` is no kind of subject",
        ]
    );
    assert_eq!(read.principals.iter().find(|one| one.name == APP).unwrap().policies[0].statements.len(), 1);
}

fn bound_everywhere(rules: Value) -> Vec<Value> {
    vec![
        role("ClusterRole", "", "asked", rules),
        role("ClusterRole", "", "cluster-admin", json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["*"], "verbs": ["*"]}])),
        binding("ClusterRoleBinding", "", ("ClusterRole", "cluster-admin"), json!([{"kind": "ServiceAccount", "name": "root", "namespace": "kube-system"}])),
        binding("ClusterRoleBinding", "", ("ClusterRole", "asked"), app()),
    ]
}

fn bound_in(namespace: &str, rules: Value) -> Vec<Value> {
    let mut items = bound_everywhere(json!([]));
    items[3] = binding("RoleBinding", namespace, ("ClusterRole", "asked"), app());
    items[0] = role("ClusterRole", "", "asked", rules);
    items
}

fn reaches(items: &[Value]) -> Vec<(String, Vec<String>)> {
    let estate = estate(items);
    let found = weft_identity::entitlement::escalation::Explorer::new(&estate).from(APP);
    found.into_iter().map(|one| (one.reaches, one.hops.into_iter().flat_map(|hop| hop.capabilities.clone()).collect())).collect()
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}])
}

#[test]
fn whoever_makes_pods_is_every_account_there_and_the_node() {
    let everywhere = reaches(&bound_everywhere(rule("", "pods", &["create"])));
    assert!(everywhere.contains(&("administrator".to_owned(), vec!["create-pod".to_owned()])), "{everywhere:?}");
    let in_shop = reaches(&bound_in("shop", rule("", "pods", &["create"])));
    assert_eq!(in_shop[0], ("administrator".to_owned(), vec!["privileged-pod-unseen".to_owned(), "create-token".to_owned()]), "{in_shop:?}");
    assert_eq!(reaches(&bound_everywhere(rule("", "pods", &["get", "list", "delete"]))), []);
}

#[test]
fn pod_security_standards_close_the_way_to_the_node() {
    let namespace =
        |level: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"pod-security.kubernetes.io/enforce": level}}});
    let with = |level: &str| {
        let mut items = bound_in("shop", rule("", "pods", &["create"]));
        items.push(namespace(level));
        reaches(&items).into_iter().map(|(goal, _)| goal).collect::<Vec<_>>()
    };
    assert_eq!(with("restricted"), Vec::<String>::new());
    assert_eq!(with("privileged")[0], "administrator");
}

#[test]
fn bindings_need_the_verb_that_lets_them_give_more() {
    let rbac = "rbac.authorization.k8s.io";
    let create = |more: Value| {
        let mut rules = rule(rbac, "clusterrolebindings", &["create"]);
        rules.as_array_mut().unwrap().extend(more.as_array().unwrap().clone());
        reaches(&bound_everywhere(rules))
    };
    assert_eq!(create(json!([])), []);
    assert_eq!(create(rule(rbac, "clusterroles", &["bind"]))[0].0, "administrator");
    assert_eq!(create(json!([{"apiGroups": [rbac], "resources": ["clusterroles"], "verbs": ["bind"], "resourceNames": ["view"]}])), []);
    let in_shop = |verb: &str| {
        let mut rules = rule(rbac, "rolebindings", &["create"]);
        rules.as_array_mut().unwrap().extend(rule(rbac, "roles", &[verb]).as_array().unwrap().clone());
        reaches(&bound_in("shop", rules))
    };
    assert!(in_shop("bind").iter().any(|(goal, _)| goal == "namespace:shop" || goal == "administrator"), "{:?}", in_shop("bind"));
    assert_eq!(in_shop("get"), []);
    let named = |name: &str| {
        let mut rules = rule(rbac, "rolebindings", &["create"]);
        rules.as_array_mut().unwrap().push(json!({"apiGroups": [rbac], "resources": ["clusterroles"], "verbs": ["bind"], "resourceNames": [name]}));
        reaches(&bound_in("shop", rules))
    };
    assert!(!named("admin").is_empty() && named("view").is_empty(), "{:?} {:?}", named("admin"), named("view"));
}

#[test]
fn exec_is_into_what_runs() {
    let pod = |namespace: &str, name: &str, account: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": {"serviceAccountName": account}});
    let with = |rules: Value, pods: &[Value]| {
        let mut items = bound_everywhere(rules);
        items.extend(pods.iter().cloned());
        reaches(&items).into_iter().map(|(goal, _)| goal).collect::<Vec<_>>()
    };
    let exec = || rule("", "pods/exec", &["create"]);
    assert_eq!(with(exec(), &[pod("kube-system", "op", "root")]), ["administrator"]);
    assert_eq!(with(exec(), &[pod("kube-system", "op", "other")]), Vec::<String>::new());
    assert_eq!(with(exec(), &[]), ["administrator"], "no pods were read: one may run");
}
