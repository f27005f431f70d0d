//! What was seen before: values per entity, on event time, bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most (entity, value) pairs that one rule remembers; about 200 bytes each.
pub const PAIRS_MAX: usize = 200_000;

/// The memory of one first-seen rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Time of the first event of the logsource.
    pub(crate) since: Option<i64>,
    /// Entity and value, joined by a unit separator, to the last time.
    pub(crate) seen: BTreeMap<String, i64>,
    /// Pairs forgotten because there was no room.
    pub(crate) evicted: u64,
}

impl Memory {
    /// Notes that the logsource was alive at `time`: history counts from its first event.
    pub(crate) fn alive(&mut self, time: i64) {
        self.since = Some(self.since.map_or(time, |since| since.min(time)));
    }

    /// Notes the pair, and says whether it is new after enough history.
    pub(crate) fn is_new(&mut self, entity: &[String], value: &str, time: i64, learn_ms: i64) -> bool {
        let mut key = entity.join("\u{1f}");
        key.push('\u{1f}');
        key.push_str(value);
        let learned = self.since.is_some_and(|since| time.saturating_sub(since) >= learn_ms);
        let before = self.seen.get(&key).copied();
        let last = before.map_or(time, |last| last.max(time));
        self.seen.insert(key, last);
        self.evict();
        learned && before.is_none_or(|before| before < time.saturating_sub(learn_ms))
    }

    /// Declared eviction: the tenth that was not seen for the longest time goes.
    fn evict(&mut self) {
        if self.seen.len() <= PAIRS_MAX {
            return;
        }
        let mut times: Vec<i64> = self.seen.values().copied().collect();
        let (_, limit, _) = times.select_nth_unstable(PAIRS_MAX / 10);
        let limit = *limit;
        let before = self.seen.len();
        self.seen.retain(|_, last| *last > limit);
        self.evicted = self.evicted.saturating_add((before - self.seen.len()) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn speaks_after_learning_and_only_for_what_is_new() {
        let mut memory = Memory::default();
        let ada = ["ada".to_owned()];
        memory.alive(0);
        assert!(!memory.is_new(&ada, "x", DAY, 14 * DAY), "still learning");
        assert!(!memory.is_new(&ada, "x", 14 * DAY, 14 * DAY), "seen before");
        assert!(memory.is_new(&ada, "y", 14 * DAY, 14 * DAY));
        assert!(memory.is_new(&["bob".to_owned()], "x", 15 * DAY, 14 * DAY));
        assert!(memory.is_new(&ada, "x", 40 * DAY, 14 * DAY), "forgotten after the look-back");
    }
}
