//! `weft ledger`: what was received against what became of it.

use serde_json::Value;
use weft_console::api::{LedgerAccount, LedgerAnswer};

use super::offline;
use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::home::Home;
use crate::mesh;
use crate::remote::Remote;

/// Prints the ledger; exit code 1 when it does not balance, with each place on standard error.
///
/// # Errors
/// The lake cannot be read.
pub(super) async fn run(home: &Home, ledger: &cli::Ledger, out: &mut Output) -> Result<Outcome, Fault> {
    let answer: LedgerAnswer = match home.running() {
        Some(run) => serde_json::from_value(Remote::new(run).get(&format!("/api/v1/ledger?deep={}", ledger.deep)).await?).map_err(Fault::failed)?,
        None => mesh::ledger::answer(&offline::open(home).await?.balance(ledger.deep).await.map_err(Fault::failed)?),
    };
    out.rows(&if ledger.tables { tables(&answer) } else { accounts(&answer) })?;
    for fault in &answer.faults {
        cli::say(&format!("does not balance: {fault}"));
    }
    Ok(if answer.balances { Outcome::Done } else { Outcome::Found })
}

fn accounts(answer: &LedgerAnswer) -> Rows {
    let mut rows = Rows::new(["source", "stream", "received", "stored", "refused", "dropped", "duplicates", "waiting", "mended", "missing"]);
    let row = |name: &str, of: &LedgerAccount| -> [Value; 10] {
        let figures = [of.received, of.stored, of.refused, of.dropped, of.duplicates, of.waiting, of.mended].map(Value::from);
        let [received, stored, refused, dropped, duplicates, waiting, mended] = figures;
        [name.into(), of.stream.clone().into(), received, stored, refused, dropped, duplicates, waiting, mended, of.missing.into()]
    };
    answer.accounts.iter().for_each(|account| rows.push(row(&account.source, account)));
    rows.push(row("total", &answer.total));
    rows
}

fn tables(answer: &LedgerAnswer) -> Rows {
    let mut rows = Rows::new(["table", "expected", "rows", "removed"]);
    answer.tables.iter().for_each(|table| rows.push([table.table.clone().into(), table.expected.into(), table.rows.into(), table.removed.into()]));
    rows
}
