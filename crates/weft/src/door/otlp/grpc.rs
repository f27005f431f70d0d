//! The same request over gRPC: one message in, one out (grpc.io, "gRPC over HTTP2").

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream;
use prost::Message as _;
use weft_model::RejectCause;

use super::super::frame::KEPT_BYTES_MAX;
use super::super::inflate::Inflate;
use super::{Fault, Form, Otlp, proto, refuse, take, whole};

/// The method.
pub(super) const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// Flag, then the length of the message.
const PREFIX_BYTES: usize = 5;

// Status codes of gRPC.
const OK: u8 = 0;
const INVALID_ARGUMENT: u8 = 3;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

pub(super) async fn export(State(otlp): State<Otlp>, headers: HeaderMap, body: Body) -> Response {
    match run(&otlp, &headers, body).await {
        Ok(message) => answer(Some(message), OK, ""),
        Err(fault) => answer(None, code(&fault), &fault.message()),
    }
}

async fn run(otlp: &Otlp, headers: &HeaderMap, body: Body) -> Result<Bytes, Fault> {
    let (token, whole) = whole(otlp, headers, None, body).await?;
    let request = match unframe(&whole.bytes, headers, otlp.ingress.limits.unpack_ratio_max) {
        Ok(request) => request,
        Err(fault) => {
            let kept = whole.bytes.slice(..whole.bytes.len().min(KEPT_BYTES_MAX));
            refuse(otlp, token, RejectCause::Container, fault.message(), kept).await?;
            return Err(fault);
        }
    };
    let taken = take(otlp, token, Form::Protobuf, &request).await?;
    Ok(proto::answer(&taken).encode_to_vec().into())
}

/// The one message of the body, unpacked.
fn unframe(body: &Bytes, headers: &HeaderMap, ratio_max: u64) -> Result<Bytes, Fault> {
    const BROKEN: Fault = Fault::Form("the gRPC message breaks off");
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES).ok_or(BROKEN)?;
    let [flag, length @ ..] = prefix else { return Err(BROKEN) };
    let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    if message.len() != length {
        return Err(BROKEN);
    }
    let message = body.slice(PREFIX_BYTES..);
    if *flag == 0 {
        return Ok(message);
    }
    let encoding = headers.get("grpc-encoding").and_then(|value| value.to_str().ok());
    let mut whole = BytesMut::new();
    let unpack = |whole: &mut BytesMut| {
        let mut inflate = Inflate::new(encoding, ratio_max)?;
        // Piece by piece, so that a bomb is seen before it has grown.
        for piece in message.chunks(64 << 10) {
            inflate.push(message.slice_ref(piece), |out| whole.extend_from_slice(&out))?;
            if inflate.written() > super::super::body::BODY_BYTES_MAX {
                return Err(super::InflateError::Ratio(ratio_max));
            }
        }
        whole.extend(inflate.finish()?);
        Ok(())
    };
    unpack(&mut whole).map_err(|_: super::InflateError| Fault::Form("the gRPC message cannot be unpacked: use `gzip` or no compression"))?;
    Ok(whole.freeze())
}

fn code(fault: &Fault) -> u8 {
    match fault.status() {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        // A sender gives up after RESOURCE_EXHAUSTED, but not after UNAVAILABLE.
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        StatusCode::PAYLOAD_TOO_LARGE => RESOURCE_EXHAUSTED,
        _ => INVALID_ARGUMENT,
    }
}

/// The message, then the status as trailers; in the headers when there is no message.
fn answer(message: Option<Bytes>, code: u8, text: &str) -> Response {
    let mut status = HeaderMap::new();
    status.insert(HeaderName::from_static("grpc-status"), HeaderValue::from(u16::from(code)));
    if let Ok(text) = HeaderValue::from_str(&text.replace('%', "%25")) {
        status.insert(HeaderName::from_static("grpc-message"), text);
    }
    let mut response = match message {
        None => {
            let mut response = Response::new(Body::empty());
            response.headers_mut().extend(status);
            response
        }
        Some(message) => {
            let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
            framed.put_u8(0);
            framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
            framed.extend_from_slice(&message);
            let frames = [Ok::<_, std::convert::Infallible>(http_body::Frame::data(framed.freeze())), Ok(http_body::Frame::trailers(status))];
            Response::new(Body::new(http_body_util::StreamBody::new(stream::iter(frames))))
        }
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
