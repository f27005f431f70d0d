//! Conditions, three-valued.
//!
//! Semantics: AWS IAM User Guide, "IAM JSON policy elements: Condition operators" and "Multivalued
//! context keys". An absent key does not satisfy a condition, but does satisfy a negated one.

use std::net::IpAddr;

use weft_model::Timestamp;
use weft_model::entitlement::{Condition, Order, Quantifier, Test, TestKind, Truth};

use super::context::{Circumstances, Filled, Known};
use super::pattern::{like, name_like};

/// Whether a condition of a statement holds. `permits` says what the statement is for: a caller
/// chooses values such that it is permitted, and not forbidden.
pub fn holds(condition: &Condition, at: &Circumstances, variables: bool, permits: bool) -> Truth {
    let known = at.get(&condition.key);
    if condition.test.kind == TestKind::Absent {
        return absent(condition, known, permits);
    }
    match known {
        Known::Unknown => Truth::Depends,
        Known::Chosen => Truth::from(permits),
        Known::Absent => Truth::from(condition.if_exists || by_absence(condition)),
        Known::Values(values) => several(condition, values, at, variables),
    }
}

fn by_absence(condition: &Condition) -> bool {
    match condition.each {
        Quantifier::All => true,
        Quantifier::Any => false,
        Quantifier::One => condition.test.negated,
    }
}

fn absent(condition: &Condition, known: Known<'_>, permits: bool) -> Truth {
    let wanted = condition.values.iter().any(|value| value.eq_ignore_ascii_case("true"));
    match known {
        Known::Unknown => Truth::Depends,
        Known::Chosen => Truth::from(permits),
        Known::Absent => Truth::from(wanted),
        Known::Values(_) => Truth::from(!wanted),
    }
}

fn several(condition: &Condition, values: &[String], at: &Circumstances, variables: bool) -> Truth {
    let each = values.iter().map(|value| one(condition, value, at, variables));
    match condition.each {
        Quantifier::All => each.fold(Truth::Yes, Truth::and),
        Quantifier::Any => each.fold(Truth::No, Truth::or),
        Quantifier::One if condition.test.negated => each.fold(Truth::Yes, Truth::and),
        Quantifier::One => each.fold(Truth::No, Truth::or),
    }
}

fn one(condition: &Condition, value: &str, at: &Circumstances, variables: bool) -> Truth {
    let found = condition.values.iter().map(|wanted| compares(condition.test, wanted, value, at, variables)).fold(Truth::No, Truth::or);
    if condition.test.negated { !found } else { found }
}

fn compares(test: Test, wanted: &str, value: &str, at: &Circumstances, variables: bool) -> Truth {
    let takes_variables = matches!(test.kind, TestKind::Text | TestKind::TextNoCase | TestKind::TextLike | TestKind::Name);
    let wanted = if variables && takes_variables { at.fill(wanted) } else { Filled::Text(wanted.into()) };
    let wanted = match wanted {
        Filled::Text(wanted) => wanted,
        Filled::Absent => return Truth::No,
        Filled::Unknown => return Truth::Depends,
    };
    Truth::from(match test.kind {
        TestKind::Text => plain(&wanted) == value,
        TestKind::TextNoCase => plain(&wanted).eq_ignore_ascii_case(value),
        TestKind::TextLike => like(wanted.as_bytes(), value.as_bytes()),
        TestKind::Number(order) => ordered(order, number(value), number(&wanted)),
        TestKind::Date(order) => ordered(order, date(value), date(&wanted)),
        TestKind::Bool => wanted.eq_ignore_ascii_case(value),
        TestKind::Binary => *wanted == *value,
        TestKind::Address => within(&wanted, value),
        TestKind::Name => name_like(&wanted, value),
        TestKind::Absent => false,
    })
}

/// Literal marks of filled-in variables, back to what they stand for.
fn plain(text: &str) -> String {
    text.replace('\u{1}', "*").replace('\u{2}', "?")
}

