//! `weft lake usage`: what each tool sends and what it takes to keep it.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_lake::{QueryOptions, REJECTS, Reader, StoredDay};

use crate::cli::{self, Fault, Outcome, Output, Rows, UsageBy};
use crate::home::Home;
use crate::mesh::cells;

/// Longest look at one table.
const SECONDS_MAX: u64 = 3600;
const GIGABYTE: f64 = 1e9;

#[derive(Default)]
struct Sum {
    events: u64,
    raw: u64,
    stored: f64,
}

/// Sums up.
///
/// # Errors
/// The lake cannot be read.
pub(super) async fn run(home: &Home, usage: &cli::Usage, out: &mut Output) -> Result<Outcome, Fault> {
    if !home.exists() {
        return Err(Fault::misuse(format!("`{}` holds no lake; `weft ingest` or `weft up` makes one", home.dir.display())));
    }
    let reader = Reader::open(&home.lake_options()?).await.map_err(Fault::failed)?;
    let mut stored: BTreeMap<(String, String), StoredDay> = BTreeMap::new();
    for day in reader.stored() {
        stored.insert((day.table.clone(), day.day.clone()), day);
    }
    let mut sums: BTreeMap<Vec<String>, Sum> = BTreeMap::new();
    for table in reader.tables() {
        let rows = parts(&reader, &table.name, usage).await?;
        let mut whole: BTreeMap<&str, u64> = BTreeMap::new();
        rows.iter().for_each(|part| *whole.entry(&part.day).or_default() += part.weight());
        for part in &rows {
            let bytes = stored.get(&(table.name.clone(), part.day.clone())).map_or(0, |day| day.bytes);
            let share = part.weight() as f64 / whole.get(part.day.as_str()).copied().unwrap_or(1).max(1) as f64;
            let sum = sums.entry(key(usage, &table.name, part)).or_default();
            sum.events += part.events;
            sum.raw += part.raw;
            sum.stored += bytes as f64 * share;
        }
    }
    out.rows(&table(usage, sums))?;
    Ok(Outcome::Done)
}

/// Events of one tool on one day.
struct Part {
    tool: String,
    day: String,
    events: u64,
    raw: u64,
}

impl Part {
    /// What stored bytes are shared out by.
    fn weight(&self) -> u64 {
        if self.raw > 0 { self.raw } else { self.events }
    }
}

async fn parts(reader: &Reader, table: &str, usage: &cli::Usage) -> Result<Vec<Part>, Fault> {
    // Rejects are bytes, of which SQL tells no length but that of their text.
    let (tool, raw) = if table == REJECTS {
        ("stream", "octet_length(encode(raw, 'hex')) / 2")
    } else {
        ("concat_ws(' ', metadata.product.vendor_name, metadata.product.name)", "octet_length(raw_data)")
    };
    let bound = |day: &Option<String>, sign: &str| day.as_ref().map(|day| format!("day {sign} '{}'", day.replace('\'', "''")));
    let bounds: Vec<String> = [bound(&usage.since, ">="), bound(&usage.until, "<")].into_iter().flatten().collect();
    let condition = if bounds.is_empty() { String::new() } else { format!("WHERE {}", bounds.join(" AND ")) };
    let sql = format!("SELECT {tool}, CAST(day AS VARCHAR), count(*), sum({raw}) FROM \"{table}\" {condition} GROUP BY 1, 2");
    let options = QueryOptions { rows_max: usize::MAX, time_max: std::time::Duration::from_secs(SECONDS_MAX) };
    let result = reader.session(options).collect(&sql).await.map_err(Fault::failed)?;
    result.warnings.iter().for_each(|warning| cli::say(warning));
    let part = |row: Vec<Value>| {
        let text = |place: usize| row.get(place).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |place: usize| row.get(place).and_then(Value::as_u64).unwrap_or(0);
        Part { tool: text(0), day: text(1), events: number(2), raw: number(3) }
    };
    Ok(cells::rows(&result.batches).into_iter().map(part).collect())
}

fn key(usage: &cli::Usage, table: &str, part: &Part) -> Vec<String> {
    let of = |by: &UsageBy| match by {
        UsageBy::Tool => part.tool.clone(),
        UsageBy::Class => table.to_owned(),
        UsageBy::Day => part.day.clone(),
    };
    usage.by.iter().map(of).collect()
}

fn table(usage: &cli::Usage, sums: BTreeMap<Vec<String>, Sum>) -> Rows {
    let name = |by: &UsageBy| match by {
        UsageBy::Tool => "tool",
        UsageBy::Class => "class",
        UsageBy::Day => "day",
    };
    let counts = ["events", "raw_bytes", "stored_bytes"].into_iter().chain(usage.price.map(|_| "cost_month"));
    let mut rows = Rows { columns: usage.by.iter().map(name).chain(counts).map(str::to_owned).collect(), rows: Vec::new() };
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.raw));
    for (key, sum) in sums {
        let cost = usage.price.map(|price| Value::from((sum.stored / GIGABYTE * price * 1e4).round() / 1e4));
        let counts = [sum.events.into(), sum.raw.into(), Value::from(sum.stored.round() as u64)];
        rows.rows.push(key.into_iter().map(Value::from).chain(counts).chain(cost).collect());
    }
    rows
}
