//! The rules of one kind of event, compiled together: leaves, then bitmap algebra.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use weft_model::ClassUid;

use super::bits::Bits;
use super::build::Builder;
use super::columns::View;
use super::lazy::{Keywords, Lazy, LazyTest, Memo};
use super::leaf::{FieldProgram, Leaf, Leaves, Scratch};
use super::wanted::Wanted;
use crate::sigma::fields::{Kind, Paths};

/// A condition over leaves.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    /// A test that was asked of every row.
    Leaf(Leaf),
    /// A test that is asked of rows in question.
    Lazy(usize),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    AtLeast(usize, Vec<Expr>),
}

/// A rule bound to a kind of event.
pub(crate) struct Bound {
    /// Number of the rule in the engine.
    pub(crate) rule: usize,
    pub(crate) expr: Expr,
    /// What each selection asks.
    pub(crate) selections: Vec<Expr>,
    /// What each test asks, in the order of [`Matcher::each`](crate::sigma::detection::Matcher::each).
    pub(crate) tests: Vec<Expr>,
    /// Whether it has tests whose time is worth to be taken.
    pub(crate) lazy: bool,
    pub(crate) first_seen: bool,
}

/// All rules of one kind of event.
pub(crate) struct Program {
    pub(crate) kind: Arc<Kind>,
    /// What every event of the kind has.
    when: Vec<FieldProgram>,
    of_kind: Expr,
    rules: Vec<Bound>,
    fields: Vec<FieldProgram>,
    lazies: Vec<Lazy>,
    keywords: Keywords,
    leaves: usize,
    /// Rules that can hold only where this leaf holds.
    by_leaf: Vec<Vec<u32>>,
    /// Rules that can hold anywhere.
    always: Vec<u32>,
    memory: Memory,
}

/// Memory that one run after another uses.
#[derive(Default)]
struct Memory {
    leaves: Leaves,
    scratch: Scratch,
    seen: Vec<bool>,
}

/// Where a rule holds in a batch.
pub(crate) struct Hit {
    /// Number of the rule in the engine.
    pub(crate) rule: usize,
    pub(crate) row: usize,
    /// Selections that hold, and tests that hold, by place.
    pub(crate) selections: Vec<usize>,
    pub(crate) tests: Vec<usize>,
}

/// What a rule with lazy tests cost.
pub(crate) struct Cost {
    /// Number of the rule in the engine.
    pub(crate) rule: usize,
    pub(crate) rows: usize,
    pub(crate) nanos: u64,
    /// Values on which an expression gave up.
    pub(crate) given_up: u32,
}

/// What a run found.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) hits: Vec<Hit>,
    pub(crate) costs: Vec<Cost>,
}

/// The caller's stopwatch, in nanoseconds; the engine has no clock.
pub type Stopwatch = Box<dyn FnMut() -> u64 + Send>;

impl Program {
    pub(super) fn of(builder: Builder, wanted: &mut Wanted) -> Result<Self, String> {
        let mut built = builder.finish()?;
        for field in built.when.iter_mut().chain(&mut built.fields) {
            field.field = wanted.field(&field.paths);
        }
        for lazy in &mut built.lazies {
            lazy.field = wanted.field(&lazy.paths);
            if let LazyTest::Field { other: (paths, field), .. } = &mut lazy.test {
                *field = wanted.field(paths);
            }
        }
        let mut by_leaf = vec![Vec::new(); built.leaves];
        let mut always = Vec::new();
        for (number, bound) in (0u32..).zip(&built.rules) {
            match needed(&bound.expr, &built.weights) {
                Some((leaves, _)) => leaves.into_iter().for_each(|leaf| by_leaf.get_mut(leaf).into_iter().for_each(|rules: &mut Vec<u32>| rules.push(number))),
                None => always.push(number),
            }
        }
        Ok(Self {
            kind: built.kind,
            when: built.when,
            of_kind: built.of_kind,
            rules: built.rules,
            fields: built.fields,
            lazies: built.lazies,
            keywords: built.keywords,
            leaves: built.leaves,
            by_leaf,
            always,
            memory: Memory::default(),
        })
    }

    /// Whether events of the class of the batch can be of this kind.
    pub(crate) fn reads(&self, view: &View<'_>) -> bool {
        self.reads_class(view.batch().class)
    }

    /// Whether events of a class can be of this kind.
    pub(crate) fn reads_class(&self, class: ClassUid) -> bool {
        self.kind.classes.is_empty() || self.kind.classes.contains(&class)
    }

