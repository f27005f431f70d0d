//! Processing pipelines: rules rewritten before they are compiled, in pySigma's file format.
//!
//! <https://sigmahq-pysigma.readthedocs.io/en/latest/Processing_Pipelines.html>

mod read;

use std::collections::{BTreeMap, BTreeSet};

use super::pattern::Expression;
use super::rule::LogSource;
use super::yaml::{Node, Yaml};

/// Texts that one value with placeholders can become.
const FILLED_MAX: usize = 10_000;

/// Pipelines in the order of their priority.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pipelines {
    steps: Vec<Step>,
    lists: BTreeMap<String, Vec<String>>,
}

/// One transformation with the conditions under which it acts.
#[derive(Debug, Clone, PartialEq)]
struct Step {
    id: Option<String>,
    action: Action,
    rule: Conditions<RuleCondition>,
    item: Conditions<ItemCondition>,
    field: Conditions<FieldCondition>,
}

/// Conditions joined by and, or; perhaps negated.
#[derive(Debug, Clone, PartialEq)]
struct Conditions<T> {
    all: Vec<T>,
    any: bool,
    negated: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Rename(BTreeMap<String, Vec<String>>),
    RenamePrefix(BTreeMap<String, Vec<String>>),
    Prefix(String),
    Suffix(String),
    Drop,
    LogSource(LogSource),
    Add {
        selection: Node,
        negated: bool,
    },
    Replace {
        from: Expression,
        to: String,
    },
    Set(Yaml),
    MapText(BTreeMap<String, Vec<String>>),
    Case(bool),
    /// Placeholders become lists; all, or these.
    Fill(Names),
    /// Placeholders become `*`.
    Wildcard(Names),
    RefuseRule(String),
    RefuseItem(String),
    State(String, String),
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Names {
    include: Vec<String>,
    exclude: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum RuleCondition {
    LogSource(LogSource),
    HasField(String),
    HasItem(String, String),
    Correlation(bool),
    Applied(String),
    State(String, String),
    Tag(String),
    Attribute(String, String),
}

#[derive(Debug, Clone, PartialEq)]
enum ItemCondition {
    Text(Expression),
    Null,
}

#[derive(Debug, Clone, PartialEq)]
enum FieldCondition {
    Include(Vec<String>),
    Exclude(Vec<String>),
}

/// What of the pipelines acts on one rule.
#[derive(Debug, Default)]
pub struct Active<'p> {
    steps: Vec<&'p Step>,
    lists: Option<&'p BTreeMap<String, Vec<String>>>,
    /// The logsource after all changes.
    pub(crate) logsource: LogSource,
    /// Why the rule as a whole is refused.
    pub(crate) refused: Option<String>,
}

impl<T> Conditions<T> {
    fn hold(&self, holds: impl Fn(&T) -> bool) -> bool {
        let joined = if self.all.is_empty() {
            true
        } else if self.any {
            self.all.iter().any(holds)
        } else {
            self.all.iter().all(holds)
        };
        joined != self.negated
    }
}

impl Pipelines {
    /// Adds a file; those with a lower `priority` act first.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn read(texts: &[(&str, &str)]) -> (Self, Vec<(String, super::Fault)>) {
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for (name, text) in texts {
            match read::file(text) {
                Ok(files) => all.extend(files),
                Err(fault) => faults.push(((*name).to_owned(), fault)),
            }
        }
        all.sort_by_key(|(priority, _)| *priority);
        let mut joined = Self::default();
        for (_, one) in all {
            joined.steps.extend(one.steps);
            joined.lists.extend(one.lists);
        }
        (joined, faults)
    }

    /// The steps that act on the rule in `node`, whose logsource is given.
    pub fn active(&self, node: &Node, logsource: LogSource) -> Active<'_> {
        let mut active = Active { steps: Vec::new(), lists: Some(&self.lists), logsource, refused: None };
        let (mut applied, mut state) = (BTreeSet::new(), BTreeMap::new());
        for step in &self.steps {
            if !step.rule.hold(|condition| condition.holds(node, &active.logsource, &applied, &state)) {
                continue;
            }
            applied.extend(step.id.clone());
            match &step.action {
                Action::LogSource(to) => active.logsource = to.clone(),
                Action::State(key, value) => drop(state.insert(key.clone(), value.clone())),
                Action::RefuseRule(reason) => active.refused = Some(reason.clone()),
                _ => active.steps.push(step),
            }
        }
        active
    }
}

impl RuleCondition {
    fn holds(&self, node: &Node, logsource: &LogSource, applied: &BTreeSet<String>, state: &BTreeMap<String, String>) -> bool {
        let detection = node.get("detection");
        let has = |holds: &dyn Fn(&str, &Node) -> bool| {
            detection.is_some_and(|detection| detection.entries().iter().any(|(_, selection)| any_item(selection, holds)))
        };
        match self {
            Self::LogSource(asked) => logsource.has(asked),
            Self::HasField(field) => has(&|key, _| key == field),
            Self::HasItem(field, value) => has(&|key, node| key == field && node.items().iter().any(|item| item.scalar().as_ref() == Some(value))),
            Self::Correlation(asked) => node.get("correlation").is_some() == *asked,
            Self::Applied(id) => applied.contains(id),
            Self::State(key, value) => state.get(key) == Some(value),
            Self::Tag(tag) => node.get("tags").is_some_and(|tags| tags.items().iter().any(|item| item.scalar().as_ref() == Some(tag))),
            Self::Attribute(key, value) => node.get(key).and_then(Node::scalar).as_ref() == Some(value),
        }
    }
}

