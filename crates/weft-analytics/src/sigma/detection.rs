//! Selections: what a rule asks of the fields of one event.

use super::Fault;
use super::condition::{self, Condition};
use super::modifier::{self, Modifiers};
use super::pattern::Test;
use super::pipeline::Active;
use super::yaml::{Node, Yaml};

/// Pseudo-field of keyword searches: the raw record, the message, and what no mapping named.
pub const KEYWORDS: &str = "";
/// Deepest nesting of lists and maps inside a selection.
const DEPTH_MAX: usize = 16;

/// The detection section of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Named selections.
    pub selections: Vec<Selection>,
    /// How they are joined.
    pub condition: Condition,
    /// Placeholders (`%name%`) that no list fills; their tests never hold.
    pub unfilled: Vec<String>,
}

/// One named selection.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Name in the condition.
    pub name: String,
    /// Line it stands on.
    pub line: u64,
    /// What it asks.
    pub matcher: Matcher,
}

/// Tests joined by and, or, not.
#[derive(Debug, Clone, PartialEq)]
pub enum Matcher {
    /// All hold.
    All(Vec<Matcher>),
    /// At least one holds.
    Any(Vec<Matcher>),
    /// It does not hold.
    Not(Box<Matcher>),
    /// A test of one field.
    Field {
        /// Field as the rule names it; [`KEYWORDS`] for a search over everything.
        field: Box<str>,
        /// The test.
        test: Test,
        /// Modifiers and value as written, for a person.
        label: Box<str>,
    },
}

impl Detection {
    /// Every field that a selection asks, keywords left out.
    pub fn fields(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for selection in &self.selections {
            selection.matcher.each(&mut |field, test, _| {
                found.push(field);
                if let Test::Field { other, .. } = test {
                    found.push(other);
                }
            });
        }
        found.retain(|field| !field.is_empty());
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Joins the selections and the condition of a filter: the rule speaks where both hold.
    pub(crate) fn narrow(&mut self, filter: &Self) {
        let before = self.selections.len();
        self.selections.extend(filter.selections.iter().cloned());
        let own = std::mem::replace(&mut self.condition, Condition::And(Vec::new()));
        self.condition = Condition::And(vec![own, filter.condition.shifted(before)]);
        self.unfilled.extend(filter.unfilled.iter().cloned());
    }
}

impl Matcher {
    /// Shows every test with its field and label, in the order written.
    pub fn each<'a>(&'a self, seen: &mut dyn FnMut(&'a str, &'a Test, &'a str)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each(seen)),
            Self::Not(part) => part.each(seen),
            Self::Field { field, test, label } => seen(field, test, label),
        }
    }
}

/// Reads the `detection` section, rewritten by the pipelines that apply.
///
/// # Errors
/// The first fault with its line.
pub fn parse(node: &Node, active: &Active<'_>) -> Result<Detection, Fault> {
    let mut reader = Reader { active, unfilled: Vec::new(), depth: 0 };
    let mut selections = Vec::new();
    let mut conditions = None;
    for (name, value) in node.entries() {
        match name.as_str() {
            "condition" => conditions = Some(value),
            "timeframe" => {}
            _ => selections.push(Selection { name: name.clone(), line: value.line, matcher: reader.selection(value)? }),
        }
    }
    let Some(conditions) = conditions else { return Err(Fault::at(node.line, "`detection.condition` is missing")) };
    let names: Vec<String> = selections.iter().map(|selection| selection.name.clone()).collect();
    let mut parsed = Vec::new();
    for item in conditions.items() {
        let text = item.scalar().ok_or_else(|| Fault::at(item.line, "`detection.condition` must be a text"))?;
        parsed.push(condition::parse(&text, &names, item.line)?);
    }
    let mut condition = match parsed.pop() {
        None => return Err(Fault::at(conditions.line, "`detection.condition` is empty")),
        Some(only) if parsed.is_empty() => only,
        Some(last) => {
            parsed.push(last);
            Condition::Or(parsed)
        }
    };
    for (at, (added, negated)) in active.added().into_iter().enumerate() {
        let matcher = reader.selection(added)?;
        let asked = Condition::Selection(selections.len());
        selections.push(Selection { name: format!("pipeline_{at}"), line: added.line, matcher });
        condition = Condition::And(vec![condition, if negated { Condition::Not(Box::new(asked)) } else { asked }]);
    }
    reader.unfilled.sort();
    reader.unfilled.dedup();
    Ok(Detection { selections, condition, unfilled: reader.unfilled })
}

