//! All paths of a program as one tree, so that a record is walked once.

use hashbrown::HashMap;

use super::expr::Segment;
use super::words::Words;
use crate::map::code::NOWHERE;
use crate::tree::{self, Node, Nodes};

/// The path segment that any key fits.
const ANY: &str = "*";

/// Number of a path within a program.
pub type Slot = u32;

/// Tree of paths.
#[derive(Debug)]
pub struct Trie {
    nodes: Vec<TrieNode>,
    slots: HashMap<Vec<Segment>, Slot>,
    words: Words,
}

#[derive(Debug, Default)]
struct TrieNode {
    slot: Option<Slot>,
    keys: HashMap<Box<str>, usize>,
    any: Option<usize>,
    places: Vec<(i64, usize)>,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![TrieNode::default()], slots: HashMap::new(), words: Words::default() }
    }
}

impl Trie {
    /// The slot of a path, made when it is new.
    pub fn slot(&mut self, path: &[Segment]) -> Slot {
        if let Some(slot) = self.slots.get(path) {
            return *slot;
        }
        let slot = Slot::try_from(self.slots.len()).unwrap_or(NOWHERE);
        self.slots.insert(path.to_vec(), slot);
        match path {
            [Segment::Word { text, within }] => self.words.add(text, *within, slot),
            _ => self.insert(0, path, slot),
        }
        slot
    }

    /// Number of slots.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no path was ever asked for.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Nested, and with the rest of the path as one key with dots, from each level on.
    fn insert(&mut self, at: usize, path: &[Segment], slot: Slot) {
        if path.iter().any(|segment| matches!(segment, Segment::Word { .. })) {
            return;
        }
        let Some((head, rest)) = path.split_first() else {
            if let Some(node) = self.nodes.get_mut(at) {
                node.slot.get_or_insert(slot);
            }
            return;
        };
        if let Some(flat) = dotted(path) {
            let child = self.child(at, &Segment::Key(flat));
            self.insert(child, &[], slot);
        }
        let child = self.child(at, head);
        self.insert(child, rest, slot);
    }

    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return 0 };
        let found = match segment {
            Segment::Key(key) if key == ANY => *node.any.get_or_insert(next),
            Segment::Key(key) => *node.keys.entry(key.as_str().into()).or_insert(next),
            // A word is a whole path; below one there is nothing to find.
            Segment::Word { .. } => return 0,
            Segment::Index(place) => match node.places.iter().find(|(known, _)| known == place) {
                Some((_, child)) => *child,
                None => {
                    node.places.push((*place, next));
                    next
                }
            },
        };
        if found == next {
            self.nodes.push(TrieNode::default());
        }
        found
    }

    /// Notes for each slot the node where its path leads; the first of equal keys counts.
    pub fn locate(&self, nodes: &Nodes<'_>, slots: &mut Vec<u32>) {
        slots.clear();
        slots.resize(self.slots.len(), NOWHERE);
        self.visit(nodes, 0, 0, slots);
        self.words.locate(nodes, slots);
    }

    fn visit(&self, nodes: &Nodes<'_>, index: usize, at: usize, slots: &mut [u32]) {
        let Some(trie) = self.nodes.get(at) else { return };
        if let Some(found) = trie.slot.and_then(|slot| slots.get_mut(slot as usize)).filter(|found| **found == NOWHERE) {
            *found = u32::try_from(index).unwrap_or(NOWHERE);
        }
        match nodes.get(index) {
            Some(Node::Object { .. }) if !trie.keys.is_empty() || trie.any.is_some() => {
                for (key, value) in tree::entries(nodes, index) {
                    if let Some(child) = trie.keys.get(key) {
                        self.visit(nodes, value, *child, slots);
                    }
                    if let Some(child) = trie.any {
                        self.visit(nodes, value, child, slots);
                    }
                }
            }
            Some(Node::Array { len, .. }) if !trie.places.is_empty() => {
                let len = i64::try_from(*len).unwrap_or(i64::MAX);
                for (position, item) in (0_i64..).zip(tree::items(nodes, index)) {
                    for (place, child) in &trie.places {
                        if *place == position || *place == position - len {
                            self.visit(nodes, item, *child, slots);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

fn dotted(path: &[Segment]) -> Option<String> {
    let keys: Option<Vec<&str>> =
        path.iter().map(|segment| if let Segment::Key(key) = segment { (key != ANY).then_some(key.as_str()) } else { None }).collect();
    keys.filter(|keys| keys.len() > 1).map(|keys| keys.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Builder;

    fn keys(path: &str) -> Vec<Segment> {
        path.split('.').map(|key| key.parse().map_or_else(|_| Segment::Key(key.to_owned()), Segment::Index)).collect()
    }

    #[test]
    fn finds_nested_dotted_and_numbered() {
        let mut trie = Trie::default();
        let (a, b, c) = (trie.slot(&keys("id.orig_h")), trie.slot(&keys("x.-1.y")), trie.slot(&keys("id.resp_h")));
        assert_eq!(trie.slot(&keys("id.orig_h")), a);
        let mut tree = Builder::default();
        tree.object();
        tree.pair("id.orig_h", "h");
        tree.key("id");
        tree.object();
        tree.pair("resp_h", "r");
        tree.end();
        tree.key("x");
        tree.array();
        tree.text("first");
        tree.object();
        tree.pair("y", "last");
        let nodes = tree.finish();
        let mut slots = Vec::new();
        trie.locate(&nodes, &mut slots);
        let found = |slot: Slot| nodes.get(slots[slot as usize] as usize).copied();
        assert_eq!(found(a), Some(Node::String("h")));
        assert_eq!(found(b), Some(Node::String("last")));
        assert_eq!(found(c), Some(Node::String("r")));
    }
}
