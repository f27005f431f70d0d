//! `POST /ingest/ndjson?stream=…` and `POST /ingest/{connector}/{record}`: one record a line, or any
//! form that files may have: JSON documents with the records in an array, columns under a header.
//!
//! The body is read as a stream, so its size does not matter to memory. The answer comes when
//! every record is on disk. The same body sent again (after a lost answer) doubles nothing;
//! `Idempotency-Key` tells two bodies apart that are equal on purpose.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;
use tokio::sync::Semaphore;
use weft_ingest::Registry;
use weft_ingest::frame::{Framing, Piece, Splitter};
use weft_model::{Context, Position, RejectCause, StreamId};

use super::inflate::{Inflate, InflateError};
use super::records::{Batcher, Salt};
use super::token::{Shown, Tokens};
use super::{Ingress, all_stored, now};
use crate::queue::{Refusal, Stored};

/// State of the HTTP doors.
#[derive(Clone)]
pub struct Http {
    /// The way to the log.
    pub ingress: Ingress,
    /// Who may send.
    pub tokens: Arc<Tokens>,
    /// Places for bodies.
    pub places: Arc<Semaphore>,
    /// How the bodies of a stream are cut.
    pub registry: Arc<Registry>,
}

impl Http {
    /// Doors with the limits of `ingress`.
    pub fn new(ingress: Ingress, tokens: Tokens, registry: Arc<Registry>) -> Self {
        let places = Arc::new(Semaphore::new(ingress.limits.bodies_max));
        Self { ingress, tokens: Arc::new(tokens), places, registry }
    }
}

/// The routes.
pub fn routes(state: Http) -> Router {
    Router::new().route("/ingest/ndjson", post(by_query)).route("/ingest/{connector}/{record}", post(by_path)).with_state(state)
}

#[derive(serde::Deserialize)]
struct Params {
    stream: Option<String>,
    file: Option<String>,
}

async fn by_query(State(http): State<Http>, Query(params): Query<Params>, headers: HeaderMap, body: Body) -> Response {
    let stream = params.stream.clone().unwrap_or_else(|| StreamId::AUTO.to_owned());
    answer(take(&http, &stream, params, headers, body).await)
}

async fn by_path(
    State(http): State<Http>,
    Path((connector, record)): Path<(String, String)>,
    Query(params): Query<Params>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(take(&http, &format!("{connector}/{record}"), params, headers, body).await)
}

/// What was taken.
struct Taken {
    records: u64,
    rejected: u64,
}

async fn take(http: &Http, stream: &str, params: Params, headers: HeaderMap, body: Body) -> Result<Taken, Fault> {
    http.tokens.check(&headers).map_err(Fault::Token)?;
    let stream = http.ingress.stream(stream).map_err(Fault::Stream)?;
    let _place = http.places.try_acquire().map_err(|_| Fault::Refused(Refusal::Full))?;
    let key = headers.get("idempotency-key").map(|key| Bytes::copy_from_slice(key.as_bytes())).unwrap_or_default();
    let context = Context { file: params.file.map(Into::into), ..Context::default() };
    let limits = &http.ingress.limits;
    let framing = Framing::of(&http.registry, &stream).unwrap_or_default();
    let splitter = Splitter::new(framing, context.clone()).with_record_max(limits.record_bytes_max);
    let batcher = Batcher::new(format!("http/{stream}").as_str().into(), stream, context, Salt::content(key), now(), limits.record_bytes_max);
    let inflate = Inflate::new(encoding(&headers)?, limits.unpack_ratio_max).map_err(Fault::Inflate)?;
    let mut reader = Reader { http, batcher, splitter, pieces: Vec::new(), stored: Vec::new(), records: 0, rejected: 0 };
    let outcome = reader.read(inflate, body).await;
    let (stored, taken) = (std::mem::take(&mut reader.stored), Taken { records: reader.records, rejected: reader.rejected });
    let safe = all_stored(stored).await;
    outcome?;
    if safe { Ok(taken) } else { Err(Fault::NotStored) }
}

fn encoding(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().map_err(|_| Fault::Inflate(InflateError::Unknown("?".to_owned())))).transpose()
}

struct Reader<'a> {
    http: &'a Http,
    batcher: Batcher,
    splitter: Splitter,
    pieces: Vec<Piece>,
    stored: Vec<Stored>,
    records: u64,
    rejected: u64,
}

