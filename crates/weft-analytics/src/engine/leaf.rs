//! The tests of one field, asked together: one automaton for all its literals, every distinct
//! value looked at once.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};
use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use regex::Regex;

use super::columns::{Values, View};
use crate::sigma::detection::build_regex;
use crate::sigma::pattern::{Network, Order, Place, Test};

/// Number of a test within its program.
pub(crate) type Leaf = usize;

/// All tests of one (logsource, field).
pub(crate) struct FieldProgram {
    paths: Vec<String>,
    folded: Literals,
    cased: Literals,
    others: Vec<(Other, Leaf)>,
    present: Option<Leaf>,
    absent: Option<Leaf>,
    references: Vec<Reference>,
}

enum Other {
    Regex(Regex),
    Cidr(Network),
    Compare(Order, f64),
}

struct Reference {
    place: Place,
    paths: Vec<String>,
    cased: bool,
    leaf: Leaf,
}

/// Literals of one case rule: whole ones by hash, the rest in one automaton.
#[derive(Default)]
struct Literals {
    whole: HashMap<String, Leaf>,
    automaton: Option<AhoCorasick>,
    places: Vec<(Place, Leaf)>,
}

impl FieldProgram {
    /// Builds the program of a field from its tests; `paths_of` resolves referenced fields.
    pub(crate) fn build(paths: Vec<String>, tests: &[(Test, Leaf)], paths_of: impl Fn(&str) -> Vec<String>) -> Result<Self, String> {
        let mut program =
            Self { paths, folded: Literals::default(), cased: Literals::default(), others: Vec::new(), present: None, absent: None, references: Vec::new() };
        let (mut folded, mut cased) = (Vec::new(), Vec::new());
        for (test, leaf) in tests {
            match test {
                Test::Literal { place, text, cased: true } => cased.push((text.clone(), *place, *leaf)),
                Test::Literal { place, text, cased: false } => folded.push((text.clone(), *place, *leaf)),
                Test::Regex(source) => program.others.push((Other::Regex(build_regex(source).map_err(|error| error.to_string())?), *leaf)),
                Test::Cidr(network) => program.others.push((Other::Cidr(*network), *leaf)),
                Test::Compare(order, bound) => program.others.push((Other::Compare(*order, f64::from_bits(*bound)), *leaf)),
                Test::Present => program.present = Some(*leaf),
                Test::Absent => program.absent = Some(*leaf),
                Test::Field { place, other, cased } => program.references.push(Reference { place: *place, paths: paths_of(other), cased: *cased, leaf: *leaf }),
            }
        }
        program.folded = Literals::build(folded)?;
        program.cased = Literals::build(cased)?;
        Ok(program)
    }

    /// Sets the bitmap of every test of this field.
    pub(crate) fn run(&self, view: &View<'_>, leaves: &mut [BooleanBuffer]) {
        let values = view.values(&self.paths);
        let mut bits = Bits { rows: view.rows(), builders: HashMap::new() };
        let found: Vec<Vec<Leaf>> = values.distinct.iter().map(|value| self.ask(value)).collect();
        for (row, id) in &values.pairs {
            for leaf in found.get(*id as usize).into_iter().flatten() {
                bits.set(*leaf, *row);
            }
        }
        self.presence(&values, &mut bits);
        for reference in &self.references {
            reference.run(&values, &view.values(&reference.paths), &mut bits);
        }
        bits.into_leaves(leaves);
    }

    fn ask(&self, value: &str) -> Vec<Leaf> {
        let mut found = Vec::new();
        if !self.folded.is_empty() {
            self.folded.ask(&value.to_lowercase(), &mut found);
        }
        self.cased.ask(value, &mut found);
        for (other, leaf) in &self.others {
            let holds = match other {
                Other::Regex(regex) => regex.is_match(value),
                Other::Cidr(network) => network.holds(value),
                Other::Compare(order, bound) => value.parse().is_ok_and(|number| order.holds(number, *bound)),
            };
            if holds {
                found.push(*leaf);
            }
        }
        found
    }

    fn presence(&self, values: &Values, bits: &mut Bits) {
        if let Some(leaf) = self.present {
            values.pairs.iter().for_each(|(row, _)| bits.set(leaf, *row));
        }
        if let Some(leaf) = self.absent {
            let mut there = vec![false; bits.rows];
            values.pairs.iter().filter_map(|(row, _)| usize::try_from(*row).ok()).for_each(|row| there.get_mut(row).into_iter().for_each(|seen| *seen = true));
            (0u32..).zip(there).filter(|(_, there)| !there).for_each(|(row, _)| bits.set(leaf, row));
        }
    }
}

impl Reference {
    fn run(&self, values: &Values, others: &Values, bits: &mut Bits) {
        let mut by_row: HashMap<u32, Vec<&str>> = HashMap::new();
        for (row, id) in &others.pairs {
            by_row.entry(*row).or_default().extend(others.distinct.get(*id as usize).map(String::as_str));
        }
        for (row, id) in &values.pairs {
            let (Some(value), Some(others)) = (values.distinct.get(*id as usize), by_row.get(row)) else { continue };
            let holds = others
                .iter()
                .any(|other| if self.cased { self.place.holds(value, other) } else { self.place.holds(&value.to_lowercase(), &other.to_lowercase()) });
            if holds {
                bits.set(self.leaf, *row);
            }
        }
    }
}

impl Literals {
    fn build(literals: Vec<(String, Place, Leaf)>) -> Result<Self, String> {
        let mut built = Self::default();
        let mut needles = Vec::new();
        for (text, place, leaf) in literals {
            if place == Place::Whole {
                built.whole.insert(text, leaf);
            } else {
                needles.push(text);
                built.places.push((place, leaf));
            }
        }
        if !needles.is_empty() {
            let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&needles);
            built.automaton = Some(automaton.map_err(|error| format!("the literals of a field do not fit into one automaton: {error}"))?);
        }
        Ok(built)
    }

    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.automaton.is_none()
    }

    fn ask(&self, value: &str, found: &mut Vec<Leaf>) {
        found.extend(self.whole.get(value));
        let Some(automaton) = &self.automaton else { return };
        for hit in automaton.find_overlapping_iter(value) {
            let Some((place, leaf)) = self.places.get(hit.pattern().as_usize()) else { continue };
            let stands = match place {
                Place::Start => hit.start() == 0,
                Place::End => hit.end() == value.len(),
                Place::Inside | Place::Whole => true,
            };
            if stands && !found.contains(leaf) {
                found.push(*leaf);
            }
        }
    }
}

struct Bits {
    rows: usize,
    builders: HashMap<Leaf, BooleanBufferBuilder>,
}

impl Bits {
    fn set(&mut self, leaf: Leaf, row: u32) {
        let rows = self.rows;
        let builder = self.builders.entry(leaf).or_insert_with(|| {
            let mut builder = BooleanBufferBuilder::new(rows);
            builder.append_n(rows, false);
            builder
        });
        if (row as usize) < rows {
            builder.set_bit(row as usize, true);
        }
    }

    fn into_leaves(self, leaves: &mut [BooleanBuffer]) {
        for (leaf, mut builder) in self.builders {
            if let Some(slot) = leaves.get_mut(leaf) {
                *slot = builder.finish();
            }
        }
    }
}
