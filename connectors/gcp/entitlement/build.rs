//! From what was read to principals with policies.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use weft_model::access::Effect;
use weft_model::entitlement::{
    Account, Condition, Document, Group, Match, Principal, PrincipalKind, PrincipalPattern, Resource, Snapshot, SnapshotFault, Statement,
};

use super::{Binding, Collector, Deny, Provider, cel, known, names};
use crate::groups::Groups;

/// The one account: all that the snapshot holds.
const ALL: &str = "google-cloud";
/// Everybody, and everybody who signed in.
const PUBLIC: [&str; 2] = ["allUsers", "allAuthenticatedUsers"];
/// Faults that are kept.
const FAULTS_MAX: usize = 10_000;

struct Builder {
    read: Collector,
    below: BTreeMap<String, Vec<String>>,
    /// Service accounts by their project.
    of_project: BTreeMap<String, Vec<String>>,
    nodes: BTreeSet<String>,
    /// Whether there is at most one organization, which then holds everything.
    one_organization: bool,
    patterns: HashMap<String, Vec<String>>,
    held: BTreeMap<String, Vec<Arc<Document>>>,
    /// All groups that each member is in.
    parents: HashMap<String, BTreeSet<String>>,
}

pub(super) fn build(mut read: Collector) -> Snapshot {
    rename(&mut read);
    let mut below: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (part, above) in &read.above {
        below.entry(above.clone()).or_default().push(part.clone());
    }
    let mut of_project: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (email, project) in &read.accounts {
        of_project.entry(format!("projects/{project}")).or_default().push(format!("serviceAccount:{email}"));
    }
    let is_node = |name: &&String| name.matches('/').count() == 1 && ["organizations/", "folders/", "projects/"].iter().any(|kind| name.starts_with(kind));
    let nodes =
        read.bindings.iter().map(|binding| &binding.node).chain(read.above.keys()).chain(read.above.values()).filter(is_node).cloned().collect::<BTreeSet<_>>();
    let one_organization = nodes.iter().filter(|node| node.starts_with("organizations/")).count() <= 1;
    let (patterns, held, parents) = Default::default();
    let mut builder = Builder { below, of_project, nodes, one_organization, patterns, held, parents, read };
    builder.conveniences();
    builder.groups();
    builder.bindings();
    builder.finish()
}

/// Projects by their id, wherever their number stands.
fn rename(read: &mut Collector) {
    let numbers = std::mem::take(&mut read.numbers);
    let name = |name: &str| -> String {
        let (project, rest) = name.match_indices('/').nth(1).map_or((name, ""), |(at, _)| name.split_at(at));
        numbers.get(project).map_or_else(|| name.to_owned(), |id| format!("{id}{rest}"))
    };
    read.bindings.iter_mut().for_each(|binding| binding.node = name(&binding.node));
    read.denies.iter_mut().for_each(|deny| deny.node = name(&deny.node));
    read.above = std::mem::take(&mut read.above).into_iter().map(|(part, above)| (name(&part), name(&above))).collect();
    read.within = std::mem::take(&mut read.within).into_iter().map(|(project, resources)| (name(&project), resources)).collect();
    read.boundaries.values_mut().flatten().for_each(|open| *open = name(open));
    read.running.iter_mut().for_each(|(resource, _, _)| *resource = name(resource));
}

impl Builder {
    fn fault(&mut self, place: &str, reason: String) {
        if self.read.faults.len() < FAULTS_MAX {
            self.read.faults.push(SnapshotFault { place: place.to_owned(), reason });
        }
    }

    /// Members that stand for whoever holds a basic role of a project, as policies of buckets name them.
    fn conveniences(&mut self) {
        for binding in &self.read.bindings {
            let named = [("roles/owner", "projectOwner"), ("roles/editor", "projectEditor"), ("roles/viewer", "projectViewer")];
            let kind = named.iter().find(|(role, _)| *role == binding.role).map(|(_, kind)| kind);
            if let (Some(kind), Some(project)) = (kind, binding.node.strip_prefix("projects/")) {
                self.read.groups.entry(format!("{kind}:{project}")).or_default().extend(binding.members.iter().cloned());
            }
        }
    }

