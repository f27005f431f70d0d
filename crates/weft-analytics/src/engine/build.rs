//! From rules to the program of one kind of event: equal tests become one leaf.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::lazy::{Keywords, Lazy, LazyTest};
use super::leaf::{Asked, FieldProgram, Leaf};
use super::program::{Bound, Expr};
use super::wanted::FieldId;
use crate::sigma::condition::Condition;
use crate::sigma::detection::{Detection, KEYWORDS, Matcher};
use crate::sigma::fields::{Kind, Paths};
use crate::sigma::pattern::{Expression, Piece, Place, Test};

/// Shortest piece of a literal with wildcards that is worth to be looked for.
const PIECE_BYTES_MIN: usize = 3;

/// Collects rules before their automata are built.
pub(super) struct Builder {
    kind: Arc<Kind>,
    of_kind: Expr,
    /// Leaves below this number belong to `of_kind`.
    when_leaves: usize,
    rules: Vec<Bound>,
    numbers: HashMap<(Box<str>, Asked), Leaf>,
    lazies: Vec<Lazy>,
    lazy_numbers: HashMap<(Box<str>, Test), usize>,
    keywords: Vec<(Box<str>, bool)>,
    keyword_numbers: HashMap<(Box<str>, bool), usize>,
}

/// The parts of a program.
pub(super) struct Built {
    pub(super) kind: Arc<Kind>,
    pub(super) when: Vec<FieldProgram>,
    pub(super) of_kind: Expr,
    pub(super) rules: Vec<Bound>,
    pub(super) fields: Vec<FieldProgram>,
    pub(super) lazies: Vec<Lazy>,
    pub(super) keywords: Keywords,
    pub(super) leaves: usize,
    /// How often a leaf is expected to hold, where it is not seldom.
    pub(super) weights: HashMap<Leaf, u32>,
}

impl Builder {
    pub(super) fn new(kind: Arc<Kind>) -> Self {
        let mut builder = Self {
            kind: Arc::clone(&kind),
            of_kind: Expr::All(Vec::new()),
            when_leaves: 0,
            rules: Vec::new(),
            numbers: HashMap::new(),
            lazies: Vec::new(),
            lazy_numbers: HashMap::new(),
            keywords: Vec::new(),
            keyword_numbers: HashMap::new(),
        };
        let mut asked = Vec::new();
        for (path, values) in &kind.when {
            let (nots, any): (Vec<&String>, Vec<&String>) = values.iter().partition(|value| value.starts_with('!'));
            asked.extend(nots.iter().map(|value| Expr::Not(Box::new(builder.when(path, value.trim_start_matches('!'))))));
            if !any.is_empty() {
                asked.push(Expr::Any(any.iter().map(|value| builder.when(path, value)).collect()));
            }
        }
        builder.of_kind = Expr::All(asked);
        builder.when_leaves = builder.numbers.len();
        builder
    }

    /// A value that events of the kind have; wildcards as in rules, and nothing for absent.
    fn when(&mut self, path: &str, text: &str) -> Expr {
        let test = if text.is_empty() { Test::Absent } else { crate::sigma::pattern::literal(text, Place::Whole, false) };
        // A field of the rules may have the same name and other paths.
        self.leaf(&format!("when {path}"), Asked::Test(test))
    }

    pub(super) fn add(&mut self, rule: usize, detection: &Detection, first_seen: bool) {
        let mut tests = Vec::new();
        let selections: Vec<Expr> = detection.selections.iter().map(|selection| self.matcher(&selection.matcher, &mut tests)).collect();
        let mut expr = condition(&detection.condition, &selections);
        let lazy = order(&mut expr) > 1;
        self.rules.push(Bound { rule, expr, selections, tests, lazy, first_seen });
    }

    fn matcher(&mut self, matcher: &Matcher, tests: &mut Vec<Expr>) -> Expr {
        match matcher {
            Matcher::All(parts) => Expr::All(parts.iter().map(|part| self.matcher(part, tests)).collect()),
            Matcher::Any(parts) => Expr::Any(parts.iter().map(|part| self.matcher(part, tests)).collect()),
            Matcher::Not(part) => Expr::Not(Box::new(self.matcher(part, tests))),
            Matcher::Field { field, test, .. } => {
                let expr = self.test(field, test);
                tests.push(expr.clone());
                expr
            }
        }
    }

    fn test(&mut self, field: &str, test: &Test) -> Expr {
        match test {
            Test::Literal { text, cased, .. } if field == KEYWORDS => self.keyword(text, *cased),
            Test::Glob { pieces, cased } => {
                let mut parts = self.pieces(field, pieces, *cased);
                parts.push(self.lazy(field, test, || LazyTest::Glob { pieces: pieces.clone(), cased: *cased }));
                Expr::All(parts)
            }
            Test::Regex(expression) => {
                let lazy = self.lazy(field, test, || LazyTest::Regex(expression.clone()));
                match self.needles(field, expression) {
                    Some(needles) => Expr::All(vec![Expr::Any(needles), lazy]),
                    None => lazy,
                }
            }
            Test::Field { place, other, cased } => {
                let other = (self.kind.paths(other), FieldId::MAX);
                self.lazy(field, test, || LazyTest::Field { place: *place, other, cased: *cased })
            }
            other => self.leaf(field, Asked::Test(other.clone())),
        }
    }

