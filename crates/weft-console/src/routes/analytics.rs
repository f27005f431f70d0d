//! The Detections page, and the intelligence of the Sources page.

use axum::Json;
use axum::extract::State;

use super::Shared;
use crate::api::{ApiError, DetectionState, IntelligenceState};

/// Rules with whether they can fire here and how often they did, hunts, and what bounds of memory cost.
#[utoipa::path(get, path = "/api/v1/detections", responses((status = 200, body = DetectionState)))]
pub(crate) async fn detections(State(shared): State<Shared>) -> Result<Json<DetectionState>, ApiError> {
    shared.backend.detection().await.map(Json)
}

/// Feeds and sources of indicators.
#[utoipa::path(get, path = "/api/v1/intelligence", responses((status = 200, body = IntelligenceState)))]
pub(crate) async fn intelligence(State(shared): State<Shared>) -> Result<Json<IntelligenceState>, ApiError> {
    shared.backend.intelligence().await.map(Json)
}
