//! From what was read to principals with policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use weft_model::access::Effect;
use weft_model::entitlement::{Account, Document, Group, Match, Principal, Snapshot, SnapshotFault, Statement};

use super::guard::{self, From};
use super::names::{MEMBERS, Names, role_of, writing_keys};
use super::{Collector, actions_of, list, login, text};

pub(super) struct Builder {
    pub(super) names: Names,
    held: BTreeMap<String, Vec<Arc<Document>>>,
    users: BTreeSet<String>,
    pub(super) snapshot: Snapshot,
}

pub(super) fn build(read: Collector) -> Snapshot {
    let mut snapshot = Snapshot { faults: read.faults, ..Snapshot::default() };
    for (organization, files) in read.organizations {
        let (held, users) = Default::default();
        snapshot.accounts.insert(organization.clone(), Account::default());
        let mut builder = Builder { names: Names::of(organization), held, users, snapshot };
        // Names first: later parts speak of them.
        files.iter().for_each(|(_, value)| builder.names.add(value));
        for (place, value) in &files {
            builder.members(value);
            builder.teams(place, value);
            builder.repositories(place, value);
            builder.installations(place, value);
        }
        snapshot = builder.finish();
    }
    snapshot
}

impl Builder {
    fn fault(&mut self, place: &str, reason: String) {
        self.snapshot.faults.push(SnapshotFault { place: place.to_owned(), reason });
    }

    pub(super) fn hold(&mut self, who: &str, name: String, actions: Vec<String>, resources: Vec<String>) {
        let statement = Statement {
            id: "#1".to_owned(),
            effect: Effect::Permit,
            principals: None,
            actions: Match::of(actions),
            except: Vec::new(),
            resources: Match::of(resources),
            conditions: Vec::new(),
            variables: false,
        };
        self.held.entry(who.to_owned()).or_default().push(Arc::new(Document { name, statements: vec![statement] }));
    }

    fn members(&mut self, value: &Value) {
        let (base, organization) = (self.names.base.clone(), self.names.organization.clone());
        for member in list(value, "members") {
            let Some(user) = login(member) else { continue };
            self.users.insert(user.clone());
            if text(member, "role") == "admin" {
                self.hold(&user, format!("owner of {organization}"), vec!["*".to_owned()], vec!["*".to_owned()]);
            } else if let Some(actions) = actions_of(&base, &BTreeMap::new()) {
                self.hold(&user, format!("base permission {base} of {organization}"), actions, of_role(&format!("{organization}/*"), &base));
            }
        }
    }

    fn teams(&mut self, place: &str, value: &Value) {
        for team in list(value, "teams") {
            let slug = text(team, "slug");
            for member in list(team, "members") {
                let Some(user) = login(member) else { continue };
                self.users.insert(user.clone());
                if text(member, "role") == "maintainer" {
                    self.hold(
                        &user,
                        format!("maintainer of team {slug}"),
                        vec!["team:members".to_owned()],
                        vec![format!("team:{}/{slug}", self.names.organization)],
                    );
                }
            }
            for repository in list(team, "repositories") {
                let name = self.names.full(repository);
                let role = role_of(repository);
                self.role(place, &format!("team:{slug}"), &role, &name, &format!("team {slug}"));
            }
        }
    }

    fn role(&mut self, place: &str, who: &str, role: &str, repository: &str, by: &str) {
        match actions_of(role, &self.names.custom) {
            Some(actions) => {
                let base = self.names.custom.get(role).map_or(role, |(base, _)| base).to_owned();
                let bypasses = actions.iter().any(|action| action == "branch:push" || action == "administration:write");
                let resources = if bypasses { of_role(repository, "admin") } else { of_role(repository, &base) };
                self.hold(who, format!("{role} on {repository} by {by}"), actions, resources);
            }
            None => self.fault(place, format!("the role `{role}` on `{repository}` is not in the snapshot: it permits nothing; add `custom_repository_roles`")),
        }
    }

