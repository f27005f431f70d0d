//! Strings by number, each kept once.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Strings of one chunk: it never grows by moving gigabytes.
const CHUNK: u32 = 1 << 16;
/// Bytes of one string. A chunk's bytes fit in 32 bits by it.
pub const STRING_BYTES_MAX: usize = 16 << 10;

/// Interned strings. Numbers are given in order, from 0.
#[derive(Debug, Clone, Default)]
pub struct Strings {
    chunks: Vec<Chunk>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    count: u32,
}

#[derive(Debug, Clone, Default)]
struct Chunk {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    /// How many there are.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The string of a number; empty for a number that was never given.
    pub fn get(&self, number: u32) -> &str {
        text(&self.chunks, number)
    }

    /// The number of a string, if it is kept.
    pub fn find(&self, string: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(string);
        self.table.find(hash, |&number| text(&self.chunks, number) == string).copied()
    }

    /// The number of a string, which is kept from now on. `None` when there is no room: the string is longer
    /// than [`STRING_BYTES_MAX`], or four billion are kept.
    pub fn intern(&mut self, string: &str) -> Option<u32> {
        if let Some(number) = self.find(string) {
            return Some(number);
        }
        let next = self.count.checked_add(1).filter(|_| string.len() <= STRING_BYTES_MAX)?;
        if self.count.is_multiple_of(CHUNK) {
            self.chunks.push(Chunk::default());
        }
        let chunk = self.chunks.last_mut()?;
        chunk.text.push_str(string);
        chunk.ends.push(u32::try_from(chunk.text.len()).ok()?);
        let (chunks, hasher, number) = (&self.chunks, &self.hasher, self.count);
        self.table.insert_unique(hasher.hash_one(string), number, |&number| hasher.hash_one(text(chunks, number)));
        self.count = next;
        Some(number)
    }

    /// All of them, in order of number.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.count).map(|number| self.get(number))
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(|chunk| chunk.text.capacity() + chunk.ends.capacity() * 4).sum();
        chunks + self.table.allocation_size()
    }
}

fn text(chunks: &[Chunk], number: u32) -> &str {
    let Some(chunk) = chunks.get((number / CHUNK) as usize) else { return "" };
    let within = (number % CHUNK) as usize;
    let end = chunk.ends.get(within).copied().unwrap_or(0) as usize;
    let start = within.checked_sub(1).and_then(|before| chunk.ends.get(before)).copied().unwrap_or(0) as usize;
    chunk.text.get(start..end).unwrap_or("")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn strings_keep_their_number_over_many_chunks() {
        let mut strings = Strings::default();
        for n in 0..200_000 {
            assert_eq!(strings.intern(&format!("key {n}")), Some(n));
        }
        assert_eq!((strings.intern("key 70000"), strings.find("key 199999"), strings.find("none")), (Some(70_000), Some(199_999), None));
        assert_eq!((strings.get(65_536), strings.get(u32::MAX), strings.len()), ("key 65536", "", 200_000));
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let mut strings = Strings::default();
        assert_eq!(strings.intern(&"x".repeat(STRING_BYTES_MAX + 1)), None);
        assert!(strings.is_empty());
    }
}
