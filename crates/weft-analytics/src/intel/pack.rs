//! What one source said, as it is kept: a header and rows.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::value::VALUE_BYTES_MAX;
use super::{Build, Facts, Gap, Held, Indicator, Kind, Lists, Value};

/// What a pack begins with.
const MAGIC: &[u8; 8] = b"WEFTTI01";
/// Gaps that are kept; all are counted.
pub const GAPS_KEPT: usize = 1000;
/// Most indicators of a source.
pub const INDICATORS_MAX: usize = 50_000_000;

/// An object that indicators point at: a technique, a group, malware, a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// STIX type, e.g. `malware`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Id in ATT&CK, where it has one.
    pub attack: Option<String>,
}

/// All of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pack {
    header: Header,
    rows: Vec<u8>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    source: String,
    origin: String,
    imported: i64,
    /// Where a server was read to, for the next time.
    position: String,
    rows: u64,
    facts: Vec<Facts>,
    /// Warning lists that rows are on.
    lists: Vec<String>,
    known: BTreeMap<String, Known>,
    gaps: Vec<Gap>,
    gaps_all: u64,
    /// Things that were read and are neither indicators nor gaps, by what they are.
    others: BTreeMap<String, u64>,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'p> {
    /// Kind.
    pub kind: Kind,
    /// Value, canonical.
    pub text: &'p str,
    /// What is known.
    pub facts: &'p Facts,
    number: u32,
    /// The warning list that it is on.
    pub suppressed: Option<&'p str>,
}

impl Row<'_> {
    /// The value.
    pub fn value(&self) -> Value {
        Value { kind: self.kind, text: self.text.to_owned() }
    }
}

/// A pack on its way.
#[derive(Debug, Default)]
pub struct Writer {
    pack: Pack,
    numbers: HashMap<Facts, u32>,
    lists: HashMap<String, u64>,
    last: Option<u32>,
}

impl Writer {
    /// Begins a pack; `origin` is where it came from, `at` is now.
    pub fn new(source: &str, origin: &str, at: i64) -> Self {
        let header = Header { source: source.to_owned(), origin: origin.to_owned(), imported: at, ..Header::default() };
        Self { pack: Pack { header, rows: Vec::new() }, ..Self::default() }
    }

    /// Goes on with a pack.
    pub fn of(pack: Pack) -> Self {
        let numbers = pack.header.facts.iter().cloned().zip(0..).collect();
        let lists = pack.header.lists.iter().cloned().zip(1..).collect();
        Self { pack, numbers, lists, last: None }
    }

    /// Keeps an indicator; one on a warning list is kept as such and never matches.
    ///
    /// # Errors
    /// There are too many.
    pub fn add(&mut self, indicator: &Indicator, lists: &Lists) -> Result<(), String> {
        let on = lists.on(&indicator.value).and_then(|number| lists.names().get(number).map(String::as_str));
        self.row(indicator.value.kind, &indicator.value.text, &indicator.facts, on)
    }

    fn row(&mut self, kind: Kind, text: &str, facts: &Facts, on: Option<&str>) -> Result<(), String> {
        if self.pack.header.rows as usize >= INDICATORS_MAX {
            return Err(format!("there are more than {INDICATORS_MAX} indicators of one source; split it"));
        }
        let facts = self.facts(facts);
        let list = on.map_or(0, |name| self.list(name));
        let rows = &mut self.pack.rows;
        rows.push(kind.number());
        varint(rows, list);
        varint(rows, u64::from(facts));
        varint(rows, text.len() as u64);
        rows.extend_from_slice(text.as_bytes());
        self.pack.header.rows += 1;
        Ok(())
    }

    fn facts(&mut self, facts: &Facts) -> u32 {
        let known = &mut self.pack.header.facts;
        // Neighbours are often alike.
        if let Some(last) = self.last.filter(|last| known.get(*last as usize) == Some(facts)) {
            return last;
        }
        let number = *self.numbers.entry(facts.clone()).or_insert_with(|| {
            known.push(facts.clone());
            u32::try_from(known.len() - 1).unwrap_or(u32::MAX)
        });
        self.last = Some(number);
        number
    }

    fn list(&mut self, name: &str) -> u64 {
        if let Some(number) = self.lists.get(name) {
            return *number;
        }
        self.pack.header.lists.push(name.to_owned());
        let number = self.pack.header.lists.len() as u64;
        self.lists.insert(name.to_owned(), number);
        number
    }

    /// Notes what was not taken.
    pub fn gap(&mut self, gap: Gap) {
        self.pack.header.gaps_all += 1;
        if self.pack.header.gaps.len() < GAPS_KEPT {
            self.pack.header.gaps.push(gap);
        }
    }

    /// Counts something that is no indicator and need not be one.
    pub fn other(&mut self, what: &str, count: u64) {
        *self.pack.header.others.entry(what.to_owned()).or_default() += count;
    }

    /// Keeps an object that indicators point at.
    pub fn known(&mut self, id: String, known: Known) {
        self.pack.header.known.insert(id, known);
    }

    /// Keeps where a server was read to.
    pub fn position(&mut self, position: &str) {
        self.pack.header.position = position.to_owned();
    }

