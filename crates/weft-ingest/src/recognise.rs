//! STREAM `auto`: which stream claims a record.
//!
//! All fingerprints share one tree of paths, so that a record is walked once, not once a stream;
//! and only those are evaluated of which at least one necessary attribute is in the record. The
//! answer depends on the record alone, never on what came before it.

use bumpalo::Bump;
use weft_model::{RawBatch, RawRecord, RejectCause};

use crate::decode::{self, Form, Malformed};
use crate::language::Trie;
use crate::language::expr;
use crate::language::file::Format;
use crate::language::link::{Linker, Names, Patterns};
use crate::map::Scratch;
use crate::map::code::{Code, NOWHERE, Scope};
use crate::map::program::{Delimiter, Program};
use crate::map::value::Val;
use crate::tree::Nodes;

/// Text formats, the particular ones before those that fit nearly everything.
const TEXT_FORMATS: [Format; 11] = [
    Format::Zeek,
    Format::Cef,
    Format::Leef,
    Format::Auditd,
    Format::WineventText,
    Format::Evtx,
    Format::Xml,
    Format::Syslog,
    Format::Kv,
    Format::Csv,
    Format::Text,
];

/// Fingerprints of all streams.
#[derive(Debug, Default)]
pub struct Recogniser {
    trie: Trie,
    /// Those that claim whatever has their form last.
    entries: Vec<Entry>,
    /// For each slot, the entries that may hold when it is there.
    by_slot: Vec<Set>,
    /// Entries of which nothing is necessary.
    free: Set,
    json: Set,
    forms: Vec<Texts>,
}

#[derive(Debug)]
struct Entry {
    program: usize,
    condition: Code,
}

/// Streams that read a text the same way.
#[derive(Debug)]
struct Texts {
    format: Format,
    columns: Vec<String>,
    delimiter: Delimiter,
    generic: bool,
    /// Whether only columns that a header names tell anything: without one the stream judges the
    /// line as text.
    headed: bool,
    entries: Set,
}

/// Places of entries, one bit each.
#[derive(Debug, Default, Clone)]
struct Set(Vec<u64>);

impl Set {
    fn insert(&mut self, place: usize) {
        if self.0.len() <= place / 64 {
            self.0.resize(place / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }
}

/// A record that nobody has claimed yet.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Its text, without a byte order mark.
    pub text: &'a str,
    /// Its batch.
    pub batch: &'a RawBatch,
    /// Itself.
    pub record: &'a RawRecord,
}

/// A record that was claimed.
#[derive(Debug)]
pub struct Read<'a> {
    /// The stream.
    pub program: &'a Program,
    /// The form that it has.
    pub format: Format,
    /// Its tree.
    pub nodes: &'a Nodes<'a>,
}

impl Recogniser {
    /// Compiles the fingerprints; faults are told with the offset in the condition.
    pub fn of(programs: &[Program], fault: &mut impl FnMut(&Program, usize, String)) -> Self {
        let mut recogniser = Self::default();
        let mut order: Vec<(usize, &Program)> = programs.iter().enumerate().collect();
        order.sort_by_key(|(_, program)| program.generic);
        let mut patterns = Patterns::default();
        for (place, program) in order {
            let Some(text) = &program.recognise_text else { continue };
            let mut linker = Linker { names: &Names::default(), trie: &mut recogniser.trie, captures: &[], item: false, patterns: &mut patterns };
            let linked = expr::parse(text).map_err(|fault| (fault.at, fault.message)).and_then(|expr| linker.link(&expr).map_err(|message| (0, message)));
            match linked {
                Ok(condition) => recogniser.add(place, program, condition),
                Err((at, message)) => fault(program, at, message),
            }
        }
        // Those that claim whatever has their form are asked last.
        let rank = |texts: &Texts| (texts.generic, TEXT_FORMATS.iter().position(|format| *format == texts.format));
        recogniser.forms.sort_by_key(rank);
        recogniser
    }

    fn add(&mut self, place: usize, program: &Program, condition: Code) {
        let entry = self.entries.len();
        match necessary(&condition) {
            Some(slots) => {
                for slot in slots {
                    let slot = slot as usize;
                    if self.by_slot.len() <= slot {
                        self.by_slot.resize_with(slot + 1, Set::default);
                    }
                    self.by_slot.iter_mut().skip(slot).take(1).for_each(|set| set.insert(entry));
                }
            }
            None => self.free.insert(entry),
        }
        if program.formats.iter().any(|format| format.reads_json()) {
            self.json.insert(entry);
        }
        for format in TEXT_FORMATS.into_iter().filter(|format| program.formats.contains(format)) {
            let columns = if format == Format::Csv { program.columns.clone() } else { Vec::new() };
            let headed = format == Format::Csv && program.formats.contains(&Format::Text);
            let same = |texts: &&mut Texts| {
                texts.format == format
                    && texts.generic == program.generic
                    && texts.headed == headed
                    && texts.columns == columns
                    && (format != Format::Csv || texts.delimiter == program.delimiter)
            };
            match self.forms.iter_mut().find(same) {
                Some(texts) => texts.entries.insert(entry),
                None => {
                    let mut entries = Set::default();
                    entries.insert(entry);
                    self.forms.push(Texts { format, columns, delimiter: program.delimiter, generic: program.generic, headed, entries });
                }
            }
        }
        self.entries.push(Entry { program: place, condition });
    }

