//! Values of expressions, and what they are as text, number and boolean.

use bumpalo::Bump;

use crate::tree::{self, Node, Nodes, StaticNode};

/// A value; everything borrowed lives as long as the record's arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Val<'a> {
    /// Absent.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// An object or array of a tree, by its index.
    Node(&'a Nodes<'a>, usize),
    /// A list made by an expression.
    List(&'a [Val<'a>]),
}

impl<'a> Val<'a> {
    /// The value at `index` of a tree.
    pub fn of(nodes: &'a Nodes<'a>, index: usize) -> Self {
        match nodes.get(index) {
            Some(Node::String(text)) => Self::Text(text),
            Some(Node::Static(StaticNode::I64(number))) => Self::Int(*number),
            // Numbers above i64 lose their low digits, which no OCSF type could hold anyway.
            #[expect(clippy::cast_precision_loss, reason = "see above")]
            Some(Node::Static(StaticNode::U64(number))) => i64::try_from(*number).map_or(Self::Float(*number as f64), Self::Int),
            Some(Node::Static(StaticNode::F64(number))) => Self::Float(*number),
            Some(Node::Static(StaticNode::Bool(value))) => Self::Bool(*value),
            Some(Node::Static(StaticNode::Null)) | None => Self::Null,
            Some(Node::Object { .. } | Node::Array { .. }) => Self::Node(nodes, index),
        }
    }

    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether there is nothing, or an empty object or list.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Node(nodes, index) => tree::is_empty(nodes, *index),
            Self::List(items) => items.is_empty(),
            _ => false,
        }
    }

    /// As text; objects and arrays as JSON.
    pub fn text(self, arena: &'a Bump) -> Option<&'a str> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Int(number) => Some(arena.alloc_str(&number.to_string())),
            Self::Float(number) => Some(arena.alloc_str(&number.to_string())),
            Self::Node(..) | Self::List(_) => self.json(arena),
        }
    }

    /// As text that is there already; no numbers.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As JSON text.
    pub fn json(self, arena: &'a Bump) -> Option<&'a str> {
        let mut out = Vec::new();
        self.write_json(&mut out);
        std::str::from_utf8(&out).ok().map(|text| &*arena.alloc_str(text))
    }

    fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Self::Null => tree::write_static(&StaticNode::Null, out),
            Self::Bool(value) => tree::write_static(&StaticNode::Bool(value), out),
            Self::Int(number) => tree::write_static(&StaticNode::I64(number), out),
            Self::Float(number) => tree::write_static(&StaticNode::F64(number), out),
            Self::Text(text) => tree::write_text(text, out),
            Self::Node(nodes, index) => tree::write_json(nodes, index, out),
            Self::List(items) => {
                out.push(b'[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
        }
    }

    /// As a whole number: numbers, decimal and `0x` text, floats without a fraction cut.
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Float(number) => float_to_int(number),
            Self::Bool(value) => Some(i64::from(value)),
            Self::Text(text) => text_to_int(text),
            _ => None,
        }
    }

    /// As a number.
    pub fn float(self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "OCSF floats are doubles")]
            Self::Int(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// As a boolean.
    pub fn bool(self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(value),
            Self::Int(0) => Some(false),
            Self::Int(1) => Some(true),
            Self::Text(text) => text_to_bool(text),
            _ => None,
        }
    }

    /// Whether it counts as true in a condition: present and not false.
    pub fn holds(self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    /// Whether it is an array or a list.
    pub fn is_list(&self) -> bool {
        match self {
            Self::List(_) => true,
            Self::Node(nodes, index) => matches!(nodes.get(*index), Some(Node::Array { .. })),
            _ => false,
        }
    }

    /// Items of an array or list; one other value is a list of itself.
    pub fn items(self, arena: &'a Bump) -> &'a [Val<'a>] {
        match self {
            Self::Null => &[],
            Self::List(items) => items,
            Self::Node(nodes, index) if matches!(nodes.get(index), Some(Node::Array { .. })) => {
                arena.alloc_slice_fill_iter(tree::items(nodes, index).map(|item| Val::of(nodes, item)).collect::<Vec<_>>())
            }
            other => arena.alloc_slice_copy(&[other]),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn float_to_int(number: f64) -> Option<i64> {
    (number.is_finite() && number.abs() < 9.2e18).then_some(number as i64)
}

fn text_to_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hex {
        Some(digits) => u64::from_str_radix(digits, 16).ok().and_then(|number| i64::try_from(number).ok()),
        None => text.parse().ok().or_else(|| text.contains('.').then(|| text.parse().ok().and_then(float_to_int)).flatten()),
    }
}

fn text_to_bool(text: &str) -> Option<bool> {
    const TRUE: [&str; 5] = ["true", "t", "yes", "1", "y"];
    const FALSE: [&str; 5] = ["false", "f", "no", "0", "n"];
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if TRUE.iter().any(is) { Some(true) } else { FALSE.iter().any(is).then_some(false) }
}
