//! Text attributes that hold a record of another form: parsed where they stand.

use bumpalo::Bump;
use serde_json::Value;

use super::json::guard;
use super::{DEPTH_MAX, auditd, cef, kv, prose, syslog, xml};
use crate::language::expr::Segment;
use crate::language::file::Form;
use crate::tree::{self, Builder, Node, Nodes, StaticNode};

/// Replaces the text at each path by what it says; what cannot be parsed stays text.
pub fn expand<'a>(rules: &[(Vec<Segment>, Form)], mut nodes: &'a Nodes<'a>, arena: &'a Bump, received: i64) -> &'a Nodes<'a> {
    for (path, form) in rules {
        let Some(place) = find(nodes, path) else { continue };
        let Some(Node::String(text)) = nodes.get(place) else { continue };
        if let Some(inner) = parse(text, *form, arena, received) {
            nodes = arena.alloc_slice_copy(&replace(nodes, place, &inner));
        }
    }
    nodes
}

fn find(nodes: &Nodes<'_>, path: &[Segment]) -> Option<usize> {
    path.iter().try_fold(0, |index, segment| match segment {
        Segment::Key(key) => tree::get(nodes, index, key),
        Segment::Word { .. } => None,
        Segment::Index(place) => tree::items(nodes, index).nth(usize::try_from(*place).ok()?),
    })
}

fn parse<'a>(text: &'a str, form: Form, arena: &'a Bump, received: i64) -> Option<Vec<Node<'a>>> {
    let form = if form == Form::Auto { guess(text)? } else { form };
    let mut inner = Builder::default();
    let parsed = match form {
        Form::Json => {
            guard(text.as_bytes(), DEPTH_MAX).ok()?;
            let value: Value = serde_json::from_str(text).ok().filter(|value: &Value| value.is_object() || value.is_array())?;
            write(&value, arena, &mut inner);
            return Some(inner.finish());
        }
        Form::Xml => return xml::inside(text, arena, &mut inner).then(|| inner.finish()),
        Form::Csvlist => {
            inner.array();
            text.split(',').for_each(|item| inner.text(item.trim()));
            return Some(inner.finish());
        }
        Form::Kv => {
            inner.object();
            kv::decode(text, arena, &mut inner)
        }
        Form::Auditd => {
            inner.object();
            auditd::decode(text, arena, &mut inner)
        }
        Form::Syslog => {
            inner.object();
            syslog::decode(text, arena, &mut inner)
        }
        Form::Cef => {
            inner.object();
            cef::cef(text, received, arena, &mut inner)
        }
        Form::Prose => {
            inner.object();
            prose::decode(text, arena, &mut inner)
        }
        Form::Auto => return None,
    };
    parsed.ok().map(|()| inner.finish())
}

fn guess(text: &str) -> Option<Form> {
    let text = text.trim_start();
    match text.chars().next()? {
        '{' | '[' => Some(Form::Json),
        '<' => Some(Form::Xml),
        _ if text.starts_with("type=") && text.contains("audit(") => Some(Form::Auditd),
        _ if text.contains("CEF:") => Some(Form::Cef),
        _ if text.contains('=') => Some(Form::Kv),
        _ => None,
    }
}

fn write<'a>(value: &Value, arena: &'a Bump, tree: &mut Builder<'a>) {
    match value {
        Value::Null => tree.scalar(StaticNode::Null),
        Value::Bool(value) => tree.scalar(StaticNode::Bool(*value)),
        Value::Number(number) => tree.scalar(number.as_i64().map_or_else(|| StaticNode::F64(number.as_f64().unwrap_or(0.0)), StaticNode::I64)),
        Value::String(text) => tree.text(arena.alloc_str(text)),
        Value::Array(items) => {
            tree.array();
            items.iter().for_each(|item| write(item, arena, tree));
            tree.end();
        }
        Value::Object(entries) => {
            tree.object();
            for (key, value) in entries {
                tree.key(arena.alloc_str(key));
                write(value, arena, tree);
            }
            tree.end();
        }
    }
}

/// A copy with one value replaced; the counts of all that it is in are made right.
fn replace<'a>(nodes: &Nodes<'a>, place: usize, inner: &Nodes<'a>) -> Vec<Node<'a>> {
    let grown = inner.len() - 1;
    let mut copy: Vec<Node<'a>> = Vec::with_capacity(nodes.len() + grown);
    for (index, node) in nodes.iter().enumerate() {
        if index == place {
            copy.extend_from_slice(inner);
            continue;
        }
        let around = index < place && tree::after(nodes, index) > place;
        copy.push(match *node {
            Node::Object { len, count } if around => Node::Object { len, count: count + grown },
            Node::Array { len, count } if around => Node::Array { len, count: count + grown },
            other => other,
        });
    }
    copy
}
