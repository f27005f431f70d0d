//! SCIM over HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Map, Value};
use weft_identity::scim::{Filter, Form, Refusal, SEARCH, Selection};

use super::service::{Listing, Place, Service, Unanswered, version};
use super::{BASE, discovery};
use crate::door::now;
use crate::door::token::Tokens;
use crate::state::scim::KeptResource;

/// Largest request.
const BODY_BYTES_MAX: usize = 32 << 20;
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json");

/// Whose request it is: the name of its token.
#[derive(Debug, Clone)]
struct Source(String);

type Shared = State<Arc<Service>>;
type Of = axum::Extension<Source>;
type Asked = Query<HashMap<String, String>>;

/// Every route.
pub fn routes(service: Arc<Service>, tokens: Tokens) -> Router {
    let mut router = Router::new()
        .route("/ServiceProviderConfig", get(features))
        .route("/ResourceTypes", get(types))
        .route("/ResourceTypes/{name}", get(one_type))
        .route("/Schemas", get(schemas))
        .route("/Schemas/{urn}", get(one_schema));
    for form in Form::ALL {
        let (all, one) = (format!("/{}", form.endpoint()), format!("/{}/{{id}}", form.endpoint()));
        router = router
            .route(
                &all,
                get(move |service, of, asked| list(service, of, asked, form)).post(move |service, of, asked, sent| create(service, of, asked, sent, form)),
            )
            .route(&format!("{all}/.search"), post(move |service, of, sent| search(service, of, sent, form)))
            .route(
                &one,
                get(move |service, of, id, asked, headers| read(service, of, (id, asked, headers), form))
                    .put(move |service, of, id, asked, sent| change(service, of, (id, asked, sent), form, true))
                    .patch(move |service, of, id, asked, sent| change(service, of, (id, asked, sent), form, false))
                    .delete(move |service, of, id, headers| remove(service, of, (id, headers), form)),
            );
    }
    let routes = router.route("/{*path}", any(nothing)).route("/", any(nothing)).layer(from_fn_with_state(Arc::new(tokens), guard));
    Router::new().nest(BASE, routes).with_state(service)
}

/// Lets through whoever shows a token, and says whose it is.
async fn guard(State(tokens): State<Arc<Tokens>>, mut request: Request, next: Next) -> Response {
    match tokens.check(request.headers()) {
        Ok(token) => {
            let source = Source(token.name.clone());
            request.extensions_mut().insert(source);
            next.run(request).await
        }
        Err(_) => {
            let refusal = Refusal::status(401, "send the secret of a `[[scim]]` entry of weft.toml as `Authorization: Bearer`");
            ([(header::WWW_AUTHENTICATE, "Bearer")], Unanswered(refusal)).into_response()
        }
    }
}

impl IntoResponse for Unanswered {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], self.0.to_json().to_string()).into_response()
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response()
}

async fn features(State(service): Shared) -> Response {
    answer(StatusCode::OK, &discovery::features(&service.base()))
}

async fn types(State(service): Shared) -> Result<Response, Unanswered> {
    Ok(answer(StatusCode::OK, &discovery::types(&service.base(), None)?))
}

async fn one_type(State(service): Shared, Path(name): Path<String>) -> Result<Response, Unanswered> {
    Ok(answer(StatusCode::OK, &discovery::types(&service.base(), Some(&name))?))
}

async fn schemas(State(service): Shared) -> Result<Response, Unanswered> {
    Ok(answer(StatusCode::OK, &discovery::schemas(&service.base(), None)?))
}

async fn one_schema(State(service): Shared, Path(urn): Path<String>) -> Result<Response, Unanswered> {
    Ok(answer(StatusCode::OK, &discovery::schemas(&service.base(), Some(&urn))?))
}

async fn nothing() -> Unanswered {
    Unanswered(Refusal::status(501, "`/Users`, `/Groups`, `/Schemas`, `/ResourceTypes` and `/ServiceProviderConfig` are served"))
}

/// The JSON of a request.
async fn json(headers: &HeaderMap, body: Body) -> Result<Value, Unanswered> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(essence.as_str(), "application/scim+json" | "application/json") {
        return Err(Refusal::status(415, "the `Content-Type` has to be application/scim+json").into());
    }
    let bytes =
        to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Refusal::status(413, format!("the body broke off or is longer than {BODY_BYTES_MAX} bytes")))?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::of("invalidSyntax", format!("the body is not JSON: {error}")).into())
}

fn selection(asked: &HashMap<String, String>) -> Result<Selection, Refusal> {
    let of = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    Selection::parse(of("attributes"), of("excludedAttributes"))
}

