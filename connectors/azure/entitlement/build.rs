//! From what was read to principals with policies.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use weft_model::access::Effect;
use weft_model::entitlement::{
    Account, Condition, Document, Group, Match, Principal, PrincipalKind, PrincipalPattern, Quantifier, Resource, Snapshot, Statement, Test, TestKind, Truth,
};

use super::arm::EVERYBODY;
use super::known;
use super::{Collector, Deny, EntityKind, Held, Permission, Role, abac};
use crate::groups::Groups;

/// The one account: the tenant.
const TENANT: &str = "tenant";
/// Groups to which directory roles can be assigned are told apart: fewer may change who is in them.
pub(super) const ROLE_GROUPS: &str = "roleAssignableGroup:";

/// What holders hold, by their id.
type Policies = BTreeMap<String, Vec<Arc<Document>>>;

/// A document that several hold: role, scope, condition, and whether it is to be activated first.
type DocumentKey = (String, String, Option<String>, bool);

/// Under what a permission is held or denied.
struct Terms<'t> {
    effect: Effect,
    place: &'t str,
    condition: Option<&'t String>,
    eligible: bool,
}

pub(super) struct Builder {
    pub(super) read: Collector,
    names: BTreeMap<String, String>,
    below: BTreeMap<String, Vec<String>>,
    documents: HashMap<DocumentKey, Arc<Document>>,
    held: Policies,
    /// All groups that a principal or group is in, by id.
    pub(super) within: HashMap<String, BTreeSet<String>>,
    /// Groups that it is itself a member of.
    direct: HashMap<String, Vec<String>>,
    /// Identities by the resources that act as them.
    acting: HashMap<String, String>,
}

pub(super) fn build(read: Collector) -> Snapshot {
    let mut below: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (scope, above) in &read.above {
        below.entry(above.clone()).or_default().push(scope.clone());
    }
    let acting = read.entities.iter().flat_map(|(id, entity)| entity.runs.iter().map(|resource| (resource.clone(), id.clone()))).collect();
    let (documents, held, within, direct) = Default::default();
    let mut builder = Builder { names: names(&read), below, documents, held, within, direct, acting, read };
    builder.close();
    builder.roles();
    builder.directory();
    builder.owners();
    builder.permissions();
    builder.finish()
}

/// Full names by id: what people know, and the id where that is not enough.
fn names(read: &Collector) -> BTreeMap<String, String> {
    let full = |id: &String, entity: &super::Entity, with_id: bool| {
        let label = match (entity.label.is_empty(), with_id) {
            (true, _) => id.clone(),
            (false, true) => format!("{} ({id})", entity.label),
            (false, false) => entity.label.clone(),
        };
        let prefix = match entity.kind {
            EntityKind::User => "",
            EntityKind::Group if entity.role_assignable => ROLE_GROUPS,
            EntityKind::Group => "group:",
            EntityKind::Application => "servicePrincipal:",
            EntityKind::ManagedIdentity => "managedIdentity:",
        };
        format!("{prefix}{label}")
    };
    let mut count: HashMap<String, usize> = HashMap::new();
    read.entities.iter().for_each(|(id, entity)| *count.entry(full(id, entity, false)).or_default() += 1);
    let name = |(id, entity)| {
        let short = full(id, entity, false);
        (id.clone(), if count.get(&short).is_some_and(|count| *count > 1) { full(id, entity, true) } else { short })
    };
    read.entities.iter().map(name).collect()
}

impl Builder {
    pub(super) fn name(&self, id: &str) -> Option<&String> {
        self.names.get(id)
    }

    fn close(&mut self) {
        let groups = Groups::of(self.read.members.iter().flat_map(|(group, members)| members.iter().map(move |member| (group.as_str(), member.as_str()))));
        if let Some(fault) = groups.fault(|id| self.name(id).cloned().unwrap_or_else(|| id.to_owned())) {
            self.read.fault("groups", fault);
        }
        (self.direct, self.within) = (groups.direct, groups.all);
    }

    pub(super) fn hold(&mut self, id: &str, document: Arc<Document>) {
        self.held.entry(id.to_owned()).or_default().push(document);
    }

