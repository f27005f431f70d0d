//! Google Cloud as the identity layer sees it: allow and deny policies over the hierarchy of resources.
//!
//! Read are what `gcloud projects get-iam-policy` (the file named after its project), `gcloud asset
//! search-all-iam-policies` and `gcloud asset list --content-type iam-policy` print, lists of projects, folders,
//! roles and service accounts, deny policies, principal access boundaries, groups with their members, pools of
//! workload identity, and what runs as a service account. Objects are told by their fields.
//!
//! Permissions are as in roles (`storage.objects.get`). A resource is `organizations/1`, `folders/2`,
//! `projects/p`, or what stands below a project; a service account is `serviceAccount:EMAIL`, as principal and
//! as resource. Power over a part of the hierarchy is a principal of its own, which nobody signs in as.

mod build;
mod cel;
mod known;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weft_model::entitlement::{Snapshot, SnapshotFault};

pub use known::{actions, written_roles};
pub use names::resource;
use names::{node, text, texts};

/// What reasoning has to know, as text for the identity layer.
pub const RULES: &str = include_str!("rules.toml");
/// What a snapshot is, for whoever gave something else.
pub const WANTED: &str = "the output of `gcloud projects get-iam-policy` or `gcloud asset search-all-iam-policies`";
/// Faults that are kept.
const FAULTS_MAX: usize = 10_000;
/// Lists within lists.
const DEPTH_MAX: usize = 8;

/// Members that hold a role at a part of the hierarchy.
struct Binding {
    place: String,
    node: String,
    role: String,
    members: Vec<String>,
    condition: Option<String>,
}

/// What a deny policy forbids.
struct Deny {
    name: String,
    node: String,
    principals: Vec<String>,
    excepted: Vec<String>,
    permissions: Vec<String>,
    spared: Vec<String>,
    condition: Option<String>,
}

/// A provider of a pool of workload identities.
#[derive(Default)]
struct Provider {
    issuer: String,
    /// From an attribute to what the token says.
    mapping: BTreeMap<String, String>,
    condition: Option<String>,
}

/// Collects what several files say.
#[derive(Default)]
pub struct Collector {
    bindings: Vec<Binding>,
    denies: Vec<Deny>,
    /// What stands above each part of the hierarchy.
    above: BTreeMap<String, String>,
    /// Resources that do not stand below their project by their name, by it.
    within: BTreeMap<String, BTreeSet<String>>,
    /// Project ids by number.
    numbers: BTreeMap<String, String>,
    roles: BTreeMap<String, Vec<String>>,
    groups: BTreeMap<String, BTreeSet<String>>,
    accounts: BTreeMap<String, String>,
    disabled: BTreeSet<String>,
    /// What runs: resource, kind, service account.
    running: Vec<(String, String, String)>,
    providers: BTreeMap<String, Vec<Provider>>,
    /// Boundaries: name, and the resources that are open.
    boundaries: BTreeMap<String, Vec<String>>,
    bounded: Vec<(String, String, Option<String>)>,
    faults: Vec<SnapshotFault>,
}

/// Whether a value is a list or an object of these.
pub fn is_one(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.first().is_some_and(is_one),
        Value::Object(fields) => {
            kind(value).is_some() || fields.iter().any(|(name, list)| HINTS.contains(&name.as_str()) && (list.is_array() || list.is_object()))
        }
        _ => false,
    }
}

/// Names of lists in one object that holds several.
const HINTS: [&str; 10] = [
    "iamPolicies",
    "denyPolicies",
    "serviceAccounts",
    "groupMemberships",
    "projects",
    "folders",
    "workloadIdentityPoolProviders",
    "principalAccessBoundaryPolicies",
    "policyBindings",
    "instances",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Policy,
    Deny,
    Role,
    Project,
    Folder,
    ServiceAccount,
    Running,
    Provider,
    Boundary,
    Bound,
    /// A key or its use: it says nothing of entitlements.
    Secret,
}

