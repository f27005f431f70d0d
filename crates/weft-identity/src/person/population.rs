//! The persons of a graph.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::decide::Decision;
use super::id::{IdKind, canonical};
use super::resolve::{Identity, Persons, Words, resolve};
use crate::graph::{Direction, EdgeKind, Graph, Interval, NodeKind};

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
        for id in graph.identifiers() {
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
    /// is verified, else a login. Names that two persons have are left out.
    pub fn names(&self, graph: &Graph) -> HashMap<String, String> {
        let mut of: HashMap<String, Option<usize>> = HashMap::new();
        let mut best: HashMap<usize, (bool, String)> = HashMap::new();
        let mut name = |person: usize, name: &str| {
            let person = Some(person);
            of.entry(name.to_lowercase()).and_modify(|known| *known = known.filter(|_| *known == person)).or_insert(person);
        };
        for id in graph.identifiers() {
            let Some(person) = self.person(id.node).filter(|_| matches!(id.kind, IdKind::Email | IdKind::Login | IdKind::Immutable)) else { continue };
            let value = canonical(id.kind, graph.text(id.value));
            if value.is_empty() {
                continue;
            }
            name(person, &value);
            if id.kind != IdKind::Immutable {
                let candidate = (id.kind != IdKind::Email, value.into_owned());
                best.entry(person).and_modify(|best| *best = candidate.clone().min(best.clone())).or_insert(candidate);
            }
        }
        let keys = (0..graph.nodes()).map(|node| (node, graph.key(node))).chain(graph.aliases().map(|(alias, node)| (node, alias)));
        for (node, key) in keys {
            let Some(person) = self.person(node) else { continue };
            name(person, key);
            if let Some((_, id)) = key.split_once(':').filter(|(_, id)| id.len() >= ID_BYTES_MIN && !id.contains(':')) {
                name(person, id);
            }
        }
        let one = of.into_iter().filter_map(|(name, person)| Some((name, best.get(&person?)?.1.clone())));
        one.collect()
    }

    /// Persons that are called so: id, name, key or an identifier of an account, without case.
    pub fn named(&self, graph: &Graph, name: &str) -> Vec<usize> {
        let same = |text: &str| text.eq_ignore_ascii_case(name) || text.to_lowercase() == name.to_lowercase();
        let mut found: BTreeMap<usize, ()> = BTreeMap::new();
        found.extend(graph.find(name).and_then(|node| self.person(node)).map(|person| (person, ())));
        if found.is_empty() {
            let named = self.persons.persons.iter().enumerate().filter(|(_, person)| same(&person.id) || same(&person.name));
            found.extend(named.map(|(person, _)| (person, ())));
            let ids = graph.identifiers().iter().filter(|id| same(graph.text(id.value)));
            found.extend(ids.filter_map(|id| self.person(id.node)).map(|person| (person, ())));
        }
        found.into_keys().collect()
    }
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
