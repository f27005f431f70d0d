//! Rules that are too slow are set aside, and say so.
//!
//! The engine has no clock: what a rule cost is measured by the caller's stopwatch.

use weft_model::{Finding, Timestamp};

use super::program::Cost;
use crate::sigma::rule::Rule;

/// What one event may cost one rule, at the 99th percentile.
pub const EVENT_NANOS_MAX: u64 = 1_000_000;
/// Events that a verdict rests on at least.
pub const EVENTS_MIN: u64 = 100;
/// The analytic of findings about rules that were set aside.
pub const SUSPENDED: &str = "weft-rule-suspended";

/// How fast a rule was so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    events: u64,
    slow: u64,
}

impl Pace {
    /// Adds what a batch cost; true where the rule must be set aside.
    pub(crate) fn add(&mut self, cost: &Cost) -> bool {
        let rows = cost.rows as u64;
        self.events = self.events.saturating_add(rows);
        // A value on which an expression gave up cost as many steps as are allowed.
        let slow = if cost.nanos > rows.saturating_mul(EVENT_NANOS_MAX) { rows } else { u64::from(cost.given_up).min(rows) };
        self.slow = self.slow.saturating_add(slow);
        self.events >= EVENTS_MIN && self.slow.saturating_mul(100) > self.events
    }
}

/// The finding about a rule that was set aside at `time`.
pub(crate) fn finding(rule: &Rule, pace: &Pace, time: Timestamp) -> Finding {
    Finding {
        uid: Finding::uid_of(&format!("{SUSPENDED} {}", rule.id), &[]),
        analytic_uid: SUSPENDED.to_owned(),
        title: format!("Detection rule suspended: {}", rule.title),
        severity_id: 3,
        time,
        matched: vec![
            format!("rule: {}", rule.id),
            format!("slower than 1 ms an event for {} of {} events; it is silent until the program starts again", pace.slow, pace.events),
        ],
        entities: Vec::new(),
        evidence: Vec::new(),
        techniques: Vec::new(),
        update: false,
    }
}
