//! A snapshot into what is known: what is new begins, what is told no more ends.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use weft_model::entitlement::SnapshotFault;

use super::build::{Builder, Full};
use super::{About, EdgeKind, Interval, LinkFact, Micros, NodeFact, NodeKind, Snapshot};

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

impl Builder {
    /// Takes a snapshot in, taken at an instant. Parts of a source whose latest snapshot is later are
    /// refused, each with a fault: what ended when could not be said.
    ///
    /// # Errors
    /// No room.
    pub fn absorb(&mut self, snapshot: &Snapshot, at: Micros) -> Result<Absorbed, Full> {
        let mut absorbed = Absorbed { faults: snapshot.faults.clone(), ..Absorbed::default() };
        let scopes = self.open(snapshot, at, &mut absorbed)?;
        // First all names, so that it does not matter which part is read first.
        for fact in snapshot.nodes.iter().filter(|fact| scopes.contains_key(&fact.scope)) {
            let node = self.node(&fact.key)?;
            for alias in &fact.aliases {
                self.alias(node, alias)?;
            }
        }
        self.forget(snapshot, &scopes);
        for fact in &snapshot.nodes {
            if let Some(&scope) = scopes.get(&fact.scope) {
                self.take(fact, scope, at)?;
                absorbed.nodes += 1;
            }
        }
        let mut told: HashMap<Said, Interval> = HashMap::new();
        for link in &snapshot.links {
            let Some(&scope) = scopes.get(&link.scope) else { continue };
            let (said, held) = self.said(link, scope, at, &mut absorbed)?;
            told.insert(said, held);
        }
        absorbed.edges = told.len();
        let whole: HashSet<u32> = scopes.iter().filter(|(name, _)| !snapshot.torn.contains(name)).map(|(_, &scope)| scope).collect();
        self.settle(&mut told, &whole, at, &mut absorbed)?;
        absorbed.begun = told.len();
        let mut told: Vec<(Said, Interval)> = told.into_iter().collect();
        told.sort_unstable();
        for ((from, to, kind, label, scope), held) in told {
            let terms = self.terms.number(super::Terms { kind, label, scope, held }).ok_or(Full::Text)?;
            self.edge(from, to, terms);
        }
        self.leave(snapshot, &whole, at)?;
        Ok(absorbed)
    }

    /// Numbers of the parts that the snapshot may speak for.
    fn open(&mut self, snapshot: &Snapshot, at: Micros, absorbed: &mut Absorbed) -> Result<HashMap<Arc<str>, u32>, Full> {
        let named = snapshot.nodes.iter().map(|node| &node.scope).chain(snapshot.links.iter().map(|link| &link.scope));
        let names: BTreeSet<&Arc<str>> = named.collect();
        let (mut scopes, mut late) = (HashMap::new(), Vec::new());
        for name in names {
            let number = self.scope(name, at)?;
            let Some(scope) = self.scopes.get_mut(number as usize) else { continue };
            if scope.at > at {
                late.push(name);
                continue;
            }
            scope.at = at;
            scopes.insert(Arc::clone(name), number);
        }
        absorbed.faults.extend(late.into_iter().map(|name| SnapshotFault {
            place: name.to_string(),
            reason: "a later snapshot of it is held already; import snapshots in the order in which they were taken".to_owned(),
        }));
        Ok(scopes)
    }

    /// What a part of a source said of nodes is replaced by what it says of them now.
    fn forget(&mut self, snapshot: &Snapshot, scopes: &HashMap<Arc<str>, u32>) {
        let anew: HashSet<(u32, u32)> = snapshot.nodes.iter().filter_map(|fact| Some((self.find(&fact.key)?, *scopes.get(&fact.scope)?))).collect();
        self.ids.retain(|id| !anew.contains(&(id.node, id.scope)));
    }

    fn take(&mut self, fact: &NodeFact, scope: u32, at: Micros) -> Result<(), Full> {
        let node = self.node(&fact.key)?;
        let known = self.about(node).filter(|about| about.kind != NodeKind::Unknown);
        // A later description tells the kind better only when the first did not know it.
        let from = fact.since.or(known.map(|about| about.held.from)).unwrap_or(at);
        let about = About { kind: fact.kind, scope, held: Interval::since(from), active: fact.active, usage: fact.usage };
        self.describe(node, &fact.name, about)?;
        for (kind, value) in &fact.ids {
            self.identifier(node, *kind, value, scope)?;
        }
        Ok(())
    }

    /// Numbers of an edge; an end that nobody describes is told.
    fn said(&mut self, link: &LinkFact, scope: u32, at: Micros, absorbed: &mut Absorbed) -> Result<(Said, Interval), Full> {
        let mut end = |name: &str| -> Result<u32, Full> {
            let node = self.node(name)?;
            if self.about(node).is_none_or(|about| about.kind == NodeKind::Unknown) {
                let reason = format!("`{}` names `{name}`, which no snapshot so far describes; kept as unknown", link.kind);
                absorbed.faults.push(SnapshotFault { place: link.place.to_string(), reason });
            }
            Ok(node)
        };
        let (from, to) = (end(&link.from)?, end(&link.to)?);
        let held = Interval { from: link.since.unwrap_or(at), until: link.until.unwrap_or(Interval::OPEN) };
        Ok(((from, to, link.kind, self.text(&link.label)?, scope), held))
    }

    /// Edges that are held already: those that are told again go on, those that are told no more end.
    fn settle(&mut self, told: &mut HashMap<Said, Interval>, whole: &HashSet<u32>, at: Micros, absorbed: &mut Absorbed) -> Result<(), Full> {
        let mut edges = std::mem::take(&mut self.edges);
        for edge in edges.iter_mut() {
            let (from, to) = (self.current(edge.from), self.current(edge.to));
            let Some(&terms) = self.terms.get(edge.terms) else { continue };
            let open = terms.held.until == Interval::OPEN;
            let said = (from, to, terms.kind, terms.label, terms.scope);
            let mut held = terms.held;
            match told.get(&said) {
                // The source's own dates replace ours; otherwise it goes on as it was.
                Some(now) if open || now.from <= terms.held.from => {
                    held = Interval { from: now.from.min(terms.held.from), until: now.until };
                    told.remove(&said);
                }
                None if open && whole.contains(&terms.scope) && terms.held.from < at => {
                    held.until = at;
                    absorbed.ended += 1;
                }
                _ => {}
            }
            if held != terms.held {
                edge.terms = self.terms.number(super::Terms { held, ..terms }).ok_or(Full::Text)?;
            }
        }
        self.edges = edges;
        Ok(())
    }

    /// Nodes that their part of the source tells no more are gone, with what they are recognised by as of now.
    fn leave(&mut self, snapshot: &Snapshot, whole: &HashSet<u32>, at: Micros) -> Result<(), Full> {
        let told: HashSet<u32> = snapshot.nodes.iter().filter_map(|fact| self.find(&fact.key)).collect();
        for node in 0..self.nodes.keys.len() {
            let Some(about) = self.about(node).filter(|about| about.kind != NodeKind::Unknown) else { continue };
            if about.held.until == Interval::OPEN && whole.contains(&about.scope) && about.held.from < at && !told.contains(&node) {
                self.describe(node, "", About { held: Interval { until: at, ..about.held }, ..about })?;
            }
        }
        Ok(())
    }
}
