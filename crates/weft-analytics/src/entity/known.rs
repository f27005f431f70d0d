//! What an organisation, and everybody, knows of entities: who is nobody, what matters how much, and
//! what everything touches.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::EntityKind;

/// Most patterns of one list.
const PATTERNS_MAX: usize = 10_000;

/// How much the organisation loses with an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// Little.
    Low,
    /// As with most.
    #[default]
    Medium,
    /// Much.
    High,
    /// Everything.
    Extreme,
}

impl Criticality {
    /// Weight of the evidence: 0.5, 1, 1.5, 2.
    pub fn weight(self) -> f64 {
        match self {
            Self::Low => 0.5,
            Self::Medium => 1.0,
            Self::High => 1.5,
            Self::Extreme => 2.0,
        }
    }

    /// The word for a person.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Extreme => "extreme",
        }
    }
}

/// Names of one list, by kind; `*` in a name stands for anything, an address may be a network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    #[serde(default)]
    level: Option<Criticality>,
    /// For the reader of the file.
    #[serde(default, rename = "why")]
    _why: String,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    addresses: Vec<String>,
    #[serde(default)]
    accounts: Vec<String>,
    #[serde(default)]
    workloads: Vec<String>,
    #[serde(default)]
    domains: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    nobody: Vec<Names>,
    #[serde(default)]
    hub: Vec<Names>,
    #[serde(default)]
    criticality: Vec<Names>,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    nobody: Vec<List>,
    hubs: Vec<List>,
    levels: Vec<List>,
    persons: HashMap<String, String>,
}

/// A list as it is asked: every finding asks of each of its entities.
#[derive(Debug, Clone, Default)]
struct List {
    level: Option<Criticality>,
    whole: HashSet<(EntityKind, String)>,
    /// Names with `*`.
    patterns: Vec<(EntityKind, String)>,
    networks: Vec<(IpAddr, u32)>,
}

impl From<Names> for List {
    fn from(names: Names) -> Self {
        let mut list = Self { level: names.level, networks: names.addresses.iter().filter_map(|text| network(text)).collect(), ..Self::default() };
        let kinds = [
            (EntityKind::User, names.users),
            (EntityKind::Host, names.hosts),
            (EntityKind::Account, names.accounts),
            (EntityKind::Workload, names.workloads),
            (EntityKind::Domain, names.domains),
        ];
        for (kind, name) in kinds.into_iter().flat_map(|(kind, names)| names.into_iter().map(move |name| (kind, name.to_lowercase()))) {
            if name.contains('*') {
                list.patterns.push((kind, name));
            } else {
                list.whole.insert((kind, name));
            }
        }
        list
    }
}

impl List {
    fn hold(&self, kind: EntityKind, key: &str, value: &str) -> bool {
        if kind == EntityKind::Address {
            return key.parse().is_ok_and(|address| self.networks.iter().any(|net| within(address, *net)));
        }
        let is_whole = |name: &str| self.whole.contains(&(kind, name.to_owned()));
        let fits = |(of, pattern): &(EntityKind, String)| *of == kind && (matches(pattern, key) || matches(pattern, value));
        is_whole(key) || (value != key && is_whole(value)) || self.patterns.iter().any(fits)
    }
}

