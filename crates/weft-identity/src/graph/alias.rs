//! Other names of nodes. A name may be one node's now and have been another's before.

use std::cmp::Reverse;

use super::{Micros, Strings, Told};

/// No holder before.
const NONE: u32 = u32::MAX;

/// That a node is called so, as one part of a source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    /// Number of the name.
    pub(super) name: u32,
    /// Number of the node.
    pub(super) node: u32,
    /// Who says so, and when it holds.
    pub(super) told: u32,
    /// The holder of the same name that was told before this one.
    before: u32,
}

/// Names with all who hold or held them.
#[derive(Debug, Clone, Default)]
pub(super) struct Aliases {
    names: Strings,
    /// Last holder that was told, by number of the name.
    last: Vec<u32>,
    pub(super) holders: Vec<Holder>,
}

impl Aliases {
    /// One more holder of a name; its position. `None` when there is no room.
    pub(super) fn push(&mut self, name: &str, node: u32, told: u32) -> Option<u32> {
        let at = u32::try_from(self.holders.len()).ok().filter(|&at| at != NONE)?;
        let name = self.names.intern(name)?;
        if name as usize == self.last.len() {
            self.last.push(NONE);
        }
        let last = self.last.get_mut(name as usize)?;
        self.holders.push(Holder { name, node, told, before: std::mem::replace(last, at) });
        Some(at)
    }

    /// Holders of a name with their positions, the last that was told first.
    pub(super) fn of(&self, name: &str) -> impl Iterator<Item = (u32, &Holder)> {
        let mut next = self.names.find(name).and_then(|name| self.last.get(name as usize)).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let (at, holder) = (next, self.holders.get(next as usize)?);
            next = holder.before;
            Some((at, holder))
        })
    }

    /// The node that a name means at an instant: who holds it since last, else who is nearest. Of several that
    /// are as near the one with the least key.
    pub(super) fn at<'k>(&self, name: &str, at: Micros, told: impl Fn(u32) -> Option<Told>, key: impl Fn(u32) -> &'k str) -> Option<u32> {
        let near = |holder: &Holder| Some((told(holder.told)?.held.nearness(at)?, Reverse(key(holder.node))));
        self.of(name).filter_map(|(_, holder)| Some((near(holder)?, holder.node))).max().map(|(_, node)| node)
    }

    /// A name by number.
    pub(super) fn name(&self, number: u32) -> &str {
        self.names.get(number)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.names.bytes() + self.last.capacity() * 4 + self.holders.capacity() * size_of::<Holder>()
    }
}
