//! The memory of one correlation: events per group, ordered by event time, bounded.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use weft_model::{Entity, Evidence};

use crate::sigma::correlation::{Correlation, CorrelationKind};

/// Most groups that one correlation remembers; the group that was quiet for the longest time is
/// evicted first.
pub const GROUPS_MAX: usize = 100_000;
/// Most events that one group remembers; the oldest go first.
pub const EVENTS_MAX: usize = 10_000;
/// Most events that a finding names as evidence.
pub const EVIDENCE_MAX: usize = 100;
/// How much later than newer events an event may arrive and still take part.
pub const LATENESS_MAX_MS: i64 = 5 * 60_000;

/// One event that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Event time in milliseconds.
    pub(crate) time: i64,
    /// Which of the correlation's rules it met.
    pub(crate) member: usize,
    /// The counted value, where values are counted.
    pub(crate) value: Option<String>,
    /// The event, or the events of a correlation below.
    pub(crate) evidence: Vec<Evidence>,
    /// What it is about.
    pub(crate) entities: Vec<Entity>,
}

/// The memory of one correlation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Newest event time so far.
    newest: i64,
    groups: BTreeMap<String, Group>,
    /// Groups by their newest event, to find the quiet ones.
    #[serde(skip)]
    quiet: BTreeSet<(i64, String)>,
    /// Groups and events forgotten because there was no room.
    pub(crate) evicted: u64,
    /// Events that came too late to take part.
    pub(crate) late: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    /// Ordered by time, then member, then evidence.
    events: Vec<Seen>,
}

impl Window {
    /// Builds the index again that is not saved.
    pub(crate) fn reindex(&mut self) {
        self.quiet = self.groups.iter().filter_map(|(key, group)| Some((group.newest()?, key.clone()))).collect();
    }

    /// Takes an event in; returns the events that complete the correlation, which are then
    /// consumed.
    pub(crate) fn take(&mut self, of: &Correlation, key: &str, seen: Seen) -> Option<Vec<Seen>> {
        self.newest = self.newest.max(seen.time);
        let horizon = self.newest.saturating_sub(of.timespan_ms).saturating_sub(LATENESS_MAX_MS);
        self.forget(horizon);
        if seen.time < horizon {
            self.late = self.late.saturating_add(1);
            return None;
        }
        let mut group = self.groups.remove(key).unwrap_or_default();
        if let Some(newest) = group.newest() {
            self.quiet.remove(&(newest, key.to_owned()));
        }
        let complete = group.add(of, seen, &mut self.evicted);
        if let Some(newest) = group.newest() {
            self.quiet.insert((newest, key.to_owned()));
            self.groups.insert(key.to_owned(), group);
        }
        complete
    }

    fn forget(&mut self, horizon: i64) {
        while self.quiet.first().is_some_and(|(newest, _)| *newest < horizon) {
            if let Some((_, key)) = self.quiet.pop_first() {
                self.groups.remove(&key);
            }
        }
        while self.groups.len() >= GROUPS_MAX {
            let Some((_, key)) = self.quiet.pop_first() else { break };
            self.groups.remove(&key);
            self.evicted = self.evicted.saturating_add(1);
        }
    }
}

impl Group {
    fn newest(&self) -> Option<i64> {
        self.events.last().map(|event| event.time)
    }

    fn add(&mut self, of: &Correlation, seen: Seen, evicted: &mut u64) -> Option<Vec<Seen>> {
        let order = |event: &Seen| (event.time, event.member, event.evidence.first().map(|first| first.uid.clone()));
        let mine = order(&seen);
        let at = self.events.partition_point(|event| order(event) < mine);
        if self.events.get(at).is_some_and(|event| order(event) == mine) {
            return None; // The same event again: at-least-once delivery must not count twice.
        }
        self.events.insert(at, seen);
        if self.events.len() > EVENTS_MAX {
            self.events.remove(0);
            *evicted = evicted.saturating_add(1);
        }
        let complete = self.complete(of)?;
        let mut index = 0;
        let mut taken = Vec::with_capacity(complete.len());
        self.events.retain(|event| {
            let take = complete.contains(&index);
            index += 1;
            if take {
                taken.push(event.clone());
            }
            !take
        });
        Some(taken)
    }

