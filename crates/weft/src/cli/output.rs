//! One way to print rows: a table for people, JSON, NDJSON and CSV for programs.

use std::io::{self, BufWriter, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, LineStyle, Table as Drawn, TableStyle};
use serde_json::{Map, Value};

use super::Fault;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people; the default on a terminal.
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line; the default when the output is not a terminal.
    Ndjson,
    /// Comma separated with a header (RFC 4180).
    Csv,
}

/// Rows under named columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// Names, in order.
    pub columns: Vec<String>,
    /// One value a column.
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    /// No rows yet.
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self { columns: columns.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// Only some columns, in that order.
    fn only(self, names: &[&str]) -> Self {
        let places: Vec<usize> = names.iter().filter_map(|name| self.columns.iter().position(|column| column == name)).collect();
        let pick = |row: Vec<Value>| places.iter().map(|place| row.get(*place).cloned().unwrap_or_default()).collect();
        Self { columns: names.iter().map(|name| (*name).to_owned()).collect(), rows: self.rows.into_iter().map(pick).collect() }
    }

    /// Adds a row.
    pub fn push<const N: usize>(&mut self, row: [Value; N]) {
        self.rows.push(row.to_vec());
    }
}

/// Where results go: standard output, which may be closed early by its reader.
pub struct Output {
    format: Option<Format>,
    out: BufWriter<io::Stdout>,
    terminal: bool,
}

/// A reader that has seen enough (`| head`) is no fault.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ReaderGone } else { Self::Failed(error.to_string()) }
    }
}

impl Output {
    /// On standard output.
    pub fn stdout(format: Option<Format>) -> Self {
        Self { format, out: BufWriter::with_capacity(64 << 10, io::stdout()), terminal: io::stdout().is_terminal() }
    }

    /// The format that was asked for, or the natural one.
    pub fn format(&self) -> Format {
        self.format.unwrap_or(if self.terminal { Format::Table } else { Format::Ndjson })
    }

    /// The format that was asked for, if one was.
    pub fn asked(&self) -> Option<Format> {
        self.format
    }

    /// Whether a person sees it.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Prints rows.
    ///
    /// # Errors
    /// The output is closed.
    pub fn rows(&mut self, rows: &Rows) -> Result<(), Fault> {
        match self.format() {
            Format::Table => self.table(rows)?,
            Format::Json => self.json(rows)?,
            Format::Ndjson => self.ndjson(rows)?,
            Format::Csv => self.csv(rows)?,
        }
        Ok(self.out.flush()?)
    }

    /// Prints rows; as a table only the columns that a person needs to find one among many.
    ///
    /// # Errors
    /// The output is closed.
    pub fn list(&mut self, rows: Rows, shown: &[&str]) -> Result<(), Fault> {
        self.rows(&if self.format() == Format::Table { rows.only(shown) } else { rows })
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// The output is closed.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        Ok(self.out.write_all(bytes)?)
    }

    /// Prints one line.
    ///
    /// # Errors
    /// The output is closed.
    pub fn line(&mut self, text: &str) -> Result<(), Fault> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// The output is closed.
    pub fn flush(&mut self) -> Result<(), Fault> {
        Ok(self.out.flush()?)
    }

