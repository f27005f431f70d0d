//! Roles that are known without a snapshot, and all permissions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

/// First the permissions by service, then a line for each role.
const ROLES: &str = include_str!("roles.txt");

struct Known {
    permissions: Vec<String>,
    roles: HashMap<&'static str, &'static str>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known = Known { permissions: Vec::new(), roles: HashMap::new() };
        for line in ROLES.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once(": ") {
                Some((service, names)) => known.permissions.extend(names.split(' ').map(|name| format!("{service}.{name}"))),
                None => known.roles.extend(line.split_once(' ')),
            }
        }
        known
    })
}

/// Every permission of a role.
pub fn actions() -> Vec<String> {
    known().permissions.clone()
}

/// Patterns of permissions, and what they leave out.
pub(super) type Patterns = (Vec<String>, Vec<String>);

/// The permissions of a predefined role, in few patterns: basic roles have ten thousand.
pub(super) fn role(name: &str) -> Option<Patterns> {
    permissions(name).map(|permissions| compact(&permissions))
}

/// Services of which a role has more than it lacks are one pattern with exceptions.
fn compact(permissions: &[String]) -> Patterns {
    static SERVICES: OnceLock<HashMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    let services = SERVICES.get_or_init(|| {
        let mut services: HashMap<&str, Vec<&str>> = HashMap::new();
        for (service, permission) in known().permissions.iter().filter_map(|name| Some((name.split_once('.')?.0, name.as_str()))) {
            services.entry(service).or_default().push(permission);
        }
        services
    });
    let mut by_service: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (service, permission) in permissions.iter().filter_map(|name| Some((name.split_once('.')?.0, name.as_str()))) {
        by_service.entry(service).or_default().push(permission);
    }
    let (mut patterns, mut left_out) = (Vec::new(), Vec::new());
    for (service, held) in by_service {
        let all = services.get(service).map(Vec::as_slice).unwrap_or_default();
        if held.len() > 1 && held.len() * 2 > all.len() {
            let held: std::collections::HashSet<&str> = held.into_iter().collect();
            patterns.push(format!("{service}.*"));
            left_out.extend(all.iter().filter(|name| !held.contains(**name)).map(|name| (*name).to_owned()));
        } else {
            patterns.extend(held.into_iter().map(str::to_owned));
        }
    }
    (patterns, left_out)
}

fn permissions(name: &str) -> Option<Vec<String>> {
    let known = known();
    let ranges = known.roles.get(name)?;
    let mut at = 0_usize;
    let mut found = Vec::new();
    for range in ranges.split(',').filter(|range| !range.is_empty()) {
        // How many permissions are left out since the last one, and how many come then.
        let (skip, count) = range.split_once('+').unwrap_or((range, "1"));
        at += skip.parse::<usize>().ok()?;
        let count = count.parse::<usize>().ok()?;
        found.extend(known.permissions.iter().skip(at).take(count).cloned());
        at += count;
    }
    Some(found)
}

/// The text of roles, made of a map from each role to its `includedPermissions`: how `roles.txt` is generated.
pub fn written_roles(roles: &serde_json::Value) -> String {
    let permissions = |role: &serde_json::Value| -> BTreeSet<(String, String)> {
        let list = role.get("includedPermissions").and_then(serde_json::Value::as_array).into_iter().flatten();
        list.filter_map(|name| name.as_str()?.split_once('.')).map(|(service, name)| (service.to_owned(), name.to_owned())).collect()
    };
    let of: BTreeMap<&str, BTreeSet<(String, String)>> =
        roles.as_object().into_iter().flatten().map(|(name, role)| (name.as_str(), permissions(role))).collect();
    let all: BTreeSet<&(String, String)> = of.values().flatten().collect();
    let places: HashMap<&(String, String), usize> = all.iter().enumerate().map(|(place, name)| (*name, place)).collect();
    let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    all.iter().for_each(|(service, name)| services.entry(service).or_default().push(name));
    let mut text: String = services.iter().map(|(service, names)| format!("{service}: {}\n", names.join(" "))).collect();
    for (role, permissions) in &of {
        let (mut at, mut ranges): (usize, Vec<(usize, usize)>) = (0, Vec::new());
        for place in permissions.iter().filter_map(|permission| places.get(permission)) {
            match ranges.last_mut() {
                Some((_, count)) if *place == at => *count += 1,
                _ => ranges.push((place - at, 1)),
            }
            at = place + 1;
        }
        let one = |(skip, count): &(usize, usize)| if *count == 1 { skip.to_string() } else { format!("{skip}+{count}") };
        text.push_str(&format!("{role} {}\n", ranges.iter().map(one).collect::<Vec<_>>().join(",")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_patterns_say_what_the_role_has() {
        for name in ["roles/owner", "roles/editor", "roles/viewer", "roles/storage.admin", "roles/iam.serviceAccountUser"] {
            let held: BTreeSet<String> = permissions(name).unwrap().into_iter().collect();
            let (patterns, left_out) = role(name).unwrap();
            let fits = |permission: &&String| {
                let by = |pattern: &String| pattern.strip_suffix('*').map_or(pattern == *permission, |begin| permission.starts_with(begin));
                patterns.iter().any(by) && !left_out.contains(permission)
            };
            assert_eq!(known().permissions.iter().filter(fits).cloned().collect::<BTreeSet<_>>(), held, "{name}");
        }
        assert!(role("roles/owner").unwrap().0.len() < 1_000);
    }
}
