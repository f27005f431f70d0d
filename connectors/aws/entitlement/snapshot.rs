//! Snapshots: what AWS prints about an account, put together.
//!
//! Understood are the output of `aws iam get-account-authorization-details` (pages may be several
//! files), a tree of the organisation, a list of resources with their policies, and one object that
//! holds `gaad` (by account), `resources` and `organization` together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;
use weft_model::entitlement::{Document, Group, Principal, PrincipalKind, Resource, Snapshot, SnapshotFault, Tags};

use super::{document, organization};

/// Faults that are told one by one.
const FAULTS_MAX: usize = 10_000;
/// Services whose resources let their own policy decide whether the account's policies count.
const GATED: [&str; 1] = ["kms"];

/// Collects what several files say.
#[derive(Default)]
pub struct Collector {
    snapshot: Snapshot,
    managed: HashMap<String, Managed>,
    attached: Vec<Attached>,
    profiles: HashMap<(String, String), String>,
    carriers: Vec<(usize, String, Option<String>, Option<String>)>,
}

struct Managed {
    document: Arc<Document>,
    editable: bool,
}

/// Policies that a principal or group is said to have, by their full names.
struct Attached {
    place: String,
    to: Holder,
    policies: Vec<String>,
    boundary: Option<String>,
}

enum Holder {
    Principal(usize),
    Group(usize),
}

pub(super) fn tell(snapshot: &mut Snapshot, place: &str, reasons: impl IntoIterator<Item = String>) {
    for reason in reasons {
        if snapshot.faults.len() < FAULTS_MAX {
            snapshot.faults.push(SnapshotFault { place: place.to_owned(), reason });
        }
    }
}

impl Collector {
    /// Reads one file; `place` is its name, for messages.
    pub fn add(&mut self, place: &str, value: &Value) {
        match value {
            Value::Object(fields)
                if fields.contains_key("UserDetailList")
                    || fields.contains_key("RoleDetailList")
                    || fields.contains_key("Policies") && fields.contains_key("GroupDetailList") =>
            {
                self.account(place, value);
            }
            Value::Object(fields) if fields.contains_key("gaad") => {
                for (account, details) in fields.get("gaad").and_then(Value::as_object).into_iter().flatten() {
                    self.snapshot.accounts.entry(account.clone()).or_default();
                    self.account(&format!("{place}: gaad.{account}"), details);
                }
                let more = ["resources", "organization", "organizations", "scps"].iter().filter_map(|key| fields.get(*key));
                more.for_each(|value| self.add(place, value));
            }
            Value::Object(_) if organization::is_one(value) => organization::read(value, place, &mut self.snapshot),
            Value::Object(fields) if fields.contains_key("Resource") || fields.contains_key("Arn") => self.resource(place, value),
            Value::Array(values) => values.iter().enumerate().for_each(|(number, value)| match value {
                Value::Object(fields) if fields.contains_key("Children") || fields.contains_key("gaad") || fields.contains_key("UserDetailList") => {
                    self.add(&format!("{place}[{number}]"), value);
                }
                value => self.resource(&format!("{place}[{number}]"), value),
            }),
            _ => tell(&mut self.snapshot, place, [format!("is no snapshot; wanted is {}", super::WANTED)]),
        }
    }

    /// A part that could not be read at all.
    pub fn fault(&mut self, place: &str, reason: String) {
        tell(&mut self.snapshot, place, [reason]);
    }

    /// Puts together what was read.
    pub fn finish(mut self) -> Snapshot {
        let mut missing = Vec::new();
        for attached in std::mem::take(&mut self.attached) {
            let (mut documents, mut editable) = (Vec::new(), Vec::new());
            for name in &attached.policies {
                match self.managed.get(name) {
                    Some(policy) => {
                        documents.push(Arc::clone(&policy.document));
                        editable.extend(policy.editable.then(|| name.clone()));
                    }
                    None => {
                        missing.push((attached.place.clone(), format!("the attached policy `{name}` is not in the snapshot; what it permits is not known")))
                    }
                }
            }
            let boundary = attached.boundary.as_ref().map(|name| {
                self.managed.get(name).map_or_else(
                    || {
                        missing.push((attached.place.clone(), format!("the boundary `{name}` is not in the snapshot; it is read as one that permits nothing")));
                        Arc::new(Document { name: name.clone(), statements: Vec::new() })
                    },
                    |policy| Arc::clone(&policy.document),
                )
            });
            match attached.to {
                Holder::Principal(number) => {
                    if let Some(principal) = self.snapshot.principals.get_mut(number) {
                        principal.policies.extend(documents);
                        principal.editable.extend(editable);
                        principal.boundary = boundary;
                    }
                }
                Holder::Group(number) => {
                    if let Some(group) = self.snapshot.groups.get_mut(number) {
                        group.policies.extend(documents);
                        group.editable.extend(editable);
                    }
                }
            }
        }
        for (place, reason) in missing {
            tell(&mut self.snapshot, &place, [reason]);
        }
        self.carriers();
        self.snapshot
    }

