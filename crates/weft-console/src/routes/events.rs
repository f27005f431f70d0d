//! The Events page: list, histogram, field values, one event, live tail.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::Shared;
use crate::api::{
    ApiError, Bucket, ErrorCode, EventDetail, EventPage, EventRow, FieldValue, FieldValues, FilterAnswer, FilterTerm, Histogram, QueryAnswer, QueryRequest,
    TableInfo,
};
use crate::filter::fields::{Target, resolve};
use crate::filter::{Columns, Expr, FilterError, Predicate, parse, to_sql};
use crate::sql::{From, condition, identifier_path, literal};
use crate::tail::{Tail, observables, shorten};

/// Most rows of a page.
const PAGE_ROWS_MAX: usize = 500;
/// Most buckets of a histogram.
const BUCKETS_MAX: i64 = 300;
/// How many values of a field are shown.
const VALUES_MAX: usize = 10;
/// Time for a statement of a page.
const PAGE_TIMEOUT_MS: u64 = 15_000;
/// Longest `metadata.uid` that is looked up.
const UID_CHARS_MAX: usize = 512;

/// Which events.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// The filter.
    filter: String,
    /// From this time, epoch milliseconds.
    from: Option<i64>,
    /// Until before this time.
    to: Option<i64>,
    /// Rows of a page, or buckets of a histogram.
    limit: Option<usize>,
    /// Only events before this one in the list: its time.
    before: Option<i64>,
    /// The uid that goes with `before`.
    before_uid: Option<String>,
    /// The field whose values are asked for.
    field: Option<String>,
}

impl Which {
    fn expr(&self) -> Result<Expr, ApiError> {
        parse(&self.filter).map_err(|error| error.to_api(&self.filter))
    }

    /// Where matching rows are; `also` is a field that must be there.
    fn from(&self, tables: &[TableInfo], also: Option<&str>) -> Result<From, ApiError> {
        let expr = self.expr()?;
        self.parts(&expr, tables, also).map_err(|error| error.to_api(&self.filter))
    }

    fn parts(&self, expr: &Expr, tables: &[TableInfo], also: Option<&str>) -> Result<From, FilterError> {
        let columns: Vec<_> = tables.iter().map(|table| (table, Columns::of(table))).collect();
        for term in expr.terms() {
            if let Some(field) = &term.field
                && !columns.iter().any(|(_, columns)| columns.has(field))
            {
                return Err(FilterError::new(format!("no event has a field `{field}`; put the text in quotes to search for it"), term.span));
            }
        }
        let fields: Vec<&str> = expr.terms().into_iter().filter_map(|term| term.field.as_deref()).chain(also).collect();
        let common = columns.iter().find(|(table, columns)| table.name == "events" && fields.iter().all(|field| columns.has(field)));
        let chosen: Vec<_> = match common {
            Some(one) => vec![one],
            None => columns.iter().filter(|(table, columns)| table.class_uid.is_some() && also.is_none_or(|field| columns.has(field))).collect(),
        };
        let mut parts = Vec::new();
        for (table, columns) in chosen {
            let predicate = to_sql(expr, columns)?;
            if predicate != Predicate::False {
                parts.push((table.name.clone(), self.condition(&predicate)));
            }
        }
        Ok(From { parts })
    }

    fn condition(&self, predicate: &Predicate) -> String {
        let sql = condition(self.from, self.to, predicate);
        match (self.before, &self.before_uid) {
            (Some(time), Some(uid)) => format!("{sql} AND (time < {time} OR (time = {time} AND {} < {}))", identifier_path("metadata.uid"), literal(uid)),
            (Some(time), None) => format!("{sql} AND time < {time}"),
            (None, _) => sql,
        }
    }
}

async fn ask(shared: &Shared, sql: String, limit_rows: usize) -> Result<QueryAnswer, ApiError> {
    shared.backend.query(QueryRequest { id: String::new(), sql, limit_rows, timeout_ms: PAGE_TIMEOUT_MS }).await
}

/// A page of events, latest first.
#[utoipa::path(get, path = "/api/v1/events", params(Which), responses((status = 200, body = EventPage), (status = 400, body = crate::api::ErrorBody)))]
pub(crate) async fn list(State(shared): State<Shared>, Query(which): Query<Which>) -> Result<Json<EventPage>, ApiError> {
    let tables = shared.tables().await?;
    let from = which.from(&tables, None)?;
    if tables.is_empty() {
        return Ok(Json(EventPage { rows: Vec::new(), more: false, elapsed_ms: 0 }));
    }
    let limit = which.limit.unwrap_or(200).clamp(1, PAGE_ROWS_MAX);
    // One more than asked for tells whether there are older ones.
    let answer = ask(&shared, from.rows(limit + 1), limit + 1).await?;
    let more = answer.rows.len() > limit;
    let rows = answer.rows.iter().take(limit).map(|row| row_from(row)).collect();
    Ok(Json(EventPage { rows, more, elapsed_ms: answer.elapsed_ms }))
}

/// Reads a row in the order of `ROW_COLUMNS`.
fn row_from(row: &[Value]) -> EventRow {
    let text = |at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
    let number = |at: usize| row.get(at).and_then(Value::as_i64).unwrap_or_default();
    EventRow {
        uid: text(0).unwrap_or_default(),
        time: number(1),
        class_uid: number(2),
        class_name: text(3),
        activity_name: text(4),
        severity_id: number(5),
        status: text(6),
        message: text(7).map(shorten),
        product: text(8),
        observables: row.get(9).map(observables).unwrap_or_default(),
    }
}

