//! Columns with a header, in RFC 4180 or as a remark before the first row.

use super::list::{COUNT_MAX, agreed};
use super::{Options, Sink, millis, misp};
use crate::intel::{Indicator, Kind, Value};

/// Names of columns that hold the value, with the kind that some of them mean.
const VALUES: [(&str, Option<Kind>); 38] = [
    ("indicator", None),
    ("indicator_value", None),
    ("ioc", None),
    ("ioc_value", None),
    ("value", None),
    ("observable", None),
    ("ip", Some(Kind::Ip)),
    ("ip_address", Some(Kind::Ip)),
    ("ipaddress", Some(Kind::Ip)),
    ("src_ip", Some(Kind::Ip)),
    ("dst_ip", Some(Kind::Ip)),
    ("dstip", Some(Kind::Ip)),
    ("ipv4", Some(Kind::Ip)),
    ("ipv6", Some(Kind::Ip)),
    ("cidr", Some(Kind::Ip)),
    ("network", Some(Kind::Ip)),
    ("domain", Some(Kind::Domain)),
    ("domain_name", Some(Kind::Domain)),
    ("hostname", Some(Kind::Domain)),
    ("host", None),
    ("fqdn", Some(Kind::Domain)),
    ("url", Some(Kind::Url)),
    ("email", Some(Kind::Email)),
    ("email_address", Some(Kind::Email)),
    ("hash", Some(Kind::Hash)),
    ("file_hash", Some(Kind::Hash)),
    ("sha256", Some(Kind::Hash)),
    ("sha256_hash", Some(Kind::Hash)),
    ("sha1", Some(Kind::Hash)),
    ("sha1_hash", Some(Kind::Hash)),
    ("md5", Some(Kind::Hash)),
    ("md5_hash", Some(Kind::Hash)),
    ("ja3", Some(Kind::Ja3)),
    ("ja3_md5", Some(Kind::Ja3)),
    ("ja3s", Some(Kind::Ja3s)),
    ("ja4", Some(Kind::Ja4)),
    ("user_agent", Some(Kind::UserAgent)),
    ("useragent", Some(Kind::UserAgent)),
];
const TYPES: [&str; 7] = ["type", "ioc_type", "indicator_type", "kind", "observable_type", "data_type", "category_type"];
const CONFIDENCES: [&str; 4] = ["confidence", "confidence_level", "score", "reliability"];
/// How many lists or people named the value.
const COUNTS: [&str; 4] = ["count", "listings", "reports", "sources"];
const BEGINS: [&str; 9] = ["valid_from", "first_seen", "first_seen_utc", "firstseen", "listingdate", "dateadded", "date_added", "date", "created"];
const ENDS: [&str; 5] = ["valid_until", "expires", "expiration", "expiration_date", "valid_to"];
const IDS: [&str; 4] = ["id", "ioc_id", "uuid", "indicator_id"];
const NAMES: [&str; 8] = ["name", "title", "description", "malware_printable", "malware", "threat", "listingreason", "comment"];
/// Most columns.
const COLUMNS_MAX: usize = 256;
/// Longest row.
const ROW_BYTES_MAX: usize = 1 << 20;

/// Where the columns stand.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Layout {
    values: Vec<(usize, Option<Kind>)>,
    kind: Option<usize>,
    confidence: Option<usize>,
    count: Option<usize>,
    begins: Option<usize>,
    ends: Option<usize>,
    id: Option<usize>,
    name: Option<usize>,
}

impl Layout {
    /// Of a header; none when no column holds values.
    fn of(header: &[String]) -> Option<Self> {
        let names: Vec<String> = header.iter().map(|name| name.trim().trim_start_matches(['#', ' ']).to_lowercase().replace([' ', '-'], "_")).collect();
        let one_of = |known: &[&str]| known.iter().find_map(|known| names.iter().position(|name| name == known));
        let values: Vec<_> =
            names.iter().enumerate().filter_map(|(at, name)| VALUES.iter().find(|(known, _)| known == name).map(|(_, kind)| (at, *kind))).collect();
        // Where one column is named for any value, the others tell about it.
        let values = match values.iter().find(|(_, kind)| kind.is_none()) {
            Some(any) => vec![*any],
            None => values,
        };
        let layout = Self {
            values,
            kind: one_of(&TYPES),
            confidence: one_of(&CONFIDENCES),
            count: names.iter().position(|name| name.starts_with("number_of") || COUNTS.contains(&name.as_str())),
            begins: one_of(&BEGINS),
            ends: one_of(&ENDS),
            id: one_of(&IDS),
            name: one_of(&NAMES),
        };
        (!layout.values.is_empty() && names.len() > 1).then_some(layout)
    }

