//! A snapshot into what is known: what is new begins, what is told no more ends.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use weft_model::entitlement::SnapshotFault;

use super::build::{Builder, Full};
use super::{About, EdgeKind, Interval, LinkFact, Micros, NodeFact, NodeKind, Snapshot, Terms};

/// What a snapshot changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// Nodes that it describes.
    pub nodes: usize,
    /// Edges that it tells.
    pub edges: usize,
    /// Edges that are new.
    pub begun: usize,
    /// Edges that ended, as their part of the source tells them no more.
    pub ended: usize,
    /// What could not be used, or hangs in the air.
    pub faults: Vec<SnapshotFault>,
}

/// An edge without when it holds: start, end, kind, label, scope.
type Said = (u32, u32, EdgeKind, u32, u32);

/// When an edge that is told holds, and whether it was held already.
type Claim = (Interval, bool);

/// A node that is told, and the number of the part that tells it.
pub(super) type Fact<'a> = (&'a NodeFact, u32);

/// What is done with one snapshot.
pub(super) struct Round {
    pub(super) at: Micros,
    /// Parts that the snapshot may speak for.
    scopes: HashMap<Arc<str>, u32>,
    /// Those of them that it tells as a whole.
    whole: HashSet<u32>,
    /// Nodes that are described, with the part that describes them.
    pub(super) told: HashSet<(u32, u32)>,
    pub(super) absorbed: Absorbed,
}

impl Round {
    /// Whether what a part said of a node before, and says no more, ended.
    pub(super) fn ends(&self, node: u32, scope: u32) -> bool {
        self.whole.contains(&scope) || self.told.contains(&(node, scope))
    }
}

impl Builder {
    /// Takes a snapshot in, taken at an instant. Parts of a source whose latest snapshot is later are
    /// refused, each with a fault: what ended when could not be said.
    ///
    /// # Errors
    /// No room.
    pub fn absorb(&mut self, snapshot: &Snapshot, at: Micros) -> Result<Absorbed, Full> {
        let mut round = self.open(snapshot, at)?;
        let mut facts: Vec<Fact<'_>> = snapshot.nodes.iter().filter_map(|fact| Some((fact, *round.scopes.get(&fact.scope)?))).collect();
        facts.sort_by_key(|&(fact, _)| (fact.passing, &fact.key, &fact.scope));
        round.absorbed.nodes = facts.len();
        self.name(&facts, &mut round)?;
        self.leave(&round)?;
        let mut told: HashMap<Said, Claim> = HashMap::new();
        for link in &snapshot.links {
            let Some(&scope) = round.scopes.get(&link.scope) else { continue };
            let (said, held) = self.said(link, scope, &mut round)?;
            told.insert(said, (held, false));
        }
        self.settle(told, &mut round)?;
        Ok(round.absorbed)
    }

    /// Numbers of the parts that the snapshot may speak for.
    fn open(&mut self, snapshot: &Snapshot, at: Micros) -> Result<Round, Full> {
        let mut absorbed = Absorbed { faults: snapshot.faults.clone(), ..Absorbed::default() };
        let named = snapshot.nodes.iter().map(|node| &node.scope).chain(snapshot.links.iter().map(|link| &link.scope));
        let names: BTreeSet<&Arc<str>> = named.chain(&snapshot.scopes).collect();
        let mut scopes = HashMap::new();
        for name in names {
            let number = self.scope(name, at)?;
            let Some(scope) = self.scopes.get_mut(number as usize) else { continue };
            if scope.at > at {
                let reason = "a later snapshot of it is held already; import snapshots in the order in which they were taken".to_owned();
                absorbed.faults.push(SnapshotFault { place: name.to_string(), reason });
                continue;
            }
            scope.at = at;
            scopes.insert(Arc::clone(name), number);
        }
        let whole = scopes.iter().filter(|(name, _)| !snapshot.torn.contains(name)).map(|(_, &scope)| scope).collect();
        Ok(Round { at, scopes, whole, told: HashSet::new(), absorbed })
    }