    fn roles(&mut self) {
        let mut unseen = BTreeSet::new();
        for held in std::mem::take(&mut self.read.held) {
            let empty =
                !self.read.members.contains_key(&held.principal) && self.read.entities.get(&held.principal).is_some_and(|who| who.kind == EntityKind::Group);
            if empty && unseen.insert(held.principal.clone()) {
                let name = self.name(&held.principal).cloned().unwrap_or_default();
                self.read.fault(&held.place, format!("the members of `{name}` are not in the snapshot; what it holds counts for nobody"));
            }
            let document = self.assignment(&held);
            self.hold(&held.principal, document);
            self.read.resources.entry(held.scope.clone()).or_default();
        }
    }

    fn assignment(&mut self, held: &Held) -> Arc<Document> {
        let key = (held.role.clone(), held.scope.clone(), held.condition.clone(), held.eligible);
        if let Some(known) = self.documents.get(&key) {
            return Arc::clone(known);
        }
        let role = self.read.roles.get(&held.role).or_else(|| known::role(&held.role)).cloned();
        let role = role.unwrap_or_else(|| {
            let reason =
                format!("the role `{}` is not in the snapshot and none that is built in: it permits nothing; add `az role definition list`", held.role);
            self.read.fault(&held.place, reason);
            Role { name: held.role.clone(), permissions: Vec::new() }
        });
        let resources = self.reach(&held.scope, &held.place);
        let terms = Terms { effect: Effect::Permit, place: &held.place, condition: held.condition.as_ref(), eligible: held.eligible };
        let mut statements = Vec::new();
        for permission in &role.permissions {
            self.statements(&terms, permission, &resources, &mut statements);
        }
        let activated = if held.eligible { " (eligible, once activated)" } else { "" };
        let document = Arc::new(Document { name: format!("assignment of {} at {}{activated}", role.name, held.scope), statements });
        self.documents.insert(key, Arc::clone(&document));
        document
    }

    /// The statements of a permission: where a condition is only about some actions, those stand apart.
    fn statements(&mut self, terms: &Terms<'_>, permission: &Permission, resources: &[String], into: &mut Vec<Statement>) {
        let mut conditions = Vec::new();
        if terms.eligible {
            conditions.push(unknown("eligible:activated", "eligible, once activated"));
        }
        let texts: Vec<&String> = permission.condition.iter().chain(terms.condition).collect();
        let mut open = permission.except.clone();
        let mut whole = true;
        for text in &texts {
            match abac::decide(text) {
                Some(decided) if decided.elsewhere == Truth::Yes => {
                    let planes = |name: &String| ["control", "data"].map(|plane| format!("{plane}:{name}"));
                    open.extend(decided.named.iter().flat_map(planes));
                }
                Some(_) => whole = false,
                None => {
                    whole = false;
                    self.read.fault(terms.place, format!("the condition `{text}` cannot be read: everything that it is about depends on it"));
                }
            }
        }
        let mut add = |except: Vec<String>, conditions: Vec<Condition>| {
            let id = format!("#{}", into.len() + 1);
            into.push(statement(id, terms.effect, permission.actions.clone(), except, resources.to_vec(), conditions));
        };
        if whole {
            add(open, conditions.clone());
        }
        if !texts.is_empty() {
            conditions.extend(texts.into_iter().map(|text| unknown("condition:attributes", text)));
            add(permission.except.clone(), conditions);
        }
    }

    /// Patterns of all that a scope holds.
    fn reach(&mut self, scope: &str, place: &str) -> Vec<String> {
        if scope == "/" {
            return vec!["/".to_owned(), "/*".to_owned()];
        }
        if !scope.contains("/managementgroups/") {
            return vec![scope.to_owned(), format!("{scope}/*")];
        }
        // The root group is named as the tenant; everything is below it.
        if self.read.tenant.as_deref() == scope.rsplit('/').next() {
            return vec!["/subscriptions/*".to_owned(), "/providers/microsoft.management/managementgroups/*".to_owned()];
        }
        let (mut found, mut open, mut seen) = (vec![scope.to_owned()], vec![scope.to_owned()], HashSet::new());
        while let Some(one) = open.pop() {
            for child in self.below.get(&one).into_iter().flatten().filter(|child| seen.insert((*child).clone())) {
                found.extend([child.clone(), format!("{child}/*")]);
                open.push(child.clone());
            }
        }
        if found.len() == 1 {
            self.read.fault(place, format!("what is below `{scope}` is not in the snapshot; add `az account management-group show --expand --recurse`"));
        }
        found
    }

