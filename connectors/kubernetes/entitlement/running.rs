//! What runs in a cluster, what holds tokens, and what service accounts may enter elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use weft_model::access::Effect;
use weft_model::entitlement::{Assigned, Document, Match, Principal, PrincipalKind, PrincipalPattern, Resource, Snapshot, Statement, Token};

use super::{CLUSTER, service_account, text};

/// Nodes, as one principal.
const NODES: &str = "system:nodes";
/// Roles that every cluster has and that permit to act as any account of a namespace.
const STRONG: [&str; 3] = ["cluster-admin", "admin", "edit"];
/// Levels of the pod security standards that refuse privileged pods.
const REFUSING: [&str; 2] = ["baseline", "restricted"];
/// Who takes tokens, by the annotation of a service account that says so; `*` stands for the cluster's part.
const ISSUERS: [(&str, &str); 3] = [
    ("eks.amazonaws.com/role-arn", "oidc.eks.*"),
    ("iam.gke.io/gcp-service-account", "*.svc.id.goog"),
    ("azure.workload.identity/client-id", "*.oic.prod-aks.azure.com/*"),
];
/// The service that hands out roles of pod identity associations.
const POD_IDENTITY: &str = "pods.eks.amazonaws.com";

/// Collects what runs.
#[derive(Default)]
pub(super) struct Running {
    things: Vec<Resource>,
    /// Namespaces that were read, and whether they take privileged pods.
    namespaces: BTreeMap<String, bool>,
    issuer: Option<String>,
    /// Issuers by service account.
    annotated: BTreeMap<String, BTreeSet<String>>,
    assigned: BTreeMap<String, Vec<Assigned>>,
}

/// Whether a value says something of a cluster from outside of it.
pub(super) fn is_one(value: &Value) -> bool {
    let discovery = value.get("issuer").is_some() && value.get("jwks_uri").is_some();
    let association = value.get("association").or_else(|| value.pointer("/associations/0"));
    discovery || association.is_some_and(|one| one.get("serviceAccount").is_some())
}

impl Running {
    /// The discovery document of the cluster's tokens, or associations of pod identities.
    pub(super) fn outside(&mut self, value: &Value) {
        if let Some(issuer) = value.get("issuer").and_then(Value::as_str) {
            self.issuer = Some(issuer.trim_start_matches("https://").trim_end_matches('/').to_owned());
        }
        let several = value.get("associations").and_then(Value::as_array).into_iter().flatten();
        for one in several.chain(value.get("association")) {
            let role = text(one, "/roleArn");
            if !role.is_empty() {
                let account = service_account(&text(one, "/namespace"), &text(one, "/serviceAccount"));
                self.assigned.entry(account).or_default().push(Assigned { principal: role, service: POD_IDENTITY.to_owned() });
            }
        }
    }

    pub(super) fn annotated(&mut self, namespace: &str, name: &str, value: &Value) {
        let annotations = value.pointer("/metadata/annotations");
        let has = |key: &str| annotations.and_then(|annotations| annotations.get(key)).is_some();
        let issuers: BTreeSet<String> = ISSUERS.iter().filter(|(key, _)| has(key)).map(|(_, issuer)| (*issuer).to_owned()).collect();
        self.annotated.entry(service_account(namespace, name)).or_default().extend(issuers);
    }

    pub(super) fn add(&mut self, kind: &str, namespace: &str, name: &str, value: &Value) {
        let runs_as = match kind {
            "Namespace" => {
                let enforced = value.pointer("/metadata/labels").and_then(|labels| labels.get("pod-security.kubernetes.io/enforce")).and_then(Value::as_str);
                self.namespaces.insert(name.to_owned(), enforced.is_none_or(|level| !REFUSING.contains(&level)));
                return;
            }
            "Pod" => [text(value, "/spec/serviceAccountName"), text(value, "/spec/serviceAccount")]
                .into_iter()
                .find(|account| !account.is_empty())
                .or_else(|| Some("default".to_owned())),
            _ => {
                let annotations = value.pointer("/metadata/annotations");
                annotations.and_then(|annotations| annotations.get("kubernetes.io/service-account.name")).and_then(Value::as_str).map(str::to_owned)
            }
        };
        self.things.push(Resource {
            name: format!("{namespace}/{name}"),
            kind: kind.to_owned(),
            account: CLUSTER.to_owned(),
            runs_as: runs_as.map(|account| service_account(namespace, &account)),
            ..Resource::default()
        });
    }