    fn indicators(&self, row: &[String], options: &Options) -> Result<Vec<Indicator>, String> {
        let at = |place: Option<usize>| place.and_then(|place| row.get(place)).map(|text| text.trim()).filter(|text| !text.is_empty());
        let confidence = match at(self.confidence).map(str::parse::<f64>) {
            Some(Ok(number)) if (0.0..=100.0).contains(&number) => number.round() as u8,
            _ => agreed(options.confidence, at(self.count).and_then(|count| count.parse().ok()).unwrap_or(1).clamp(1, COUNT_MAX)),
        };
        let mut facts = options.facts(confidence);
        facts.from = at(self.begins).and_then(millis).unwrap_or(facts.from);
        facts.until = at(self.ends).and_then(millis).or(facts.until);
        facts.id = at(self.id).unwrap_or_default().to_owned();
        facts.name = at(self.name).unwrap_or_default().chars().take(200).collect();
        let told = at(self.kind).map(|told| told.to_lowercase());
        let told = told.as_deref().and_then(|told| Kind::of_name(told).or_else(|| misp::kind(told)).or_else(|| named(told)));
        let mut found = Vec::new();
        let mut wrong = None;
        for (place, kind) in &self.values {
            let Some(text) = at(Some(*place)) else { continue };
            let value = match options.kind.or(told).or(*kind) {
                Some(kind) => Value::indicator(kind, text),
                None => Value::guess(text),
            };
            match value {
                Ok(value) => found.push(Indicator { value, facts: facts.clone() }),
                Err(reason) => wrong = Some(reason),
            }
        }
        if found.is_empty() { Err(wrong.unwrap_or_else(|| "has no value".to_owned())) } else { Ok(found) }
    }
}

/// What some feeds call kinds.
fn named(told: &str) -> Option<Kind> {
    Some(match told {
        "ip:port" | "ipv4" | "ipv6" | "ipv4-addr" | "ipv6-addr" | "ip address" | "cidr" => Kind::Ip,
        "domain-name" | "fqdn" | "host" => Kind::Domain,
        "uri" => Kind::Url,
        "email-addr" | "e-mail" => Kind::Email,
        _ if told.ends_with("_hash") || told.starts_with("filehash") => Kind::Hash,
        _ => return None,
    })
}

/// Whether a document has columns with a header that is known.
pub(super) fn is_csv(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n').take(100).filter_map(|line| std::str::from_utf8(line).ok());
    for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
        if line.contains([',', ';', '\t']) && Layout::of(&fields(line, separator(line))).is_some() {
            return true;
        }
        if !line.starts_with('#') {
            return false;
        }
    }
    false
}

fn separator(header: &str) -> char {
    [',', ';', '\t'].into_iter().max_by_key(|separator| header.matches(*separator).count()).unwrap_or(',')
}

pub(super) fn read(bytes: &[u8], options: &Options, sink: &mut Sink<'_>) -> Result<(), String> {
    let mut layout: Option<(Layout, char)> = None;
    for (number, line) in rows(bytes) {
        let place = || format!("line {number}");
        let Ok(line) = std::str::from_utf8(line) else {
            sink.gap(place(), "is no text in UTF-8");
            continue;
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if line.len() > ROW_BYTES_MAX {
            sink.gap(place(), format!("is longer than {ROW_BYTES_MAX} bytes"));
            continue;
        }
        let Some((layout, separator)) = &layout else {
            let separator = separator(line);
            layout = Layout::of(&fields(line, separator)).map(|layout| (layout, separator));
            if layout.is_none() && !line.starts_with('#') {
                return Err(format!("line {number}: no column is named for a value, such as `indicator`, `ip`, `domain`, `url` or `sha256`"));
            }
            continue;
        };
        if line.starts_with('#') {
            continue;
        }
        match layout.indicators(&fields(line, *separator), options) {
            Ok(found) => found.iter().try_for_each(|indicator| sink.add(indicator))?,
            Err(reason) => sink.gap(place(), reason),
        }
    }
    if layout.is_none() { Err("has no header".to_owned()) } else { Ok(()) }
}

/// Rows with the number of their first line; a quoted field may hold line breaks.
fn rows(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let (mut from, mut line) = (0, 1);
    std::iter::from_fn(move || {
        let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
        let (mut quoted, mut breaks, mut end) = (false, 0, rest.len());
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'\n' => {
                    breaks += 1;
                    // A quote that nobody closes ends with its row, or it would take the whole file.
                    if !quoted || at > ROW_BYTES_MAX {
                        end = at;
                        break;
                    }
                }
                _ => {}
            }
        }
        let row = (line, rest.get(..end).unwrap_or_default());
        from += end + 1;
        line += breaks.max(1);
        Some(row)
    })
}

fn fields(line: &str, separator: char) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                if fields.len() >= COLUMNS_MAX {
                    break;
                }
                fields.push(std::mem::take(&mut field));
            }
            // A space behind a separator does not belong to a quoted field.
            ' ' if field.is_empty() && !quoted => {}
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}