/// Looks at every `field: value` of a selection.
fn any_item(node: &Node, holds: &dyn Fn(&str, &Node) -> bool) -> bool {
    match &node.value {
        Yaml::Map(entries) => entries.iter().any(|(key, value)| holds(key.split('|').next().unwrap_or_default(), value)),
        Yaml::List(items) => items.iter().any(|item| any_item(item, holds)),
        _ => false,
    }
}

impl Step {
    fn acts(&self, field: &str, values: &[Node]) -> bool {
        let item = |condition: &ItemCondition| match condition {
            ItemCondition::Text(pattern) => values.iter().any(|value| value.scalar().is_some_and(|text| pattern.holds(&text) == Some(true))),
            ItemCondition::Null => values.iter().any(|value| value.value == Yaml::Null),
        };
        let named = |condition: &FieldCondition| match condition {
            FieldCondition::Include(fields) => fields.iter().any(|name| name == field),
            FieldCondition::Exclude(fields) => !fields.iter().any(|name| name == field),
        };
        self.field.hold(named) && self.item.hold(item)
    }
}

impl Names {
    fn chosen(&self, name: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|chosen| chosen == name)) && !self.exclude.iter().any(|left_out| left_out == name)
    }
}

impl<'p> Active<'p> {
    /// For a rule on which nothing acts.
    pub fn idle(logsource: LogSource) -> Self {
        Self { logsource, ..Self::default() }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.steps.is_empty()
    }

    /// Selections that are added, and whether they must not hold.
    pub(super) fn added(&self) -> Vec<(&'p Node, bool)> {
        let added = self.steps.iter().filter_map(|step| match &step.action {
            Action::Add { selection, negated } => Some((selection, *negated)),
            _ => None,
        });
        added.collect()
    }

    pub(super) fn drops(&self, field: &str, values: &[Node]) -> bool {
        self.steps.iter().any(|step| step.action == Action::Drop && step.acts(field, values))
    }

    pub(super) fn refuses(&self, field: &str, values: &[Node]) -> Option<String> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::RefuseItem(reason) if step.acts(field, values) => Some(reason.clone()),
            _ => None,
        })
    }

    /// The names that a field has after all steps; several are alternatives.
    pub(super) fn names(&self, field: &str) -> Vec<String> {
        let mut names = vec![field.to_owned()];
        if field.is_empty() {
            return names;
        }
        for step in &self.steps {
            names = names
                .into_iter()
                .flat_map(|name| if step.acts(&name, &[]) || !step.item.all.is_empty() { step.action.names(name) } else { vec![name] })
                .collect();
        }
        names
    }

    /// The values after all steps.
    pub(super) fn values(&self, field: &str, values: Vec<Node>) -> Vec<Node> {
        let mut values = values;
        for step in &self.steps {
            if step.acts(field, &values) {
                values = values.into_iter().flat_map(|value| step.action.values(value)).collect();
            }
        }
        values
    }

    /// The texts that `%placeholders%` of a value stand for.
    ///
    /// # Errors
    /// The name of a placeholder that nothing fills.
    pub(super) fn fill(&self, text: &str) -> Result<Vec<String>, String> {
        let mut done = Vec::new();
        let mut open = vec![(String::new(), text.to_owned())];
        while let Some((before, rest)) = open.pop() {
            let place = rest.split_once('%').and_then(|(head, tail)| tail.split_once('%').map(|(name, after)| (head, name, after)));
            let Some((head, name, after)) = place.filter(|(_, name, _)| !name.is_empty() && !name.contains(char::is_whitespace)) else {
                done.push(before + &rest);
                continue;
            };
            for value in self.list(name).ok_or_else(|| name.to_owned())?.iter().rev() {
                open.push((format!("{before}{head}{value}"), after.to_owned()));
            }
            if done.len() + open.len() > FILLED_MAX {
                return Err(name.to_owned());
            }
        }
        Ok(done)
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        let wild = self.steps.iter().any(|step| matches!(&step.action, Action::Wildcard(names) if names.chosen(name)));
        if wild {
            return Some(vec!["*".to_owned()]);
        }
        // A list fills its placeholder also where no step says so: there is no other use for it.
        let mut steps = self.steps.iter().filter_map(|step| if let Action::Fill(names) = &step.action { Some(names) } else { None }).peekable();
        let chosen = steps.peek().is_none() || steps.any(|names| names.chosen(name));
        self.lists?.get(name).filter(|_| chosen).cloned()
    }
}

impl Action {
    fn names(&self, name: String) -> Vec<String> {
        match self {
            Self::Rename(names) => names.get(&name).cloned().unwrap_or_else(|| vec![name]),
            Self::RenamePrefix(prefixes) => match prefixes.iter().find_map(|(prefix, to)| Some((name.strip_prefix(prefix.as_str())?, to))) {
                Some((rest, to)) => to.iter().map(|prefix| format!("{prefix}{rest}")).collect(),
                None => vec![name],
            },
            Self::Prefix(prefix) => vec![format!("{prefix}{name}")],
            Self::Suffix(suffix) => vec![format!("{name}{suffix}")],
            _ => vec![name],
        }
    }

    fn values(&self, value: Node) -> Vec<Node> {
        let line = value.line;
        let node = |text: String| Node { line, value: Yaml::Text(text) };
        match (self, &value.value) {
            (Self::Replace { from, to }, Yaml::Text(text)) => vec![node(from.replace_all(text, to))],
            (Self::Case(upper), Yaml::Text(text)) => vec![node(if *upper { text.to_uppercase() } else { text.to_lowercase() })],
            (Self::MapText(texts), Yaml::Text(text)) => match texts.get(text) {
                Some(to) => to.iter().cloned().map(node).collect(),
                None => vec![value],
            },
            (Self::Set(to), _) => vec![Node { line, value: to.clone() }],
            _ => vec![value],
        }
    }
}
