//! Entity risk: every finding raises the risk of the entities that it is about.
//!
//! [`Risk`] remembers points, one for each finding of each entity, and [`Risk::scores`] computes
//! scores from them at an instant by a [`Preset`]: our own decaying score, or one of two published
//! ways to count ([`published`]). Every part of a score names the finding that it comes from.
//! The points are a set: the order in which findings arrive changes nothing.
//!
//! What this module deliberately does not know: the clock, the lake, what is done about a risk.

mod memory;
mod own;
pub mod published;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use weft_model::Timestamp;

use crate::entity::{Criticality, EntityKind};

pub use memory::{ENTITIES_MAX, POINTS_MAX, RETAINED_MS, Risk};
pub use own::HALF_LIFE_MS;

/// How scores are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// Our own: decays, and counts repeats less and less.
    #[default]
    Weft,
    /// Alerts by rank, normalised by the zeta function, then by criticality.
    Elastic,
    /// Sum of a day, and breadth of a week.
    Splunk,
}

/// One finding of one entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Point {
    /// Time of the finding.
    pub time: Timestamp,
    /// Its uid.
    pub finding: String,
    /// Id of the analytic.
    pub analytic: String,
    /// Title of the finding.
    pub title: String,
    /// OCSF severity id.
    pub severity_id: i64,
    /// Ids of tactics.
    pub tactics: Vec<String>,
    /// Full domain of the entity, where the finding says it.
    pub domain: Option<String>,
}

/// What one finding adds to a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The finding.
    pub point: Point,
    /// Its part of the score; the parts sum up to the score.
    pub part: f64,
}

/// Risk of one entity at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityRisk {
    /// What it is.
    pub kind: EntityKind,
    /// Its name, with its domain where one is known.
    pub name: String,
    /// 0 to 100, except for sums of a day.
    pub score: f64,
    /// OCSF risk level id: 0 informational, 1 low, 2 medium, 3 high, 4 critical.
    pub level_id: i64,
    /// How critical the entity is.
    pub criticality: Criticality,
    /// What the score is made of, largest first.
    pub shares: Vec<Share>,
    /// Thresholds that are exceeded, in words.
    pub exceeded: Vec<String>,
}

impl EntityRisk {
    /// Time of the newest finding.
    pub fn newest(&self) -> Timestamp {
        self.shares.iter().map(|share| share.point.time).max().unwrap_or_default()
    }

    /// Tactics of its findings.
    pub fn tactics(&self) -> BTreeSet<&str> {
        self.shares.iter().flat_map(|share| &share.point.tactics).map(String::as_str).collect()
    }

    /// The word of OCSF for the level.
    pub fn level(&self) -> &'static str {
        match self.level_id {
            4 => "Critical",
            3 => "High",
            2 => "Medium",
            1 => "Low",
            _ => "Info",
        }
    }
}

/// Score of an entity with the part of each point, in the order of the points.
pub(crate) struct Scored {
    pub(crate) score: f64,
    pub(crate) level_id: i64,
    pub(crate) parts: Vec<f64>,
    pub(crate) exceeded: Vec<String>,
}

impl Preset {
    /// Scores the points of one entity, sorted by time, at an instant.
    pub(crate) fn score(self, points: &[Point], criticality: Criticality, now: Timestamp) -> Scored {
        match self {
            Self::Weft => own::score(points, criticality, now),
            Self::Elastic => published::elastic_of(points, criticality),
            Self::Splunk => published::splunk_of(points, criticality, now),
        }
    }
}

/// Splits a score over points by their weights.
fn split(score: f64, weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| if sum > 0.0 { score * weight / sum } else { 0.0 }).collect()
}

/// The level that a score of 0 to 100 has reached.
fn level(score: f64, [low, medium, high, critical]: [f64; 4]) -> i64 {
    [low, medium, high, critical].iter().map(|from| i64::from(score >= *from)).sum()
}
