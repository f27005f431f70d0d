//! Findings for verbs that put them together: from the lake, the running mesh, or files.

use std::io::Read as _;
use std::path::PathBuf;

use serde_json::{Map, Value};
use weft_lake::missing_table;
use weft_model::Finding;

use super::offline;
use crate::cli::{self, Fault};
use crate::home::Home;

/// Findings that are read at most; more are told to be left out.
const FINDINGS_MAX: usize = 1_000_000;
/// Longest look at the lake.
const SECONDS_MAX: u64 = 600;
/// Largest file of findings.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Findings of files, or of the lake where none are named.
pub(super) async fn findings(home: &Home, from: &[PathBuf]) -> Result<Vec<Finding>, Fault> {
    if from.is_empty() {
        let events = events(home, "detection_finding", "").await?;
        return Ok(events.iter().filter_map(Finding::from_ocsf).collect());
    }
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for path in from {
        match read(path) {
            Ok(text) => of_lines(&path.display().to_string(), &text, &mut found, &mut faults),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(Fault::Misuse(faults)) }
}

fn of_lines(name: &str, text: &str, found: &mut Vec<Finding>, faults: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = number + 1;
        match serde_json::from_str::<Value>(line).map(|event| Finding::from_ocsf(&event)) {
            Ok(Some(finding)) => found.push(finding),
            Ok(None) => faults.push(format!("{name}:{number}: not a detection finding (OCSF class 2004) with `time` and `finding_info.uid`")),
            Err(error) => faults.push(format!("{name}:{number}: not JSON: {error}")),
        }
    }
}

fn read(path: &PathBuf) -> Result<String, String> {
    let told = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(told)?;
    } else {
        std::fs::File::open(path).map_err(told)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(told)?;
    }
    Ok(text)
}

/// Rows of a table as OCSF events; none when nothing of the class was ever kept.
pub(super) async fn events(home: &Home, table: &str, condition: &str) -> Result<Vec<Value>, Fault> {
    let sql = format!("SELECT * FROM {table}{condition}");
    let answer = match offline::ask(home, &sql, FINDINGS_MAX, SECONDS_MAX).await {
        Ok(answer) => answer,
        Err(Fault::Misuse(faults)) if faults.iter().any(|fault| missing_table(fault) == Some(table)) => return Ok(Vec::new()),
        Err(other) => return Err(other),
    };
    answer.warnings.iter().for_each(|warning| cli::say(warning));
    if answer.truncated {
        cli::say(&format!("only the first {} rows of `{table}` are looked at", answer.rows.len()));
    }
    Ok(answer.rows.into_iter().map(|row| event(&answer.columns, row)).collect())
}

/// A row with the attributes that have no column of their own.
fn event(columns: &[String], row: Vec<Value>) -> Value {
    let mut event: Map<String, Value> = columns.iter().cloned().zip(row).filter(|(_, value)| !value.is_null()).collect();
    let parsed = |value: Value| match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
        other => other,
    };
    if let Some(Value::Object(extra)) = event.remove(weft_model::event::EXTRA).map(parsed) {
        weft_model::event::merge(&mut event, extra);
    }
    if let Some(unmapped) = event.remove(weft_model::event::UNMAPPED) {
        event.insert(weft_model::event::UNMAPPED.to_owned(), parsed(unmapped));
    }
    Value::Object(event)
}
