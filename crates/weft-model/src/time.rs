//! Time as OCSF keeps it.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z (OCSF `timestamp_t`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds of a day.
    pub const DAY_MS: i64 = 86_400_000;

    /// Milliseconds that have a date of four digits, 0001-01-01 to 9999-12-31: a time outside is
    /// nobody's, and tables cannot write its day.
    pub const DATED: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

    /// Days since 1970-01-01, rounded down; the partition of the lake. A time that has no date is of
    /// the nearest day that has one.
    pub fn day(self) -> i32 {
        let dated = self.0.clamp(*Self::DATED.start(), *Self::DATED.end());
        // The range above has some four million days.
        i32::try_from(dated.div_euclid(Self::DAY_MS)).unwrap_or(0)
    }

    /// `YYYY-MM-DD` of the UTC day, proleptic Gregorian.
    pub fn date(self) -> String {
        let (year, month, day) = civil(i64::from(self.day()));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Reads an ISO 8601 date or time; without an offset it is UTC.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (day, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
        let mut parts = day.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (year, month, day) = (parts.next()??, parts.next().unwrap_or(Some(1))?, parts.next().unwrap_or(Some(1))?);
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let (clock, offset) = clock(time)?;
        Some(Self((days(year, month, day) * 86_400 - offset) * 1_000 + clock))
    }

    /// RFC 3339 in UTC with milliseconds.
    pub fn rfc3339(self) -> String {
        let ms = self.0.rem_euclid(Self::DAY_MS);
        let (seconds, millis) = (ms / 1000, ms % 1000);
        format!("{}T{:02}:{:02}:{:02}.{millis:03}Z", self.date(), seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// Milliseconds of the day, and seconds of the offset from UTC.
fn clock(time: &str) -> Option<(i64, i64)> {
    let end = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(end);
    let mut millis = 0.0;
    // ISO 8601 ends a day at 24:00, and a leap second is number 60.
    for (part, (unit, below)) in clock.split(':').filter(|part| !part.is_empty()).zip([(3_600_000.0, 25.0), (60_000.0, 60.0), (1_000.0, 61.0)]) {
        let number: f64 = part.trim().parse().ok().filter(|number| (0.0..below).contains(number))?;
        millis += number * unit;
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = digits.split_at(digits.len().min(2));
    let offset = hours.parse::<i64>().unwrap_or(0) * 3600 + minutes.parse::<i64>().unwrap_or(0) * 60;
    Some((millis.round() as i64, sign * offset))
}

/// Days from 1970-01-01 in the Gregorian calendar; algorithm `days_from_civil` of H. Hinnant.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day number; algorithm `civil_from_days` of H. Hinnant,
/// <https://howardhinnant.github.io/date_algorithms.html>.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        assert_eq!(Timestamp(0).rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(-1).rfc3339(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp(951_782_400_000).date(), "2000-02-29");
        assert_eq!(Timestamp(1_723_564_700_353).rfc3339(), "2024-08-13T15:58:20.353Z");
    }

    #[test]
    fn dates_are_read() {
        for (text, written) in [
            ("2024-08-13T15:58:20.353Z", "2024-08-13T15:58:20.353Z"),
            ("2024-08-13T15:58:20+02:00", "2024-08-13T13:58:20.000Z"),
            ("2024-08-13 15:58:20", "2024-08-13T15:58:20.000Z"),
            ("2024-08-13", "2024-08-13T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::read(text).unwrap().rfc3339(), written);
        }
        for text in ["", "N/A", "no_information", "2024-13-01", "99999-01-01", "2024-08-13T1:2:x", "2024-08-13T25:00:00Z", "2024-08-13T10:60:00Z"] {
            assert_eq!(Timestamp::read(text), None, "{text}");
        }
    }

    #[test]
    fn what_has_no_date_is_of_the_nearest_day_that_has_one() {
        assert_eq!((Timestamp(i64::MAX).date(), Timestamp(i64::MIN).date()), ("9999-12-31".to_owned(), "0001-01-01".to_owned()));
        assert_eq!(
            (Timestamp(*Timestamp::DATED.start()).date(), Timestamp(*Timestamp::DATED.end()).date()),
            ("0001-01-01".to_owned(), "9999-12-31".to_owned())
        );
    }
}
