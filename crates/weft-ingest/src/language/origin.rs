//! Where a rule stands, for people who ask what made an attribute.
//!
//! Kept only by a compilation that is asked to: the one that maps at full rate carries none of it.

use std::fmt;

use super::expr::{Const, ContextKey, Expr, Op, Segment};

/// A rule of a mapping file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Attribute that it sets; empty for a condition.
    pub path: String,
    /// `connector/mapping/file.toml:12`
    pub place: String,
    /// The rule, as the language writes it.
    pub rule: String,
}

/// A mapping file and what it includes, as one text: an offset names file and line.
#[derive(Debug, Default)]
pub(super) struct Sources {
    parts: Vec<(usize, String, String)>,
    end: usize,
}

impl Sources {
    /// Adds a file; returns where its text begins.
    pub(super) fn add(&mut self, file: &str, text: &str) -> usize {
        let base = self.end;
        self.end = base + text.len() + 1;
        self.parts.push((base, file.to_owned(), text.to_owned()));
        base
    }

    /// The text of the next file, so that its offsets begin where it will be added.
    pub(super) fn padded(&self, text: &str) -> String {
        format!("{}{text}", " ".repeat(self.end))
    }

    /// File and line of an offset.
    pub(super) fn place(&self, at: usize) -> String {
        let Some((base, file, text)) = self.parts.iter().rev().find(|(base, ..)| *base <= at) else { return String::new() };
        let before = text.as_bytes().get(..at - base).unwrap_or(text.as_bytes());
        format!("{file}:{}", 1 + before.iter().filter(|byte| **byte == b'\n').count())
    }
}

/// What surrounds several parts.
fn joined(f: &mut fmt::Formatter<'_>, parts: &[Expr], between: &str) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(between)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

fn segments(f: &mut fmt::Formatter<'_>, path: &[Segment], mut begun: bool) -> fmt::Result {
    for segment in path {
        match segment {
            Segment::Key(key) => write!(f, "{}{key}", if begun { "." } else { "" })?,
            Segment::Index(place) => write!(f, "[{place}]")?,
            Segment::Word { text, .. } => f.write_str(text)?,
        }
        begun = true;
    }
    Ok(())
}

impl fmt::Display for Const {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
        }
    }
}

impl fmt::Display for ContextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "@file",
            Self::Peer => "@peer",
            Self::Raw => "@raw",
            Self::Stream => "@stream",
            Self::Received => "@received",
            Self::Index => "@index",
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Contains => "contains",
            Self::Starts => "starts",
            Self::Ends => "ends",
        })
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Const(constant) => write!(f, "{constant}"),
            Self::Path(path) if path.is_empty() => f.write_str("@item"),
            Self::Path(path) => segments(f, path, false),
            Self::Root(path) => f.write_str("$").and_then(|()| segments(f, path, true)),
            Self::Context(key) => write!(f, "{key}"),
            Self::Capture(name) => write!(f, "${name}"),
            Self::List(items) => f.write_str("[").and_then(|()| joined(f, items, ", ")).and_then(|()| f.write_str("]")),
            Self::Coalesce(parts) => joined(f, parts, " ?? "),
            Self::Choice(parts) => {
                let [value, condition, otherwise] = &**parts;
                match otherwise {
                    Self::Const(Const::Null) => write!(f, "({value} if {condition})"),
                    otherwise => write!(f, "({value} if {condition} else {otherwise})"),
                }
            }
            Self::Call(name, arguments) => write!(f, "{name}(").and_then(|()| joined(f, arguments, ", ")).and_then(|()| f.write_str(")")),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => f.write_str("(").and_then(|()| joined(f, parts, " or ")).and_then(|()| f.write_str(")")),
            Self::Compare(op, sides) => {
                let [left, right] = &**sides;
                write!(f, "{left} {op} {right}")
            }
            Self::In(value, list) => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                write!(f, "{value} in [{}]", list.join(", "))
            }
            Self::Matches(value, regex) => write!(f, "{value} ~ '{}'", regex.replace('\'', "''")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expr::parse;
    use super::*;

    #[test]
    fn an_expression_is_written_as_it_is_read() {
        for text in [
            "actor.alternateId ?? `b`.c[0]",
            "'it''s'",
            "lower(user) if exists(user) and status in ['A', 1] else 'none'",
            "not a starts 'B' or c ~ '^d'",
            "[$.x.y, @item, @file, $group, 1.5, null]",
        ] {
            let expr = parse(text).unwrap();
            assert_eq!(parse(&expr.to_string()).unwrap(), expr, "{text} became {expr}");
        }
    }

    #[test]
    fn an_offset_is_a_line_of_the_file_that_it_is_in() {
        let mut sources = Sources::default();
        sources.add("a.toml", "x = 1\ny = 2\n");
        let padded = sources.padded("z = 3\nw = 4\n");
        let at = padded.find("w =").unwrap();
        sources.add("b.toml", "z = 3\nw = 4\n");
        assert_eq!((sources.place(6), sources.place(at)), ("a.toml:2".to_owned(), "b.toml:2".to_owned()));
    }
}