    /// Every field that is asked; of whole records, what they are searched in.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Paths> {
        let others = self.lazies.iter().filter_map(|lazy| if let LazyTest::Field { other, .. } = &lazy.test { Some(&other.0) } else { None });
        self.when.iter().chain(&self.fields).map(|field| &field.paths).chain(self.lazies.iter().map(|lazy| &lazy.paths)).chain(others)
    }

    /// Rules that need the age of the logsource.
    pub(crate) fn first_seen_rules(&self) -> impl Iterator<Item = usize> {
        self.rules.iter().filter(|bound| bound.first_seen).map(|bound| bound.rule)
    }

    /// The rows whose events are of this kind; their fields are noted as asked for.
    pub(crate) fn within(&mut self, view: &View<'_>) -> Bits {
        let mut memory = std::mem::take(&mut self.memory);
        memory.leaves.reset(self.leaves);
        let rows = Bits::all(view.rows());
        for field in &self.when {
            field.run(&view.values(field.field), &rows, &mut memory.leaves, &mut memory.scratch);
        }
        let within = self.eval(&self.of_kind, &rows, &memory.leaves, view, &Memo::default());
        self.memory = memory;
        if !within.is_empty() {
            let others = self.lazies.iter().filter_map(|lazy| if let LazyTest::Field { other, .. } = &lazy.test { Some(other.1) } else { None });
            let fields = self.fields.iter().map(|field| field.field).chain(self.lazies.iter().map(|lazy| lazy.field)).chain(others);
            fields.for_each(|field| view.ask(field, &within));
        }
        within
    }

    /// Every rule and row that holds among those of this kind, by row, after [`Program::within`] of the same
    /// view. Rules for which `suspended` is set are left out.
    pub(crate) fn run(&mut self, view: &View<'_>, within: &Bits, suspended: &[bool], stopwatch: Option<&mut Stopwatch>) -> Outcome {
        let mut memory = std::mem::take(&mut self.memory);
        let (memo, mut outcome) = (Memo::default(), Outcome::default());
        for field in &self.fields {
            field.run(&view.values(field.field), within, &mut memory.leaves, &mut memory.scratch);
        }
        self.rules(view, within, &mut memory, &memo, suspended, stopwatch, &mut outcome);
        outcome.hits.sort_by_key(|hit| (hit.row, hit.rule));
        self.memory = memory;
        outcome
    }

    #[allow(clippy::too_many_arguments, reason = "one step of `run`, cut out to be read alone")]
    fn rules(
        &self,
        view: &View<'_>,
        within: &Bits,
        memory: &mut Memory,
        memo: &Memo,
        suspended: &[bool],
        mut stopwatch: Option<&mut Stopwatch>,
        outcome: &mut Outcome,
    ) {
        for number in self.possible(memory, suspended) {
            let Some(bound) = self.rules.get(number) else { continue };
            let (begun, gave_up) = (bound.lazy.then(|| stopwatch.as_mut().map_or(0, |watch| watch())), memo.given_up.get());
            let found = self.eval(&bound.expr, within, &memory.leaves, view, memo);
            if let Some(begun) = begun {
                let nanos = stopwatch.as_mut().map_or(0, |watch| watch()).saturating_sub(begun);
                outcome.costs.push(Cost { rule: bound.rule, rows: within.count(), nanos, given_up: memo.given_up.get() - gave_up });
            }
            for row in found.rows() {
                let holding =
                    |exprs: &[Expr]| exprs.iter().enumerate().filter(|(_, expr)| self.holds(expr, row, &memory.leaves, view, memo)).map(|(at, _)| at).collect();
                outcome.hits.push(Hit { rule: bound.rule, row, selections: holding(&bound.selections), tests: holding(&bound.tests) });
            }
        }
    }

    /// Rows in which some rule holds, after [`Program::within`] of the same view.
    pub(crate) fn rows(&mut self, view: &View<'_>, within: &Bits, suspended: &[bool]) -> Bits {
        let mut memory = std::mem::take(&mut self.memory);
        for field in &self.fields {
            field.run(&view.values(field.field), within, &mut memory.leaves, &mut memory.scratch);
        }
        let (memo, mut rows) = (Memo::default(), Bits::default());
        for bound in self.possible(&mut memory, suspended).into_iter().filter_map(|number| self.rules.get(number)) {
            rows.add(&self.eval(&bound.expr, within, &memory.leaves, view, &memo));
        }
        self.memory = memory;
        rows
    }

    /// Rules of which a test that they need holds somewhere, each once.
    fn possible(&self, memory: &mut Memory, suspended: &[bool]) -> Vec<usize> {
        memory.seen.clear();
        memory.seen.resize(self.rules.len(), false);
        let touched = memory.leaves.touched().iter().filter_map(|leaf| self.by_leaf.get(*leaf)).flatten();
        let numbers = touched.chain(&self.always).map(|number| *number as usize);
        let mut possible = Vec::new();
        for number in numbers {
            let (Some(bound), Some(seen)) = (self.rules.get(number), memory.seen.get_mut(number)) else { continue };
            if !std::mem::replace(seen, true) && suspended.get(bound.rule) != Some(&true) {
                possible.push(number);
            }
        }
        possible
    }

    /// The rows, among `within`, where `expr` holds.
    fn eval(&self, expr: &Expr, within: &Bits, leaves: &Leaves, view: &View<'_>, memo: &Memo) -> Bits {
        match expr {
            Expr::Leaf(leaf) => leaves.get(*leaf).map_or_else(Bits::default, |bits| bits.and(within)),
            Expr::Lazy(number) => match self.lazies.get(*number) {
                Some(lazy) if !within.is_empty() => lazy.run(*number, view, within, &self.keywords, memo),
                _ => Bits::default(),
            },
            Expr::All(parts) => {
                let mut left = within.clone();
                for part in parts {
                    if left.is_empty() {
                        return Bits::default();
                    }
                    left = self.eval(part, &left, leaves, view, memo);
                }
                left
            }
            Expr::Any(parts) => {
                let (mut any, mut left) = (Bits::default(), None::<Bits>);
                for part in parts {
                    if matches!(part, Expr::Leaf(leaf) if leaves.get(*leaf).is_none()) {
                        continue;
                    }
                    let left = left.get_or_insert_with(|| within.clone());
                    let found = self.eval(part, left, leaves, view, memo);
                    left.remove(&found);
                    any.add(&found);
                }
                any
            }
            Expr::Not(part) => within.without(&self.eval(part, within, leaves, view, memo)),
            Expr::AtLeast(least, parts) => at_least(*least, parts.iter().map(|part| self.eval(part, within, leaves, view, memo))),
        }
    }
}

