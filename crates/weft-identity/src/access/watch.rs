//! Tells when the answer to a request changes: facts or policies became other ones.

use std::collections::{BTreeMap, HashSet};

use cedar_policy::EntityUid;
use weft_model::Decision;

use super::point::{AccessPoint, Ask};

/// Requests whose answers are kept.
#[derive(Debug, Default)]
pub struct Watchlist {
    next: u64,
    watched: BTreeMap<u64, Watched>,
}

#[derive(Debug)]
struct Watched {
    ask: Ask,
    decision: Decision,
    /// Entities that the decision could look at.
    touched: HashSet<EntityUid>,
}

/// What became other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause<'a> {
    /// What is known of these entities: type and id.
    Facts(&'a [(String, String)]),
    /// The policies, or all facts at once.
    Policies,
}

/// An answer that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Flip {
    /// Whose.
    pub watch: u64,
    /// The request.
    pub ask: Ask,
    /// The answer until now.
    pub before: Decision,
    /// The answer from now on.
    pub after: Decision,
}

impl Watchlist {
    /// Decides and goes on watching; the number names the watch.
    pub fn add(&mut self, point: &AccessPoint, ask: Ask) -> (u64, Decision) {
        let (decision, touched) = point.decide_touching(&ask);
        let number = self.next;
        self.next += 1;
        self.watched.insert(number, Watched { ask, decision: decision.clone(), touched });
        (number, decision)
    }

    /// Ends a watch.
    pub fn remove(&mut self, watch: u64) {
        self.watched.remove(&watch);
    }

    /// How many requests are watched.
    pub fn len(&self) -> usize {
        self.watched.len()
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// Decides again what may have become other; every answer whose effect changed.
    pub fn reassess(&mut self, point: &AccessPoint, cause: Cause<'_>) -> Vec<Flip> {
        let changed: Option<HashSet<EntityUid>> = match cause {
            Cause::Facts(names) => Some(names.iter().filter_map(|(kind, id)| point.store().kinds().uid(kind, id).ok()).collect()),
            Cause::Policies => None,
        };
        let mut flips = Vec::new();
        for (number, watched) in &mut self.watched {
            if changed.as_ref().is_some_and(|changed| changed.is_disjoint(&watched.touched)) {
                continue;
            }
            let (after, touched) = point.decide_touching(&watched.ask);
            watched.touched = touched;
            let before = std::mem::replace(&mut watched.decision, after.clone());
            if before.effect != after.effect {
                flips.push(Flip { watch: *number, ask: watched.ask.clone(), before, after });
            }
        }
        flips
    }
}
