//! Times in the shapes that exist, to epoch milliseconds.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// Epoch numbers by size: seconds up to the year 5138, then milliseconds, microseconds, nanoseconds.
const SECONDS_MAX: i64 = 100_000_000_000;
const MILLIS_MAX: i64 = 100_000_000_000_000;
const MICROS_MAX: i64 = 100_000_000_000_000_000;
/// Milliseconds between 1601-01-01 (FILETIME) and 1970-01-01.
const FILETIME_EPOCH_MS: i64 = 11_644_473_600_000;

/// An epoch number of unknown unit.
pub fn epoch(number: i64) -> i64 {
    match number.unsigned_abs() {
        n if n < SECONDS_MAX.unsigned_abs() => number.saturating_mul(1000),
        n if n < MILLIS_MAX.unsigned_abs() => number,
        n if n < MICROS_MAX.unsigned_abs() => number / 1000,
        _ => number / 1_000_000,
    }
}

/// Epoch seconds with a fraction, or milliseconds when too large for that.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub fn epoch_float(number: f64) -> Option<i64> {
    if !number.is_finite() || number.abs() > 9.0e18 {
        return None;
    }
    Some(if number.abs() < 1.0e11 { (number * 1000.0).round() as i64 } else { epoch(number as i64) })
}

/// 100-nanosecond intervals since 1601-01-01.
pub fn filetime(number: i64) -> i64 {
    number / 10_000 - FILETIME_EPOCH_MS
}

/// Text in any of the usual shapes; `received` (epoch ms) gives the year where the shape has none.
pub fn parse(text: &str, received: i64) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")).unwrap_or(text);
    iso(text.as_bytes()).or_else(|| compact(text)).or_else(|| number(text)).or_else(|| syslog(text, received)).or_else(|| rare(text))
}

/// `20240813155820`: fourteen digits are a date, for as an epoch they would be centuries away.
fn compact(text: &str) -> Option<i64> {
    let dated = text.len() == 14 && (text.starts_with("19") || text.starts_with("20")) && text.bytes().all(|byte| byte.is_ascii_digit());
    if dated { civil(text, "%Y%m%d%H%M%S") } else { None }
}

fn number(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(epoch(number));
    }
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'))
        .then(|| text.parse().ok().and_then(epoch_float))
        .flatten()
}

/// `2024-08-13T15:58:20.353Z` and its relatives: `T` or space, any fraction, any offset or none (UTC).
fn iso(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y1, y2, y3, y4, b'-' | b'/', m1, m2, b'-' | b'/', d1, d2] = date else { return None };
    let year = digits(&[*y1, *y2, *y3, *y4])?;
    let (month, day) = (digits(&[*m1, *m2])?, digits(&[*d1, *d2])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    let Some((b'T' | b't' | b' ', rest)) = rest.split_first() else {
        return rest.is_empty().then_some(days * 86_400_000);
    };
    let (clock, rest) = rest.split_at_checked(5)?;
    let [h1, h2, b':', n1, n2] = clock else { return None };
    let (hour, minute) = (digits(&[*h1, *h2])?, digits(&[*n1, *n2])?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (digits(&[*s1, *s2])?, rest),
        _ => (0, rest),
    };
    if hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, rest) = fraction(rest);
    let clock_ms = ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    Some(days * 86_400_000 + clock_ms - offset(rest)? * 60_000)
}

/// Milliseconds of `.353…` or `,353…`.
fn fraction(text: &[u8]) -> (i64, &[u8]) {
    let [b'.' | b',', rest @ ..] = text else { return (0, text) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    let millis = digits.iter().chain([&b'0', &b'0', &b'0']).take(3).fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    (millis, rest)
}

/// Minutes east of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    match text {
        [] | b"Z" | b"z" | b"UTC" | b"GMT" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, rest @ ..] => {
            let hours = digits(&[*h1, *h2])?;
            let minutes = match rest {
                [] => 0,
                [b':', m1, m2] | [m1, m2] => digits(&[*m1, *m2])?,
                _ => return None,
            };
            Some(if *sign == b'-' { -1 } else { 1 } * (hours * 60 + minutes))
        }
        name => ZONES.iter().find(|(zone, _)| zone.as_bytes() == name).map(|(_, hours)| hours * 60),
    }
}

/// Names of zones that devices write, in hours east of UTC; RFC 2822 section 4.3 and Europe's.
const ZONES: [(&str, i64); 14] = [
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("WET", 0),
    ("WEST", 1),
    ("CET", 1),
    ("CEST", 2),
    ("EET", 2),
    ("EEST", 3),
];

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

/// Days since 1970-01-01; `days_from_civil` of H. Hinnant,
/// <https://howardhinnant.github.io/date_algorithms.html>.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// RFC 3164 `Nov  9 08:19:41`: the year is the one that puts it nearest before `received`.
fn syslog(text: &str, received: i64) -> Option<i64> {
    let mut words = text.split_ascii_whitespace();
    let month = month(words.next()?)?;
    let day: i64 = words.next()?.trim_end_matches(',').parse().ok().filter(|day| (1..=31).contains(day))?;
    let mut word = words.next()?;
    let given = word.parse::<i64>().ok().filter(|year| (1970..=9999).contains(year));
    if given.is_some() {
        word = words.next()?;
    }
    let (hour, rest) = word.split_once(':')?;
    let (minute, rest) = rest.split_once(':')?;
    let (second, fractional) = rest.split_at_checked(2)?;
    let (millis, _) = fraction(fractional.as_bytes());
    let hour = match (hour.parse::<i64>().ok()?, words.next()) {
        (hour, Some("PM")) => hour % 12 + 12,
        (hour, Some("AM")) => hour % 12,
        (hour, _) => hour,
    };
    let clock = ((hour * 60 + minute.parse::<i64>().ok()?) * 60 + second.parse::<i64>().ok()?) * 1000 + millis;
    let at = |year| days_from_civil(year, month, day) * 86_400_000 + clock;
    if let Some(year) = given {
        return Some(at(year));
    }
    let year = weft_model::Timestamp(received).date().get(..4)?.parse::<i64>().ok()?;
    // A day of slack for clocks that run ahead.
    Some(if at(year) > received.saturating_add(86_400_000) { at(year - 1) } else { at(year) })
}

