//! Times as feeds write them.

/// RFC 3339, `2026-01-31 12:00:00` (UTC), a date, or seconds since 1970; epoch milliseconds.
pub fn millis(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    if let Ok(seconds) = text.parse::<i64>() {
        // Nine digits are of this century, too few are no time at all.
        return (seconds >= 100_000_000).then(|| if seconds > 100_000_000_000 { seconds } else { seconds * 1000 });
    }
    let plain = text.strip_suffix(" UTC").unwrap_or(text);
    let time = plain.parse::<jiff::civil::DateTime>().or_else(|_| plain.parse::<jiff::civil::Date>().map(Into::into)).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_feeds() {
        for text in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z", "2026-01-31 12:00:00", "2026-01-31 12:00:00 UTC", "1769860800", "1769860800000"] {
            assert_eq!(millis(text), Some(1_769_860_800_000), "{text}");
        }
        assert_eq!(millis("2026-01-31"), Some(1_769_817_600_000));
        for text in ["", "7", "yesterday", "31.01.2026"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
