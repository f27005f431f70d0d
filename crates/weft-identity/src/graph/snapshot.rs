//! What a reader made of a source's own words: nodes and edges by name.

use std::sync::Arc;

use weft_model::entitlement::SnapshotFault;

use super::{EdgeKind, Micros, NodeKind};
use crate::person::{IdKind, Usage};

/// A node, as one part of a source describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFact {
    /// Key: the same text is the same node in all snapshots.
    pub key: String,
    /// Kind.
    pub kind: NodeKind,
    /// Name for persons; may be empty.
    pub name: String,
    /// Other names by which edges may mean it.
    pub aliases: Vec<String>,
    /// Texts by which a person is recognised.
    pub ids: Vec<(IdKind, String)>,
    /// Whether it can be used, where the part says so.
    pub active: Option<bool>,
    /// Who uses it.
    pub usage: Usage,
    /// When it began, where the source says so.
    pub since: Option<Micros>,
    /// Whether it is described in passing, by a part that is about something else. Its key may be another name of
    /// what a part describes that is about it.
    pub passing: bool,
    /// Part of the source.
    pub scope: Arc<str>,
}

/// An edge, as one part of a source tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFact {
    /// Key or alias of who has.
    pub from: String,
    /// Key or alias of what is had.
    pub to: String,
    /// Kind.
    pub kind: EdgeKind,
    /// The source's own word; may be empty.
    pub label: String,
    /// When it began, where the source says so.
    pub since: Option<Micros>,
    /// When it ends or ended, where the source says so.
    pub until: Option<Micros>,
    /// Part of the source.
    pub scope: Arc<str>,
    /// Where it stands, for a person.
    pub place: Arc<str>,
}

/// All that was read at once.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Nodes.
    pub nodes: Vec<NodeFact>,
    /// Edges.
    pub links: Vec<LinkFact>,
    /// Parts that it tells, also those of which nothing is left. Those of nodes and edges need not stand here.
    pub scopes: Vec<Arc<str>>,
    /// Parts that were not read to the end: what they do not tell may still be there.
    pub torn: Vec<Arc<str>>,
    /// What could not be used, with its place.
    pub faults: Vec<SnapshotFault>,
}
