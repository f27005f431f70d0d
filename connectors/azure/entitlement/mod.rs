//! Azure and Entra as the identity layer sees them: role assignments over scopes, and the directory.
//!
//! Read are the lists that `az role assignment list --all`, `az role definition list`, `az ad … list`,
//! `az resource list`, `az account management-group` and Microsoft Graph print; objects are told by their
//! fields, so that one file may hold several lists ("Azure RBAC documentation", "Understand scope", "Azure
//! deny assignments", "Microsoft Entra built-in roles", learn.microsoft.com).
//!
//! Actions have a plane: `control:` (Azure's actions), `data:` (its data actions), `directory:` (actions of
//! directory roles) and `graph:` (application permissions). Scopes are compared without case and written in
//! lower case. Power over a scope (owner of it) is a principal of its own, which nobody signs in as.

mod abac;
mod arm;
mod build;
mod directory;
mod holders;
mod known;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use weft_model::entitlement::{Snapshot, SnapshotFault};

pub use known::{actions, written_roles};

/// What reasoning has to know, as text for the identity layer.
pub const RULES: &str = include_str!("rules.toml");
/// What a snapshot is, for whoever gave something else.
pub const WANTED: &str = "lists of `az role assignment list --all`, `az role definition list`, `az ad` or Microsoft Graph";
/// Faults that are kept.
const FAULTS_MAX: usize = 10_000;
/// Lists within lists.
const DEPTH_MAX: usize = 8;

/// An object of the directory that may hold something.
#[derive(Debug, Clone, Default)]
struct Entity {
    /// Sign-in name, or the name that people see.
    label: String,
    kind: EntityKind,
    application: Option<String>,
    /// Resources whose identity it is.
    runs: BTreeSet<String>,
    role_assignable: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum EntityKind {
    #[default]
    User,
    Group,
    Application,
    ManagedIdentity,
}

/// A role that is held: where, and whether it counts now.
#[derive(Debug, Clone)]
struct Held {
    place: String,
    principal: String,
    role: String,
    scope: String,
    condition: Option<String>,
    eligible: bool,
}

/// The permissions of a role, or what is denied.
#[derive(Debug, Clone, Default)]
struct Permission {
    actions: Vec<String>,
    except: Vec<String>,
    condition: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Role {
    name: String,
    permissions: Vec<Permission>,
}

struct Deny {
    name: String,
    permissions: Vec<Permission>,
    /// Of the assignment itself; each permission may have its own as well.
    condition: Option<String>,
    scope: String,
    scope_alone: bool,
    principals: BTreeSet<String>,
    excluded: BTreeSet<String>,
}

/// Collects what several files say.
#[derive(Default)]
pub struct Collector {
    entities: BTreeMap<String, Entity>,
    /// Members by group, both by id.
    members: BTreeMap<String, BTreeSet<String>>,
    /// Members by administrative unit.
    units: BTreeMap<String, BTreeSet<String>>,
    /// Owners by object.
    owners: BTreeMap<String, BTreeSet<String>>,
    /// Service principals by the id of their application object, and by application id.
    by_application: HashMap<String, String>,
    /// Application ids by the id of the application object.
    applications: BTreeMap<String, String>,
    roles: HashMap<String, Role>,
    held: Vec<Held>,
    denies: Vec<Deny>,
    directory_roles: HashMap<String, Role>,
    directory_held: Vec<Held>,
    /// Application permissions: who holds which.
    grants: Vec<(String, String)>,
    permissions: HashMap<String, String>,
    /// Scope above each scope that has one.
    above: BTreeMap<String, String>,
    resources: BTreeMap<String, BTreeSet<String>>,
    federated: Vec<(String, String, String)>,
    tenant: Option<String>,
    faults: Vec<SnapshotFault>,
}

/// Whether a value is a list or an object of these.
pub fn is_one(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.first().is_some_and(is_one),
        Value::Object(fields) => {
            let context = fields.get("@odata.context").and_then(Value::as_str).is_some_and(|context| context.contains("graph.microsoft.com"));
            context
                || kind(value, "").is_some()
                || fields.get("value").is_some_and(is_one)
                || lists(value).any(|(name, list)| HINTS.contains(&name) && is_list(list))
        }
        _ => false,
    }
}

/// Names of lists in one object that holds several.
const HINTS: [&str; 17] = [
    "administrativeUnits",
    "roleAssignments",
    "roleDefinitions",
    "denyAssignments",
    "roleEligibilityScheduleInstances",
    "users",
    "servicePrincipals",
    "applications",
    "directoryRoles",
    "directoryRoleAssignments",
    "directoryRoleEligibilities",
    "directoryRoleDefinitions",
    "appRoleAssignments",
    "managementGroups",
    "groupMembers",
    "owners",
    "federatedIdentityCredentials",
];

fn is_list(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

fn lists(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, list)| (name.as_str(), list))
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Assignment,
    Definition,
    Deny,
    DirectoryAssignment,
    DirectoryDefinition,
    DirectoryRole,
    Grant,
    ServicePrincipal,
    Application,
    User,
    Group,
    Subscription,
    ManagementGroup,
    Federated,
    Resource,
    Unit,
    /// When something signed in: it says nothing of entitlements.
    Use,
}

