//! The persons of a graph.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::decide::Decision;
use super::id::{IdKind, canonical};
use super::resolve::{Identity, Person, Persons, Words, resolve};
use crate::graph::{Direction, EdgeKind, Graph, Identifier, Interval, Micros, NodeKind};

/// Bytes of an id that means somebody without the name of its source.
const ID_BYTES_MIN: usize = 10;

/// Accounts of a graph, and the persons behind them.
#[derive(Debug, Clone, Default)]
pub struct Population {
    /// Node of each account, by its position.
    pub nodes: Vec<u32>,
    /// The persons.
    pub persons: Persons,
    positions: HashMap<u32, usize>,
}

impl Population {
    /// Finds the persons of all accounts and registered persons.
    pub fn of(graph: &Graph, decisions: &[Decision], words: &Words) -> Self {
        let mut nodes = Vec::new();
        for node in 0..graph.nodes() {
            if matches!(graph.kind(node), NodeKind::Account | NodeKind::Person) {
                nodes.push(node);
            }
        }
        let positions: HashMap<u32, usize> = nodes.iter().copied().zip(0..).collect();
        let sources: Vec<Cow<'_, str>> = graph.scopes().iter().map(|scope| source(&scope.name)).collect();
        let mut identities: Vec<Identity<'_>> = nodes.iter().map(|&node| identity(graph, node, &sources)).collect();
        for id in current(graph, &sources) {
            if let Some(identity) = positions.get(&id.node).and_then(|&at| identities.get_mut(at)) {
                identity.ids.push((id.kind, graph.text(id.value)));
            }
        }
        let persons = resolve(&identities, &said(graph, &nodes), decisions, words);
        Self { nodes, persons, positions }
    }

    /// Position of the account of a node.
    pub fn position(&self, node: u32) -> Option<usize> {
        self.positions.get(&node).copied()
    }

    /// Person of the account of a node.
    pub fn person(&self, node: u32) -> Option<usize> {
        self.persons.of(self.position(node)?)
    }

    /// Nodes of the accounts of a person.
    pub fn accounts(&self, person: usize) -> Vec<u32> {
        let accounts = self.persons.persons.get(person).map(|person| person.accounts.as_slice()).unwrap_or_default();
        accounts.iter().filter_map(|&account| self.nodes.get(account).copied()).collect()
    }

    /// Every name of every person, in lower case, with the one under which the person is told: an address that
    /// is verified, else a login. Names that two persons have are left out; one that was a person's before and is
    /// another's now is that one's.
    pub fn names(&self, graph: &Graph) -> HashMap<String, String> {
        let mut best: HashMap<usize, (bool, bool, String)> = HashMap::new();
        let mut now: HashMap<String, Option<usize>> = HashMap::new();
        let mut before: HashMap<String, Option<usize>> = HashMap::new();
        let mut name = |person: usize, name: &str, held: Interval| {
            let of = if held.until == Interval::OPEN { &mut now } else { &mut before };
            let person = Some(person);
            of.entry(name.to_lowercase()).and_modify(|known| *known = known.filter(|_| *known == person)).or_insert(person);
        };
        for id in graph.identifiers() {
            let Some(person) = self.person(id.node).filter(|_| matches!(id.kind, IdKind::Email | IdKind::Login | IdKind::Immutable)) else { continue };
            let value = canonical(id.kind, graph.text(id.value));
            let Some(held) = graph.told(id.told).map(|told| told.held).filter(|_| !value.is_empty()) else { continue };
            name(person, &value, held);
            if id.kind != IdKind::Immutable {
                let candidate = (held.until != Interval::OPEN, id.kind != IdKind::Email, value.into_owned());
                best.entry(person).and_modify(|best| *best = candidate.clone().min(best.clone())).or_insert(candidate);
            }
        }
        let keys = (0..graph.nodes()).map(|node| (graph.key(node), node, Interval::ALWAYS));
        for (key, node, held) in keys.chain(graph.aliases()) {
            let Some(person) = self.person(node) else { continue };
            name(person, key, held);
            if let Some((_, id)) = key.split_once(':').filter(|(_, id)| id.len() >= ID_BYTES_MIN && !id.contains(':')) {
                name(person, id, held);
            }
        }
        before.retain(|name, _| !now.contains_key(name));
        now.into_iter().chain(before).filter_map(|(name, person)| Some((name, best.get(&person?)?.2.clone()))).collect()
    }