    fn groups(&mut self) {
        let groups = Groups::of(self.read.groups.iter().flat_map(|(group, members)| members.iter().map(move |member| (group.as_str(), member.as_str()))));
        if let Some(fault) = groups.fault(str::to_owned) {
            self.fault("groups", fault);
        }
        self.parents = groups.all;
    }

    /// Patterns of all that a part of the hierarchy holds.
    fn reach(&mut self, at: &str) -> Vec<String> {
        if let Some(known) = self.patterns.get(at) {
            return known.clone();
        }
        let found = if at.starts_with("organizations/") && self.one_organization {
            vec!["*".to_owned()]
        } else {
            let (mut found, mut open, mut seen) = (Vec::new(), vec![at.to_owned()], HashSet::new());
            while let Some(one) = open.pop() {
                if !seen.insert(one.clone()) {
                    continue;
                }
                open.extend(self.below.get(&one).into_iter().flatten().cloned());
                found.extend(self.own(&one));
            }
            found
        };
        self.patterns.insert(at.to_owned(), found.clone());
        found
    }

    /// What one part holds, those below it apart.
    fn own(&self, one: &str) -> Vec<String> {
        let mut found = vec![one.to_owned()];
        let Some(project) = one.strip_prefix("projects/").filter(|rest| !rest.contains('/')) else {
            if !one.starts_with("serviceAccount:") {
                found.push(format!("{one}/*"));
            }
            return found;
        };
        found.extend([
            format!("{one}/*"),
            format!("serviceAccount:*@{project}.iam.gserviceaccount.com"),
            format!("serviceAccount:{project}@appspot.gserviceaccount.com"),
        ]);
        found.extend(self.of_project.get(one).into_iter().flatten().filter(|account| !account.contains(&format!("@{project}."))).cloned());
        for resource in self.read.within.get(one).into_iter().flatten() {
            found.extend([resource.clone(), format!("{resource}/*")]);
        }
        found
    }

    fn bindings(&mut self) {
        let mut documents: HashMap<(String, String, Option<String>), Arc<Document>> = HashMap::new();
        for binding in std::mem::take(&mut self.read.bindings) {
            let key = (binding.node.clone(), binding.role.clone(), binding.condition.clone());
            let document = match documents.get(&key) {
                Some(known) => Arc::clone(known),
                None => {
                    let made = self.document(&binding);
                    documents.insert(key, Arc::clone(&made));
                    made
                }
            };
            for member in &binding.members {
                if member.starts_with("deleted:") {
                    continue;
                }
                if member.starts_with("group:") && !self.read.groups.contains_key(member) && !self.held.contains_key(member) {
                    self.fault(&binding.place, format!("the members of `{member}` are not in the snapshot; what it holds counts for nobody"));
                }
                self.held.entry(member.clone()).or_default().push(Arc::clone(&document));
            }
        }
    }

    fn document(&mut self, binding: &Binding) -> Arc<Document> {
        let own = self.read.roles.get(&binding.role).cloned().map(|permissions| (permissions, Vec::new()));
        let (permissions, left_out) = own.or_else(|| known::role(&binding.role)).unwrap_or_else(|| {
            let reason = format!("the role `{}` is not in the snapshot and not predefined: it permits nothing; add `gcloud iam roles describe`", binding.role);
            self.fault(&binding.place, reason);
            known::Patterns::default()
        });
        let resources = self.reach(&binding.node);
        let ways = binding.condition.as_ref().map_or_else(|| vec![Vec::new()], |text| cel::ways(text, &cel::of_request));
        let one = |(number, conditions): (usize, Vec<Condition>)| {
            let mut one = statement(number, Effect::Permit, permissions.clone(), resources.clone(), conditions);
            one.except = left_out.clone();
            one
        };
        let statements = ways.into_iter().enumerate().map(one).collect();
        Arc::new(Document { name: format!("{} at {}", binding.role, binding.node), statements })
    }

