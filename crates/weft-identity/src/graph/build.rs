//! A graph in the making.

use std::collections::HashMap;

use super::adjacency::{Adjacency, Edges};
use super::{About, Edge, EdgeKind, Graph, Identifier, Interval, Micros, NodeKind, Nodes, Scope, Shared, Strings, Terms};
use crate::person::{IdKind, Usage};

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
    pub(super) aliases: Strings,
    pub(super) alias_of: Vec<u32>,
    pub(super) about: Shared<About>,
    pub(super) terms: Shared<Terms>,
    pub(super) scopes: Vec<Scope>,
    scope_numbers: HashMap<String, u32>,
    pub(super) ids: Vec<Identifier>,
    pub(super) edges: Edges,
    /// Nodes that were named by what turned out to be another name of a node.
    redirected: HashMap<u32, u32>,
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

    /// The node of a key or an alias, known or not.
    pub fn find(&self, key: &str) -> Option<u32> {
        let node = self.aliases.find(key).and_then(|alias| self.alias_of.get(alias as usize).copied()).or_else(|| self.nodes.keys.find(key))?;
        Some(self.current(node))
    }

    /// The node that a node turned out to be.
    pub(super) fn current(&self, node: u32) -> u32 {
        self.redirected.get(&node).copied().unwrap_or(node)
    }

    /// The node of a key or an alias; one that is not known is there from now on, described by nobody.
    ///
    /// # Errors
    /// No room.
    pub fn node(&mut self, key: &str) -> Result<u32, Full> {
        if let Some(node) = self.find(key) {
            return Ok(node);
        }
        let nobody = About { kind: NodeKind::Unknown, scope: 0, held: Interval::ALWAYS, active: true, usage: Usage::Unsaid };
        let about = self.about.number(nobody).ok_or(Full::Text)?;
        let node = self.nodes.keys.intern(key).ok_or(Full::Text)?;
        self.nodes.names.push(u32::MAX);
        self.nodes.about.push(about);
        Ok(node)
    }

    /// Says what a node is; what was said before is replaced. An empty name leaves the old one.
    ///
    /// # Errors
    /// No room.
    pub fn describe(&mut self, node: u32, name: &str, about: About) -> Result<(), Full> {
        let number = self.about.number(about).ok_or(Full::Text)?;
        if let Some(place) = self.nodes.about.get_mut(node as usize) {
            *place = number;
        }
        if !name.is_empty() {
            let text = self.text(name)?;
            if let Some(place) = self.nodes.names.get_mut(node as usize) {
                *place = text;
            }
        }
        Ok(())
    }

    /// What is said of a node.
    pub fn about(&self, node: u32) -> Option<About> {
        self.about.get(*self.nodes.about.get(node as usize)?).copied()
    }

    /// Another name of a node. Who was named by it, and described by nobody, was this node.
    ///
    /// # Errors
    /// No room.
    pub fn alias(&mut self, node: u32, alias: &str) -> Result<(), Full> {
        if let Some(other) = self.nodes.keys.find(alias).filter(|&other| other != node) {
            if self.about(other).is_some_and(|about| about.kind != NodeKind::Unknown) {
                return Ok(());
            }
            self.redirected.insert(other, node);
        }
        let number = self.aliases.intern(alias).ok_or(Full::Text)?;
        if number as usize == self.alias_of.len() {
            self.alias_of.push(node);
        }
        Ok(())
    }

    /// A text by which a person is recognised.
    ///
    /// # Errors
    /// No room.
    pub fn identifier(&mut self, node: u32, kind: IdKind, value: &str, scope: u32) -> Result<(), Full> {
        let value = self.text(value)?;
        self.ids.push(Identifier { node, kind, value, scope });
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
        let Self { nodes, texts, aliases, alias_of, about, terms, scopes, ids, edges, .. } = self;
        // What is only needed to find numbers is freed before the rows are made.
        let (about, terms) = (about.values, terms.values);
        let forward = Adjacency::forward(nodes.keys.len(), edges).ok_or(Full::Edges)?;
        let reverse = forward.reversed().ok_or(Full::Edges)?;
        Ok(Graph { nodes, texts, aliases, alias_of, about, terms, scopes, ids, forward, reverse })
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
        let new = |node: u32| {
            let node = self.redirected.get(&node).copied().unwrap_or(node);
            numbers.get(node as usize).copied().unwrap_or(u32::MAX)
        };
        for edge in self.edges.iter_mut() {
            (edge.from, edge.to) = (new(edge.from), new(edge.to));
        }
        self.ids.iter_mut().for_each(|id| id.node = new(id.node));
        self.alias_of.iter_mut().for_each(|node| *node = new(*node));
        self.redirected.clear();
        Ok(())
    }
}
