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

    /// RFC 3339 in UTC with milliseconds.
    pub fn rfc3339(self) -> String {
        let ms = self.0.rem_euclid(Self::DAY_MS);
        let (seconds, millis) = (ms / 1000, ms % 1000);
        format!("{}T{:02}:{:02}:{:02}.{millis:03}Z", self.date(), seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
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
    fn what_has_no_date_is_of_the_nearest_day_that_has_one() {
        assert_eq!((Timestamp(i64::MAX).date(), Timestamp(i64::MIN).date()), ("9999-12-31".to_owned(), "0001-01-01".to_owned()));
        assert_eq!(
            (Timestamp(*Timestamp::DATED.start()).date(), Timestamp(*Timestamp::DATED.end()).date()),
            ("0001-01-01".to_owned(), "9999-12-31".to_owned())
        );
    }
}
