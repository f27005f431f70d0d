//! Who and what findings are about: one spelling for each, and who is nobody.
//!
//! Tools write the same user as `CORP\ada`, `ada` and `ada@corp.example`, and the same machine as
//! `WS7`, `ws7.corp.example` and `WS7$`. [`resolve`] brings them to one key; the rest of the name is
//! the *scope*, and two entities are the same unless both say a scope in full and it differs.
//! Values that stand for nobody in particular (`SYSTEM`, `localhost`, `0.0.0.0`) are left out by a
//! list in the content ([`Known`]). Where persons are known, all names of a person are one.

mod known;

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weft_model::{Entity, Finding};

pub use known::{Criticality, Known};

/// Longest value that can be an entity.
const VALUE_BYTES_MAX: usize = 512;
/// Digits of a number that may be the same on two machines (Unix user ids).
const LOCAL_NUMBER_DIGITS: usize = 7;

/// What an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EntityKind {
    /// A person, or an account that programs use.
    User,
    /// A machine.
    Host,
    /// An IP address.
    Address,
    /// An account of a cloud or a tenant.
    Account,
    /// A container, a function, a resource of a cloud.
    Workload,
    /// A name that was looked up or called.
    Domain,
}

impl EntityKind {
    /// The word for a person.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Host => "host",
            Self::Address => "address",
            Self::Account => "account",
            Self::Workload => "workload",
            Self::Domain => "domain",
        }
    }
}

/// An entity of a finding in its one spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resolved {
    /// What it is.
    pub kind: EntityKind,
    /// Its name without scope, in lower case.
    pub key: String,
    /// Domain, forest or realm, where the tool says it.
    pub scope: Option<String>,
    /// Attribute and value as the tool wrote them.
    pub seen: String,
}

impl Resolved {
    /// Whether both can be the same: they are unless both say a full domain and the domains differ.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.key == other.key && fits(self.scope.as_deref(), other.scope.as_deref())
    }

    /// Scope that is a full domain.
    pub fn domain(&self) -> Option<&str> {
        self.scope.as_deref().filter(|scope| scope.contains('.'))
    }
}

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.key)
    }
}