/// What an object is, by its fields.
fn kind(value: &Value) -> Option<Kind> {
    let has = |key: &str| value.get(key).is_some();
    let name = text(value, "name");
    Some(match () {
        () if has("bindings") && !has("items") || has("policy") && has("resource") || has("iamPolicy") || has("iam_policy") => Kind::Policy,
        () if has("policy") && value.pointer("/policy/bindings").is_some() => Kind::Policy,
        () if name.contains("denypolicies/") || value.pointer("/rules/0/denyRule").is_some() => Kind::Deny,
        () if has("includedPermissions") || name.starts_with("roles/") => Kind::Role,
        () if has("projectNumber") => Kind::Project,
        () if (name.starts_with("folders/") || name.starts_with("organizations/")) && !name.contains("/locations/") => Kind::Folder,
        () if name.contains("/keys/") && has("validAfterTime") || has("activityType") => Kind::Secret,
        () if name.contains("/serviceAccounts/") && has("email") => Kind::ServiceAccount,
        () if has("oidc") || has("attributeMapping") => Kind::Provider,
        () if name.contains("principalAccessBoundaryPolicies/") => Kind::Boundary,
        () if has("policyKind") || value.pointer("/target/principalSet").is_some() => Kind::Bound,
        () if !names::runs_as(value).is_empty() => Kind::Running,
        () => return None,
    })
}

impl Collector {
    /// Reads one file; `place` is its name, for messages, and for a policy that does not say whose it is.
    pub fn add(&mut self, place: &str, value: &Value) {
        self.read(place, place, value, "", DEPTH_MAX);
    }

    fn read(&mut self, file: &str, place: &str, value: &Value, hint: &str, depth: usize) {
        if depth == 0 {
            return self.fault(place, format!("more than {DEPTH_MAX} lists within lists"));
        }
        match value {
            Value::Array(values) => {
                values.iter().enumerate().for_each(|(number, value)| self.read(file, &format!("{place}[{number}]"), value, hint, depth - 1));
            }
            Value::Object(fields) => match kind(value) {
                Some(kind) => self.object(file, place, kind, value),
                None if hint == "groupMemberships" => self.group(value),
                None if fields.keys().any(|name| HINTS.contains(&name.as_str()) || name == "roles") => {
                    fields.iter().for_each(|(name, list)| self.read(file, &format!("{place}: {name}"), list, name, depth - 1));
                }
                None => self.fault(place, format!("is no object that says something of entitlements; wanted is {WANTED}")),
            },
            _ => self.fault(place, format!("is not an object; wanted is {WANTED}")),
        }
    }

