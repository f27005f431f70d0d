//! Tests that cost: asked only of rows that are still in question when all else is known.

use std::cell::{Cell, RefCell};

use hashbrown::HashMap;

use super::bits::Bits;
use super::columns::View;
use super::leaf::{Leaf, Literals, fold, fold_for_ascii};
use super::wanted::FieldId;
use crate::sigma::fields::Paths;
use crate::sigma::pattern::{self, Expression, Piece, Place};

/// A test of single values or rows.
pub(crate) struct Lazy {
    pub(crate) paths: Paths,
    /// The number of its field among all that are wanted.
    pub(crate) field: FieldId,
    pub(crate) test: LazyTest,
}

/// What is asked.
pub(crate) enum LazyTest {
    /// A literal with wildcards in the middle.
    Glob {
        /// The literal.
        pieces: Vec<Piece>,
        /// Whether case counts.
        cased: bool,
    },
    /// A regular expression.
    Regex(Expression),
    /// Another field of the same event.
    Field {
        /// Where in the value.
        place: Place,
        /// The other field, and its number.
        other: (Paths, FieldId),
        /// Whether case counts.
        cased: bool,
    },
    /// A text anywhere in the event; the number among all keywords of the program.
    Keyword(Leaf),
}

/// All keywords of one kind of event, in automata; a row is searched once for all.
#[derive(Default)]
pub(crate) struct Keywords {
    folded: Literals,
    cased: Literals,
    /// Whether no keyword has a letter beyond ASCII.
    ascii: bool,
}

/// What was asked so far in one run.
#[derive(Default)]
pub(crate) struct Memo {
    values: RefCell<HashMap<(usize, u32), bool>>,
    /// By row: the keywords in it, once searched for.
    keywords: RefCell<Vec<Option<Box<[Leaf]>>>>,
    /// Expressions that gave up because they took too many steps.
    pub(crate) given_up: Cell<u32>,
}

impl Keywords {
    /// Builds the automata of `(text, cased)`, numbered by place. In a raw record that is JSON a
    /// text stands with its escapes, so that is looked for as well.
    pub(crate) fn build(texts: &[(Box<str>, bool)]) -> Result<Self, String> {
        let (mut folded, mut cased) = (Vec::new(), Vec::new());
        for (number, (text, is_cased)) in texts.iter().enumerate() {
            let list = if *is_cased { &mut cased } else { &mut folded };
            let quoted = serde_json::Value::from(&**text).to_string();
            let escaped = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
            if escaped != &**text {
                list.push((escaped.into(), Place::Inside, number));
            }
            list.push((text.clone(), Place::Inside, number));
        }
        let ascii = texts.iter().all(|(text, _)| text.is_ascii());
        Ok(Self { folded: Literals::build_screened(folded)?, cased: Literals::build_screened(cased)?, ascii })
    }

    fn of(&self, view: &View<'_>, row: usize) -> Vec<Leaf> {
        let (mut found, mut text) = (Vec::new(), String::new());
        // What no mapping named is in the raw record too.
        let raw = view.text("raw_data", row);
        let rest = if raw.is_none() { view.text("unmapped", row) } else { None };
        for value in [raw, view.text("message", row), rest].into_iter().flatten() {
            if !self.folded.is_empty() {
                if self.ascii {
                    fold_for_ascii(value, &mut text)
                } else {
                    fold(value, &mut text)
                }
                self.folded.ask(&text, &mut found);
            }
            self.cased.ask(value, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Lazy {
    /// The rows, among `within`, where it holds. `number` is its own within the program.
    pub(crate) fn run(&self, number: usize, view: &View<'_>, within: &Bits, keywords: &Keywords, memo: &Memo) -> Bits {
        let mut bits = Bits::default();
        let mut keep = |row: usize, holds: bool| {
            if holds {
                bits.set(row);
            }
        };
        match &self.test {
            LazyTest::Keyword(keyword) => {
                let mut known = memo.keywords.borrow_mut();
                known.resize(view.rows(), None);
                for row in within.rows() {
                    let Some(known) = known.get_mut(row) else { continue };
                    let here = known.get_or_insert_with(|| keywords.of(view, row).into());
                    keep(row, here.binary_search(keyword).is_ok());
                }
            }
            LazyTest::Field { place, other, cased } => {
                let (values, others) = (view.values(self.field), view.values(other.1));
                let same = |a: &str, b: &str| if *cased { place.holds(a, b) } else { place.holds(&a.to_lowercase(), &b.to_lowercase()) };
                within.rows().for_each(|row| keep(row, values.of(row).any(|value| others.of(row).any(|other| same(value, other)))));
            }
            LazyTest::Glob { .. } | LazyTest::Regex(_) => {
                let values = view.values(self.field);
                let mut known = memo.values.borrow_mut();
                let mut holds = |id| *known.entry((number, id)).or_insert_with(|| self.value(values.text(id).unwrap_or_default(), memo));
                within.rows().for_each(|row| keep(row, values.ids(row).any(&mut holds)));
            }
        }
        bits
    }

    fn value(&self, value: &str, memo: &Memo) -> bool {
        match &self.test {
            LazyTest::Glob { pieces, cased: true } => pattern::glob(pieces, value),
            LazyTest::Glob { pieces, cased: false } => pattern::glob(pieces, &value.to_lowercase()),
            LazyTest::Regex(expression) => expression.holds(value).unwrap_or_else(|| {
                memo.given_up.set(memo.given_up.get().saturating_add(1));
                false
            }),
            LazyTest::Field { .. } | LazyTest::Keyword(_) => false,
        }
    }
}