fn month(name: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = name.get(..3)?;
    MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month)).and_then(|index| i64::try_from(index + 1).ok())
}

/// Shapes that are seen now and then.
fn rare(text: &str) -> Option<i64> {
    const ZONED: [&str; 5] = ["%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%.f %z", "%d %b %Y %H:%M:%S %z", "%a %b %e %H:%M:%S %Y %z"];
    const CIVIL: [&str; 29] = [
        "%m/%d/%Y %I:%M:%S %p",
        "%m/%d/%Y %H:%M:%S%.f",
        "%a %b %e %H:%M:%S %Y",
        "%d/%b/%Y:%H:%M:%S%.f",
        "%a, %d %b %Y %H:%M:%S GMT",
        "%d %b %Y %H:%M:%S%.f",
        "%d-%b-%Y %H:%M:%S%.f",
        "%Y%m%dT%H%M%SZ",
        // Day before month only where the other way round it is no date.
        "%d/%m/%Y %H:%M:%S%.f",
        "%d.%m.%Y %H:%M:%S%.f",
        "%d-%m-%Y %H:%M:%S%.f",
        "%m/%d/%y %H:%M:%S",
        "%m/%d/%Y, %I:%M:%S %p",
        "%b/%d/%Y %H:%M:%S",
        "%d%b%Y %H:%M:%S",
        "%Y%m%d %H:%M:%S",
        "%a %b %e %H:%M:%S UTC %Y",
        "%a %b %e %Y %H:%M:%S",
        "%b %d, %Y %I:%M:%S %p",
        "%d/%b/%Y %H:%M:%S",
        "%d %b %Y %H:%M GMT",
        "%d %b %Y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S%.f %Y",
        "%m/%d/%Y %I:%M %p",
        "%m/%d/%Y %H:%M",
        "%Y.%m.%d %H:%M:%S%.f",
        "%Y-%m-%d-%H.%M.%S%.f",
        "%d-%b-%y %I.%M.%S%.f %p",
        "%B %d, %Y %I:%M:%S %p",
    ];
    ZONED.iter().find_map(|format| zoned(text, format)).or_else(|| CIVIL.iter().find_map(|format| civil(text, format)))
}

/// By an explicit `strptime` format; without an offset in it the time is UTC.
pub fn with_format(text: &str, format: &str) -> Option<i64> {
    if format.contains("%z") || format.contains("%:z") { zoned(text, format) } else { civil(text, format) }
}

fn zoned(text: &str, format: &str) -> Option<i64> {
    let parsed = jiff::fmt::strtime::parse(format, text).ok()?;
    let offset = parsed.offset().unwrap_or(Offset::UTC);
    let civil = parsed.to_datetime().ok()?;
    TimeZone::fixed(offset).to_timestamp(civil).ok().map(jiff::Timestamp::as_millisecond)
}

fn civil(text: &str, format: &str) -> Option<i64> {
    let civil: DateTime = jiff::fmt::strtime::parse(format, text).ok()?.to_datetime().ok()?;
    TimeZone::UTC.to_timestamp(civil).ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_that_exist() {
        let at = 1_723_564_700_000;
        for text in [
            "2024-08-13T15:58:20Z",
            "2024-08-13 15:58:20",
            "2024-08-13T15:58:20.000000+00:00",
            "2024-08-13T17:58:20+0200",
            "2024/08/13 15:58:20",
            "1723564700",
            "1723564700.000",
            "1723564700000",
            "1723564700000000000",
            "13/Aug/2024:15:58:20 +0000",
            "08/13/2024 03:58:20 PM",
            "Tue Aug 13 15:58:20 2024",
            "Aug 13 15:58:20",
            "Aug 13 2024 15:58:20",
            "Tue, 13 Aug 2024 15:58:20 GMT",
            "20240813155820",
            "2024-08-13 17:58:20 CEST",
            "13.08.2024 15:58:20",
            "13/08/2024 15:58:20.000",
            "aug/13/2024 15:58:20",
            "13Aug2024 15:58:20",
            "Tue Aug 13 15:58:20 UTC 2024",
            "Aug 13, 2024 03:58:20 PM",
            "/Date(1723564700000)/",
            "Tue Aug 13 15:58:20.000 2024",
            "13 Aug 2024 15:58:20 GMT",
            "2024-08-13-15.58.20.000000",
            "13-AUG-24 03.58.20.000000 PM",
        ] {
            assert_eq!(parse(text, at), Some(at), "{text}");
        }
        assert_eq!(parse("2024-08-13T15:58:20.3531234Z", 0), Some(at + 353));
        assert_eq!(parse("Dec 31 23:59:59", 1_704_067_260_000), Some(1_704_067_199_000));
        assert_eq!(filetime(133680383000000000), at);
        for text in ["", "yesterday", "2024-13-01", "99:99"] {
            assert_eq!(parse(text, at), None, "{text}");
        }
    }
}
