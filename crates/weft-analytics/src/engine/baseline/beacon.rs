//! Contacts at regular intervals.
//!
//! Relative median absolute deviation and Bowley's skewness of the intervals, as in RITA
//! (<https://github.com/activecm/rita>, beacon scoring); quartiles by nearest rank.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::entity::EntityState;
use super::{Held, Mark, Memory, Verdict, digest, shown};
use crate::sigma::behaviour::{Behaviour, BehaviourKind};

/// Contacts that are nearer than this are one.
const BURST_MS: i64 = 1_000;
/// Largest skewness of the intervals: a machine waits as often too long as too short.
const SKEW_MAX: f64 = 0.5;

/// The last contacts of a pair.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Contacts {
    times: VecDeque<i64>,
    pub(super) first: Option<Mark>,
    told: Option<i64>,
}

pub(super) fn judge(asked: &Behaviour, memory: &mut Memory, held: &Held) -> Option<Verdict> {
    let BehaviourKind::Beacon { count, jitter, least_ms, most_ms, sources, .. } = asked.kind else { return None };
    let to = digest(&["to", memory.pool.text(held.value)]);
    let mark = memory.mark(held);
    let Some(EntityState::Contacts(contacts)) = memory.entities.get_mut(held.entity).map(|slot| &mut slot.state) else { return None };
    if contacts.first.is_none() {
        let known = memory.counts.entry(to).or_default();
        *known = known.saturating_add(1);
    }
    let near = contacts.times.back().is_some_and(|last| held.time.saturating_sub(*last) < BURST_MS);
    if near || contacts.first.is_some() {
        mark.release(&mut memory.pool);
    } else {
        contacts.first = Some(mark);
    }
    if near {
        return None;
    }
    contacts.times.push_back(held.time);
    if contacts.times.len() > count {
        contacts.times.pop_front();
    }
    let intervals: Vec<i64> = contacts.times.iter().zip(contacts.times.iter().skip(1)).map(|(a, b)| b - a).collect();
    if contacts.times.len() < count || contacts.told.is_some_and(|told| held.time.saturating_sub(told) < asked.learn_ms) {
        return None;
    }
    let [q1, median, q3] = quartiles(intervals.clone())?;
    let mad = quartiles(intervals.iter().map(|interval| (interval - median).abs()).collect())?[1];
    let spread = mad as f64 / median.max(1) as f64;
    let skew = if q3 == q1 { 0.0 } else { ((q1 + q3 - 2 * median) as f64 / (q3 - q1) as f64).abs() };
    let shared = memory.counts.get(&to).copied().unwrap_or(0) as usize;
    if spread * 1_000.0 > jitter as f64 || skew > SKEW_MAX || !(least_ms..=most_ms).contains(&median) || shared > sources {
        return None;
    }
    contacts.told = Some(held.time);
    let before = contacts.first.iter().cloned().collect();
    let words = vec![
        format!("beacon: {} every {:.0} s", shown(memory.entities.name(held.entity)), median as f64 / 1_000.0),
        format!("measured: n {}, MAD {:.1} s, spread {spread:.3}, skewness {skew:.2}, score {:.2}", intervals.len(), mad as f64 / 1_000.0, 1.0 - spread),
        format!("peers: {shared} sources have this destination"),
    ];
    Some(Verdict { words, before })
}

/// First quartile, median, third quartile by nearest rank.
fn quartiles(mut values: Vec<i64>) -> Option<[i64; 3]> {
    values.sort_unstable();
    let at = |quarter: usize| values.get((values.len() * quarter).div_ceil(4).checked_sub(1)?).copied();
    Some([at(1)?, at(2)?, at(3)?])
}
