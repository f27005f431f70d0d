//! Identifiers that directories keep as bytes, and times as they write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use weft_model::Timestamp;

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

/// A GUID in its written form, lower case; the first three fields are little endian ([MS-DTYP] 2.3.4). Of 16
/// bytes a few million in all are text by chance, and were taken for it.
pub(super) fn guid(text: &str) -> Option<String> {
    let written = text.trim().trim_matches(['{', '}']).to_lowercase();
    if written.len() == 36 && written.matches('-').count() == 4 {
        return Some(written);
    }
    let decoded = || base64(text.get(..BASE64_MAX).unwrap_or(text))?.try_into().ok();
    let bytes: [u8; 16] = text.as_bytes().try_into().ok().or_else(decoded)?;
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let tail: Vec<String> = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    let (middle, end) = tail.split_at_checked(2)?;
    Some(format!("{d:02x}{c:02x}{b:02x}{a:02x}-{f:02x}{e:02x}-{h:02x}{g:02x}-{}-{}", middle.concat(), end.concat()))
}

/// What a text says of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// An instant.
    At(Micros),
    /// Never: what systems write where there is no time.
    Never,
    /// It is no time.
    Unreadable,
}

/// 1601-01-01, the zero of Windows, in microseconds; nothing here is as old, and others write the year 1 for none.
const NEVER_BEFORE: Micros = -11_644_473_600_000_000;
/// Milliseconds to microseconds.
const MICROS: i64 = 1_000;

/// An instant: ISO 8601, `YYYYMMDDHHMMSS[.f]Z` of LDAP (RFC 4517), 100 nanoseconds since 1601 of Windows, or
/// seconds or milliseconds since 1970.
pub(super) fn moment(text: &str) -> Moment {
    let text = text.trim();
    let read = match text.parse::<i64>() {
        Ok(..=0 | i64::MAX) => return Moment::Never,
        Ok(number) => since_1970(number, text.len()),
        Err(_) if text.eq_ignore_ascii_case("never") => return Moment::Never,
        Err(_) => written(text),
    };
    match read {
        Some(..=NEVER_BEFORE) => Moment::Never,
        Some(at) => Moment::At(at),
        None => Moment::Unreadable,
    }
}

/// The instant of a text; none for what is none, or stands for never.
pub fn instant(text: &str) -> Option<Micros> {
    match moment(text) {
        Moment::At(at) => Some(at),
        Moment::Never | Moment::Unreadable => None,
    }
}

fn since_1970(number: i64, digits: usize) -> Option<Micros> {
    match number {
        100_000_000_000_000_000.. => (number / 10).checked_add(NEVER_BEFORE),
        100_000_000_000.. => number.checked_mul(MICROS),
        // Fewer digits are a year or a number of something else.
        _ if digits >= 9 => number.checked_mul(1_000_000),
        _ => None,
    }
}

fn written(text: &str) -> Option<Micros> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (head, rest) = text.split_at_checked(digits)?;
    match head.len() {
        10 if rest.starts_with('.') => since_1970(head.parse().ok()?, head.len()),
        14 => {
            let at = |range: std::ops::Range<usize>| head.get(range).unwrap_or_default();
            let (year, month, day, hour, minute, second) = (at(0..4), at(4..6), at(6..8), at(8..10), at(10..12), at(12..14));
            Timestamp::read(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}{rest}"))?.0.checked_mul(MICROS)
        }
        _ if text.len() >= "2026-01-31".len() => Timestamp::read(text)?.0.checked_mul(MICROS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_from_bytes_and_from_text() {
        assert_eq!(sid("AQUAAAAAAAUVAAAAoGXPfnhLm1/nfIdwr/1IAQ==").as_deref(), Some("S-1-5-21-2127521184-1604012920-1887927527-21560751"));
        assert_eq!(sid("s-1-5-18").as_deref(), Some("S-1-5-18"));
        assert_eq!(sid("AQIAAAAAAAUgAAAAIAIAAA==").as_deref(), Some("S-1-5-32-544"));
        assert_eq!((sid("AQUAAAAAAAUVAAAA"), sid("?"), sid("")), (None, None, None));
        assert_eq!(guid("4AQlP4lPDk+d0wM5Dkjh5A==").as_deref(), Some("3f2504e0-4f89-4f0e-9dd3-03390e48e1e4"));
        assert_eq!(guid("abcdefghijklmnop").as_deref(), Some("64636261-6665-6867-696a-6b6c6d6e6f70"));
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
            "20240813175820+0200",
            "1723564700",
            "1723564700000",
            "133680383000000000",
        ] {
            assert_eq!(instant(text), Some(second), "{text}");
        }
        assert_eq!(instant("2024-08-13T15:58:20.353Z"), Some(second + 353_000));
        assert_eq!(instant("1970-01-01"), Some(0));
        for text in ["never", "0", "-1", "9223372036854775807", "0001-01-01T00:00:00Z", "1601-01-01T00:00:00Z"] {
            assert_eq!(moment(text), Moment::Never, "{text}");
        }
        for text in ["", "soon", "2024", "2024-08", "2024-13-01", "2024-08-13T25:00:00Z", "20241313155820Z"] {
            assert_eq!(moment(text), Moment::Unreadable, "{text}");
        }
    }
}