fn number(asked: &HashMap<String, String>, name: &str) -> Result<Option<i64>, Refusal> {
    let read = |text: &String| text.trim().parse().map_err(|_| Refusal::of("invalidValue", format!("`{name}` has to be a number, not `{text}`")));
    asked.get(name).map(read).transpose()
}

async fn list(State(service): Shared, axum::Extension(Source(source)): Of, Query(asked): Asked, form: Form) -> Result<Response, Unanswered> {
    let filter = asked.get("filter").filter(|text| !text.trim().is_empty()).map(|text| Filter::parse(text)).transpose()?;
    let listing = Listing { filter, start: number(&asked, "startIndex")?, count: number(&asked, "count")?, selection: selection(&asked)? };
    Ok(answer(StatusCode::OK, &service.list(Place { source: &source, form }, &listing).await?))
}

/// A list by a request with a body (RFC 7644, section 3.4.3).
async fn search(State(service): Shared, axum::Extension(Source(source)): Of, request: Request, form: Form) -> Result<Response, Unanswered> {
    let (head, body) = request.into_parts();
    let sent = json(&head.headers, body).await?;
    if !sent.get("schemas").and_then(Value::as_array).is_some_and(|schemas| schemas.iter().any(|schema| schema == SEARCH)) {
        return Err(Refusal::of("invalidSyntax", format!("`schemas` of a search has to hold `{SEARCH}`")).into());
    }
    let names = |name: &str| -> String {
        let all = sent.get(name).and_then(Value::as_array);
        all.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
    };
    let filter = sent.get("filter").and_then(Value::as_str).filter(|text| !text.trim().is_empty()).map(Filter::parse).transpose()?;
    let number = |name: &str| sent.get(name).and_then(Value::as_i64);
    let selection = Selection::parse(&names("attributes"), &names("excludedAttributes"))?;
    let listing = Listing { filter, start: number("startIndex"), count: number("count"), selection };
    Ok(answer(StatusCode::OK, &service.list(Place { source: &source, form }, &listing).await?))
}

/// A resource with its address and version in the head.
async fn given(service: &Service, status: StatusCode, resource: KeptResource, asked: &HashMap<String, String>) -> Result<Response, Unanswered> {
    let tag = version(resource.version);
    let location = format!("{}/{}/{}", service.base(), resource.form.endpoint(), resource.id);
    let body: Map<String, Value> = service.given(resource, &selection(asked)?).await?;
    Ok(([(header::ETAG, tag), (header::LOCATION, location)], answer(status, &Value::Object(body))).into_response())
}

async fn create(
    State(service): Shared,
    axum::Extension(Source(source)): Of,
    Query(asked): Asked,
    request: Request,
    form: Form,
) -> Result<Response, Unanswered> {
    let (head, body) = request.into_parts();
    let sent = json(&head.headers, body).await?;
    let new = service.create(Place { source: &source, form }, sent, now()).await?;
    given(&service, StatusCode::CREATED, new, &asked).await
}

/// Whether a version is one of those that a header names; without the header each is.
fn named(headers: &HeaderMap, name: header::HeaderName) -> impl Fn(i64) -> bool + Sync + use<> {
    let text = headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    move |number: i64| {
        let tag = version(number);
        let strong = tag.trim_start_matches("W/");
        text.as_ref().is_none_or(|text| text.split(',').map(str::trim).any(|one| one == "*" || one == tag || one == strong))
    }
}

async fn read(
    State(service): Shared,
    axum::Extension(Source(source)): Of,
    (Path(id), Query(asked), headers): (Path<String>, Asked, HeaderMap),
    form: Form,
) -> Result<Response, Unanswered> {
    let found = service.get(Place { source: &source, form }, &id).await?;
    if headers.contains_key(header::IF_NONE_MATCH) && named(&headers, header::IF_NONE_MATCH)(found.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, version(found.version))]).into_response());
    }
    given(&service, StatusCode::OK, found, &asked).await
}

async fn change(
    State(service): Shared,
    axum::Extension(Source(source)): Of,
    (Path(id), Query(asked), request): (Path<String>, Asked, Request),
    form: Form,
    whole: bool,
) -> Result<Response, Unanswered> {
    let (head, body) = request.into_parts();
    let sent = json(&head.headers, body).await?;
    let (place, wanted) = (Place { source: &source, form }, named(&head.headers, header::IF_MATCH));
    let new = if whole { service.replace(place, &id, &wanted, sent, now()).await? } else { service.patch(place, &id, &wanted, &sent, now()).await? };
    given(&service, StatusCode::OK, new, &asked).await
}

async fn remove(
    State(service): Shared,
    axum::Extension(Source(source)): Of,
    (Path(id), headers): (Path<String>, HeaderMap),
    form: Form,
) -> Result<Response, Unanswered> {
    service.remove(Place { source: &source, form }, &id, &named(&headers, header::IF_MATCH), now()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
