//! What is measured of a window, kept up event by event where that is possible.

use hashbrown::HashMap;

use super::item::Item;
use crate::sigma::condition::Condition;
use crate::sigma::correlation::{Correlation, Measure};

/// A measure that follows a sliding window: what enters is added, what leaves is taken away.
#[derive(Debug, Clone)]
pub(crate) enum Running {
    /// Number of events, which the window itself knows.
    Count,
    /// How often each value is in the window.
    Values(HashMap<i64, u32>),
    /// Sum in thousandths, exact in any order.
    Sum(i128),
    /// How often each rule is in the window, and how many different ones are.
    Members(Vec<u32>, u64),
    /// By rule of the chain, the latest beginning of a chain up to it.
    Chain(Vec<i64>),
}

impl Running {
    pub(crate) fn new(of: &Correlation) -> Self {
        match &of.measure {
            Measure::ValueCount(_) => Self::Values(HashMap::new()),
            Measure::Sum(_) => Self::Sum(0),
            Measure::Temporal => Self::Members(vec![0; of.rules.len()], 0),
            Measure::TemporalOrdered => Self::Chain(vec![i64::MIN; chain(of).len()]),
            Measure::EventCount | Measure::Average(_) | Measure::Percentile(..) => Self::Count,
        }
    }

    pub(crate) fn add(&mut self, item: &Item, chain: &[u32], oldest: i64) {
        match self {
            Self::Count => {}
            Self::Values(values) => *values.entry(item.value).or_default() += 1,
            // What is negative would make the sum end what it began; it counts as nothing.
            Self::Sum(sum) => *sum += i128::from(item.value.max(0)),
            Self::Members(counts, met) => {
                if let Some(count) = counts.get_mut(item.member as usize) {
                    *count += 1;
                    *met |= 1 << item.member.min(63);
                }
            }
            Self::Chain(begins) => {
                let Some(place) = chain.iter().position(|member| *member == item.member) else { return };
                let begin = match place.checked_sub(1) {
                    None => item.time,
                    Some(before) => begins.get(before).copied().filter(|begin| *begin >= oldest).unwrap_or(i64::MIN),
                };
                if let Some(slot) = begins.get_mut(place) {
                    *slot = begin.max(*slot);
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, item: &Item) {
        match self {
            Self::Count | Self::Chain(_) => {}
            Self::Values(values) => {
                if let Some(count) = values.get_mut(&item.value) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(&item.value);
                    }
                }
            }
            Self::Sum(sum) => *sum -= i128::from(item.value.max(0)),
            Self::Members(counts, met) => {
                if let Some(count) = counts.get_mut(item.member as usize) {
                    *count -= 1;
                    if *count == 0 {
                        *met &= !(1 << item.member.min(63));
                    }
                }
            }
        }
    }

    /// Whether the window of `events` that ends with `last` holds.
    pub(crate) fn holds(&self, of: &Correlation, events: usize, last: &Item, chain: &[u32], oldest: i64) -> bool {
        let thousandths = match self {
            Self::Count => events as i128 * 1_000,
            Self::Values(values) => values.len() as i128 * 1_000,
            Self::Sum(sum) => *sum,
            Self::Members(_, met) => match &of.condition {
                Some(condition) => return meets(condition, &|member| met & (1 << member) != 0),
                None => i128::from(met.count_ones()) * 1_000,
            },
            Self::Chain(begins) => return chain.last() == Some(&last.member) && begins.last().is_some_and(|begin| *begin >= oldest),
        };
        of.bounds.iter().all(|bound| bound.holds(thousandths))
    }
}

/// A closed window as a whole, in thousandths.
pub(crate) fn whole<'a>(of: &Correlation, items: impl Iterator<Item = &'a Item> + Clone) -> Option<i128> {
    let count = items.clone().count();
    Some(match &of.measure {
        Measure::EventCount => count as i128 * 1_000,
        Measure::ValueCount(_) => items.map(|item| item.value).collect::<hashbrown::HashSet<_>>().len() as i128 * 1_000,
        Measure::Temporal | Measure::TemporalOrdered => items.map(|item| item.member).collect::<hashbrown::HashSet<_>>().len() as i128 * 1_000,
        Measure::Sum(_) => items.map(|item| i128::from(item.value)).sum(),
        Measure::Average(_) => items.map(|item| i128::from(item.value)).sum::<i128>().checked_div(count as i128)?,
        Measure::Percentile(_, percent) => {
            let mut values: Vec<i64> = items.map(|item| item.value).collect();
            // Nearest rank: the smallest value such that so many percent are not larger.
            let rank = (count * usize::from(*percent)).div_ceil(100).checked_sub(1)?;
            i128::from(*values.select_nth_unstable(rank.min(count - 1)).1)
        }
    })
}

/// The rules that must be met, in order; those after `not` are not among them.
pub(crate) fn chain(of: &Correlation) -> Vec<u32> {
    let mut members: Vec<u32> = match &of.condition {
        Some(condition) => affirmed(condition),
        None => (0..of.rules.len()).filter_map(|member| u32::try_from(member).ok()).collect(),
    };
    members.sort_unstable();
    members.dedup();
    members
}

fn affirmed(condition: &Condition) -> Vec<u32> {
    match condition {
        Condition::Selection(member) => u32::try_from(*member).into_iter().collect(),
        Condition::And(parts) | Condition::Or(parts) | Condition::AtLeast(_, parts) => parts.iter().flat_map(affirmed).collect(),
        Condition::Not(_) => Vec::new(),
    }
}

/// The rules after a `not`.
pub(crate) fn denied(of: &Correlation) -> Vec<u32> {
    fn walk(condition: &Condition, under_not: bool, found: &mut Vec<u32>) {
        match condition {
            Condition::Selection(member) => found.extend(u32::try_from(*member).ok().filter(|_| under_not)),
            Condition::And(parts) | Condition::Or(parts) | Condition::AtLeast(_, parts) => parts.iter().for_each(|part| walk(part, under_not, found)),
            Condition::Not(part) => walk(part, !under_not, found),
        }
    }
    let mut found = Vec::new();
    of.condition.iter().for_each(|condition| walk(condition, false, &mut found));
    found
}

/// A condition over rules.
pub(crate) fn meets(condition: &Condition, met: &dyn Fn(usize) -> bool) -> bool {
    match condition {
        Condition::Selection(member) => met(*member),
        Condition::And(parts) => parts.iter().all(|part| meets(part, met)),
        Condition::Or(parts) => parts.iter().any(|part| meets(part, met)),
        Condition::AtLeast(least, parts) => parts.iter().filter(|part| meets(part, met)).count() >= *least,
        Condition::Not(part) => !meets(part, met),
    }
}
