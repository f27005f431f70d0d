//! Compiled expressions and how they are evaluated on one record.

use std::sync::Arc;

use bumpalo::Bump;
use hashbrown::HashMap;
use weft_model::{RawBatch, RawRecord};

use super::func::Func;
use super::pattern::Pattern;
use super::value::Val;
use crate::language::expr::{ContextKey, Op, Segment};
use crate::tree::{self, Nodes};

/// No node at this slot.
pub const NOWHERE: u32 = u32::MAX;

/// An enum table of a mapping file: folded text to value.
#[derive(Debug, Default)]
pub struct Table {
    /// By lower-case key.
    pub rows: HashMap<String, Code>,
    /// The row `*`.
    pub rest: Option<Code>,
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub enum Code {
    /// No value.
    Null,
    /// A boolean constant.
    Bool(bool),
    /// A number constant.
    Int(i64),
    /// A number constant.
    Float(f64),
    /// A text constant.
    Text(Arc<str>),
    /// The first of these slots that holds a value.
    Slots(Box<[u32]>),
    /// A place below the item of an `each`.
    Item(Box<[Segment]>),
    /// What surrounds the record.
    Context(ContextKey),
    /// A capture of the event's `match`, by number.
    Capture(usize),
    /// A list without what is absent.
    List(Box<[Code]>),
    /// The first that is present.
    Coalesce(Box<[Code]>),
    /// Value, condition, otherwise.
    Choice(Box<[Code; 3]>),
    /// A function.
    Call(Func, Box<[Code]>),
    /// A value looked up in an enum table.
    Table(Box<Code>, Arc<Table>),
    /// A group of a regex.
    Group(Box<Code>, Arc<Pattern>, usize),
    /// Every match of a regex replaced.
    Replace(Box<Code>, Arc<Pattern>, Arc<str>),
    /// `not`
    Not(Box<Code>),
    /// `and`
    All(Box<[Code]>),
    /// `or`
    Any(Box<[Code]>),
    /// A comparison.
    Compare(Op, Box<[Code; 2]>),
    /// `in`
    In(Box<Code>, Box<[Code]>),
    /// `~`
    Matches(Box<Code>, Arc<Pattern>),
}

/// What expressions see: one record.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The record as a tree.
    pub nodes: &'a Nodes<'a>,
    /// Where the paths of the program were found.
    pub slots: &'a [u32],
    /// Item of an `each`.
    pub item: Val<'a>,
    /// Its place, from 0.
    pub index: i64,
    /// Texts that mean absent.
    pub absent: &'a [String],
    /// Captures of the event's `match`.
    pub captures: &'a [Option<&'a str>],
    /// Batch that the record is of.
    pub batch: &'a RawBatch,
    /// The record.
    pub record: &'a RawRecord,
    /// All of it as text.
    pub whole: &'a str,
    /// Memory for values that are made, freed after the record.
    pub arena: &'a Bump,
}