impl Reader<'_> {
    /// Reads the body to its end; what was cut out before a fault is kept.
    async fn read(&mut self, mut inflate: Inflate, body: Body) -> Result<(), Fault> {
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|fault| Fault::Broken(fault.to_string()))?;
            let (splitter, pieces) = (&mut self.splitter, &mut self.pieces);
            let fed = inflate.push(chunk, |bytes| splitter.push(&bytes, &mut |piece| pieces.push(piece)));
            self.gather(false).await?;
            if let Err(fault) = fed {
                self.gather(true).await?;
                return Err(Fault::Inflate(fault));
            }
            if inflate.written() > self.http.ingress.limits.body_bytes_max {
                self.gather(true).await?;
                return Err(Fault::TooLarge(self.http.ingress.limits.body_bytes_max));
            }
        }
        match inflate.finish() {
            Ok(rest) => rest.into_iter().for_each(|bytes| self.splitter.push(&bytes, &mut |piece| self.pieces.push(piece))),
            // The end is missing: the neighbours before it stay, the torn line is quarantined.
            Err(fault) => {
                self.torn(&fault);
                self.gather(true).await?;
                return Err(Fault::Inflate(fault));
            }
        }
        self.splitter.finish(&mut |piece| self.pieces.push(piece));
        self.gather(true).await
    }

    fn torn(&mut self, fault: &InflateError) {
        let mut last = Vec::new();
        self.splitter.finish(&mut |piece| last.push(piece));
        for piece in last {
            let (Piece::Record { bytes: kept, .. } | Piece::Fault { raw: kept, .. }) = piece else { continue };
            self.rejected += 1;
            self.batcher.refuse(RejectCause::Container, fault.to_string(), kept);
        }
    }

    async fn gather(&mut self, all: bool) -> Result<(), Fault> {
        for piece in std::mem::take(&mut self.pieces) {
            match piece {
                Piece::Record { bytes, .. } => {
                    self.records += 1;
                    self.batcher.record(bytes);
                }
                Piece::Fault { cause, message, raw, .. } => {
                    self.rejected += 1;
                    self.batcher.refuse(cause, message, raw);
                }
                Piece::Context(context) => {
                    self.push().await?;
                    self.batcher.surround((*context).clone());
                }
            }
            if self.batcher.is_full() {
                self.push().await?;
            }
        }
        if all { self.push().await } else { Ok(()) }
    }

    async fn push(&mut self) -> Result<(), Fault> {
        self.http.ingress.push_all(self.batcher.take(&Position::default()), &mut self.stored).await.map_err(Fault::Refused)
    }
}

/// Why a request was not, or not wholly, taken.
enum Fault {
    Token(Shown),
    Stream(String),
    Refused(Refusal),
    Inflate(InflateError),
    TooLarge(u64),
    Broken(String),
    NotStored,
}

fn answer(outcome: Result<Taken, Fault>) -> Response {
    match outcome {
        Ok(Taken { records, rejected }) => (StatusCode::OK, axum::Json(json!({"accepted": records, "rejected": rejected}))).into_response(),
        Err(fault) => fault.into_response(),
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Token(Shown::Unknown) => (StatusCode::FORBIDDEN, "the token is not known".to_owned()),
            Self::Token(_) => (StatusCode::UNAUTHORIZED, "a token is missing: send `Authorization: Bearer TOKEN`".to_owned()),
            Self::Stream(message) => (StatusCode::NOT_FOUND, message),
            Self::Refused(Refusal::Full) => (StatusCode::TOO_MANY_REQUESTS, Refusal::Full.to_string()),
            Self::Refused(refusal) => (StatusCode::SERVICE_UNAVAILABLE, refusal.to_string()),
            Self::Inflate(fault @ InflateError::Unknown(_)) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, fault.to_string()),
            Self::Inflate(fault) => (StatusCode::BAD_REQUEST, fault.to_string()),
            Self::TooLarge(max) => (StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {max} bytes; send the rest in another request")),
            Self::Broken(fault) => (StatusCode::BAD_REQUEST, format!("the body broke off: {fault}")),
            Self::NotStored => (StatusCode::SERVICE_UNAVAILABLE, "the records could not be written, send them again".to_owned()),
        };
        let mut response = (status, axum::Json(json!({"error": message}))).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