    /// Indices of the events that complete the correlation, where there are.
    fn complete(&self, of: &Correlation) -> Option<BTreeSet<usize>> {
        let mut from = 0;
        for (to, last) in self.events.iter().enumerate() {
            while self.events.get(from).is_some_and(|first| last.time - first.time > of.timespan_ms) {
                from += 1;
            }
            let window = self.events.get(from..=to)?;
            let found = match &of.kind {
                CorrelationKind::EventCount(least) => window.len() >= least.0,
                CorrelationKind::ValueCount(least, _) => {
                    window.len() >= least.0 && window.iter().filter_map(|event| event.value.as_deref()).collect::<BTreeSet<_>>().len() >= least.0
                }
                CorrelationKind::Temporal => (0..of.rules.len()).all(|member| window.iter().any(|event| event.member == member)),
                CorrelationKind::TemporalOrdered => ordered(window, of.rules.len()).is_some(),
            };
            if found {
                let chosen = if of.kind == CorrelationKind::TemporalOrdered { ordered(window, of.rules.len())? } else { (0..window.len()).collect() };
                return Some(chosen.into_iter().map(|index| from + index).collect());
            }
        }
        None
    }
}

/// The first events that meet the rules in order; equal times count as in order, because many
/// tools write whole seconds.
fn ordered(window: &[Seen], members: usize) -> Option<Vec<usize>> {
    let mut chosen: Vec<usize> = Vec::with_capacity(members);
    let mut after = i64::MIN;
    for member in 0..members {
        let (index, event) = window.iter().enumerate().find(|(index, event)| event.member == member && event.time >= after && !chosen.contains(index))?;
        after = event.time;
        chosen.push(index);
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigma::correlation::Threshold;

    fn correlation(kind: CorrelationKind, rules: usize) -> Correlation {
        let rules = (0..rules).map(|n| n.to_string()).collect();
        Correlation { kind, rules, group_by: Vec::new(), timespan_ms: 1_000, aliases: Vec::new(), generate: false }
    }

    fn seen(time: i64, member: usize) -> Seen {
        let evidence = vec![Evidence { uid: format!("{time}/{member}"), class: weft_model::ClassUid(3002), time: weft_model::Timestamp(time) }];
        Seen { time, member, value: Some((time % 3).to_string()), evidence, entities: Vec::new() }
    }

    fn fired(of: &Correlation, events: &[Seen]) -> Vec<Vec<i64>> {
        let mut window = Window::default();
        events.iter().filter_map(|event| window.take(of, "g", event.clone())).map(|events| events.iter().map(|event| event.time).collect()).collect()
    }

    #[test]
    fn counts_within_the_time_span_in_any_order_of_arrival() {
        let three = correlation(CorrelationKind::EventCount(Threshold(3)), 1);
        assert_eq!(fired(&three, &[seen(0, 0), seen(500, 0), seen(1_000, 0)]), [[0, 500, 1_000]]);
        assert_eq!(fired(&three, &[seen(1_000, 0), seen(0, 0), seen(500, 0)]), [[0, 500, 1_000]]);
        assert!(fired(&three, &[seen(0, 0), seen(500, 0), seen(1_001, 0)]).is_empty());
        assert!(fired(&three, &[seen(0, 0), seen(0, 0), seen(0, 0)]).is_empty(), "one event delivered three times");
    }

    #[test]
    fn order_counts_only_where_asked() {
        assert_eq!(fired(&correlation(CorrelationKind::TemporalOrdered, 2), &[seen(0, 0), seen(9, 1)]), [[0, 9]]);
        assert!(fired(&correlation(CorrelationKind::TemporalOrdered, 2), &[seen(0, 1), seen(9, 0)]).is_empty());
        assert_eq!(fired(&correlation(CorrelationKind::Temporal, 2), &[seen(0, 1), seen(9, 0)]), [[0, 9]]);
        assert_eq!(fired(&correlation(CorrelationKind::ValueCount(Threshold(3), "f".into()), 1), &[seen(0, 0), seen(3, 0), seen(1, 0), seen(2, 0)]).len(), 1);
    }

    #[test]
    fn memory_is_bounded_and_late_events_are_counted() {
        let of = correlation(CorrelationKind::EventCount(Threshold(2)), 1);
        let mut window = Window::default();
        for group in 0..GROUPS_MAX + 10 {
            window.take(&of, &group.to_string(), seen(0, 0));
        }
        assert!(window.groups.len() <= GROUPS_MAX && window.evicted > 0);
        window.take(&of, "late", seen(10 * LATENESS_MAX_MS, 0));
        assert_eq!(window.groups.len(), 1, "quiet groups are forgotten");
        window.take(&of, "late", seen(0, 0));
        assert_eq!(window.late, 1);
    }
}
