//! The window of recent record ids: 16 bytes an id, and some 7 for finding it.

use std::collections::VecDeque;

use hashbrown::HashTable;
use weft_model::RecordId;

/// Remembers the last `limit` ids, oldest forgotten first.
#[derive(Debug)]
pub struct Dedup {
    order: VecDeque<u128>,
    /// How many were forgotten from the front; an id's number is this and its place in `order`,
    /// of which the low half is enough, because the window is smaller than that.
    gone: u32,
    /// Numbers of ids, by the low half of the id: ids are digests already.
    known: HashTable<u32>,
    limit: usize,
}

impl Dedup {
    /// An empty window of `limit` ids.
    pub fn new(limit: usize) -> Self {
        Self { order: VecDeque::new(), gone: 0, known: HashTable::new(), limit: limit.clamp(1, 1 << 31) }
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
        let (order, gone) = (&self.order, self.gone);
        if self.known.find(low(id.0), |number| at(order, gone, *number) == Some(id.0)).is_some() {
            return false;
        }
        let number = gone.wrapping_add(u32::try_from(order.len()).unwrap_or(u32::MAX));
        self.order.push_back(id.0);
        let order = &self.order;
        self.known.insert_unique(low(id.0), number, |number| at(order, gone, *number).map_or(0, low));
        if self.order.len() > self.limit {
            self.forget(gone);
            self.order.pop_front();
            self.gone = gone.wrapping_add(1);
        }
        true
    }

    /// Forgets the `count` ids that were remembered last: their write did not succeed.
    pub fn forget_last(&mut self, count: usize) {
        for _ in 0..count {
            let Some(place) = self.order.len().checked_sub(1) else { return };
            self.forget(self.gone.wrapping_add(u32::try_from(place).unwrap_or(u32::MAX)));
            self.order.pop_back();
        }
    }

    /// Takes a number out of the table; its id is still in its place.
    fn forget(&mut self, number: u32) {
        let Some(id) = at(&self.order, self.gone, number) else { return };
        if let Ok(entry) = self.known.find_entry(low(id), |other| *other == number) {
            entry.remove();
        }
    }
}

/// The id of a number.
fn at(order: &VecDeque<u128>, gone: u32, number: u32) -> Option<u128> {
    order.get(number.wrapping_sub(gone) as usize).copied()
}

fn low(id: u128) -> u64 {
    id as u64
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

    proptest::proptest! {
        /// As a list that is searched from front to back would do it, also where numbers begin again.
        #[test]
        fn the_window_is_that_of_a_list(steps in proptest::collection::vec((0_u128..40, 0_usize..6), 1..300), limit in 1_usize..20) {
            let mut window = Dedup { gone: u32::MAX - 20, ..Dedup::new(limit) };
            let mut list: Vec<u128> = Vec::new();
            for (id, forgotten) in steps {
                let new = !list.contains(&id);
                proptest::prop_assert_eq!(window.insert(RecordId(id)), new);
                if new {
                    list.push(id);
                    if list.len() > limit {
                        list.remove(0);
                    }
                }
                if forgotten == 5 {
                    window.forget_last(2);
                    list.truncate(list.len().saturating_sub(2));
                }
                proptest::prop_assert_eq!(window.len(), list.len());
            }
        }
    }
}