    fn table(&mut self, rows: &Rows) -> io::Result<()> {
        let mut drawn = Drawn::new();
        // One line under the header: rows stay close, so that many are seen.
        let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
        drawn.load_style(style).set_content_arrangement(if self.terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
        drawn.set_header(rows.columns.iter());
        for row in &rows.rows {
            drawn.add_row(rows.columns.iter().zip(row).map(|(column, value)| Cell::new(printable(&shown(column, value)))));
        }
        if let Some(width) = drawn.width().filter(|_| self.terminal) {
            let whole = unbroken(rows, &drawn.column_max_content_widths(), width);
            for (column, keeps) in drawn.column_iter_mut().zip(whole) {
                if keeps {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
        }
        writeln!(self.out, "{drawn}")
    }

    fn json(&mut self, rows: &Rows) -> io::Result<()> {
        let all: Vec<Value> = rows.rows.iter().map(|row| object(&rows.columns, row)).collect();
        serde_json::to_writer_pretty(&mut self.out, &all)?;
        writeln!(self.out)
    }

    fn ndjson(&mut self, rows: &Rows) -> io::Result<()> {
        for row in &rows.rows {
            serde_json::to_writer(&mut self.out, &object(&rows.columns, row))?;
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn csv(&mut self, rows: &Rows) -> io::Result<()> {
        let header: Vec<String> = rows.columns.iter().map(|name| quoted(name)).collect();
        write!(self.out, "{}\r\n", header.join(","))?;
        for row in &rows.rows {
            let fields: Vec<String> = row.iter().map(|value| quoted(&plain(value))).collect();
            write!(self.out, "{}\r\n", fields.join(","))?;
        }
        Ok(())
    }
}

fn object(columns: &[String], row: &[Value]) -> Value {
    Value::Object(columns.iter().cloned().zip(row.iter().cloned()).collect::<Map<_, _>>())
}

/// Names of `severity_id` (OCSF 1.8).
const SEVERITIES: [&str; 7] = ["Unknown", "Informational", "Low", "Medium", "High", "Critical", "Fatal"];

/// A time with its milliseconds (RFC 3339); each `0` is any digit.
const TIME: &str = "0000-00-00T00:00:00.000Z";

/// A value for a person.
fn shown(column: &str, value: &Value) -> String {
    let severity = value.as_u64().filter(|_| column == "severity").and_then(|id| SEVERITIES.get(usize::try_from(id).ok()?));
    severity.map_or_else(|| in_seconds(plain(value)), |name| (*name).to_owned())
}

/// A time without what nobody reads: `2026-01-31 12:00:00Z`; any other text as it is.
fn in_seconds(text: String) -> String {
    let fits = |(given, wanted): (u8, u8)| if wanted == b'0' { given.is_ascii_digit() } else { given == wanted };
    let is_time = text.len() == TIME.len() && text.bytes().zip(TIME.bytes()).all(fits);
    let halves = text.split_once('T').filter(|_| is_time).and_then(|(day, time)| Some((day, time.split_once('.')?.0)));
    halves.map_or_else(|| text.clone(), |(day, time)| format!("{day} {time}Z"))
}

/// Between the texts of two columns.
const PADDING: u16 = 3;
/// Least that is left for a column of sentences.
const SENTENCE_WIDTH: u16 = 16;

/// Which columns are not to be broken: those of single words, such as ids and times, as far as they leave room.
fn unbroken(rows: &Rows, widths: &[u16], room: u16) -> Vec<bool> {
    let is_word = |column: usize| rows.rows.iter().filter_map(|row| row.get(column)).all(|value| !plain(value).contains(char::is_whitespace));
    let words: Vec<bool> = (0..rows.columns.len()).map(is_word).collect();
    let sentences = u16::try_from(words.iter().filter(|word| !**word).count()).unwrap_or(u16::MAX);
    let mut left = room.saturating_sub(sentences.saturating_mul(SENTENCE_WIDTH + PADDING));
    let mut order: Vec<(u16, usize)> = widths.iter().copied().zip(0..).filter(|(_, column)| words.get(*column).copied().unwrap_or_default()).collect();
    order.sort_unstable();
    let mut whole = vec![false; words.len()];
    for (width, column) in order {
        let Some(rest) = left.checked_sub(width.saturating_add(PADDING)) else { break };
        left = rest;
        whole.iter_mut().skip(column).take(1).for_each(|keeps| *keeps = true);
    }
    whole
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What came from outside must not steer the terminal: control characters are shown, not sent.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_and_control_characters() {
        assert_eq!(quoted("a\"b,c"), "\"a\"\"b,c\"");
        assert_eq!(quoted("plain"), "plain");
        assert_eq!((shown("severity", &Value::from(4)).as_str(), shown("count", &Value::from(4)).as_str()), ("High", "4"));
        assert_eq!(shown("time", &Value::from("2026-11-30T01:02:03.456Z")), "2026-11-30 01:02:03Z");
        assert_eq!(shown("x", &Value::from("2026-11-30T01:02:03.4567")), "2026-11-30T01:02:03.4567");
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{FFFD}[31mb");
        assert_eq!(object(&["a".into()], &[Value::from(1)]).to_string(), r#"{"a":1}"#);
    }

    #[test]
    fn words_stay_whole_where_there_is_room() {
        let mut rows = Rows::new(["time", "title", "id"]);
        rows.push(["2026-11-30T00:00:00.000Z".into(), "Somebody did something".into(), "0123456789abcdef0123456789abcdef".into()]);
        let widths = [24, 22, 32];
        assert_eq!(unbroken(&rows, &widths, 120), [true, false, true]);
        assert_eq!(unbroken(&rows, &widths, 60), [true, false, false], "the longest is broken first");
        assert_eq!(unbroken(&rows, &widths, 20), [false, false, false]);
    }
}
