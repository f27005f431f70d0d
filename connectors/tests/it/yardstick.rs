//! Roles of a cluster that a scanner calls risky, against paths of escalation.

use std::path::PathBuf;

use serde_json::{Value, json};
use weft_identity::entitlement::escalation::Explorer;

const APP: &str = "system:serviceaccount:shop:app";

/// Whether a service account that is bound to rules everywhere becomes more than it is, beside one that may do all.
fn escalates(rules: &Value) -> bool {
    let role =
        |name: &str, rules: &Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules});
    let bound = |role: &str, namespace: &str, name: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": role}, "roleRef": {"kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}]})
    };
    let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let cluster = json!({"apiVersion": "v1", "kind": "List", "items": [role("asked", rules), role("cluster-admin", &all), bound("asked", "shop", "app"), bound("cluster-admin", "kube-system", "root")]});
    let estate = crate::federation::estates(&[cluster]).remove(0);
    !Explorer::new(&estate).from(APP).is_empty()
}

/// What the scanner lists and no path follows from, with the reason.
fn reason(rules: &str) -> Option<&'static str> {
    let has = |word: &str| rules.contains(word);
    if has("\"delete\"") || has("\"deletecollection\"") {
        return Some("it destroys, and gains nothing");
    }
    if has("bindings") || has("\"roles\"") && !has("\"*\"]}]") {
        return Some("a binding or a role gives no more than whoever makes it has, without `bind` or `escalate`");
    }
    None
}

#[test]
fn risky_roles_escalate() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/identity/k8s-rbac/kubiscan-risky_roles.yaml");
    let Ok(text) = std::fs::read_to_string(&path) else { return println!("skipped: {} is not here", path.display()) };
    // Some of its items are set in by two.
    let read: Value = serde_saphyr::from_str(&text.replace("\n  - kind:", "\n- kind:")).unwrap();
    let (mut found, mut missed) = (0, Vec::new());
    for item in read["items"].as_array().unwrap() {
        let (name, rules) = (item["metadata"]["name"].as_str().unwrap(), &item["rules"]);
        if escalates(rules) {
            found += 1;
        } else if let Some(reason) = reason(&rules.to_string()) {
            println!("no path: {name}: {reason}");
        } else {
            missed.push(format!("{name}: {rules}"));
        }
    }
    println!("{found} escalate, {} missed", missed.len());
    assert!(found > 30 && missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn harmless_roles_do_not() {
    for rules in [
        json!([{"apiGroups": [""], "resources": ["pods", "services", "nodes"], "verbs": ["get", "list", "watch"]}]),
        json!([{"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]}]),
        json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings", "clusterrolebindings"], "verbs": ["create"]}]),
    ] {
        assert!(!escalates(&rules), "{rules}");
    }
}
