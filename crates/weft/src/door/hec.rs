//! The HTTP Event Collector protocol of Splunk, for everything that can already send to it:
//! `/services/collector/{event,raw,ack,health}` with the status codes of its documentation
//! (docs.splunk.com, "Troubleshoot HTTP Event Collector").
//!
//! The value of `event` is kept as it was written. A part that is not an envelope is quarantined
//! with its reason; its neighbours arrive.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use weft_model::{Context, Position, RejectCause, StreamId};

use super::body::{BodyFault, Room, Whole, encoding};
use super::frame::{Framed, Lines};
use super::hec_ack::Acks;
use super::records::{Batcher, Salt};
use super::skim;
use super::token::{Shown, Token, Tokens};
use super::{Ingress, all_stored, now};

/// Parts of one request that are no envelopes and are kept one by one; the rest is kept as a whole.
const BAD_PARTS_MAX: usize = 256;
/// Batches that one request may ask for, by distinct source and sourcetype.
const LANES_MAX: usize = 256;

/// State of the collector.
#[derive(Clone)]
pub struct Hec {
    /// The way to the log.
    pub ingress: Ingress,
    /// Who may send.
    pub tokens: Arc<Tokens>,
    /// Places for bodies.
    pub places: Arc<Semaphore>,
    acks: Acks,
    room: Room,
}

impl Hec {
    /// A collector with the limits of `ingress`.
    pub fn new(ingress: Ingress, tokens: Tokens) -> Self {
        let places = Arc::new(Semaphore::new(ingress.limits.bodies_max));
        Self { ingress, tokens: Arc::new(tokens), places, acks: Acks::default(), room: Room::default() }
    }
}

/// The routes.
pub fn routes(state: Hec) -> Router {
    let mut router = Router::new();
    for path in ["/services/collector", "/services/collector/event", "/services/collector/event/1.0"] {
        router = router.route(path, post(event));
    }
    for path in ["/services/collector/raw", "/services/collector/raw/1.0"] {
        router = router.route(path, post(raw));
    }
    for path in ["/services/collector/health", "/services/collector/health/1.0"] {
        router = router.route(path, get(health));
    }
    router.route("/services/collector/ack", post(ack)).with_state(state)
}

#[derive(serde::Deserialize, Default)]
struct Params {
    channel: Option<String>,
    sourcetype: Option<String>,
    source: Option<String>,
    host: Option<String>,
}

/// Status, code and text of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Code(StatusCode, u8, &'static str);

const SUCCESS: Code = Code(StatusCode::OK, 0, "Success");
const TOKEN_REQUIRED: Code = Code(StatusCode::UNAUTHORIZED, 2, "Token is required");
const INVALID_AUTHORIZATION: Code = Code(StatusCode::UNAUTHORIZED, 3, "Invalid authorization");
const INVALID_TOKEN: Code = Code(StatusCode::FORBIDDEN, 4, "Invalid token");
const NO_DATA: Code = Code(StatusCode::BAD_REQUEST, 5, "No data");
const INVALID_FORMAT: Code = Code(StatusCode::BAD_REQUEST, 6, "Invalid data format");
const INTERNAL: Code = Code(StatusCode::INTERNAL_SERVER_ERROR, 8, "Internal server error");
const BUSY: Code = Code(StatusCode::SERVICE_UNAVAILABLE, 9, "Server is busy");
const CHANNEL_MISSING: Code = Code(StatusCode::BAD_REQUEST, 10, "Data channel is missing");
const CHANNEL_INVALID: Code = Code(StatusCode::BAD_REQUEST, 11, "Invalid data channel");
const EVENT_REQUIRED: Code = Code(StatusCode::BAD_REQUEST, 12, "Event field is required");
const EVENT_BLANK: Code = Code(StatusCode::BAD_REQUEST, 13, "Event field cannot be blank");
const ACK_DISABLED: Code = Code(StatusCode::BAD_REQUEST, 14, "ACK is disabled");
const TOO_LARGE: Code = Code(StatusCode::PAYLOAD_TOO_LARGE, 27, "Request entity too large");

