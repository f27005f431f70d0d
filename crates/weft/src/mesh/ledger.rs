//! The conservation ledger for console, command line, metrics, and as events.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use weft_console::api::{LedgerAccount, LedgerAnswer, LedgerTable};
use weft_lake::{Balance, Counts, Ledger};
use weft_model::{Timestamp, TraceId};

/// The ledger as it is shown.
pub fn answer(balance: &Balance) -> LedgerAnswer {
    let table =
        |table: &weft_lake::TableBalance| LedgerTable { table: table.table.clone(), expected: table.expected, rows: table.rows, removed: table.removed };
    LedgerAnswer {
        balances: balance.balances(),
        faults: balance.faults.clone(),
        total: account("", "", &balance.ledger.total()),
        accounts: balance.ledger.all().map(|(source, stream, counts)| account(source, stream, counts)).collect(),
        tables: balance.tables.iter().map(table).collect(),
    }
}

fn account(source: &str, stream: &str, counts: &Counts) -> LedgerAccount {
    LedgerAccount {
        source: source.to_owned(),
        stream: stream.to_owned(),
        received: counts.received,
        stored: counts.stored,
        refused: counts.open_rejects(),
        dropped: counts.dropped,
        duplicates: counts.duplicates,
        waiting: counts.waiting,
        mended: counts.mended,
        missing: i64::try_from(counts.missing()).unwrap_or(i64::MAX),
    }
}

/// Accounts that changed since they were last told, as OCSF base events, and what does not
/// balance as one of high severity.
///
/// OCSF 1.8 has no class for such figures, so the base event carries them in `unmapped.ledger`,
/// as it does those of metrics.
pub fn events(balance: &Balance, told: &mut BTreeMap<(String, String), Counts>, own_source: &str, now: Timestamp) -> Vec<Value> {
    let mut events = Vec::new();
    for (source, stream, counts) in balance.ledger.all() {
        let key = (source.to_owned(), stream.to_owned());
        // Our own events would make a new one each time.
        if source == own_source || told.get(&key) == Some(counts) {
            continue;
        }
        told.insert(key, *counts);
        let figures = account(source, stream, counts);
        let message = format!(
            "Ledger: {source} on {stream}: received {} = stored {} + refused {} + dropped {} + duplicates {} + waiting {}",
            figures.received, figures.stored, figures.refused, figures.dropped, figures.duplicates, figures.waiting
        );
        events.push(event(&message, 1, &json!(figures), now));
    }
    if !balance.balances() {
        events.push(event(&format!("Ledger: does not balance: {}", balance.faults.join("; ")), 4, &json!({"faults": balance.faults}), now));
    }
    events
}

fn event(message: &str, severity: u8, ledger: &Value, now: Timestamp) -> Value {
    json!({
        "activity_id": 99, "activity_name": "Account", "category_uid": 0, "class_uid": 0, "type_uid": 99, "severity_id": severity, "time": now.0,
        "message": message,
        "metadata": {
            "version": "1.8.0", "uid": TraceId::of(&format!("{message}{}", now.0)).as_str(), "correlation_uid": TraceId::of("ledger").as_str(),
            "product": {"name": "Weft", "vendor_name": "Weft"},
        },
        "unmapped": {"ledger": ledger},
    })
}

/// The accounts in Prometheus' text format.
pub fn metrics(ledger: &Ledger, waiting_bytes: usize, tail_bytes: usize) -> String {
    let mut text = String::from("# HELP weft_records_total Raw records by what became of them.\n# TYPE weft_records_total counter\n");
    for (source, stream, counts) in ledger.all() {
        let outcomes = [
            ("received", counts.received),
            ("stored", counts.stored),
            ("refused", counts.refused),
            ("mended", counts.mended),
            ("dropped", counts.dropped),
            ("duplicate", counts.duplicates),
        ];
        for (outcome, value) in outcomes {
            // Writing to a text cannot fail.
            let _infallible = writeln!(text, "weft_records_total{{source=\"{}\",stream=\"{}\",outcome=\"{outcome}\"}} {value}", label(source), label(stream));
        }
    }
    let total = ledger.total();
    for (name, help, value) in [
        ("weft_records_waiting", "Records that are durable and not mapped yet.", i128::from(total.waiting)),
        ("weft_records_missing", "Records that no outcome accounts for; anything but 0 is a fault.", total.missing()),
        ("weft_queue_bytes", "Bytes that wait for the log.", waiting_bytes as i128),
        ("weft_tail_bytes", "Bytes of events that wait for a commit.", tail_bytes as i128),
    ] {
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    text
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance() -> Balance {
        let counts = Counts { received: 10, stored: 6, refused: 2, mended: 1, dropped: 1, duplicates: 2, waiting: 0 };
        let mut balance = Balance::default();
        balance.ledger.accounts.entry("http/\"a\"".to_owned()).or_default().insert("x/y".to_owned(), counts);
        balance
    }

    #[test]
    fn an_account_is_told_when_it_changes_and_a_fault_always() {
        let (mut told, mut balance) = (BTreeMap::new(), balance());
        let first = events(&balance, &mut told, "weft", Timestamp(5));
        assert_eq!(first.len(), 1);
        assert!(first[0]["message"].as_str().unwrap().ends_with("received 10 = stored 6 + refused 1 + dropped 1 + duplicates 2 + waiting 0"), "{first:?}");
        assert!(events(&balance, &mut told, "weft", Timestamp(6)).is_empty());
        balance.faults.push("table `x`: 1 lost".to_owned());
        assert_eq!(events(&balance, &mut told, "weft", Timestamp(7))[0]["severity_id"], 4);
        assert!(events(&balance, &mut BTreeMap::new(), "http/\"a\"", Timestamp(8)).len() == 1, "our own source is left out");
    }

    #[test]
    fn labels_are_quoted() {
        let text = metrics(&balance().ledger, 3, 4);
        assert!(text.contains("weft_records_total{source=\"http/\\\"a\\\"\",stream=\"x/y\",outcome=\"stored\"} 6"), "{text}");
        assert!(text.contains("weft_records_missing 0") && text.contains("weft_queue_bytes 3"), "{text}");
    }
}
