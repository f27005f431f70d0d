//! What all rules together want of `unmapped`, taken out of each row in one pass over its JSON.

use std::borrow::Cow;

use hashbrown::HashMap;
use serde_json::Value;

use super::scan::{Scalar, Scan, Token};
use crate::sigma::fields::{IN_UNMAPPED, Paths};

/// Parts of a path of which keys with dots are tried in every grouping.
const GROUPED_PARTS_MAX: usize = 6;

/// The fields that are wanted, and of `unmapped` all their paths as a tree of keys.
#[derive(Debug)]
pub(crate) struct Wanted {
    nodes: Vec<Node>,
    numbers: HashMap<String, usize>,
    fields: Vec<Wish>,
    by_paths: HashMap<Paths, FieldId>,
}

/// Number of a field among all that are wanted.
pub(crate) type FieldId = usize;

/// Where the values of a wanted field are looked for.
#[derive(Debug)]
pub(crate) struct Wish {
    /// Numbers of its own paths in `unmapped`: where one has a value, it counts alone.
    pub(crate) own: Vec<usize>,
    /// Then these, in order.
    pub(crate) places: Vec<Place>,
}

/// A place of an event.
#[derive(Debug)]
pub(crate) enum Place {
    /// The number of a path in `unmapped`.
    Unmapped(usize),
    /// Top-level column, and the path below it.
    Column(String, String),
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, usize>,
    /// Where any other key leads to: `*` in a path.
    any: Option<usize>,
    /// The path that ends here.
    path: Option<usize>,
}

/// What was found of each wanted path, in order of rows.
#[derive(Debug, Default)]
pub(crate) struct Found<'t> {
    /// By path: row and value.
    values: Vec<Vec<(u32, Scalar<'t>)>>,
}

impl Node {
    fn child(&self, key: &str) -> Option<usize> {
        self.children.get(key).copied().or(self.any)
    }
}

impl Default for Wanted {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], numbers: HashMap::new(), fields: Vec::new(), by_paths: HashMap::new() }
    }
}

impl Wanted {
    /// The number of a field, which is wanted from now on.
    pub(crate) fn field(&mut self, paths: &Paths) -> FieldId {
        if let Some(known) = self.by_paths.get(paths) {
            return *known;
        }
        let own = paths.own.iter().map(|path| self.add(path)).collect();
        let place = |path: &String| match path.strip_prefix(IN_UNMAPPED) {
            Some(path) => Place::Unmapped(self.add(path)),
            None => {
                let (head, rest) = path.split_once('.').unwrap_or((path, ""));
                Place::Column(head.to_owned(), rest.to_owned())
            }
        };
        let places = paths.ocsf.iter().map(place).collect();
        self.fields.push(Wish { own, places });
        self.by_paths.insert(paths.clone(), self.fields.len() - 1);
        self.fields.len() - 1
    }

    /// Where a wanted field is looked for.
    pub(crate) fn wish(&self, field: FieldId) -> Option<&Wish> {
        self.fields.get(field)
    }

    /// Adds a path. A source's key may hold dots itself, so every grouping of its parts counts.
    fn add(&mut self, path: &str) -> usize {
        let next = self.numbers.len();
        if let Some(known) = self.numbers.get(path) {
            return *known;
        }
        self.numbers.insert(path.to_owned(), next);
        let parts: Vec<&str> = path.split('.').collect();
        self.insert(0, &parts, next);
        next
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
    pub(crate) fn read<'t>(&self, rows: impl Iterator<Item = (usize, &'t str)>) -> Found<'t> {
        let mut found = Found { values: vec![Vec::new(); self.numbers.len()] };
        for (row, text) in rows {
            let mut reader = Reader { wanted: self, row: u32::try_from(row).unwrap_or(u32::MAX), scan: Scan::new(text), found: &mut found };
            // What was read before the text turned out to be broken is kept.
            let _broken = reader.value(0);
        }
        found
    }

    fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }
}

impl<'t> Found<'t> {
    /// Rows and values of a path, in order of rows, of those that are asked.
    pub(crate) fn values(&self, path: usize, asked: &impl Fn(usize) -> bool) -> impl Iterator<Item = (usize, Cow<'_, str>)> {
        let here = self.values.get(path).into_iter().flatten().filter(|(row, _)| asked(*row as usize));
        here.filter_map(|(row, value)| Some((*row as usize, value.text()?)))
    }

