//! A graph in the making.

use std::collections::HashMap;

use super::adjacency::{Adjacency, Edges};
use super::alias::Aliases;
use super::describe::{Description, NAMELESS};
use super::{About, Edge, EdgeKind, Graph, Identifier, Interval, Micros, Nodes, Scope, Shared, Strings, Terms, Told};
use crate::person::IdKind;

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// A name of a node or another text.
    #[error("a text is longer than {} bytes, or there are more than four billion", super::STRING_BYTES_MAX)]
    Text,
    /// Edges.
    #[error("there are more than four billion edges")]
    Edges,
}

/// Collects nodes and edges, in any order.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    pub(super) nodes: Nodes,
    pub(super) texts: Strings,
    pub(super) aliases: Aliases,
    pub(super) about: Shared<About>,
    /// Of nodes that several parts describe, what each says.
    pub(super) several: hashbrown::HashMap<u32, Vec<Description>>,
    pub(super) told: Shared<Told>,
    pub(super) terms: Shared<Terms>,
    pub(super) scopes: Vec<Scope>,
    scope_numbers: HashMap<String, u32>,
    pub(super) ids: Vec<Identifier>,
    pub(super) edges: Edges,
    /// Nodes that were named by what turned out to be another name of a node. Only a node that leads nowhere yet
    /// is led to another, which leads nowhere either: a chain ends, and no way leads back.
    pub(super) redirected: HashMap<u32, u32>,
}

impl Builder {
    /// A text's number.
    ///
    /// # Errors
    /// No room.
    pub fn text(&mut self, text: &str) -> Result<u32, Full> {
        self.texts.intern(text).ok_or(Full::Text)
    }

    /// The number of a part of a source.
    ///
    /// # Errors
    /// No room.
    pub fn scope(&mut self, name: &str, at: Micros) -> Result<u32, Full> {
        if let Some(&number) = self.scope_numbers.get(name) {
            return Ok(number);
        }
        let number = u32::try_from(self.scopes.len()).map_err(|_| Full::Text)?;
        self.scopes.push(Scope { name: name.to_owned(), at });
        self.scope_numbers.insert(name.to_owned(), number);
        Ok(number)
    }

