//! The Incidents page.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::Shared;
use crate::api::{ApiError, EntityRisk, ErrorBody, IncidentAction, IncidentDetail, IncidentRow};

/// Findings or incidents that one action names.
const NAMED_MAX: usize = 10_000;

/// The incidents that may still grow, the newest evidence first.
#[utoipa::path(get, path = "/api/v1/incidents", responses((status = 200, body = Vec<IncidentRow>)))]
pub(crate) async fn list(State(shared): State<Shared>) -> Result<Json<Vec<IncidentRow>>, ApiError> {
    shared.backend.incidents().await.map(Json)
}

/// One of them, whole: story, findings, path of evidence, changes, risks.
#[utoipa::path(get, path = "/api/v1/incidents/{uid}", params(("uid" = String, Path,)), responses((status = 200, body = IncidentDetail), (status = 404, body = ErrorBody)))]
pub(crate) async fn detail(State(shared): State<Shared>, Path(uid): Path<String>) -> Result<Json<IncidentDetail>, ApiError> {
    let none = || ApiError::not_found(format!("there is no incident `{uid}` that may still grow; older ones are in table `incident_finding`"));
    shared.backend.incident(&uid).await?.map(Json).ok_or_else(none)
}

/// A person merges, splits, closes, reopens or assigns.
#[utoipa::path(post, path = "/api/v1/incidents/actions", request_body = IncidentAction, responses((status = 204), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn act(State(shared): State<Shared>, Json(action): Json<Value>) -> Result<StatusCode, ApiError> {
    let action: IncidentAction = serde_json::from_value(action).map_err(|error| ApiError::bad_request(format!("not an action on incidents: {error}")))?;
    let named = match &action {
        IncidentAction::Merge { incidents } => incidents.len(),
        IncidentAction::Split { findings, .. } => findings.len(),
        IncidentAction::Close { .. } | IncidentAction::Reopen { .. } | IncidentAction::Assign { .. } => 1,
    };
    if named > NAMED_MAX {
        return Err(ApiError::bad_request(format!("an action names at most {NAMED_MAX} incidents or findings")));
    }
    shared.backend.act_on_incident(action).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A decision as `weft incidents` makes it, by findings: `{"what": …, "by", "at"}`.
#[utoipa::path(post, path = "/api/v1/incidents/decisions", request_body = Object, responses((status = 204)))]
pub(crate) async fn decide(State(shared): State<Shared>, Json(decision): Json<Value>) -> Result<StatusCode, ApiError> {
    shared.backend.decide_incident(decision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose risk is asked for.
#[derive(Deserialize, IntoParams)]
pub(crate) struct RiskQuestion {
    /// Kind and name, e.g. `user:ada`; without one all entities, each with its largest findings.
    #[serde(default)]
    entity: Option<String>,
}

/// The risk of entities now, highest first, with the findings that make it.
#[utoipa::path(get, path = "/api/v1/risks", params(RiskQuestion), responses((status = 200, body = Vec<EntityRisk>)))]
pub(crate) async fn risks(State(shared): State<Shared>, Query(question): Query<RiskQuestion>) -> Result<Json<Vec<EntityRisk>>, ApiError> {
    shared.backend.risks(question.entity).await.map(Json)
}
