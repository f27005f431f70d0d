//! Webhooks: `POST /ingest/webhook/NAME`, for tools that send events by themselves and sign them.
//!
//! How a tool signs, and how it asks whether somebody is there, is data: `[webhook]` in its
//! connector's manifest ([`scheme`]). A delivery without a good signature, or outside the replay
//! window, is refused; its beginning is kept as a reject that never becomes an event. The same
//! delivery again doubles nothing.

pub mod scheme;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use serde_json::json;
use weft_ingest::Registry;
use weft_ingest::frame::{Framing, Piece, Splitter};
use weft_model::{Context, Position, RejectCause, StreamId, Timestamp};

use super::body::{BodyFault, Room, encoding};
use super::records::{Batcher, Salt};
use super::{Ingress, all_stored, now};
use crate::config::WebhookConfig;
use crate::queue::Refusal;
use scheme::{Refused, Scheme};

/// How much of a refused delivery is kept.
const REFUSED_BYTES_MAX: usize = 16 << 10;
/// Refused deliveries of one webhook that are kept in a minute; the others are counted.
const REFUSED_A_MINUTE: u32 = 60;

/// One webhook.
#[derive(Debug)]
pub struct Hook {
    /// How deliveries are known.
    pub scheme: Scheme,
    /// The secrets that are good: two while one is replaced.
    pub secrets: Vec<String>,
    /// Mapping of the records.
    pub stream: StreamId,
    refused: Mutex<Kept>,
}

/// What was refused in the present minute, and how many were not kept since the last that was.
#[derive(Debug, Default)]
struct Kept {
    minute: i64,
    kept: u32,
    unkept: u64,
}

impl Hook {
    /// A webhook that has refused nothing yet.
    pub fn new(scheme: Scheme, secrets: Vec<String>, stream: StreamId) -> Self {
        Self { scheme, secrets, stream, refused: Mutex::default() }
    }

    /// Whether a refused delivery is kept at this time, and how many before it were not.
    fn keep(&self, at: Timestamp) -> Option<u64> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = at.0 / 60_000;
        if refused.minute != minute {
            (refused.minute, refused.kept) = (minute, 0);
        }
        if refused.kept >= REFUSED_A_MINUTE {
            refused.unkept += 1;
            return None;
        }
        refused.kept += 1;
        Some(std::mem::take(&mut refused.unkept))
    }
}

/// The webhooks of the configuration, as the connectors' manifests declare them.
///
/// # Errors
/// One line for each fault.
pub fn hooks(configs: &[WebhookConfig], registry: &Registry) -> Result<BTreeMap<String, Hook>, Vec<String>> {
    let (mut hooks, mut faults) = (BTreeMap::new(), Vec::new());
    for config in configs {
        let WebhookConfig { name, connector, secrets, stream } = config;
        let Some(known) = registry.connectors.iter().find(|known| known.name == *connector) else {
            faults.push(format!("webhook `{name}`: there is no connector `{connector}`"));
            continue;
        };
        let Some(file) = &known.webhook else {
            let able: Vec<String> = registry.connectors.iter().filter(|able| able.webhook.is_some()).map(|able| format!("`{}`", able.name)).collect();
            faults.push(format!("webhook `{name}`: the connector `{connector}` does not say how deliveries are signed; these do: {}", able.join(", ")));
            continue;
        };
        let own = file.stream.as_ref().map(|own| format!("{connector}/{own}"));
        let stream = stream.clone().or(own).unwrap_or_else(|| StreamId::AUTO.to_owned());
        if hooks.insert(name.clone(), Hook::new(Scheme(file.clone()), secrets.clone(), stream.as_str().into())).is_some() {
            faults.push(format!("webhook `{name}` is there twice"));
        }
    }
    if faults.is_empty() { Ok(hooks) } else { Err(faults) }
}

/// State of the door.
#[derive(Clone)]
pub struct Webhooks {
    /// The way to the log.
    pub ingress: Ingress,
    /// Webhooks by name.
    pub hooks: Arc<BTreeMap<String, Hook>>,
    /// How the bodies of a stream are cut.
    pub registry: Arc<Registry>,
    /// Of its own: who is not known yet must not take the room of those who are.
    room: Room,
}

impl Webhooks {
    /// A door with the limits of `ingress`.
    pub fn new(ingress: Ingress, hooks: BTreeMap<String, Hook>, registry: Arc<Registry>) -> Self {
        Self { ingress, hooks: Arc::new(hooks), registry, room: Room::default() }
    }
}

/// The routes.
pub fn routes(state: Webhooks) -> Router {
    Router::new().route("/ingest/webhook/{name}", post(deliver).get(ask)).with_state(state)
}

/// A tool asks whether it sends to the right place.
async fn ask(State(hooks): State<Webhooks>, Path(name): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(hook) = hooks.hooks.get(&name) else { return Fault::Unknown(name).into_response() };
    match hook.scheme.challenged(&headers, query.as_deref().unwrap_or_default(), b"", hook.secrets.first()) {
        Some(answer) => answered(answer),
        None => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "POST")], axum::Json(json!({"error": "send deliveries with POST"}))).into_response(),
    }
}

