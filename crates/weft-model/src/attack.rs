//! MITRE ATT&CK: names of tactics and techniques by id, from an embedded table with its version.
//!
//! The table is written by `cargo xtask attack`. Its first line is `# ATT&CK Enterprise`, the version
//! and the terms; every other one is an id, short names of tactics (of a tactic its own) and the
//! name, separated by tabs. © The MITRE Corporation, reproduced and distributed with the permission
//! of The MITRE Corporation: <https://attack.mitre.org/resources/legal-and-branding/terms-of-use/>.

use std::collections::HashMap;
use std::sync::LazyLock;

const TABLE: &str = include_str!("attack.tsv");

static NAMES: LazyLock<HashMap<&str, Entry>> = LazyLock::new(|| TABLE.lines().skip(1).filter_map(entry).collect());
static TACTICS: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| NAMES.iter().filter(|(id, _)| id.starts_with("TA")).map(|(id, entry)| (entry.tactics, *id)).collect());

/// Tactics in the order in which ATT&CK tells an intrusion.
pub const TACTICS_IN_ORDER: [&str; 14] =
    ["TA0043", "TA0042", "TA0001", "TA0002", "TA0003", "TA0004", "TA0005", "TA0006", "TA0007", "TA0008", "TA0009", "TA0011", "TA0010", "TA0040"];

/// A technique, or a tactic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Name, e.g. `Brute Force`.
    pub name: &'static str,
    tactics: &'static str,
}

impl Entry {
    /// Short names of its tactics, e.g. `credential-access`.
    pub fn tactics(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.tactics.split(',').filter(|name| !name.is_empty())
    }
}

fn entry(line: &'static str) -> Option<(&'static str, Entry)> {
    let mut parts = line.splitn(3, '\t');
    let (id, tactics, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some((id, Entry { name, tactics }))
}

/// Version of the table, e.g. `18.1`.
pub fn version() -> &'static str {
    TABLE.lines().next().and_then(|line| line.split('\t').nth(1)).unwrap_or_default()
}

/// A technique or tactic by id, e.g. `T1110.001` or `TA0006`.
pub fn by_id(id: &str) -> Option<Entry> {
    NAMES.get(id).copied()
}

/// Id and name of a tactic by its short name, e.g. `credential-access`; underscores count as hyphens.
pub fn tactic(short: &str) -> Option<(&'static str, &'static str)> {
    let id = *TACTICS.get(short.replace('_', "-").as_str())?;
    Some((id, by_id(id)?.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_id() {
        let brute = by_id("T1110.001").unwrap();
        assert_eq!((brute.name, brute.tactics().collect::<Vec<_>>()), ("Password Guessing", vec!["credential-access"]));
        assert_eq!(tactic("credential_access"), Some(("TA0006", "Credential Access")));
        assert!(by_id("T0").is_none() && tactic("nothing").is_none());
        assert!(!version().is_empty() && NAMES.len() > 600 && TACTICS.len() == 14);
        assert!(TACTICS_IN_ORDER.iter().all(|id| by_id(id).is_some_and(|entry| tactic(entry.tactics().next().unwrap()) == Some((*id, entry.name)))));
    }
}
