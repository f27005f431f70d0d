//! The conservation ledger: what was received against what became of it, by source and stream.
//!
//! INVARIANT: no figure here is counted in memory alone. How many records were received, and how
//! many of them were known already, stands in each frame of the log; what became of them follows
//! from mapping the frame, and is added up in the same atomic commit that puts the events into
//! the tables. A crash at any point therefore changes no sum.
//!
//! What balances: `received = stored + (refused - mended) + dropped + duplicates + waiting` for
//! each source and stream, and for each table the rows that commits wrote against the rows that
//! are in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use weft_model::{Mapped, SourceId, StreamId};

use crate::log::{Kind, Seq};

/// Sources that have an account of their own; further ones share [`OTHERS`].
const SOURCES_MAX: usize = 10_000;
/// Account of the sources beyond [`SOURCES_MAX`].
const OTHERS: &str = "others";
/// Name of the transaction in a table whose version is the number of rows that retention and
/// erasure have removed from it, by their own commits.
pub(crate) const REMOVED: &str = "weft-removed";

/// What happened to the records of one source and stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Records acknowledged.
    pub received: u64,
    /// Of them, known already and not stored again.
    pub duplicates: u64,
    /// Events made of them.
    pub stored: u64,
    /// Rejects made of them, those that were mended later too.
    pub refused: u64,
    /// Rejects that a mended mapping has made events of.
    pub mended: u64,
    /// Dropped by a declared policy.
    pub dropped: u64,
    /// Durable, but not mapped yet.
    #[serde(skip_deserializing)]
    pub waiting: u64,
}

impl Counts {
    /// Records that came in and that no column accounts for; negative when more came out.
    pub fn missing(&self) -> i128 {
        let out = [self.stored, self.refused, self.dropped, self.duplicates, self.waiting].into_iter().map(i128::from).sum::<i128>();
        i128::from(self.received) - (out - i128::from(self.mended))
    }

    /// Rejects that are still on the list.
    pub fn open_rejects(&self) -> u64 {
        self.refused.saturating_sub(self.mended)
    }

    fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.duplicates += other.duplicates;
        self.stored += other.stored;
        self.refused += other.refused;
        self.mended += other.mended;
        self.dropped += other.dropped;
        self.waiting += other.waiting;
    }
}

/// Rows of one table, as the commits of this log know them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCount {
    /// Rows that were there before this log began to count.
    #[serde(default)]
    pub before: u64,
    /// Rows that commits wrote since.
    pub written: u64,
}

/// All accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// By source, then stream.
    pub accounts: BTreeMap<String, BTreeMap<String, Counts>>,
    /// By table.
    pub tables: BTreeMap<String, TableCount>,
    /// Whether the rows from before are counted.
    pub begun: bool,
}

impl Ledger {
    /// Every account, sorted.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Counts)> {
        self.accounts.iter().flat_map(|(source, streams)| streams.iter().map(move |(stream, counts)| (source.as_str(), stream.as_str(), counts)))
    }

    /// The sum of all accounts.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.all().for_each(|(_, _, counts)| total.add(counts));
        total
    }

    pub(crate) fn take(&mut self, entry: &Entry) {
        let known = self.accounts.len() < SOURCES_MAX || self.accounts.contains_key(&*entry.source.0);
        let source = if known { entry.source.to_string() } else { OTHERS.to_owned() };
        self.accounts.entry(source).or_default().entry(entry.stream.to_string()).or_default().add(&entry.counts);
    }

    /// Rows that a commit puts into a table.
    pub(crate) fn wrote(&mut self, table: &str, rows: u64) {
        self.tables.entry(table.to_owned()).or_default().written += rows;
    }

    /// Counts what is there before the first commit that counts.
    pub(crate) fn begin(&mut self, rows: impl Iterator<Item = (String, u64)>) {
        if !self.begun {
            self.tables = rows.map(|(table, before)| (table, TableCount { before, written: 0 })).collect();
            self.begun = true;
        }
    }
}

/// The account of one frame until its commit.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    source: SourceId,
    stream: StreamId,
    pub(crate) counts: Counts,
}

impl Entry {
    /// A frame that is durable and not mapped yet.
    pub(crate) fn durable((source, stream): (SourceId, StreamId), records: u64, kind: Kind, duplicates: u64) -> Self {
        // The records of a replay were received, and refused, before.
        let counts = match kind {
            Kind::Replay => Counts::default(),
            Kind::Plain | Kind::Dedupe => Counts { received: records + duplicates, duplicates, waiting: records, ..Counts::default() },
        };
        Self { source, stream, counts }
    }

    /// What the mapping made of it.
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        let Outcome { stored, refused, dropped, mended } = outcome;
        self.counts = Counts { waiting: 0, stored, refused, dropped, mended, ..self.counts };
    }
}

