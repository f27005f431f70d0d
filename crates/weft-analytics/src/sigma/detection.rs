//! Selections: what a rule asks of the fields of one event.

use super::Fault;
use super::condition::{self, Condition};
use super::pattern::{self, Network, Order, Place, Test};
use super::yaml::{Node, Yaml};

/// Compiled size of one regular expression; the largest public one takes less.
pub const REGEX_BYTES_MAX: usize = 8 << 20;
/// Pseudo-field of keyword searches: the raw record, the message, and what no mapping named.
pub const KEYWORDS: &str = "";

/// The detection section of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Named selections.
    pub selections: Vec<Selection>,
    /// How they are joined.
    pub condition: Condition,
}

/// One named selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Name in the condition.
    pub name: String,
    /// What it asks.
    pub matcher: Matcher,
}

/// Tests joined by and, or.
#[derive(Debug, Clone, PartialEq)]
pub enum Matcher {
    /// All hold.
    All(Vec<Matcher>),
    /// At least one holds.
    Any(Vec<Matcher>),
    /// A test of one field.
    Field {
        /// Field as the rule names it; [`KEYWORDS`] for a search over everything.
        field: String,
        /// The test.
        test: Test,
        /// Modifiers and value as written, for a person.
        label: String,
    },
}

/// Reads the `detection` section.
///
/// # Errors
/// The first fault with its line.
pub fn parse(node: &Node) -> Result<Detection, Fault> {
    let mut selections = Vec::new();
    let mut conditions = None;
    for (name, value) in node.entries() {
        if name == "condition" {
            conditions = Some(value);
        } else if name != "timeframe" {
            selections.push(Selection { name: name.clone(), matcher: selection(value)? });
        }
    }
    let Some(conditions) = conditions else { return Err(Fault::at(node.line, "`detection.condition` is missing")) };
    let names: Vec<String> = selections.iter().map(|selection| selection.name.clone()).collect();
    let mut parsed = Vec::new();
    for item in conditions.items() {
        let text = item.scalar().ok_or_else(|| Fault::at(item.line, "`detection.condition` must be a text"))?;
        parsed.push(condition::parse(&text, &names, item.line)?);
    }
    match parsed.pop() {
        None => Err(Fault::at(conditions.line, "`detection.condition` is empty")),
        Some(only) if parsed.is_empty() => Ok(Detection { selections, condition: only }),
        Some(last) => {
            parsed.push(last);
            Ok(Detection { selections, condition: Condition::Or(parsed) })
        }
    }
}

/// A map is all of its fields, a list is any of its items, a bare value is a keyword.
fn selection(node: &Node) -> Result<Matcher, Fault> {
    match &node.value {
        Yaml::Map(entries) if entries.is_empty() => Err(Fault::at(node.line, "a selection is empty")),
        Yaml::Map(entries) => Ok(Matcher::All(entries.iter().map(|(key, value)| field(key, value)).collect::<Result<_, _>>()?)),
        Yaml::List(items) if items.is_empty() => Err(Fault::at(node.line, "a selection is empty")),
        Yaml::List(items) => Ok(Matcher::Any(items.iter().map(selection).collect::<Result<_, _>>()?)),
        Yaml::Null => Err(Fault::at(node.line, "a selection is empty")),
        Yaml::Bool(_) | Yaml::Number(_) | Yaml::Text(_) => field("|contains", node),
    }
}

#[derive(Default)]
struct Modifiers {
    place: Option<Place>,
    all: bool,
    cased: bool,
    windash: bool,
    kind: Kind,
    flags: String,
}

#[derive(Default, PartialEq)]
enum Kind {
    #[default]
    Literal,
    Regex,
    Cidr,
    Exists,
    Compare(Order),
    Field,
}

