//! What all rules together want of `unmapped`, taken out of each row in one pass over its JSON.

use std::fmt;

use hashbrown::HashMap;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Parts of a path of which keys with dots are tried in every grouping.
const GROUPED_PARTS_MAX: usize = 6;

/// The paths that are wanted, as a tree of keys.
#[derive(Debug)]
pub(crate) struct Wanted {
    nodes: Vec<Node>,
    numbers: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, usize>,
    /// Where any other key leads to: `*` in a path.
    any: Option<usize>,
    /// The path that ends here.
    path: Option<usize>,
}

/// What was found of each wanted path.
#[derive(Debug, Default)]
pub(crate) struct Found {
    text: String,
    /// By path: row, and where its value stands in the text.
    places: Vec<Vec<(u32, usize, usize)>>,
}

impl Node {
    fn child(&self, key: &str) -> Option<usize> {
        self.children.get(key).copied().or(self.any)
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], numbers: HashMap::new() }
    }
}

impl Wanted {
    /// Adds a path. A source's key may hold dots itself, so every grouping of its parts counts.
    pub(crate) fn add(&mut self, path: &str) {
        let next = self.numbers.len();
        if self.numbers.contains_key(path) {
            return;
        }
        self.numbers.insert(path.to_owned(), next);
        let parts: Vec<&str> = path.split('.').collect();
        self.insert(0, &parts, next);
    }

    fn insert(&mut self, node: usize, parts: &[&str], path: usize) {
        if parts.is_empty() {
            if let Some(node) = self.nodes.get_mut(node) {
                node.path = node.path.or(Some(path));
            }
            return;
        }
        let longest = if parts.len() > GROUPED_PARTS_MAX { 1 } else { parts.len() };
        for length in 1..=longest {
            let Some((head, rest)) = parts.split_at_checked(length) else { continue };
            let key = head.join(".");
            let child = self.child(node, key);
            self.insert(child, rest, path);
        }
    }

    fn child(&mut self, node: usize, key: String) -> usize {
        let next = self.nodes.len();
        let Some(parent) = self.nodes.get_mut(node) else { return 0 };
        let child = if key == "*" { *parent.any.get_or_insert(next) } else { *parent.children.entry(key.into()).or_insert(next) };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// The number of a path in what is found, where it is wanted.
    pub(crate) fn number(&self, path: &str) -> Option<usize> {
        self.numbers.get(path).copied()
    }

    /// Reads the JSON of rows. Text that is no JSON has nothing.
    pub(crate) fn read<'t>(&self, rows: impl Iterator<Item = (usize, &'t str)>) -> Found {
        let mut found = Found { text: String::new(), places: vec![Vec::new(); self.numbers.len()] };
        for (row, text) in rows {
            let mut reader = serde_json::Deserializer::from_str(text);
            // What was read before the text turned out to be broken is kept.
            let _broken = Seed { wanted: self, node: 0, row: u32::try_from(row).unwrap_or(u32::MAX), found: &mut found }.deserialize(&mut reader);
        }
        found
    }

    fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }
}

impl Found {
    /// Rows and values of a path, in order of rows.
    pub(crate) fn values(&self, path: usize) -> impl Iterator<Item = (usize, &str)> {
        let places = self.places.get(path).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|(row, from, to)| Some((*row as usize, self.text.get(*from..*to)?)))
    }

    /// Values of a path in one row.
    pub(crate) fn of(&self, path: usize, row: usize) -> impl Iterator<Item = &str> {
        let places = self.places.get(path).map(Vec::as_slice).unwrap_or_default();
        let from = places.partition_point(|(at, ..)| (*at as usize) < row);
        let here = places.get(from..).unwrap_or_default().iter().take_while(move |(at, ..)| *at as usize == row);
        here.filter_map(|(_, from, to)| self.text.get(*from..*to))
    }

    fn push(&mut self, path: usize, row: u32, write: impl FnOnce(&mut String)) {
        let from = self.text.len();
        write(&mut self.text);
        if let Some(places) = self.places.get_mut(path) {
            places.push((row, from, self.text.len()));
        }
    }
}

/// One value below a node of the tree.
struct Seed<'a> {
    wanted: &'a Wanted,
    node: usize,
    row: u32,
    found: &'a mut Found,
}

impl Seed<'_> {
    fn scalar(self, write: impl FnOnce(&mut String)) {
        if let Some(path) = self.wanted.node(self.node).and_then(|node| node.path) {
            self.found.push(path, self.row, write);
        }
    }

    /// A value that was read as a tree already: it is asked for as a whole.
    fn tree(&mut self, node: usize, value: &Value) {
        let Some(here) = self.wanted.node(node) else { return };
        match value {
            Value::Null => return,
            Value::Array(items) => return items.iter().for_each(|item| self.tree(node, item)),
            Value::Object(entries) => {
                for (key, value) in entries {
                    if let Some(child) = here.child(key) {
                        self.tree(child, value);
                    }
                }
            }
            _ => {}
        }
        if let Some(path) = here.path {
            self.found.push(path, self.row, |text| match value {
                Value::String(value) => text.push_str(value),
                other => text.push_str(&other.to_string()),
            });
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.scalar(|text| text.push_str(if value { "true" } else { "false" }));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(|text| text.push_str(&value.to_string()));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(|text| text.push_str(&value.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.scalar(|text| text.push_str(&Value::from(value).to_string()));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.scalar(|text| text.push_str(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Seed { wanted: self.wanted, node: self.node, row: self.row, found: self.found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let Some(node) = self.wanted.node(self.node) else { return Err(A::Error::custom("the tree is broken")) };
        if node.path.is_some() {
            let tree: Value = serde::Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(entries))?;
            self.tree(self.node, &tree);
            return Ok(());
        }
        while let Some(child) = entries.next_key_seed(Key(node))? {
            match child {
                Some(child) => entries.next_value_seed(Seed { wanted: self.wanted, node: child, row: self.row, found: self.found })?,
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A key, as the child that it leads to.
struct Key<'a>(&'a Node);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.child(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_finds_all() {
        let mut wanted = Wanted::default();
        for path in ["a", "a.b", "e.d.x", "k.l", "n", "w.*.v"] {
            wanted.add(path);
        }
        let rows = [
            r#"{"a":{"b":1,"c":[2]},"e":{"d":{"x":"\u00e9\\"}},"k.l":true,"n":[1,"two",null,{"m":3}],"w":{"q":{"v":7}}}"#,
            "broken",
            r#"{"e.d":{"x":2.5},"n":"#,
        ];
        let found = wanted.read(rows.into_iter().enumerate());
        let values = |path: &str| found.values(wanted.number(path).unwrap()).map(|(row, value)| format!("{row} {value}")).collect::<Vec<_>>();
        assert_eq!(values("a"), [r#"0 {"b":1,"c":[2]}"#]);
        assert_eq!(values("a.b"), ["0 1"]);
        assert_eq!(values("e.d.x"), ["0 é\\", "2 2.5"]);
        assert_eq!(values("k.l"), ["0 true"]);
        assert_eq!(values("w.*.v"), ["0 7"]);
        assert_eq!(values("n"), ["0 1", "0 two", r#"0 {"m":3}"#]);
        assert_eq!(found.of(wanted.number("n").unwrap(), 0).count(), 3);
    }
}
