//! Accounts in, persons out.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::decide::{Decided, Decision, ordered};
use super::id::{IdKind, Usage, canonical};
use super::login::Custom;
use super::names::Names;
use super::sets::Sets;
use super::{keys, login};
use crate::graph::{Strings, named};

named! {
    /// By what two accounts are linked, strongest first.
    By {
        /// A person decided.
        Decision = "decision",
        /// A source says so.
        Source = "source",
        /// The same immutable id.
        Immutable = "immutable",
        /// The same employee number.
        Employee = "employee_number",
        /// The same verified address.
        Email = "email",
        /// A login as its source makes it of the name of one person.
        Login = "login",
        /// The same name, which is that of nobody else.
        Name = "name",
    }
}

/// An account as resolution sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Key; no two have the same.
    pub key: &'a str,
    /// Source: logins are unique within it.
    pub source: &'a str,
    /// Who uses it.
    pub usage: Usage,
    /// Texts by which its person is recognised.
    pub ids: Vec<(IdKind, &'a str)>,
}

/// Logins that are no person's, with `*` for anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Machines.
    #[serde(default)]
    pub service: Vec<String>,
    /// Several persons.
    #[serde(default)]
    pub shared: Vec<String>,
}

/// Why two accounts are one person's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Key of an account.
    pub a: String,
    /// Key of the other.
    pub b: String,
    /// By what.
    pub by: By,
    /// The value that they share, or what else speaks for it.
    pub value: String,
    /// Whether they were two persons' without it, by what is as strong or stronger.
    pub joined: bool,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Id, made of the most lasting key: the same as long as that key is.
    pub id: String,
    /// Name.
    pub name: String,
    /// Positions of the accounts in what was given, in order of their keys.
    pub accounts: Vec<usize>,
    /// Evidence, strongest first.
    pub links: Vec<Link>,
}

/// All persons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Persons {
    /// In order of id.
    pub persons: Vec<Person>,
    /// Accounts that are no person's: position in what was given, and whose they are.
    pub others: Vec<(usize, Usage)>,
    /// Customs of logins that were learned.
    pub customs: Vec<Custom>,
    /// Keys that link nobody, and why.
    pub notes: Vec<String>,
    keys: Vec<String>,
    of: HashMap<usize, usize>,
}

impl Persons {
    /// The person of an account, by its position in what was given.
    pub fn of(&self, account: usize) -> Option<usize> {
        self.of.get(&account).copied()
    }

    /// Keys of the accounts of a person, in order.
    pub fn keys(&self, person: usize) -> Vec<String> {
        self.persons.get(person).into_iter().flat_map(|person| &person.accounts).filter_map(|&account| self.keys.get(account).cloned()).collect()
    }
}

/// What is worked on; accounts go by their rank in the order of keys.
pub(super) struct Work<'a> {
    pub(super) identities: Vec<&'a Identity<'a>>,
    positions: Vec<usize>,
    usage: Vec<Usage>,
    pub(super) sets: Sets,
    pub(super) links: Vec<(u32, u32, By, String, bool)>,
    pub(super) customs: Vec<Custom>,
    pub(super) notes: Vec<String>,
}