    fn finish(mut self) -> Snapshot {
        let denies: Vec<(Deny, Arc<Document>)> = std::mem::take(&mut self.read.denies).into_iter().map(|deny| self.denied(deny)).collect();
        let boundaries = self.boundaries();
        let mut snapshot = Snapshot::default();
        snapshot.accounts.insert(ALL.to_owned(), Account::default());
        let mut names: BTreeSet<String> = self.held.keys().filter(|name| !is_group(name)).cloned().collect();
        names.extend(self.read.groups.values().flatten().filter(|member| !is_group(member)).cloned());
        names.extend(self.read.accounts.keys().map(|email| format!("serviceAccount:{email}")));
        names.extend(self.read.running.iter().map(|(_, _, email)| format!("serviceAccount:{email}")));
        let groups: BTreeSet<String> =
            self.held.keys().chain(self.read.groups.keys()).filter(|name| is_group(name) || PUBLIC.contains(&name.as_str())).cloned().collect();
        for name in &groups {
            let above = self.parents.get(name).into_iter().flatten();
            let policies = std::iter::once(name).chain(above).filter_map(|group| self.held.get(group)).flatten().cloned().collect();
            snapshot.groups.push(Group { name: name.clone(), account: ALL.to_owned(), policies, editable: Vec::new() });
        }
        for name in names {
            let principal = self.principal(name, &denies, &boundaries, &groups);
            snapshot.principals.push(principal);
        }
        let running = self.read.running.iter().map(|(name, kind, email)| Resource {
            name: name.clone(),
            kind: kind.clone(),
            account: ALL.to_owned(),
            runs_as: Some(format!("serviceAccount:{email}")),
            ..Resource::default()
        });
        snapshot.resources.extend(running);
        self.scopes(&mut snapshot, &denies);
        snapshot.faults = self.read.faults;
        snapshot
    }

    fn principal(&self, name: String, denies: &[(Deny, Arc<Document>)], boundaries: &[(String, Arc<Document>)], groups: &BTreeSet<String>) -> Principal {
        let everybody = PUBLIC.contains(&name.as_str());
        let disabled = name.strip_prefix("serviceAccount:").is_some_and(|email| self.read.disabled.contains(email));
        let mut within: Vec<String> = self.parents.get(&name).into_iter().flatten().cloned().collect();
        if !everybody {
            within.extend(PUBLIC.iter().map(|name| (*name).to_owned()).filter(|name| groups.contains(name)));
            within.extend(name.rsplit_once('@').map(|(_, domain)| format!("domain:{domain}")).filter(|name| groups.contains(name)));
        }
        let mut policies = self.held.get(&name).cloned().unwrap_or_default();
        policies.extend(denies.iter().filter(|(deny, _)| self.is_denied(deny, &name)).map(|(_, document)| Arc::clone(document)));
        if disabled {
            (policies, within) = (Vec::new(), Vec::new());
        }
        let bounds: Vec<&Arc<Document>> = boundaries.iter().filter(|(set, _)| self.is_of(set, &name)).map(|(_, document)| document).collect();
        // What one of several boundaries opens is open.
        let boundary = match bounds.as_slice() {
            [] => None,
            [one] => Some(Arc::clone(one)),
            several => {
                let names: Vec<&str> = several.iter().map(|document| document.name.as_str()).collect();
                let statements = several.iter().flat_map(|document| document.statements.iter().cloned()).collect();
                Some(Arc::new(Document { name: names.join(", "), statements }))
            }
        };
        let user = name.starts_with("user:") || everybody;
        Principal {
            short: name.split_once(':').map_or(name.as_str(), |(_, short)| short).to_owned(),
            account: ALL.to_owned(),
            kind: if user { PrincipalKind::User } else { PrincipalKind::Role },
            policies,
            groups: within,
            boundary,
            trust: self.trust(&name).filter(|_| !disabled).map(Arc::new),
            name,
            ..Principal::default()
        }
    }

    fn denied(&mut self, deny: Deny) -> (Deny, Arc<Document>) {
        let resources = self.reach(&deny.node);
        let ways = deny.condition.as_ref().map_or_else(|| vec![Vec::new()], |text| cel::ways(text, &cel::of_request));
        let one = |(number, conditions): (usize, Vec<Condition>)| {
            let mut one = statement(number, Effect::Forbid, deny.permissions.clone(), resources.clone(), conditions);
            one.except = deny.spared.clone();
            one
        };
        let statements = ways.into_iter().enumerate().map(one).collect();
        let document = Arc::new(Document { name: format!("deny policy {} at {}", deny.name, deny.node), statements });
        (deny, document)
    }

