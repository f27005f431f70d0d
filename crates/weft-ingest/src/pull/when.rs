//! Spans and instants as descriptions and APIs write them.

use weft_model::Timestamp;

use crate::map::time;

/// How an API wants an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// `2026-03-02T08:00:00.000Z`
    Rfc3339,
    /// `2026-03-02T08:00:00Z`
    Seconds,
    /// `2026-03-02T08:00:00`, which means UTC
    Civil,
    /// `2026-03-02`
    Date,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
}

impl Form {
    pub(super) const NAMES: [(&str, Self); 6] = [
        ("rfc3339", Self::Rfc3339),
        ("rfc3339_seconds", Self::Seconds),
        ("civil", Self::Civil),
        ("date", Self::Date),
        ("epoch_seconds", Self::EpochSeconds),
        ("epoch_millis", Self::EpochMillis),
    ];

    pub(super) fn write(&self, at: i64) -> String {
        let text = Timestamp(at).rfc3339();
        let until = |end: usize| text.get(..end).unwrap_or(&text).to_owned();
        match self {
            Self::Rfc3339 => text,
            Self::Seconds => until(19) + "Z",
            Self::Civil => until(19),
            Self::Date => until(10),
            Self::EpochSeconds => at.div_euclid(1000).to_string(),
            Self::EpochMillis => at.to_string(),
        }
    }

    /// Milliseconds that this form cannot tell apart.
    pub(super) fn grain(&self) -> i64 {
        match self {
            Self::Rfc3339 | Self::EpochMillis => 1,
            Self::Seconds | Self::Civil | Self::EpochSeconds => 1000,
            Self::Date => Timestamp::DAY_MS,
        }
    }
}

/// Milliseconds of `90s`, `15m`, `24h`, `30d` or `250ms`.
pub fn span(text: &str) -> Option<i64> {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let (number, unit) = text.split_at_checked(text.len() - digits.len())?;
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => Timestamp::DAY_MS,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit).filter(|span| *span <= 3650 * Timestamp::DAY_MS)
}

/// The time of a record: text in a usual shape, or an epoch number.
pub(super) fn of_record(value: &serde_json::Value, received: i64) -> Option<i64> {
    match value {
        serde_json::Value::String(text) => time::parse(text, received),
        serde_json::Value::Number(number) => number.as_i64().map(time::epoch).or_else(|| number.as_f64().and_then(time::epoch_float)),
        _ => None,
    }
}

/// An HTTP date (RFC 9110, section 5.6.7), its preferred form.
pub(super) fn http_date(text: &str) -> Option<i64> {
    time::with_format(text.trim(), "%a, %d %b %Y %H:%M:%S GMT")
}

/// The same, written (RFC 5322 with a numeric zone, which signatures want).
pub(super) fn mail_date(at: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S -0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_instants() {
        assert_eq!([span("90s"), span("15m"), span("250ms"), span("30d")], [Some(90_000), Some(900_000), Some(250), Some(2_592_000_000)]);
        assert_eq!([span(""), span("h"), span("1w"), span("-1h"), span("99999999999999999d")], [None; 5]);
        let at = 1_723_564_700_353;
        let written: Vec<String> = Form::NAMES.iter().map(|(_, form)| form.write(at)).collect();
        assert_eq!(written, ["2024-08-13T15:58:20.353Z", "2024-08-13T15:58:20Z", "2024-08-13T15:58:20", "2024-08-13", "1723564700", "1723564700353"]);
        assert_eq!(http_date("Tue, 13 Aug 2024 15:58:20 GMT"), Some(1_723_564_700_000));
        assert_eq!(mail_date(1_723_564_700_000), "Tue, 13 Aug 2024 15:58:20 -0000");
    }
}
