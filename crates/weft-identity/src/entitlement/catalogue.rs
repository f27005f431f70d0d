//! Every action that a provider knows, so that patterns of actions become sets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pattern::like;

/// Actions by number; numbers follow the alphabet.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// `service:Action` as the provider writes it.
    written: Vec<String>,
    /// The same in lower case, sorted, with the number.
    sorted: Vec<(String, u32)>,
}

impl Catalogue {
    /// Of actions such as `storage:GetObject`.
    pub fn new(actions: impl IntoIterator<Item = String>) -> Self {
        let by_name: BTreeMap<String, String> = actions.into_iter().map(|action| (action.to_ascii_lowercase(), action)).collect();
        let written = by_name.values().cloned().collect();
        let sorted = by_name.into_keys().zip(0..).collect();
        Self { written, sorted }
    }

    /// Number of actions.
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// The number of an action, written in any case.
    pub fn number(&self, action: &str) -> Option<u32> {
        let action = action.to_ascii_lowercase();
        let at = self.sorted.binary_search_by(|(name, _)| name.as_str().cmp(&action)).ok()?;
        self.sorted.get(at).map(|(_, number)| *number)
    }

    /// The action of a number, as the provider writes it.
    pub fn action(&self, number: u32) -> Option<&str> {
        self.written.get(number as usize).map(String::as_str)
    }

    /// Actions that fit a pattern (in lower case).
    pub fn matching<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = u32> + 'a {
        let fixed = pattern.split(['*', '?']).next().unwrap_or_default();
        let from = self.sorted.partition_point(|(name, _)| name.as_str() < fixed);
        let rest = self.sorted.iter().skip(from).take_while(move |(name, _)| name.starts_with(fixed));
        rest.filter(move |(name, _)| like(pattern.as_bytes(), name.as_bytes())).map(|(_, number)| *number)
    }
}

/// A set of numbered actions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits(Arc<[u64]>);

impl Bits {
    /// Of `numbers`, each below `size`; all others when negated.
    pub fn of(numbers: impl IntoIterator<Item = u32>, size: usize, negated: bool) -> Self {
        let mut words = vec![if negated { u64::MAX } else { 0 }; size.div_ceil(64)];
        for number in numbers {
            if let Some(word) = words.get_mut(number as usize / 64) {
                let bit = 1 << (number % 64);
                *word = if negated { *word & !bit } else { *word | bit };
            }
        }
        Self(words.into())
    }

    /// The set without an action.
    #[must_use]
    pub fn without(&self, number: u32) -> Self {
        let clear = |(place, word): (usize, &u64)| if place == number as usize / 64 { word & !(1 << (number % 64)) } else { *word };
        Self(self.0.iter().enumerate().map(clear).collect())
    }

    /// What is in both; of the same size.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(other.0.iter()).map(|(one, other)| one & other).collect())
    }

    /// The actions of the set, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        let places = (0_u32..).step_by(64).zip(self.0.iter());
        places.filter(|(_, word)| **word != 0).flat_map(|(from, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| from + bit))
    }

    /// Whether the set has this action.
    pub fn has(&self, number: u32) -> bool {
        self.0.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_sets() {
        let catalogue = Catalogue::new(["s3:GetObject", "s3:GetBucketAcl", "iam:GetRole", "s3:PutObject"].map(str::to_owned));
        let names = |pattern: &str| catalogue.matching(pattern).filter_map(|number| catalogue.action(number)).collect::<Vec<_>>();
        assert_eq!(names("s3:get*"), ["s3:GetBucketAcl", "s3:GetObject"]);
        assert_eq!(names("*:get*"), ["iam:GetRole", "s3:GetBucketAcl", "s3:GetObject"]);
        assert_eq!(names("s3:putobject"), ["s3:PutObject"]);
        let number = catalogue.number("S3:GETOBJECT").unwrap();
        let all_but = Bits::of(catalogue.matching("s3:get*"), catalogue.len(), true);
        assert!(!all_but.has(number) && all_but.has(catalogue.number("iam:getrole").unwrap()));
    }
}
