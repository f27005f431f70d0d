//! The Query page.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Shared;
use crate::api::{ApiError, QueryAnswer, QueryRequest, TableInfo, TextSpan};

/// Longest id that a reader may choose.
const ID_CHARS_MAX: usize = 64;

/// Runs a statement.
#[utoipa::path(post, path = "/api/v1/query", request_body = QueryRequest, responses((status = 200, body = QueryAnswer), (status = 400, body = crate::api::ErrorBody)))]
pub(crate) async fn run(State(shared): State<Shared>, Json(request): Json<QueryRequest>) -> Result<Json<QueryAnswer>, ApiError> {
    let request = within_bounds(request)?;
    let sql = request.sql.clone();
    shared.backend.query(request).await.map(Json).map_err(|error| located(error, &sql))
}

/// Stops a statement.
#[utoipa::path(post, path = "/api/v1/query/{id}/cancel", params(("id" = String, Path,)), responses((status = 204), (status = 404, body = crate::api::ErrorBody)))]
pub(crate) async fn cancel(State(shared): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    if shared.backend.cancel(&id).await { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found("no such statement is running")) }
}

/// Tables and their columns.
#[utoipa::path(get, path = "/api/v1/tables", responses((status = 200, body = Vec<TableInfo>)))]
pub(crate) async fn tables(State(shared): State<Shared>) -> Result<Json<Vec<TableInfo>>, ApiError> {
    shared.tables().await.map(|tables| Json(tables.to_vec()))
}

fn within_bounds(mut request: QueryRequest) -> Result<QueryRequest, ApiError> {
    if request.sql.trim().is_empty() {
        return Err(ApiError::bad_request("the statement is empty; write for example `SELECT * FROM events LIMIT 10`"));
    }
    if request.sql.len() > QueryRequest::SQL_BYTES_MAX {
        return Err(ApiError::bad_request(format!("a statement has at most {} bytes", QueryRequest::SQL_BYTES_MAX)));
    }
    if request.id.chars().count() > ID_CHARS_MAX {
        return Err(ApiError::bad_request(format!("an id has at most {ID_CHARS_MAX} characters")));
    }
    request.limit_rows = request.limit_rows.clamp(1, QueryRequest::LIMIT_ROWS_MAX);
    request.timeout_ms = request.timeout_ms.clamp(1, QueryRequest::TIMEOUT_MS_MAX);
    Ok(request)
}

/// Gives the error the place that its message names as `Line: 1, Column: 8`.
fn located(error: ApiError, sql: &str) -> ApiError {
    if error.span.is_some() {
        return error;
    }
    match place(&error.message).and_then(|(line, column)| span_at(sql, line, column)) {
        Some(span) => error.at(span),
        None => error,
    }
}

fn place(message: &str) -> Option<(usize, usize)> {
    let (_, rest) = message.split_once("Line: ")?;
    let (line, rest) = rest.split_once(", Column: ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The word at a line and column, both counted from one in characters.
fn span_at(sql: &str, line: usize, column: usize) -> Option<TextSpan> {
    let lines: Vec<&str> = sql.split('\n').collect();
    let index = line.checked_sub(1)?;
    let before: usize = lines.iter().take(index).map(|line| line.encode_utf16().count() + 1).sum();
    let text = lines.get(index)?;
    let units = |chars: &mut dyn Iterator<Item = char>| chars.map(char::len_utf16).sum::<usize>();
    let start = before + units(&mut text.chars().take(column.saturating_sub(1)));
    let word = units(&mut text.chars().skip(column.saturating_sub(1)).take_while(|c| !c.is_whitespace()));
    Some(TextSpan { start, end: start + word.max(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_finds_its_place_in_the_statement() {
        let error = located(ApiError::bad_request("sql parser error: Expected an expression, found: FROM at Line: 2, Column: 8"), "-- 😀\nSELECT FROM events");
        assert_eq!(error.span, Some(TextSpan { start: 13, end: 17 }));
        assert_eq!(located(ApiError::bad_request("no place"), "SELECT").span, None);
    }
}