impl IntoResponse for Code {
    fn into_response(self) -> Response {
        let Self(status, code, text) = self;
        let mut response = (status, axum::Json(json!({"text": text, "code": code}))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

async fn health(State(hec): State<Hec>) -> Response {
    if hec.places.available_permits() > 0 {
        Code(StatusCode::OK, 17, "HEC is healthy").into_response()
    } else {
        Code(StatusCode::SERVICE_UNAVAILABLE, 18, "HEC is unhealthy, queues are full").into_response()
    }
}

async fn event(State(hec): State<Hec>, Query(params): Query<Params>, headers: HeaderMap, body: Body) -> Response {
    handle(hec, params, headers, body, open_events).await.unwrap_or_else(IntoResponse::into_response)
}

async fn raw(State(hec): State<Hec>, Query(params): Query<Params>, headers: HeaderMap, body: Body) -> Response {
    handle(hec, params, headers, body, open_lines).await.unwrap_or_else(IntoResponse::into_response)
}

type Open = fn(&Hec, &Token, &Params, Bytes) -> Opened;

/// What was in a body.
struct Opened {
    batchers: Vec<Batcher>,
    good: usize,
    /// The first part that was not an envelope: code and ordinal.
    bad: Option<(Code, usize)>,
}

async fn handle(hec: Hec, params: Params, headers: HeaderMap, body: Body, open: Open) -> Result<Response, Code> {
    let token = hec.tokens.check(&headers).map_err(token_code)?.clone();
    let channel = channel(&token, &params, &headers)?;
    let _place = hec.places.clone().try_acquire_owned().map_err(|_| BUSY)?;
    let whole = unpack(&hec, &token, &headers, body).await?;
    let body = whole.bytes.clone();
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(NO_DATA);
    }
    let mut opened = open(&hec, &token, &params, body);
    let ack = match &channel {
        Some(channel) if token.acknowledge => Some(hec.acks.open(channel).ok_or(BUSY)?),
        _ => None,
    };
    let batches = opened.batchers.iter_mut().flat_map(|batcher| batcher.take(&Position::default())).collect();
    let mut stored = Vec::new();
    let pushed = hec.ingress.push_all(batches, &mut stored).await;
    if let (Some(id), Some(channel)) = (ack, channel) {
        return acknowledge_later(&hec, channel, id, pushed.is_ok(), stored).map(|()| told(&opened, Some(id)));
    }
    let safe = all_stored(stored).await;
    pushed.map_err(|_| BUSY)?;
    if safe { Ok(told(&opened, None)) } else { Err(INTERNAL) }
}

fn acknowledge_later(hec: &Hec, channel: String, id: u64, pushed: bool, stored: Vec<crate::queue::Stored>) -> Result<(), Code> {
    if !pushed {
        hec.acks.failed(&channel, id);
        return Err(BUSY);
    }
    let acks = hec.acks.clone();
    // Ends when the writer has answered for the batches; their number is bounded by the queue.
    tokio::spawn(async move { if all_stored(stored).await { acks.stored(&channel, id) } else { acks.failed(&channel, id) } });
    Ok(())
}

fn token_code(shown: Shown) -> Code {
    match shown {
        Shown::Nothing => TOKEN_REQUIRED,
        Shown::Unreadable => INVALID_AUTHORIZATION,
        Shown::Unknown => INVALID_TOKEN,
    }
}

/// The request's channel, by token so that two tokens never share one.
fn channel(token: &Token, params: &Params, headers: &HeaderMap) -> Result<Option<String>, Code> {
    let header = headers.get("x-splunk-request-channel").map(|value| value.to_str().map_err(|_| CHANNEL_INVALID)).transpose()?;
    match header.or(params.channel.as_deref()) {
        Some(name) if name.is_empty() || name.len() > 128 => Err(CHANNEL_INVALID),
        Some(name) => Ok(Some(format!("{}/{name}", token.name))),
        None if token.acknowledge => Err(CHANNEL_MISSING),
        None => Ok(None),
    }
}

/// The body; of one that cannot be had the beginning is kept, with the reason.
async fn unpack(hec: &Hec, token: &Token, headers: &HeaderMap, body: Body) -> Result<Whole, Code> {
    let fault = match hec.room.read(encoding(headers), hec.ingress.limits.unpack_ratio_max, body).await {
        Ok(whole) => return Ok(whole),
        Err(fault) => fault,
    };
    if let Some(kept) = fault.kept() {
        let mut lanes = Lanes { hec, token, lanes: Vec::new() };
        let stream = lanes.stream(None);
        lanes.lane(stream, Context::default()).into_iter().for_each(|lane| lane.refuse(RejectCause::Container, fault.to_string(), kept.clone()));
        let batches = lanes.batchers().iter_mut().flat_map(|batcher| batcher.take(&Position::default())).collect();
        let mut stored = Vec::new();
        let _full = hec.ingress.push_all(batches, &mut stored).await;
        all_stored(stored).await;
    }
    Err(match fault {
        BodyFault::Busy => BUSY,
        BodyFault::TooLarge { .. } => TOO_LARGE,
        BodyFault::Broken { .. } | BodyFault::Packed { .. } => INVALID_FORMAT,
    })
}

/// The batchers of a request, one for each distinct surrounding.
struct Lanes<'a> {
    hec: &'a Hec,
    token: &'a Token,
    lanes: Vec<((StreamId, Context), Batcher)>,
}

impl Lanes<'_> {
    fn lane(&mut self, stream: StreamId, context: Context) -> Option<&mut Batcher> {
        let key = (stream, context);
        let at = self.lanes.iter().rposition(|(known, _)| *known == key).or_else(|| (self.lanes.len() >= LANES_MAX).then_some(0));
        let at = at.unwrap_or_else(|| {
            let source = format!("hec/{}", self.token.name);
            let batcher = Batcher::new(
                source.as_str().into(),
                key.0.clone(),
                key.1.clone(),
                Salt::content(Bytes::new()),
                now(),
                self.hec.ingress.limits.record_bytes_max,
            );
            self.lanes.push((key, batcher));
            self.lanes.len() - 1
        });
        self.lanes.get_mut(at).map(|(_, batcher)| batcher)
    }