impl<'a> Scope<'a> {
    /// The value of a node; absent where its text means so.
    pub fn value(&self, index: usize) -> Val<'a> {
        match Val::of(self.nodes, index) {
            Val::Text(text) if self.is_absent(text) => Val::Null,
            value => value,
        }
    }

    fn is_absent(&self, text: &str) -> bool {
        self.absent.iter().any(|absent| absent == text)
    }

    fn slots(&self, slots: &[u32]) -> Val<'a> {
        for slot in slots {
            let Some(node) = self.slots.get(*slot as usize).filter(|node| **node != NOWHERE) else { continue };
            let value = self.value(*node as usize);
            if !value.is_null() {
                return value;
            }
        }
        Val::Null
    }

    /// The node that `segments` lead to from `index`.
    pub fn walk(&self, mut index: usize, segments: &[Segment]) -> Option<usize> {
        for (position, segment) in segments.iter().enumerate() {
            index = match segment {
                Segment::Key(key) => match tree::get(self.nodes, index, key) {
                    Some(found) => found,
                    None => return self.dotted(index, segments.get(position..)?),
                },
                Segment::Index(place) => self.place(index, *place)?,
                Segment::Word { .. } => return None,
            };
        }
        Some(index)
    }

    /// The rest of the path as one key with dots in it.
    fn dotted(&self, index: usize, segments: &[Segment]) -> Option<usize> {
        let keys: Option<Vec<&str>> = segments.iter().map(|segment| if let Segment::Key(key) = segment { Some(key.as_str()) } else { None }).collect();
        let keys = keys.filter(|keys| keys.len() > 1)?;
        tree::get(self.nodes, index, &keys.join("."))
    }

    fn place(&self, index: usize, place: i64) -> Option<usize> {
        match usize::try_from(place) {
            Ok(place) => tree::items(self.nodes, index).nth(place),
            Err(_) => {
                let items: Vec<usize> = tree::items(self.nodes, index).collect();
                let back = usize::try_from(place.unsigned_abs()).ok()?;
                items.get(items.len().checked_sub(back)?).copied()
            }
        }
    }

    fn context(&self, key: ContextKey) -> Val<'a> {
        let text = |text: &'a Option<Arc<str>>| text.as_deref().map_or(Val::Null, Val::Text);
        match key {
            ContextKey::File => text(&self.batch.context.file),
            ContextKey::Peer => text(&self.batch.context.peer),
            ContextKey::Raw => Val::Text(self.whole),
            ContextKey::Stream => Val::Text(&self.batch.stream.0),
            ContextKey::Received => Val::Int(self.batch.received.0),
            ContextKey::Index => Val::Int(self.index),
        }
    }
}

impl Code {
    /// Whether it can carry an attribute of the record over whole: conditions, tables and functions
    /// that keep only a part leave their source to `unmapped`.
    pub fn carries(&self) -> bool {
        match self {
            Self::Slots(_) | Self::Item(_) => true,
            Self::List(parts) | Self::Coalesce(parts) => parts.iter().any(Self::carries),
            Self::Choice(parts) => {
                let [value, _, otherwise] = &**parts;
                value.carries() || otherwise.carries()
            }
            Self::Call(function, arguments) => function.carries_all() && arguments.iter().any(Self::carries),
            _ => false,
        }
    }

    /// The value on one record.
    pub fn eval<'a>(&'a self, scope: &Scope<'a>) -> Val<'a> {
        match self {
            Self::Null => Val::Null,
            Self::Bool(value) => Val::Bool(*value),
            Self::Int(number) => Val::Int(*number),
            Self::Float(number) => Val::Float(*number),
            Self::Text(text) => Val::Text(text),
            Self::Slots(slots) => scope.slots(slots),
            Self::Item(segments) => match (scope.item, segments.is_empty()) {
                (Val::Text(text), true) if scope.is_absent(text) => Val::Null,
                (item, true) => item,
                (Val::Node(_, index), false) => scope.walk(index, segments).map_or(Val::Null, |index| scope.value(index)),
                _ => Val::Null,
            },
            Self::Context(key) => scope.context(*key),
            Self::Capture(number) => scope.captures.get(*number).copied().flatten().filter(|text| !scope.is_absent(text)).map_or(Val::Null, Val::Text),
            Self::List(items) => list(items, scope),
            Self::Coalesce(parts) => parts.iter().map(|part| part.eval(scope)).find(|value| !value.is_absent()).unwrap_or(Val::Null),
            Self::Choice(parts) => {
                let [value, condition, otherwise] = &**parts;
                if condition.holds(scope) { value.eval(scope) } else { otherwise.eval(scope) }
            }
            Self::Call(function, arguments) => function.call(arguments, scope),
            Self::Table(key, table) => lookup(key.eval(scope), table, scope),
            Self::Group(text, pattern, group) => text.eval(scope).text(scope.arena).and_then(|text| pattern.group(text, *group)).map_or(Val::Null, Val::Text),
            Self::Replace(text, pattern, with) => {
                let found = text.eval(scope).text(scope.arena).zip(pattern.regex());
                found.map_or(Val::Null, |(text, regex)| Val::Text(scope.arena.alloc_str(&regex.replace_all(text, &**with))))
            }
            Self::Not(_) | Self::All(_) | Self::Any(_) | Self::Compare(..) | Self::In(..) | Self::Matches(..) => Val::Bool(self.holds(scope)),
        }
    }

