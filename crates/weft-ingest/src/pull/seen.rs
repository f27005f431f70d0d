//! Keys of records that were taken, for as long as a walk may meet them again.

use std::collections::{HashSet, VecDeque};

/// Most keys that one source remembers (64 MB); of more, the oldest are forgotten.
const KEYS_MAX: usize = 2_000_000;

/// Keys of one chunk, to be kept before the chunk is handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Number of the chunk.
    pub number: u64,
    /// Newest event of the chunk, epoch milliseconds; where a place is in order of arrival, when it was taken.
    pub newest: i64,
    /// Record ids.
    pub ids: Vec<u128>,
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    known: HashSet<u128>,
    groups: VecDeque<Keys>,
}

impl Seen {
    /// What of the kept keys counts: chunks up to the number of the durable place.
    pub(super) fn restore(kept: Vec<Keys>, number: u64) -> Self {
        let mut seen = Self::default();
        kept.into_iter().filter(|keys| keys.number <= number).for_each(|keys| seen.add(keys));
        seen
    }

    pub(super) fn has(&self, id: u128) -> bool {
        self.known.contains(&id)
    }

    pub(super) fn add(&mut self, keys: Keys) {
        self.known.extend(&keys.ids);
        self.groups.push_back(keys);
        while self.known.len() > KEYS_MAX && self.groups.len() > 1 {
            self.drop_front();
        }
    }

    /// No walk begins before this any more: older groups are not met again.
    pub(super) fn forget_before(&mut self, since: i64) {
        let mut kept = VecDeque::with_capacity(self.groups.len());
        for group in std::mem::take(&mut self.groups) {
            if group.newest < since {
                forget(&mut self.known, &group);
            } else {
                kept.push_back(group);
            }
        }
        self.groups = kept;
    }

    fn drop_front(&mut self) {
        if let Some(group) = self.groups.pop_front() {
            forget(&mut self.known, &group);
        }
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.groups.front().map(|keys| keys.number)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

fn forget(known: &mut HashSet<u128>, group: &Keys) {
    for id in &group.ids {
        known.remove(id);
    }
}
