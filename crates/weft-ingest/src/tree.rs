//! A raw record as a flat tree of nodes, whatever its format was.
//!
//! The nodes are those of `simd-json`'s tape, so that the JSON path pays nothing; the other
//! decoders push the same nodes. An object is followed by its keys and values in turn, `count`
//! nodes in all.

pub use simd_json::{Node, StaticNode};

/// Nodes of one record; index 0 is the root.
pub type Nodes<'a> = [Node<'a>];

/// The index after the node at `index` and all that is in it.
pub fn after(nodes: &Nodes<'_>, index: usize) -> usize {
    match nodes.get(index) {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => index + count + 1,
        _ => index + 1,
    }
}

/// Keys with the index of their value.
pub fn entries<'n, 'a>(nodes: &'n Nodes<'a>, index: usize) -> impl Iterator<Item = (&'a str, usize)> + use<'n, 'a> {
    let mut left = match nodes.get(index) {
        Some(Node::Object { len, .. }) => *len,
        _ => 0,
    };
    let mut at = index + 1;
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let Some(Node::String(key)) = nodes.get(at) else { return None };
        let value = at + 1;
        at = after(nodes, value);
        Some((*key, value))
    })
}

/// Indexes of the items of an array; of a single other value, that one.
pub fn items<'n, 'a>(nodes: &'n Nodes<'a>, index: usize) -> impl Iterator<Item = usize> + use<'n, 'a> {
    let (mut left, mut at) = match nodes.get(index) {
        Some(Node::Array { len, .. }) => (*len, index + 1),
        Some(_) => (1, index),
        None => (0, index),
    };
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let item = at;
        at = after(nodes, item);
        Some(item)
    })
}

/// The value under `key`.
pub fn get(nodes: &Nodes<'_>, index: usize, key: &str) -> Option<usize> {
    entries(nodes, index).find_map(|(name, value)| (name == key).then_some(value))
}

/// Whether there is no value: null, or an empty object or array.
pub fn is_empty(nodes: &Nodes<'_>, index: usize) -> bool {
    matches!(nodes.get(index), None | Some(Node::Static(StaticNode::Null) | Node::Object { len: 0, .. } | Node::Array { len: 0, .. }))
}

/// Builds nodes for the formats that are not JSON.
#[derive(Debug, Default)]
pub struct Builder<'a> {
    nodes: Vec<Node<'a>>,
    open: Vec<usize>,
}

impl<'a> Builder<'a> {
    /// Builds into a reused vector.
    pub fn new(nodes: Vec<Node<'a>>) -> Self {
        Self { nodes, open: Vec::new() }
    }

    /// Begins an object as the next value.
    pub fn object(&mut self) {
        self.count_item();
        self.open.push(self.nodes.len());
        self.nodes.push(Node::Object { len: 0, count: 0 });
    }

    /// Begins an array as the next value.
    pub fn array(&mut self) {
        self.count_item();
        self.open.push(self.nodes.len());
        self.nodes.push(Node::Array { len: 0, count: 0 });
    }

    /// Ends what was begun last.
    pub fn end(&mut self) {
        let Some(start) = self.open.pop() else { return };
        let total = self.nodes.len() - start - 1;
        if let Some(Node::Object { count, .. } | Node::Array { count, .. }) = self.nodes.get_mut(start) {
            *count = total;
        }
    }

    /// The key of the next value.
    pub fn key(&mut self, key: &'a str) {
        if let Some(Node::Object { len, .. }) = self.open.last().and_then(|start| self.nodes.get_mut(*start)) {
            *len += 1;
        }
        self.nodes.push(Node::String(key));
    }

    /// A text.
    pub fn text(&mut self, value: &'a str) {
        self.count_item();
        self.nodes.push(Node::String(value));
    }

    /// A number, boolean or null.
    pub fn scalar(&mut self, value: StaticNode) {
        self.count_item();
        self.nodes.push(Node::Static(value));
    }

    /// A key with a text.
    pub fn pair(&mut self, key: &'a str, value: &'a str) {
        self.key(key);
        self.text(value);
    }

    /// Copies a value of another tree.
    pub fn copy(&mut self, nodes: &Nodes<'a>, index: usize) {
        self.count_item();
        self.nodes.extend(nodes.get(index..after(nodes, index)).into_iter().flatten());
    }

    /// Number of nodes so far.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes; what is still open is closed.
    pub fn finish(mut self) -> Vec<Node<'a>> {
        while !self.open.is_empty() {
            self.end();
        }
        self.nodes
    }

    fn count_item(&mut self) {
        if let Some(Node::Array { len, .. }) = self.open.last().and_then(|start| self.nodes.get_mut(*start)) {
            *len += 1;
        }
    }
}