/// What became of the records of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    stored: u64,
    refused: u64,
    dropped: u64,
    mended: u64,
}

impl Outcome {
    pub(crate) fn of(kind: Kind, mapped: &Mapped) -> Self {
        let (stored, refused, dropped) = (mapped.events() as u64, mapped.rejects.len() as u64, mapped.dropped);
        match kind {
            // What is refused again is on the list already.
            Kind::Replay => Self { stored, refused: 0, dropped, mended: stored + dropped },
            Kind::Plain | Kind::Dedupe => Self { stored, refused, dropped, mended: 0 },
        }
    }
}

/// Frames after the last commit, and the sums up to it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) committed: Ledger,
    ahead: BTreeMap<Seq, Entry>,
}

impl Book {
    pub(crate) fn new(committed: Ledger, ahead: BTreeMap<Seq, Entry>) -> Self {
        Self { committed, ahead }
    }

    pub(crate) fn admit(&mut self, seq: Seq, entry: Entry) {
        self.ahead.insert(seq, entry);
    }

    pub(crate) fn settle(&mut self, seq: Seq, outcome: Outcome) {
        if let Some(entry) = self.ahead.get_mut(&seq) {
            entry.settle(outcome);
        }
    }

    /// The sums with all frames up to `to`.
    pub(crate) fn at(&self, to: Seq) -> Ledger {
        let mut ledger = self.committed.clone();
        self.ahead.range(..=to).for_each(|(_, entry)| ledger.take(entry));
        ledger
    }

    pub(crate) fn commit(&mut self, to: Seq, ledger: Ledger) {
        self.ahead = self.ahead.split_off(&to.saturating_add(1));
        self.committed = ledger;
    }
}

/// A table against its ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableBalance {
    /// Its name.
    pub table: String,
    /// Rows that should be in its files.
    pub expected: u64,
    /// Rows that its Delta log has.
    pub rows: u64,
    /// Rows that retention, erasure and mapping anew took out, less those that they brought.
    pub removed: i64,
}

/// The ledger with everything that does not balance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Accounts and tables, those not committed yet too.
    pub ledger: Ledger,
    /// Tables as of the last commit.
    pub tables: Vec<TableBalance>,
    /// What does not balance, with its place; empty when all does.
    pub faults: Vec<String>,
}

impl Balance {
    /// Compares what commits wrote with what is there.
    pub(crate) fn of(live: Ledger, committed: &Ledger, there: &BTreeMap<String, (u64, i64)>) -> Self {
        let mut faults: Vec<String> = live.all().filter_map(|(source, stream, counts)| account_fault(source, stream, counts)).collect();
        faults.extend(chain_fault(committed));
        let names: BTreeSet<&String> = committed.tables.keys().chain(there.keys()).collect();
        let mut tables = Vec::new();
        for name in names {
            let count = committed.tables.get(name).copied().unwrap_or_default();
            let (rows, removed) = there.get(name).copied().unwrap_or_default();
            let expected = u64::try_from(i128::from(count.before) + i128::from(count.written) - i128::from(removed)).unwrap_or(0);
            if rows != expected {
                faults.push(format!("table `{name}` holds {rows} rows, {expected} were written to it and not removed since: {}", off(expected, rows)));
            }
            tables.push(TableBalance { table: name.clone(), expected, rows, removed });
        }
        Self { ledger: live, tables, faults }
    }

    /// Whether nothing is missing and nothing too much.
    pub fn balances(&self) -> bool {
        self.faults.is_empty()
    }
}

fn account_fault(source: &str, stream: &str, counts: &Counts) -> Option<String> {
    let missing = counts.missing();
    let what = if missing > 0 { format!("{missing} lost") } else { format!("{} too many", -missing) };
    (missing != 0).then(|| format!("source `{source}`, stream `{stream}`: {what}"))
}

/// Between mapping and tables: what the accounts say was stored, and what was written.
fn chain_fault(committed: &Ledger) -> Option<String> {
    let written = |rejects: bool| {
        let wanted = |name: &str| if rejects { name == crate::REJECTS } else { crate::holds_events(name) };
        committed.tables.iter().filter(|(name, _)| wanted(name)).map(|(_, count)| count.written).sum::<u64>()
    };
    let total = committed.total();
    let wrong = |what: &str, mapped: u64, written: u64| {
        (mapped != written).then(|| format!("{mapped} {what} were made and {written} were written to tables: {}", off(mapped, written)))
    };
    wrong("events", total.stored, written(false)).or_else(|| wrong("rejects", total.refused, written(true)))
}

pub(crate) fn off(expected: u64, found: u64) -> String {
    if found < expected { format!("{} lost", expected - found) } else { format!("{} too many", found - expected) }
}