impl Known {
    /// Adds a file.
    ///
    /// # Errors
    /// For a person: what of the file cannot be read.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.message().replace('\n', " "))?;
        for names in file.nobody.iter().chain(&file.hub).chain(&file.criticality) {
            names.check()?;
        }
        if file.criticality.iter().any(|names| names.level.is_none()) {
            return Err("`[[criticality]]` has no `level`: `low`, `medium`, `high` or `extreme`".to_owned());
        }
        self.nobody.extend(file.nobody.into_iter().map(List::from));
        self.hubs.extend(file.hub.into_iter().map(List::from));
        self.levels.extend(file.criticality.into_iter().map(List::from));
        Ok(())
    }

    /// Says under which one name each name of a person is told, both in lower case: a SID, an address, an id of
    /// a provider are one user then.
    pub fn call(&mut self, persons: HashMap<String, String>) {
        self.persons = persons;
    }

    /// The one name of the person whom a value names, if one is known.
    pub(super) fn person(&self, value: &str) -> Option<&str> {
        self.persons.get(value).map(String::as_str)
    }

    /// Whether a value stands for nobody in particular.
    pub fn is_nobody(&self, kind: EntityKind, key: &str, value: &str) -> bool {
        let everywhere = kind == EntityKind::Address && key.parse().is_ok_and(is_no_ones);
        everywhere || self.nobody.iter().any(|names| names.hold(kind, key, value))
    }

    /// Whether everything touches it: a proxy, a scanner, a domain controller.
    pub fn is_hub(&self, kind: EntityKind, key: &str) -> bool {
        self.hubs.iter().any(|names| names.hold(kind, key, key))
    }

    /// How critical it is; the highest level that names it.
    pub fn criticality(&self, kind: EntityKind, key: &str, full: &str) -> Criticality {
        let levels = self.levels.iter().filter(|names| names.hold(kind, key, full)).filter_map(|names| names.level);
        levels.max().unwrap_or_default()
    }
}

impl Names {
    fn check(&self) -> Result<(), String> {
        let lists = [&self.users, &self.hosts, &self.addresses, &self.accounts, &self.workloads, &self.domains];
        if lists.iter().any(|list| list.len() > PATTERNS_MAX) {
            return Err(format!("a list has more than {PATTERNS_MAX} names; an address may be a network, and `*` stands for anything"));
        }
        let wrong = self.addresses.iter().find(|address| network(address).is_none());
        wrong.map_or(Ok(()), |address| Err(format!("`{address}` is neither an address nor a network such as `10.0.0.0/8`")))
    }
}

/// A name in which `*` stands for anything.
fn matches(pattern: &str, value: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return value == pattern };
    let Some(mut left) = value.strip_prefix(begin) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(end)
}

fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(whole), |bits| bits.parse().ok())?;
    (bits <= whole).then_some((address, bits))
}

fn within(address: IpAddr, (net, bits): (IpAddr, u32)) -> bool {
    let same = |a: u128, b: u128, whole: u32| bits == 0 || (a ^ b) >> (whole - bits) == 0;
    match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

/// Addresses that every machine has, or that none has: RFC 6890.
fn is_no_ones(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_loopback() || v4.is_multicast() || v4.is_broadcast() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_loopback() || v6.is_multicast() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_what_matters() {
        let mut known = Known::default();
        known
            .read("[[criticality]]\nlevel = \"extreme\"\nwhy = \"forest\"\nhosts = [\"dc*\"]\naddresses = [\"10.1.0.0/16\"]\n[[hub]]\nhosts = [\"proxy1\"]\n")
            .unwrap();
        assert_eq!(known.criticality(EntityKind::Host, "dc01", "dc01"), Criticality::Extreme);
        assert_eq!(known.criticality(EntityKind::Host, "ws1", "ws1"), Criticality::Medium);
        assert_eq!(known.criticality(EntityKind::Address, "10.1.9.9", "10.1.9.9"), Criticality::Extreme);
        assert_eq!(known.criticality(EntityKind::Address, "10.2.9.9", "10.2.9.9"), Criticality::Medium);
        assert!(known.is_hub(EntityKind::Host, "proxy1") && !known.is_hub(EntityKind::User, "proxy1"));
        assert!(known.read("[[criticality]]\nlevel = \"huge\"").unwrap_err().contains("huge"));
        assert!(known.read("[[hub]]\naddresses = [\"10.0.0.0/33\"]").unwrap_err().contains("10.0.0.0/33"));
        assert!(known.read("[[criticality]]\nlevel = \"low\"\nnames = []").is_err(), "a list that nobody reads");
    }
}
