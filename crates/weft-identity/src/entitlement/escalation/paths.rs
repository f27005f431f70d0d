//! Paths for a person: from steps to hops, each with the actions and the statements that permit them.

use std::sync::Arc;

use hashbrown::HashMap;

use super::super::estate::{Estate, Strength};
use super::info::Via;
use super::walk::{NodeId, Step, Walker};
use super::ways::edge;
use super::{Escalation, Hop, apply};

/// Hops that are remembered from one walk to the next.
const HOPS_MAX: usize = 1_000_000;

/// Who acts, as whom or on whom, and by what.
type Key = (NodeId, usize, Via);

/// Hops that were told before: many paths end alike.
#[derive(Default)]
pub(super) struct Told {
    start: NodeId,
    /// Of whoever began the last walk.
    of_start: HashMap<Key, Option<Arc<Hop>>>,
    of_others: HashMap<Key, Option<Arc<Hop>>>,
}

impl Told {
    /// Those among which a hop of a walk is remembered; none when there are enough.
    fn of(&mut self, start: NodeId, from: NodeId) -> Option<&mut HashMap<Key, Option<Arc<Hop>>>> {
        if self.start != start {
            self.start = start;
            self.of_start.clear();
        }
        if from == start {
            return Some(&mut self.of_start);
        }
        (self.of_others.len() < HOPS_MAX).then_some(&mut self.of_others)
    }
}

impl Walker<'_> {
    /// The hops from the start of the last walk to a node.
    pub(super) fn path(&self, estate: &Estate, goal: NodeId) -> Vec<Arc<Hop>> {
        let mut steps = Vec::new();
        self.steps(goal, &mut steps);
        let mut hops: Vec<Arc<Hop>> = Vec::with_capacity(steps.len());
        for hop in steps.iter().filter_map(|(to, step)| self.told(estate, *to, *step)) {
            match hops.iter_mut().rev().find(|last| last.from == hop.from && last.to == hop.to) {
                Some(last) => {
                    let last = Arc::make_mut(last);
                    last.actions.extend(hop.actions.iter().cloned());
                    last.statements.extend(hop.statements.iter().cloned());
                    last.capabilities.extend(hop.capabilities.iter().cloned());
                    last.assumes.extend(hop.assumes.iter().cloned());
                }
                None => hops.push(hop),
            }
        }
        hops
    }

    fn told(&self, estate: &Estate, to: NodeId, step: Step) -> Option<Arc<Hop>> {
        let find = || self.hop(estate, to, step).map(Arc::new);
        let mut told = self.told.borrow_mut();
        match told.of(self.start(), step.from) {
            Some(known) => known.entry((step.from, self.node(to).0, step.via)).or_insert_with(find).clone(),
            None => find(),
        }
    }

    /// The steps to a node: those to whoever acts, those to whoever is strengthened, and the last one.
    fn steps(&self, goal: NodeId, steps: &mut Vec<(NodeId, Step)>) {
        let Some(step) = self.step(goal) else { return };
        if steps.iter().any(|(known, _)| *known == goal) {
            return;
        }
        let (place, strength) = self.node(goal);
        self.steps(step.from, steps);
        if strength != Strength::Plain {
            self.steps_of((place, Strength::Plain), steps);
        }
        // Free is made of two halves: the last step is one, the other came before.
        match step.via {
            Via::Strengthen(_, Strength::Empowered) if strength == Strength::Free => self.steps_of((place, Strength::Unbound), steps),
            Via::Strengthen(_, Strength::Unbound) if strength == Strength::Free => self.steps_of((place, Strength::Empowered), steps),
            _ => {}
        }
        steps.push((goal, step));
    }

    fn steps_of(&self, node: super::Node, steps: &mut Vec<(NodeId, Step)>) {
        if let Some(id) = self.step_of(node) {
            self.steps(id, steps);
        }
    }

    fn hop(&self, estate: &Estate, to: NodeId, step: Step) -> Option<Hop> {
        let (by, target) = (self.node(step.from), self.node(to).0);
        let edge = edge(estate, by, target, step.via)?;
        let (from, to) = (estate.members.get(by.0)?, estate.members.get(target)?);
        let mut statements = Vec::new();
        for act in &edge.acts {
            let mut at = estate.circumstances(from, &act.resource);
            apply(&mut at, &act.with);
            statements.extend(estate.why(from, by.1, &act.action.to_ascii_lowercase(), &act.resource, &at).causes);
        }
        statements.sort();
        statements.dedup();
        Some(Hop {
            from: from.principal.name.clone(),
            to: to.principal.name.clone(),
            actions: edge.acts.into_iter().map(|act| act.action).collect(),
            statements,
            capabilities: vec![edge.capability],
            assumes: edge.assumes,
        })
    }

    /// A path to a goal, told.
    pub(super) fn escalation(&self, estate: &Estate, node: NodeId, reaches: &str) -> Option<Escalation> {
        let principal = estate.members.get(self.node(self.start()).0)?.principal.name.clone();
        let account = estate.members.get(self.node(node).0)?.principal.account.clone();
        Some(Escalation { principal, reaches: reaches.to_owned(), account, hops: self.path(estate, node) })
    }
}
