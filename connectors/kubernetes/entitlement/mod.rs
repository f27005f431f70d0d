//! Kubernetes RBAC as the identity layer sees it: who is bound to which rules, and where.
//!
//! Read is what `kubectl get clusterroles,roles,clusterrolebindings,rolebindings,serviceaccounts -A -o
//! json` prints ("Using RBAC Authorization", Kubernetes documentation). RBAC only permits; a binding in a
//! namespace permits there alone.
//!
//! An action is `GROUP/RESOURCE:VERB`, where the group without a name is `core`: `core/pods/exec:create`,
//! `apps/deployments:get`; a URL that is no resource is `url:VERB`. A resource is `NAMESPACE/NAME`, `/NAME`
//! outside of namespaces, `NAMESPACE/` for all of a kind, `*` for all of the cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;
use weft_model::access::Effect;
use weft_model::entitlement::{Account, Document, Group, Match, Principal, PrincipalKind, Snapshot, SnapshotFault, Statement};

/// What reasoning has to know, as text for the identity layer.
pub const RULES: &str = include_str!("rules.toml");
/// The one account: the cluster.
const CLUSTER: &str = "cluster";
/// Actions of one rule: groups by resources by verbs.
const ACTIONS_MAX: usize = 100_000;
/// Everybody who was identified.
const AUTHENTICATED: &str = "group:system:authenticated";

/// Collects what several files say.
#[derive(Default)]
pub struct Collector {
    /// Rules by kind, namespace and name.
    roles: HashMap<(String, String, String), Vec<Value>>,
    bindings: Vec<Binding>,
    /// Service accounts, by namespace and name.
    accounts: BTreeSet<(String, String)>,
    faults: Vec<SnapshotFault>,
}

struct Binding {
    place: String,
    name: String,
    /// `None` for the whole cluster.
    namespace: Option<String>,
    role: (String, String, String),
    subjects: Vec<Value>,
}

/// Whether a value is an object of a cluster, or a list of such.
pub fn is_one(value: &Value) -> bool {
    value.get("apiVersion").is_some_and(Value::is_string) && value.get("kind").is_some_and(Value::is_string)
}

impl Collector {
    /// Reads one file; `place` is its name, for messages.
    pub fn add(&mut self, place: &str, value: &Value) {
        let kind = text(value, "/kind");
        match (kind.strip_suffix("List"), value.get("items").and_then(Value::as_array)) {
            (Some(each), Some(items)) => {
                for (number, item) in items.iter().enumerate() {
                    // Items of a list of one kind do not repeat it.
                    let kind = if each.is_empty() { text(item, "/kind") } else { each.to_owned() };
                    self.object(&format!("{place}: items[{number}]"), &kind, item);
                }
            }
            _ => self.object(place, &kind, value),
        }
    }

    fn object(&mut self, place: &str, kind: &str, value: &Value) {
        let (name, namespace) = (text(value, "/metadata/name"), text(value, "/metadata/namespace"));
        if name.is_empty() {
            return self.fault(place, format!("{kind} without `metadata.name`"));
        }
        let bound = kind == "RoleBinding";
        match kind {
            "ClusterRole" | "Role" => {
                let rules = value.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
                self.roles.insert((kind.to_owned(), namespace, name), rules);
            }
            "ClusterRoleBinding" | "RoleBinding" => {
                let role = text(value, "/roleRef/kind");
                let of = if role == "Role" { namespace.clone() } else { String::new() };
                let subjects = value.get("subjects").and_then(Value::as_array).cloned().unwrap_or_default();
                let role = (role, of, text(value, "/roleRef/name"));
                self.bindings.push(Binding { place: place.to_owned(), name, namespace: bound.then_some(namespace), role, subjects });
            }
            "ServiceAccount" => {
                self.accounts.insert((namespace, name));
            }
            _ => self.fault(place, format!("`{kind}` says nothing of entitlements; wanted are roles, bindings and service accounts")),
        }
    }

    fn fault(&mut self, place: &str, reason: String) {
        self.faults.push(SnapshotFault { place: place.to_owned(), reason });
    }

    /// Everything that was read.
    pub fn finish(mut self) -> Snapshot {
        let mut held: BTreeMap<String, Vec<Arc<Document>>> = BTreeMap::new();
        let accounts = std::mem::take(&mut self.accounts);
        held.extend(accounts.into_iter().map(|(namespace, name)| (service_account(&namespace, &name), Vec::new())));
        for binding in std::mem::take(&mut self.bindings) {
            let document = self.document(&binding);
            for subject in &binding.subjects {
                match holder(subject, binding.namespace.as_deref()) {
                    Ok(holder) => held.entry(holder).or_default().push(Arc::clone(&document)),
                    Err(reason) => self.fault(&binding.place, reason),
                }
            }
        }
        let mut snapshot = Snapshot { faults: self.faults, ..Snapshot::default() };
        snapshot.accounts.insert(CLUSTER.to_owned(), Account::default());
        for (name, policies) in &held {
            if name.starts_with("group:") {
                snapshot.groups.push(Group { name: name.clone(), account: CLUSTER.to_owned(), policies: policies.clone(), editable: Vec::new() });
            }
        }
        snapshot.principals = held.into_iter().map(|(name, policies)| principal(name, policies)).collect();
        snapshot
    }

