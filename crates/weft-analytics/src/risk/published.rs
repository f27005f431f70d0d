//! Two published ways to count, reproduced to the figure.

use std::collections::BTreeSet;

use weft_model::Timestamp;

use super::{Point, Scored, level, split};
use crate::entity::Criticality;

/// Exponent by which an alert counts less with its rank.
const RANK_EXPONENT: f64 = 1.5;
/// Riemann's zeta function at 1.5: what infinitely many alerts of score 1 would come to.
const ZETA: f64 = 2.612_375_348_685_488;
/// Most alerts of one entity that count.
const ALERTS_MAX: usize = 10_000;
/// From which score on a level is reached: low, moderate, high, critical.
const RANKED_LEVELS: [f64; 4] = [20.0, 40.0, 70.0, 90.0];
/// Sum of a day beyond which an entity is notable.
const DAY_SUM: f64 = 100.0;
/// Tactics of a week from which on it is.
const WEEK_TACTICS: usize = 3;
/// Analytics of a week from which on it is, together with the tactics.
const WEEK_SOURCES: usize = 4;
const DAY_MS: i64 = Timestamp::DAY_MS;

/// Entity risk by rank: alert scores (0 to 100) in descending order, the *i*-th divided by `i^1.5`,
/// summed, normalised by `zeta(1.5)`, then moved by criticality.
///
/// <https://www.elastic.co/docs/solutions/security/advanced-entity-analytics/entity-risk-scoring>
pub fn elastic(scores: &[f64], criticality: Criticality) -> f64 {
    let mut sorted: Vec<f64> = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    // An empty sum is -0.
    bayes((0.0 + ranked(&sorted).iter().sum::<f64>()) / ZETA, criticality)
}

/// What each of the scores, in descending order, weighs by its rank.
fn ranked(sorted: &[f64]) -> Vec<f64> {
    sorted.iter().zip(1_u32..).take(ALERTS_MAX).map(|(score, rank)| score / f64::from(rank).powf(RANK_EXPONENT)).collect()
}

/// A score as the odds that the entity is at risk, multiplied by the weight of its criticality (0.5, 1,
/// 1.5, 2) as by evidence in Bayes' rule.
fn bayes(score: f64, criticality: Criticality) -> f64 {
    let prior = (score / 100.0).clamp(0.0, 1.0);
    if prior >= 1.0 {
        return 100.0;
    }
    let odds = prior / (1.0 - prior) * criticality.weight();
    100.0 * odds / (1.0 + odds)
}

/// Default risk score of an alert of a severity.
fn alert_score(severity_id: i64) -> f64 {
    match severity_id {
        5 | 6 => 99.0,
        4 => 73.0,
        3 => 47.0,
        _ => 21.0,
    }
}

pub(super) fn elastic_of(points: &[Point], criticality: Criticality) -> Scored {
    let scores: Vec<f64> = points.iter().map(|point| alert_score(point.severity_id)).collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| {
        let of = |at: usize| scores.get(at).copied().unwrap_or(0.0);
        of(*b).total_cmp(&of(*a)).then_with(|| points.get(*a).cmp(&points.get(*b)))
    });
    let sorted: Vec<f64> = order.iter().filter_map(|at| scores.get(*at).copied()).collect();
    let mut weights = vec![0.0; points.len()];
    for (at, weight) in order.iter().zip(ranked(&sorted)) {
        weights.get_mut(*at).into_iter().for_each(|slot| *slot = weight);
    }
    let score = elastic(&scores, criticality);
    Scored { level_id: level(score, RANKED_LEVELS), parts: split(score, &weights), score, exceeded: Vec::new() }
}

/// What risk-based alerting says of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskBased {
    /// Sum of the risk scores of the last 24 hours.
    pub day_sum: f64,
    /// ATT&CK tactics of the last seven days.
    pub week_tactics: usize,
    /// Analytics of the last seven days.
    pub week_sources: usize,
}

impl RiskBased {
    /// Risk over 100 in 24 hours.
    pub fn day_exceeded(&self) -> bool {
        self.day_sum > DAY_SUM
    }

    /// At least 3 tactics and 4 sources in seven days.
    pub fn week_exceeded(&self) -> bool {
        self.week_tactics >= WEEK_TACTICS && self.week_sources >= WEEK_SOURCES
    }
}

/// One risk event: time, risk score, analytic, tactics.
pub type RiskEvent<'e> = (Timestamp, f64, &'e str, &'e [String]);

/// Risk-based alerting: "risk threshold exceeded for object over 24 hour period" and "ATT&CK tactic
/// threshold exceeded for object over previous 7 days".
///
/// <https://help.splunk.com/en/splunk-enterprise-security-7/risk-based-alerting>
pub fn splunk<'e>(events: impl IntoIterator<Item = RiskEvent<'e>>, now: Timestamp) -> RiskBased {
    let (mut day_sum, mut tactics, mut sources) = (0.0, BTreeSet::new(), BTreeSet::new());
    for (time, score, analytic, of) in events {
        let age = now.0.saturating_sub(time.0);
        if (0..DAY_MS).contains(&age) {
            day_sum += score;
        }
        if (0..7 * DAY_MS).contains(&age) {
            sources.insert(analytic);
            tactics.extend(of);
        }
    }
    RiskBased { day_sum, week_tactics: tactics.len(), week_sources: sources.len() }
}

/// Risk score of a finding of a severity.
fn risk_score(severity_id: i64) -> f64 {
    match severity_id {
        6 => 100.0,
        5 => 80.0,
        4 => 60.0,
        3 => 40.0,
        2 => 20.0,
        _ => 5.0,
    }
}

pub(super) fn splunk_of(points: &[Point], criticality: Criticality, now: Timestamp) -> Scored {
    let score = |point: &Point| risk_score(point.severity_id) * criticality.weight();
    let said = splunk(points.iter().map(|point| (point.time, score(point), point.analytic.as_str(), point.tactics.as_slice())), now);
    let today = |point: &Point| (0..DAY_MS).contains(&now.0.saturating_sub(point.time.0));
    let mut exceeded = Vec::new();
    if said.day_exceeded() {
        exceeded.push(format!("risk {} in 24 hours, over {DAY_SUM}", said.day_sum));
    }
    if said.week_exceeded() {
        exceeded.push(format!("{} tactics from {} sources in 7 days", said.week_tactics, said.week_sources));
    }
    let level_id = match exceeded.len() {
        0 => i64::from(said.day_sum > 0.0),
        one_or_both => 2 + i64::try_from(one_or_both).unwrap_or(0),
    };
    let parts = points.iter().map(|point| if today(point) { score(point) } else { 0.0 }).collect();
    Scored { score: said.day_sum, level_id, parts, exceeded }
}
