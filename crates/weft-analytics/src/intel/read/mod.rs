//! What feeds publish, to indicators.
//!
//! Every reader is total: each object, attribute or line is an indicator, a gap with the reason, or
//! counted as something that need not be one.

mod csv;
mod list;
pub mod misp;
mod pattern;
mod stix;
mod time;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::pack::{Known, Writer};
use super::{Gap, Indicator, Kind, Lists};

pub use time::millis;

/// Most bytes of one document.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 30;
/// Confidence of what says nothing about it.
pub const CONFIDENCE: u8 = 50;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// STIX 2.1 bundle, or the envelope of a TAXII answer.
    Stix,
    /// MISP event or events.
    Misp,
    /// MISP warning list.
    WarningList,
    /// Manifest of a MISP feed: ids of events.
    Manifest,
    /// Columns.
    Csv,
    /// One value a line.
    List,
}

/// What holds for a whole source.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Now, epoch milliseconds.
    pub at: i64,
    /// Confidence of what says nothing about it, 0 to 100.
    pub confidence: u8,
    /// Milliseconds that what says nothing about it holds from now on.
    pub valid_for: Option<i64>,
    /// What values are; by their looks without it.
    pub kind: Option<Kind>,
}

/// Where readers put what they find.
pub struct Sink<'s> {
    /// The pack.
    pub writer: &'s mut Writer,
    /// Asked first.
    pub lists: &'s Lists,
    /// Objects that other sources told of.
    pub known: &'s BTreeMap<String, Known>,
    /// Ids that were said to hold no more.
    pub revoked: Vec<String>,
}

impl Sink<'_> {
    fn add(&mut self, indicator: &Indicator) -> Result<(), String> {
        self.writer.add(indicator, self.lists)
    }

    fn gap(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        self.writer.gap(Gap::new(place, reason));
    }
}

#[derive(Deserialize)]
struct Probe {
    #[serde(rename = "type")]
    kind: Option<IgnoredAny>,
    name: Option<IgnoredAny>,
    list: Option<IgnoredAny>,
    objects: Option<IgnoredAny>,
    more: Option<IgnoredAny>,
    #[serde(rename = "Event")]
    event: Option<IgnoredAny>,
    response: Option<IgnoredAny>,
}

/// What a document is, by its looks.
///
/// # Errors
/// It is JSON of another kind.
pub fn recognise(bytes: &[u8]) -> Result<Format, String> {
    let first = bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf));
    match first {
        Some(b'{') => {}
        Some(b'[') if serde_json::from_slice::<Vec<IgnoredAny>>(bytes).is_ok() => return Ok(Format::Misp),
        _ => return Ok(if csv::is_csv(bytes) { Format::Csv } else { Format::List }),
    }
    let probe: Probe = serde_json::from_slice(without_mark(bytes)).map_err(|error| format!("is no JSON: {error}"))?;
    let manifest = || serde_json::from_slice::<BTreeMap<String, misp::Listed>>(without_mark(bytes)).is_ok_and(|listed| !listed.is_empty());
    match probe {
        Probe { list: Some(_), kind: Some(_), name: Some(_), .. } => Ok(Format::WarningList),
        Probe { event: Some(_), .. } | Probe { response: Some(_), .. } => Ok(Format::Misp),
        Probe { objects: Some(_), .. } | Probe { more: Some(_), .. } => Ok(Format::Stix),
        Probe { kind: Some(_), .. } => Ok(Format::Stix),
        _ if manifest() => Ok(Format::Manifest),
        _ => Err("is JSON of no kind that is known: neither a STIX bundle, a MISP event, feed or warning list".to_owned()),
    }
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Reads a document of a format whose content is indicators.
///
/// # Errors
/// The document as a whole cannot be read.
pub fn read(format: Format, bytes: &[u8], options: &Options, sink: &mut Sink<'_>) -> Result<(), String> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(format!("is longer than {DOCUMENT_BYTES_MAX} bytes; split it"));
    }
    let bytes = without_mark(bytes);
    match format {
        Format::Stix => stix::read(bytes, options, sink),
        Format::Misp => misp::read(bytes, options, sink),
        Format::Csv => csv::read(bytes, options, sink),
        Format::List => list::read(bytes, options, sink),
        Format::WarningList => Err("is a warning list".to_owned()),
        Format::Manifest => Err("is the manifest of a feed: give its address, or the folder with its events".to_owned()),
    }
}

/// Ids of the events that the manifest of a MISP feed lists.
///
/// # Errors
/// It is none.
pub fn manifest(bytes: &[u8]) -> Result<Vec<String>, String> {
    let listed: BTreeMap<String, misp::Listed> = serde_json::from_slice(without_mark(bytes)).map_err(|error| format!("is no manifest: {error}"))?;
    // An id becomes part of an address.
    let fits = |id: &String| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Ok(listed.into_keys().filter(fits).collect())
}
