//! Our own score.
//!
//! A finding of severity *s* against an entity of criticality *c* weighs
//! `w(s) · weight(c) · 2^-(age / half-life) · 2^-k`, where *k* counts the findings of the same analytic
//! that weigh more: a rule that fires a thousand times says at most twice what it says once. The
//! weights *S* of all findings come to `100 · (1 - e^(-S/100))`: risk adds up, and stays below 100.

use std::collections::HashMap;

use weft_model::Timestamp;

use super::{Point, Scored, level, split};
use crate::entity::Criticality;

/// After this time a finding weighs half: a week, so that the last month is remembered.
pub const HALF_LIFE_MS: i64 = 7 * Timestamp::DAY_MS;
/// From which score on a level is reached: low, medium, high, critical. One high finding (45) is a
/// medium risk, two of different analytics (70) a high one, a critical and a high one (80) a critical one.
const LEVELS: [f64; 4] = [10.0, 30.0, 55.0, 75.0];

fn weight(severity_id: i64) -> f64 {
    match severity_id {
        5 | 6 => 100.0,
        4 => 60.0,
        3 => 30.0,
        2 => 10.0,
        _ => 1.0,
    }
}

pub(super) fn score(points: &[Point], criticality: Criticality, now: Timestamp) -> Scored {
    let decayed = |point: &Point| {
        // A finding ahead of the instant is as if it were now.
        let age = now.0.saturating_sub(point.time.0).max(0) as f64;
        weight(point.severity_id) * criticality.weight() * (-age / HALF_LIFE_MS as f64).exp2()
    };
    let mut weights: Vec<f64> = points.iter().map(decayed).collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| {
        let of = |at: usize| weights.get(at).copied().unwrap_or(0.0);
        of(*b).total_cmp(&of(*a)).then_with(|| points.get(*a).cmp(&points.get(*b)))
    });
    let mut repeats: HashMap<&str, i32> = HashMap::new();
    for at in order {
        let (Some(point), Some(weight)) = (points.get(at), weights.get_mut(at)) else { continue };
        let repeat = repeats.entry(point.analytic.as_str()).or_default();
        *weight *= 0.5_f64.powi(*repeat);
        *repeat += 1;
    }
    let score = 100.0 * (1.0 - (-weights.iter().sum::<f64>() / 100.0).exp());
    Scored { level_id: level(score, LEVELS), parts: split(score, &weights), score, exceeded: Vec::new() }
}