    /// The place of the program that claims a JSON object.
    ///
    /// # Errors
    /// When none does.
    pub fn claim(&self, nodes: &Nodes<'_>, given: Given<'_>, arena: &Bump, slots: &mut Vec<u32>) -> Result<usize, Malformed> {
        self.ask(&self.json, nodes, given, arena, slots).ok_or_else(|| unclaimed(1))
    }

    /// The place of the program that claims a text that is no JSON object.
    ///
    /// # Errors
    /// When none does, or the text cannot be read in any form.
    pub fn claim_text(&self, given: Given<'_>, scratch: &mut Scratch, arena: &Bump) -> Result<usize, Malformed> {
        let mut seen = 0;
        // With a header above them, separated columns are the surest form; without one nearly the last.
        let headed = given.batch.context.header.is_some();
        let sure = |texts: &&Texts| headed && texts.format == Format::Csv;
        let forms = self.forms.iter().filter(sure).chain(self.forms.iter().filter(|texts| !sure(texts)));
        for texts in forms.filter(|texts| (headed || !texts.headed) && decode::may_be(texts.format, given.text, &given.batch.context)) {
            let form = Form { columns: &texts.columns, delimiter: Some(texts.delimiter) };
            let Ok(nodes) = decode::decode_as(texts.format, form, given.text, given.batch, scratch, arena) else { continue };
            seen += 1;
            if let Some(place) = self.ask(&texts.entries, nodes, given, arena, &mut scratch.slots) {
                return Ok(place);
            }
        }
        Err(unclaimed(seen))
    }

    /// The first of `among` whose condition holds.
    fn ask(&self, among: &Set, nodes: &Nodes<'_>, given: Given<'_>, arena: &Bump, slots: &mut Vec<u32>) -> Option<usize> {
        self.trie.locate(nodes, slots);
        let Given { text, batch, record } = given;
        let scope = Scope { nodes, slots, item: Val::Node(nodes, 0), index: 0, absent: &[], captures: &[], batch, record, whole: text, arena };
        let possible = arena.alloc_slice_fill_iter((0..among.0.len()).map(|at| self.free.word(at)));
        for (set, _) in self.by_slot.iter().zip(slots.iter()).filter(|(_, node)| **node != NOWHERE) {
            possible.iter_mut().zip(&set.0).for_each(|(possible, there)| *possible |= there);
        }
        for (at, (possible, among)) in possible.iter().zip(&among.0).enumerate() {
            let mut open = possible & among;
            while open != 0 {
                let place = at * 64 + open.trailing_zeros() as usize;
                open &= open - 1;
                if let Some(entry) = self.entries.get(place).filter(|entry| entry.condition.holds(&scope)) {
                    return Some(entry.program);
                }
            }
        }
        None
    }
}

/// Slots of which at least one must be there for the condition to hold; none where that cannot
/// be said. The smallest such set is taken.
fn necessary(condition: &Code) -> Option<Vec<u32>> {
    match condition {
        Code::Slots(slots) => Some(slots.to_vec()),
        Code::All(parts) => parts.iter().filter_map(necessary).min_by_key(Vec::len),
        Code::Any(parts) => parts.iter().map(necessary).collect::<Option<Vec<_>>>().map(|sets| sets.concat()),
        Code::Compare(_, sides) => {
            let [left, right] = &**sides;
            necessary(left).or_else(|| necessary(right))
        }
        Code::In(value, _) | Code::Matches(value, _) | Code::Group(value, ..) | Code::Replace(value, ..) => necessary(value),
        Code::Coalesce(parts) => parts.iter().map(necessary).collect::<Option<Vec<_>>>().map(|sets| sets.concat()),
        Code::Call(function, arguments) if function.needs_first() => arguments.first().and_then(necessary),
        _ => None,
    }
}

fn unclaimed(forms: usize) -> Malformed {
    let message = if forms == 0 { "it has none of the forms that are known" } else { "no stream claims it; name the stream, or add a connector for it" };
    Malformed::new(RejectCause::Unrecognised, message.to_owned())
}