/// By its fields; `hint` is the name of the list that it stands in.
fn kind(value: &Value, hint: &str) -> Option<Kind> {
    let properties = value.get("properties").filter(|properties| properties.is_object()).unwrap_or(value);
    let has = |key: &str| value.get(key).is_some() || properties.get(key).is_some();
    let (odata, id, of) = (text(value, "@odata.type"), text(value, "id"), text(value, "type").to_lowercase());
    Some(match () {
        () if has("lastSignInActivity") => Kind::Use,
        () if odata.ends_with("administrativeUnit") || hint == "administrativeUnits" => Kind::Unit,
        () if has("denyAssignmentName") || of.ends_with("/denyassignments") => Kind::Deny,
        () if has("roleDefinitionId") && has("principalId") && (has("directoryScopeId") || has("appScopeId") || hint.starts_with("directory")) => {
            Kind::DirectoryAssignment
        }
        () if has("roleDefinitionId") && has("principalId") => Kind::Assignment,
        () if has("rolePermissions") => Kind::DirectoryDefinition,
        () if has("permissions") && (has("roleName") || has("assignableScopes")) => Kind::Definition,
        () if has("roleTemplateId") => Kind::DirectoryRole,
        () if has("appRoleId") && has("principalId") => Kind::Grant,
        () if has("issuer") && has("subject") => Kind::Federated,
        () if has("servicePrincipalType") || odata.ends_with("servicePrincipal") || odata.ends_with("agentIdentity") || has("agentIdentityBlueprintId") => {
            Kind::ServicePrincipal
        }
        () if odata.ends_with("graph.application")
            || (has("appId") && (has("passwordCredentials") || has("requiredResourceAccess") || hint == "applications")) =>
        {
            Kind::Application
        }
        () if has("userPrincipalName") || odata.ends_with("graph.user") => Kind::User,
        () if has("securityEnabled") || has("groupTypes") || has("isAssignableToRole") || odata.ends_with("graph.group") => Kind::Group,
        () if of.contains("managementgroups") || has("parentNameChain") => Kind::ManagementGroup,
        () if has("tenantId") && (has("subscriptionId") || has("isDefault")) && !id.to_lowercase().contains("/providers/") => Kind::Subscription,
        () if id.starts_with("/subscriptions/") => Kind::Resource,
        () => return None,
    })
}

impl Collector {
    /// Reads one file; `place` is its name, for messages.
    pub fn add(&mut self, place: &str, value: &Value) {
        let hint = text(value, "@odata.context");
        self.read(place, value, hint.rsplit(['/', '#']).next().unwrap_or_default(), DEPTH_MAX);
    }

