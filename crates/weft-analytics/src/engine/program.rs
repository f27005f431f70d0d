//! The rules of one kind of event, compiled together: leaves, then bitmap algebra.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::buffer::BooleanBuffer;

use super::columns::View;
use super::leaf::{FieldProgram, Leaf};
use crate::sigma::condition::Condition;
use crate::sigma::detection::{Detection, Matcher};
use crate::sigma::fields::Kind;
use crate::sigma::pattern::{Place, Test};

/// A condition over leaves.
#[derive(Debug, Clone)]
enum Expr {
    Leaf(Leaf),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
}

/// A rule bound to a kind of event.
struct Bound {
    /// Number of the rule in the engine.
    rule: usize,
    expr: Expr,
    /// Leaves by selection, to say what matched.
    labels: Vec<(String, Leaf, String)>,
    first_seen: bool,
}

/// All rules of one kind of event.
pub(crate) struct Program {
    pub(crate) kind: Arc<Kind>,
    when: Expr,
    rules: Vec<Bound>,
    fields: Vec<FieldProgram>,
    leaves: usize,
}

/// Where a rule holds in a batch.
pub(crate) struct Hit {
    pub(crate) rule: usize,
    pub(crate) row: usize,
    /// What matched, for a person.
    pub(crate) matched: Vec<String>,
}

/// Collects rules before their automata are built.
pub(crate) struct Builder {
    kind: Arc<Kind>,
    when: Expr,
    rules: Vec<Bound>,
    numbers: HashMap<(String, Test), Leaf>,
}

impl Builder {
    pub(crate) fn new(kind: Arc<Kind>) -> Self {
        let mut numbers = HashMap::new();
        let when = kind
            .when
            .iter()
            .map(|(path, values)| {
                Expr::Any(
                    values
                        .iter()
                        .map(|text| Expr::Leaf(number(&mut numbers, path, Test::Literal { place: Place::Whole, text: text.clone(), cased: false })))
                        .collect(),
                )
            })
            .collect();
        Self { kind, when: Expr::All(when), rules: Vec::new(), numbers }
    }

    pub(crate) fn add(&mut self, rule: usize, detection: &Detection, first_seen: bool) {
        let mut labels = Vec::new();
        let selections: Vec<Expr> = detection.selections.iter().map(|selection| self.matcher(&selection.matcher, &selection.name, &mut labels)).collect();
        let expr = condition(&detection.condition, &selections);
        self.rules.push(Bound { rule, expr, labels, first_seen });
    }

    fn matcher(&mut self, matcher: &Matcher, selection: &str, labels: &mut Vec<(String, Leaf, String)>) -> Expr {
        match matcher {
            Matcher::All(parts) => Expr::All(parts.iter().map(|part| self.matcher(part, selection, labels)).collect()),
            Matcher::Any(parts) => Expr::Any(parts.iter().map(|part| self.matcher(part, selection, labels)).collect()),
            Matcher::Field { field, test, label } => {
                let leaf = number(&mut self.numbers, field, test.clone());
                labels.push((selection.to_owned(), leaf, label.clone()));
                Expr::Leaf(leaf)
            }
        }
    }

    /// Builds the automata.
    pub(crate) fn finish(self) -> Result<Program, String> {
        let leaves = self.numbers.len();
        let mut by_field: BTreeMap<String, Vec<(Test, Leaf)>> = BTreeMap::new();
        for ((field, test), leaf) in self.numbers {
            by_field.entry(field).or_default().push((test, leaf));
        }
        let kind = self.kind;
        let fields =
            by_field.iter().map(|(field, tests)| FieldProgram::build(kind.paths(field), tests, |other| kind.paths(other))).collect::<Result<_, _>>()?;
        Ok(Program { kind, when: self.when, rules: self.rules, fields, leaves })
    }
}

fn number(numbers: &mut HashMap<(String, Test), Leaf>, field: &str, test: Test) -> Leaf {
    let next = numbers.len();
    *numbers.entry((field.to_owned(), test)).or_insert(next)
}

fn condition(asked: &Condition, selections: &[Expr]) -> Expr {
    match asked {
        Condition::Selection(index) => selections.get(*index).cloned().unwrap_or(Expr::Any(Vec::new())),
        Condition::And(parts) => Expr::All(parts.iter().map(|part| condition(part, selections)).collect()),
        Condition::Or(parts) => Expr::Any(parts.iter().map(|part| condition(part, selections)).collect()),
        Condition::Not(part) => Expr::Not(Box::new(condition(part, selections))),
    }
}

impl Expr {
    fn run(&self, leaves: &[BooleanBuffer], rows: usize) -> BooleanBuffer {
        match self {
            Self::Leaf(leaf) => leaves.get(*leaf).cloned().unwrap_or_else(|| BooleanBuffer::new_unset(rows)),
            Self::All(parts) => parts.iter().fold(BooleanBuffer::new_set(rows), |all, part| &all & &part.run(leaves, rows)),
            Self::Any(parts) => parts.iter().fold(BooleanBuffer::new_unset(rows), |any, part| &any | &part.run(leaves, rows)),
            Self::Not(part) => !&part.run(leaves, rows),
        }
    }
}

impl Program {
    /// Whether events of the class of the batch can be of this kind.
    pub(crate) fn reads(&self, view: &View<'_>) -> bool {
        self.kind.classes.is_empty() || self.kind.classes.contains(&view.batch().class)
    }

    /// Rules that need the age of the logsource.
    pub(crate) fn first_seen_rules(&self) -> impl Iterator<Item = usize> {
        self.rules.iter().filter(|bound| bound.first_seen).map(|bound| bound.rule)
    }

    /// Every rule and row that holds, by row.
    pub(crate) fn run(&self, view: &View<'_>) -> Vec<Hit> {
        let rows = view.rows();
        let mut leaves = vec![BooleanBuffer::new_unset(rows); self.leaves];
        for field in &self.fields {
            field.run(view, &mut leaves);
        }
        let of_kind = self.when.run(&leaves, rows);
        let mut hits = Vec::new();
        for bound in &self.rules {
            let found = &bound.expr.run(&leaves, rows) & &of_kind;
            hits.extend(found.set_indices().map(|row| Hit { rule: bound.rule, row, matched: bound.matched(&leaves, row) }));
        }
        hits.sort_by_key(|hit| (hit.row, hit.rule));
        hits
    }
}

impl Bound {
    fn matched(&self, leaves: &[BooleanBuffer], row: usize) -> Vec<String> {
        let holds = |leaf: Leaf| leaves.get(leaf).is_some_and(|bits| row < bits.len() && bits.value(row));
        self.labels.iter().filter(|(_, leaf, _)| holds(*leaf)).map(|(selection, _, label)| format!("{selection}: {label}")).collect()
    }
}
