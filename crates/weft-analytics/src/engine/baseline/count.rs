//! Counts and sums that are not usual for an entity: median and median absolute deviation.
//!
//! Modified z-score of B. Iglewicz and D. Hoaglin, *How to Detect and Handle Outliers* (ASQC 1993):
//! distance from the median in units of 1.4826 MAD.

use serde::{Deserialize, Serialize};

use super::entity::EntityState;
use super::{Held, Mark, Memory, Verdict};
use crate::sigma::behaviour::{Behaviour, BehaviourKind};

/// Stretches that are remembered of an entity; a byte each.
const STRETCHES_MAX: i64 = 504;
/// Most weeks of long stretches.
const WEEKS_MAX: i64 = 26;
/// Least earlier weeks that say what is usual at an hour of the week.
const WEEKS_MIN: usize = 2;
/// Least other stretches that say what is usual.
const SAMPLES_MIN: usize = 6;
/// Events of the present stretch that are named as evidence.
const MARKS_MAX: usize = 3;
/// Makes the median absolute deviation comparable to a standard deviation.
const MAD_SCALE: f64 = 1.4826;
const WEEK_MS: i64 = 7 * 86_400_000;

/// The counts of one entity.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Present stretch and what it has so far, in thousandths.
    stretch: i64,
    count: i64,
    told: bool,
    first: Option<i64>,
    /// Weeks with events, oldest first: number, and the level of each stretch.
    weeks: Vec<(i32, Box<[u8]>)>,
    usual: Option<Usual>,
    pub(super) marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Usual {
    median: f32,
    mad: f32,
    samples: u32,
    season: Season,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Season {
    Same,
    Near,
    All,
}

/// Lengths that belong together.
#[derive(Clone, Copy)]
struct Scale {
    /// Stretches of a week.
    slots: i64,
    /// What one is, of a sum; sums are measured in thousandths of what would matter.
    unit: f64,
}

pub(super) fn judge(asked: &Behaviour, memory: &mut Memory, held: &Held) -> Option<Verdict> {
    let BehaviourKind::Deviation { every_ms, sum, season, score, least } = &asked.kind else { return None };
    let stretch = held.time.div_euclid(*every_ms);
    let scale = Scale { slots: (WEEK_MS / every_ms).max(1), unit: if sum.is_some() { (*least as f64 / 1e6).max(1.0) } else { 1.0 } };
    let learned = memory.learned(held.time, asked.learn_ms);
    let (mark, all) = (memory.mark(held), memory.known);
    let Some(EntityState::Counts(counts)) = memory.entities.get_mut(held.entity).map(|slot| &mut slot.state) else { return None };
    if counts.first.is_some() && stretch < counts.stretch {
        counts.add(stretch, held.number, scale);
        counts.usual = None;
        mark.release(&mut memory.pool);
        return None;
    }
    if stretch != counts.stretch || counts.first.is_none() {
        counts.turn(stretch, scale).into_iter().for_each(|mark| mark.release(&mut memory.pool));
    }
    counts.count = counts.count.saturating_add(held.number);
    counts.marks.push(mark);
    if counts.marks.len() > MARKS_MAX {
        counts.marks.remove(0).release(&mut memory.pool);
    }
    if counts.told || counts.count < *least || !learned {
        return None;
    }
    let usual = match counts.usual {
        Some(usual) => usual,
        None => counts.measure(stretch, scale, *season)?,
    };
    counts.usual = Some(usual);
    let (value, median, mad) = (counts.count as f64 / 1_000.0, f64::from(usual.median) * scale.unit, f64::from(usual.mad) * scale.unit);
    // A spread of nothing would make every change extreme.
    let spread = (MAD_SCALE * mad).max(0.1 * median).max(scale.unit);
    let reached = (value - median) / spread;
    if reached * 1_000.0 < *score as f64 {
        return None;
    }
    counts.told = true;
    let before = counts.marks.clone();
    let what = sum.as_deref().map_or_else(|| "events".to_owned(), |field| format!("sum of {field}"));
    let season = match usual.season {
        Season::Same => "the same hour of the week",
        Season::Near => "near hours of the week",
        Season::All => "all hours",
    };
    let words = vec![
        format!("{what}: {value} within {} min", every_ms / 60_000),
        format!("baseline: median {median:.1}, MAD {mad:.1}, n {} ({season})", usual.samples),
        format!("score: {reached:.1}, entity: {}, peers: {all}", super::shown(memory.entities.name(held.entity))),
    ];
    Some(Verdict { words, before })
}

impl Counts {
    /// A new stretch begins; the events of the old one are no evidence any more.
    fn turn(&mut self, stretch: i64, scale: Scale) -> Vec<Mark> {
        if self.first.is_some() {
            self.add(self.stretch, self.count, scale);
        }
        self.first = Some(self.first.map_or(stretch, |first| first.min(stretch)));
        (self.stretch, self.count, self.told, self.usual) = (stretch, 0, false, None);
        std::mem::take(&mut self.marks)
    }

    /// Adds to a stretch that is over, where its week is remembered.
    fn add(&mut self, stretch: i64, number: i64, scale: Scale) {
        let Ok(week) = i32::try_from(stretch.div_euclid(scale.slots)) else { return };
        if self.weeks.last().is_none_or(|(last, _)| *last < week) {
            let slots = usize::try_from(scale.slots).unwrap_or(1);
            self.weeks.push((week, vec![0; slots].into()));
            let weeks = (STRETCHES_MAX / scale.slots).clamp(1, WEEKS_MAX);
            if self.weeks.len() as i64 > weeks {
                self.weeks.remove(0);
            }
        }
        let slot = usize::try_from(stretch.rem_euclid(scale.slots)).unwrap_or(0);
        if let Some(level) = self.weeks.iter_mut().find(|(known, _)| *known == week).and_then(|(_, levels)| levels.get_mut(slot)) {
            *level = encode(decode(*level) + number as f64 / 1_000.0 / scale.unit);
        }
    }

    fn at(&self, stretch: i64, scale: Scale) -> f32 {
        let slot = usize::try_from(stretch.rem_euclid(scale.slots)).unwrap_or(0);
        let week = stretch.div_euclid(scale.slots);
        let levels = self.weeks.iter().find(|(known, _)| i64::from(*known) == week);
        levels.and_then(|(_, levels)| levels.get(slot)).map_or(0.0, |level| decode(*level) as f32)
    }

    /// What is usual at this stretch: the same hour of earlier weeks; with its neighbours while
    /// these are few; all stretches while even they are. Stretches without events count.
    fn measure(&self, stretch: i64, scale: Scale, season: bool) -> Option<Usual> {
        let oldest = self.first?.max(i64::from(self.weeks.first()?.0) * scale.slots);
        if season && scale.slots > 1 {
            let weeks = || (1..).map(|back| stretch - back * scale.slots).take_while(|at| *at >= oldest);
            let same: Vec<f32> = weeks().map(|at| self.at(at, scale)).collect();
            if same.len() >= WEEKS_MIN {
                return robust(same, Season::Same);
            }
            let near: Vec<f32> = weeks().flat_map(|at| at - 1..=at + 1).filter(|at| *at >= oldest).map(|at| self.at(at, scale)).collect();
            if near.len() >= SAMPLES_MIN {
                return robust(near, Season::Near);
            }
        }
        let all: Vec<f32> = (oldest..stretch).rev().take(STRETCHES_MAX as usize).map(|at| self.at(at, scale)).collect();
        if all.len() >= SAMPLES_MIN { robust(all, Season::All) } else { None }
    }
}

/// A level in a byte: eight steps for each doubling, so within 5 % up to four billion.
fn encode(value: f64) -> u8 {
    (8.0 * (1.0 + value.max(0.0)).log2()).round().min(255.0) as u8
}

fn decode(level: u8) -> f64 {
    (f64::from(level) / 8.0).exp2() - 1.0
}

fn robust(mut samples: Vec<f32>, season: Season) -> Option<Usual> {
    let count = u32::try_from(samples.len()).ok()?;
    let median = median(&mut samples)?;
    samples.iter_mut().for_each(|sample| *sample = (*sample - median).abs());
    Some(Usual { median, mad: self::median(&mut samples)?, samples: count, season })
}

/// The middle, or the mean of the two in the middle.
fn median(samples: &mut [f32]) -> Option<f32> {
    samples.sort_unstable_by(f32::total_cmp);
    let upper = *samples.get(samples.len() / 2)?;
    let lower = *samples.get(samples.len().checked_sub(1)? / 2)?;
    Some(f32::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_near_what_they_stand_for() {
        assert_eq!(decode(encode(0.0)), 0.0);
        for value in [1.0, 5.0, 100.0, 12_345.0, 4e9] {
            assert!((decode(encode(value)) / value - 1.0).abs() < 0.1, "{value}");
        }
    }
}