fn modifiers<'a>(names: impl Iterator<Item = &'a str>, line: u64) -> Result<Modifiers, Fault> {
    let mut found = Modifiers::default();
    for name in names {
        match name {
            "contains" => found.place = Some(Place::Inside),
            "startswith" => found.place = Some(Place::Start),
            "endswith" => found.place = Some(Place::End),
            "all" => found.all = true,
            "cased" => found.cased = true,
            "windash" => found.windash = true,
            "re" => found.kind = Kind::Regex,
            "i" | "m" | "s" if found.kind == Kind::Regex => found.flags.push_str(name),
            "cidr" => found.kind = Kind::Cidr,
            "exists" => found.kind = Kind::Exists,
            "lt" => found.kind = Kind::Compare(Order::Less),
            "lte" => found.kind = Kind::Compare(Order::LessOrEqual),
            "gt" => found.kind = Kind::Compare(Order::Greater),
            "gte" => found.kind = Kind::Compare(Order::GreaterOrEqual),
            "fieldref" => found.kind = Kind::Field,
            other => {
                return Err(Fault::at(
                    line,
                    format!(
                        "the modifier `{other}` is not known here; known are contains, startswith, endswith, all, cased, windash, re, i, m, s, cidr, exists, lt, lte, gt, gte, fieldref"
                    ),
                ));
            }
        }
    }
    Ok(found)
}

fn field(key: &str, node: &Node) -> Result<Matcher, Fault> {
    let mut parts = key.split('|');
    let name = parts.next().unwrap_or_default();
    let mut asked = modifiers(parts, node.line)?;
    if name.is_empty() && asked.kind == Kind::Literal {
        asked.place = asked.place.or(Some(Place::Inside));
    }
    let mut any = Vec::new();
    let items = if node.value == Yaml::Null { std::slice::from_ref(node) } else { node.items() };
    if items.is_empty() {
        return Err(Fault::at(node.line, format!("`{key}` has no value")));
    }
    for item in items {
        if matches!(item.value, Yaml::Map(_) | Yaml::List(_)) {
            return Err(Fault::at(item.line, format!("`{key}` must be a value or a list of values")));
        }
        let spelled = item.scalar().unwrap_or_else(|| "null".to_owned());
        let label = if name.is_empty() { spelled } else { format!("{key}: {spelled}") };
        let mut tests: Vec<Matcher> =
            tests(&asked, item)?.into_iter().map(|test| Matcher::Field { field: name.to_owned(), test, label: label.clone() }).collect();
        match tests.pop() {
            Some(only) if tests.is_empty() => any.push(only),
            Some(last) => {
                tests.push(last);
                any.push(Matcher::Any(tests));
            }
            None => {}
        }
    }
    Ok(if asked.all { Matcher::All(any) } else { Matcher::Any(any) })
}

/// The tests of one value; several only where a modifier spells it in several ways.
fn tests(asked: &Modifiers, item: &Node) -> Result<Vec<Test>, Fault> {
    let Some(text) = item.scalar() else { return Ok(vec![Test::Absent]) };
    let place = asked.place.unwrap_or(Place::Whole);
    let wrong = |what: &str| Fault::at(item.line, format!("`{text}` is not {what}"));
    Ok(vec![match &asked.kind {
        Kind::Literal if asked.windash => return Ok(pattern::windash(&text).iter().map(|spelled| pattern::literal(spelled, place, asked.cased)).collect()),
        Kind::Literal => pattern::literal(&text, place, asked.cased),
        Kind::Regex => Test::Regex(checked_regex(&text, &asked.flags).map_err(|reason| Fault::at(item.line, reason))?),
        Kind::Cidr => Test::Cidr(Network::parse(&text).ok_or_else(|| wrong("a network such as 192.0.2.0/24"))?),
        Kind::Exists if item.value == Yaml::Bool(true) => Test::Present,
        Kind::Exists if item.value == Yaml::Bool(false) => Test::Absent,
        Kind::Exists => return Err(wrong("true or false, which `exists` needs")),
        Kind::Compare(order) => Test::Compare(*order, text.parse::<f64>().map_err(|_| wrong("a number"))?.to_bits()),
        Kind::Field => Test::Field { place, other: text, cased: asked.cased },
    }])
}

fn checked_regex(text: &str, flags: &str) -> Result<String, String> {
    let source = if flags.is_empty() { text.to_owned() } else { format!("(?{flags}){text}") };
    match build_regex(&source) {
        Ok(_) => Ok(source),
        Err(regex::Error::CompiledTooBig(_)) => Err(format!("the regular expression `{text}` is too large; write it without large repetitions")),
        Err(error) => Err(format!("the regular expression `{text}` is not understood: {}", last_line(&error.to_string()))),
    }
}

/// Compiles under the size limit.
pub(crate) fn build_regex(source: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(source).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).nest_limit(64).build()
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ")
}
