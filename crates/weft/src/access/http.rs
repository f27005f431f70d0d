//! AuthZEN Authorization API 1.0 over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures::StreamExt as _;
use serde_json::{Value, json};
use weft_identity::access::authzen::{self, Answer, Kind, Refusal, SearchRequest};
use weft_identity::access::search::{Bounds, Part, Sought};
use weft_identity::access::{AccessPoint, explain::Explanation};

use super::service::Service;
use super::{facts, forward, watch};

/// Largest request.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How many times that is read to its end, so that the sender hears why it is refused.
const READ_TIMES: usize = 16;
/// Results of a page when the request does not say.
const RESULTS: usize = 1_000;
/// Most results of a page.
const RESULTS_MAX: usize = 10_000;
/// Decisions of one page; a page that needs more ends early, and the next one goes on.
const DECISIONS_MAX: usize = 200_000;
/// Decisions between two looks at whether facts are to be changed.
const DECISIONS_AT_ONCE: usize = 2_000;

/// The specification's header that joins a request and its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where the metadata are.
const WELL_KNOWN: &str = "/.well-known/authzen-configuration";

pub(super) type Shared = State<Arc<Service>>;

/// The id of a request: that of its header, or one made for it.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

/// Every route of the decision point.
pub fn routes(service: Arc<Service>) -> Router {
    let asked = Router::new()
        .route("/access/v1/evaluation", post(evaluation))
        .route("/access/v1/evaluations", post(evaluations))
        .route("/access/v1/search/{kind}", post(search))
        .route("/access/v1/explain", post(explain))
        .route("/access/v1/watch", post(watch::open))
        .route("/access/v1/entities", post(facts::upsert).delete(facts::forget))
        .route("/access/v1/forward-auth", any(forward::decide))
        .route("/access/v1/forward-auth/{*path}", any(forward::decide))
        .layer(from_fn_with_state(Arc::clone(&service), guard));
    let open = Router::new().route(WELL_KNOWN, get(metadata)).route(&format!("{WELL_KNOWN}/{{*path}}"), get(metadata_below));
    asked.merge(open).with_state(service)
}

