//! The Sources page, and the figures of the mesh.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use crate::api::{ApiError, LedgerAnswer, RejectGroup, SourceState};

/// Every source with its rates.
#[utoipa::path(get, path = "/api/v1/sources", responses((status = 200, body = Vec<SourceState>)))]
pub(crate) async fn sources(State(shared): State<Shared>) -> Result<Json<Vec<SourceState>>, ApiError> {
    shared.backend.sources().await.map(Json)
}

/// Rejects by stream and cause.
#[utoipa::path(get, path = "/api/v1/rejects", responses((status = 200, body = Vec<RejectGroup>)))]
pub(crate) async fn rejects(State(shared): State<Shared>) -> Result<Json<Vec<RejectGroup>>, ApiError> {
    shared.backend.rejects().await.map(Json)
}

/// How far the ledger is checked.
#[derive(Deserialize, IntoParams)]
pub(crate) struct LedgerQuestion {
    /// Whether the rows in the data files are counted too.
    #[serde(default)]
    deep: bool,
}

/// What was received against what became of it.
#[utoipa::path(get, path = "/api/v1/ledger", params(LedgerQuestion), responses((status = 200, body = LedgerAnswer)))]
pub(crate) async fn ledger(State(shared): State<Shared>, Query(question): Query<LedgerQuestion>) -> Result<Json<LedgerAnswer>, ApiError> {
    shared.backend.ledger(question.deep).await.map(Json)
}

/// Figures for monitoring, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.backend.metrics().await)
}
