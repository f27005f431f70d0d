//! What is known without a snapshot: built-in roles, directory roles, and application permissions.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::OnceLock;

use super::{Permission, Role};

/// Built-in roles, one a line: id, name, and for each permission five columns.
const ROLES: &str = include_str!("roles.txt");
/// Directory roles, one a line: id, name, reach, actions.
const DIRECTORY: &str = include_str!("directory_roles.txt");

/// Over whom a directory role has power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everybody.
    All,
    /// Nobody who holds a role, and no group to which one can be assigned.
    Unprivileged,
    /// It changes nothing that matters: who holds it is not protected.
    Low,
}

/// Permissions of the directory that applications are given, as far as they matter.
const PERMISSIONS: [(&str, &str); 16] = [
    ("9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8", "RoleManagement.ReadWrite.Directory"),
    ("06b708a9-e830-4db3-a914-8e69da51d44f", "AppRoleAssignment.ReadWrite.All"),
    ("1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", "Application.ReadWrite.All"),
    ("18a4783c-866b-4cc7-a460-3d5e5662c884", "Application.ReadWrite.OwnedBy"),
    ("19dbc75e-c2e2-444c-a770-ec69d8559fc7", "Directory.ReadWrite.All"),
    ("dbaae8cf-10b5-4b86-a4a1-f871c94c6695", "GroupMember.ReadWrite.All"),
    ("62a82d76-70ea-41e2-9197-370581804d09", "Group.ReadWrite.All"),
    ("741f803b-c850-494e-b5df-cde7c675a1ca", "User.ReadWrite.All"),
    ("50483e42-d915-4231-9639-7fdb7fd190e5", "UserAuthenticationMethod.ReadWrite.All"),
    ("dd199f4a-f148-40a4-a2ec-f0069cc799ec", "RoleAssignmentSchedule.ReadWrite.Directory"),
    ("fee28b28-e1f3-4841-818e-2704dc62245f", "RoleEligibilitySchedule.ReadWrite.Directory"),
    ("7e05723c-0bb0-42da-be95-ae9f08a6e53c", "Domain.ReadWrite.All"),
    ("292d869f-3427-49a8-9dab-8c70152b74e9", "Organization.ReadWrite.All"),
    ("a402ca1c-2696-4531-972d-6e5ee4aa11ea", "Policy.ReadWrite.PermissionGrant"),
    ("7ab1d382-f21e-4acd-a863-ba3e13f7da61", "Directory.Read.All"),
    ("df021288-bdef-4463-88db-98f22de89214", "User.Read.All"),
];

fn roles() -> &'static HashMap<&'static str, Role> {
    static ROLES_READ: OnceLock<HashMap<&'static str, Role>> = OnceLock::new();
    ROLES_READ.get_or_init(|| ROLES.lines().filter(|line| !line.starts_with('#')).filter_map(role_of).collect())
}

fn role_of(line: &'static str) -> Option<(&'static str, Role)> {
    let mut columns = line.split('\t');
    let (id, name) = (columns.next()?, columns.next()?);
    let columns: Vec<&str> = columns.collect();
    let mut permissions = Vec::new();
    for part in columns.chunks(5) {
        let list = |place: usize, plane: &str| -> Vec<String> {
            part.get(place).into_iter().flat_map(|text| text.split(' ')).filter(|text| !text.is_empty()).map(|text| format!("{plane}:{text}")).collect()
        };
        let condition = part.get(4).filter(|text| !text.is_empty()).map(|text| (*text).to_owned());
        for (plane, place) in [("control", 0), ("data", 2)] {
            let actions = list(place, plane);
            if !actions.is_empty() {
                permissions.push(Permission { actions, except: list(place + 1, plane), condition: condition.clone() });
            }
        }
    }
    Some((id, Role { name: name.to_owned(), permissions }))
}

/// A built-in role by its id.
pub(super) fn role(id: &str) -> Option<&'static Role> {
    roles().get(id)
}

/// A directory role by its id, with its reach.
pub(super) fn directory_role(id: &str) -> Option<(Role, Reach)> {
    let line = DIRECTORY.lines().find(|line| line.starts_with(id) && !id.is_empty())?;
    let mut columns = line.split('\t').skip(1);
    let (name, reach) = (columns.next()?, columns.next()?);
    let reach = match reach {
        "all" => Reach::All,
        "low" => Reach::Low,
        _ => Reach::Unprivileged,
    };
    let actions = columns.next().unwrap_or_default().split(' ').filter(|action| !action.is_empty()).map(|action| format!("directory:{action}")).collect();
    Some((Role { name: name.to_owned(), permissions: vec![Permission { actions, ..Permission::default() }] }, reach))
}

/// The name of an application permission.
pub(super) fn permission(id: &str) -> Option<&'static str> {
    PERMISSIONS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
}

/// Whether an action, in lower case and without its plane, is known as a data action and as no other.
pub(super) fn is_data(action: &str) -> bool {
    static DATA: OnceLock<HashSet<String>> = OnceLock::new();
    let data = || {
        let (data, control): (BTreeSet<String>, BTreeSet<String>) =
            actions().into_iter().map(|action| action.to_lowercase()).partition(|action| action.starts_with("data:"));
        let name = |action: &String| action.split_once(':').map(|(_, name)| name.to_owned()).unwrap_or_default();
        let control: HashSet<String> = control.iter().map(name).collect();
        data.iter().map(name).filter(|name| !control.contains(name)).collect()
    };
    DATA.get_or_init(data).contains(action)
}

/// Every action that a built-in role names in full, with its plane, and what escalation is about.
pub fn actions() -> Vec<String> {
    let permissions = roles().values().flat_map(|role| &role.permissions);
    let mut all: BTreeSet<String> =
        permissions.flat_map(|permission| permission.actions.iter().chain(&permission.except)).filter(|action| !action.contains('*')).cloned().collect();
    all.extend(
        DIRECTORY
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split('\t').nth(3))
            .flat_map(|actions| actions.split(' '))
            .filter(|action| !action.is_empty() && !action.contains('*'))
            .map(|action| format!("directory:{action}")),
    );
    all.extend(PERMISSIONS.iter().map(|(_, name)| format!("graph:{name}")));
    // Actions that the escalation rules name, which no built-in role needs to name in full.
    let named = super::RULES.split('"').filter(|text| ["control:", "data:", "directory:", "graph:"].iter().any(|plane| text.starts_with(plane)));
    all.extend(named.filter(|text| !text.contains('*')).map(str::to_owned));
    let mut seen = HashSet::new();
    all.into_iter().filter(|action| seen.insert(action.to_lowercase())).collect()
}

/// The text of the built-in roles, made of a list of role definitions: how `roles.txt` is generated.
pub fn written_roles(definitions: &serde_json::Value) -> String {
    let mut lines: Vec<String> = definitions.as_array().into_iter().flatten().map(line_of).collect();
    lines.sort();
    lines.join("\n") + "\n"
}

fn line_of(definition: &serde_json::Value) -> String {
    let mut line = format!("{}\t{}", super::text(definition, "name").to_lowercase(), super::text(definition, "roleName").trim());
    for permission in definition.get("permissions").and_then(serde_json::Value::as_array).into_iter().flatten() {
        for key in ["actions", "notActions", "dataActions", "notDataActions"] {
            let list: Vec<String> = super::texts(permission, key).unwrap_or_default();
            line.push('\t');
            line.push_str(&list.join(" "));
        }
        line.push('\t');
        line.push_str(&super::text(permission, "condition").split_whitespace().collect::<Vec<_>>().join(" "));
    }
    line
}
