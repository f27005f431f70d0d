//! The Sources page.

use axum::Json;
use axum::extract::State;

use super::Shared;
use crate::api::{ApiError, RejectGroup, SourceState};

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