/// Counts over time, by severity.
#[utoipa::path(get, path = "/api/v1/events/histogram", params(Which), responses((status = 200, body = Histogram)))]
pub(crate) async fn histogram(State(shared): State<Shared>, Query(which): Query<Which>) -> Result<Json<Histogram>, ApiError> {
    let (Some(from), Some(to)) = (which.from, which.to) else { return Err(ApiError::bad_request("a histogram needs `from` and `to`")) };
    let range = to.checked_sub(from).filter(|range| *range > 0).ok_or_else(|| ApiError::bad_request("`to` must be later than `from`"))?;
    let wanted = i64::try_from(which.limit.unwrap_or(120)).unwrap_or(BUCKETS_MAX).clamp(1, BUCKETS_MAX);
    let width = (range / wanted + i64::from(range % wanted != 0)).max(1);
    let buckets = usize::try_from(range / width + i64::from(range % width != 0)).unwrap_or_default();
    let tables = shared.tables().await?;
    let source = which.from(&tables, None)?;
    let mut counts = Vec::new();
    if !tables.is_empty() {
        // Eight severities at most per bucket.
        let answer = ask(&shared, source.histogram(from, width), buckets * 8).await?;
        counts.extend(answer.rows.iter().filter_map(|row| bucket_from(row)));
    }
    counts.sort_unstable_by_key(|bucket| (bucket.at, bucket.severity_id));
    let total = counts.iter().map(|bucket| bucket.count).sum();
    Ok(Json(Histogram { from, width, buckets, counts, total }))
}

fn bucket_from(row: &[Value]) -> Option<Bucket> {
    let [at, severity_id, count] = row else { return None };
    Some(Bucket { at: usize::try_from(at.as_i64()?).ok()?, severity_id: severity_id.as_i64().unwrap_or_default(), count: count.as_u64()? })
}

/// The most frequent values of a field among matching events.
#[utoipa::path(get, path = "/api/v1/events/fields", params(Which), responses((status = 200, body = FieldValues)))]
pub(crate) async fn fields(State(shared): State<Shared>, Query(which): Query<Which>) -> Result<Json<FieldValues>, ApiError> {
    let field = which.field.clone().ok_or_else(|| ApiError::bad_request("`field` is missing"))?;
    let tables = shared.tables().await?;
    let source = which.from(&tables, Some(&field))?;
    if source.parts.is_empty() {
        return Ok(Json(FieldValues { field, values: Vec::new() }));
    }
    let sql = match resolve(&field) {
        Target::Column(path) => source.top_values(&path, VALUES_MAX),
        Target::Observable(types) => source.top_entities(types, VALUES_MAX),
    };
    let answer = ask(&shared, sql, VALUES_MAX).await?;
    let values = answer.rows.iter().filter_map(|row| value_from(row)).collect();
    Ok(Json(FieldValues { field, values }))
}

fn value_from(row: &[Value]) -> Option<FieldValue> {
    let (value, kind, count) = match row {
        [value, count] => (value, None, count),
        [value, kind, count] => (value, kind.as_str().map(str::to_owned), count),
        _ => return None,
    };
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some(FieldValue { value, kind, count: count.as_u64()? })
}

/// One event, whole.
#[utoipa::path(get, path = "/api/v1/events/{uid}", params(("uid" = String, Path,)), responses((status = 200, body = EventDetail), (status = 404, body = crate::api::ErrorBody)))]
pub(crate) async fn detail(State(shared): State<Shared>, Path(uid): Path<String>) -> Result<Json<EventDetail>, ApiError> {
    let shown: String = uid.chars().take(UID_CHARS_MAX).collect();
    let found = if shown.len() == uid.len() { shared.backend.event(&uid).await? } else { None };
    found.map(Json).ok_or_else(|| ApiError::not_found(format!("no event `{shown}`; it may be older than what is kept")))
}

/// How a filter is understood, while it is written.
#[utoipa::path(get, path = "/api/v1/filter", params(Which), responses((status = 200, body = FilterAnswer)))]
pub(crate) async fn filter(State(shared): State<Shared>, Query(which): Query<Which>) -> Result<Json<FilterAnswer>, ApiError> {
    let text = &which.filter;
    let expr = match parse(text) {
        Ok(expr) => expr,
        Err(error) => return Ok(Json(FilterAnswer { terms: Vec::new(), error: Some(error.to_api(text)) })),
    };
    let tables = shared.tables().await?;
    let error = if tables.is_empty() { None } else { which.parts(&expr, &tables, None).err().map(|error| error.to_api(text)) };
    let terms = expr.conjuncts().into_iter().filter_map(|part| term_from(part, text)).collect();
    Ok(Json(FilterAnswer { terms, error }))
}

fn term_from(part: &Expr, text: &str) -> Option<FilterTerm> {
    let span = part.span()?;
    Some(FilterTerm { span: span.utf16(text), text: text.get(span.start..span.end)?.to_owned(), negated: matches!(part, Expr::Not(..)) })
}

/// Events as they arrive, as server-sent events named `batch`.
#[utoipa::path(get, path = "/api/v1/events/tail", params(Which), responses((status = 200, body = crate::api::TailBatch, content_type = "text/event-stream")))]
pub(crate) async fn tail(State(shared): State<Shared>, Query(which): Query<Which>) -> Result<Response, ApiError> {
    let filter = which.expr()?;
    let place = Arc::clone(&shared.tails).try_acquire_owned().map_err(|_| ApiError::new(ErrorCode::Busy, "too many live tails are open; close one"))?;
    let tail = Tail { receiver: shared.backend.tail(), filter, latency: Arc::clone(&shared.latency), _place: place };
    Ok(Sse::new(tail.into_stream()).keep_alive(KeepAlive::default()).into_response())
}
