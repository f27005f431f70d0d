//! What senders ask before they send. Templates, policies and pipelines are acknowledged and not
//! used: how records become events is for mappings to say.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use serde_json::{Value, json};

use super::{Bulk, Fault};

/// Version whose API is spoken here: senders refuse one that is older than they are.
const VERSION: &str = "8.19.0";
/// Header by which clients know whom they talk to.
const PRODUCT: &str = "x-elastic-product";

/// The routes that need no body.
pub(super) fn routes() -> Router<Bulk> {
    let mut router = Router::new().route("/", root_route()).route("/_license", get(license)).route("/_xpack", get(features));
    router = router.route("/_cluster/health", get(health)).route("/_nodes", get(nodes)).route("/_nodes/{*which}", get(nodes));
    for path in ["_template", "_index_template", "_component_template", "_ilm/policy", "_ingest/pipeline", "_data_stream", "_alias"] {
        router = router.route(&format!("/{path}"), any(resource)).route(&format!("/{path}/{{*name}}"), any(resource));
    }
    router.route("/{index}", any(resource))
}

/// Who answers here.
pub(super) fn root_route() -> MethodRouter<Bulk> {
    get(root)
}

/// Every answer carries the product's header.
pub(super) async fn product(mut response: Response) -> Response {
    response.headers_mut().insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
    response
}

async fn root(State(bulk): State<Bulk>, headers: HeaderMap) -> Response {
    let version = json!({
        "number": VERSION, "build_flavor": "default", "build_type": "weft", "build_snapshot": false, "lucene_version": "9.12.0",
        "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
    });
    told(
        &bulk,
        &headers,
        json!({
            "name": "weft", "cluster_name": "weft", "cluster_uuid": "weft", "version": version,
            "tagline": "Weft takes bulk requests and makes OCSF events of them",
        }),
    )
}

fn licensed() -> Value {
    json!({"uid": "weft", "type": "basic", "mode": "basic", "status": "active", "issued_to": "weft", "issuer": "weft"})
}

async fn license(State(bulk): State<Bulk>, headers: HeaderMap) -> Response {
    told(&bulk, &headers, json!({"license": licensed()}))
}

async fn features(State(bulk): State<Bulk>, headers: HeaderMap) -> Response {
    let feature = |enabled: bool| json!({"available": enabled, "enabled": enabled});
    let features = json!({"ilm": feature(true), "data_streams": feature(true), "security": feature(true), "monitoring": feature(false)});
    told(&bulk, &headers, json!({"build": {}, "license": licensed(), "features": features}))
}

async fn health(State(bulk): State<Bulk>, headers: HeaderMap) -> Response {
    let status = if bulk.places.available_permits() > 0 { "green" } else { "yellow" };
    told(&bulk, &headers, json!({"cluster_name": "weft", "status": status, "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1}))
}

async fn nodes(State(bulk): State<Bulk>, headers: HeaderMap) -> Response {
    told(&bulk, &headers, json!({"_nodes": {"total": 0, "successful": 0, "failed": 0}, "cluster_name": "weft", "nodes": {}}))
}

/// Templates, policies, pipelines, indices: never there, always acknowledged.
async fn resource(State(bulk): State<Bulk>, method: Method, headers: HeaderMap) -> Response {
    if let Err(shown) = bulk.tokens.check(&headers) {
        return Fault::Token(shown).into_response();
    }
    match method {
        Method::GET | Method::HEAD => error(StatusCode::NOT_FOUND, "resource_not_found_exception", "templates, policies and pipelines are not kept here"),
        _ => axum::Json(json!({"acknowledged": true, "shards_acknowledged": true})).into_response(),
    }
}

/// What is not spoken here.
pub(super) async fn unknown(method: Method, uri: Uri) -> Response {
    let reason = format!("`{method} {}` is not spoken here: Weft takes `_bulk` and `_doc`; ask with `weft query`", uri.path());
    error(StatusCode::BAD_REQUEST, "illegal_argument_exception", &reason)
}

fn told(bulk: &Bulk, headers: &HeaderMap, answer: Value) -> Response {
    match bulk.tokens.check(headers) {
        Ok(_) => axum::Json(answer).into_response(),
        Err(shown) => Fault::Token(shown).into_response(),
    }
}

/// An error in the form that clients read.
pub(super) fn error(status: StatusCode, kind: &str, reason: &str) -> Response {
    let cause = json!({"type": kind, "reason": reason});
    let body = json!({"error": {"root_cause": [cause], "type": kind, "reason": reason}, "status": status.as_u16()});
    (status, axum::Json(body)).into_response()
}
