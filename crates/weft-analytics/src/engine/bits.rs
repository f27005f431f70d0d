//! Which rows of a batch: a bitmap with the algebra that conditions need.

/// Rows, one bit each. An empty vector is no row at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// The first `rows` rows.
    pub(crate) fn all(rows: usize) -> Self {
        let mut words = vec![u64::MAX; rows.div_ceil(64)];
        if let (Some(last), over @ 1..) = (words.last_mut(), rows % 64) {
            *last = (1 << over) - 1;
        }
        Self { words }
    }

    /// One row.
    pub(crate) fn one(row: usize) -> Self {
        let mut bits = Self::default();
        bits.set(row);
        bits
    }

    pub(crate) fn set(&mut self, row: usize) {
        if self.words.len() <= row / 64 {
            self.words.resize(row / 64 + 1, 0);
        }
        if let Some(word) = self.words.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    pub(crate) fn has(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// No row, keeping the memory for further use.
    pub(crate) fn clear(&mut self) {
        self.words.clear();
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        Self { words: self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect() }
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut left = self.clone();
        left.remove(other);
        left
    }

    pub(crate) fn remove(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, gone)| *word &= !gone);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, more)| *word |= more);
    }

    /// The rows in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algebra() {
        let mut some = Bits::one(3);
        some.set(130);
        assert_eq!(some.rows().collect::<Vec<_>>(), [3, 130]);
        assert_eq!((Bits::all(131).count(), Bits::all(128).count(), Bits::all(0).count()), (131, 128, 0));
        assert_eq!(Bits::all(131).without(&some).count(), 129);
        assert_eq!(some.and(&Bits::all(100)).rows().collect::<Vec<_>>(), [3]);
        assert!(some.has(130) && !some.has(4) && !some.has(9_999) && Bits::default().is_empty());
        let mut joined = Bits::one(1);
        joined.add(&some);
        assert_eq!(joined.count(), 3);
    }
}
