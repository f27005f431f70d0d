//! The identity graph: who is what, has what, and reaches what, at any date.
//!
//! ```text
//! snapshots ──> Builder ──> Graph (immutable; one a query) ──> reach
//!                  ^            │
//!                  └── tables ──┘
//! ```
//! Nodes and terms of edges are numbers; strings are kept once. An edge is kept in both directions, 8 bytes
//! each, in compressed sparse rows. What an edge says besides its ends (kind, label, who said it, when it
//! holds) are its [`Terms`]: they are shared by many edges, as all that one snapshot says began at once.
//!
//! What this module deliberately does not know: files, the clock, and any identity provider. Whoever holds
//! a [`Graph`] builds the next one beside it and puts it in its place.

mod absorb;
mod adjacency;
mod alias;
mod build;
mod describe;
mod kind;
mod names;
mod reach;
mod snapshot;
mod strings;
mod table;

use std::hash::Hash;

pub use absorb::Absorbed;
pub use adjacency::{Edge, Neighbour};
pub use build::{Builder, Full};
pub(crate) use kind::named;
pub use kind::{EdgeKind, Interval, Micros, NodeKind};
pub use reach::{Budget, Direction, Reach, Reached, Short, Step};
pub use snapshot::{LinkFact, NodeFact, Snapshot};
pub use strings::{STRING_BYTES_MAX, Strings};
pub use table::{TABLES, Table, TableFault};

use hashbrown::HashMap;

use crate::person::{IdKind, Usage};
use adjacency::Adjacency;
use alias::Aliases;
use describe::Description;

/// The latest instant: what holds until further notice holds then.
const LATEST: Micros = Micros::MAX - 1;

/// What an edge says besides its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Kind.
    pub kind: EdgeKind,
    /// The source's own word for it, a number of [`Graph::text`].
    pub label: u32,
    /// Part of a source that says it, a number of [`Graph::scopes`].
    pub scope: u32,
    /// When it holds.
    pub held: Interval,
}

/// What is said of a node besides its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct About {
    /// Kind.
    pub kind: NodeKind,
    /// Part of a source that describes it.
    pub scope: u32,
    /// When it was there.
    pub held: Interval,
    /// Whether it can be used, where the source says so; an account that is disabled cannot.
    pub active: Option<bool>,
    /// Who uses it, where the source says so.
    pub usage: Usage,
    /// Whether it is described only in passing, by parts that are about something else.
    pub passing: bool,
}

impl About {
    /// Described by nobody.
    pub(crate) const NOBODY: Self = Self { kind: NodeKind::Unknown, scope: 0, held: Interval::ALWAYS, active: None, usage: Usage::Unsaid, passing: false };

    /// Whether it can be used as far as is known.
    pub fn is_active(&self) -> bool {
        self.active != Some(false)
    }
}

/// A part of a source, which a snapshot tells as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Name, e.g. `directory/groups`.
    pub name: String,
    /// When its latest snapshot was taken.
    pub at: Micros,
}

/// A part of a source that says something, and when that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Told {
    /// Part of the source.
    pub scope: u32,
    /// When it holds.
    pub held: Interval,
}

/// A text by which a person is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier {
    /// Number of the node.
    pub node: u32,
    /// What it is.
    pub kind: IdKind,
    /// Its value, a number of [`Graph::text`].
    pub value: u32,
    /// Who says it and when it holds, a number of [`Graph::told`].
    pub told: u32,
}

/// Values that many share, by number.
#[derive(Debug, Clone)]
struct Shared<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
    /// What was asked for last: most rows say what the row before said.
    last: Option<(T, u32)>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new(), last: None }
    }
}

impl<T: Copy + Eq + Hash> Shared<T> {
    fn number(&mut self, value: T) -> Option<u32> {
        if let Some((last, number)) = self.last
            && last == value
        {
            return Some(number);
        }
        let next = u32::try_from(self.values.len()).ok()?;
        let number = *self.numbers.entry(value).or_insert(next);
        if number == next {
            self.values.push(value);
        }
        self.last = Some((value, number));
        Some(number)
    }

    fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number as usize)
    }
}

