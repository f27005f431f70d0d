//! The tests of one field, asked together: one automaton for all its literals, every distinct
//! value looked at once.

use std::net::IpAddr;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use hashbrown::HashMap;

use super::bits::Bits;
use super::columns::Values;
use super::wanted::FieldId;
use crate::sigma::fields::Paths;
use crate::sigma::pattern::{Network, Order, Place, Test, TimePart};

/// Number of a test within its program.
pub(crate) type Leaf = usize;

/// Bytes of literals up to which an automaton is a table of all transitions: fastest, but large.
const TABLE_BYTES_MAX: usize = 40_000;

/// All tests of one (logsource, field) that are asked of every row.
pub(crate) struct FieldProgram {
    pub(crate) paths: Paths,
    /// Its number among all that are wanted.
    pub(crate) field: FieldId,
    folded: Literals,
    cased: Literals,
    networks: Vec<(Network, Leaf)>,
    numbers: Vec<(Order, f64, Leaf)>,
    times: Vec<(TimePart, Order, f64, Leaf)>,
    present: Option<Leaf>,
    absent: Option<Leaf>,
    foreign: Option<Leaf>,
}

/// A test as programs number it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// A test of a rule.
    Test(Test),
    /// The value holds letters beyond ASCII, about which prefilters say nothing.
    Foreign,
}

/// The rows in which each test of a program holds.
#[derive(Default)]
pub(crate) struct Leaves {
    bits: Vec<Bits>,
    touched: Vec<Leaf>,
}

impl Leaves {
    /// Forgets everything, for `leaves` tests.
    pub(crate) fn reset(&mut self, leaves: usize) {
        for leaf in self.touched.drain(..) {
            if let Some(bits) = self.bits.get_mut(leaf) {
                bits.clear();
            }
        }
        self.bits.resize_with(leaves, Bits::default);
    }

    pub(crate) fn set(&mut self, leaf: Leaf, row: usize) {
        if let Some(bits) = self.bits.get_mut(leaf) {
            if bits == &Bits::default() {
                self.touched.push(leaf);
            }
            bits.set(row);
        }
    }

    fn put(&mut self, leaf: Leaf, rows: Bits) {
        if rows.is_empty() {
            return;
        }
        if let Some(bits) = self.bits.get_mut(leaf) {
            *bits = rows;
            self.touched.push(leaf);
        }
    }

    /// The rows of a test; `None` where it holds nowhere.
    pub(crate) fn get(&self, leaf: Leaf) -> Option<&Bits> {
        self.bits.get(leaf).filter(|bits| **bits != Bits::default())
    }

    /// Tests that hold somewhere.
    pub(crate) fn touched(&self) -> &[Leaf] {
        &self.touched
    }
}

/// Memory that one run after another uses.
#[derive(Default)]
pub(crate) struct Scratch {
    folded: String,
    found: Vec<Leaf>,
    /// Leaves of each distinct value, one after the other.
    hits: Vec<Leaf>,
    /// By distinct value: where its leaves begin and end, once asked.
    asked: Vec<Option<(usize, usize)>>,
}

impl FieldProgram {
    /// Builds the program of a field from its tests.
    pub(crate) fn build(paths: Paths, tests: Vec<(Asked, Leaf)>) -> Result<Self, String> {
        let mut program = Self {
            paths,
            field: FieldId::MAX,
            folded: Literals::default(),
            cased: Literals::default(),
            networks: Vec::new(),
            numbers: Vec::new(),
            times: Vec::new(),
            present: None,
            absent: None,
            foreign: None,
        };
        let (mut folded, mut cased) = (Vec::new(), Vec::new());
        for (test, leaf) in tests {
            match test {
                Asked::Test(Test::Literal { place, text, cased: true }) => cased.push((text, place, leaf)),
                Asked::Test(Test::Literal { place, text, cased: false }) => folded.push((text, place, leaf)),
                Asked::Test(Test::Cidr(network)) => program.networks.push((network, leaf)),
                Asked::Test(Test::Compare(order, bound)) => program.numbers.push((order, f64::from_bits(bound), leaf)),
                Asked::Test(Test::Time(part, order, bound)) => program.times.push((part, order, f64::from_bits(bound), leaf)),
                Asked::Test(Test::Present) => program.present = Some(leaf),
                Asked::Test(Test::Absent) => program.absent = Some(leaf),
                Asked::Foreign => program.foreign = Some(leaf),
                // Asked of rows that are still in question, by `lazy`.
                Asked::Test(Test::Glob { .. } | Test::Regex(_) | Test::Field { .. }) => {}
            }
        }
        program.folded = Literals::build(folded)?;
        program.cased = Literals::build(cased)?;
        Ok(program)
    }

    /// Sets the rows, among `within`, of every test of this field.
    pub(crate) fn run(&self, values: &Values, within: &Bits, leaves: &mut Leaves, scratch: &mut Scratch) {
        scratch.hits.clear();
        scratch.asked.clear();
        scratch.asked.resize(values.distinct(), None);
        // Of most fields no value meets a test: then the rows need no look.
        let few = values.distinct() <= within.count();
        let silent = few && (0..values.distinct()).all(|id| u32::try_from(id).is_ok_and(|id| self.hits(values, id, scratch).0 == scratch.hits.len()));
        for row in within.rows().take_while(|_| !silent) {
            for id in values.ids(row) {
                let (from, to) = self.hits(values, id, scratch);
                scratch.hits.get(from..to).into_iter().flatten().for_each(|leaf| leaves.set(*leaf, row));
            }
        }
        if self.present.is_some() || self.absent.is_some() {
            let present = values.present();
            if let Some(leaf) = self.present {
                leaves.put(leaf, present.and(within));
            }
            if let Some(leaf) = self.absent {
                leaves.put(leaf, within.without(&present));
            }
        }
    }

