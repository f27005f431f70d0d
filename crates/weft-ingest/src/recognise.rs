//! STREAM `auto`: which stream claims a record.
//!
//! All fingerprints share one tree of paths, so that a record is walked once, not once a stream.

use bumpalo::Bump;
use weft_model::{RawBatch, RawRecord, RejectCause};

use crate::decode::{self, Malformed};
use crate::language::Trie;
use crate::language::expr;
use crate::language::file::Format;
use crate::language::link::{Linker, Names};
use crate::map::Scratch;
use crate::map::code::{Code, Scope};
use crate::map::program::Program;
use crate::map::value::Val;

/// Text formats, the particular ones before those that fit nearly everything.
const TEXT_FORMATS: [Format; 11] = [
    Format::Zeek,
    Format::Cef,
    Format::Leef,
    Format::Auditd,
    Format::WineventText,
    Format::Evtx,
    Format::Xml,
    Format::Csv,
    Format::Syslog,
    Format::Kv,
    Format::Text,
];

/// Fingerprints of all streams.
#[derive(Debug, Default)]
pub struct Recogniser {
    trie: Trie,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    program: usize,
    formats: Vec<Format>,
    generic: bool,
    columns: Vec<String>,
    delimiter: Option<crate::map::program::Delimiter>,
    condition: Code,
}

impl Recogniser {
    /// Compiles the fingerprints; faults are told with the offset in the condition.
    pub fn of(programs: &[Program], fault: &mut impl FnMut(&Program, usize, String)) -> Self {
        let mut recogniser = Self::default();
        let names = Names::default();
        for (place, program) in programs.iter().enumerate() {
            let Some(text) = &program.recognise_text else { continue };
            let mut linker = Linker { names: &names, trie: &mut recogniser.trie, captures: &[], item: false };
            let linked = expr::parse(text).map_err(|fault| (fault.at, fault.message)).and_then(|expr| linker.link(&expr).map_err(|message| (0, message)));
            match linked {
                Ok(condition) => recogniser.entries.push(Entry {
                    program: place,
                    formats: program.formats.clone(),
                    generic: program.generic,
                    columns: program.columns.clone(),
                    delimiter: Some(program.delimiter),
                    condition,
                }),
                Err((at, message)) => fault(program, at, message),
            }
        }
        // Those that claim whatever has their form are asked last.
        recogniser.entries.sort_by_key(|entry| entry.generic);
        recogniser
    }

    /// The place of the program that claims the record.
    ///
    /// # Errors
    /// When none does, or the record cannot be read in any form.
    #[expect(clippy::too_many_arguments, reason = "memory that is used again for every record")]
    pub fn find(
        &self,
        text: &str,
        raw: &RawBatch,
        record: &RawRecord,
        scratch: &mut Scratch,
        arena: &Bump,
        slots: &mut Vec<u32>,
        last: Option<usize>,
    ) -> Result<usize, Malformed> {
        if decode::is_json(text) {
            let form = decode::Form { columns: &[], delimiter: None };
            let nodes = decode::decode_as(Format::Json, form, text, raw, scratch, arena)?;
            let json = |entry: &&Entry| entry.formats.iter().any(|format| format.reads_json());
            return self.ask(self.entries.iter().filter(json), &nodes, raw, record, arena, slots, last);
        }
        let mut seen = 0;
        for generic in [false, true] {
            for format in TEXT_FORMATS.into_iter().filter(|format| decode::may_be(*format, text, &raw.context)) {
                let mut asked = self.entries.iter().filter(|entry| entry.generic == generic && entry.formats.contains(&format)).peekable();
                let Some(first) = asked.peek() else { continue };
                let form = decode::Form { columns: &first.columns, delimiter: first.delimiter };
                let Ok(nodes) = decode::decode_as(format, form, text, raw, scratch, arena) else { continue };
                seen += 1;
                if let Ok(place) = self.ask(asked, &nodes, raw, record, arena, slots, last) {
                    return Ok(place);
                }
            }
        }
        Err(unclaimed(seen))
    }

    #[expect(clippy::too_many_arguments, reason = "memory that is used again for every record")]
    fn ask<'e>(
        &self,
        entries: impl Iterator<Item = &'e Entry> + Clone,
        nodes: &crate::tree::Nodes<'_>,
        raw: &RawBatch,
        record: &RawRecord,
        arena: &Bump,
        slots: &mut Vec<u32>,
        last: Option<usize>,
    ) -> Result<usize, Malformed> {
        self.trie.locate(nodes, slots);
        let scope = Scope { nodes, slots, item: Val::Node(nodes, 0), index: 0, absent: &[], captures: &[], batch: raw, record, arena };
        let before = entries.clone().find(|entry| !entry.generic && Some(entry.program) == last && entry.condition.holds(&scope));
        before.or_else(|| entries.clone().find(|entry| entry.condition.holds(&scope))).map(|entry| entry.program).ok_or_else(|| unclaimed(1))
    }
}

fn unclaimed(forms: usize) -> Malformed {
    let message = if forms == 0 { "it has none of the forms that are known" } else { "no stream claims it; name the stream, or add a connector for it" };
    Malformed::new(RejectCause::Unrecognised, message.to_owned())
}
