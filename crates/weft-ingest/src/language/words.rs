//! Ends of paths in any spelling: `src_ip`, `SrcIP`, `source.ip` and `flow.srcIp` are one word.
//!
//! Only aliases that begin with `~` ask for them, so only mappings for records that nobody has
//! foreseen pay for the look at every key.

use hashbrown::HashMap;

use super::trie::Slot;
use crate::map::code::NOWHERE;
use crate::tree::{self, Node, Nodes, StaticNode};

/// Bytes of a folded path; what lies deeper has no word.
const PATH_BYTES_MAX: usize = 192;
/// Leaves of one record that are looked at.
const LEAVES_MAX: usize = 4096;

/// Where decoders put the header of a syslog line: it is the relay's, asked for by its own paths.
const HEADER: &str = "syslog";
/// Keys of an object that only names a value: so many, and what they end in.
const NAMED_KEYS_MAX: usize = 5;
const NAMES: [&str; 6] = ["name", "key", "field", "label", "type", "kind"];
const VALUES: [&str; 3] = ["value", "val", "values"];
/// Bytes of a name that stands as a value.
const NAMED_BYTES_MAX: usize = 48;

/// Words that are asked for.
#[derive(Debug, Default)]
pub struct Words {
    /// That begin with a key.
    keys: HashMap<Box<str>, Slot>,
    /// That may begin within one.
    ends: HashMap<Box<str>, Slot>,
}

/// Letters and digits in lower case.
pub fn fold(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl Words {
    /// Asks for a folded word.
    pub fn add(&mut self, word: &str, within: bool, slot: Slot) {
        let words = if within { &mut self.ends } else { &mut self.keys };
        words.entry(word.into()).or_insert(slot);
    }

    /// Notes for each word the leaf of which it says the most: the one whose path has the least
    /// before it, of equals the first. A leaf has one word, its longest.
    pub fn locate(&self, nodes: &Nodes<'_>, slots: &mut [u32]) {
        if self.keys.is_empty() && self.ends.is_empty() {
            return;
        }
        let mut search = Search { words: self, path: String::new(), starts: Vec::new(), found: vec![usize::MAX; slots.len()], left: LEAVES_MAX };
        search.visit(nodes, 0, slots);
    }
}

/// Where a word may begin in the folded path.
#[derive(Debug, Clone, Copy)]
struct Start {
    at: usize,
    key: bool,
}

struct Search<'w> {
    words: &'w Words,
    path: String,
    starts: Vec<Start>,
    /// Bytes before the word, of the leaf that a slot has.
    found: Vec<usize>,
    left: usize,
}