    /// Whether the condition holds.
    pub fn holds<'a>(&'a self, scope: &Scope<'a>) -> bool {
        match self {
            Self::Not(inner) => !inner.holds(scope),
            Self::All(parts) => parts.iter().all(|part| part.holds(scope)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(scope)),
            Self::Compare(op, sides) => {
                let [left, right] = &**sides;
                compare(*op, left.eval(scope), right.eval(scope), scope)
            }
            Self::In(value, list) => {
                let value = value.eval(scope);
                !value.is_null() && list.iter().any(|item| equal(value, item.eval(scope)))
            }
            Self::Matches(value, pattern) => value.eval(scope).text(scope.arena).is_some_and(|text| pattern.is_match(text)),
            other => other.eval(scope).holds(),
        }
    }
}

fn list<'a>(items: &'a [Code], scope: &Scope<'a>) -> Val<'a> {
    let present: Vec<Val<'a>> = items.iter().map(|item| item.eval(scope)).filter(|value| !value.is_absent()).collect();
    if present.is_empty() { Val::Null } else { Val::List(scope.arena.alloc_slice_copy(&present)) }
}

fn lookup<'a>(key: Val<'a>, table: &'a Table, scope: &Scope<'a>) -> Val<'a> {
    let Some(text) = key.text(scope.arena) else { return Val::Null };
    let found = if text.bytes().any(|byte| byte.is_ascii_uppercase()) { table.rows.get(text.to_ascii_lowercase().as_str()) } else { table.rows.get(text) };
    found.or(table.rest.as_ref()).map_or(Val::Null, |code| code.eval(scope))
}

/// Equal as they are, or as numbers where one is a number.
pub fn equal(left: Val<'_>, right: Val<'_>) -> bool {
    match (left, right) {
        (Val::Null, _) | (_, Val::Null) => false,
        (Val::Text(left), Val::Text(right)) => left == right,
        (Val::Bool(_), _) | (_, Val::Bool(_)) => left.bool().is_some() && left.bool() == right.bool(),
        (Val::Int(left), other) | (other, Val::Int(left)) => other.int() == Some(left),
        (Val::Float(left), other) | (other, Val::Float(left)) => other.float() == Some(left),
        _ => false,
    }
}

fn compare<'a>(op: Op, left: Val<'a>, right: Val<'a>, scope: &Scope<'a>) -> bool {
    match op {
        Op::Equal => equal(left, right),
        Op::NotEqual => !left.is_null() && !right.is_null() && !equal(left, right),
        Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => order(op, left, right),
        Op::Contains | Op::Starts | Op::Ends => textual(op, left, right, scope),
    }
}

fn order(op: Op, left: Val<'_>, right: Val<'_>) -> bool {
    let order = match (left.float(), right.float()) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => match (left, right) {
            (Val::Text(left), Val::Text(right)) => Some(left.cmp(right)),
            _ => None,
        },
    };
    order.is_some_and(|order| match op {
        Op::Less => order.is_lt(),
        Op::LessEqual => order.is_le(),
        Op::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn textual<'a>(op: Op, left: Val<'a>, right: Val<'a>, scope: &Scope<'a>) -> bool {
    let Some(needle) = right.text(scope.arena) else { return false };
    if op == Op::Contains && matches!(left, Val::List(_) | Val::Node(..)) {
        return left.items(scope.arena).iter().any(|item| equal(*item, right) || item.as_str().is_some_and(|text| text.eq_ignore_ascii_case(needle)));
    }
    let Some(text) = left.text(scope.arena) else { return false };
    match op {
        Op::Starts => text.as_bytes().get(..needle.len()).is_some_and(|head| head.eq_ignore_ascii_case(needle.as_bytes())),
        Op::Ends => {
            text.len().checked_sub(needle.len()).and_then(|start| text.as_bytes().get(start..)).is_some_and(|tail| tail.eq_ignore_ascii_case(needle.as_bytes()))
        }
        _ => contains_folded(text.as_bytes(), needle.as_bytes()),
    }
}

/// ASCII-case-insensitive search: candidates by first byte in both cases, then the rest.
fn contains_folded(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text)
        .any(|at| text.get(at + 1..at + 1 + rest.len()).is_some_and(|tail| tail.eq_ignore_ascii_case(rest)))
}