    fn carriers(&mut self) {
        let mut roles: HashMap<(String, String), String> = HashMap::new();
        for principal in self.snapshot.principals.iter().filter(|principal| principal.kind == PrincipalKind::Role) {
            roles.insert((principal.account.clone(), principal.short.clone()), principal.name.clone());
        }
        for (number, account, role, profile) in std::mem::take(&mut self.carriers) {
            let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
            let by_profile = profile.and_then(|profile| self.profiles.get(&(account.clone(), short(&profile))).cloned());
            let by_role = role.map(|role| if role.starts_with("arn:") { role } else { roles.get(&(account, short(&role))).cloned().unwrap_or(role) });
            if let Some(resource) = self.snapshot.resources.get_mut(number) {
                resource.runs_as = by_role.or(by_profile);
            }
        }
    }

    fn account(&mut self, place: &str, value: &Value) {
        // Policies come last in the output, so principals are joined with them at the end.
        let list = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
        for user in list("UserDetailList") {
            self.principal(place, user, PrincipalKind::User);
        }
        for role in list("RoleDetailList") {
            self.principal(place, role, PrincipalKind::Role);
        }
        for group in list("GroupDetailList") {
            self.group(place, group);
        }
        for policy in list("Policies") {
            self.policy(place, policy);
        }
    }

    fn policy(&mut self, place: &str, value: &Value) {
        let Some(arn) = text(value, "Arn") else {
            return tell(&mut self.snapshot, place, ["a policy without `Arn` is left out".to_owned()]);
        };
        let versions = value.get("PolicyVersionList").and_then(Value::as_array);
        let is_default = |version: &&Value| version.get("IsDefaultVersion").and_then(Value::as_bool) == Some(true);
        let version = versions.and_then(|versions| versions.iter().find(is_default).or_else(|| versions.first()));
        let content = version.and_then(|version| version.get("Document")).or_else(|| value.get("Document")).unwrap_or(&Value::Null);
        let mut faults = Vec::new();
        if content.is_null() {
            faults.push(format!("the policy `{arn}` has no document"));
        }
        let document = Arc::new(document::read(&arn, content, &mut faults));
        tell(&mut self.snapshot, place, faults);
        // The provider's own policies belong to the account `aws`, and nobody edits them.
        let editable = !arn.contains("::aws:policy/");
        self.managed.insert(arn, Managed { document, editable });
    }

    fn principal(&mut self, place: &str, value: &Value, kind: PrincipalKind) {
        let (name_key, inline_key, id_key) = match kind {
            PrincipalKind::User => ("UserName", "UserPolicyList", "UserId"),
            PrincipalKind::Role | PrincipalKind::Scope => ("RoleName", "RolePolicyList", "RoleId"),
        };
        let Some(name) = text(value, "Arn") else {
            return tell(&mut self.snapshot, place, [format!("a principal without `Arn` is left out (`{}`)", text(value, name_key).unwrap_or_default())]);
        };
        let account = account_of(&name);
        let place = format!("{place}: {name}");
        let mut faults = Vec::new();
        let policies = inline(value, inline_key, &mut faults);
        let trust = value.get("AssumeRolePolicyDocument").map(|trust| Arc::new(document::read("trust policy", trust, &mut faults)));
        tell(&mut self.snapshot, &place, faults);
        let groups = value.get("GroupList").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let path = text(value, "Path").unwrap_or_else(|| "/".to_owned());
        let number = self.snapshot.principals.len();
        let mut profiles = Vec::new();
        for profile in value.get("InstanceProfileList").and_then(Value::as_array).into_iter().flatten() {
            profiles.extend(text(profile, "Arn"));
            if let Some(short) = text(profile, "InstanceProfileName") {
                self.profiles.insert((account.clone(), short), name.clone());
            }
        }
        self.snapshot.accounts.entry(account.clone()).or_default();
        self.attached.push(Attached {
            place,
            to: Holder::Principal(number),
            policies: attached(value),
            boundary: value.get("PermissionsBoundary").and_then(|boundary| text(boundary, "PermissionsBoundaryArn")),
        });
        self.snapshot.principals.push(Principal {
            short: text(value, name_key).unwrap_or_else(|| name.rsplit('/').next().unwrap_or_default().to_owned()),
            id: text(value, id_key),
            kind,
            policies,
            editable: Vec::new(),
            // Groups are listed by name; their full names differ only by path.
            groups: groups.map(|group| format!("{account}/{group}")).collect(),
            boundary: None,
            trust,
            tags: tags(value),
            profiles,
            exempt: path.starts_with("/aws-service-role/"),
            tokens: Vec::new(),
            assigned: Vec::new(),
            account,
            name,
        });
    }