/// Lets through whoever shows a token, and gives the request its id and the answer the same.
async fn guard(State(service): Shared, mut request: Request, next: Next) -> Response {
    let given = request.headers().get(&REQUEST_ID).cloned();
    let id = given.as_ref().and_then(|value| value.to_str().ok()).map_or_else(|| format!("{:016x}", rand::random::<u64>()), str::to_owned);
    let mut response = if service.may_ask(request.headers()) {
        request.extensions_mut().insert(RequestId(id.clone()));
        next.run(request).await
    } else {
        let body = error("unauthenticated", "send a token of this decision point as `Authorization: Bearer`");
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
    };
    if let Some(value) = given.or_else(|| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn error(code: &str, message: &str) -> Json<Value> {
    Json(json!({"error": {"code": code, "message": message}}))
}

pub(super) fn bad_request(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, error("bad_request", message)).into_response()
}

/// A request that is none, as an answer.
pub(super) struct Refused(pub(super) Response);

/// The JSON of a request.
pub(super) async fn body(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Value, Refused> {
    let refuse = |message: String| Refused(bad_request(&message));
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json")) {
        return Err(refuse("the `Content-Type` must be application/json".to_owned()));
    }
    let (mut bytes, mut chunks, mut read) = (Vec::new(), body.into_data_stream(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| refuse(format!("the body broke off: {error}")))?;
        read += chunk.len();
        if read <= bytes_max {
            bytes.extend_from_slice(&chunk);
        } else if read > bytes_max * READ_TIMES {
            break;
        }
    }
    if read > bytes_max {
        return Err(refuse(format!("the body is longer than {bytes_max} bytes")));
    }
    if bytes.is_empty() {
        return Err(refuse("the body is empty".to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| refuse(format!("the body is not JSON: {error}")))
}

async fn answer(service: &Service, RequestId(id): &RequestId, decided: Result<Answer, Refusal>) -> Response {
    match decided {
        Ok(answer) => {
            service.keep(id, &answer.decided).await;
            Json(answer.body).into_response()
        }
        Err(refusal) => bad_request(&refusal.0),
    }
}

type Id = axum::Extension<RequestId>;

async fn evaluation(State(service): Shared, id: Id, headers: HeaderMap, sent: Body) -> Response {
    match body(&headers, sent, BODY_BYTES_MAX).await {
        Ok(request) => answer(&service, &id, service.read(|point| authzen::evaluation(point, &request))).await,
        Err(Refused(response)) => response,
    }
}

/// A long series takes a while: it is not decided where others wait for their turn.
async fn evaluations(State(service): Shared, id: Id, headers: HeaderMap, sent: Body) -> Response {
    let request = match body(&headers, sent, BODY_BYTES_MAX).await {
        Ok(request) => request,
        Err(Refused(response)) => return response,
    };
    let shared = Arc::clone(&service);
    match tokio::task::spawn_blocking(move || shared.read(|point| authzen::evaluations(point, &request))).await {
        Ok(decided) => answer(&service, &id, decided).await,
        Err(failed) => (StatusCode::INTERNAL_SERVER_ERROR, error("internal", &failed.to_string())).into_response(),
    }
}

async fn explain(State(service): Shared, id: Id, headers: HeaderMap, sent: Body) -> Response {
    let request = match body(&headers, sent, BODY_BYTES_MAX).await {
        Ok(request) => request,
        Err(Refused(response)) => return response,
    };
    let ask = request.as_object().ok_or_else(|| Refusal("the request must be a JSON object".to_owned())).and_then(authzen::ask);
    let ask = match ask {
        Ok(ask) => ask,
        Err(refusal) => return bad_request(&refusal.0),
    };
    let shared = Arc::clone(&service);
    let asked = ask.clone();
    let told = tokio::task::spawn_blocking(move || shared.read(|point| explained(point, &point.explain(&asked)))).await;
    match told {
        Ok(body) => {
            let decision = service.read(|point| point.decide(&ask));
            service.keep(&id.0.0, &[authzen::Decided { ask, decision }]).await;
            Json(body).into_response()
        }
        Err(failed) => (StatusCode::INTERNAL_SERVER_ERROR, error("internal", &failed.to_string())).into_response(),
    }
}

/// An explanation as JSON.
pub(crate) fn explained(point: &AccessPoint, explanation: &Explanation) -> Value {
    let mut body = authzen::told(point, &explanation.decision);
    if let Some(fields) = body.as_object_mut() {
        let changes: Vec<String> = explanation.changes.iter().map(ToString::to_string).collect();
        fields.insert("changes".to_owned(), json!(changes));
        fields.insert("untried".to_owned(), json!(explanation.untried));
    }
    body
}

/// What a search is over, by the last part of its path.
pub(crate) fn kind_named(name: &str) -> Option<Kind> {
    match name {
        "subject" => Some(Kind::Subject),
        "resource" => Some(Kind::Resource),
        "action" => Some(Kind::Action),
        _ => None,
    }
}

async fn search(State(service): Shared, Path(kind): Path<String>, headers: HeaderMap, sent: Body) -> Response {
    let Some(kind) = kind_named(&kind) else {
        return (StatusCode::NOT_FOUND, error("not_found", "search is over subject, resource or action")).into_response();
    };
    let request = match body(&headers, sent, BODY_BYTES_MAX).await {
        Ok(request) => request,
        Err(Refused(response)) => return response,
    };
    match tokio::task::spawn_blocking(move || found(kind, &request, |look| service.read(look))).await {
        Ok(Ok(body)) => Json(body).into_response(),
        Ok(Err(refusal)) => bad_request(&refusal.0),
        Err(failed) => (StatusCode::INTERNAL_SERVER_ERROR, error("internal", &failed.to_string())).into_response(),
    }
}

/// A look at the decision point, as short as it can be.
type Look<'l> = &'l dyn Fn(&AccessPoint) -> Result<Part, String>;

/// One page of a search. The point is looked at again and again for a short time, so that changes
/// of facts need not wait for the end of the page.
pub(crate) fn found(kind: Kind, request: &Value, point: impl Fn(Look<'_>) -> Result<Part, String>) -> Result<Value, Refusal> {
    let request = authzen::search_request(kind, request)?;
    let begin = request.begin(kind)?;
    let sought = match kind {
        Kind::Action => return Ok(actions(&request, begin, point)),
        Kind::Subject => Sought::Principals,
        Kind::Resource => Sought::Resources,
    };
    let wanted = request.limit.unwrap_or(RESULTS).min(RESULTS_MAX);
    let (mut ids, mut next, mut decisions) = (Vec::new(), Some(begin), 0);
    while let Some(from) = next
        && ids.len() < wanted
        && decisions < DECISIONS_MAX
    {
        let bounds = Bounds { found_max: wanted - ids.len(), decisions_max: DECISIONS_AT_ONCE };
        // What no request can name, nobody may do anything with.
        let part = point(&|point| point.search(sought, &request.ask, from, bounds)).unwrap_or_default();
        decisions += DECISIONS_AT_ONCE;
        ids.extend(part.ids);
        next = part.next;
    }
    Ok(authzen::page(&request, kind, &ids, next))
}

fn actions(request: &SearchRequest, begin: u32, point: impl Fn(Look<'_>) -> Result<Part, String>) -> Value {
    let names = point(&|point| Ok(Part { ids: point.search_actions(&request.ask), next: None })).unwrap_or_default().ids;
    authzen::page_of_actions(request, &names, begin)
}

/// The metadata of the decision point.
fn configuration(base: &str) -> Value {
    let at = |path: &str| format!("{base}/access/v1/{path}");
    json!({
        "policy_decision_point": base,
        "access_evaluation_endpoint": at("evaluation"),
        "access_evaluations_endpoint": at("evaluations"),
        "search_subject_endpoint": at("search/subject"),
        "search_resource_endpoint": at("search/resource"),
        "search_action_endpoint": at("search/action"),
    })
}

async fn metadata(State(service): Shared, headers: HeaderMap) -> Response {
    with_id(&headers, Json(configuration(service.base())).into_response())
}

/// For a decision point whose address has a path: the path stands behind the well-known one.
async fn metadata_below(State(service): Shared, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let own = url::Url::parse(service.base()).ok().map(|url| url.path().trim_matches('/').to_owned()).unwrap_or_default();
    let response = if !own.is_empty() && own == path.trim_matches('/') {
        Json(configuration(service.base())).into_response()
    } else {
        (StatusCode::NOT_FOUND, error("not_found", "there is no decision point of this path")).into_response()
    };
    with_id(&headers, response)
}

fn with_id(headers: &HeaderMap, mut response: Response) -> Response {
    if let Some(id) = headers.get(&REQUEST_ID) {
        response.headers_mut().insert(REQUEST_ID, id.clone());
    }
    response
}
