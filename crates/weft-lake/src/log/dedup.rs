//! The window of recent record ids.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use weft_model::RecordId;

/// Remembers the last `limit` ids, oldest forgotten first.
#[derive(Debug)]
pub struct Dedup {
    known: HashSet<u128, BuildHasherDefault<Low64>>,
    order: VecDeque<u128>,
    limit: usize,
}

impl Dedup {
    /// An empty window of `limit` ids.
    pub fn new(limit: usize) -> Self {
        Self { known: HashSet::default(), order: VecDeque::new(), limit: limit.max(1) }
    }

    /// Number of ids remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Remembers `id`; false when it was known.
    pub fn insert(&mut self, id: RecordId) -> bool {
        if !self.known.insert(id.0) {
            return false;
        }
        self.order.push_back(id.0);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Forgets the `count` ids that were remembered last: their write did not succeed.
    pub fn forget_last(&mut self, count: usize) {
        for _ in 0..count {
            let Some(id) = self.order.pop_back() else { return };
            self.known.remove(&id);
        }
    }
}

/// Ids are digests already: their low half is as good a hash as any.
#[derive(Debug, Default)]
struct Low64(u64);

impl Hasher for Low64 {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = u64::try_from(id & u128::from(u64::MAX)).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets_the_oldest_and_what_was_not_written() {
        let mut window = Dedup::new(2);
        assert!(window.insert(RecordId(1)) && window.insert(RecordId(2)));
        assert!(!window.insert(RecordId(1)));
        assert!(window.insert(RecordId(3)));
        assert!(window.insert(RecordId(1)), "1 was the oldest");
        window.forget_last(1);
        assert!(window.insert(RecordId(1)));
        assert_eq!(window.len(), 2);
    }
}