    /// Where the leaves of a distinct value stand, which is asked the first time.
    fn hits(&self, values: &Values, id: u32, scratch: &mut Scratch) -> (usize, usize) {
        if let Some(Some(known)) = scratch.asked.get(id as usize) {
            return *known;
        }
        let from = scratch.hits.len();
        self.ask(values.text(id).unwrap_or_default(), scratch);
        let known = (from, scratch.hits.len());
        if let Some(asked) = scratch.asked.get_mut(id as usize) {
            *asked = Some(known);
        }
        known
    }

    fn ask(&self, value: &str, scratch: &mut Scratch) {
        scratch.found.clear();
        if !self.folded.is_empty() {
            fold(value, &mut scratch.folded);
            self.folded.ask(&scratch.folded, &mut scratch.found);
        }
        self.cased.ask(value, &mut scratch.found);
        if !self.networks.is_empty()
            && let Ok(address) = value.trim().parse::<IpAddr>()
        {
            scratch.found.extend(self.networks.iter().filter(|(network, _)| network.has(address)).map(|(_, leaf)| *leaf));
        }
        if !self.numbers.is_empty()
            && let Ok(number) = value.trim().parse::<f64>()
        {
            scratch.found.extend(self.numbers.iter().filter(|(order, bound, _)| order.holds(number, *bound)).map(|(.., leaf)| *leaf));
        }
        for (part, order, bound, leaf) in &self.times {
            if part.in_text(value).is_some_and(|number| order.holds(number as f64, *bound)) {
                scratch.found.push(*leaf);
            }
        }
        if let Some(leaf) = self.foreign.filter(|_| !value.is_ascii()) {
            scratch.found.push(leaf);
        }
        scratch.found.sort_unstable();
        scratch.found.dedup();
        scratch.hits.extend_from_slice(&scratch.found);
    }
}

/// `value` in lower case.
pub(crate) fn fold(value: &str, folded: &mut String) {
    folded.clear();
    if value.is_ascii() {
        folded.push_str(value);
        folded.make_ascii_lowercase();
    } else {
        folded.push_str(&value.to_lowercase());
    }
}

/// `value` with its ASCII in lower case, and all of it where a letter beyond ASCII becomes one within:
/// enough to look for texts that are ASCII.
pub(crate) fn fold_for_ascii(value: &str, folded: &mut String) {
    /// The Kelvin sign, and I with a dot: the letters whose small form has ASCII (Unicode, SpecialCasing).
    const INTO_ASCII: [&str; 2] = ["\u{212a}", "\u{130}"];
    if !value.is_ascii() && INTO_ASCII.iter().any(|letter| memchr::memmem::find(value.as_bytes(), letter.as_bytes()).is_some()) {
        return fold(value, folded);
    }
    folded.clear();
    folded.push_str(value);
    folded.make_ascii_lowercase();
}

/// Literals of one case rule: whole ones by hash, the rest in one automaton.
#[derive(Default)]
pub(crate) struct Literals {
    whole: HashMap<Box<str>, Leaf>,
    automaton: Option<AhoCorasick>,
    places: Vec<(Place, Leaf)>,
    /// Says fast that there is nothing, where values are long.
    screen: Option<AhoCorasick>,
}

impl Literals {
    /// The same with a screen, for long values that seldom hold any.
    pub(crate) fn build_screened(literals: Vec<(Box<str>, Place, Leaf)>) -> Result<Self, String> {
        let needles: Vec<Box<str>> = literals.iter().map(|(text, ..)| text.clone()).collect();
        let mut built = Self::build(literals)?;
        if !needles.is_empty() {
            let screen = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(needles.iter().map(|needle| needle.as_bytes()));
            built.screen = Some(screen.map_err(|error| format!("the keywords do not fit into one automaton: {error}"))?);
        }
        Ok(built)
    }

    pub(crate) fn build(literals: Vec<(Box<str>, Place, Leaf)>) -> Result<Self, String> {
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
            let bytes: usize = needles.iter().map(|needle| needle.len()).sum();
            let kind = if bytes > TABLE_BYTES_MAX { AhoCorasickKind::ContiguousNFA } else { AhoCorasickKind::DFA };
            let needles = needles.iter().map(|needle| needle.as_bytes());
            let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).kind(Some(kind)).build(needles);
            built.automaton = Some(automaton.map_err(|error| format!("the literals of a field do not fit into one automaton: {error}"))?);
        }
        Ok(built)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.automaton.is_none()
    }

    pub(crate) fn ask(&self, value: &str, found: &mut Vec<Leaf>) {
        if !self.whole.is_empty() {
            found.extend(self.whole.get(value));
        }
        let Some(automaton) = &self.automaton else { return };
        if self.screen.as_ref().is_some_and(|screen| !screen.is_match(value)) {
            return;
        }
        for hit in automaton.find_overlapping_iter(value) {
            let Some((place, leaf)) = self.places.get(hit.pattern().as_usize()) else { continue };
            let stands = match place {
                Place::Start => hit.start() == 0,
                Place::End => hit.end() == value.len(),
                Place::Inside | Place::Whole => true,
            };
            if stands {
                found.push(*leaf);
            }
        }
    }
}