    /// Whether a principal is in a set of a deny policy or boundary.
    fn is_of(&self, set: &str, name: &str) -> bool {
        let wanted = names::principal(set);
        if let Some(part) = wanted.strip_prefix("in:") {
            return self.patterns.get(&names::resource(part)).is_some_and(|patterns| patterns.iter().any(|pattern| pattern == "*" || fits(pattern, name)));
        }
        fits(&wanted, name) || self.parents.get(name).is_some_and(|groups| groups.contains(&wanted))
    }

    fn is_denied(&self, deny: &Deny, name: &str) -> bool {
        deny.principals.iter().any(|set| self.is_of(set, name)) && !deny.excepted.iter().any(|set| self.is_of(set, name))
    }

    /// The most that bounded principals may reach, by the set that each boundary is bound to.
    fn boundaries(&mut self) -> Vec<(String, Arc<Document>)> {
        let mut found = Vec::new();
        for (set, policy, condition) in std::mem::take(&mut self.read.bounded) {
            let Some(open) = self.read.boundaries.get(&policy).cloned() else {
                self.fault("policy bindings", format!("the boundary `{policy}` is not in the snapshot; it is read as one that permits nothing"));
                found.push((set, Arc::new(Document { name: policy, statements: Vec::new() })));
                continue;
            };
            let resources: Vec<String> = open.iter().flat_map(|part| self.reach(part)).collect();
            let mut statements = vec![statement(0, Effect::Permit, vec!["*".to_owned()], resources, Vec::new())];
            // Where it is not sure that the boundary counts, what is outside depends on it.
            if let Some(text) = condition {
                statements.push(statement(
                    1,
                    Effect::Permit,
                    vec!["*".to_owned()],
                    vec!["*".to_owned()],
                    vec![cel::unknown(&format!("the boundary does not count: !({text})"))],
                ));
            }
            let part = names::principal(&set);
            if let Some(part) = part.strip_prefix("in:") {
                self.reach(&names::resource(part));
            }
            found.push((set, Arc::new(Document { name: format!("principal access boundary {policy}"), statements })));
        }
        found
    }

    /// Who becomes a service account or an identity of a pool.
    fn trust(&self, name: &str) -> Option<Document> {
        let mut statements = Vec::new();
        if let Some(email) = name.strip_prefix("serviceAccount:") {
            if let Some((pool, subject)) = email.strip_suffix(']').and_then(|email| email.split_once(".svc.id.goog[")) {
                let (namespace, account) = subject.split_once('/')?;
                let issuer = format!("{pool}.svc.id.goog");
                statements.push(takes(&issuer, vec![equals(&issuer, "sub", &format!("system:serviceaccount:{namespace}:{account}"))]));
            } else {
                statements.push(lets(PrincipalPattern::Service("service-account".to_owned()), "assume:", Vec::new()));
                let agents = [
                    ("@cloudservices.gserviceaccount.com", "deployment-agent"),
                    ("@cloudbuild.gserviceaccount.com", "build-agent"),
                    ("-compute@developer.gserviceaccount.com", "compute-default"),
                    ("@appspot.gserviceaccount.com", "app-default"),
                ];
                let of = agents.iter().filter(|(suffix, _)| email.ends_with(suffix));
                statements.extend(of.map(|(_, class)| lets(PrincipalPattern::Service((*class).to_owned()), "assume:", Vec::new())));
            }
        }
        let rest = name.strip_prefix("principalSet://iam.googleapis.com/").or_else(|| name.strip_prefix("principal://iam.googleapis.com/"));
        if let Some((pool, what)) = rest.and_then(|rest| rest.split_once("/workloadIdentityPools/")).and_then(|(before, rest)| {
            let (pool, what) = rest.split_once('/')?;
            Some((format!("{before}/workloadIdentityPools/{pool}"), what))
        }) {
            statements.extend(self.read.providers.get(&pool).into_iter().flatten().flat_map(|provider| of_pool(provider, what)));
        }
        (!statements.is_empty()).then(|| Document { name: "trust".to_owned(), statements })
    }

