//! Logins: how a source or a mail domain makes them of names, learned from persons that are certain.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher as _;

use hashbrown::DefaultHashBuilder;

use super::id::IdKind;
use super::names::{NONE, Names};
use super::resolve::{By, Work};

/// Persons that must follow a custom before it counts.
const HITS_MIN: u32 = 5;
/// How many of ten certain persons must follow it.
const OF_TEN: u32 = 7;

/// A part of a login.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Given name.
    Given,
    /// Its first letter.
    G,
    /// Family name.
    Family,
    /// Its first letter.
    F,
    /// As it is.
    Is(char),
}

use Part::{F, Family, G, Given, Is};

/// Customs that are looked for, by a name that a person understands.
const CUSTOMS: [(&str, &[Part]); 16] = [
    ("first.last", &[Given, Is('.'), Family]),
    ("first_last", &[Given, Is('_'), Family]),
    ("first-last", &[Given, Is('-'), Family]),
    ("firstlast", &[Given, Family]),
    ("flast", &[G, Family]),
    ("f.last", &[G, Is('.'), Family]),
    ("f_last", &[G, Is('_'), Family]),
    ("firstl", &[Given, F]),
    ("first.l", &[Given, Is('.'), F]),
    ("last.first", &[Family, Is('.'), Given]),
    ("last_first", &[Family, Is('_'), Given]),
    ("lastfirst", &[Family, Given]),
    ("lastf", &[Family, G]),
    ("last.f", &[Family, Is('.'), G]),
    ("first", &[Given]),
    ("last", &[Family]),
];

/// A custom that was learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    /// Source, or `@` and a mail domain.
    pub space: String,
    /// How logins are made, e.g. `first.last`.
    pub custom: &'static str,
    /// Certain persons that follow it.
    pub hits: u32,
    /// Certain persons that were looked at.
    pub of: u32,
}

fn write(parts: &[Part], given: &str, family: &str, login: &mut String) {
    login.clear();
    for part in parts {
        match part {
            Given => login.push_str(given),
            G => login.extend(given.chars().next()),
            Family => login.push_str(family),
            F => login.extend(family.chars().next()),
            Is(c) => login.push(*c),
        }
    }
}

/// Logins of an account with the space in which each is unique.
fn logins<'a>(work: &Work<'a>, rank: u32) -> Vec<(String, String)> {
    let Some(identity) = work.identities.get(rank as usize) else { return Vec::new() };
    let mut logins = Vec::new();
    for (kind, value) in &identity.ids {
        let value = value.trim().to_lowercase();
        match (kind, value.split_once('@')) {
            (IdKind::Login, None) => logins.push((identity.source.to_owned(), value)),
            (IdKind::Login | IdKind::Email, Some((local, domain))) => logins.push((format!("@{domain}"), local.to_owned())),
            _ => {}
        }
    }
    logins.sort_unstable();
    logins.dedup();
    logins
}

/// Links accounts whose login is what the custom of its source makes of the name of exactly one person.
pub(super) fn link(work: &mut Work<'_>, names: &Names) {
    let set_names = names.of_sets(work);
    let learned = learn(work, names, &set_names);
    if learned.is_empty() {
        return;
    }
    let wanted: HashSet<usize> = learned.values().flatten().map(|(custom, _, _)| *custom).collect();
    let made: HashMap<usize, Made> = wanted.into_iter().map(|custom| (custom, Made::of(work, names, &set_names, custom))).collect();
    for rank in 0..work.count() {
        if work.is_apart(rank) || work.is_certain(rank) {
            continue;
        }
        let found = logins(work, rank).into_iter().find_map(|(space, login)| {
            let customs = learned.get(&space)?;
            let hit = customs.iter().find_map(|&(custom, _, _)| Some((custom, made.get(&custom)?.person(&login, names, &set_names, custom)?)));
            hit.map(|(custom, person)| (person, format!("{login}, by the custom {} of {space}", CUSTOMS.get(custom).map_or("", |custom| custom.0))))
        });
        let Some((person, why)) = found else { continue };
        let (own, theirs) = (names.account(rank), set_names.get(person as usize).copied().unwrap_or(NONE));
        if own != NONE && own != theirs || work.sets.share_source(person, rank) {
            continue;
        }
        match work.sets.unite(person, rank, true) {
            Ok(joined) => work.links.push((person, rank, By::Login, why, joined)),
            Err(barred) => work.bar(person, rank, barred, &format!("login {why}")),
        }
    }
    tell(work, &learned);
}

fn tell(work: &mut Work<'_>, learned: &BTreeMap<String, Vec<(usize, u32, u32)>>) {
    for (space, customs) in learned {
        let of = |&(custom, hits, of): &(usize, u32, u32)| Custom { space: space.clone(), custom: CUSTOMS.get(custom).map_or("", |custom| custom.0), hits, of };
        work.customs.extend(customs.iter().map(of));
    }
}