/// Appends the value as JSON text.
pub fn write_json(nodes: &Nodes<'_>, index: usize, out: &mut Vec<u8>) {
    write_unless(nodes, index, &|_| false, false, out);
}

/// Appends what of the value is not in `used`, without nulls; nothing at all when all is used.
///
/// Returns whether anything was written.
pub fn write_unused(nodes: &Nodes<'_>, index: usize, used: &impl Fn(usize) -> bool, out: &mut Vec<u8>) -> bool {
    write_unless(nodes, index, used, true, out)
}

fn write_unless(nodes: &Nodes<'_>, index: usize, used: &impl Fn(usize) -> bool, sparse: bool, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut any = !sparse;
    match nodes.get(index) {
        Some(Node::Object { .. }) => {
            out.push(b'{');
            let mut first = true;
            for (key, value) in entries(nodes, index) {
                if used(value) || (sparse && is_empty(nodes, value)) {
                    continue;
                }
                let before = out.len();
                if !first {
                    out.push(b',');
                }
                write_text(key, out);
                out.push(b':');
                if write_unless(nodes, value, used, sparse, out) {
                    (first, any) = (false, true);
                } else {
                    out.truncate(before);
                }
            }
            out.push(b'}');
        }
        Some(Node::Array { .. }) => any |= write_array(nodes, index, used, sparse, out),
        Some(Node::String(text)) => {
            write_text(text, out);
            any = true;
        }
        Some(Node::Static(value)) => {
            write_static(value, out);
            any = true;
        }
        None => return false,
    }
    if !any {
        out.truncate(start);
    }
    any
}

/// Items keep their places: an item that is used up is left out only when it is an object of
/// which nothing remains.
fn write_array(nodes: &Nodes<'_>, index: usize, used: &impl Fn(usize) -> bool, sparse: bool, out: &mut Vec<u8>) -> bool {
    out.push(b'[');
    let mut any = false;
    for item in items(nodes, index) {
        if used(item) {
            continue;
        }
        let before = out.len();
        if any {
            out.push(b',');
        }
        if write_unless(nodes, item, used, sparse, out) {
            any = true;
        } else {
            out.truncate(before);
        }
    }
    out.push(b']');
    any
}

/// Appends a number, boolean or null; what JSON cannot say (NaN) becomes null.
pub fn write_static(value: &StaticNode, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _infallible = match value {
        StaticNode::I64(number) => serde_json::to_writer(out, number),
        StaticNode::U64(number) => serde_json::to_writer(out, number),
        StaticNode::F64(number) => serde_json::to_writer(out, number),
        StaticNode::Bool(value) => serde_json::to_writer(out, value),
        StaticNode::Null => serde_json::to_writer(out, &()),
    };
}

/// Appends a JSON string.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    // Without an early exit inside a chunk, so that the compiler makes vector code of it.
    let escapes = |chunk: &[u8]| chunk.iter().fold(false, |found, byte| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\'));
    if bytes.chunks(64).any(escapes) {
        let _infallible = serde_json::to_writer(out, text);
    } else {
        out.reserve(bytes.len() + 2);
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<Node<'static>> {
        let mut tree = Builder::default();
        tree.object();
        tree.pair("a", "x\"y");
        tree.key("b");
        tree.array();
        tree.scalar(StaticNode::I64(1));
        tree.object();
        tree.pair("c", "d");
        tree.end();
        tree.end();
        tree.key("n");
        tree.scalar(StaticNode::Null);
        tree.finish()
    }

    #[test]
    fn written_and_found_again() {
        let nodes = sample();
        let mut out = Vec::new();
        write_json(&nodes, 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":"x\"y","b":[1,{"c":"d"}],"n":null}"#);
        let list = get(&nodes, 0, "b").unwrap();
        assert_eq!(items(&nodes, list).count(), 2);
        assert_eq!(after(&nodes, 0), nodes.len());
    }

    #[test]
    fn what_is_used_is_left_out() {
        let nodes = sample();
        let a = get(&nodes, 0, "a").unwrap();
        let mut out = Vec::new();
        assert!(write_unused(&nodes, 0, &|index| index == a, &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"b":[1,{"c":"d"}]}"#);
        let mut out = Vec::new();
        assert!(!write_unused(&nodes, 0, &|index| index > 0, &mut out));
        assert!(out.is_empty());
    }
}