    fn group(&mut self, place: &str, value: &Value) {
        let Some(name) = text(value, "Arn") else { return tell(&mut self.snapshot, place, ["a group without `Arn` is left out".to_owned()]) };
        let account = account_of(&name);
        let place = format!("{place}: {name}");
        let mut faults = Vec::new();
        let policies = inline(value, "GroupPolicyList", &mut faults);
        tell(&mut self.snapshot, &place, faults);
        let short = text(value, "GroupName").unwrap_or_else(|| name.rsplit('/').next().unwrap_or_default().to_owned());
        let listed = format!("{account}/{short}");
        for principal in &mut self.snapshot.principals {
            principal.groups.iter_mut().filter(|group| **group == listed).for_each(|group| group.clone_from(&name));
        }
        self.attached.push(Attached { place, to: Holder::Group(self.snapshot.groups.len()), policies: attached(value), boundary: None });
        self.snapshot.groups.push(Group { name, account, policies, editable: Vec::new() });
    }

    fn resource(&mut self, place: &str, value: &Value) {
        let Some(name) = text(value, "Arn").or_else(|| text(value, "Resource")) else {
            return tell(&mut self.snapshot, place, ["a resource without `Arn` is left out".to_owned()]);
        };
        let mut faults = Vec::new();
        let policy = value.get("Policy").filter(|policy| !policy.is_null()).map(|policy| Arc::new(document::read("resource policy", policy, &mut faults)));
        tell(&mut self.snapshot, &format!("{place}: {name}"), faults);
        let account = text(value, "Account").or_else(|| Some(account_of(&name)).filter(|account| !account.is_empty())).unwrap_or_default();
        let kind = text(value, "Type").unwrap_or_else(|| kind_of(&name));
        let block = value.get("PublicAccessBlock").or_else(|| value.get("PublicAccessBlockConfiguration"));
        let restrict_public = block.and_then(|block| block.get("RestrictPublicBuckets")).and_then(Value::as_bool) == Some(true);
        // A policy may be listed apart from its resource.
        if let Some(known) = self.snapshot.resources.iter_mut().find(|known| known.name == name) {
            known.policy = policy.or(known.policy.take());
            known.restrict_public |= restrict_public;
            return;
        }
        let gate = name.split(':').nth(2).is_some_and(|service| GATED.contains(&service));
        self.carriers.push((self.snapshot.resources.len(), account.clone(), text(value, "Role"), text(value, "InstanceProfile")));
        let kind = if kind == "s3-bucket-policy" || kind == "s3_bucket_policy" { "s3-bucket".to_owned() } else { kind };
        self.snapshot.resources.push(Resource { name, kind, account, policy, runs_as: None, tags: tags(value), gate, restrict_public });
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn account_of(arn: &str) -> String {
    arn.split(':').nth(4).unwrap_or_default().to_owned()
}

/// The type of a resource that is listed without one.
fn kind_of(arn: &str) -> String {
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, rest) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    match service {
        "s3" => "s3-bucket".to_owned(),
        "secretsmanager" => "secret".to_owned(),
        "ec2" => rest.split('/').next().unwrap_or_default().to_owned(),
        service => format!("{service}_{}", rest.split([':', '/']).next().unwrap_or_default()),
    }
}

fn inline(value: &Value, key: &str, faults: &mut Vec<String>) -> Vec<Arc<Document>> {
    let policies = value.get(key).and_then(Value::as_array).into_iter().flatten();
    let read = |policy: &Value| {
        let name = text(policy, "PolicyName").unwrap_or_else(|| "inline policy".to_owned());
        Arc::new(document::read(&name, policy.get("PolicyDocument").unwrap_or(&Value::Null), faults))
    };
    policies.map(read).collect()
}

fn attached(value: &Value) -> Vec<String> {
    let policies = ["AttachedManagedPolicies", "AttachedPolicies"].iter().filter_map(|key| value.get(*key).and_then(Value::as_array)).flatten();
    policies.filter_map(|policy| text(policy, "PolicyArn")).collect()
}

fn tags(value: &Value) -> Tags {
    match value.get("Tags") {
        Some(Value::Array(tags)) => tags.iter().filter_map(|tag| Some((text(tag, "Key")?, tag.get("Value")?.as_str()?.to_owned()))).collect(),
        Some(Value::Object(tags)) => tags.iter().filter_map(|(tag, value)| Some((tag.clone(), value.as_str()?.to_owned()))).collect(),
        _ => BTreeMap::new(),
    }
}