/// Customs by space, those with most followers first.
fn learn(work: &mut Work<'_>, names: &Names, set_names: &[u32]) -> BTreeMap<String, Vec<(usize, u32, u32)>> {
    let mut seen: BTreeMap<String, (u32, [u32; CUSTOMS.len()])> = BTreeMap::new();
    let mut made = String::new();
    for rank in 0..work.count() {
        let root = work.sets.root(rank);
        let name = set_names.get(root as usize).and_then(|&name| names.parts(name));
        let Some((given, family)) = name.filter(|_| !work.is_apart(rank)) else { continue };
        if work.sets.size(rank) < 2 {
            continue;
        }
        for (space, login) in logins(work, rank) {
            let (of, hits) = seen.entry(space).or_default();
            *of += 1;
            for ((_, parts), hit) in CUSTOMS.iter().zip(hits) {
                write(parts, given, family, &mut made);
                *hit += u32::from(made == login);
            }
        }
    }
    let learned = seen.into_iter().map(|(space, (of, hits))| {
        let enough = |&(_, hit, of): &(usize, u32, u32)| hit >= HITS_MIN && u64::from(hit) * 10 >= u64::from(of) * u64::from(OF_TEN);
        let mut customs: Vec<_> = hits.into_iter().enumerate().map(|(custom, hit)| (custom, hit, of)).filter(enough).collect();
        customs.sort_by_key(|&(custom, hit, _)| (std::cmp::Reverse(hit), custom));
        (space, customs)
    });
    learned.filter(|(_, customs)| !customs.is_empty()).collect()
}

/// Logins that a custom makes of the names of certain persons.
struct Made {
    hasher: DefaultHashBuilder,
    /// Root of the person by the hash of the login; `None` where it is that of two.
    of: HashMap<u64, Option<u32>>,
}

impl Made {
    fn of(work: &mut Work<'_>, names: &Names, set_names: &[u32], custom: usize) -> Self {
        let (mut this, mut login) = (Self { hasher: DefaultHashBuilder::default(), of: HashMap::new() }, String::new());
        let parts = CUSTOMS.get(custom).map_or(&[][..], |custom| custom.1);
        for (root, &name) in (0_u32..).zip(set_names) {
            let Some((given, family)) = names.parts(name).filter(|_| work.is_certain(root)) else { continue };
            write(parts, given, family, &mut login);
            this.of.entry(this.hasher.hash_one(login.as_str())).and_modify(|person| *person = None).or_insert(Some(root));
        }
        this
    }

    fn person(&self, login: &str, names: &Names, set_names: &[u32], custom: usize) -> Option<u32> {
        let person = (*self.of.get(&self.hasher.hash_one(login))?)?;
        let (given, family) = names.parts(*set_names.get(person as usize)?)?;
        let mut made = String::new();
        write(CUSTOMS.get(custom)?.1, given, family, &mut made);
        (made == login).then_some(person)
    }
}

/// Links accounts that carry the whole name of exactly one person, and nothing that speaks against it.
pub(super) fn link_by_name(work: &mut Work<'_>, names: &Names) {
    let set_names = names.of_sets(work);
    let mut sets: Vec<(u32, u32)> = (0_u32..).zip(&set_names).filter(|(_, name)| **name != NONE).map(|(root, &name)| (name, root)).collect();
    sets.retain(|(name, _)| names.parts(*name).is_some_and(|(given, family)| given.chars().count() > 1 && family.chars().count() > 1));
    sets.sort_unstable();
    for same in sets.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
        let (certain, single): (Vec<u32>, Vec<u32>) = same.iter().map(|(_, root)| *root).partition(|&root| work.is_certain(root));
        let name = same.first().and_then(|(name, _)| names.parts(*name)).map(|(given, family)| format!("{given} {family}")).unwrap_or_default();
        let mut of: HashMap<&str, usize> = HashMap::new();
        single.iter().for_each(|&root| *of.entry(work.source(root)).or_default() += 1);
        let person = match certain.as_slice() {
            [] if of.values().all(|&count| count == 1) => single.first().copied(),
            [person] => Some(*person),
            _ => None,
        };
        let Some(person) = person else {
            work.notes.push(format!("the name `{name}` is that of {} persons or more: it links none", same.len().min(2)));
            continue;
        };
        let joining: Vec<u32> = single.into_iter().filter(|&root| root != person && of.get(work.source(root)) == Some(&1)).collect();
        for root in joining {
            if work.sets.share_domain(root, person) || work.sets.share_source(root, person) {
                continue;
            }
            match work.sets.unite(person, root, true) {
                Ok(joined) => work.links.push((person, root, By::Name, name.clone(), joined)),
                Err(barred) => work.bar(person, root, barred, &format!("name `{name}`")),
            }
        }
    }
}