    /// What a value must hold to match a literal with wildcards.
    fn pieces(&mut self, field: &str, pieces: &[Piece], cased: bool) -> Vec<Expr> {
        let texts = pieces.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None });
        let texts = texts.filter(|text| text.len() >= PIECE_BYTES_MIN);
        let part = |text: &str| Test::Literal { place: Place::Inside, text: text.into(), cased };
        texts.map(|text| self.test(field, &part(text))).collect()
    }

    /// What a value must hold to match a regular expression. Says nothing about raw records, whose
    /// escapes the expression may look at.
    fn needles(&mut self, field: &str, expression: &Expression) -> Option<Vec<Expr>> {
        let needles = expression.needles().filter(|_| field != KEYWORDS)?;
        let part = |text: String| Test::Literal { place: Place::Inside, text: text.into(), cased: false };
        let mut any: Vec<Expr> = needles.into_iter().map(|text| self.leaf(field, Asked::Test(part(text)))).collect();
        any.push(self.leaf(field, Asked::Foreign));
        Some(any)
    }

    fn leaf(&mut self, field: &str, asked: Asked) -> Expr {
        let next = self.numbers.len();
        Expr::Leaf(*self.numbers.entry((field.into(), asked)).or_insert(next))
    }

    fn lazy(&mut self, field: &str, test: &Test, make: impl FnOnce() -> LazyTest) -> Expr {
        let next = self.lazies.len();
        let number = *self.lazy_numbers.entry((field.into(), test.clone())).or_insert(next);
        if number == next {
            self.lazies.push(Lazy { paths: self.kind.paths(field), field: FieldId::MAX, test: make() });
        }
        Expr::Lazy(number)
    }

    fn keyword(&mut self, text: &str, cased: bool) -> Expr {
        let next = self.keywords.len();
        let number = *self.keyword_numbers.entry((text.into(), cased)).or_insert(next);
        if number == next {
            self.keywords.push((text.into(), cased));
        }
        let test = Test::Literal { place: Place::Inside, text: text.into(), cased };
        self.lazy(KEYWORDS, &test, || LazyTest::Keyword(number))
    }

    /// Builds the automata.
    pub(super) fn finish(self) -> Result<Built, String> {
        let leaves = self.numbers.len();
        let mut weights = HashMap::new();
        let mut by_paths: BTreeMap<(bool, Paths), Vec<(Asked, Leaf)>> = BTreeMap::new();
        for ((field, asked), leaf) in self.numbers {
            let is_when = leaf < self.when_leaves;
            let paths = match field.strip_prefix("when ").filter(|_| is_when) {
                Some(path) => Paths { own: Vec::new(), ocsf: vec![path.to_owned()] },
                None => self.kind.paths(&field),
            };
            weights.extend(weight(&asked).map(|weight| (leaf, weight)));
            by_paths.entry((!is_when, paths)).or_default().push((asked, leaf));
        }
        let (mut when, mut fields) = (Vec::new(), Vec::new());
        for ((of_rules, paths), mut tests) in by_paths {
            tests.sort_by_key(|(_, leaf)| *leaf);
            let program = FieldProgram::build(paths, tests)?;
            if of_rules { fields.push(program) } else { when.push(program) }
        }
        let keywords = Keywords::build(&self.keywords)?;
        Ok(Built { kind: self.kind, when, of_kind: self.of_kind, rules: self.rules, fields, lazies: self.lazies, keywords, leaves, weights })
    }
}

/// Tests that hold often are a bad reason to look at a rule.
fn weight(asked: &Asked) -> Option<u32> {
    match asked {
        Asked::Test(Test::Absent | Test::Present) => Some(1_000),
        Asked::Test(Test::Compare(..) | Test::Time(..) | Test::Cidr(_)) => Some(100),
        Asked::Test(Test::Literal { text, .. }) if text.len() < 4 => Some(20),
        Asked::Test(_) | Asked::Foreign => None,
    }
}

fn condition(asked: &Condition, selections: &[Expr]) -> Expr {
    let all = |parts: &[Condition]| parts.iter().map(|part| condition(part, selections)).collect();
    match asked {
        Condition::Selection(index) => selections.get(*index).cloned().unwrap_or(Expr::Any(Vec::new())),
        Condition::And(parts) => Expr::All(all(parts)),
        Condition::Or(parts) => Expr::Any(all(parts)),
        Condition::Not(part) => Expr::Not(Box::new(condition(part, selections))),
        Condition::AtLeast(least, parts) => Expr::AtLeast(*least, all(parts)),
    }
}

/// Puts what is known before what must be asked: 0 and 1 are known, 2 must be asked.
fn order(expr: &mut Expr) -> u8 {
    match expr {
        Expr::Leaf(_) => 0,
        Expr::Lazy(_) => 2,
        Expr::Not(part) => order(part).max(1),
        Expr::All(parts) | Expr::Any(parts) => {
            let mut ranked: Vec<(u8, Expr)> = std::mem::take(parts).into_iter().map(|mut part| (order(&mut part), part)).collect();
            ranked.sort_by_key(|(rank, _)| *rank);
            let most = ranked.last().map_or(0, |(rank, _)| *rank);
            parts.extend(ranked.into_iter().map(|(_, part)| part));
            most
        }
        Expr::AtLeast(_, parts) => parts.iter_mut().map(order).max().unwrap_or(0).max(1),
    }
}