    /// Power over each part of the hierarchy.
    fn scopes(&mut self, snapshot: &mut Snapshot, denies: &[(Deny, Arc<Document>)]) {
        for name in self.nodes.clone() {
            let resources = self.reach(&name);
            let class = name.split('/').next().unwrap_or_default().to_owned();
            let mut policies = vec![Arc::new(Document {
                name: format!("all of {name}"),
                statements: vec![statement(0, Effect::Permit, vec!["*".to_owned()], resources, Vec::new())],
            })];
            let for_all = |deny: &Deny| deny.principals.iter().any(|set| names::principal(set) == "*");
            policies.extend(denies.iter().filter(|(deny, _)| for_all(deny)).map(|(_, document)| Arc::clone(document)));
            let trust = Document { name: "scope".to_owned(), statements: vec![lets(PrincipalPattern::Service(class), "assume:", Vec::new())] };
            snapshot.principals.push(Principal {
                short: name.clone(),
                account: ALL.to_owned(),
                kind: PrincipalKind::Scope,
                policies,
                trust: Some(Arc::new(trust)),
                name,
                ..Principal::default()
            });
        }
    }
}

fn is_group(name: &str) -> bool {
    ["group:", "domain:", "projectOwner:", "projectEditor:", "projectViewer:"].iter().any(|kind| name.starts_with(kind))
}

/// Whether a name fits a pattern with at most one `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after),
    }
}

/// The statements by which a provider of a pool lets a token be what a binding names.
fn of_pool(provider: &Provider, what: &str) -> Vec<Statement> {
    let issuer = &provider.issuer;
    let claim = |attribute: &str| provider.mapping.get(attribute).and_then(|of| of.strip_prefix("assertion.")).map(str::to_owned);
    let named = match what.split_once('/') {
        Some(("subject", value)) => Some((claim("google.subject"), value)),
        Some(("group", value)) => Some((claim("google.groups"), value)),
        Some((attribute, value)) => Some((claim(attribute), value)),
        None => None,
    };
    let mut conditions = Vec::new();
    match named {
        Some((Some(claim), value)) => conditions.push(equals(issuer, &claim, value)),
        // What a mapping computes is not followed.
        Some((None, value)) => conditions.push(cel::unknown(&format!("`{value}` is what the pool maps to"))),
        None => {}
    }
    let of_token = |attribute: &str| attribute.strip_prefix("assertion.").map(|claim| format!("{issuer}:{claim}"));
    let ways = provider.condition.as_ref().map_or_else(|| vec![Vec::new()], |text| cel::ways(text, &of_token));
    ways.into_iter().map(|way| takes(issuer, conditions.iter().cloned().chain(way).collect())).collect()
}

fn takes(issuer: &str, conditions: Vec<Condition>) -> Statement {
    lets(PrincipalPattern::Federated(issuer.to_owned()), "federate:token", conditions)
}

fn equals(issuer: &str, claim: &str, value: &str) -> Condition {
    let mut condition = cel::unknown(&format!("{claim} is `{value}`"));
    condition.test.kind = weft_model::entitlement::TestKind::Text;
    (condition.key, condition.values) = (format!("{issuer}:{claim}").to_lowercase(), vec![value.to_owned()]);
    condition
}

fn statement(number: usize, effect: Effect, actions: Vec<String>, resources: Vec<String>, conditions: Vec<Condition>) -> Statement {
    let id = format!("#{}", number + 1);
    Statement { id, effect, principals: None, actions: Match::of(actions), except: Vec::new(), resources: Match::of(resources), conditions, variables: false }
}

fn lets(who: PrincipalPattern, action: &str, conditions: Vec<Condition>) -> Statement {
    let mut one = statement(0, Effect::Permit, vec![action.to_owned()], vec!["*".to_owned()], conditions);
    one.principals = Some(Match::of(vec![who]));
    one
}
