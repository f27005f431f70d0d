//! `weft map`: raw records to OCSF on standard output; nothing is stored.

use std::io::Write as _;

use serde_json::{Value, json};
use weft_ingest::Mapper;
use weft_model::{Mapped, Mapping as _, RawBatch, Reject};

use super::input::{self, Tally};
use crate::cli::{self, Fault, Format, Outcome, Output, Progress, Rows};
use crate::content;
use crate::door::records::refused;
use crate::home::Home;

/// Characters of a raw record that a reject shows.
const RAW_CHARS_MAX: usize = 300;
/// Rows that are collected when a whole table is asked for.
const ROWS_MAX: usize = 1_000_000;

/// Maps everything.
///
/// # Errors
/// Unknown stream, paths that cannot be read.
pub(super) fn run(home: &Home, input: &cli::Input, out: &mut Output) -> Result<Outcome, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let registry = content::registry(&files).map_err(Fault::Misuse)?;
    let (stream, framing) = input::stream(&registry, &input.stream)?;
    let mapper = home.mapper(registry)?;
    // NDJSON even on a terminal: events are too wide for a table unless one is asked for.
    let rows = matches!(out.asked(), Some(Format::Table | Format::Json | Format::Csv)).then(|| Rows::new(["time", "class", "activity", "message", "event"]));
    let mut printer = Printer { out, rows, buffer: Vec::new(), tally: Tally::default(), fault: None };
    let progress = Progress::begin("mapping");
    let count = input::read(&input.paths, &stream, &framing, &mut |batch| {
        progress.add(batch.records.len() as u64);
        printer.batch(&batch, &mapper);
    });
    drop(progress);
    let tally = printer.tally;
    printer.finish()?;
    tally.check(&count, "each is told above with the reason")?;
    count.check()?;
    Ok(Outcome::Done)
}

/// What the mapping makes of a batch, also of one that the reader refused.
pub(super) fn map_batch(batch: &RawBatch, mapper: &Mapper) -> Mapped {
    refused(batch).map_or_else(|| mapper.map(batch), |rejects| Mapped { rejects, ..Mapped::default() })
}

/// A reject as one line of JSON.
pub(super) fn reject_line(reject: &Reject) -> String {
    let raw: String = String::from_utf8_lossy(&reject.raw).chars().take(RAW_CHARS_MAX).collect();
    json!({"cause": reject.cause.name(), "message": reject.message, "stream": reject.stream.to_string(), "source": reject.source.to_string(), "record": reject.id.to_string(), "raw": raw}).to_string()
}

struct Printer<'a> {
    out: &'a mut Output,
    rows: Option<Rows>,
    buffer: Vec<u8>,
    tally: Tally,
    fault: Option<Fault>,
}

impl Printer<'_> {
    fn batch(&mut self, batch: &RawBatch, mapper: &Mapper) {
        if self.fault.is_some() {
            return;
        }
        let mapped = map_batch(batch, mapper);
        self.tally.add(&mapped);
        let mut errors = std::io::stderr().lock();
        for reject in &mapped.rejects {
            // Nobody may be listening; the events still are what was asked for.
            let _closed = writeln!(errors, "{}", reject_line(reject));
        }
        if let Err(fault) = self.print(&mapped) {
            if fault == Fault::ReaderGone {
                // Standard input may never end, so there is no other way out of the reader.
                std::process::exit(0);
            }
            self.fault = Some(fault);
        }
    }

    fn print(&mut self, mapped: &Mapped) -> Result<(), Fault> {
        match &mut self.rows {
            None => {
                self.buffer.clear();
                mapped.batches.iter().for_each(|events| events.write_ndjson(&mut self.buffer));
                self.out.bytes(&self.buffer)?;
                self.out.flush()
            }
            Some(rows) => {
                let room = ROWS_MAX.saturating_sub(rows.rows.len());
                for event in mapped.batches.iter().flat_map(weft_model::EventBatch::to_json).take(room) {
                    let at = |name: &str| event.get(name).cloned().unwrap_or(Value::Null);
                    rows.push([at("time"), at("class_name"), at("activity_name"), at("message"), event.clone()]);
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        match self.rows {
            None => self.out.flush(),
            Some(rows) if self.out.asked() == Some(Format::Json) => {
                let events: Vec<Value> = rows.rows.into_iter().filter_map(|mut row| row.pop()).collect();
                self.out.line(&Value::Array(events).to_string())?;
                self.out.flush()
            }
            Some(mut rows) => {
                rows.columns.truncate(4);
                rows.rows.iter_mut().for_each(|row| row.truncate(4));
                self.out.rows(&rows)
            }
        }
    }
}