/// Whether two scopes can be of one entity: `CORP` and `corp.example` can, two full domains that differ cannot.
pub fn fits(a: Option<&str>, b: Option<&str>) -> bool {
    match (a.filter(|scope| scope.contains('.')), b.filter(|scope| scope.contains('.'))) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

/// What a finding is about, each once, sorted; nobody is left out.
pub fn resolve(finding: &Finding, known: &Known) -> Vec<Resolved> {
    let mut found: Vec<Resolved> = finding.entities.iter().filter_map(|entity| one(entity, known)).collect();
    // Of two spellings of one, the one that says more stays.
    found.sort_by(|a, b| (a.kind, &a.key, b.domain().is_some(), &a.scope).cmp(&(b.kind, &b.key, a.domain().is_some(), &b.scope)));
    found.dedup_by(|later, first| first.is_same(later));
    found
}

/// One observable as an entity.
pub fn one(entity: &Entity, known: &Known) -> Option<Resolved> {
    let value = entity.value.trim();
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let lower = value.to_lowercase();
    let (kind, key, scope) = spelled(entity, &lower)?;
    let (kind, key, scope) = if kind == EntityKind::User { person(&lower, key, scope, known) } else { (kind, key, scope) };
    let seen = format!("{}={value}", entity.name);
    (!known.is_nobody(kind, &key, &lower)).then_some(Resolved { kind, key, scope, seen })
}

/// A user under the one name of the person. The name alone counts only where no full domain stands beside it.
fn person(value: &str, key: String, scope: Option<String>, known: &Known) -> (EntityKind, String, Option<String>) {
    let alone = scope.as_deref().is_none_or(|scope| !scope.contains('.'));
    let named = known.person(value).or_else(|| known.person(&key).filter(|_| alone));
    named.and_then(user).unwrap_or((EntityKind::User, key, scope))
}

fn spelled(entity: &Entity, value: &str) -> Option<(EntityKind, String, Option<String>)> {
    let path = entity.name.as_str();
    let last = path.rsplit('.').next().unwrap_or(path);
    let of = |parts: &[&str]| parts.iter().any(|part| path.split('.').any(|step| step.trim_end_matches("[]") == *part));
    match (entity.type_id, last) {
        (2, _) => address(value),
        (1, _) if of(&["query", "url"]) => domain(value),
        (1, _) => host(value),
        (5, _) => user(value),
        (_, "uid") if of(&["container"]) || of(&["resource", "resources"]) => Some((EntityKind::Workload, value.to_owned(), None)),
        (_, "uid") if path.ends_with("cloud.account.uid") => Some((EntityKind::Account, value.to_owned(), None)),
        (_, "uid") if of(&["device"]) => Some((EntityKind::Host, format!("uid:{value}"), None)),
        (4, "name") if !of(&["account"]) => user(value),
        (31, "uid") if !of(&["account"]) => user_id(value),
        _ => None,
    }
}

fn address(value: &str) -> Option<(EntityKind, String, Option<String>)> {
    let bare = value.split(['%', '/']).next().unwrap_or(value).trim_matches(['[', ']']);
    let address: IpAddr = bare.parse().ok()?;
    Some((EntityKind::Address, address.to_canonical().to_string(), None))
}

fn host(value: &str) -> Option<(EntityKind, String, Option<String>)> {
    if let Some(found) = address(value) {
        return Some(found);
    }
    let name = value.trim_end_matches('.').trim_end_matches('$');
    if name.is_empty() || name.contains(char::is_whitespace) {
        return None;
    }
    Some(match name.split_once('.') {
        Some((short, domain)) => (EntityKind::Host, short.to_owned(), Some(domain.to_owned())),
        None => (EntityKind::Host, name.to_owned(), None),
    })
}

fn domain(value: &str) -> Option<(EntityKind, String, Option<String>)> {
    let name = value.trim_end_matches('.');
    (name.contains('.') && name.parse::<IpAddr>().is_err()).then(|| (EntityKind::Domain, name.to_owned(), None))
}

fn user(value: &str) -> Option<(EntityKind, String, Option<String>)> {
    let (name, scope) = match value.rsplit_once('\\') {
        Some((scope, name)) => (name, Some(scope)),
        None => value.rsplit_once('@').map_or((value, None), |(name, scope)| (name, Some(scope))),
    };
    if let Some(machine) = name.strip_suffix('$').filter(|machine| !machine.is_empty()) {
        return Some((EntityKind::Host, machine.to_owned(), scope.filter(|scope| scope.contains('.')).map(str::to_owned)));
    }
    (!name.is_empty()).then(|| (EntityKind::User, name.to_owned(), scope.filter(|scope| !scope.is_empty()).map(str::to_owned)))
}

fn user_id(value: &str) -> Option<(EntityKind, String, Option<String>)> {
    // The thousandth user of one machine is somebody else on the next.
    if value.len() <= LOCAL_NUMBER_DIGITS && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if value.contains('@') && !value.contains(['/', ':']) {
        return user(value);
    }
    Some((EntityKind::User, format!("uid:{value}"), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let mut known = Known::default();
        known.read(include_str!("../../../../content/entities/nobody.toml")).unwrap();
        known
    }

    fn told(name: &str, type_id: i64, value: &str) -> Option<String> {
        let entity = Entity { name: name.to_owned(), type_id, value: value.to_owned() };
        one(&entity, &known()).map(|found| format!("{found}{}", found.scope.as_ref().map(|scope| format!(" of {scope}")).unwrap_or_default()))
    }

    #[test]
    fn one_spelling_for_each() {
        for (name, type_id, value, expected) in [
            ("actor.user.name", 4, "CORP\\Ada", "user ada of corp"),
            ("user.email_addr", 5, "Ada@Corp.example", "user ada of corp.example"),
            ("user.name", 4, "ada", "user ada"),
            ("device.hostname", 1, "WS7.corp.example", "host ws7 of corp.example"),
            ("actor.user.name", 4, "CORP\\WS7$", "host ws7"),
            ("dst_endpoint.hostname", 1, "10.0.0.7", "address 10.0.0.7"),
            ("src_endpoint.ip", 2, "::ffff:10.0.0.7", "address 10.0.0.7"),
            ("query.hostname", 1, "evil.example.", "domain evil.example"),
            ("user.uid", 31, "arn:aws:iam::1:user/x", "user uid:arn:aws:iam::1:user/x"),
            ("container.uid", 10, "c0ffee", "workload c0ffee"),
            ("cloud.account.uid", 10, "123456789012", "account 123456789012"),
        ] {
            assert_eq!(told(name, type_id, value).as_deref(), Some(expected), "{name}={value}");
        }
    }

    #[test]
    fn nobody_is_left_out() {
        for (name, type_id, value) in [
            ("actor.user.name", 4, "NT AUTHORITY\\SYSTEM"),
            ("user.uid", 31, "S-1-5-18"),
            ("user.uid", 31, "1001"),
            ("user.name", 4, "root"),
            ("user.name", 4, "-"),
            ("device.hostname", 1, "localhost"),
            ("src_endpoint.ip", 2, "0:0:0:0:0:0:0:0"),
            ("src_endpoint.ip", 2, "169.254.169.254"),
            ("dst_endpoint.ip", 2, "224.0.0.251"),
            ("process.name", 9, "cmd.exe"),
            ("actor.user.account.name", 4, "LOCAL SERVICE"),
        ] {
            assert_eq!(told(name, type_id, value), None, "{name}={value}");
        }
    }

    #[test]
    fn all_names_of_a_person_are_one() {
        let mut known = known();
        let names = ["s-1-5-21-7-7-7-1104", "arn:aws:iam::111122223333:user/countess", "countess", "ada@corp.example"];
        known.call(names.into_iter().map(|name| (name.to_owned(), "ada@corp.example".to_owned())).collect());
        let told = |name: &str, type_id: i64, value: &str| {
            let entity = Entity { name: name.to_owned(), type_id, value: value.to_owned() };
            one(&entity, &known).map(|found| format!("{found} of {}", found.scope.as_deref().unwrap_or_default()))
        };
        for (name, type_id, value) in [
            ("user.uid", 31, "S-1-5-21-7-7-7-1104"),
            ("user.uid", 31, "arn:aws:iam::111122223333:user/Countess"),
            ("actor.user.name", 4, "CORP\\Countess"),
            ("user.email_addr", 5, "Ada@Corp.example"),
        ] {
            assert_eq!(told(name, type_id, value).as_deref(), Some("user ada of corp.example"), "{value}");
        }
        assert_eq!(told("user.email_addr", 5, "countess@other.example").as_deref(), Some("user countess of other.example"));
        assert_eq!(told("user.name", 4, "grace").as_deref(), Some("user grace of "));
        assert_eq!(told("user.name", 4, "SYSTEM"), None);
    }

    #[test]
    fn two_full_domains_are_two_persons() {
        let of = |scope: Option<&str>| Resolved { kind: EntityKind::User, key: "ada".into(), scope: scope.map(str::to_owned), seen: String::new() };
        assert!(of(Some("corp")).is_same(&of(Some("corp.example"))) && of(None).is_same(&of(Some("corp.example"))));
        assert!(!of(Some("corp.example")).is_same(&of(Some("other.example"))));
    }
}