async fn deliver(State(hooks): State<Webhooks>, Path(name): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap, body: Body) -> Response {
    take(&hooks, &name, query.as_deref().unwrap_or_default(), &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn take(hooks: &Webhooks, name: &str, query: &str, headers: &HeaderMap, body: Body) -> Result<Response, Fault> {
    let hook = hooks.hooks.get(name).ok_or_else(|| Fault::Unknown(name.to_owned()))?;
    let batcher = |key: Bytes| {
        let source = format!("webhook/{name}");
        let record_max = hooks.ingress.limits.record_bytes_max;
        Batcher::new(source.as_str().into(), hook.stream.clone(), Context::default(), Salt::content(key), now(), record_max)
    };
    let whole = match hooks.room.read(encoding(headers), hooks.ingress.limits.unpack_ratio_max, body).await {
        Ok(whole) => whole,
        Err(fault) => {
            // Who sent it cannot be known: the signature is over the whole.
            let kept = fault.kept().unwrap_or_default();
            refuse(hooks, hook, batcher(Bytes::new()), fault.to_string(), kept).await?;
            return Err(Fault::Body(fault));
        }
    };
    if let Err(refused) = hook.scheme.verify(headers, &whole.bytes, &hook.secrets, now()) {
        refuse(hooks, hook, batcher(Bytes::new()), refused.to_string(), whole.bytes.clone()).await?;
        return Err(Fault::Refused(refused));
    }
    if let Some(answer) = hook.scheme.challenged(headers, query, &whole.bytes, hook.secrets.first()) {
        return Ok(answered(answer));
    }
    let key = hook.scheme.delivery(headers);
    let (records, rejected) = store(hooks, hook, batcher(key), &hook.scheme.record(headers, &form_payload(headers, &whole.bytes))).await?;
    Ok(axum::Json(json!({"accepted": records, "rejected": rejected})).into_response())
}

/// The records of a delivery that is known, on disk.
async fn store(hooks: &Webhooks, hook: &Hook, mut batcher: Batcher, body: &[u8]) -> Result<(u64, u64), Fault> {
    let framing = Framing::of(&hooks.registry, &hook.stream).unwrap_or_default();
    let mut splitter = Splitter::new(framing, Context::default()).with_record_max(hooks.ingress.limits.record_bytes_max);
    let (mut records, mut rejected) = (0, 0);
    let mut take = |piece| match piece {
        Piece::Record { bytes, .. } => {
            records += 1;
            batcher.record(bytes);
        }
        Piece::Fault { cause, message, raw, .. } => {
            rejected += 1;
            batcher.refuse(cause, message, raw);
        }
        Piece::Context(context) => batcher.surround((*context).clone()),
    };
    splitter.push(body, &mut take);
    splitter.finish(&mut take);
    push(hooks, batcher).await?;
    Ok((records, rejected))
}

async fn push(hooks: &Webhooks, mut batcher: Batcher) -> Result<(), Fault> {
    let mut stored = Vec::new();
    let pushed = hooks.ingress.push_all(batcher.take(&Position::default()), &mut stored).await;
    let safe = all_stored(stored).await;
    pushed.map_err(Fault::Full)?;
    if safe { Ok(()) } else { Err(Fault::NotStored) }
}

/// Keeps what was refused, within a rate: anybody can send to a webhook.
async fn refuse(hooks: &Webhooks, hook: &Hook, mut batcher: Batcher, reason: String, body: Bytes) -> Result<(), Fault> {
    let Some(unkept) = hook.keep(now()) else { return Ok(()) };
    let before = if unkept > 0 { format!("; {unkept} more were refused before it and not kept") } else { String::new() };
    batcher.refuse(RejectCause::Unauthenticated, format!("{reason}{before}"), Bytes::copy_from_slice(body.get(..REFUSED_BYTES_MAX).unwrap_or(&body)));
    push(hooks, batcher).await
}

/// The JSON of a form with one field `payload`, else the body.
fn form_payload(headers: &HeaderMap, body: &Bytes) -> Bytes {
    let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let payload = is_form.then(|| url::form_urlencoded::parse(body).find(|(name, _)| name == "payload")).flatten();
    payload.map_or_else(|| body.clone(), |(_, value)| Bytes::from(value.into_owned()))
}

fn answered(answer: String) -> Response {
    let mime = if answer.starts_with('{') { "application/json" } else { "text/plain; charset=utf-8" };
    ([(header::CONTENT_TYPE, mime), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], answer).into_response()
}

/// Why a delivery was not taken.
#[derive(Debug)]
enum Fault {
    Unknown(String),
    Refused(Refused),
    Body(BodyFault),
    Full(Refusal),
    NotStored,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Unknown(name) => (StatusCode::NOT_FOUND, format!("there is no webhook `{name}`; name it in `[[webhook]]` of weft.toml")),
            Self::Refused(refused) => (StatusCode::UNAUTHORIZED, refused.to_string()),
            Self::Body(fault @ BodyFault::Busy) => (StatusCode::SERVICE_UNAVAILABLE, fault.to_string()),
            Self::Body(fault @ BodyFault::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, fault.to_string()),
            Self::Body(fault) => (StatusCode::BAD_REQUEST, fault.to_string()),
            Self::Full(refusal) => (StatusCode::SERVICE_UNAVAILABLE, refusal.to_string()),
            Self::NotStored => (StatusCode::SERVICE_UNAVAILABLE, "the delivery could not be written, send it again".to_owned()),
        };
        let mut response = (status, axum::Json(json!({"error": message}))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