/// Finds the persons behind accounts. `said` are pairs of keys of which a source says that they are one
/// person's (true) or two persons' (false); decisions are replayed in their order.
pub fn resolve(identities: &[Identity<'_>], said: &[(&str, &str, bool)], decisions: &[Decision], words: &Words) -> Persons {
    let mut work = Work::new(identities, words);
    work.told(said, decisions);
    keys::employees(&mut work);
    keys::link(&mut work);
    work.mark();
    let names = Names::of(&work);
    login::link(&mut work, &names);
    login::link_by_name(&mut work, &names);
    work.finish(identities)
}

impl<'a> Work<'a> {
    fn new(identities: &'a [Identity<'a>], words: &Words) -> Self {
        let mut positions: Vec<usize> = (0..identities.len()).collect();
        let key = |&position: &usize| identities.get(position).map(|identity| identity.key);
        positions.sort_unstable_by_key(key);
        let identities: Vec<&Identity<'_>> = positions.iter().filter_map(|&position| identities.get(position)).collect();
        let usage = identities.iter().map(|identity| words.usage(identity)).collect();
        let count = u32::try_from(identities.len()).unwrap_or(u32::MAX);
        Self { identities, positions, usage, sets: Sets::new(count), links: Vec::new(), customs: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.identities.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn key(&self, rank: u32) -> &'a str {
        self.identities.get(rank as usize).map_or("", |identity| identity.key)
    }

    pub(super) fn source(&self, rank: u32) -> &'a str {
        self.identities.get(rank as usize).map_or("", |identity| identity.source)
    }

    /// Whether an account is no person's.
    pub(super) fn is_apart(&self, rank: u32) -> bool {
        !matches!(self.usage.get(rank as usize), Some(Usage::Personal | Usage::Unsaid))
    }

    /// Whether an account belongs to a person of whom more than one account, or the employee number, is known.
    pub(super) fn is_certain(&mut self, rank: u32) -> bool {
        self.sets.size(rank) > 1 || self.sets.is_employee(rank)
    }

    /// Tells the sets in which sources and in which mail domains their accounts are; from then on united sets know.
    fn mark(&mut self) {
        let (mut sources, mut domains) = (Strings::default(), Strings::default());
        for (rank, identity) in (0_u32..).zip(&self.identities) {
            if let Some(source) = sources.intern(identity.source) {
                self.sets.source(rank, source);
            }
            let addresses = identity.ids.iter().filter(|(kind, _)| *kind == IdKind::Email).filter_map(|(_, value)| value.split_once('@'));
            for (_, domain) in addresses {
                if let Some(domain) = domains.intern(&domain.trim().to_lowercase()) {
                    self.sets.domain(rank, domain);
                }
            }
        }
    }

    /// What was decided, and what sources say outright.
    fn told(&mut self, said: &[(&str, &str, bool)], decisions: &[Decision]) {
        let mut decided = Decided::of(decisions);
        let over: HashSet<(String, String)> = decided.same.iter().map(|(a, b)| ordered(a, b)).collect();
        // A person's word about a pair counts more than a source's.
        decided.apart.extend(said.iter().filter(|(_, _, same)| !same).map(|(a, b, _)| ordered(a, b)).filter(|pair| !over.contains(pair)));
        let ranks: HashMap<&str, u32> = self.identities.iter().map(|identity| identity.key).zip(0..).collect();
        let pair = |a: &str, b: &str| ranks.get(a).copied().zip(ranks.get(b).copied());
        for (a, b) in decided.apart.iter().filter_map(|(a, b)| pair(a, b)) {
            self.sets.keep_apart(a, b);
        }
        let mut sources: Vec<(String, String)> = said.iter().filter(|(_, _, same)| *same).map(|(a, b, _)| ordered(a, b)).collect();
        sources.sort_unstable();
        let all = decided.same.iter().map(|pair| (pair, By::Decision)).chain(sources.iter().map(|pair| (pair, By::Source)));
        for ((a, b), by) in all {
            let Some((a, b)) = pair(a, b) else { continue };
            // What a person joins is a person's from then on.
            for rank in [a, b] {
                if let Some(usage) = self.usage.get_mut(rank as usize) {
                    *usage = Usage::Personal;
                }
            }
            match self.sets.unite(a, b, false) {
                // Of a decision about many pairs, those that follow from the rest are no evidence of their own.
                Ok(false) if by == By::Decision => {}
                Ok(joined) => self.links.push((a, b, by, String::new(), joined)),
                Err(barred) => self.bar(a, b, barred, by.name()),
            }
        }
    }

    fn finish(mut self, given: &[Identity<'_>]) -> Persons {
        let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut others = Vec::new();
        for rank in 0..self.count() {
            if self.is_apart(rank) {
                let usage = self.usage.get(rank as usize).copied().unwrap_or(Usage::Unsaid);
                others.extend(self.positions.get(rank as usize).map(|&position| (position, usage)));
            } else {
                members.entry(self.sets.root(rank)).or_default().push(rank);
            }
        }
        let mut links: HashMap<u32, Vec<Link>> = HashMap::new();
        for (a, b, by, value, joined) in std::mem::take(&mut self.links) {
            let link = Link { a: self.key(a).to_owned(), b: self.key(b).to_owned(), by, value, joined };
            links.entry(self.sets.root(a)).or_default().push(link);
        }
        let mut ids = HashSet::new();
        let mut groups: Vec<(u32, Vec<u32>)> = members.into_iter().collect();
        groups.sort_unstable_by_key(|(_, ranks)| ranks.first().copied());
        let mut persons: Vec<Person> = Vec::with_capacity(groups.len());
        for (root, ranks) in groups {
            let mut links = links.remove(&root).unwrap_or_default();
            links.sort_by(|one, other| (one.by, &one.a, &one.b).cmp(&(other.by, &other.a, &other.b)));
            let id = self.id(&ranks, &mut ids);
            let accounts = ranks.iter().filter_map(|&rank| self.positions.get(rank as usize).copied()).collect();
            persons.push(Person { id, name: self.name(&ranks), accounts, links });
        }
        persons.sort_by(|one, other| one.id.cmp(&other.id));
        let of = persons.iter().enumerate().flat_map(|(person, of)| of.accounts.iter().map(move |&account| (account, person))).collect();
        self.customs.sort_by(|one, other| one.space.cmp(&other.space));
        let keys = given.iter().map(|identity| identity.key.to_owned()).collect();
        Persons { persons, others, customs: self.customs, notes: self.notes, keys, of }
    }

    /// Made of the most lasting key; of the first account too where another person has that key.
    fn id(&self, ranks: &[u32], taken: &mut HashSet<String>) -> String {
        let first = ranks.first().map_or("", |&rank| self.key(rank));
        let of = |wanted: IdKind| {
            let ids = ranks.iter().filter_map(|&rank| self.identities.get(rank as usize)).flat_map(|identity| &identity.ids);
            ids.filter(|(kind, _)| *kind == wanted).map(|(kind, value)| canonical(*kind, value)).filter(|value| !value.is_empty()).min()
        };
        let lasting = [IdKind::Employee, IdKind::Immutable, IdKind::Email].into_iter().find_map(|kind| Some(format!("{kind}\u{1}{}", of(kind)?)));
        let lasting = lasting.unwrap_or_else(|| format!("key\u{1}{first}"));
        let digest = |text: &str| format!("person:{}", blake3::hash(text.as_bytes()).to_hex().chars().take(12).collect::<String>());
        let id = digest(&lasting);
        let id = if taken.contains(&id) { digest(&format!("{lasting}\u{1}{first}")) } else { id };
        taken.insert(id.clone());
        id
    }

    /// The name that most accounts give, else a login.
    fn name(&self, ranks: &[u32]) -> String {
        let identities = || ranks.iter().filter_map(|&rank| self.identities.get(rank as usize));
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for identity in identities() {
            let of = |wanted: IdKind| identity.ids.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value.trim());
            let parts = || Some(format!("{} {}", of(IdKind::Given)?, of(IdKind::Family)?));
            if let Some(name) = of(IdKind::Name).map(str::to_owned).or_else(parts).filter(|name| !name.is_empty()) {
                *counts.entry(name).or_default() += 1;
            }
        }
        let best = counts.iter().max_by(|(a, x), (b, y)| x.cmp(y).then(b.cmp(a))).map(|(name, _)| name.clone());
        let other = |wanted: IdKind| identities().flat_map(|identity| &identity.ids).find(|(kind, _)| *kind == wanted).map(|(_, value)| (*value).to_owned());
        best.or_else(|| other(IdKind::Email)).or_else(|| other(IdKind::Login)).unwrap_or_else(|| identities().next().map_or("", |one| one.key).to_owned())
    }
}

impl Words {
    fn usage(&self, identity: &Identity<'_>) -> Usage {
        if identity.usage != Usage::Unsaid {
            return identity.usage;
        }
        let logins = identity.ids.iter().filter(|(kind, _)| matches!(kind, IdKind::Login | IdKind::Email | IdKind::Name));
        for (_, login) in logins {
            let login = login.split('@').next().unwrap_or(login).trim().to_lowercase();
            if self.service.iter().any(|pattern| fits(pattern, &login)) {
                return Usage::Service;
            }
            if self.shared.iter().any(|pattern| fits(pattern, &login)) {
                return Usage::Shared;
            }
        }
        Usage::Unsaid
    }
}

/// Whether a text fits a pattern with `*` at its ends or within.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            let Some((_, after)) = rest.split_once(before) else { return false };
            rest = after;
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit_whole_texts() {
        assert!(fits("svc-*", "svc-backup") && fits("*$", "host$") && fits("a*b*c", "axxbyyc") && fits("root", "root"));
        assert!(!fits("svc-*", "mysvc-backup") && !fits("root", "roots") && !fits("a*b*c", "axxc") && !fits("", "x"));
    }
}
