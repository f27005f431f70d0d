//! Who is who in an organisation, from all files, before anybody is given anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{actions_of, list, login, role_name, text};

/// Teams within teams.
const DEPTH_MAX: usize = 64;
/// All members that are no owners.
pub(super) const MEMBERS: &str = "members";

/// Names, ids and roles of an organisation.
#[derive(Default)]
pub(super) struct Names {
    pub(super) organization: String,
    /// Base and permissions of custom roles.
    pub(super) custom: BTreeMap<String, (String, Vec<String>)>,
    /// The role that every member has on every repository.
    pub(super) base: String,
    /// Names by id of users, teams, applications and roles, each with its kind.
    by_id: HashMap<String, String>,
    pub(super) above: BTreeMap<String, String>,
    below: BTreeMap<String, BTreeSet<String>>,
    /// Users by team.
    pub(super) within: BTreeMap<String, BTreeSet<String>>,
    pub(super) members: BTreeSet<String>,
    /// Who has which role, by repository; `keys` is the role of deploy keys that write.
    roles: HashMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Names {
    pub(super) fn of(organization: String) -> Self {
        Self { organization, ..Self::default() }
    }

    /// Notes what one file says.
    pub(super) fn add(&mut self, value: &Value) {
        for role in list(value, "custom_repository_roles") {
            let permissions = list(role, "permissions").filter_map(Value::as_str).map(str::to_owned).collect();
            self.id("role", role.get("id"), text(role, "name"));
            self.custom.insert(text(role, "name"), (text(role, "base_role"), permissions));
        }
        if let Some(base) = value.pointer("/organization/default_repository_permission").and_then(Value::as_str) {
            self.base = base.to_owned();
        }
        for one in list(value, "installations") {
            self.id("app", one.get("app_id"), text(one, "app_slug"));
        }
        for member in list(value, "members") {
            let Some(user) = self.user(member) else { continue };
            if text(member, "role") != "admin" {
                self.members.insert(user);
            }
        }
        list(value, "teams").for_each(|team| self.team(team));
        list(value, "repositories").for_each(|repository| self.repository(repository));
    }

    fn team(&mut self, team: &Value) {
        let slug = text(team, "slug");
        self.id("team", team.get("id"), slug.clone());
        let parent = team.get("parent").map(|parent| parent.as_str().map_or_else(|| text(parent, "slug"), str::to_owned));
        if let Some(parent) = parent.filter(|parent| !parent.is_empty()) {
            self.below.entry(parent.clone()).or_default().insert(slug.clone());
            self.above.insert(slug.clone(), parent);
        }
        for member in list(team, "members") {
            let user = self.user(member);
            self.within.entry(slug.clone()).or_default().extend(user);
        }
        for repository in list(team, "repositories") {
            self.role(repository, role_of(repository), format!("team:{slug}"));
        }
    }

    fn repository(&mut self, repository: &Value) {
        for collaborator in list(repository, "collaborators") {
            if let Some(user) = self.user(collaborator) {
                self.role(repository, role_of(collaborator), user);
            }
        }
        for key in writing_keys(repository) {
            let key = format!("key:{}/{}", self.full(repository), text(key, "title"));
            self.role(repository, "keys".to_owned(), key);
        }
    }

    fn role(&mut self, repository: &Value, role: String, who: String) {
        let name = self.full(repository);
        self.roles.entry(name).or_default().entry(role_name(&role).to_owned()).or_default().insert(who);
    }

    fn user(&mut self, value: &Value) -> Option<String> {
        let user = login(value)?;
        self.id("user", value.get("id").or_else(|| value.pointer("/user/id")), user.clone());
        Some(user)
    }

    fn id(&mut self, kind: &str, id: Option<&Value>, name: String) {
        if let Some(id) = id.filter(|id| id.is_number()) {
            let named = if kind == "user" { name } else { format!("{kind}:{name}") };
            self.by_id.insert(format!("{kind}#{id}"), named);
        }
    }

    pub(super) fn full(&self, repository: &Value) -> String {
        let name = [text(repository, "full_name"), text(repository, "name"), repository.as_str().unwrap_or_default().to_owned()]
            .into_iter()
            .find(|name| !name.is_empty());
        let name = name.unwrap_or_default();
        if name.contains('/') { name } else { format!("{}/{name}", self.organization) }
    }

    /// Who passes all guards of a repository: users, deploy keys, applications, teams. Who is in a team that passes is
    /// not told again.
    pub(super) fn passing(&self, repository: &str, guards: &[Vec<String>]) -> BTreeSet<String> {
        let whom = |guard: &Vec<String>| guard.iter().flat_map(|name| self.whom(repository, name)).collect::<BTreeSet<_>>();
        if let [one] = guards {
            return whom(one);
        }
        let mut each = guards.iter().map(|guard| self.all(whom(guard)));
        let Some(first) = each.next() else { return BTreeSet::new() };
        let common = each.fold(first, |common, other| common.intersection(&other).cloned().collect());
        let told: BTreeSet<String> = common.iter().filter_map(|name| name.strip_prefix("team:")).flat_map(|slug| self.beneath(slug)).collect();
        common.into_iter().filter(|name| !told.contains(name)).collect()
    }

    /// Whom a name of a guard means on a repository.
    fn whom(&self, repository: &str, name: &str) -> Vec<String> {
        let name = self.by_id.get(name).map_or(name, String::as_str);
        let Some(role) = name.strip_prefix("role:").or((name == "keys").then_some(name)) else { return vec![name.to_owned()] };
        let having = self.roles.get(repository).and_then(|roles| roles.get(role)).into_iter().flatten().cloned();
        having.chain((role_name(&self.base) == role).then(|| MEMBERS.to_owned())).collect()
    }

    /// Who writes to a repository.
    pub(super) fn writers(&self, repository: &str) -> Vec<String> {
        let writes =
            |role: &str| role == "keys" || actions_of(role, &self.custom).is_some_and(|actions| actions.iter().any(|action| action == "contents:write"));
        let roles = self.roles.get(repository).into_iter().flatten().filter(|(role, _)| writes(role));
        roles.flat_map(|(_, who)| who.iter().cloned()).chain(writes(&self.base).then(|| MEMBERS.to_owned())).collect()
    }

    /// These, and everybody who is in one of them.
    fn all(&self, names: BTreeSet<String>) -> BTreeSet<String> {
        let mut found = names.clone();
        for name in names {
            if name == MEMBERS {
                found.extend(self.members.iter().cloned());
            } else if let Some(slug) = name.strip_prefix("team:") {
                found.extend(self.beneath(slug));
            }
        }
        found
    }

    /// Users and teams that have what a team has.
    fn beneath(&self, slug: &str) -> BTreeSet<String> {
        let (mut found, mut open) = (BTreeSet::new(), vec![(slug, 0)]);
        while let Some((slug, depth)) = open.pop() {
            found.extend(self.within.get(slug).into_iter().flatten().cloned());
            for child in self.below.get(slug).into_iter().flatten().filter(|_| depth < DEPTH_MAX) {
                if found.insert(format!("team:{child}")) {
                    open.push((child, depth + 1));
                }
            }
        }
        found
    }

    /// All teams that are told of.
    pub(super) fn slugs(&self) -> impl Iterator<Item = &str> {
        let told = self.by_id.values().filter_map(|name| name.strip_prefix("team:"));
        told.chain(self.within.keys().map(String::as_str))
    }

    /// The teams above one, the nearest first.
    pub(super) fn over(&self, slug: &str) -> Vec<&String> {
        let mut found: Vec<&String> = Vec::new();
        let mut above = self.above.get(slug);
        while let Some(parent) = above.filter(|parent| found.len() < DEPTH_MAX && !found.contains(parent)) {
            found.push(parent);
            above = self.above.get(parent);
        }
        found
    }
}

/// Deploy keys that write.
pub(super) fn writing_keys(repository: &Value) -> impl Iterator<Item = &Value> {
    list(repository, "keys").filter(|key| key.get("read_only").and_then(Value::as_bool) == Some(false))
}

/// The role that an answer tells, by its name or by its flags.
pub(super) fn role_of(value: &Value) -> String {
    let named = [text(value, "role_name"), text(value, "permission")].into_iter().find(|name| !name.is_empty());
    let flag = |role: &&str| value.pointer(&format!("/permissions/{role}")).and_then(Value::as_bool) == Some(true);
    named.unwrap_or_else(|| ["admin", "maintain", "push", "triage", "pull"].iter().find(|role| flag(role)).unwrap_or(&"read").to_string())
}