    /// Adds what runs, the nodes, power over namespaces, and tokens; `seen` are namespaces that something is in.
    pub(super) fn finish(self, snapshot: &mut Snapshot, seen: BTreeSet<String>) {
        let whole = !self.namespaces.is_empty();
        let of_account = |name: &str| Some(name.strip_prefix("system:serviceaccount:")?.split_once(':')?.0.to_owned());
        let accounts = snapshot.principals.iter().filter_map(|principal| of_account(&principal.name));
        let namespaces: BTreeSet<String> = seen.into_iter().chain(accounts).chain(self.namespaces.keys().cloned()).collect();
        snapshot.resources.extend(self.things);
        for namespace in &namespaces {
            if self.namespaces.get(namespace).copied().unwrap_or(true) {
                let kind = if whole { "Namespace" } else { "namespace not read" };
                let name = format!("namespace:{namespace}");
                snapshot.resources.push(Resource {
                    name,
                    kind: kind.to_owned(),
                    account: CLUSTER.to_owned(),
                    runs_as: Some(NODES.to_owned()),
                    ..Resource::default()
                });
            }
            snapshot.principals.push(scope(namespace));
        }
        for principal in &mut snapshot.principals {
            let Some((namespace, name)) = principal.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) else { continue };
            let annotated = self.annotated.get(&principal.name).into_iter().flatten().cloned();
            let issuers: BTreeSet<String> = annotated.chain(self.issuer.clone()).collect();
            let subject = format!("system:serviceaccount:{namespace}:{name}");
            principal.tokens = issuers.into_iter().map(|issuer| Token { issuer, subject: subject.clone(), ..Token::default() }).collect();
            principal.assigned = self.assigned.get(&principal.name).cloned().unwrap_or_default();
        }
        if !namespaces.is_empty() {
            snapshot.principals.push(nodes());
        }
    }
}

/// Patterns of all that is in a namespace.
pub(super) fn all_of(namespace: &str) -> Vec<String> {
    vec![format!("{namespace}/*"), service_account(namespace, "*"), format!("namespace:{namespace}")]
}

/// Patterns of what a rule names; identities are named by their full name as well.
pub(super) fn named(namespace: Option<&str>, resources: &[String], name: &str) -> Vec<String> {
    let mut patterns = vec![format!("{}/{name}", namespace.unwrap_or("*"))];
    if resources.iter().any(|resource| resource.starts_with("serviceaccounts")) {
        patterns.push(service_account(namespace.unwrap_or("*"), name));
    }
    // Whoever may bind a role that has all of a namespace may bind enough.
    if STRONG.contains(&name) && resources.iter().any(|resource| resource == "clusterroles") {
        patterns.push(format!("namespace:{}", namespace.unwrap_or("*")));
    }
    if namespace.is_none() && resources.iter().any(|resource| resource == "users") {
        patterns.push(name.to_owned());
    }
    patterns
}

fn permits(actions: &[&str], resources: Vec<String>) -> Statement {
    Statement {
        id: "#1".to_owned(),
        effect: Effect::Permit,
        principals: None,
        actions: Match::of(actions.iter().map(|action| (*action).to_owned()).collect()),
        except: Vec::new(),
        resources: Match::of(resources),
        conditions: Vec::new(),
        variables: false,
    }
}

/// Nodes get tokens and secrets of the pods that run on them.
fn nodes() -> Principal {
    let statement = permits(&["core/serviceaccounts/token:create", "core/secrets:get"], vec!["*".to_owned()]);
    let document = Document { name: "node authorizer, for the pods on the node".to_owned(), statements: vec![statement] };
    Principal {
        name: NODES.to_owned(),
        short: NODES.to_owned(),
        account: CLUSTER.to_owned(),
        kind: PrincipalKind::Scope,
        policies: vec![Arc::new(document)],
        ..Principal::default()
    }
}

/// Power over a namespace.
fn scope(namespace: &str) -> Principal {
    let name = format!("namespace:{namespace}");
    let all = Document { name: format!("all of {name}"), statements: vec![permits(&["*"], all_of(namespace))] };
    let mut trust = permits(&["assume:"], vec!["*".to_owned()]);
    trust.principals = Some(Match::of(vec![PrincipalPattern::Service("namespace".to_owned())]));
    Principal {
        short: name.clone(),
        account: CLUSTER.to_owned(),
        kind: PrincipalKind::Scope,
        policies: vec![Arc::new(all)],
        trust: Some(Arc::new(Document { name: "scope".to_owned(), statements: vec![trust] })),
        name,
        ..Principal::default()
    }
}
