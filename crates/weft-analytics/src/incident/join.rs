//! Whether two findings belong together: how far an entity reaches in time, and in which order
//! tactics are plausible.

use weft_model::Timestamp;

use crate::entity::EntityKind;

const HOUR_MS: i64 = 3_600_000;
/// The longest that anything reaches.
pub(crate) const REACH_MAX_MS: i64 = 7 * Timestamp::DAY_MS;
/// By what the reach is divided when a new way in follows what an intruder came for.
const BACKWARD: i64 = 8;

/// Milliseconds that may lie between two findings about the same entity; none when the kind of entity
/// joins nothing.
///
/// Severity decides: what an analyst would look for around it. It is that of the later finding, or of any
/// finding of the group that the earlier one is in, counted from that finding: what an incident is about
/// stays of interest for as long as its worst finding reaches, also to tools that rate it low, and where
/// clocks disagree by hours. An hour for what is informational, half a day for low, a day for medium; three days for high, so that a weekend does not
/// part what belongs together; a week for critical. Addresses change hands, and reach half as far; names
/// that are looked up a quarter. Everything of a tenant shares its account: it joins nothing.
pub(crate) fn reach_ms(kind: EntityKind, severity_id: i64) -> Option<i64> {
    let whole = match severity_id {
        5 | 6 => REACH_MAX_MS,
        4 => 72 * HOUR_MS,
        3 => 24 * HOUR_MS,
        2 => 12 * HOUR_MS,
        _ => HOUR_MS,
    };
    match kind {
        EntityKind::User | EntityKind::Host | EntityKind::Workload => Some(whole),
        EntityKind::Address => Some(whole / 2),
        EntityKind::Domain => Some(whole / 4),
        EntityKind::Account => None,
    }
}

/// Where tactics stand in an intrusion: 1 before and at the way in, 2 inside, 3 what it was for.
/// Inside, tactics come in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) earliest: u8,
    pub(crate) latest: u8,
}

impl Phase {
    /// Of the tactics of a finding; one without tactics fits anywhere.
    pub(crate) fn of<'t>(tactics: impl Iterator<Item = &'t str>) -> Self {
        let phases = tactics.map(|tactic| match tactic {
            "TA0043" | "TA0042" | "TA0001" => 1,
            "TA0010" | "TA0040" => 3,
            _ => 2,
        });
        phases
            .fold(None, |all: Option<Self>, phase| {
                let (earliest, latest) = all.map_or((phase, phase), |all| (all.earliest.min(phase), all.latest.max(phase)));
                Some(Self { earliest, latest })
            })
            .unwrap_or(Self { earliest: 1, latest: 3 })
    }

    /// Whether only what an intruder came for is told.
    pub(crate) fn is_goal(self) -> bool {
        self.earliest == 3
    }

    /// Whether only the way in is told.
    pub(crate) fn is_way_in(self) -> bool {
        self.latest == 1
    }
}

/// Whether a finding of this severity reaches over a gap, about an entity of a kind.
pub(crate) fn belongs(kind: EntityKind, severity_id: i64, (earlier, later): (Phase, Phase), gap_ms: i64) -> bool {
    let Some(reach) = reach_ms(kind, severity_id) else { return false };
    let backward = earlier.is_goal() && later.is_way_in();
    (0..=if backward { reach / BACKWARD } else { reach }).contains(&gap_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_order() {
        let (any, way_in, goal) = (Phase::of([].into_iter()), Phase::of(["TA0001"].into_iter()), Phase::of(["TA0040"].into_iter()));
        assert!(belongs(EntityKind::User, 4, (any, any), 72 * HOUR_MS) && !belongs(EntityKind::User, 4, (any, any), 72 * HOUR_MS + 1));
        assert!(belongs(EntityKind::Address, 4, (any, any), 36 * HOUR_MS) && !belongs(EntityKind::Address, 4, (any, any), 37 * HOUR_MS));
        assert!(!belongs(EntityKind::Account, 6, (any, any), 0));
        assert!(belongs(EntityKind::User, 4, (way_in, goal), 72 * HOUR_MS));
        assert!(belongs(EntityKind::User, 4, (goal, way_in), 9 * HOUR_MS) && !belongs(EntityKind::User, 4, (goal, way_in), 10 * HOUR_MS));
        assert!(!belongs(EntityKind::User, 4, (any, any), -1));
    }
}