struct Reader<'a> {
    active: &'a Active<'a>,
    unfilled: Vec<String>,
    depth: usize,
}

impl Reader<'_> {
    /// A map is all of its fields, a list is any of its items, a bare value is a keyword.
    fn selection(&mut self, node: &Node) -> Result<Matcher, Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::at(node.line, format!("a selection is nested deeper than {DEPTH_MAX}")));
        }
        let matcher = match &node.value {
            Yaml::Map(entries) if entries.is_empty() => Err(Fault::at(node.line, "a selection is empty")),
            Yaml::Map(entries) => {
                let parts = entries.iter().map(|(key, value)| self.item(key, value)).collect::<Result<Vec<_>, _>>()?;
                Ok(one_or(parts.into_iter().flatten().collect(), Matcher::All))
            }
            Yaml::List(items) if items.is_empty() => Err(Fault::at(node.line, "a selection is empty")),
            Yaml::List(items) => Ok(one_or(items.iter().map(|item| self.selection(item)).collect::<Result<_, _>>()?, Matcher::Any)),
            Yaml::Null => Err(Fault::at(node.line, "a selection is empty")),
            Yaml::Bool(_) | Yaml::Number(_) | Yaml::Text(_) => Ok(self.item("", node)?.unwrap_or(Matcher::All(Vec::new()))),
        };
        self.depth -= 1;
        matcher
    }

    /// One `field|modifier: values`; nothing where a pipeline drops it.
    fn item(&mut self, key: &str, node: &Node) -> Result<Option<Matcher>, Fault> {
        let mut parts = key.split('|');
        let name = parts.next().unwrap_or_default();
        let asked = modifier::read(parts, node.line)?;
        let items = if node.value == Yaml::Null { std::slice::from_ref(node) } else { node.items() };
        if items.is_empty() {
            return Err(Fault::at(node.line, format!("`{key}` has no value")));
        }
        if let Some(wrong) = items.iter().find(|item| matches!(item.value, Yaml::Map(_) | Yaml::List(_))) {
            return Err(Fault::at(wrong.line, format!("`{key}` must be a value or a list of values")));
        }
        if self.active.is_idle() {
            return self.values(name, key, &asked, items).map(Some);
        }
        if let Some(reason) = self.active.refuses(name, items) {
            return Err(Fault::at(node.line, reason));
        }
        if self.active.drops(name, items) {
            return Ok(None);
        }
        let items = self.active.values(name, items.to_vec());
        let names = self.active.names(name);
        let all = names.iter().map(|name| self.values(name, key, &asked, &items)).collect::<Result<_, _>>()?;
        Ok(Some(one_or(all, Matcher::Any)))
    }

    fn values(&mut self, field: &str, key: &str, asked: &Modifiers, items: &[Node]) -> Result<Matcher, Fault> {
        let mut any = Vec::with_capacity(items.len());
        for item in items {
            let spelled = item.scalar();
            let label = match &spelled {
                Some(text) if field.is_empty() => text.clone(),
                other => format!("{key}: {}", other.as_deref().unwrap_or("null")),
            };
            let filled = if asked.expand { self.fill(spelled.as_deref().unwrap_or_default()) } else { vec![spelled] };
            let mut tests = Vec::new();
            for text in filled {
                tests.extend(modifier::tests(asked, field.is_empty(), text.as_deref(), item)?);
            }
            let tests = tests.into_iter().map(|test| Matcher::Field { field: field.into(), test, label: label.as_str().into() }).collect();
            any.push(one_or(tests, Matcher::Any));
        }
        let joined = one_or(any, if asked.all { Matcher::All } else { Matcher::Any });
        Ok(if asked.negated { Matcher::Not(Box::new(joined)) } else { joined })
    }

    /// The texts of a value with `%placeholders%`; none where a list is missing.
    fn fill(&mut self, text: &str) -> Vec<Option<String>> {
        match self.active.fill(text) {
            Ok(texts) => texts.into_iter().map(Some).collect(),
            Err(missing) => {
                self.unfilled.push(missing);
                Vec::new()
            }
        }
    }
}

fn one_or(mut parts: Vec<Matcher>, join: fn(Vec<Matcher>) -> Matcher) -> Matcher {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}
