//! Which events a logsource means, and where its fields stand in OCSF: a readable file.

use std::collections::BTreeMap;

use serde::Deserialize;
use weft_model::ClassUid;

use super::rule::LogSource;

/// The kinds of event that logsources mean; many to many.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldMap {
    kinds: Vec<Kind>,
}

/// One kind of event.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// Name, for messages.
    pub name: String,
    /// Logsource that means it.
    pub logsource: LogSource,
    /// Classes in which it occurs; none means all.
    pub classes: Vec<ClassUid>,
    /// Paths and values (without case) that every such event has.
    pub when: Vec<(String, Vec<String>)>,
    fields: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    kind: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    category: Option<String>,
    product: Option<String>,
    service: Option<String>,
    #[serde(default)]
    class: Vec<u32>,
    #[serde(default)]
    when: BTreeMap<String, Vec<Scalar>>,
    #[serde(default)]
    fields: BTreeMap<String, OneOrMore>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl FieldMap {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        Ok(Self { kinds: file.kind.into_iter().map(Kind::from).collect() })
    }

    /// Adds the kinds of another file, e.g. those of a connector.
    pub fn extend(&mut self, other: Self) {
        self.kinds.extend(other.kinds);
    }

    /// The kinds that a rule's logsource means: every attribute that the rule names is the same.
    pub fn kinds_of<'a>(&'a self, asked: &'a LogSource) -> impl Iterator<Item = &'a Kind> {
        fn meets(asked: Option<&str>, has: Option<&str>) -> bool {
            asked.is_none_or(|asked| has.is_some_and(|has| has.eq_ignore_ascii_case(asked)))
        }
        self.kinds.iter().filter(move |kind| {
            let has = &kind.logsource;
            meets(asked.category.as_deref(), has.category.as_deref())
                && meets(asked.product.as_deref(), has.product.as_deref())
                && meets(asked.service.as_deref(), has.service.as_deref())
        })
    }
}

impl Kind {
    /// The OCSF paths of a field; a field that the file does not name is a path itself.
    pub fn paths(&self, field: &str) -> Vec<String> {
        match self.fields.get(field) {
            Some(paths) => paths.clone(),
            None if field.is_empty() => ["raw_data", "message", "unmapped"].map(str::to_owned).to_vec(),
            None => vec![field.to_owned()],
        }
    }
}

impl From<Entry> for Kind {
    fn from(entry: Entry) -> Self {
        let text = |value: Scalar| match value {
            Scalar::Bool(value) => value.to_string(),
            Scalar::Number(value) => value.to_string(),
            Scalar::Text(value) => value.to_lowercase(),
        };
        let paths = |paths: OneOrMore| match paths {
            OneOrMore::One(path) => vec![path],
            OneOrMore::More(paths) => paths,
        };
        Self {
            name: entry.name,
            logsource: LogSource { category: entry.category, product: entry.product, service: entry.service },
            classes: entry.class.into_iter().map(ClassUid).collect(),
            when: entry.when.into_iter().map(|(path, values)| (path, values.into_iter().map(text).collect())).collect(),
            fields: entry.fields.into_iter().map(|(field, to)| (field, paths(to))).collect(),
        }
    }
}
