//! One value a line, with a count behind it or a remark.

use super::{Options, Sink};
use crate::intel::{Facts, Indicator, Value};

/// Most characters of a line.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Most lists that a count can mean.
pub(super) const COUNT_MAX: u32 = 1000;

/// Reads lines: `VALUE`, `VALUE COUNT`, or of a hosts file `0.0.0.0 NAME`; `#`, `;` and `//` begin remarks.
pub(super) fn read(bytes: &[u8], options: &Options, sink: &mut Sink<'_>) -> Result<(), String> {
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let place = || format!("line {}", number + 1);
        if line.len() > LINE_BYTES_MAX {
            sink.gap(place(), format!("is longer than {LINE_BYTES_MAX} bytes"));
            continue;
        }
        let Ok(line) = std::str::from_utf8(line) else {
            sink.gap(place(), "is no text in UTF-8");
            continue;
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';', '!']) || line.starts_with("//") {
            continue;
        }
        match indicator(line, options) {
            Ok(indicator) => sink.add(&indicator)?,
            Err(reason) => sink.gap(place(), reason),
        }
    }
    Ok(())
}

fn indicator(line: &str, options: &Options) -> Result<Indicator, String> {
    let agents = options.kind == Some(crate::intel::Kind::UserAgent);
    let mut words = line.split([' ', '\t', ',', ';']).filter(|word| !word.is_empty());
    let (first, second) = (if agents { line } else { words.next().unwrap_or_default() }, if agents { None } else { words.next() });
    // A hosts file sends names nowhere.
    let (text, second) = match second {
        Some(name) if matches!(first, "0.0.0.0" | "127.0.0.1" | "::" | "::1") => (name, None),
        second => (first, second),
    };
    let value = match options.kind {
        Some(kind) => Value::indicator(kind, text)?,
        None => Value::guess(text)?,
    };
    let count = second.and_then(|count| count.parse().ok()).filter(|count| (1..=COUNT_MAX).contains(count)).unwrap_or(1);
    Ok(Indicator { value, facts: options.facts(agreed(options.confidence, count)) })
}

/// Confidence when so many lists agree: each is wrong on its own.
pub(super) fn agreed(one: u8, count: u32) -> u8 {
    let wrong = (1.0 - f64::from(one.min(100)) / 100.0).powi(i32::try_from(count).unwrap_or(i32::MAX));
    let sure = ((1.0 - wrong) * 100.0).round() as u8;
    if one < 100 { sure.min(99) } else { 100 }
}

impl Options {
    /// Facts of what says nothing but its value.
    pub(super) fn facts(&self, confidence: u8) -> Facts {
        Facts { confidence, from: self.at, until: self.valid_for.map(|valid| self.at.saturating_add(valid)), ..Facts::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_agree_are_surer() {
        assert_eq!([1, 2, 3, 10].map(|count| agreed(50, count)), [50, 75, 88, 99]);
        assert_eq!([agreed(100, 1), agreed(0, 9)], [100, 0]);
    }
}
