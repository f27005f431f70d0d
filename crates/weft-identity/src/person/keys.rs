//! Links by what is equal: immutable ids, employee numbers, addresses.

use std::collections::BTreeMap;

use crate::graph::Strings;

use super::id::{IdKind, canonical};
use super::resolve::{By, Work};
use super::sets::Barred;

/// Accounts of one source that one person may have under one address: an everyday one, one to administer.
const SAME_SOURCE_MAX: usize = 4;
/// Accounts of all sources that one value may link.
const ACCOUNTS_MAX: usize = 256;

/// Links accounts that share a key, strongest keys first.
pub(super) fn link(work: &mut Work<'_>) {
    for (kind, by) in [(IdKind::Immutable, By::Immutable), (IdKind::Employee, By::Employee), (IdKind::Email, By::Email)] {
        let (values, shared) = shared(work, kind);
        for same in shared.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            let ranks: Vec<u32> = same.iter().map(|(_, rank)| *rank).collect();
            let value = same.first().map_or("", |(value, _)| values.get(*value));
            if common(work, &ranks) {
                work.notes.push(format!("{kind} `{value}` is that of {} accounts: too many to be one person's, it links none", ranks.len()));
            } else {
                one(work, &ranks, by, value);
            }
        }
    }
}

/// Employee numbers keep persons apart, also those that link nobody.
pub(super) fn employees(work: &mut Work<'_>) {
    let (_, shared) = shared(work, IdKind::Employee);
    for same in shared.chunk_by(|a, b| a.0 == b.0) {
        let ranks: Vec<u32> = same.iter().map(|(_, rank)| *rank).collect();
        if !common(work, &ranks) {
            same.iter().for_each(|&(number, rank)| work.sets.employee(rank, number));
        }
    }
}

/// Values of a kind with the accounts that have them, in order of value, then of rank.
fn shared(work: &Work<'_>, kind: IdKind) -> (Strings, Vec<(u32, u32)>) {
    let (mut values, mut shared) = (Strings::default(), Vec::new());
    for (rank, identity) in (0_u32..).zip(&work.identities).filter(|(rank, _)| !work.is_apart(*rank)) {
        for (_, value) in identity.ids.iter().filter(|(of, _)| *of == kind) {
            let value = canonical(kind, value);
            if !value.is_empty() {
                shared.extend(values.intern(&value).map(|value| (value, rank)));
            }
        }
    }
    shared.sort_unstable();
    shared.dedup();
    (values, shared)
}

fn common(work: &Work<'_>, ranks: &[u32]) -> bool {
    let mut of: BTreeMap<&str, usize> = BTreeMap::new();
    for identity in ranks.iter().filter_map(|&rank| work.identities.get(rank as usize)) {
        *of.entry(identity.source).or_default() += 1;
    }
    ranks.len() > ACCOUNTS_MAX || of.values().any(|&count| count > SAME_SOURCE_MAX)
}

/// Each account joins the first one before it that it may join.
fn one(work: &mut Work<'_>, ranks: &[u32], by: By, value: &str) {
    let mut heads: Vec<u32> = Vec::new();
    for &rank in ranks {
        let mut barred = None;
        let head = heads.iter().copied().find(|&head| match work.sets.unite(head, rank, by > By::Employee) {
            Ok(joined) => {
                work.links.push((head, rank, by, value.to_owned(), joined));
                true
            }
            Err(why) => {
                barred = barred.or(Some((head, why)));
                false
            }
        });
        if head.is_none() {
            heads.push(rank);
        }
        if let (None, Some((other, why))) = (head, barred) {
            work.bar(other, rank, why, &format!("{by} `{value}`"));
        }
    }
}

impl Work<'_> {
    /// Tells that a key would link what is kept apart.
    pub(super) fn bar(&mut self, a: u32, b: u32, why: Barred, key: &str) {
        let why = match why {
            Barred::Apart => "somebody said that they are two persons",
            Barred::Employees => "their employee numbers differ",
        };
        let (a, b) = (self.key(a), self.key(b));
        self.notes.push(format!("`{a}` and `{b}` share the {key} and are not linked: {why}"));
    }
}