    /// The stream that a sourcetype names, else the token's, else recognition.
    fn stream(&self, sourcetype: Option<&str>) -> StreamId {
        let known = sourcetype.map(StreamId::from).filter(|stream| self.hec.ingress.streams.contains(stream));
        known.unwrap_or_else(|| self.token.stream.as_deref().unwrap_or(StreamId::AUTO).into())
    }

    fn batchers(self) -> Vec<Batcher> {
        self.lanes.into_iter().map(|(_, batcher)| batcher).collect()
    }
}

fn context(source: Option<&str>, host: Option<&str>) -> Context {
    let file = source.and_then(|path| path.rsplit(['/', '\\']).next()).filter(|name| !name.is_empty());
    Context { file: file.map(Into::into), peer: host.map(Into::into), header: None }
}

fn open_lines(hec: &Hec, token: &Token, params: &Params, body: Bytes) -> Opened {
    let mut lanes = Lanes { hec, token, lanes: Vec::new() };
    let (mut lines, mut framed) = (Lines::new(hec.ingress.limits.record_bytes_max), Vec::new());
    lines.push(body, &mut framed);
    lines.finish(&mut framed);
    let good = framed.len();
    let stream = lanes.stream(params.sourcetype.as_deref());
    if let Some(lane) = lanes.lane(stream, context(params.source.as_deref(), params.host.as_deref())) {
        framed.into_iter().for_each(|one| lane.add(one));
    }
    Opened { batchers: lanes.batchers(), good, bad: None }
}