    fn finish(mut self) -> Snapshot {
        let denies: Vec<(Deny, Arc<Document>)> = std::mem::take(&mut self.read.denies).into_iter().map(|deny| self.denied(deny)).collect();
        let mut snapshot = Snapshot::default();
        snapshot.accounts.insert(TENANT.to_owned(), Account::default());
        let trusts = self.trusts();
        for (id, entity) in &self.read.entities {
            let Some(name) = self.name(id).cloned() else { continue };
            if entity.kind == EntityKind::Group {
                let above = self.within.get(id).into_iter().flatten();
                let policies = std::iter::once(id).chain(above).filter_map(|group| self.held.get(group)).flatten().cloned().collect();
                snapshot.groups.push(Group { name, account: TENANT.to_owned(), policies, editable: Vec::new() });
                continue;
            }
            let mut policies = self.held.get(id).cloned().unwrap_or_default();
            policies.extend(denies.iter().filter(|(deny, _)| self.is_denied(deny, id)).map(|(_, document)| Arc::clone(document)));
            let direct = self.direct.get(id).into_iter().flatten();
            snapshot.principals.push(Principal {
                short: entity.label.clone(),
                id: Some(id.clone()),
                account: TENANT.to_owned(),
                kind: if entity.kind == EntityKind::User { PrincipalKind::User } else { PrincipalKind::Role },
                policies,
                groups: direct.filter_map(|group| self.name(group).cloned()).collect(),
                trust: trusts.get(id).cloned(),
                name,
                ..Principal::default()
            });
        }
        self.resources(&mut snapshot);
        self.scopes(&mut snapshot, &denies);
        snapshot.faults = self.read.faults;
        snapshot
    }

    fn denied(&mut self, deny: Deny) -> (Deny, Arc<Document>) {
        let place = format!("deny assignment {}", deny.name);
        let resources = if deny.scope_alone { vec![deny.scope.clone()] } else { self.reach(&deny.scope, &place) };
        let terms = Terms { effect: Effect::Forbid, place: &place, condition: deny.condition.as_ref(), eligible: false };
        let mut statements = Vec::new();
        for permission in &deny.permissions {
            self.statements(&terms, permission, &resources, &mut statements);
        }
        let document = Arc::new(Document { name: format!("{place} at {}", deny.scope), statements });
        (deny, document)
    }

    fn is_denied(&self, deny: &Deny, id: &str) -> bool {
        let among = |ids: &BTreeSet<String>| ids.contains(id) || self.within.get(id).is_some_and(|groups| groups.iter().any(|group| ids.contains(group)));
        (deny.principals.contains(EVERYBODY) || among(&deny.principals)) && !among(&deny.excluded)
    }

    /// What can become each application and identity: one who adds a credential, and tokens that it takes.
    fn trusts(&self) -> HashMap<String, Arc<Document>> {
        let mut trusts: HashMap<String, Vec<Statement>> = HashMap::new();
        for (id, entity) in &self.read.entities {
            let class = match entity.kind {
                EntityKind::Application => "application",
                EntityKind::ManagedIdentity => "managed-identity",
                _ => continue,
            };
            trusts.entry(id.clone()).or_default().push(lets(PrincipalPattern::Service(class.to_owned()), "assume:", Vec::new()));
        }
        for (whose, issuer, subject) in &self.read.federated {
            let by_resource = || self.acting.get(whose);
            let Some(id) = self.read.by_application.get(whose).or_else(|| self.read.entities.get_key_value(whose).map(|(id, _)| id)).or_else(by_resource)
            else {
                continue;
            };
            let key = format!("{issuer}:sub");
            let text = format!("the subject is `{subject}`");
            let condition = Condition { text, ..compares(&key, subject) };
            trusts.entry(id.clone()).or_default().push(lets(PrincipalPattern::Federated(issuer.clone()), "federate:token", vec![condition]));
        }
        let document = |(id, statements)| (id, Arc::new(Document { name: "federated credentials".to_owned(), statements }));
        trusts.into_iter().map(document).collect()
    }

