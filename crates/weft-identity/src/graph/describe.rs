//! What parts of sources say of a node. Each is kept by itself; together they make what is said of the node.

use std::cmp::Reverse;

use super::build::{Builder, Full};
use super::{About, Interval, NodeKind};
use crate::person::Usage;

/// What one part of a source says of a node: about, and its name, a number of a text.
pub(super) type Description = (About, u32);
/// No name.
pub(super) const NAMELESS: u32 = u32::MAX;

impl Builder {
    /// All that parts of sources say of a node.
    pub(super) fn descriptions(&self, node: u32) -> Vec<Description> {
        if let Some(several) = self.several.get(&node) {
            return several.clone();
        }
        let name = self.nodes.names.get(node as usize).copied().unwrap_or(NAMELESS);
        self.about(node).filter(|about| about.kind != NodeKind::Unknown).map(|about| (about, name)).into_iter().collect()
    }

    /// Says what a node is; what its part of the source said before is replaced. An empty name leaves the old one.
    ///
    /// # Errors
    /// No room.
    pub fn describe(&mut self, node: u32, name: &str, about: About) -> Result<(), Full> {
        let name = if name.is_empty() { NAMELESS } else { self.text(name)? };
        if self.about(node).is_none_or(|known| known.kind == NodeKind::Unknown) {
            return self.say(node, about, name);
        }
        let mut all = self.descriptions(node);
        match all.iter_mut().find(|(known, _)| known.scope == about.scope) {
            Some((known, old)) => (*known, *old) = (about, if name == NAMELESS { *old } else { name }),
            None => all.push((about, name)),
        }
        self.agree(node, all)
    }

    /// Keeps descriptions, and what they come to together.
    pub(super) fn agree(&mut self, node: u32, mut all: Vec<Description>) -> Result<(), Full> {
        // Who leads stands first: who still tells it rather than who did, who is about it rather than who
        // tells it in passing, whose snapshot is newer.
        all.sort_by(|(one, _), (other, _)| self.weight(other).cmp(&self.weight(one)));
        let Some((lead, _)) = all.first().copied() else { return Ok(()) };
        let there = |about: &About| about.held.until == Interval::OPEN;
        // Whether it can be used is what the newest says that knows; of two alike, that it cannot.
        let knows = all.iter().filter_map(|(about, _)| Some((there(about), self.taken(about.scope), !about.active?)));
        let about = About {
            held: Interval {
                from: all.iter().map(|(about, _)| about.held.from).min().unwrap_or(lead.held.from),
                until: all.iter().map(|(about, _)| about.held.until).max().unwrap_or(lead.held.until),
            },
            active: knows.max().map(|(_, _, inactive)| !inactive),
            usage: all.iter().map(|(about, _)| about.usage).find(|usage| *usage != Usage::Unsaid).unwrap_or(Usage::Unsaid),
            passing: all.iter().all(|(about, _)| about.passing),
            ..lead
        };
        let name = all.iter().map(|(_, name)| *name).find(|name| *name != NAMELESS).unwrap_or(NAMELESS);
        if all.len() > 1 {
            self.several.insert(node, all);
        }
        self.say(node, about, name)
    }

    fn weight(&self, about: &About) -> impl Ord {
        let scope = self.scopes.get(about.scope as usize).map(|scope| scope.name.as_str()).unwrap_or_default();
        (about.held.until == Interval::OPEN, !about.passing, self.taken(about.scope), Reverse(scope.to_owned()))
    }

    fn taken(&self, scope: u32) -> Option<i64> {
        self.scopes.get(scope as usize).map(|scope| scope.at)
    }

    fn say(&mut self, node: u32, about: About, name: u32) -> Result<(), Full> {
        let number = self.about.number(about).ok_or(Full::Text)?;
        if let (Some(about), Some(place)) = (self.nodes.about.get_mut(node as usize), self.nodes.names.get_mut(node as usize)) {
            *about = number;
            if name != NAMELESS {
                *place = name;
            }
        }
        Ok(())
    }

    /// Whether a node's key is its own: somebody describes it, and not in passing under what may be another's name.
    pub(super) fn is_own(&self, node: u32) -> bool {
        self.about(node).is_some_and(|about| about.kind != NodeKind::Unknown && !about.passing)
    }
}
