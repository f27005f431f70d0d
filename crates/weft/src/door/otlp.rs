//! OpenTelemetry logs: OTLP/HTTP at `POST /ingest/v1/logs`, protobuf and JSON, and the same over
//! gRPC (`opentelemetry.proto.collector.logs.v1.LogsService/Export`).
//!
//! Each log record becomes one raw record: itself as JSON, with its resource and scope. What its
//! body carries is recognised like any other carried record. The answer comes when everything is
//! on disk; records that cannot be read are counted in `partialSuccess` and kept as rejects.
//!
//! Format: opentelemetry.io, "OTLP Specification 1.9" and "opentelemetry-proto 1.8".

mod grpc;
mod json;
mod proto;
mod record;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use prost::Message as _;
use tokio::sync::Semaphore;
use weft_model::{Context, Position, RejectCause, StreamId};

use super::body::{BodyFault, Room, Whole, encoding};
use super::frame::KEPT_BYTES_MAX;
use super::inflate::InflateError;
use super::records::{Batcher, Salt};
use super::token::{Shown, Token, Tokens};
use super::{Ingress, all_stored, now};
use crate::queue::{Refusal, Stored};
use record::Unread;

/// Longest log record as it is sent.
const LOG_BYTES_MAX: usize = 4 << 20;

/// What a JSON body must be.
const NO_REQUEST: &str = "the body is no ExportLogsServiceRequest: an object with `resourceLogs` is expected";

/// State of the door.
#[derive(Clone)]
pub struct Otlp {
    /// The way to the log.
    pub ingress: Ingress,
    /// Who may send.
    pub tokens: Arc<Tokens>,
    /// Places for bodies.
    pub places: Arc<Semaphore>,
    room: Room,
}

impl Otlp {
    /// A door with the limits of `ingress`.
    pub fn new(ingress: Ingress, tokens: Tokens) -> Self {
        let places = Arc::new(Semaphore::new(ingress.limits.bodies_max));
        Self { ingress, tokens: Arc::new(tokens), places, room: Room::default() }
    }
}

/// The routes.
pub fn routes(state: Otlp) -> Router {
    Router::new().route("/ingest/v1/logs", post(http)).route(grpc::PATH, post(grpc::export)).with_state(state)
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn mime(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

/// How many were taken, and why the others were not.
#[derive(Debug, Default)]
struct Taken {
    rejected: i64,
    first: Option<String>,
}

async fn http(State(otlp): State<Otlp>, headers: HeaderMap, body: Body) -> Response {
    let Some(form) = Form::of(&headers) else {
        let message = "`Content-Type` must be `application/x-protobuf` or `application/json`";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, axum::Json(serde_json::json!({"message": message}))).into_response();
    };
    let taken = match whole(&otlp, &headers, encoding(&headers), body).await {
        Ok((token, whole)) => take(&otlp, token, form, &whole.bytes).await,
        Err(fault) => Err(fault),
    };
    match taken {
        Ok(taken) => told(form, &taken),
        Err(fault) => fault.response(form),
    }
}

/// Who sends, and the whole body; one that cannot be had is kept as far as it came.
async fn whole<'a>(otlp: &'a Otlp, headers: &HeaderMap, encoding: Option<&str>, body: Body) -> Result<(&'a Token, Whole), Fault> {
    let token = otlp.tokens.check(headers).map_err(Fault::Token)?;
    let _place = otlp.places.try_acquire().map_err(|_| Fault::Refused(Refusal::Full))?;
    match otlp.room.read(encoding, otlp.ingress.limits.unpack_ratio_max, body).await {
        Ok(whole) => Ok((token, whole)),
        Err(fault) => {
            if let Some(kept) = fault.kept() {
                refuse(otlp, token, RejectCause::Container, fault.to_string(), kept).await?;
            }
            Err(Fault::Body(fault))
        }
    }
}