    fn read(&mut self, place: &str, value: &Value, hint: &str, depth: usize) {
        if depth == 0 {
            return self.fault(place, format!("more than {DEPTH_MAX} lists within lists"));
        }
        match value {
            Value::Array(values) => values.iter().enumerate().for_each(|(number, value)| self.read(&format!("{place}[{number}]"), value, hint, depth - 1)),
            Value::Object(_) => match kind(value, hint) {
                Some(kind) => self.object(place, kind, value, hint),
                None if value.get("value").is_some_and(Value::is_array) => self.read(place, value.get("value").unwrap_or(&Value::Null), hint, depth - 1),
                None if hint == "groupMembers" => self.by_object(value, true),
                None if hint == "owners" => self.by_object(value, false),
                None if lists(value).any(|(name, list)| HINTS.contains(&name) || (name == "groups" || name == "resources") && list.is_array()) => {
                    lists(value)
                        .filter(|(name, _)| !name.starts_with('@'))
                        .for_each(|(name, list)| self.read(&format!("{place}: {name}"), list, name, depth - 1));
                }
                None => self.fault(place, format!("is no object that says something of entitlements; wanted is {WANTED}")),
            },
            _ => self.fault(place, format!("is not an object; wanted is {WANTED}")),
        }
    }

    fn object(&mut self, place: &str, kind: Kind, value: &Value, hint: &str) {
        let read = match kind {
            Kind::Assignment => self.assignment(place, value, hint),
            Kind::Definition => self.definition(value),
            Kind::Deny => self.deny(value),
            Kind::Subscription => self.subscription(value),
            Kind::ManagementGroup => self.management_group(value, None, DEPTH_MAX * 2),
            Kind::Resource => self.resource(value),
            Kind::DirectoryAssignment => self.directory_assignment(place, value, hint),
            Kind::DirectoryDefinition => self.directory_definition(value),
            Kind::DirectoryRole => self.directory_role(place, value),
            Kind::Grant => self.grant(value),
            Kind::ServicePrincipal => self.service_principal(value),
            Kind::Application => self.application(value),
            Kind::User => self.user(value),
            Kind::Group => self.group(value),
            Kind::Federated => self.federated(value, &text(value, "principalId")),
            Kind::Unit => self.unit(value),
            Kind::Use => Ok(()),
        };
        if let Err(reason) = read {
            self.fault(place, reason);
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

/// An action as it is compared: with its plane.
pub fn action(action: &str) -> String {
    let lower = action.to_lowercase();
    if ["control:", "data:", "directory:", "graph:"].iter().any(|plane| lower.starts_with(plane)) {
        return action.to_owned();
    }
    if lower.starts_with("microsoft.directory/") {
        return format!("directory:{action}");
    }
    if !lower.contains('/') && lower.contains('.') {
        return format!("graph:{action}");
    }
    if known::is_data(&lower) { format!("data:{action}") } else { format!("control:{action}") }
}

/// A resource as it is compared.
pub fn resource(name: &str) -> String {
    if name.starts_with('/') { scope(name) } else { name.to_owned() }
}

/// A scope as it is compared: in lower case, without a slash at the end.
fn scope(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let trimmed = lower.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A text among the properties, wherever the form has them.
fn property(value: &Value, key: &str) -> String {
    let own = text(value, key);
    if own.is_empty() { value.get("properties").map(|properties| text(properties, key)).unwrap_or_default() } else { own }
}

fn properties(value: &Value) -> &Value {
    value.get("properties").filter(|properties| properties.is_object()).unwrap_or(value)
}

fn needed(value: &Value, key: &str) -> Result<String, String> {
    let found = property(value, key);
    if found.is_empty() { Err(format!("`{key}` is missing")) } else { Ok(found) }
}

/// The last part of an id, in lower case.
fn last(id: &str) -> String {
    id.rsplit('/').next().unwrap_or_default().to_lowercase()
}

fn texts(value: &Value, key: &str) -> Result<Vec<String>, String> {
    let Some(list) = value.get(key).filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| format!("`{key}` is not a list"))?;
    list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(|| format!("`{one}` in `{key}` is not a text"))).collect()
}