    pub(super) fn take(&mut self, node: u32, fact: &NodeFact, scope: u32, at: Micros) -> Result<(), Full> {
        let known = self.descriptions(node).into_iter().find(|(about, _)| about.scope == scope);
        let from = fact.since.or(known.map(|(about, _)| about.held.from)).unwrap_or(at);
        let about = About { kind: fact.kind, scope, held: Interval::since(from), active: fact.active, usage: fact.usage, passing: fact.passing };
        self.describe(node, &fact.name, about)
    }

    /// Numbers of an edge; an end that nobody describes is told.
    fn said(&mut self, link: &LinkFact, scope: u32, round: &mut Round) -> Result<(Said, Interval), Full> {
        let mut end = |name: &str| -> Result<u32, Full> {
            let node = self.node_at(name, round.at)?;
            if self.about(node).is_none_or(|about| about.kind == NodeKind::Unknown) {
                let reason = format!("`{}` names `{name}`, which no snapshot so far describes; kept as unknown", link.kind);
                round.absorbed.faults.push(SnapshotFault { place: link.place.to_string(), reason });
            }
            Ok(node)
        };
        let (from, to) = (end(&link.from)?, end(&link.to)?);
        let held = Interval { from: link.since.unwrap_or(round.at), until: link.until.unwrap_or(Interval::OPEN) };
        Ok(((from, to, link.kind, self.text(&link.label)?, scope), held))
    }

    /// Edges that are held already: those that are told again go on, those that are told no more end, also
    /// when a later end was planned, or a beginning.
    fn settle(&mut self, mut told: HashMap<Said, Claim>, round: &mut Round) -> Result<(), Full> {
        let (mut edges, mut full) = (std::mem::take(&mut self.edges), false);
        edges.retain(|edge| {
            let Some(&terms) = self.terms.get(edge.terms) else { return false };
            let (held, lasts) = (terms.held, terms.held.until > round.at);
            let said = (self.current(edge.from), self.current(edge.to), terms.kind, terms.label, terms.scope);
            match told.get_mut(&said) {
                // Its own dates replace ours; where it has none, it goes on as it was.
                Some((now, known)) if lasts || now.from <= held.from => {
                    (now.from, *known) = (now.from.min(held.from), true);
                    false
                }
                None if lasts && round.whole.contains(&terms.scope) => {
                    round.absorbed.ended += 1;
                    let number = self.terms.number(Terms { held: Interval { until: round.at, ..held }, ..terms });
                    full |= number.is_none();
                    edge.terms = number.unwrap_or(edge.terms);
                    // What had not begun never was.
                    held.from < round.at
                }
                _ => true,
            }
        });
        if full {
            return Err(Full::Text);
        }
        self.edges = edges;
        (round.absorbed.edges, round.absorbed.begun) = (told.len(), told.values().filter(|(_, known)| !known).count());
        let mut told: Vec<(Said, Claim)> = told.into_iter().collect();
        told.sort_unstable();
        for ((from, to, kind, label, scope), (held, _)) in told {
            let terms = self.terms.number(Terms { kind, label, scope, held }).ok_or(Full::Text)?;
            self.edge(from, to, terms);
        }
        Ok(())
    }

    /// Nodes that a part of the source tells no more are gone as far as it goes.
    fn leave(&mut self, round: &Round) -> Result<(), Full> {
        for node in 0..self.nodes.keys.len() {
            let gone = |about: &About| about.held.until == Interval::OPEN && round.whole.contains(&about.scope) && !round.told.contains(&(node, about.scope));
            let several = self.several.get(&node);
            let any = several.map_or_else(|| self.about(node).is_some_and(|about| gone(&about)), |all| all.iter().any(|(about, _)| gone(about)));
            if !any {
                continue;
            }
            let mut all = self.descriptions(node);
            for (about, _) in all.iter_mut().filter(|(about, _)| gone(about)) {
                about.held.until = round.at.max(about.held.from);
            }
            self.agree(node, all)?;
        }
        Ok(())
    }
}
