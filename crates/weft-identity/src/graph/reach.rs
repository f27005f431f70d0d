//! Who reaches what at an instant: breadth first, within a budget.

use super::{Graph, Micros};

/// Which way edges are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What somebody reaches.
    Forward,
    /// Who reaches something.
    Reverse,
}

/// How far is looked. Each bound also bounds the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Most edges of a path.
    pub depth: u32,
    /// Most nodes that are found.
    pub nodes: usize,
    /// Most edges that are looked at.
    pub edges: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { depth: 32, nodes: 100_000, edges: 1_000_000 }
    }
}

/// The bound at which the search ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Short {
    /// Paths may go on.
    Depth,
    /// There are more nodes.
    Nodes,
    /// There may be more nodes.
    Edges,
}

/// A node that was found, by its shortest path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Number of the node.
    pub node: u32,
    /// Edges from the start.
    pub depth: u32,
    /// Position in the list of the node before, itself for a start.
    pub before: usize,
    /// Terms of the last edge; meaningless for a start.
    pub terms: u32,
}

/// What was found, nearest first; the starts come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Nodes, each once.
    pub found: Vec<Reached>,
    /// How many of them are starts.
    pub starts: usize,
    /// The bound that was met, if one was: there may be more.
    pub short: Option<Short>,
}

/// An edge of a path, in the graph's own direction: `from` has `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Who has.
    pub from: u32,
    /// What is had.
    pub to: u32,
    /// Terms of the edge.
    pub terms: u32,
}

/// Nodes that were seen, a bit each.
struct Seen(Vec<u64>);

impl Seen {
    fn has(&self, node: u32) -> bool {
        self.0.get((node / 64) as usize).is_none_or(|word| word & 1 << (node % 64) != 0)
    }

    /// Whether it is seen for the first time.
    fn first(&mut self, node: u32) -> bool {
        let Some(word) = self.0.get_mut((node / 64) as usize) else { return false };
        let bit = 1 << (node % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

impl Graph {
    /// Everything that is reached from `starts` by edges that confer and hold at `at`.
    pub fn reach(&self, starts: &[u32], direction: Direction, at: Micros, budget: &Budget) -> Reach {
        let mut seen = Seen(vec![0; (self.nodes() / 64 + 1) as usize]);
        let mut found: Vec<Reached> = Vec::new();
        for &node in starts.iter().filter(|&&node| node < self.nodes()) {
            if seen.first(node) {
                found.push(Reached { node, depth: 0, before: found.len(), terms: u32::MAX });
            }
        }
        let (starts, mut short, mut looked, mut next) = (found.len(), None, 0_usize, 0);
        while let Some(&here) = found.get(next) {
            for neighbour in self.neighbours(here.node, direction) {
                looked += 1;
                if looked > budget.edges {
                    return Reach { found, starts, short: Some(Short::Edges) };
                }
                if seen.has(neighbour.node) || !self.leads(neighbour.terms, at) {
                    continue;
                }
                if here.depth >= budget.depth {
                    short = Some(Short::Depth);
                    break;
                }
                if found.len() >= budget.nodes {
                    return Reach { found, starts, short: Some(Short::Nodes) };
                }
                seen.first(neighbour.node);
                found.push(Reached { node: neighbour.node, depth: here.depth + 1, before: next, terms: neighbour.terms });
            }
            next += 1;
        }
        Reach { found, starts, short }
    }

    fn leads(&self, terms: u32, at: Micros) -> bool {
        self.terms(terms).is_some_and(|terms| terms.kind.confers() && terms.held.holds(at))
    }
}

impl Reach {
    /// The edges of the path to what stands at a position, from the start on where edges were followed
    /// forward, and towards it where they were followed in reverse.
    pub fn path(&self, position: usize, direction: Direction) -> Vec<Step> {
        let (mut steps, mut at) = (Vec::new(), position);
        while let Some(here) = self.found.get(at).filter(|here| here.before != at) {
            let Some(before) = self.found.get(here.before) else { break };
            steps.push(match direction {
                Direction::Forward => Step { from: before.node, to: here.node, terms: here.terms },
                Direction::Reverse => Step { from: here.node, to: before.node, terms: here.terms },
            });
            at = here.before;
        }
        if direction == Direction::Forward {
            steps.reverse();
        }
        steps
    }
}
