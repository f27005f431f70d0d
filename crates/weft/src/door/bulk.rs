//! The `_bulk` API of Elasticsearch, for everything that can already send to it: `/_bulk`,
//! `/{index}/_bulk`, `/{index}/_doc`, and what senders ask before they send ([`handshake`]).
//!
//! Documents become raw records as they were written; the mesh keeps events and changes none, so
//! `index` and `create` do the same, `update` and `delete` are refused item by item. The answer
//! comes when everything is on disk, with one item for each action, so that a sender sends again
//! what was refused for want of room and nothing else. The same document under the same `_id`
//! (or, without one, an equal document in an equal request) doubles nothing.
//!
//! Format: Elasticsearch 8 API reference, "Bulk index or delete documents".

mod handshake;
mod items;
mod machine;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::StreamExt;
use tokio::sync::Semaphore;
use weft_model::{RejectCause, StreamId};

use super::body::{BodyFault, Room, encoding};
use super::frame::{Framed, Lines};
use super::inflate::{Inflate, InflateError};
use super::token::{Shown, Token, Tokens};
use super::{Ingress, all_stored};
use crate::queue::{Refusal, Stored};
pub use items::{Group, Items};
pub use machine::Machine;

/// Items of one request; their answer is held in memory.
const ITEMS_MAX: usize = 250_000;

/// State of the door.
#[derive(Clone)]
pub struct Bulk {
    /// The way to the log.
    pub ingress: Ingress,
    /// Who may send.
    pub tokens: Arc<Tokens>,
    /// Places for bodies.
    pub places: Arc<Semaphore>,
    /// Streams by index name, the first that fits.
    pub indices: Arc<Vec<(String, StreamId)>>,
    room: Room,
}

impl Bulk {
    /// A door with the limits of `ingress`; a pattern of `indices` may have `*` for any letters.
    pub fn new(ingress: Ingress, tokens: Tokens, indices: Vec<(String, StreamId)>) -> Self {
        let places = Arc::new(Semaphore::new(ingress.limits.bodies_max));
        Self { ingress, tokens: Arc::new(tokens), places, indices: Arc::new(indices), room: Room::default() }
    }

    /// The stream of an index: as configured, by its own name, as the token says, else recognised.
    fn stream(&self, index: &str, token: &Token) -> StreamId {
        let configured = self.indices.iter().find(|(pattern, _)| fits(pattern, index)).map(|(_, stream)| stream.clone());
        let named = || Some(StreamId::from(index)).filter(|stream| self.ingress.streams.contains(stream));
        configured.or_else(named).unwrap_or_else(|| token.stream.as_deref().unwrap_or(StreamId::AUTO).into())
    }
}

/// Whether a name has the form of a pattern with `*` for any letters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = left.split_at(at + part.len()).1;
    }
    left.ends_with(last)
}

/// The routes; nested below a path, or at the root of a listener of their own.
pub fn routes(state: Bulk) -> Router {
    Router::new()
        .route("/_bulk", post(bulk).put(bulk))
        .route("/{index}/_bulk", post(bulk_of).put(bulk_of))
        .route("/{index}/_doc", post(document))
        .route("/{index}/_doc/{id}", post(document_by_id).put(document_by_id))
        .route("/{index}/_create/{id}", post(document_by_id).put(document_by_id))
        .merge(handshake::routes())
        .fallback(handshake::unknown)
        .layer(axum::middleware::map_response(handshake::product))
        .with_state(state)
}

/// The routes below a path, which clients write with and without a slash at its end.
pub fn below(path: &str, state: Bulk) -> Router {
    let root = Router::new().route(&format!("{path}/"), handshake::root_route()).layer(axum::middleware::map_response(handshake::product));
    root.with_state(state.clone()).nest(path, routes(state))
}

#[derive(serde::Deserialize, Default)]
struct Params {
    filter_path: Option<String>,
}