    /// Values of a path in one row.
    pub(crate) fn of(&self, path: usize, row: usize) -> impl Iterator<Item = Cow<'_, str>> {
        let values = self.values.get(path).map(Vec::as_slice).unwrap_or_default();
        let from = values.partition_point(|(at, _)| (*at as usize) < row);
        let here = values.get(from..).unwrap_or_default().iter().take_while(move |(at, _)| *at as usize == row);
        here.filter_map(|(_, value)| value.text())
    }

    fn push(&mut self, path: usize, row: u32, value: Scalar<'t>) {
        if let Some(values) = self.values.get_mut(path) {
            values.push((row, value));
        }
    }
}

/// One row on its way through the tree of keys.
struct Reader<'w, 't> {
    wanted: &'w Wanted,
    row: u32,
    scan: Scan<'t>,
    found: &'w mut Found<'t>,
}

impl<'t> Reader<'_, 't> {
    /// The value that stands next, which belongs to `node`; none where the text is broken.
    fn value(&mut self, node: usize) -> Option<()> {
        let here = self.wanted.node(node)?;
        match self.scan.token()? {
            Token::Object if here.path.is_some() => {
                let tree = serde_json::from_str(self.scan.whole()?).ok()?;
                self.tree(node, &tree);
            }
            Token::Object => {
                while let Some(key) = self.scan.key()? {
                    match here.child(&key.text()?) {
                        Some(child) => self.value(child)?,
                        None => self.scan.skip()?,
                    }
                }
            }
            Token::Array => {
                while self.scan.item()? {
                    self.value(node)?;
                }
            }
            Token::Null => {}
            Token::Scalar(value) => {
                if let Some(path) = here.path {
                    self.found.push(path, self.row, value);
                }
            }
        }
        Some(())
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
            let text = if let Value::String(text) = value { text.clone() } else { value.to_string() };
            self.found.push(path, self.row, Scalar::Meant(text));
        }
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
        let values = |path: &str| found.values(wanted.number(path).unwrap(), &|_| true).map(|(row, value)| format!("{row} {value}")).collect::<Vec<_>>();
        assert_eq!(values("a"), [r#"0 {"b":1,"c":[2]}"#]);
        assert_eq!(values("a.b"), ["0 1"]);
        assert_eq!(values("e.d.x"), ["0 é\\", "2 2.5"]);
        assert_eq!(values("k.l"), ["0 true"]);
        assert_eq!(values("w.*.v"), ["0 7"]);
        assert_eq!(values("n"), ["0 1", "0 two", r#"0 {"m":3}"#]);
        assert_eq!(found.of(wanted.number("n").unwrap(), 0).count(), 3);
    }

    /// The same by way of a tree of the whole record.
    fn by_tree(wanted: &Wanted, value: &Value, node: usize, found: &mut Vec<(usize, String)>) {
        let here = wanted.node(node).unwrap();
        match (value, here.path) {
            (Value::Null, _) => {}
            (Value::Array(items), _) => items.iter().for_each(|item| by_tree(wanted, item, node, found)),
            (Value::Object(entries), path) => {
                for (key, value) in entries {
                    if let Some(child) = here.child(key) {
                        by_tree(wanted, value, child, found);
                    }
                }
                found.extend(path.map(|path| (path, value.to_string())));
            }
            (Value::String(text), Some(path)) => found.push((path, text.clone())),
            (other, Some(path)) => found.push((path, other.to_string())),
            (_, None) => {}
        }
    }

    fn json() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e6..1e6).prop_map(Value::from),
            "[a-c{}\\[\\],:\"\\\\\n é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[a-c\"]{1,2}", inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn a_record_is_read_as_its_tree_is(record in json(), spaced: bool) {
            let mut wanted = Wanted::default();
            for path in ["a", "a.b", "b.c.a", "c", "aa.*.b", "b.a"] {
                wanted.add(path);
            }
            let text = if spaced { serde_json::to_string_pretty(&record).unwrap() } else { record.to_string() };
            let record: Value = serde_json::from_str(&text).unwrap();
            let found = wanted.read([(0, text.as_str())].into_iter());
            let mut expected = Vec::new();
            by_tree(&wanted, &record, 0, &mut expected);
            for path in 0..wanted.numbers.len() {
                let here = expected.iter().filter(|(at, _)| *at == path).map(|(_, value)| value.as_str());
                proptest::prop_assert_eq!(found.of(path, 0).collect::<Vec<_>>(), here.collect::<Vec<_>>());
            }
        }
    }
}