/// Hands every log record on and waits until all are on disk.
async fn take(otlp: &Otlp, token: &Token, form: Form, body: &Bytes) -> Result<Taken, Fault> {
    let mut logs: Box<dyn Iterator<Item = Result<Bytes, Unread>> + Send> = match form {
        Form::Protobuf => Box::new(proto::logs(body)),
        Form::Json => match json::logs(body) {
            Some(logs) => Box::new(logs),
            None => {
                refuse(otlp, token, RejectCause::Malformed, NO_REQUEST.to_owned(), body.slice(..body.len().min(KEPT_BYTES_MAX))).await?;
                return Err(Fault::Form(NO_REQUEST));
            }
        },
    };
    let (mut batcher, mut taken, mut stored) = (batcher(otlp, token), Taken::default(), Vec::new());
    let (mut refused, mut written) = (None, 0);
    loop {
        let next = logs.next();
        let ended = next.is_none();
        match next {
            Some(Ok(record)) => {
                written += record.len() as u64;
                batcher.record(record);
            }
            Some(Err(unread)) => {
                taken.rejected += 1;
                taken.first.get_or_insert_with(|| unread.message.clone());
                let kept = unread.kept.slice(..unread.kept.len().min(KEPT_BYTES_MAX));
                batcher.refuse(unread.cause, unread.message, kept);
            }
            None => {}
        }
        if (ended || batcher.is_full())
            && let Err(refusal) = otlp.ingress.push_all(batcher.take(&Position::default()), &mut stored).await
        {
            refused = Some(Fault::Refused(refusal));
            break;
        }
        // Each record repeats its resource: a large one on very many would fill the disk.
        if written > otlp.ingress.limits.body_bytes_max {
            refused = Some(Fault::TooLarge(otlp.ingress.limits.body_bytes_max));
            break;
        }
        if ended {
            break;
        }
    }
    let safe = all_stored(stored).await;
    match refused {
        Some(fault) => Err(fault),
        None if safe => Ok(taken),
        None => Err(Fault::NotStored),
    }
}

async fn refuse(otlp: &Otlp, token: &Token, cause: RejectCause, message: String, kept: Bytes) -> Result<(), Fault> {
    let (mut batcher, mut stored): (_, Vec<Stored>) = (batcher(otlp, token), Vec::new());
    batcher.refuse(cause, message, kept);
    otlp.ingress.push_all(batcher.take(&Position::default()), &mut stored).await.map_err(Fault::Refused)?;
    if all_stored(stored).await { Ok(()) } else { Err(Fault::NotStored) }
}

fn batcher(otlp: &Otlp, token: &Token) -> Batcher {
    let (source, stream) = (format!("otlp/{}", token.name), StreamId::from(token.stream.as_deref().unwrap_or(StreamId::AUTO)));
    Batcher::new(source.as_str().into(), stream, Context::default(), Salt::content(Bytes::new()), now(), otlp.ingress.limits.record_bytes_max)
}

fn told(form: Form, taken: &Taken) -> Response {
    let body = match form {
        Form::Protobuf => proto::answer(taken).encode_to_vec(),
        Form::Json => json::answer(taken).to_string().into_bytes(),
    };
    ([(header::CONTENT_TYPE, form.mime())], body).into_response()
}

/// Why a request was not taken.
#[derive(Debug)]
enum Fault {
    Token(Shown),
    Refused(Refusal),
    Body(BodyFault),
    /// Not what its content type says.
    Form(&'static str),
    /// Bytes of the records with their resources.
    TooLarge(u64),
    NotStored,
}

impl Fault {
    fn message(&self) -> String {
        match self {
            Self::Token(Shown::Unknown) => "the token is not known".to_owned(),
            Self::Token(_) => "a token is missing: send `Authorization: Bearer TOKEN`".to_owned(),
            Self::Refused(refusal) => refusal.to_string(),
            Self::Body(fault) => fault.to_string(),
            Self::Form(message) => (*message).to_owned(),
            Self::TooLarge(max) => format!("the records with their resources are larger than {max} bytes; send them in parts"),
            Self::NotStored => "the records could not be written, send them again".to_owned(),
        }
    }

    /// Status over HTTP; senders come back after 429 and 503 and give up after the others.
    fn status(&self) -> StatusCode {
        match self {
            Self::Token(Shown::Unknown) => StatusCode::FORBIDDEN,
            Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::Refused(Refusal::Full) | Self::Body(BodyFault::Busy) => StatusCode::TOO_MANY_REQUESTS,
            Self::Refused(Refusal::Closed) | Self::NotStored => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge(_) | Self::Body(BodyFault::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyFault::Packed { fault: InflateError::Unknown(_), .. }) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(_) | Self::Form(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// A `google.rpc.Status` in the form of the request.
    fn response(&self, form: Form) -> Response {
        let (status, message) = (self.status(), self.message());
        let body = match form {
            Form::Protobuf => proto::Status { code: 0, message }.encode_to_vec(),
            Form::Json => serde_json::json!({"message": message}).to_string().into_bytes(),
        };
        let mut response = (status, [(header::CONTENT_TYPE, form.mime())], body).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests;