    fn object(&mut self, file: &str, place: &str, kind: Kind, value: &Value) {
        let read = match kind {
            Kind::Policy => self.policy(file, place, value),
            Kind::Deny => self.deny(value),
            Kind::Role => self.role(value),
            Kind::Project => self.project(value),
            Kind::Folder => self.folder(value),
            Kind::ServiceAccount => self.service_account(value),
            Kind::Running => self.running(value),
            Kind::Provider => self.provider(value),
            Kind::Boundary => self.boundary(value),
            Kind::Bound => self.bound(value),
            Kind::Secret => Ok(()),
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

    fn policy(&mut self, file: &str, place: &str, value: &Value) -> Result<(), String> {
        let policy = ["policy", "iamPolicy", "iam_policy"].iter().find_map(|key| value.get(key)).unwrap_or(value);
        let named = [text(value, "resource"), text(value, "name")].into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| names::of_file(file));
        let at = resource(&named);
        self.place(&at, value);
        let bindings = policy.get("bindings").and_then(Value::as_array).ok_or("`bindings` is not a list")?;
        for (number, binding) in bindings.iter().enumerate() {
            let here = format!("{place}: bindings[{number}]");
            let role = text(binding, "role");
            match texts(binding, "members") {
                Ok(members) if !role.is_empty() => {
                    let condition = binding.pointer("/condition/expression").and_then(Value::as_str).map(str::to_owned);
                    self.bindings.push(Binding { place: here, node: at.clone(), role, members, condition });
                }
                Ok(_) => self.fault(&here, "`role` is missing".to_owned()),
                Err(reason) => self.fault(&here, reason),
            }
        }
        Ok(())
    }

    /// Where a resource stands in the hierarchy, as far as its search result tells.
    fn place(&mut self, at: &str, value: &Value) {
        let mut chain = texts(value, "ancestors").unwrap_or_default();
        if chain.is_empty() {
            chain.extend(Some(text(value, "project")).filter(|project| !project.is_empty()));
            chain.extend(texts(value, "folders").unwrap_or_default());
            chain.extend(Some(text(value, "organization")).filter(|organization| !organization.is_empty()));
        }
        let mut below = at.to_owned();
        for ancestor in chain.iter().map(|name| node(name)) {
            // A project's own entry names itself by its number.
            if ancestor.starts_with("projects/") && at.starts_with("projects/") && at.matches('/').count() == 1 {
                self.numbers.insert(ancestor.clone(), at.to_owned());
                continue;
            }
            if ancestor != below {
                if below.starts_with("folders/") || (below.starts_with("projects/") && below.matches('/').count() == 1) {
                    self.above.entry(below).or_insert_with(|| ancestor.clone());
                } else {
                    self.within.entry(ancestor.clone()).or_default().insert(below);
                }
                below = ancestor;
            }
        }
    }

    fn deny(&mut self, value: &Value) -> Result<(), String> {
        let name = text(value, "name");
        let encoded =
            name.strip_prefix("policies/").unwrap_or(&name).split("/denypolicies/").next().unwrap_or_default().replace("%2F", "/").replace("%2f", "/");
        let at = resource(&encoded);
        if at.is_empty() {
            return Err("a deny policy whose `name` does not tell where it stands".to_owned());
        }
        for rule in value.get("rules").and_then(Value::as_array).ok_or("`rules` is not a list")? {
            let rule = rule.get("denyRule").ok_or("a rule without `denyRule`")?;
            self.denies.push(Deny {
                name: name.rsplit('/').next().unwrap_or_default().to_owned(),
                node: at.clone(),
                principals: texts(rule, "deniedPrincipals")?,
                excepted: texts(rule, "exceptionPrincipals")?,
                permissions: texts(rule, "deniedPermissions")?.iter().map(|name| names::permission(name)).collect(),
                spared: texts(rule, "exceptionPermissions")?.iter().map(|name| names::permission(name)).collect(),
                condition: rule.pointer("/denialCondition/expression").and_then(Value::as_str).map(str::to_owned),
            });
        }
        Ok(())
    }

    fn role(&mut self, value: &Value) -> Result<(), String> {
        let name = text(value, "name");
        if value.get("includedPermissions").is_none() {
            // A list of roles without their permissions: those that are predefined are known anyway.
            return Ok(());
        }
        let deleted = value.get("deleted").and_then(Value::as_bool).unwrap_or_default() || text(value, "stage") == "DISABLED";
        self.roles.insert(name, if deleted { Vec::new() } else { texts(value, "includedPermissions")? });
        Ok(())
    }

    fn project(&mut self, value: &Value) -> Result<(), String> {
        let id = text(value, "projectId");
        if id.is_empty() {
            return Err("`projectId` is missing".to_owned());
        }
        let project = format!("projects/{id}");
        let number = value.get("projectNumber").map(|number| number.as_str().map_or_else(|| number.to_string(), str::to_owned)).unwrap_or_default();
        self.numbers.insert(format!("projects/{number}"), project.clone());
        let parent = match value.get("parent") {
            Some(Value::String(name)) => Some(name.clone()),
            Some(parent) => Some(format!("{}s/{}", text(parent, "type"), text(parent, "id"))),
            None => None,
        };
        if let Some(parent) = parent.filter(|parent| parent.len() > 2) {
            self.above.insert(project, parent);
        }
        Ok(())
    }

    fn folder(&mut self, value: &Value) -> Result<(), String> {
        let (name, parent) = (text(value, "name"), text(value, "parent"));
        if !parent.is_empty() {
            self.above.insert(name, parent);
        }
        Ok(())
    }

    fn service_account(&mut self, value: &Value) -> Result<(), String> {
        let project = [text(value, "projectId"), names::project_of(&text(value, "name"))].into_iter().find(|id| !id.is_empty()).unwrap_or_default();
        let email = text(value, "email");
        if value.get("disabled").and_then(Value::as_bool).unwrap_or_default() {
            self.disabled.insert(email.clone());
        }
        self.accounts.insert(email, project);
        Ok(())
    }

    fn running(&mut self, value: &Value) -> Result<(), String> {
        let name = [text(value, "selfLink"), text(value, "name")]
            .into_iter()
            .find(|name| name.contains('/'))
            .ok_or("something that runs, without a full `name` or `selfLink`")?;
        let name = resource(&name);
        let kind = name.rsplit('/').nth(1).unwrap_or_default().to_owned();
        for email in names::runs_as(value) {
            self.running.push((name.clone(), kind.clone(), email));
        }
        Ok(())
    }

    fn provider(&mut self, value: &Value) -> Result<(), String> {
        let name = text(value, "name");
        let pool = name.split("/providers/").next().unwrap_or_default().to_owned();
        let issuer = value.pointer("/oidc/issuerUri").and_then(Value::as_str).unwrap_or_default();
        let mapping = value.get("attributeMapping").and_then(Value::as_object).into_iter().flatten();
        let provider = Provider {
            issuer: issuer.trim_start_matches("https://").trim_end_matches('/').to_owned(),
            mapping: mapping.filter_map(|(attribute, of)| Some((attribute.clone(), of.as_str()?.to_owned()))).collect(),
            condition: Some(text(value, "attributeCondition")).filter(|condition| !condition.is_empty()),
        };
        if !provider.issuer.is_empty() && !value.get("disabled").and_then(Value::as_bool).unwrap_or_default() {
            self.providers.entry(pool).or_default().push(provider);
        }
        Ok(())
    }

    fn boundary(&mut self, value: &Value) -> Result<(), String> {
        let rules = value.pointer("/details/rules").and_then(Value::as_array).ok_or("`details.rules` is not a list")?;
        let mut open = Vec::new();
        for rule in rules {
            open.extend(texts(rule, "resources")?.iter().map(|name| resource(name)));
        }
        self.boundaries.insert(text(value, "name"), open);
        Ok(())
    }

    fn bound(&mut self, value: &Value) -> Result<(), String> {
        let set = value.pointer("/target/principalSet").and_then(Value::as_str).ok_or("`target.principalSet` is missing")?;
        let condition = value.pointer("/condition/expression").and_then(Value::as_str).map(str::to_owned);
        self.bounded.push((set.to_owned(), text(value, "policy"), condition));
        Ok(())
    }

    /// A map from a group to its members, as texts or as memberships.
    fn group(&mut self, value: &Value) {
        for (group, members) in value.as_object().into_iter().flatten() {
            let one = |member: &Value| {
                let id = member.pointer("/preferredMemberKey/id").or_else(|| member.get("email")).and_then(Value::as_str);
                let id = member.as_str().or(id)?;
                let nested = text(member, "type") == "GROUP";
                let prefix = if id.contains(':') {
                    ""
                } else if nested {
                    "group:"
                } else if id.ends_with(".gserviceaccount.com") {
                    "serviceAccount:"
                } else {
                    "user:"
                };
                Some(format!("{prefix}{id}"))
            };
            let members = members.as_array().into_iter().flatten().filter_map(one);
            let group = if group.starts_with("group:") { group.clone() } else { format!("group:{group}") };
            self.groups.entry(group).or_default().extend(members);
        }
    }

    /// Everything that was read.
    pub fn finish(self) -> Snapshot {
        build::build(self)
    }
}
