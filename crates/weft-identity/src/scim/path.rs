//! Paths of attributes (RFC 7644, section 3.10): `name.givenName`, `urn:…:User:department`, `emails[type eq "work"].value`.

use serde_json::{Map, Value};

use super::filter::Parser;
use super::schema::{self, Attribute, COMMON, Form, SCHEMAS};
use super::{Filter, Refusal};

/// Where an attribute is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// URN of the extension that it belongs to; none for what is at the top.
    pub(super) urn: Option<String>,
    /// The attribute; none when a whole extension is meant.
    pub(super) name: Option<String>,
    /// Part of it.
    pub(super) part: Option<String>,
    /// Which of its values.
    pub(super) filter: Option<Box<Filter>>,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// It is none; `invalidPath`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parser = Parser::of(text).map_err(|refusal| Refusal::of("invalidPath", refusal.detail))?;
        let path = parser.whole_path().map_err(|refusal| Refusal::of("invalidPath", refusal.detail))?;
        if parser.is_done() { Ok(path) } else { Err(Refusal::of("invalidPath", format!("`{text}` is no path of an attribute"))) }
    }

    /// From the words of an attribute path, without a filter.
    pub(super) fn of_words(words: &str) -> Option<Self> {
        if !words.to_ascii_lowercase().starts_with("urn:") {
            return named(None, words);
        }
        if let Some(schema) = SCHEMAS.iter().find(|schema| schema.urn.eq_ignore_ascii_case(words)) {
            return Some(Self { urn: extension(schema.urn), ..Self::default() });
        }
        let (urn, rest) = words.rsplit_once(':')?;
        let known = SCHEMAS.iter().find(|schema| schema.urn.eq_ignore_ascii_case(urn)).map(|schema| schema.urn);
        named(known.map_or_else(|| Some(urn.to_owned()), extension), rest)
    }

    /// The same, as a resource has it: only it tells whether `urn:acme:badge` is a `badge` or all of an extension.
    pub(super) fn within(&self, resource: &Map<String, Value>) -> Self {
        let whole = match (&self.urn, &self.name, &self.part) {
            (Some(urn), Some(name), None) => key_of(resource, &format!("{urn}:{name}")),
            _ => None,
        };
        whole.map_or_else(|| self.clone(), |urn| Self { urn: Some(urn), ..Self::default() })
    }

    /// What the standard says of the attribute.
    pub(super) fn attribute(&self, form: Form) -> Option<&'static Attribute> {
        let name = self.name.as_deref()?;
        match &self.urn {
            None => schema::find(&COMMON, name).or_else(|| schema::find(form.core().attributes, name)),
            Some(urn) => SCHEMAS.iter().find(|schema| schema.urn == urn).and_then(|schema| schema::find(schema.attributes, name)),
        }
    }

    /// The values that it leads to, those of several one by one; a complex one of several is told by its `value`.
    pub(super) fn values<'r>(&self, resource: &'r Map<String, Value>) -> Vec<&'r Value> {
        let at = self.urn.as_deref().map_or(Some(resource), |urn| get(resource, urn).and_then(Value::as_object));
        let (Some(at), Some(name)) = (at, self.name.as_deref()) else { return Vec::new() };
        let Some(value) = get(at, name) else { return Vec::new() };
        let items = value.as_array().map_or_else(|| vec![value], |items| items.iter().collect());
        let part = self.part.as_deref();
        let of = |item: &'r Value| match (item.as_object(), part) {
            (Some(object), Some(part)) => get(object, part),
            (Some(object), None) if value.is_array() => get(object, "value").or(Some(item)),
            (None, Some(_)) => None,
            _ => Some(item),
        };
        items.into_iter().filter_map(of).collect()
    }
}

/// The values that a path leads to, each of several as it is.
pub(super) fn items<'r>(path: &Path, resource: &'r Map<String, Value>) -> Vec<&'r Value> {
    let at = path.urn.as_deref().map_or(Some(resource), |urn| get(resource, urn).and_then(Value::as_object));
    match at.zip(path.name.as_deref()).and_then(|(at, name)| get(at, name)) {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

/// Extensions have a place of their own; what is of a core schema is at the top.
fn extension(urn: &str) -> Option<String> {
    (!urn.contains(":core:")).then(|| urn.to_owned())
}

fn named(urn: Option<String>, words: &str) -> Option<Path> {
    let mut names = words.split('.');
    let name = names.next()?;
    let part = names.next();
    let is_name = |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$') && !word.contains(':');
    let good = is_name(name) && part.is_none_or(is_name) && names.next().is_none();
    good.then(|| Path { urn, name: Some(name.to_owned()), part: part.map(str::to_owned), filter: None })
}

/// A value by its name, in any case.
pub(super) fn get<'m>(map: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    map.get(name).or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// The name under which a value is kept, in any case.
pub(super) fn key_of(map: &Map<String, Value>, name: &str) -> Option<String> {
    map.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned()
}
