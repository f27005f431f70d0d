//! GitHub as the identity layer sees it: an organisation with its teams, repositories and applications.
//!
//! Read is one object an organisation, made of what the REST API prints: `organization`, `members` (with
//! `role`), `teams` (with `parent`, `members`, `repositories`), `repositories` (with `collaborators`, `keys`,
//! `environments` with `branch_policies`, `rulesets`, `branch_protection`), `custom_repository_roles`, `installations` (docs.github.com,
//! "Repository roles for an organization", "About rulesets", "OpenID Connect reference").
//!
//! A resource is `ORG`, `OWNER/REPO`, a protected branch `OWNER/REPO@BRANCH`, or a guarded environment
//! `OWNER/REPO#ENVIRONMENT`. What a workflow gets a token for is a principal: `workflow:OWNER/REPO` for what
//! anybody who pushes may choose, `workflow:OWNER/REPO@BRANCH` and `workflow:OWNER/REPO#ENVIRONMENT` for what is guarded.

mod build;
mod guard;
mod names;
mod refs;
#[cfg(test)]
mod tests;
mod workflow;

use std::collections::BTreeMap;

use serde_json::Value;
use weft_model::entitlement::{Snapshot, SnapshotFault};

/// What reasoning has to know, as text for the identity layer.
pub const RULES: &str = include_str!("rules.toml");
/// What a snapshot is, for whoever gave something else.
pub const WANTED: &str = "an object with `organization`, `members`, `teams` and `repositories`";
/// Faults that are kept.
const FAULTS_MAX: usize = 10_000;

/// Actions of repository roles, each with those of the roles before it.
const ROLES: [(&str, &[&str]); 5] = [
    ("read", &["metadata:read", "contents:read", "issues:read", "pull_requests:read"]),
    ("triage", &["issues:write"]),
    ("write", &["contents:write", "pull_requests:write", "actions:write", "deployments:write"]),
    ("maintain", &["repository:settings"]),
    ("admin", &["administration:write", "secrets:write", "environments:write", "hooks:write", "keys:write", "collaborators:write"]),
];

/// Other names of roles, in older answers.
const ALIASES: [(&str, &str); 2] = [("pull", "read"), ("push", "write")];

/// Actions that applications and guards have beyond those of roles.
const OTHER: [&str; 9] = [
    "branch:push",
    "environment:deploy",
    "members:write",
    "members:read",
    "organization_administration:write",
    "organization_administration:read",
    "workflows:write",
    "secrets:read",
    "team:members",
];

/// Every action that is known.
pub fn actions() -> Vec<String> {
    ROLES.iter().flat_map(|(_, actions)| actions.iter()).chain(&OTHER).map(|action| (*action).to_owned()).collect()
}

/// Whether a value is of an organisation.
pub fn is_one(value: &Value) -> bool {
    value.get("organization").is_some() && ["members", "teams", "repositories", "installations"].iter().any(|key| value.get(key).is_some_and(Value::is_array))
}

/// Collects what several files say.
#[derive(Default)]
pub struct Collector {
    organizations: BTreeMap<String, Vec<(String, Value)>>,
    faults: Vec<SnapshotFault>,
}

impl Collector {
    /// Reads one file; `place` is its name, for messages.
    pub fn add(&mut self, place: &str, value: &Value) {
        let organization = value.get("organization");
        let login = organization.and_then(|organization| organization.as_str().or_else(|| organization.get("login").and_then(Value::as_str)));
        match login {
            Some(login) => self.organizations.entry(login.to_owned()).or_default().push((place.to_owned(), value.clone())),
            None => self.fault(place, "`organization` has no `login`".to_owned()),
        }
    }

    fn fault(&mut self, place: &str, reason: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(SnapshotFault { place: place.to_owned(), reason });
        }
    }

    /// Everything that was read.
    pub fn finish(self) -> Snapshot {
        build::build(self)
    }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The login of a user, given as a text or an object.
fn login(value: &Value) -> Option<String> {
    let user = value.get("user").unwrap_or(value);
    value.as_str().or_else(|| user.get("login").and_then(Value::as_str)).map(str::to_owned)
}

/// The name of a role today.
fn role_name(role: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == role).map_or(role, |(_, name)| name)
}

/// Actions of a repository role; a custom one has those of its base and its own.
fn actions_of(role: &str, custom: &BTreeMap<String, (String, Vec<String>)>) -> Option<Vec<String>> {
    let role = role_name(role);
    if let Some(place) = ROLES.iter().position(|(name, _)| *name == role) {
        return Some(ROLES.iter().take(place + 1).flat_map(|(_, actions)| actions.iter()).map(|action| (*action).to_owned()).collect());
    }
    let (base, own) = custom.get(role)?;
    let mut actions = if base == role { Vec::new() } else { actions_of(base, &BTreeMap::new())? };
    // Permissions of custom roles that matter for reach, by what they come to.
    let means = |permission: &String| match permission.as_str() {
        "bypass_branch_protection" => Some("branch:push"),
        "manage_deploy_keys" => Some("keys:write"),
        "manage_webhooks" => Some("hooks:write"),
        "edit_repo_protections" => Some("administration:write"),
        "edit_repo_custom_properties_values" => Some("repository:settings"),
        "write_code_quality" | "jump_merge_queue" => None,
        _ => None,
    };
    actions.extend(own.iter().filter_map(means).map(str::to_owned));
    Some(actions)
}
