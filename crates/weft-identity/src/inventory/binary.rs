//! Identifiers that directories keep as bytes, and times as they write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::graph::Micros;

/// Bytes of base64 that is decoded here.
const BASE64_MAX: usize = 4096;

/// Bytes of base64 (RFC 4648), with or without padding.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text.trim().trim_end_matches('=')).ok()
}

/// A security identifier in its written form, upper case ([MS-DTYP] 2.4.2).
pub(super) fn sid(text: &str) -> Option<String> {
    let upper = text.trim().to_uppercase();
    if upper.starts_with("S-1-") {
        return Some(upper);
    }
    let bytes = base64(text.get(..BASE64_MAX).unwrap_or(text))?;
    let (head, rest) = bytes.split_at_checked(8)?;
    let [1, count, authority @ ..] = head else { return None };
    let authority = authority.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    let mut written = format!("S-1-{authority}");
    let mut parts = rest.chunks_exact(4);
    for part in parts.by_ref().take(usize::from(*count)) {
        written.push_str(&format!("-{}", part.iter().rev().fold(0_u32, |sum, &byte| sum << 8 | u32::from(byte))));
    }
    (rest.len() == usize::from(*count) * 4).then_some(written)
}

/// A GUID in its written form, lower case; the first three fields are little endian ([MS-DTYP] 2.3.4).
pub(super) fn guid(text: &str) -> Option<String> {
    let written = text.trim().trim_matches(['{', '}']).to_lowercase();
    if written.len() == 36 && written.matches('-').count() == 4 {
        return Some(written);
    }
    let bytes: [u8; 16] = base64(text.get(..BASE64_MAX).unwrap_or(text))?.try_into().ok()?;
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let tail: Vec<String> = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let (middle, end) = tail.split_at_checked(2)?;
    Some(format!("{d:02x}{c:02x}{b:02x}{a:02x}-{f:02x}{e:02x}-{h:02x}{g:02x}-{}-{}", middle.concat(), end.concat()))
}

/// An instant: RFC 3339, a date, `YYYYMMDDHHMMSS[.f]Z` of LDAP (RFC 4517), 100 nanoseconds since 1601 of
/// Windows, or seconds or milliseconds since 1970. What stands for never is none.
pub fn instant(text: &str) -> Option<Micros> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return match number {
            ..=0 | i64::MAX => None,
            // 1601 to 1970 in seconds.
            100_000_000_000_000_000.. => (number / 10).checked_sub(11_644_473_600_000_000),
            100_000_000_000.. => number.checked_mul(1_000),
            _ if text.len() >= 9 => number.checked_mul(1_000_000),
            _ => None,
        };
    }
    if let Some((seconds, _)) = text.split_once('.')
        && seconds.len() == 10
        && let Ok(seconds) = seconds.parse::<i64>()
    {
        return seconds.checked_mul(1_000_000);
    }
    let digits: String = text.chars().take_while(|c| c.is_ascii_digit()).collect();
    if digits.len() == 14 && text.ends_with('Z') {
        let at = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
        return civil(at(0..4), at(4..6), at(6..8), [at(8..10), at(10..12), at(12..14)], 0);
    }
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let (clock, offset) = zone(time)?;
    let mut clock = clock.split(':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next().unwrap_or("0"));
    civil(year, month, day, [hour, minute, second], offset)
}

/// Time of day without its zone, and the zone in seconds east of UTC.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (clock, zone) = time.split_at_checked(at)?;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let of = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |part| part.parse::<i64>().ok());
    Some((clock, sign * (of(0..2)? * 3600 + of(2..4)? * 60)))
}

/// Algorithm `days_from_civil` of H. Hinnant, <https://howardhinnant.github.io/date_algorithms.html>.
fn civil(year: &str, month: &str, day: &str, clock: [&str; 3], offset: i64) -> Option<Micros> {
    let (year, month, day): (i64, i64, i64) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let [hour, minute, second] = clock;
    let (second, fraction) = second.split_once('.').unwrap_or((second, ""));
    let (hour, minute, second): (i64, i64, i64) = (hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?);
    let valid = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !valid || !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let fraction: String = fraction.chars().take(6).collect();
    let micros: i64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<6}").parse().ok()? };
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second - offset) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_from_bytes_and_from_text() {
        assert_eq!(sid("AQUAAAAAAAUVAAAAoGXPfnhLm1/nfIdwr/1IAQ==").as_deref(), Some("S-1-5-21-2127521184-1604012920-1887927527-21560751"));
        assert_eq!(sid("s-1-5-18").as_deref(), Some("S-1-5-18"));
        assert_eq!((sid("AQUAAAAAAAUVAAAA"), sid("?"), sid("")), (None, None, None));
        assert_eq!(guid("4AQlP4lPDk+d0wM5Dkjh5A==").as_deref(), Some("3f2504e0-4f89-4f0e-9dd3-03390e48e1e4"));
        assert_eq!(guid("{3F2504E0-4F89-41D3-9A0C-0305E82C3301}").as_deref(), Some("3f2504e0-4f89-41d3-9a0c-0305e82c3301"));
    }

    #[test]
    fn instants_are_read_in_every_form() {
        let second = 1_723_564_700_000_000;
        for text in [
            "2024-08-13T15:58:20Z",
            "2024-08-13T17:58:20+02:00",
            "2024-08-13 15:58:20",
            "20240813155820.0Z",
            "1723564700",
            "1723564700000",
            "133680383000000000",
        ] {
            assert_eq!(instant(text), Some(second), "{text}");
        }
        assert_eq!(instant("2024-08-13T15:58:20.353Z"), Some(second + 353_000));
        assert_eq!(instant("1970-01-01"), Some(0));
        for text in ["", "never", "0", "-1", "9223372036854775807", "2024-13-01", "2024-08-13T25:00:00Z"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
