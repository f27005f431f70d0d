//! How much an indicator is still worth.
//!
//! The formula is that of MISP's decaying model (Mokaddem et al. 2019,
//! <https://arxiv.org/abs/1902.03914>): `score = confidence * (1 - (age / lifetime)^(1 / speed))`. Where
//! the source says until when an indicator holds, its lifetime is that; else it is that of its kind.
//! A speed of 0.5 keeps three quarters of the confidence for half of the lifetime.

use weft_model::Timestamp;

use super::{Facts, Kind};

/// How fast confidence goes; below one it goes late.
const SPEED: f64 = 0.5;
/// Days after which a kind says nothing any more: addresses change hands, names are let go.
const DAYS_IP: i64 = 90;
const DAYS_NAME: i64 = 365;

/// Milliseconds that a kind holds; none for what never changes its meaning.
pub fn lifetime(kind: Kind) -> Option<i64> {
    match kind {
        Kind::Ip => Some(DAYS_IP * Timestamp::DAY_MS),
        Kind::Domain | Kind::Url | Kind::Email => Some(DAYS_NAME * Timestamp::DAY_MS),
        Kind::Hash | Kind::Certificate | Kind::Ja3 | Kind::Ja3s | Kind::Ja4 | Kind::UserAgent => None,
    }
}

/// The end of an indicator, as its source says or as its kind has it.
pub fn end(kind: Kind, facts: &Facts) -> Option<Timestamp> {
    facts.until.or_else(|| Some(facts.from.saturating_add(lifetime(kind)?))).map(Timestamp)
}

/// Confidence at a moment: 0 after its end, as it was said before its beginning.
pub fn score(kind: Kind, facts: &Facts, at: Timestamp) -> u8 {
    let Some(end) = end(kind, facts) else { return facts.confidence };
    if at.0 >= end.0 {
        return 0;
    }
    let (age, whole) = (at.0.saturating_sub(facts.from).max(0) as f64, end.0.saturating_sub(facts.from).max(1) as f64);
    let left = 1.0 - (age / whole).min(1.0).powf(1.0 / SPEED);
    // Never quite nothing before the end.
    (f64::from(facts.confidence) * left).round().max(1.0) as u8
}

/// OCSF severity of a sighting: informational below 20, low below 50, medium below 80, else high.
pub fn severity_id(score: u8) -> i64 {
    match score {
        0..20 => 1,
        20..50 => 2,
        50..80 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_goes_late_and_ends() {
        let facts = Facts { confidence: 80, from: 0, ..Facts::default() };
        let day = |day: i64| score(Kind::Ip, &facts, Timestamp(day * Timestamp::DAY_MS));
        assert_eq!([day(-1), day(0), day(45), day(89), day(90)], [80, 80, 60, 2, 0]);
        assert_eq!(score(Kind::Hash, &facts, Timestamp(i64::MAX)), 80);
        let until = Facts { until: Some(10 * Timestamp::DAY_MS), ..facts };
        assert_eq!([score(Kind::Hash, &until, Timestamp(5 * Timestamp::DAY_MS)), score(Kind::Hash, &until, Timestamp(10 * Timestamp::DAY_MS))], [60, 0]);
        assert_eq!([severity_id(19), severity_id(20), severity_id(50), severity_id(80)], [1, 2, 3, 4]);
    }
}