/// Names and kinds of all nodes, in order of number.
#[derive(Debug, Clone, Default)]
struct Nodes {
    keys: Strings,
    /// Name for persons, a number of a text.
    names: Vec<u32>,
    about: Vec<u32>,
}

/// An immutable graph; cheap to share behind an `Arc`.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Nodes,
    texts: Strings,
    aliases: Aliases,
    about: Vec<About>,
    /// Of nodes that several parts describe, what each says.
    several: HashMap<u32, Vec<Description>>,
    told: Vec<Told>,
    terms: Vec<Terms>,
    scopes: Vec<Scope>,
    ids: Vec<Identifier>,
    forward: Adjacency,
    reverse: Adjacency,
}

impl Graph {
    /// Number of nodes; they are numbered from 0.
    pub fn nodes(&self) -> u32 {
        self.nodes.keys.len()
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.forward.len()
    }

    /// Bytes of memory, without what the allocator adds.
    pub fn bytes(&self) -> usize {
        let strings = self.nodes.keys.bytes() + self.texts.bytes() + self.aliases.bytes();
        let described: usize = self.several.values().map(|all| all.capacity() * size_of::<Description>()).sum();
        let columns = (self.nodes.names.capacity() + self.nodes.about.capacity()) * 4 + self.several.allocation_size() + described;
        let told = self.told.capacity() * size_of::<Told>();
        let shared = told + self.terms.capacity() * size_of::<Terms>() + self.about.capacity() * size_of::<About>();
        strings + columns + shared + self.ids.capacity() * size_of::<Identifier>() + self.forward.bytes() + self.reverse.bytes()
    }

    /// Key of a node.
    pub fn key(&self, node: u32) -> &str {
        self.nodes.keys.get(node)
    }

    /// Name of a node for persons; its key where it has none.
    pub fn name(&self, node: u32) -> &str {
        let name = self.texts.get(self.nodes.names.get(node as usize).copied().unwrap_or(u32::MAX));
        if name.is_empty() { self.key(node) } else { name }
    }

    /// What is said of a node.
    pub fn about(&self, node: u32) -> Option<&About> {
        self.about.get(*self.nodes.about.get(node as usize)? as usize)
    }

    /// Kind of a node.
    pub fn kind(&self, node: u32) -> NodeKind {
        self.about(node).map_or(NodeKind::Unknown, |about| about.kind)
    }

    /// The node of a key or of another name that its source gives it.
    pub fn find(&self, key: &str) -> Option<u32> {
        self.find_at(key, LATEST)
    }

    /// The node of a key or of another name, as it was meant at an instant.
    pub fn find_at(&self, key: &str, at: Micros) -> Option<u32> {
        let named = self.nodes.keys.find(key);
        let own = |node: &u32| self.about(*node).is_some_and(|about| about.kind != NodeKind::Unknown && !about.passing);
        named.filter(own).or_else(|| self.aliases.at(key, at, |told| self.told(told).copied(), |node| self.key(node))).or(named)
    }

    /// Other names of nodes, and when they had them.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, u32, Interval)> {
        self.aliases.holders.iter().filter_map(|holder| Some((self.aliases.name(holder.name), holder.node, self.told(holder.told)?.held)))
    }

    /// Who says something and when it holds, by number.
    pub fn told(&self, number: u32) -> Option<&Told> {
        self.told.get(number as usize)
    }

    /// A text by number.
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number)
    }

    /// Parts of sources, by number.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Name of a part of a source.
    pub fn scope(&self, number: u32) -> &str {
        self.scopes.get(number as usize).map_or("", |scope| scope.name.as_str())
    }

    /// Terms of an edge.
    pub fn terms(&self, number: u32) -> Option<&Terms> {
        self.terms.get(number as usize)
    }

    /// Texts by which persons are recognised, in order of node.
    pub fn identifiers(&self) -> &[Identifier] {
        &self.ids
    }

    /// What a node has (forward), or who has it (reverse), whenever.
    pub fn neighbours(&self, node: u32, direction: Direction) -> impl ExactSizeIterator<Item = Neighbour> {
        match direction {
            Direction::Forward => self.forward.of(node),
            Direction::Reverse => self.reverse.of(node),
        }
    }
}
