//! Times in the shapes in which tools write them.

const DAY_MS: i64 = 86_400_000;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How a tool writes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `2026-11-23T08:15:30.125Z`
    Rfc3339,
    /// `2026-11-23T08:15:30Z`
    Seconds,
    /// `2026-11-23T08:15:30.1250000Z`
    Windows,
    /// `2026-11-23 08:15:30.125`
    Sysmon,
    /// `Nov 23 08:15:30`, RFC 3164
    Syslog,
    /// `Nov 23 2026 08:15:30`
    Cef,
    /// `1795421730`
    Epoch,
    /// `1795421730125`
    EpochMs,
    /// `1795421730.125`, as auditd
    Audit,
    /// `1795421730.125418`, as Zeek
    Zeek,
}

impl Shape {
    /// By its name in a placeholder.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "" | "rfc3339" => Self::Rfc3339,
            "seconds" => Self::Seconds,
            "windows" => Self::Windows,
            "sysmon" => Self::Sysmon,
            "syslog" => Self::Syslog,
            "cef" => Self::Cef,
            "epoch" => Self::Epoch,
            "epoch_ms" => Self::EpochMs,
            "audit" => Self::Audit,
            "zeek" => Self::Zeek,
            _ => return None,
        })
    }

    /// Writes it; UTC, as every tool of the story is configured.
    pub(super) fn write(self, ms: i64) -> String {
        let (seconds, fraction) = (ms.div_euclid(1000), ms.rem_euclid(1000));
        let (year, month, day) = civil(ms.div_euclid(DAY_MS));
        let of_day = ms.rem_euclid(DAY_MS) / 1000;
        let clock = format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
        let date = format!("{year:04}-{month:02}-{day:02}");
        let name = usize::try_from(month - 1).ok().and_then(|place| MONTHS.get(place)).copied().unwrap_or("Jan");
        match self {
            Self::Rfc3339 => format!("{date}T{clock}.{fraction:03}Z"),
            Self::Seconds => format!("{date}T{clock}Z"),
            Self::Windows => format!("{date}T{clock}.{fraction:03}0000Z"),
            Self::Sysmon => format!("{date} {clock}.{fraction:03}"),
            Self::Syslog => format!("{name} {day:2} {clock}"),
            Self::Cef => format!("{name} {day:02} {year} {clock}"),
            Self::Epoch => seconds.to_string(),
            Self::EpochMs => ms.to_string(),
            Self::Audit => format!("{seconds}.{fraction:03}"),
            // Microseconds that look measured, from the milliseconds themselves.
            Self::Zeek => format!("{seconds}.{fraction:03}{:03}", (ms.rem_euclid(7919) * 617) % 1000),
        }
    }
}

/// Hour of the day, UTC.
pub(super) const fn hour(ms: i64) -> i64 {
    ms.rem_euclid(DAY_MS) / 3_600_000
}

/// Year, month, day of a day since 1970 (Howard Hinnant, chrono-compatible low-level date algorithms).
const fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_each_shape() {
        let ms = 1_709_194_509_007; // a leap day
        assert_eq!(Shape::Rfc3339.write(ms), "2024-02-29T08:15:09.007Z");
        assert_eq!(Shape::Seconds.write(ms), "2024-02-29T08:15:09Z");
        assert_eq!(Shape::Windows.write(ms), "2024-02-29T08:15:09.0070000Z");
        assert_eq!(Shape::Sysmon.write(ms), "2024-02-29 08:15:09.007");
        assert_eq!(Shape::Syslog.write(ms), "Feb 29 08:15:09");
        assert_eq!(Shape::Syslog.write(ms + 86_400_000), "Mar  1 08:15:09");
        assert_eq!(Shape::Cef.write(ms), "Feb 29 2024 08:15:09");
        assert_eq!(Shape::Epoch.write(ms), "1709194509");
        assert_eq!(Shape::EpochMs.write(ms), "1709194509007");
        assert_eq!(Shape::Audit.write(ms), "1709194509.007");
        assert!(Shape::Zeek.write(ms).starts_with("1709194509.007"));
    }

    #[test]
    fn knows_the_hour() {
        assert_eq!(hour(1_709_194_509_007), 8);
    }
}
