//! The Loop page: what was found, decided, done and seen.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::Shared;
use crate::api::{ApiError, LoopState, RunDecision};
use crate::latency::LatencySummary;

/// Longest reason that is kept with a run.
const REASON_CHARS_MAX: usize = 2_000;

/// Findings with what followed, posture checks, metrics.
#[utoipa::path(get, path = "/api/v1/loop", responses((status = 200, body = LoopState)))]
pub(crate) async fn state(State(shared): State<Shared>) -> Result<Json<LoopState>, ApiError> {
    shared.backend.loop_state().await.map(Json)
}

/// A person approves or refuses a run.
#[utoipa::path(post, path = "/api/v1/runs/{id}/decision", params(("id" = String, Path,)), request_body = RunDecision, responses((status = 204)))]
pub(crate) async fn decide(State(shared): State<Shared>, Path(id): Path<String>, Json(decision): Json<RunDecision>) -> Result<StatusCode, ApiError> {
    if decision.reason.chars().count() > REASON_CHARS_MAX {
        return Err(ApiError::bad_request(format!("a reason has at most {REASON_CHARS_MAX} characters")));
    }
    shared.backend.decide(&id, decision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an applied run back.
#[utoipa::path(post, path = "/api/v1/runs/{id}/undo", params(("id" = String, Path,)), responses((status = 204)))]
pub(crate) async fn undo(State(shared): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    shared.backend.undo(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How long events take to reach a console.
#[utoipa::path(get, path = "/api/v1/latency", responses((status = 200, body = Option<LatencySummary>)))]
pub(crate) async fn latency(State(shared): State<Shared>) -> Json<Option<LatencySummary>> {
    Json(shared.latency.summary())
}