impl Search<'_> {
    fn visit(&mut self, nodes: &Nodes<'_>, index: usize, slots: &mut [u32]) {
        match nodes.get(index) {
            Some(Node::Object { .. }) => {
                self.named(nodes, index, slots);
                for (key, value) in tree::entries(nodes, index).filter(|(key, _)| index != 0 || *key != HEADER) {
                    self.below(key, value, nodes, slots);
                }
            }
            Some(Node::Array { .. }) => {
                let plain = |item: usize| matches!(nodes.get(item), Some(Node::String(_) | Node::Static(_)));
                let pairs = |item: usize| matches!(nodes.get(item), Some(Node::Array { len: 2, .. }));
                if tree::items(nodes, index).all(pairs) {
                    tree::items(nodes, index).for_each(|item| self.paired(nodes, item, slots));
                } else if tree::items(nodes, index).all(plain) {
                    self.leaf(index, slots);
                } else {
                    tree::items(nodes, index).for_each(|item| self.visit(nodes, item, slots));
                }
            }
            Some(Node::Static(StaticNode::Null)) | None => {}
            Some(Node::String(text)) if matches!(text.trim(), "" | "-") => {}
            Some(_) => self.leaf(index, slots),
        }
    }

    /// `{"name": "user", "value": "ada"}`: the value has the name that stands beside it, too.
    fn named(&mut self, nodes: &Nodes<'_>, index: usize, slots: &mut [u32]) {
        let Some(Node::Object { len: 2..=NAMED_KEYS_MAX, .. }) = nodes.get(index) else { return };
        let (mut name, mut value) = (None, None);
        for (key, place) in tree::entries(nodes, index) {
            let folded = fold(key);
            match nodes.get(place) {
                Some(Node::String(text)) if name.is_none() && text.len() <= NAMED_BYTES_MAX && NAMES.iter().any(|end| folded.ends_with(end)) => {
                    name = Some(*text);
                }
                Some(_) if value.is_none() && VALUES.iter().any(|end| folded.ends_with(end)) => value = Some(place),
                _ => {}
            }
        }
        if let (Some(name), Some(value)) = (name, value) {
            self.below(name, value, nodes, slots);
        }
    }

    /// `["user", "ada"]`
    fn paired(&mut self, nodes: &Nodes<'_>, index: usize, slots: &mut [u32]) {
        let mut items = tree::items(nodes, index);
        if let (Some(name), Some(value), None) = (items.next(), items.next(), items.next())
            && let Some(Node::String(name)) = nodes.get(name)
            && name.len() <= NAMED_BYTES_MAX
        {
            self.below(name, value, nodes, slots);
        }
    }

    fn below(&mut self, key: &str, value: usize, nodes: &Nodes<'_>, slots: &mut [u32]) {
        let (path, starts) = (self.path.len(), self.starts.len());
        if path <= PATH_BYTES_MAX {
            self.enter(key);
            self.visit(nodes, value, slots);
        }
        self.path.truncate(path);
        self.starts.truncate(starts);
    }

    /// Appends a key; words within it begin after a separator and at a capital.
    fn enter(&mut self, key: &str) {
        let (mut before, mut first) = (' ', true);
        let mut chars = key.chars().peekable();
        while let Some(c) = chars.next() {
            if c.is_alphanumeric() {
                let capital = c.is_uppercase() && (!before.is_uppercase() || chars.peek().is_some_and(|next| next.is_lowercase()));
                if !before.is_alphanumeric() || capital {
                    // A dotted key is a path.
                    self.starts.push(Start { at: self.path.len(), key: first || before == '.' });
                    first = false;
                }
                self.path.extend(c.to_lowercase());
            }
            before = c;
        }
    }

    fn leaf(&mut self, index: usize, slots: &mut [u32]) {
        let Some(left) = self.left.checked_sub(1) else { return };
        self.left = left;
        for start in &self.starts {
            let Some(word) = self.path.get(start.at..) else { continue };
            let keyed = if start.key { self.words.keys.get(word) } else { None };
            let Some(slot) = keyed.or_else(|| self.words.ends.get(word)).map(|slot| *slot as usize) else { continue };
            if let (Some(found), Some(place)) = (self.found.get_mut(slot), slots.get_mut(slot))
                && (*place == NOWHERE || start.at < *found)
            {
                (*found, *place) = (start.at, u32::try_from(index).unwrap_or(NOWHERE));
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Builder;

    fn found(json: &[(&str, &str)], word: &str, within: bool) -> Option<String> {
        let mut words = Words::default();
        words.add(&fold(word), within, 0);
        let mut tree = Builder::default();
        tree.object();
        json.iter().for_each(|(key, value)| tree.pair(key, value));
        let nodes = tree.finish();
        let mut slots = vec![NOWHERE];
        words.locate(&nodes, &mut slots);
        match nodes.get(slots[0] as usize) {
            Some(Node::String(text)) => Some((*text).to_owned()),
            _ => None,
        }
    }

    #[test]
    fn one_word_in_many_spellings() {
        for key in ["src_ip", "SrcIP", "src.ip", "Src IP", "flow.src-ip"] {
            assert_eq!(found(&[(key, "x")], "src_ip", false).as_deref(), Some("x"), "{key}");
        }
        assert_eq!(found(&[("clientIp", "x")], "ip", true).as_deref(), Some("x"));
        assert_eq!(found(&[("VPNClientIPAddress", "x")], "*client_ip_address", true).as_deref(), Some("x"));
    }

    #[test]
    fn only_from_a_key_on_unless_asked_and_never_within_a_word() {
        assert_eq!(found(&[("clientIp", "x")], "ip", false), None);
        assert_eq!(found(&[("recipe.zip", "x")], "ip", true), None);
        assert_eq!(found(&[("ip", "-"), ("a.ip", "deep"), ("ip", "plain")], "ip", false).as_deref(), Some("plain"));
    }
}
