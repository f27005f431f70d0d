//! Paths for a person: from steps to hops, each with the actions and the statements that permit them.

use hashbrown::HashSet;

use super::super::estate::{Estate, Strength};
use super::info::Via;
use super::walk::{NodeId, Step, Walker};
use super::ways::edge;
use super::{Escalation, Hop, apply};

impl Walker<'_> {
    /// The hops from the start of the last walk to a node.
    pub(super) fn path(&self, estate: &Estate, goal: NodeId) -> Vec<Hop> {
        let mut steps = Vec::new();
        self.steps(goal, &mut HashSet::new(), &mut steps);
        let mut hops: Vec<Hop> = Vec::new();
        for hop in steps.iter().filter_map(|(to, step)| self.hop(estate, *to, *step)) {
            match hops.iter_mut().rev().find(|last| last.from == hop.from && last.to == hop.to) {
                Some(last) => {
                    last.actions.extend(hop.actions);
                    last.statements.extend(hop.statements);
                    last.capabilities.extend(hop.capabilities);
                    last.assumes.extend(hop.assumes);
                }
                None => hops.push(hop),
            }
        }
        hops
    }

    /// The steps to a node: those to whoever acts, those to whoever is strengthened, and the last one.
    fn steps(&self, goal: NodeId, known: &mut HashSet<NodeId>, steps: &mut Vec<(NodeId, Step)>) {
        let Some(step) = self.step(goal) else { return };
        if known.contains(&goal) {
            return;
        }
        let (place, strength) = self.node(goal);
        self.steps(step.from, known, steps);
        if strength != Strength::Plain {
            self.steps_of((place, Strength::Plain), known, steps);
        }
        // Free is made of two halves: the last step is one, the other came before.
        match step.via {
            Via::Strengthen(_, Strength::Empowered) if strength == Strength::Free => self.steps_of((place, Strength::Unbound), known, steps),
            Via::Strengthen(_, Strength::Unbound) if strength == Strength::Free => self.steps_of((place, Strength::Empowered), known, steps),
            _ => {}
        }
        known.insert(goal);
        steps.push((goal, step));
    }

    fn steps_of(&self, node: super::Node, known: &mut HashSet<NodeId>, steps: &mut Vec<(NodeId, Step)>) {
        if let Some(id) = self.step_of(node) {
            self.steps(id, known, steps);
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