    fn repositories(&mut self, place: &str, value: &Value) {
        for repository in list(value, "repositories") {
            let name = self.names.full(repository);
            for collaborator in list(repository, "collaborators") {
                let Some(user) = login(collaborator) else { continue };
                self.users.insert(user.clone());
                self.role(place, &user, &role_of(collaborator), &name, "collaborator");
            }
            for key in writing_keys(repository) {
                let key = format!("key:{name}/{}", text(key, "title"));
                self.users.insert(key.clone());
                self.role(place, &key, "write", &name, "deploy key");
            }
            if repository.pointer("/actions/enabled").and_then(Value::as_bool) != Some(false) {
                self.workflows(&name, repository);
            }
            if repository.pointer("/oidc/use_default").and_then(Value::as_bool) == Some(false) {
                self.fault(place, format!("`{name}` has subjects of its own making in its tokens; they are read as the default ones"));
            }
            for environment in guard::environments(repository).iter().filter(|environment| environment.from == From::Unknown) {
                let environment = &environment.name;
                self.fault(
                    place,
                    format!("the branches that may deploy to `{environment}` of `{name}` are not in the snapshot: nobody passes; add its `branch_policies`"),
                );
            }
        }
    }

    fn installations(&mut self, place: &str, value: &Value) {
        for one in list(value, "installations") {
            let slug = text(one, "app_slug");
            if slug.is_empty() {
                self.fault(place, "an installation without `app_slug`".to_owned());
                continue;
            }
            let app = format!("app:{slug}");
            self.users.insert(app.clone());
            let mut actions = Vec::new();
            for (permission, level) in one.get("permissions").and_then(Value::as_object).into_iter().flatten() {
                let levels: &[&str] = if level == "read" { &["read"] } else { &["read", "write"] };
                actions.extend(levels.iter().map(|level| format!("{permission}:{level}")));
            }
            let repositories: Vec<String> = match text(one, "repository_selection").as_str() {
                "selected" => list(one, "repositories").map(|repository| self.names.full(repository)).collect(),
                _ => vec![format!("{}/*", self.names.organization)],
            };
            let administers = actions.iter().any(|action| action == "administration:write");
            let mut resources: Vec<String> = repositories.iter().flat_map(|name| of_role(name, if administers { "admin" } else { "write" })).collect();
            resources.push(self.names.organization.clone());
            self.hold(&app, format!("installation of {slug}"), actions, resources);
        }
    }

    fn finish(mut self) -> Snapshot {
        let held = std::mem::take(&mut self.held);
        let of = |who: &str| held.get(who).cloned().unwrap_or_default();
        let organization = &self.names.organization;
        let mut teams: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for (slug, users) in &self.names.within {
            users.iter().for_each(|user| teams.entry(user).or_default().push(format!("team:{organization}/{slug}")));
        }
        let told = held.keys().filter_map(|who| who.strip_prefix("team:")).map(str::to_owned);
        let slugs: BTreeSet<String> = self.names.slugs().map(str::to_owned).chain(told).collect();
        for slug in &slugs {
            let mut policies = of(&format!("team:{slug}"));
            // A team has what the teams above it have.
            policies.extend(self.names.over(slug).into_iter().flat_map(|parent| of(&format!("team:{parent}"))));
            let name = format!("team:{organization}/{slug}");
            self.snapshot.groups.push(Group { name, account: organization.clone(), policies, editable: Vec::new() });
        }
        let workflows = self.snapshot.principals.iter_mut().filter(|one| one.account == *organization);
        workflows.for_each(|workflow| workflow.policies = of(&workflow.name));
        for user in &self.users {
            let mut policies = of(user);
            if self.names.members.contains(user) {
                policies.extend(of(MEMBERS));
            }
            self.snapshot.principals.push(Principal {
                short: user.clone(),
                account: organization.clone(),
                policies,
                groups: teams.remove(user).unwrap_or_default(),
                name: user.clone(),
                ..Principal::default()
            });
        }
        self.snapshot
    }
}

/// Resources of a repository that a role is about: an administrator changes what guards it as well.
fn of_role(repository: &str, role: &str) -> Vec<String> {
    if role == "admin" && !repository.ends_with('*') {
        return vec![repository.to_owned(), format!("{repository}@*"), format!("{repository}#*")];
    }
    vec![repository.to_owned()]
}