    /// What a binding permits: the rules of its role, where it stands.
    fn document(&mut self, binding: &Binding) -> Arc<Document> {
        let (kind, _, role) = &binding.role;
        let stands = binding.namespace.as_ref().map_or_else(|| "ClusterRoleBinding".to_owned(), |namespace| format!("RoleBinding {namespace}"));
        let name = format!("{stands}/{} of {kind} {role}", binding.name);
        let rules = self.roles.get(&binding.role).cloned();
        if rules.is_none() {
            self.fault(&binding.place, format!("the {kind} `{role}` is not in the snapshot: it permits nothing"));
        }
        let mut statements = Vec::new();
        for (number, rule) in rules.iter().flatten().enumerate() {
            match statements_of(rule, number + 1, binding.namespace.as_deref()) {
                Ok(more) => statements.extend(more),
                Err(reason) => self.fault(&binding.place, format!("rule {} of the {kind} `{role}`: {reason}", number + 1)),
            }
        }
        Arc::new(Document { name, statements })
    }
}

/// The statements of a rule: one for resources, one for URLs.
fn statements_of(rule: &Value, number: usize, namespace: Option<&str>) -> Result<Vec<Statement>, String> {
    let verbs = list(rule, "verbs")?;
    let (groups, resources, names, urls) = (list(rule, "apiGroups")?, list(rule, "resources")?, list(rule, "resourceNames")?, list(rule, "nonResourceURLs")?);
    if groups.len().saturating_mul(resources.len()).saturating_mul(verbs.len()) > ACTIONS_MAX {
        return Err(format!("names more than {ACTIONS_MAX} actions"));
    }
    let one = |actions: Vec<String>, patterns: Vec<String>| Statement {
        id: format!("#{number}"),
        effect: Effect::Permit,
        principals: None,
        actions: Match::of(actions),
        resources: Match::of(patterns),
        conditions: Vec::new(),
        variables: false,
    };
    let mut statements = Vec::new();
    if !resources.is_empty() {
        let group = |group: &String| if group.is_empty() { "core".to_owned() } else { group.clone() };
        let kinds = groups.iter().map(group).flat_map(|group| resources.iter().map(move |resource| format!("{group}/{resource}")));
        let actions = kinds.flat_map(|kind| verbs.iter().map(move |verb| format!("{kind}:{verb}"))).collect();
        let patterns = match (namespace, names.is_empty()) {
            (None, true) => vec!["*".to_owned()],
            (Some(namespace), true) => vec![format!("{namespace}/*")],
            (_, false) => names.iter().map(|name| format!("{}/{name}", namespace.unwrap_or("*"))).collect(),
        };
        statements.push(one(actions, patterns));
    }
    // URLs stand outside of namespaces: a binding in one does not reach them.
    if !urls.is_empty() && namespace.is_none() {
        statements.push(one(verbs.iter().map(|verb| format!("url:{verb}")).collect(), urls));
    }
    Ok(statements)
}

fn list(rule: &Value, key: &str) -> Result<Vec<String>, String> {
    let Some(value) = rule.get(key).filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let values = value.as_array().ok_or_else(|| format!("`{key}` is not a list"))?;
    values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(|| format!("`{value}` in `{key}` is not a text"))).collect()
}

/// Whom a subject is: a user's name as it signs in, or a group.
fn holder(subject: &Value, namespace: Option<&str>) -> Result<String, String> {
    let (kind, name) = (text(subject, "/kind"), text(subject, "/name"));
    match kind.as_str() {
        _ if name.is_empty() => Err("a subject without `name`".to_owned()),
        "User" => Ok(name),
        "Group" => Ok(format!("group:{name}")),
        "ServiceAccount" => {
            let own = text(subject, "/namespace");
            let namespace = if own.is_empty() { namespace.unwrap_or_default() } else { &own };
            if namespace.is_empty() { Err(format!("the service account `{name}` has no `namespace`")) } else { Ok(service_account(namespace, &name)) }
        }
        other => Err(format!("`{other}` is no kind of subject")),
    }
}

fn service_account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

fn principal(name: String, policies: Vec<Arc<Document>>) -> Principal {
    let mut groups = Vec::new();
    let serves = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    if let Some((namespace, _)) = serves {
        groups.extend(["group:system:serviceaccounts".to_owned(), format!("group:system:serviceaccounts:{namespace}")]);
    }
    if !matches!(name.as_str(), AUTHENTICATED | "group:system:unauthenticated" | "system:anonymous") {
        groups.push(AUTHENTICATED.to_owned());
    }
    Principal {
        short: name.rsplit(':').next().unwrap_or_default().to_owned(),
        id: None,
        account: CLUSTER.to_owned(),
        kind: if serves.is_some() { PrincipalKind::Role } else { PrincipalKind::User },
        policies,
        editable: Vec::new(),
        groups,
        boundary: None,
        trust: None,
        tags: BTreeMap::new(),
        profiles: Vec::new(),
        exempt: false,
        name,
    }
}

fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
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
        Estate::new(snapshot, Provider { catalogue: Arc::new(Catalogue::default()), rules: Arc::new(Rules::read(RULES).unwrap()) })
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
    fn wildcards_reach_parts_of_resources_and_urls_stand_apart() {
        let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, {"nonResourceURLs": ["/metrics", "/healthz/*"], "verbs": ["get"]}]);
        let estate = estate(&[
            role("ClusterRole", "", "all", rules),
            binding("ClusterRoleBinding", "", ("ClusterRole", "all"), json!([{"kind": "Group", "name": "ops"}])),
        ]);
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
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}),
        ]);
        let reasons: Vec<&str> = read.faults.iter().map(|fault| fault.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "`Pod` says nothing of entitlements; wanted are roles, bindings and service accounts",
                "rule 1 of the ClusterRole `broken`: `resources` is not a list",
                "the ClusterRole `gone` is not in the snapshot: it permits nothing",
                "`Robot` is no kind of subject",
            ]
        );
        assert_eq!(read.principals[0].policies[0].statements.len(), 1);
    }
}