    /// Takes over what an earlier pack has, but for the ids that are `replaced`; warning lists are
    /// asked anew.
    ///
    /// # Errors
    /// There are too many, or the pack is damaged.
    pub fn keep(&mut self, old: &Pack, replaced: &dyn Fn(&str) -> bool, lists: &Lists) -> Result<(), String> {
        for row in old.rows() {
            let row = row?;
            if row.facts.id.is_empty() || !replaced(&row.facts.id) {
                let on = lists.on(&row.value()).and_then(|number| lists.names().get(number).map(String::as_str));
                self.row(row.kind, row.text, row.facts, on)?;
            }
        }
        for (id, known) in &old.header.known {
            self.pack.header.known.entry(id.clone()).or_insert_with(|| known.clone());
        }
        Ok(())
    }

    /// The same pack with other warning lists.
    ///
    /// # Errors
    /// The pack is damaged.
    pub fn anew(old: &Pack, lists: &Lists) -> Result<Pack, String> {
        let mut writer = Self::default();
        writer.pack.header = Header { rows: 0, facts: Vec::new(), lists: Vec::new(), ..old.header.clone() };
        writer.keep(old, &|_| false, lists)?;
        Ok(writer.done())
    }

    /// The pack.
    pub fn done(self) -> Pack {
        self.pack
    }
}

impl Pack {
    /// Name of the source.
    pub fn source(&self) -> &str {
        &self.header.source
    }

    /// Where it came from.
    pub fn origin(&self) -> &str {
        &self.header.origin
    }

    /// When it was imported, epoch milliseconds.
    pub fn imported(&self) -> i64 {
        self.header.imported
    }

    /// Where a server was read to; empty when it was none.
    pub fn position(&self) -> &str {
        &self.header.position
    }

    /// Number of indicators, suppressed ones included.
    pub fn len(&self) -> usize {
        self.header.rows as usize
    }

    /// Whether there is no indicator.
    pub fn is_empty(&self) -> bool {
        self.header.rows == 0
    }

    /// What was not taken, the first of it, and how much there was.
    pub fn gaps(&self) -> (&[Gap], u64) {
        (&self.header.gaps, self.header.gaps_all)
    }

    /// What else was read.
    pub fn others(&self) -> &BTreeMap<String, u64> {
        &self.header.others
    }

    /// Objects that indicators point at, by id.
    pub fn known(&self) -> &BTreeMap<String, Known> {
        &self.header.known
    }

    /// The indicators; an error ends them: the pack is damaged.
    pub fn rows(&self) -> impl Iterator<Item = Result<Row<'_>, String>> {
        let mut rest = self.rows.as_slice();
        let mut broken = false;
        (0..self.header.rows).map_while(move |_| {
            let row = if broken { return None } else { self.read(&mut rest) };
            broken = row.is_none();
            Some(row.ok_or_else(|| format!("what is kept of `{}` is damaged; import it again", self.header.source)))
        })
    }

    fn read<'p>(&'p self, rest: &mut &'p [u8]) -> Option<Row<'p>> {
        let (kind, after) = rest.split_first()?;
        *rest = after;
        let list = unvarint(rest)?;
        let number = u32::try_from(unvarint(rest)?).ok()?;
        let length = usize::try_from(unvarint(rest)?).ok().filter(|length| *length <= 2 * VALUE_BYTES_MAX)?;
        let (text, after) = rest.split_at_checked(length)?;
        *rest = after;
        let suppressed = match usize::try_from(list).ok()? {
            0 => None,
            number => Some(self.header.lists.get(number - 1)?.as_str()),
        };
        let kind = Kind::ALL.get(usize::from(*kind)).copied()?;
        Some(Row { kind, text: std::str::from_utf8(text).ok()?, facts: self.header.facts.get(number as usize)?, number, suppressed })
    }

    /// Puts what is not suppressed into an [`Intel`].
    ///
    /// # Errors
    /// The pack is damaged.
    pub fn build(&self, build: &mut Build) -> Result<(), String> {
        self.build_where(build, &|_| true)
    }

    /// The same for some rows.
    ///
    /// # Errors
    /// The pack is damaged.
    pub fn build_where(&self, build: &mut Build, wanted: &dyn Fn(&Row<'_>) -> bool) -> Result<(), String> {
        let source: std::sync::Arc<str> = self.header.source.as_str().into();
        let mut numbers: Vec<Option<u32>> = vec![None; self.header.facts.len()];
        for row in self.rows() {
            let row = row?;
            if row.suppressed.is_some() || !wanted(&row) {
                continue;
            }
            let Some(slot) = numbers.get_mut(row.number as usize) else { continue };
            let facts = *slot.get_or_insert_with(|| build.facts(Held { source: source.clone(), facts: row.facts.clone() }));
            build.add(row.kind, row.text, facts);
        }
        Ok(())
    }

    /// As bytes.
    ///
    /// # Errors
    /// It cannot be written so.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let header = postcard::to_allocvec(&self.header).map_err(|error| error.to_string())?;
        let length = (header.len() as u64).to_le_bytes();
        Ok([MAGIC.as_slice(), &length, &header, &self.rows].concat())
    }

    /// Of bytes.
    ///
    /// # Errors
    /// They are none of a pack.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, String> {
        let parts = || {
            let rest = bytes.strip_prefix(MAGIC)?;
            let (length, rest) = rest.split_first_chunk::<8>()?;
            rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
        };
        let (header, rows) = parts().ok_or("is no file of indicators; import it again")?;
        let header = postcard::from_bytes(header).map_err(|error| format!("is damaged ({error}); import it again"))?;
        Ok(Self { header, rows: rows.to_vec() })
    }
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn unvarint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
