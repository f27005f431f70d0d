//! The lake of a home whose mesh does not run, for verbs that ask.

use std::sync::Arc;

use serde_json::{Value, json};
use weft_ingest::Mapper;
use weft_lake::{Lake, QueryOptions, QueryResult, QueryStats, Reader};

use super::map::map_batch;
use crate::cli::Fault;
use crate::content;
use crate::home::Home;
use crate::mesh::cells;
use crate::remote::Remote;

/// Columns and rows, from wherever they came.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) truncated: bool,
    /// What is missing from them.
    pub(super) warnings: Vec<String>,
    /// Files read, where it is known.
    pub(super) stats: Option<QueryStats>,
}

/// Opens the lake with everything in it that is durable, committed or not.
pub(super) async fn open(home: &Home) -> Result<Lake, Fault> {
    if !home.exists() {
        return Err(Fault::misuse(format!("`{}` holds no lake; `weft ingest` or `weft up` makes one", home.dir.display())));
    }
    let (lake, recovery) = Lake::open(home.lake_options()?).await.map_err(Fault::failed)?;
    if recovery.frames() > 0 {
        let files = content::files(&home.dir).map_err(Fault::Misuse)?;
        let mapper = home.mapper(content::registry(&files).map_err(Fault::Misuse)?)?;
        let shown = lake.clone();
        tokio::task::spawn_blocking(move || show(&shown, &recovery, &mapper)).await.map_err(Fault::failed)??;
    }
    Ok(lake)
}

fn show(lake: &Lake, recovery: &weft_lake::Recovery, mapper: &Mapper) -> Result<(), Fault> {
    for logged in recovery.logged() {
        let logged = logged.map_err(Fault::failed)?;
        let mapped = map_batch(logged.batch(), mapper);
        lake.publish(logged, mapped).map_err(Fault::failed)?;
    }
    Ok(())
}

/// Asks the running mesh, or the lake itself.
pub(super) async fn ask(home: &Home, sql: &str, rows_max: usize, seconds: u64) -> Result<Answer, Fault> {
    match home.running() {
        Some(run) => remote(&Remote::new(run), sql, rows_max, seconds).await,
        None => {
            let lake = open(home).await?;
            let options = QueryOptions { rows_max, time_max: std::time::Duration::from_secs(seconds) };
            Ok(local(&lake.session(options).collect(sql).await.map_err(query_fault)?))
        }
    }
}

/// Asks the tables as they were; beside a running mesh too.
pub(super) async fn past(home: &Home, sql: &str, time: &str, rows_max: usize, seconds: u64) -> Result<Answer, Fault> {
    let at = weft_model::Timestamp(super::detect::millis(time)?);
    let reader = Reader::open(&home.lake_options()?).await.map_err(Fault::failed)?;
    let options = QueryOptions { rows_max, time_max: std::time::Duration::from_secs(seconds) };
    let session = reader.as_of(at, options).await.map_err(Fault::failed)?;
    Ok(local(&session.collect(sql).await.map_err(query_fault)?))
}

fn query_fault(error: weft_lake::QueryError) -> Fault {
    match error {
        weft_lake::QueryError::Sql { message } => Fault::misuse(message),
        other => Fault::failed(other),
    }
}

fn local(result: &QueryResult) -> Answer {
    let columns = result.schema.fields().iter().map(|field: &Arc<_>| field.name().clone()).collect();
    Answer { columns, rows: cells::rows(&result.batches), truncated: result.truncated.is_some(), warnings: result.warnings.clone(), stats: Some(result.stats) }
}

async fn remote(remote: &Remote, sql: &str, rows_max: usize, seconds: u64) -> Result<Answer, Fault> {
    let body = json!({"id": "", "sql": sql, "limit_rows": rows_max.min(weft_console::api::QueryRequest::LIMIT_ROWS_MAX), "timeout_ms": (seconds * 1000).min(weft_console::api::QueryRequest::TIMEOUT_MS_MAX)});
    let answer: weft_console::api::QueryAnswer = serde_json::from_value(remote.post("/api/v1/query", &body).await?).map_err(Fault::failed)?;
    let stats = answer.files_read.map(|(files_read, files)| QueryStats { files, files_read, bytes_read: 0 });
    Ok(Answer {
        columns: answer.columns.into_iter().map(|column| column.name).collect(),
        rows: answer.rows,
        truncated: answer.truncated,
        warnings: answer.warnings,
        stats,
    })
}

/// Events and rejects that a query sees now.
pub(super) async fn count(lake: &Lake) -> Result<u64, Fault> {
    let mut sum = 0;
    for table in [weft_lake::query::EVENTS, weft_lake::REJECTS] {
        if table == weft_lake::query::EVENTS || lake.tables().iter().any(|known| known.name == table) {
            let result = lake.session(QueryOptions::default()).collect(&format!("SELECT count(*) FROM {table}")).await.map_err(query_fault)?;
            sum += cells::rows(&result.batches).first().and_then(|row| row.first()?.as_u64()).unwrap_or(0);
        }
    }
    Ok(sum)
}
