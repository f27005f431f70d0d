//! `weft query`, `weft tables`.

use serde_json::Value;

use super::offline::{Answer, ask, open, past};
use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::home::Home;
use crate::remote::Remote;

/// Runs one statement.
///
/// # Errors
/// A statement that is wrong, or takes too long.
pub(super) async fn run(home: &Home, query: &cli::Query, out: &mut Output) -> Result<Outcome, Fault> {
    let answer = match &query.as_of {
        Some(time) => past(home, &query.sql, time, query.limit, query.timeout).await?,
        None => ask(home, &query.sql, query.limit, query.timeout).await?,
    };
    if query.stats
        && let Some(stats) = answer.stats
    {
        cli::say(&format!("{} of {} files were read, {} bytes of them", stats.files_read, stats.files, stats.bytes_read));
    }
    print(answer, out)
}

/// Prints what was answered.
pub(super) fn print(answer: Answer, out: &mut Output) -> Result<Outcome, Fault> {
    let shown = answer.rows.len();
    answer.warnings.iter().for_each(|warning| cli::say(warning));
    out.rows(&Rows { columns: answer.columns, rows: answer.rows })?;
    if answer.truncated {
        cli::say(&format!("only the first {shown} rows are shown; `--limit` gives more"));
    }
    Ok(Outcome::Done)
}

/// Lists tables and views.
///
/// # Errors
/// The lake cannot be read.
pub(super) async fn tables(home: &Home, out: &mut Output) -> Result<Outcome, Fault> {
    let mut rows = Rows::new(["table", "rows", "columns", "files", "bytes"]);
    match home.running() {
        Some(run) => {
            let tables = Remote::new(run).get("/api/v1/tables").await?;
            for table in tables.as_array().or_else(|| tables.get("tables").and_then(Value::as_array)).into_iter().flatten() {
                let at = |name: &str| table.get(name).cloned().unwrap_or(Value::Null);
                let columns = at("columns").as_array().map_or(0, Vec::len);
                rows.push([at("name"), at("rows"), columns.into(), Value::Null, Value::Null]);
            }
        }
        None => {
            for table in open(home).await?.tables() {
                rows.push([
                    table.name.into(),
                    (table.rows + table.tail_rows).into(),
                    table.schema.fields().len().into(),
                    table.files.into(),
                    table.bytes.into(),
                ]);
            }
        }
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}
