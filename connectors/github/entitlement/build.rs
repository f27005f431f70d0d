//! From what was read to principals with policies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use weft_model::access::Effect;
use weft_model::entitlement::{Account, Document, Group, Match, Principal, PrincipalKind, Resource, Snapshot, SnapshotFault, Statement, Token};

use super::guard::{self, Guarded};
use super::{Collector, actions_of, list, login, text};

/// Who hands tokens to workflows.
const ISSUER: &str = "token.actions.githubusercontent.com";
/// Teams within teams.
const DEPTH_MAX: usize = 64;

struct Builder {
    organization: String,
    custom: BTreeMap<String, (String, Vec<String>)>,
    held: BTreeMap<String, Vec<Arc<Document>>>,
    /// Teams by user.
    teams: BTreeMap<String, BTreeSet<String>>,
    /// Slugs by id of teams and applications.
    slugs: BTreeMap<String, String>,
    above: BTreeMap<String, String>,
    users: BTreeSet<String>,
    snapshot: Snapshot,
}

pub(super) fn build(read: Collector) -> Snapshot {
    let mut snapshot = Snapshot { faults: read.faults, ..Snapshot::default() };
    for (organization, files) in read.organizations {
        let (custom, held, teams, slugs, above, users) = Default::default();
        let mut builder = Builder { organization, custom, held, teams, slugs, above, users, snapshot };
        builder.snapshot.accounts.insert(builder.organization.clone(), Account::default());
        // Names first: later parts speak of them.
        files.iter().for_each(|(_, value)| builder.names(value));
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

    fn hold(&mut self, who: &str, name: String, actions: Vec<String>, resources: Vec<String>) {
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

    fn names(&mut self, value: &Value) {
        for role in list(value, "custom_repository_roles") {
            let permissions = list(role, "permissions").filter_map(Value::as_str).map(str::to_owned).collect();
            self.custom.insert(text(role, "name"), (text(role, "base_role"), permissions));
        }
        for (team, parent) in list(value, "teams").map(|team| (team, team.get("parent"))) {
            let slug = text(team, "slug");
            if let Some(id) = team.get("id") {
                self.slugs.insert(format!("team#{id}"), format!("team:{slug}"));
            }
            if let Some(parent) = parent.map(|parent| parent.as_str().map_or_else(|| text(parent, "slug"), str::to_owned)).filter(|parent| !parent.is_empty()) {
                self.above.insert(slug, parent);
            }
        }
        for one in list(value, "installations") {
            if let Some(id) = one.get("app_id") {
                self.slugs.insert(format!("app#{id}"), format!("app:{}", text(one, "app_slug")));
            }
        }
    }

    fn members(&mut self, value: &Value) {
        let base = value.pointer("/organization/default_repository_permission").and_then(Value::as_str).unwrap_or_default().to_owned();
        let organization = self.organization.clone();
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
                    self.hold(&user, format!("maintainer of team {slug}"), vec!["team:members".to_owned()], vec![format!("team:{}/{slug}", self.organization)]);
                }
                self.teams.entry(user).or_default().insert(slug.clone());
            }
            for repository in list(team, "repositories") {
                let name = self.full(repository);
                let role = role_of(repository);
                self.role(place, &format!("team:{slug}"), &role, &name, &format!("team {slug}"));
            }
        }
    }

    fn full(&self, repository: &Value) -> String {
        let name = [text(repository, "full_name"), text(repository, "name"), repository.as_str().unwrap_or_default().to_owned()]
            .into_iter()
            .find(|name| !name.is_empty());
        let name = name.unwrap_or_default();
        if name.contains('/') { name } else { format!("{}/{name}", self.organization) }
    }

    fn role(&mut self, place: &str, who: &str, role: &str, repository: &str, by: &str) {
        match actions_of(role, &self.custom) {
            Some(actions) => {
                let base = self.custom.get(role).map_or(role, |(base, _)| base).to_owned();
                let bypasses = actions.iter().any(|action| action == "branch:push" || action == "administration:write");
                let resources = if bypasses { of_role(repository, "admin") } else { of_role(repository, &base) };
                self.hold(who, format!("{role} on {repository} by {by}"), actions, resources);
            }
            None => self.fault(place, format!("the role `{role}` on `{repository}` is not in the snapshot: it permits nothing; add `custom_repository_roles`")),
        }
    }

    fn repositories(&mut self, place: &str, value: &Value) {
        for repository in list(value, "repositories") {
            let name = self.full(repository);
            let mut roles: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for collaborator in list(repository, "collaborators") {
                let Some(user) = login(collaborator) else { continue };
                let role = role_of(collaborator);
                self.users.insert(user.clone());
                self.role(place, &user, &role, &name, "collaborator");
                roles.entry(role).or_default().push(user);
            }
            for key in list(repository, "keys").filter(|key| key.get("read_only").and_then(Value::as_bool) == Some(false)) {
                let key = format!("key:{name}/{}", text(key, "title"));
                self.users.insert(key.clone());
                self.role(place, &key, "write", &name, "deploy key");
                roles.entry("keys".to_owned()).or_default().push(key);
            }
            for team in list(value, "teams") {
                let granted = list(team, "repositories").filter(|one| self.full(one) == name).map(role_of).collect::<Vec<_>>();
                granted.into_iter().for_each(|role| roles.entry(role).or_default().push(format!("team:{}", text(team, "slug"))));
            }
            if repository.pointer("/actions/enabled").and_then(Value::as_bool) != Some(false) {
                self.workflows(&name, repository, &roles);
            }
            if repository.pointer("/oidc/use_default").and_then(Value::as_bool) == Some(false) {
                self.fault(place, format!("`{name}` has subjects of its own making in its tokens; they are read as the default ones"));
            }
        }
    }

    /// What workflows of a repository get tokens for, and who passes what guards it.
    fn workflows(&mut self, name: &str, repository: &Value, roles: &BTreeMap<String, Vec<String>>) {
        let (branches, environments) = (guard::branches(repository), guard::environments(repository));
        let default = text(repository, "default_branch");
        let default_guard = branches.iter().find(|branch| branch.name == default).cloned();
        let subject = |rest: &str| format!("repo:{name}:{rest}");
        let except: Vec<String> = branches
            .iter()
            .map(|branch| subject(&format!("ref:refs/heads/{}", branch.name)))
            .chain(environments.iter().map(|one| subject(&format!("environment:{}", one.name))))
            .collect();
        self.workflow(name, "", "repository", Token { subject: subject("*"), except, ..Token::default() });
        for branch in &branches {
            let token = Token {
                subject: subject(&format!("ref:refs/heads/{}", branch.name)),
                claims: BTreeMap::from([("ref".to_owned(), format!("refs/heads/{}", branch.name))]),
                ..Token::default()
            };
            self.workflow(name, &format!("@{}", branch.name), "branch", token);
            self.pass(name, &format!("@{}", branch.name), "branch:push", branch, roles);
        }
        for environment in &environments {
            let token = Token {
                subject: subject(&format!("environment:{}", environment.name)),
                claims: BTreeMap::from([("environment".to_owned(), environment.name.clone())]),
                ..Token::default()
            };
            self.workflow(name, &format!("#{}", environment.name), "environment", token);
            match (environment.by_default_branch, &default_guard) {
                (true, Some(guard)) => self.pass(name, &format!("#{}", environment.name), "environment:deploy", guard, roles),
                // Branches that may deploy there are not protected: whoever writes passes.
                (true, None) => {
                    let open = Guarded { passes: vec!["role:write".to_owned(), "role:maintain".to_owned()], ..Guarded::default() };
                    self.pass(name, &format!("#{}", environment.name), "environment:deploy", &open, roles);
                }
                (false, _) => self.pass(name, &format!("#{}", environment.name), "environment:deploy", environment, roles),
            }
        }
    }

    fn pass(&mut self, name: &str, part: &str, action: &str, guard: &Guarded, roles: &BTreeMap<String, Vec<String>>) {
        for passes in &guard.passes {
            let passes = self.slugs.get(passes).cloned().unwrap_or_else(|| passes.clone());
            let whom = match passes.strip_prefix("role:").or((passes == "keys").then_some("keys")) {
                Some(role) => roles.get(role).cloned().unwrap_or_default(),
                None => vec![passes.clone()],
            };
            for who in whom {
                self.hold(&who, format!("passes the guard of {name}{part}"), vec![action.to_owned()], vec![format!("{name}{part}")]);
            }
        }
    }

    fn workflow(&mut self, name: &str, part: &str, kind: &str, mut token: Token) {
        let owner = name.split('/').next().unwrap_or_default().to_owned();
        token.issuer = ISSUER.to_owned();
        token.claims.extend([("repository".to_owned(), name.to_owned()), ("repository_owner".to_owned(), owner)]);
        let workflow = format!("workflow:{name}{part}");
        self.snapshot.resources.push(Resource {
            name: format!("{name}{part}"),
            kind: kind.to_owned(),
            account: self.organization.clone(),
            runs_as: Some(workflow.clone()),
            ..Resource::default()
        });
        self.snapshot.principals.push(Principal {
            short: workflow.clone(),
            account: self.organization.clone(),
            kind: PrincipalKind::Role,
            tokens: vec![token],
            name: workflow,
            ..Principal::default()
        });
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
                "selected" => list(one, "repositories").map(|repository| self.full(repository)).collect(),
                _ => vec![format!("{}/*", self.organization)],
            };
            let administers = actions.iter().any(|action| action == "administration:write");
            let mut resources: Vec<String> = repositories.iter().flat_map(|name| of_role(name, if administers { "admin" } else { "write" })).collect();
            resources.push(self.organization.clone());
            self.hold(&app, format!("installation of {slug}"), actions, resources);
        }
    }

    fn finish(mut self) -> Snapshot {
        let held = std::mem::take(&mut self.held);
        let of = |who: &str| held.get(who).cloned().unwrap_or_default();
        let slugs: BTreeSet<String> =
            self.slugs.values().filter_map(|slug| slug.strip_prefix("team:")).map(str::to_owned).chain(self.teams.values().flatten().cloned()).collect();
        let slugs: BTreeSet<String> = slugs.into_iter().chain(held.keys().filter_map(|who| who.strip_prefix("team:")).map(str::to_owned)).collect();
        for slug in &slugs {
            let mut policies = of(&format!("team:{slug}"));
            // A team has what the teams above it have.
            let (mut above, mut seen) = (self.above.get(slug), BTreeSet::new());
            while let Some(parent) = above.filter(|parent| seen.len() < DEPTH_MAX && seen.insert((*parent).clone())) {
                policies.extend(of(&format!("team:{parent}")));
                above = self.above.get(parent);
            }
            let name = format!("team:{}/{slug}", self.organization);
            self.snapshot.groups.push(Group { name, account: self.organization.clone(), policies, editable: Vec::new() });
        }
        for user in std::mem::take(&mut self.users) {
            let teams = self.teams.get(&user).into_iter().flatten().map(|slug| format!("team:{}/{slug}", self.organization)).collect();
            self.snapshot.principals.push(Principal {
                short: user.clone(),
                account: self.organization.clone(),
                policies: of(&user),
                groups: teams,
                name: user,
                ..Principal::default()
            });
        }
        self.snapshot
    }
}

/// The role that an answer tells, by its name or by its flags.
fn role_of(value: &Value) -> String {
    let named = [text(value, "role_name"), text(value, "permission")].into_iter().find(|name| !name.is_empty());
    let flag = |role: &&str| value.pointer(&format!("/permissions/{role}")).and_then(Value::as_bool) == Some(true);
    named.unwrap_or_else(|| ["admin", "maintain", "push", "triage", "pull"].iter().find(|role| flag(role)).unwrap_or(&"read").to_string())
}

/// Resources of a repository that a role is about: an administrator changes what guards it as well.
fn of_role(repository: &str, role: &str) -> Vec<String> {
    if role == "admin" && !repository.ends_with('*') {
        return vec![repository.to_owned(), format!("{repository}@*"), format!("{repository}#*")];
    }
    vec![repository.to_owned()]
}