    /// Persons that were called so at an instant: id, name, key or an identifier of an account, without case.
    pub fn named(&self, graph: &Graph, name: &str, at: Micros) -> Vec<usize> {
        let same = |text: &str| text.eq_ignore_ascii_case(name) || text.to_lowercase() == name.to_lowercase();
        let persons = |is: &dyn Fn(&Person) -> bool| {
            let all = self.persons.persons.iter().enumerate();
            all.filter(|(_, person)| is(person)).map(|(person, _)| person).collect::<BTreeSet<_>>()
        };
        let mut found: BTreeSet<usize> = graph.find_at(name, at).and_then(|node| self.person(node)).into_iter().collect();
        if found.is_empty() {
            found = persons(&|person| same(&person.id));
            found.extend(self.recognised(graph, same, at));
        }
        if found.is_empty() {
            found = persons(&|person| same(&person.name));
        }
        found.into_iter().collect()
    }

    /// Persons of whom an account had such an identifier at an instant: all of them, else who is nearest.
    fn recognised(&self, graph: &Graph, same: impl Fn(&str) -> bool, at: Micros) -> BTreeSet<usize> {
        let ids = graph.identifiers().iter().filter(|id| same(graph.text(id.value)));
        let near: Vec<((u8, Micros), usize)> = ids.filter_map(|id| Some((graph.told(id.told)?.held.nearness(at)?, self.person(id.node)?))).collect();
        let Some(nearest) = near.iter().map(|(near, _)| *near).max() else { return BTreeSet::new() };
        let meant = near.into_iter().filter(|(near, _)| *near == nearest || near.0 == nearest.0 && near.0 == Interval::HOLDS);
        meant.map(|(_, person)| person).collect()
    }
}

/// Identifiers that count: those that hold, and of accounts that are gone the last ones. A name that its source
/// gave to another account since is not of the first any more.
fn current<'g>(graph: &'g Graph, sources: &[Cow<'_, str>]) -> impl Iterator<Item = &'g Identifier> {
    let until = |id: &Identifier| graph.told(id.told).map_or(Interval::OPEN, |told| told.held.until);
    let last = move |id: &Identifier| graph.about(id.node).is_some_and(|about| about.held.until != Interval::OPEN && until(id) >= about.held.until);
    let source = |id: &Identifier| graph.told(id.told).and_then(|told| sources.get(told.scope as usize)).map(|source| source.to_string());
    let key = |id: &Identifier| (id.kind, canonical(id.kind, graph.text(id.value)).into_owned(), source(id));
    let reused = |id: &&Identifier| matches!(id.kind, IdKind::Email | IdKind::ClaimedEmail | IdKind::Login);
    let all = graph.identifiers();
    let gone: HashSet<_> = all.iter().filter(|id| until(id) != Interval::OPEN).filter(reused).map(key).collect();
    // Only where something is gone can it have been given anew.
    let held = all.iter().filter(|id| !gone.is_empty() && until(id) == Interval::OPEN).filter(reused).map(key);
    let again: HashSet<_> = held.filter(|key| gone.contains(key)).collect();
    let kept: Vec<bool> = all.iter().map(|id| until(id) == Interval::OPEN || last(id) && !again.contains(&key(id))).collect();
    all.iter().zip(kept).filter(|(_, kept)| *kept).map(|(id, _)| id)
}

fn identity<'a>(graph: &'a Graph, node: u32, sources: &'a [Cow<'a, str>]) -> Identity<'a> {
    let about = graph.about(node);
    let source = about.and_then(|about| sources.get(about.scope as usize)).map_or("", |source| source.as_ref());
    Identity { key: graph.key(node), source, usage: about.map(|about| about.usage).unwrap_or(super::Usage::Unsaid), ids: Vec::new() }
}

/// `tool/part@instance` without the part: logins are unique within it.
fn source(scope: &str) -> Cow<'_, str> {
    let (tool, rest) = scope.split_once('/').unwrap_or((scope, ""));
    rest.split_once('@').map_or(Cow::Borrowed(tool), |(_, instance)| Cow::Owned(format!("{tool}@{instance}")))
}

/// What sources say outright, as far as it still holds.
fn said<'a>(graph: &'a Graph, nodes: &[u32]) -> Vec<(&'a str, &'a str, bool)> {
    let mut said = Vec::new();
    for &node in nodes {
        for to in graph.neighbours(node, Direction::Forward) {
            match graph.terms(to.terms).filter(|terms| terms.held.until == Interval::OPEN).map(|terms| terms.kind) {
                Some(EdgeKind::SamePerson) => said.push((graph.key(node), graph.key(to.node), true)),
                Some(EdgeKind::NotSamePerson) => said.push((graph.key(node), graph.key(to.node), false)),
                // A register's person has accounts.
                Some(EdgeKind::Owns) if graph.kind(node) == NodeKind::Person && graph.kind(to.node) == NodeKind::Account => {
                    said.push((graph.key(node), graph.key(to.node), true));
                }
                _ => {}
            }
        }
    }
    said
}