impl Program {
    /// Whether `expr` holds in one row.
    fn holds(&self, expr: &Expr, row: usize, leaves: &Leaves, view: &View<'_>, memo: &Memo) -> bool {
        let parts_hold = |part: &Expr| self.holds(part, row, leaves, view, memo);
        match expr {
            Expr::Leaf(leaf) => leaves.get(*leaf).is_some_and(|bits| bits.has(row)),
            Expr::Lazy(_) => !self.eval(expr, &Bits::one(row), leaves, view, memo).is_empty(),
            Expr::All(parts) => parts.iter().all(parts_hold),
            Expr::Any(parts) => parts.iter().any(parts_hold),
            Expr::Not(part) => !parts_hold(part),
            Expr::AtLeast(least, parts) => parts.iter().filter(|part| parts_hold(part)).count() >= *least,
        }
    }
}

/// Rows that are in at least so many.
fn at_least(least: usize, parts: impl Iterator<Item = Bits>) -> Bits {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    parts.for_each(|rows| rows.rows().for_each(|row| *counts.entry(row).or_default() += 1));
    let mut bits = Bits::default();
    counts.into_iter().filter(|(_, count)| *count >= least).for_each(|(row, _)| bits.set(row));
    bits
}

/// Leaves of which one must hold where `expr` does, and how often they are expected to; `None`
/// where it can hold without any.
fn needed(expr: &Expr, weights: &HashMap<Leaf, u32>) -> Option<(Vec<Leaf>, u32)> {
    match expr {
        Expr::Leaf(leaf) => Some((vec![*leaf], weights.get(leaf).copied().unwrap_or(1))),
        Expr::Lazy(_) | Expr::Not(_) => None,
        Expr::All(parts) => parts.iter().filter_map(|part| needed(part, weights)).min_by_key(|(_, weight)| *weight),
        Expr::Any(parts) | Expr::AtLeast(_, parts) => {
            let all: Vec<(Vec<Leaf>, u32)> = parts.iter().map(|part| needed(part, weights)).collect::<Option<_>>()?;
            let weight = all.iter().fold(0u32, |sum, (_, weight)| sum.saturating_add(*weight));
            Some((all.into_iter().flat_map(|(leaves, _)| leaves).collect(), weight))
        }
    }
}
