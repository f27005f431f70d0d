//! Kubernetes RBAC as the identity layer sees it: who is bound to which rules, and where.
//!
//! Read is what `kubectl get clusterroles,roles,clusterrolebindings,rolebindings,serviceaccounts -A -o
//! json` prints ("Using RBAC Authorization", Kubernetes documentation). RBAC only permits; a binding in a
//! namespace permits there alone.
//!
//! An action is `GROUP/RESOURCE:VERB`, where the group without a name is `core`: `core/pods/exec:create`,
//! `apps/deployments:get`; a URL that is no resource is `url:VERB`. A resource is `NAMESPACE/NAME`, `/NAME`
//! outside of namespaces, `NAMESPACE/` for all of a kind, `*` for all of the cluster. Pods, namespaces, secrets
//! of service accounts (their metadata) and `.well-known/openid-configuration` make paths exact where they are given.

mod running;
#[cfg(test)]
mod tests;

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
    running: running::Running,
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
    let object = value.get("apiVersion").is_some_and(Value::is_string) && value.get("kind").is_some_and(Value::is_string);
    object || running::is_one(value)
}

impl Collector {
    /// Reads one file; `place` is its name, for messages.
    pub fn add(&mut self, place: &str, value: &Value) {
        if running::is_one(value) {
            return self.running.outside(value);
        }
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
                self.running.annotated(&namespace, &name, value);
                self.accounts.insert((namespace, name));
            }
            "Pod" | "Namespace" | "Secret" => self.running.add(kind, &namespace, &name, value),
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
        let mut seen: BTreeSet<String> = accounts.iter().map(|(namespace, _)| namespace.clone()).collect();
        seen.extend(self.bindings.iter().filter_map(|binding| binding.namespace.clone()));
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
        self.running.finish(&mut snapshot, seen);
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
        except: Vec::new(),
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
            (Some(namespace), true) => running::all_of(namespace),
            // A name is a name: no object can be called `*`, and all are not meant.
            (_, false) => names.iter().filter(|name| !name.contains('*')).flat_map(|name| running::named(namespace, &resources, name)).collect(),
        };
        statements.extend((!patterns.is_empty()).then(|| one(actions, patterns)));
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
        tokens: Vec::new(),
        assigned: Vec::new(),
        name,
    }
}

fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}