async fn bulk(State(bulk): State<Bulk>, Query(params): Query<Params>, headers: HeaderMap, body: Body) -> Response {
    take(&bulk, "", &params, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn bulk_of(State(bulk): State<Bulk>, Path(index): Path<String>, Query(params): Query<Params>, headers: HeaderMap, body: Body) -> Response {
    take(&bulk, &index, &params, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn take(bulk: &Bulk, index: &str, params: &Params, headers: &HeaderMap, body: Body) -> Result<Response, Fault> {
    let begun = Instant::now();
    let mut reader = Reader::new(bulk, index, headers)?;
    let _place = bulk.places.try_acquire().map_err(|_| Fault::Refused(Refusal::Full))?;
    let inflate = Inflate::new(encoding(headers), bulk.ingress.limits.unpack_ratio_max).map_err(Fault::Inflate)?;
    let outcome = reader.read(inflate, body).await;
    let items = reader.close().await;
    outcome?;
    if items.is_empty() {
        return Err(Fault::Empty);
    }
    let with_items = params.filter_path.as_deref().is_none_or(|paths| paths.split(',').any(|path| path.starts_with("items") || path.starts_with('*')));
    Ok(json(StatusCode::OK, items.answer(begun.elapsed().as_millis(), with_items)))
}

async fn document(bulk: State<Bulk>, Path(index): Path<String>, headers: HeaderMap, body: Body) -> Response {
    one(&bulk, &index, None, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn document_by_id(bulk: State<Bulk>, Path((index, id)): Path<(String, String)>, headers: HeaderMap, body: Body) -> Response {
    one(&bulk, &index, Some(id), &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

/// One document, as a request of one item.
async fn one(bulk: &Bulk, index: &str, id: Option<String>, headers: &HeaderMap, body: Body) -> Result<Response, Fault> {
    let mut reader = Reader::new(bulk, index, headers)?;
    let body = bulk.room.read(encoding(headers), bulk.ingress.limits.unpack_ratio_max, body).await;
    let whole = match body {
        Ok(whole) => whole,
        Err(fault) => {
            fault.kept().into_iter().for_each(|kept| reader.machine.refuse(RejectCause::Container, fault.to_string(), kept));
            reader.close().await;
            return Err(fault.into());
        }
    };
    reader.machine.begin(id);
    reader.machine.line(Framed::of(whole.bytes.clone(), bulk.ingress.limits.record_bytes_max));
    let items = reader.close().await;
    let (status, answer) = items.single();
    Ok(json(status, answer))
}

fn json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// Reads a body and hands on what was cut out, group by group.
struct Reader<'a> {
    bulk: &'a Bulk,
    machine: Machine<'a>,
    lines: Lines,
    framed: Vec<Framed>,
    waiting: Vec<(u32, Vec<Stored>)>,
    refused: Vec<(u32, Refusal)>,
}

impl<'a> Reader<'a> {
    fn new(bulk: &'a Bulk, index: &str, headers: &HeaderMap) -> Result<Self, Fault> {
        let token = bulk.tokens.check(headers).map_err(Fault::Token)?;
        let machine = Machine::new(bulk, token, index);
        let lines = Lines::new(bulk.ingress.limits.record_bytes_max);
        Ok(Self { bulk, machine, lines, framed: Vec::new(), waiting: Vec::new(), refused: Vec::new() })
    }

    async fn read(&mut self, mut inflate: Inflate, body: Body) -> Result<(), Fault> {
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let (lines, framed) = (&mut self.lines, &mut self.framed);
            let fed = match chunk {
                Ok(chunk) => inflate.push(chunk, |bytes| lines.push(bytes, framed)).map_err(Fault::Inflate),
                Err(fault) => Err(Fault::Broken(fault.to_string())),
            };
            self.gather(false).await;
            let limit = self.bulk.ingress.limits.body_bytes_max;
            let fed = fed.and_then(|()| if inflate.written() > limit { Err(Fault::TooLarge(limit)) } else { Ok(()) });
            let fed = fed.and_then(|()| if self.machine.items.len() > ITEMS_MAX { Err(Fault::TooMany) } else { Ok(()) });
            if let Err(fault) = fed {
                self.torn(&fault).await;
                return Err(fault);
            }
        }
        match inflate.finish() {
            Ok(rest) => rest.into_iter().for_each(|bytes| self.lines.push(bytes, &mut self.framed)),
            Err(fault) => {
                let fault = Fault::Inflate(fault);
                self.torn(&fault).await;
                return Err(fault);
            }
        }
        self.lines.finish(&mut self.framed);
        self.gather(true).await;
        Ok(())
    }

    /// The line in which the body ended is kept with the reason; its neighbours stay.
    async fn torn(&mut self, fault: &Fault) {
        self.gather(true).await;
        self.lines.finish(&mut self.framed);
        for framed in self.framed.drain(..) {
            let (Framed::Record(kept) | Framed::TooLarge { kept, .. }) = framed;
            self.machine.refuse(RejectCause::Container, fault.message(), kept);
        }
        self.flush().await;
    }

    async fn gather(&mut self, all: bool) {
        for framed in std::mem::take(&mut self.framed) {
            self.machine.line(framed);
            if self.machine.is_full() {
                self.flush().await;
            }
        }
        if all {
            self.flush().await;
        }
    }

    /// Hands on one group; where there is no room, its items are refused and the next may fit.
    async fn flush(&mut self) {
        let (group, batches) = self.machine.take();
        if batches.is_empty() {
            return;
        }
        let mut stored = Vec::new();
        match self.bulk.ingress.push_all(batches, &mut stored).await {
            Ok(()) => self.waiting.push((group, stored)),
            Err(refusal) => self.refused.push((group, refusal)),
        }
    }

    /// Waits until everything that was handed on is on disk.
    async fn close(mut self) -> Items {
        self.machine.finish();
        self.flush().await;
        let mut items = self.machine.items;
        for (group, stored) in self.waiting {
            items.settle(group, if all_stored(stored).await { Group::Stored } else { Group::NotStored });
        }
        for (group, refusal) in self.refused {
            items.settle(group, Group::Refused(refusal));
        }
        items
    }
}

/// Why a request as a whole was not taken; what was cut out before is kept.
#[derive(Debug)]
enum Fault {
    Token(Shown),
    Refused(Refusal),
    Inflate(InflateError),
    TooLarge(u64),
    TooMany,
    Broken(String),
    Empty,
}

impl From<BodyFault> for Fault {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Busy => Self::Refused(Refusal::Full),
            BodyFault::TooLarge { limit, .. } => Self::TooLarge(limit),
            BodyFault::Broken { message, .. } => Self::Broken(message),
            BodyFault::Packed { fault, .. } => Self::Inflate(fault),
        }
    }
}

impl Fault {
    fn message(&self) -> String {
        match self {
            Self::Token(Shown::Unknown) => "the token is not known".to_owned(),
            Self::Token(_) => "a token is missing: send it as `Authorization: ApiKey`, as password of `Basic`, or as `Bearer`".to_owned(),
            Self::Refused(refusal) => refusal.to_string(),
            Self::Inflate(fault) => fault.to_string(),
            Self::TooLarge(max) => format!("the body is larger than {max} bytes; send it in parts"),
            Self::TooMany => format!("the body has more than {ITEMS_MAX} items; send it in parts"),
            Self::Broken(fault) => format!("the body broke off: {fault}"),
            Self::Empty => "request body is required: an action line, then its document".to_owned(),
        }
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Token(Shown::Unknown) => (StatusCode::FORBIDDEN, "security_exception"),
            Self::Token(_) => (StatusCode::UNAUTHORIZED, "security_exception"),
            Self::Refused(Refusal::Full) => (StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception"),
            Self::Refused(Refusal::Closed) => (StatusCode::SERVICE_UNAVAILABLE, "node_closed_exception"),
            Self::TooLarge(_) | Self::TooMany => (StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception"),
            Self::Inflate(InflateError::Unknown(_)) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_header_exception"),
            Self::Inflate(_) | Self::Broken(_) | Self::Empty => (StatusCode::BAD_REQUEST, "parse_exception"),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, kind) = self.status();
        let mut response = handshake::error(status, kind, &self.message());
        let headers = response.headers_mut();
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))),
            StatusCode::UNAUTHORIZED => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"weft\", ApiKey"))),
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests;
