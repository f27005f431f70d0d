//! YAML as a tree that remembers lines, read under a budget.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::Fault;

/// Longest rule file; the longest public rule is a tenth of it.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting; rules need six.
const DEPTH_MAX: usize = 24;
/// Nodes of a file; a list of 10,000 indicators fits.
const NODES_MAX: usize = 50_000;

/// A value with the line it stands on.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Line, from 1.
    pub line: u64,
    /// The value.
    pub value: Yaml,
}

/// A YAML value; numbers keep the text that Sigma compares with.
#[derive(Debug, Clone, PartialEq)]
pub enum Yaml {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number, as text.
    Number(String),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in order.
    Map(Vec<(String, Node)>),
}

/// Reads every document of a file.
///
/// # Errors
/// The first fault, with its line: not YAML, or beyond the budget.
pub fn read(text: &str) -> Result<Vec<Node>, Fault> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Fault::at(0, format!("the file is longer than {FILE_BYTES_MAX} bytes; split it")));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 256,
            max_total_scalar_bytes: 2 * FILE_BYTES_MAX,
        },
        // `y`, `no`, `on` are the words that they are; only `true` and `false` are booleans.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |place| place.line());
        let message = error.without_snippet().to_string();
        Fault::at(line, format!("not readable as YAML: {}", message.lines().next().unwrap_or_default().trim_end_matches('.')))
    })
}

impl Node {
    /// The value of a key, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The entries, where this is a mapping.
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Yaml::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The same without a key.
    pub(crate) fn without(&self, key: &str) -> Self {
        match &self.value {
            Yaml::Map(entries) => Self { line: self.line, value: Yaml::Map(entries.iter().filter(|(name, _)| name != key).cloned().collect()) },
            _ => self.clone(),
        }
    }

    /// This mapping laid over another one; mappings inside are joined, anything else replaces.
    pub(crate) fn over(self, below: Option<&Self>) -> Self {
        let Some(below) = below else { return self };
        let (Yaml::Map(own), Yaml::Map(others)) = (&self.value, &below.value) else { return self };
        let mut joined: Vec<(String, Self)> = others.clone();
        for (key, value) in own {
            match joined.iter_mut().find(|(name, _)| name == key) {
                Some((_, present)) => *present = value.clone().over(Some(present)),
                None => joined.push((key.clone(), value.clone())),
            }
        }
        Self { line: self.line, value: Yaml::Map(joined) }
    }

    /// The items of a list, or the node itself as its only item; nothing for null.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Yaml::List(items) => items,
            Yaml::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// The text of a scalar; null has none.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Yaml::Bool(value) => Some(value.to_string()),
            Yaml::Number(text) | Yaml::Text(text) => Some(text.clone()),
            Yaml::Null | Yaml::List(_) | Yaml::Map(_) => None,
        }
    }

    /// The text at a key; a fault when it is there and not a scalar.
    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        match self.get(key) {
            None => Ok(None),
            Some(Self { value: Yaml::Null, .. }) => Ok(None),
            Some(node) => node.scalar().map(Some).ok_or_else(|| Fault::at(node.line, format!("`{key}` must be a text"))),
        }
    }

    /// The texts at a key: a list, one text, or nothing.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, Fault> {
        let Some(node) = self.get(key) else { return Ok(Vec::new()) };
        node.items().iter().map(|item| item.scalar().ok_or_else(|| Fault::at(item.line, format!("`{key}` must be a list of texts")))).collect()
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Yaml>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Yaml, E> {
        Ok(Yaml::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Yaml::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_line() {
        let documents = read("a: 1\nb:\n  - x\n  - ~\n---\nc: true\n").unwrap();
        let first = documents.first().unwrap();
        assert_eq!(first.get("a").unwrap().scalar().as_deref(), Some("1"));
        let list = first.get("b").unwrap().items();
        assert_eq!((list[0].line, list[1].line), (3, 4));
        assert_eq!(list[1].value, Yaml::Null);
        assert_eq!(documents[1].get("c").unwrap().value, Yaml::Bool(true));
    }

    #[test]
    fn hostile_files_are_refused_in_no_time() {
        let deep = "[".repeat(10_000);
        assert!(read(&deep).is_err());
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", ")));
        }
        assert!(read(&laughs).is_err());
        let fault = read("a: 1\nb: [\n").unwrap_err();
        assert!(fault.line >= 2, "{fault:?}");
    }
}
