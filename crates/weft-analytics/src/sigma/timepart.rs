//! Parts of a time: what the modifiers `minute` to `year` compare.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A part of a time, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Of the month, 1 to 31.
    Day,
    /// Of the year after ISO 8601, 1 to 53.
    Week,
    /// 1 to 12.
    Month,
    /// Of the calendar.
    Year,
}

impl TimePart {
    /// The part that a modifier names.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// This part of a time: RFC 3339 (also with a blank, also without a zone), or epoch
    /// milliseconds.
    pub fn in_text(self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Ok(ms) = text.parse() {
            return Some(self.of_time(TimeZone::UTC.to_datetime(jiff::Timestamp::from_millisecond(ms).ok()?)));
        }
        let zoned = text.parse::<jiff::Timestamp>().ok().map(|time| TimeZone::UTC.to_datetime(time));
        Some(self.of_time(zoned.or_else(|| text.parse().ok())?))
    }

    fn of_time(self, time: DateTime) -> i64 {
        match self {
            Self::Minute => time.minute().into(),
            Self::Hour => time.hour().into(),
            Self::Day => time.day().into(),
            Self::Week => time.date().iso_week_date().week().into(),
            Self::Month => time.month().into(),
            Self::Year => time.year().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let at = |part: TimePart| part.in_text("2026-01-01T23:59:30Z").unwrap();
        assert_eq!(
            [at(TimePart::Minute), at(TimePart::Hour), at(TimePart::Day), at(TimePart::Week), at(TimePart::Month), at(TimePart::Year)],
            [59, 23, 1, 1, 1, 2026]
        );
        assert_eq!(TimePart::Week.in_text("2027-01-03T00:00:00Z"), Some(53));
        assert_eq!(TimePart::Year.in_text("-1"), Some(1969));
        assert_eq!(TimePart::Hour.in_text("2026-03-02 09:15:42.104"), Some(9));
        assert_eq!(TimePart::Hour.in_text("3600000"), Some(1));
        assert_eq!(TimePart::Hour.in_text("never"), None);
    }
}