fn ordered(order: Order, value: Option<f64>, wanted: Option<f64>) -> bool {
    let Some((value, wanted)) = value.zip(wanted) else { return false };
    match order {
        Order::Equal => value == wanted,
        Order::Less => value < wanted,
        Order::LessEqual => value <= wanted,
        Order::Greater => value > wanted,
        Order::GreaterEqual => value >= wanted,
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// Seconds since 1970, from such a number or an ISO 8601 date or time.
fn date(text: &str) -> Option<f64> {
    number(text).or_else(|| Timestamp::read(text).map(|time| time.0 as f64 / 1_000.0))
}

fn within(network: &str, address: &str) -> bool {
    let Ok(address) = address.trim().parse::<IpAddr>() else { return false };
    let (base, length) = network.trim().split_once('/').map_or((network.trim(), None), |(base, length)| (base, Some(length)));
    let Ok(base) = base.parse::<IpAddr>() else { return false };
    let width = if base.is_ipv4() { 32 } else { 128 };
    let Some(length) = length.map_or(Some(width), |length| length.parse::<u32>().ok()).filter(|length| *length <= width) else { return false };
    let differ = match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => u128::from(base.to_bits() ^ address.to_bits()),
        (IpAddr::V6(base), IpAddr::V6(address)) => base.to_bits() ^ address.to_bits(),
        _ => return false,
    };
    differ.checked_shr(width - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(kind: TestKind, negated: bool, each: Quantifier, if_exists: bool, values: &[&str]) -> Condition {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Condition { test: Test { kind, negated }, each, if_exists, key: "k".into(), values, text: String::new() }
    }

    fn with(values: &[&str]) -> Circumstances {
        let mut at = Circumstances::complete();
        at.set("k", values.iter().map(|value| (*value).to_owned()).collect());
        at
    }

    #[test]
    fn each_comparison_has_its_opposite() {
        use Order::{Equal, Greater, GreaterEqual, Less, LessEqual};
        for (kind, wanted, yes, no) in [
            (TestKind::Text, "a", "a", "A"),
            (TestKind::TextNoCase, "a", "A", "b"),
            (TestKind::TextLike, "a*", "abc", "bc"),
            (TestKind::Number(Equal), "10", "10.0", "11"),
            (TestKind::Number(Less), "10", "9", "10"),
            (TestKind::Number(LessEqual), "10", "10", "11"),
            (TestKind::Number(Greater), "10", "11", "10"),
            (TestKind::Number(GreaterEqual), "10", "10", "9"),
            (TestKind::Date(Less), "2026-03-01T00:00:00Z", "2026-02-28T23:59:59Z", "2026-03-01"),
            (TestKind::Date(Greater), "2026-03-01T00:00:00+01:00", "2026-02-28T23:30:00Z", "1000000000"),
            (TestKind::Bool, "true", "True", "false"),
            (TestKind::Address, "192.0.2.0/24", "192.0.2.9", "192.0.3.9"),
            (TestKind::Address, "2001:db8::/32", "2001:db8::1", "192.0.2.1"),
            (TestKind::Name, "arn:x:iam::*:role/a*", "arn:x:iam::1:role/ab", "arn:x:iam::1:user/ab"),
        ] {
            let plain = condition(kind, false, Quantifier::One, false, &[wanted]);
            let negated = condition(kind, true, Quantifier::One, false, &[wanted]);
            for (value, holds_plain) in [(yes, true), (no, false)] {
                assert_eq!(holds(&plain, &with(&[value]), true, true), Truth::from(holds_plain), "{kind:?} {wanted} {value}");
                assert_eq!(holds(&negated, &with(&[value]), true, true), Truth::from(!holds_plain), "not {kind:?} {wanted} {value}");
            }
        }
    }

    #[test]
    fn absence_is_read_as_the_guide_says() {
        let nothing = Circumstances::complete();
        let text = |negated, each, if_exists| holds(&condition(TestKind::Text, negated, each, if_exists, &["a"]), &nothing, true, true);
        assert_eq!(text(false, Quantifier::One, false), Truth::No);
        assert_eq!(text(false, Quantifier::One, true), Truth::Yes);
        assert_eq!(text(true, Quantifier::One, false), Truth::Yes);
        assert_eq!(text(false, Quantifier::All, false), Truth::Yes);
        assert_eq!(text(true, Quantifier::Any, false), Truth::No);
        let null = |wanted| holds(&condition(TestKind::Absent, false, Quantifier::One, false, &[wanted]), &nothing, true, true);
        assert_eq!((null("true"), null("false")), (Truth::Yes, Truth::No));
    }

    #[test]
    fn several_values_are_counted() {
        let is = |negated, each, values: &[&str]| holds(&condition(TestKind::Text, negated, each, false, &["a", "b"]), &with(values), true, true);
        assert_eq!(is(false, Quantifier::All, &["a", "b"]), Truth::Yes);
        assert_eq!(is(false, Quantifier::All, &["a", "c"]), Truth::No);
        assert_eq!(is(false, Quantifier::Any, &["a", "c"]), Truth::Yes);
        assert_eq!(is(true, Quantifier::Any, &["a", "c"]), Truth::Yes);
        assert_eq!(is(true, Quantifier::All, &["c", "d"]), Truth::Yes);
        assert_eq!(is(true, Quantifier::One, &["a"]), Truth::No);
    }
}
