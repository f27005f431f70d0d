//! Texts kept once, counted by who holds them.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

/// Number of a text; 0 is the empty one and is never counted.
pub(crate) type TextId = u32;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    text: Box<str>,
    held: u32,
}

/// Texts by number.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Pool {
    slots: Vec<Slot>,
    free: Vec<TextId>,
    #[serde(skip)]
    index: HashTable<TextId>,
    #[serde(skip)]
    hasher: DefaultHashBuilder,
}

impl Pool {
    /// The number of a text, held once more.
    pub(crate) fn hold(&mut self, text: &str) -> TextId {
        if text.is_empty() {
            return 0;
        }
        let hash = self.hasher.hash_one(text);
        let slots = &self.slots;
        if let Some(id) = self.index.find(hash, |id| slot_text(slots, *id) == text).copied() {
            if let Some(slot) = self.slots.get_mut(id as usize - 1) {
                slot.held = slot.held.saturating_add(1);
            }
            return id;
        }
        let slot = Slot { text: text.into(), held: 1 };
        let id = match self.free.pop() {
            Some(id) => {
                if let Some(place) = self.slots.get_mut(id as usize - 1) {
                    *place = slot;
                }
                id
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, id, |id| hasher.hash_one(slot_text(slots, *id)));
        id
    }

    /// One holder more of a text that is held.
    pub(crate) fn hold_again(&mut self, id: TextId) {
        if let Some(slot) = (id as usize).checked_sub(1).and_then(|at| self.slots.get_mut(at)) {
            slot.held = slot.held.saturating_add(1);
        }
    }

    /// One holder less; the last takes the text along.
    pub(crate) fn release(&mut self, id: TextId) {
        let Some(slot) = (id as usize).checked_sub(1).and_then(|at| self.slots.get_mut(at)) else { return };
        slot.held = slot.held.saturating_sub(1);
        if slot.held > 0 {
            return;
        }
        let text = std::mem::take(&mut slot.text);
        let hash = self.hasher.hash_one(&*text);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
    }

    /// The text of a number.
    pub(crate) fn text(&self, id: TextId) -> &str {
        slot_text(&self.slots, id)
    }

    /// Builds the index again that is not saved.
    pub(crate) fn reindex(&mut self) {
        self.index.clear();
        for (slot, id) in self.slots.iter().zip(1..).filter(|(slot, _)| slot.held > 0) {
            let (slots, hasher) = (&self.slots, &self.hasher);
            self.index.insert_unique(hasher.hash_one(&*slot.text), id, |id| hasher.hash_one(slot_text(slots, *id)));
        }
    }
}

fn slot_text(slots: &[Slot], id: TextId) -> &str {
    (id as usize).checked_sub(1).and_then(|at| slots.get(at)).map_or("", |slot| &slot.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_lives_as_long_as_it_is_held() {
        let mut pool = Pool::default();
        let (a, b) = (pool.hold("a"), pool.hold("b"));
        assert_eq!((pool.hold("a"), pool.hold("")), (a, 0));
        pool.release(a);
        assert_eq!(pool.text(a), "a");
        pool.release(a);
        assert_eq!((pool.text(a), pool.text(b)), ("", "b"));
        assert_eq!(pool.hold("c"), a, "the place is used again");
        let mut again: Pool = postcard::from_bytes(&postcard::to_allocvec(&pool).unwrap()).unwrap();
        again.reindex();
        assert_eq!((again.hold("c"), again.hold("b")), (a, b));
    }
}