    /// Names of parts of sources.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(|scope| scope.name.as_str())
    }

    /// Whether a part of a source is known.
    pub fn knows(&self, scope: &str) -> bool {
        self.scope_numbers.contains_key(scope)
    }

    /// The node of a key or of another name, as it is meant at an instant. A key of its own goes before another's
    /// name.
    pub fn find_at(&self, key: &str, at: Micros) -> Option<u32> {
        let named = self.nodes.keys.find(key);
        let own = named.filter(|&node| self.is_own(node) && !self.redirected.contains_key(&node));
        let told = |told| self.told.get(told).copied();
        let node = own.or_else(|| self.aliases.at(key, at, told, |node| self.nodes.keys.get(node))).or(named)?;
        Some(self.current(node))
    }

    /// The node that a node turned out to be.
    pub(super) fn current(&self, mut node: u32) -> u32 {
        while let Some(&other) = self.redirected.get(&node) {
            node = other;
        }
        node
    }

    /// The node of a key or an alias; one that is not known is there from now on, described by nobody.
    ///
    /// # Errors
    /// No room.
    pub fn node(&mut self, key: &str) -> Result<u32, Full> {
        self.node_at(key, super::LATEST)
    }

    pub(super) fn node_at(&mut self, key: &str, at: Micros) -> Result<u32, Full> {
        self.find_at(key, at).map_or_else(|| self.keyed(key), Ok)
    }

    /// The node that has this key and no other.
    pub(super) fn keyed(&mut self, key: &str) -> Result<u32, Full> {
        let node = self.nodes.keys.intern(key).ok_or(Full::Text)?;
        if node as usize == self.nodes.about.len() {
            self.nodes.names.push(NAMELESS);
            self.nodes.about.push(self.about.number(About::NOBODY).ok_or(Full::Text)?);
        }
        Ok(node)
    }

    /// What is said of a node.
    pub fn about(&self, node: u32) -> Option<About> {
        self.about.get(*self.nodes.about.get(node as usize)?).copied()
    }

    /// Another name of a node, as a part of a source says.
    ///
    /// # Errors
    /// No room.
    pub fn alias(&mut self, node: u32, alias: &str, scope: u32, held: Interval) -> Result<(), Full> {
        let told = self.told.number(Told { scope, held }).ok_or(Full::Text)?;
        self.aliases.push(alias, node, told).map(|_| ()).ok_or(Full::Text)
    }

    /// A text by which a person is recognised.
    ///
    /// # Errors
    /// No room.
    pub fn identifier(&mut self, node: u32, kind: IdKind, value: &str, scope: u32, held: Interval) -> Result<(), Full> {
        let (value, told) = (self.text(value)?, self.told.number(Told { scope, held }).ok_or(Full::Text)?);
        self.ids.push(Identifier { node, kind, value, told });
        Ok(())
    }

    /// The number of an edge's terms.
    ///
    /// # Errors
    /// No room.
    pub fn terms(&mut self, kind: EdgeKind, label: &str, scope: u32, held: Interval) -> Result<u32, Full> {
        let label = self.text(label)?;
        self.terms.number(Terms { kind, label, scope, held }).ok_or(Full::Text)
    }

    /// An edge between nodes, by numbers that this builder gave.
    pub fn edge(&mut self, from: u32, to: u32, terms: u32) {
        self.edges.push(Edge { from, to, terms });
    }

    /// The graph.
    ///
    /// # Errors
    /// Too many edges.
    pub fn finish(mut self) -> Result<Graph, Full> {
        self.unite()?;
        self.ids.sort_unstable();
        self.ids.dedup();
        let Self { nodes, texts, aliases, about, several, told, terms, scopes, ids, edges, .. } = self;
        // What is only needed to find numbers is freed before the rows are made.
        let (about, told, terms) = (about.values, told.values, terms.values);
        let forward = Adjacency::forward(nodes.keys.len(), edges).ok_or(Full::Edges)?;
        let reverse = forward.reversed().ok_or(Full::Edges)?;
        Ok(Graph { nodes, texts, aliases, about, several, told, terms, scopes, ids, forward, reverse })
    }

    /// Takes nodes away that are others, and numbers the rest anew.
    fn unite(&mut self) -> Result<(), Full> {
        if self.redirected.is_empty() {
            return Ok(());
        }
        let old = std::mem::take(&mut self.nodes);
        let mut numbers = vec![u32::MAX; old.keys.len() as usize];
        for ((number, key), (place, (&name, &about))) in (0_u32..).zip(old.keys.iter()).zip(numbers.iter_mut().zip(old.names.iter().zip(&old.about))) {
            if !self.redirected.contains_key(&number) {
                *place = self.nodes.keys.intern(key).ok_or(Full::Text)?;
                self.nodes.names.push(name);
                self.nodes.about.push(about);
            }
        }
        let redirected = std::mem::take(&mut self.redirected);
        let new = |mut node: u32| {
            while let Some(&other) = redirected.get(&node) {
                node = other;
            }
            numbers.get(node as usize).copied().unwrap_or(u32::MAX)
        };
        for edge in self.edges.iter_mut() {
            (edge.from, edge.to) = (new(edge.from), new(edge.to));
        }
        self.ids.iter_mut().for_each(|id| id.node = new(id.node));
        self.aliases.holders.iter_mut().for_each(|holder| holder.node = new(holder.node));
        let several = std::mem::take(&mut self.several);
        self.several = several.into_iter().filter(|(node, _)| !redirected.contains_key(node)).map(|(node, all)| (new(node), all)).collect();
        Ok(())
    }
}