fn open_events(hec: &Hec, token: &Token, params: &Params, body: Bytes) -> Opened {
    let mut lanes = Lanes { hec, token, lanes: Vec::new() };
    let (mut good, mut bad, mut bad_count) = (0, None, 0);
    let mut parts = skim::values(&body);
    for ordinal in 0_usize.. {
        // A body of nothing but odd parts must not become as many rejects.
        let Some(part) = (if bad_count < BAD_PARTS_MAX { parts.next() } else { parts.rest() }) else { break };
        match envelope(&part) {
            Ok(envelope) => {
                let stream = lanes.stream(envelope.sourcetype.as_deref().or(params.sourcetype.as_deref()));
                let context = context(envelope.source.as_deref().or(params.source.as_deref()), envelope.host.as_deref().or(params.host.as_deref()));
                if let Some(lane) = lanes.lane(stream, context) {
                    lane.add(Framed::of(envelope.event, hec.ingress.limits.record_bytes_max));
                }
                good += 1;
            }
            Err(code) => {
                bad_count += 1;
                let stream = lanes.stream(None);
                if let Some(lane) = lanes.lane(stream, Context::default()) {
                    let kept = part.slice(..part.len().min(super::frame::KEPT_BYTES_MAX));
                    lane.refuse(RejectCause::Malformed, format!("not an event envelope: {}", code.2.to_ascii_lowercase()), kept);
                }
                bad = bad.or(Some((code, ordinal)));
            }
        }
    }
    Opened { batchers: lanes.batchers(), good, bad }
}

struct Envelope {
    event: Bytes,
    sourcetype: Option<String>,
    source: Option<String>,
    host: Option<String>,
}

fn envelope(part: &Bytes) -> Result<Envelope, Code> {
    let members = skim::members(part).ok_or(INVALID_FORMAT)?;
    let find = |name: &str| members.iter().rfind(|(key, _)| &**key == name.as_bytes()).map(|(_, value)| value);
    let text = |name: &str| find(name).and_then(|value| serde_json::from_slice::<String>(value).ok());
    let event = match find("event") {
        None => return Err(EVENT_REQUIRED),
        Some(value) if &**value == b"null" => return Err(EVENT_REQUIRED),
        Some(value) if value.first() == Some(&b'"') => Bytes::from(serde_json::from_slice::<String>(value).map_err(|_| INVALID_FORMAT)?),
        Some(value) => value.clone(),
    };
    if event.iter().all(u8::is_ascii_whitespace) {
        return Err(EVENT_BLANK);
    }
    Ok(Envelope { event, sourcetype: text("sourcetype"), source: text("source"), host: text("host") })
}

/// The answer to a body that is kept: success unless nothing in it was an event.
fn told(opened: &Opened, ack: Option<u64>) -> Response {
    let (Code(status, code, text), ordinal) = match opened.bad {
        Some((code, ordinal)) if opened.good == 0 => (code, Some(ordinal)),
        _ => (SUCCESS, None),
    };
    let mut body = json!({"text": text, "code": code});
    if let Value::Object(members) = &mut body {
        members.extend(ack.map(|id| ("ackId".to_owned(), Value::from(id))));
        members.extend(ordinal.map(|at| ("invalid-event-number".to_owned(), Value::from(at))));
    }
    (status, axum::Json(body)).into_response()
}

#[derive(serde::Deserialize)]
struct Asked {
    acks: Vec<u64>,
}

async fn ack(State(hec): State<Hec>, Query(params): Query<Params>, headers: HeaderMap, body: Bytes) -> Response {
    let answer = || {
        let token = hec.tokens.check(&headers).map_err(token_code)?;
        if !token.acknowledge {
            return Err(ACK_DISABLED);
        }
        let channel = channel(token, &params, &headers)?.ok_or(CHANNEL_MISSING)?;
        let asked: Asked = serde_json::from_slice(&body).map_err(|_| INVALID_FORMAT)?;
        Ok(axum::Json(json!({"acks": hec.acks.ask(&channel, &asked.acks)})).into_response())
    };
    answer().unwrap_or_else(IntoResponse::into_response)
}

#[cfg(test)]
mod tests;
