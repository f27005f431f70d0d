//! Signing in and out, and what browsers report.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use crate::api::{ApiError, ErrorCode};
use crate::session::{now_ms, same_origin};

/// How many reports are written to the log.
const REPORTS_LOGGED_MAX: u64 = 100;

/// The token that `weft up` printed.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SignIn {
    token: String,
}

/// Who is asking.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct SessionInfo {
    authenticated: bool,
    version: String,
}

/// How many reports of the content security policy came in.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ReportCount {
    count: u64,
}

/// Opens a session.
#[utoipa::path(post, path = "/api/v1/session", request_body = SignIn, responses((status = 204), (status = 401, body = crate::api::ErrorBody)))]
pub(crate) async fn open(State(shared): State<Shared>, Json(body): Json<SignIn>) -> Response {
    match shared.sessions.open(body.token.trim(), now_ms()).await {
        Some(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        None => ApiError::new(ErrorCode::Unauthenticated, "this is not the token; `weft up` prints it at its start").into_response(),
    }
}

/// Whether the browser is signed in.
#[utoipa::path(get, path = "/api/v1/session", responses((status = 200, body = SessionInfo)))]
pub(crate) async fn show(State(shared): State<Shared>, headers: HeaderMap) -> Json<SessionInfo> {
    let authenticated = shared.sessions.credential(&headers, now_ms()).await.is_some();
    // A stranger is not told which version there is to attack.
    let version = if authenticated { shared.version.clone() } else { String::new() };
    Json(SessionInfo { authenticated, version })
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/v1/session", responses((status = 204)))]
pub(crate) async fn close(State(shared): State<Shared>, method: Method, headers: HeaderMap) -> Response {
    if !same_origin(&method, &headers) {
        return ApiError::new(ErrorCode::Forbidden, "a change must come from the console's own page").into_response();
    }
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, shared.sessions.close(&headers).await)]).into_response()
}

/// Takes a report of the content security policy. Open, because browsers send it without a session.
#[utoipa::path(post, path = "/api/v1/csp-report", request_body = Vec<u8>, responses((status = 204)))]
pub(crate) async fn report(State(shared): State<Shared>, body: Bytes) -> StatusCode {
    let beginning: String = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(600).collect();
    let before = shared.csp_reports.fetch_add(1, Ordering::Relaxed);
    // Anyone may send these: past a hundred they are counted, not written down.
    if before < REPORTS_LOGGED_MAX {
        tracing::warn!(report = %beginning, "a page was stopped by its content security policy");
    }
    StatusCode::NO_CONTENT
}

/// How many such reports came in.
#[utoipa::path(get, path = "/api/v1/csp-reports", responses((status = 200, body = ReportCount)))]
pub(crate) async fn reports(State(shared): State<Shared>) -> Json<ReportCount> {
    Json(ReportCount { count: shared.csp_reports.load(Ordering::Relaxed) })
}
