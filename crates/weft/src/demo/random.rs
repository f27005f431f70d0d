//! A generator of our own, so that a seed means the same play in every version of every library.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and good enough for a story.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// For one telling of one block: independent of the order in which blocks are told.
    pub(super) fn of(seed: u64, block: u64, telling: u64) -> Self {
        let mut random = Self(seed ^ block.wrapping_mul(0xa076_1d64_78bd_642f) ^ telling.wrapping_mul(0xe703_7ed1_a0b4_28db));
        random.next();
        random
    }

    /// The next 64 bits.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Of `0..bound`; 0 when there is nothing to choose from.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// Both ends included.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// One of several.
    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(of.len() as u64)).unwrap_or(0))
    }

    /// So many characters of an alphabet.
    pub(super) fn text(&mut self, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..length).filter_map(|_| self.one(&letters).copied()).collect()
    }
}
