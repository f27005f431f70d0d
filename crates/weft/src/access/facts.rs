//! Facts that others push: risk, posture, groups.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use weft_identity::access::watch::Flip;

use super::http::{Refused, RequestId, Shared, bad_request, body, error};
use super::service::Service;

/// Largest push.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Faults that are told.
const FAULTS_MAX: usize = 20;

/// Takes entities in Cedar's JSON form; all of them, or none.
pub(super) async fn upsert(State(service): Shared, id: axum::Extension<RequestId>, headers: HeaderMap, sent: Body) -> Response {
    change(service, id, headers, sent, |service, entities| service.upsert(entities)).await
}

/// Forgets entities, named by `type` and `id`.
pub(super) async fn forget(State(service): Shared, id: axum::Extension<RequestId>, headers: HeaderMap, sent: Body) -> Response {
    let named = |value: &Value| Some((value.get("type")?.as_str()?.to_owned(), value.get("id")?.as_str()?.to_owned()));
    change(service, id, headers, sent, move |service, entities| {
        let names: Option<Vec<_>> = entities.iter().map(named).collect();
        names.map(|names| service.forget(names)).ok_or_else(|| vec!["entities to forget are named by `type` and `id`, both text".to_owned()])
    })
    .await
}

type Changed = Result<(usize, Vec<Flip>), Vec<String>>;

async fn change(
    service: Arc<Service>,
    id: axum::Extension<RequestId>,
    headers: HeaderMap,
    sent: Body,
    work: impl FnOnce(&Service, &[Value]) -> Changed + Send + 'static,
) -> Response {
    if !service.may_change(&headers) {
        return (StatusCode::FORBIDDEN, error("forbidden", "only the mesh's own token changes facts")).into_response();
    }
    let entities = match body(&headers, sent, BODY_BYTES_MAX).await {
        Ok(Value::Array(all)) => all,
        Ok(one) => vec![one],
        Err(Refused(response)) => return response,
    };
    let shared = Arc::clone(&service);
    match tokio::task::spawn_blocking(move || work(&shared, &entities)).await {
        Ok(Ok((count, flips))) => {
            service.keep_flips(&id.0.0, &flips).await;
            Json(json!({"entities": count, "flips": flips.len()})).into_response()
        }
        Ok(Err(faults)) => {
            let more = faults.len().saturating_sub(FAULTS_MAX);
            let mut told = faults.into_iter().take(FAULTS_MAX).collect::<Vec<_>>().join("; ");
            if more > 0 {
                told.push_str(&format!("; and {more} more"));
            }
            bad_request(&told)
        }
        Err(failed) => (StatusCode::INTERNAL_SERVER_ERROR, error("internal", &failed.to_string())).into_response(),
    }
}
