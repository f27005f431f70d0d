//! The shape of `connector.toml` and of mapping files.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::Faults;
use super::webhook::WebhookFile;

/// Targets with their expressions; a number or boolean stands for itself.
pub type Sets = BTreeMap<String, Spanned<toml::Value>>;

/// `connector.toml`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorFile {
    /// Folder name.
    pub name: String,
    /// Vendor, for people.
    pub vendor: String,
    /// Product, for people.
    pub product: String,
    /// Where it belongs: identity, endpoint, host, network, cloud, saas, generic.
    pub domain: Domain,
    /// What the connector can do.
    #[serde(default)]
    pub facets: Vec<String>,
    /// ATT&CK data sources and components that it feeds.
    #[serde(default)]
    pub data_sources: Vec<String>,
    /// Settings that an operator gives, by name, with a word on each.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Record types.
    #[serde(default)]
    pub stream: Vec<StreamFile>,
    /// How its deliveries are known to be its own, where it sends any.
    #[serde(default)]
    pub webhook: Option<WebhookFile>,
}

/// What a connector is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Domain {
    Identity,
    Endpoint,
    Host,
    Network,
    Cloud,
    Saas,
    Email,
    Data,
    Ot,
    Generic,
}

/// A record type in `connector.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamFile {
    /// Second half of STREAM.
    pub name: Spanned<String>,
    /// For people.
    #[serde(default)]
    pub title: String,
    /// How records are read; of several the first that fits.
    pub format: OneOrMany,
    /// Keys of arrays that carry records in a JSON document.
    #[serde(default)]
    pub records: Vec<String>,
    /// Condition that tells records of this stream from all others.
    #[serde(default)]
    pub recognise: Option<Spanned<String>>,
    /// Mapping files, in the order in which they are tried.
    #[serde(default)]
    pub mappings: Vec<String>,
    /// Text attributes that are parsed in place.
    #[serde(default)]
    pub expand: Vec<ExpandFile>,
    /// Column names, for CSV without a header.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Column separator, for CSV.
    #[serde(default)]
    pub delimiter: Option<String>,
}

/// One format or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the names say it")]
pub enum OneOrMany {
    One(Format),
    Many(Vec<Format>),
}

/// How records of a stream are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "docs/guide/mapping.md describes each")]
pub enum Format {
    Json,
    Xml,
    Evtx,
    Syslog,
    Cef,
    Leef,
    Kv,
    Csv,
    Zeek,
    Auditd,
    WineventText,
    Text,
    Ocsf,
}

/// A text attribute that is parsed in place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpandFile {
    /// Dotted path.
    pub path: String,
    /// What its text is.
    #[serde(rename = "as")]
    pub form: Form,
}

/// What the text of an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "docs/guide/mapping.md describes each")]
pub enum Form {
    Json,
    Xml,
    Kv,
    Auditd,
    Syslog,
    Cef,
    Csvlist,
    Prose,
    Auto,
}

/// A mapping file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingFile {
    /// Other files of the folder whose `absent`, `alias`, `table`, `set` and `group` are taken over.
    #[serde(default)]
    pub include: Vec<String>,
    /// Condition for all events of the file; where none fits, the next file is tried.
    #[serde(default)]
    pub when: Option<Spanned<String>>,
    /// Texts that mean "no value".
    #[serde(default = "absent_default")]
    pub absent: Vec<String>,
    /// The same attribute in several shapes.
    #[serde(default)]
    pub alias: BTreeMap<String, Vec<Spanned<String>>>,
    /// Enum tables.
    #[serde(default)]
    pub table: BTreeMap<String, BTreeMap<String, Spanned<toml::Value>>>,
    /// For every event whose class has the attribute.
    #[serde(default)]
    pub set: Sets,
    /// Lists for every event whose class has the attribute.
    #[serde(default)]
    pub each: Vec<EachFile>,
    /// Sets that several events share.
    #[serde(default)]
    pub group: BTreeMap<String, Sets>,
    /// Events, the first that fits wins.
    #[serde(default)]
    pub event: Vec<EventFile>,
}

fn absent_default() -> Vec<String> {
    vec![String::new()]
}

/// One kind of event.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFile {
    /// Condition.
    #[serde(default)]
    pub when: Option<Spanned<String>>,
    /// Condition with captures.
    #[serde(default, rename = "match")]
    pub capture: Option<MatchFile>,
    /// OCSF class name.
    pub class: Spanned<String>,
    /// Groups.
    #[serde(default, rename = "use")]
    pub groups: Vec<Spanned<String>>,
    /// Targets of this event alone.
    #[serde(default)]
    pub set: Sets,
    /// Lists.
    #[serde(default)]
    pub each: Vec<EachFile>,
}

/// A regex on a text attribute, with captures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchFile {
    /// Expression that gives the text.
    pub on: Spanned<String>,
    /// Regex with named groups.
    pub regex: Spanned<String>,
}

/// One element for each item.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EachFile {
    /// Target list of objects.
    pub into: Spanned<String>,
    /// Source array.
    pub from: Spanned<String>,
    /// Condition on the item.
    #[serde(default)]
    pub when: Option<Spanned<String>>,
    /// Targets within the element.
    pub set: Sets,
}

/// Reads a TOML file; a fault of its form is noted.
pub fn read<T: serde::de::DeserializeOwned>(text: &str, faults: &mut Faults<'_>) -> Option<T> {
    match toml::from_str(text) {
        Ok(file) => Some(file),
        Err(error) => {
            faults.add(error.span().map_or(0, |span| span.start), error.message());
            None
        }
    }
}
