//! One way to print rows: a table for people, JSON, NDJSON and CSV for programs.

use std::io::{self, BufWriter, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Cell, ContentArrangement, LineStyle, Table as Drawn, TableStyle};
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
            drawn.add_row(row.iter().map(|value| Cell::new(printable(&plain(value)))));
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
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{FFFD}[31mb");
        assert_eq!(object(&["a".into()], &[Value::from(1)]).to_string(), r#"{"a":1}"#);
    }
}
