//! Counts by source, and their last minute.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weft_model::{SourceId, StreamId, Timestamp};

/// Seconds that are remembered.
const WINDOW_SECONDS: i64 = 60;
/// Sources that are counted one by one; further ones are counted together.
const SOURCES_MAX: usize = 10_000;
/// Name under which the rest is counted.
const OTHERS: &str = "others";

/// What is known of a source since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceStat {
    /// Stream of its records, as it was last.
    pub stream: String,
    /// Raw records taken.
    pub read: u64,
    /// Of them, known already.
    pub duplicates: u64,
    /// Events made of them.
    pub mapped: u64,
    /// Rejects made of them.
    pub rejected: u64,
    /// When the last came.
    pub last: Option<Timestamp>,
    /// Second, records, bytes; oldest first.
    recent: VecDeque<(i64, u64, u64)>,
}

/// How a source that is polled is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poll {
    /// Stream of its records.
    pub stream: String,
    /// When a poll succeeded last.
    pub success: Option<Timestamp>,
    /// The newest record that it gave.
    pub newest: Option<Timestamp>,
    /// Why the last poll failed, if it did.
    pub error: Option<String>,
    /// Failed polls in a row.
    pub faults: u32,
    /// When it is polled next.
    pub next: Option<Timestamp>,
}

impl SourceStat {
    /// Of a source that gave nothing yet.
    pub fn silent(stream: &str) -> Self {
        Self { stream: stream.to_owned(), ..Self::default() }
    }

    /// Records and bytes a second over the last minute.
    pub fn rates(&self, now: Timestamp) -> (f64, f64) {
        let since = now.0 / 1000 - WINDOW_SECONDS;
        let (records, bytes) =
            self.recent.iter().filter(|(second, ..)| *second > since).fold((0, 0), |sum, (_, records, bytes)| (sum.0 + records, sum.1 + bytes));
        let window = WINDOW_SECONDS as f64;
        (records as f64 / window, bytes as f64 / window)
    }

    /// Records of each second of the last minute, oldest first.
    pub fn curve(&self, now: Timestamp) -> Vec<f64> {
        let second = now.0 / 1000;
        let at = |wanted: i64| self.recent.iter().find(|(second, ..)| *second == wanted).map_or(0.0, |(_, records, _)| *records as f64);
        (second - WINDOW_SECONDS + 1..=second).map(at).collect()
    }
}

/// All sources.
#[derive(Debug, Default)]
pub struct Stats {
    sources: Mutex<BTreeMap<SourceId, SourceStat>>,
    polls: Mutex<BTreeMap<SourceId, Poll>>,
}

impl Stats {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SourceId, SourceStat>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, source: &SourceId, change: impl FnOnce(&mut SourceStat)) {
        let mut sources = self.lock();
        let known = sources.len() < SOURCES_MAX || sources.contains_key(source);
        let name = if known { source.clone() } else { OTHERS.into() };
        change(sources.entry(name).or_default());
    }

    /// Records were taken.
    pub fn read(&self, source: &SourceId, stream: &StreamId, records: u64, bytes: u64, duplicates: u64, received: Timestamp) {
        self.with(source, |stat| {
            if stat.stream != *stream.0 {
                stat.stream = stream.to_string();
            }
            stat.read += records;
            stat.duplicates += duplicates;
            stat.last = Some(received);
            let second = received.0 / 1000;
            match stat.recent.back_mut() {
                Some(last) if last.0 == second => {
                    last.1 += records;
                    last.2 += bytes;
                }
                _ => stat.recent.push_back((second, records, bytes)),
            }
            while stat.recent.front().is_some_and(|(first, ..)| *first <= second - WINDOW_SECONDS) {
                stat.recent.pop_front();
            }
        });
    }

    /// Records were mapped.
    pub fn mapped(&self, source: &SourceId, events: u64, rejects: u64) {
        self.with(source, |stat| {
            stat.mapped += events;
            stat.rejected += rejects;
        });
    }

    /// A source was polled.
    pub fn polled(&self, source: &SourceId, poll: &Poll) {
        self.polls.lock().unwrap_or_else(PoisonError::into_inner).insert(source.clone(), poll.clone());
    }

    /// Every source that is polled.
    pub fn polls(&self) -> BTreeMap<SourceId, Poll> {
        self.polls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every source with its counts.
    pub fn all(&self) -> Vec<(SourceId, SourceStat)> {
        self.lock().iter().map(|(source, stat)| (source.clone(), stat.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_minute() {
        let stats = Stats::default();
        let (source, stream) = (SourceId::from("s"), StreamId::from("a/b"));
        for second in 0..100 {
            stats.read(&source, &stream, 6, 60, 0, Timestamp(second * 1000));
        }
        stats.mapped(&source, 599, 1);
        let all = stats.all();
        let (_, stat) = &all[0];
        assert_eq!((stat.read, stat.mapped, stat.rejected), (600, 599, 1));
        assert_eq!(stat.rates(Timestamp(99_999)), (6.0, 60.0));
        assert_eq!(stat.rates(Timestamp(159_999)), (0.0, 0.0));
        assert_eq!(stat.curve(Timestamp(99_000)).iter().sum::<f64>(), 360.0);
    }
}