    /// Resources by the identities that act in them.
    fn resources(&self, snapshot: &mut Snapshot) {
        let mut pairs: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (id, entity) in self.read.entities.iter().filter(|(_, entity)| entity.kind == EntityKind::ManagedIdentity) {
            pairs.extend(entity.runs.iter().map(|resource| (resource.as_str(), id.as_str())));
        }
        for (resource, identities) in &self.read.resources {
            for identity in identities {
                let whose = || self.acting.get(identity).map(String::as_str);
                let id = if identity.starts_with('/') { whose() } else { Some(identity.as_str()) };
                pairs.extend(id.map(|id| (resource.as_str(), id)));
            }
        }
        let one = |(resource, identity): (&str, &str)| Resource {
            name: resource.to_owned(),
            kind: kind_of(resource),
            account: TENANT.to_owned(),
            runs_as: self.name(identity).cloned(),
            ..Resource::default()
        };
        snapshot.resources.extend(pairs.into_iter().map(one));
    }

    /// Power over each scope that somebody holds something at, over subscriptions, and over data.
    fn scopes(&mut self, snapshot: &mut Snapshot, denies: &[(Deny, Arc<Document>)]) {
        let mut scopes: BTreeSet<(String, &str)> = BTreeSet::new();
        let known: Vec<String> = self.read.resources.keys().cloned().chain(snapshot.resources.iter().map(|resource| resource.name.clone())).collect();
        let held_at: BTreeSet<String> = self.documents.keys().map(|(_, scope, _, _)| scope.clone()).collect();
        for resource in &known {
            let mut parts = resource.split('/').skip(1);
            if let (Some("subscriptions"), Some(subscription)) = (parts.next(), parts.next()) {
                scopes.insert((format!("/subscriptions/{subscription}"), "scope"));
            }
            match kind_of(resource).as_str() {
                "microsoft.keyvault/vaults" => scopes.insert((format!("{resource}/data"), "vault")),
                "microsoft.storage/storageaccounts" => scopes.insert((format!("{resource}/data"), "storage")),
                "microsoft.management/managementgroups" => scopes.insert((resource.clone(), "scope")),
                _ => false,
            };
        }
        scopes.extend(held_at.into_iter().map(|scope| (scope, "scope")));
        for (name, class) in scopes {
            let resources = if class == "scope" {
                self.reach(&name, "scopes")
            } else {
                vec![name.trim_end_matches("/data").to_owned(), format!("{}/*", name.trim_end_matches("/data"))]
            };
            let planes: &[&str] = if class == "scope" { &["control:*", "data:*"] } else { &["data:*"] };
            let actions = planes.iter().map(|plane| (*plane).to_owned()).collect();
            let all = statement("#1".to_owned(), Effect::Permit, actions, Vec::new(), resources, Vec::new());
            let mut policies = vec![Arc::new(Document { name: format!("owner of {name}"), statements: vec![all] })];
            policies.extend(denies.iter().filter(|(deny, _)| deny.principals.contains(EVERYBODY)).map(|(_, document)| Arc::clone(document)));
            let trust = Document { name: "scope".to_owned(), statements: vec![lets(PrincipalPattern::Service(class.to_owned()), "assume:", Vec::new())] };
            snapshot.principals.push(Principal {
                short: name.clone(),
                account: TENANT.to_owned(),
                kind: PrincipalKind::Scope,
                policies,
                trust: Some(Arc::new(trust)),
                name,
                ..Principal::default()
            });
        }
    }
}

/// The type of a resource, by its id.
fn kind_of(resource: &str) -> String {
    let Some((_, below)) = resource.rsplit_once("/providers/") else { return String::new() };
    let mut parts = below.split('/');
    let mut kind = parts.next().unwrap_or_default().to_owned();
    for part in parts.step_by(2) {
        kind.push('/');
        kind.push_str(part);
    }
    kind
}

pub(super) fn statement(
    id: String,
    effect: Effect,
    actions: Vec<String>,
    except: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
) -> Statement {
    Statement { id, effect, principals: None, actions: Match::of(actions), except, resources: Match::of(resources), conditions, variables: false }
}

fn lets(who: PrincipalPattern, action: &str, conditions: Vec<Condition>) -> Statement {
    let mut one = statement("#1".to_owned(), Effect::Permit, vec![action.to_owned()], Vec::new(), vec!["*".to_owned()], conditions);
    one.principals = Some(Match::of(vec![who]));
    one
}

fn compares(key: &str, value: &str) -> Condition {
    let test = Test { kind: TestKind::Text, negated: false };
    Condition { test, each: Quantifier::One, if_exists: false, key: key.to_lowercase(), values: vec![value.to_owned()], text: String::new() }
}

/// A condition on something that no snapshot tells.
pub(super) fn unknown(key: &str, text: &str) -> Condition {
    Condition { text: text.to_owned(), ..compares(key, "true") }
}
