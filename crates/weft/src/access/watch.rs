//! Streaming re-evaluation: answers now, and again whenever they turn, one JSON object a line.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde_json::Value;
use tokio::sync::mpsc;
use weft_identity::access::authzen;

use super::http::{Refused, RequestId, Shared, bad_request, body, error};
use super::service::{Opened, Service};

/// Largest request.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Watches the requests of an Access Evaluation or Access Evaluations request.
pub(super) async fn open(State(service): Shared, id: axum::Extension<RequestId>, headers: HeaderMap, sent: Body) -> Response {
    let request = match body(&headers, sent, BODY_BYTES_MAX).await {
        Ok(request) => request,
        Err(Refused(response)) => return response,
    };
    let asks = match authzen::asks(&request) {
        Ok(asks) => asks,
        Err(refusal) => return bad_request(&refusal.0),
    };
    match service.watch(asks) {
        Ok(Opened { first, numbers, lines }) => {
            service.keep(&id.0.0, &first).await;
            let watch = Watch { service, numbers, lines };
            let lines = stream::unfold(watch, |mut watch| async move {
                let line = watch.lines.recv().await?;
                Some((Ok::<_, std::convert::Infallible>(Bytes::from(format!("{line}\n"))), watch))
            });
            ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
        }
        Err(full) => (StatusCode::TOO_MANY_REQUESTS, error("busy", &full)).into_response(),
    }
}

/// A stream that ends its watches when its reader is gone.
struct Watch {
    service: Arc<Service>,
    numbers: Vec<u64>,
    lines: mpsc::Receiver<Value>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.service.unwatch(&self.numbers);
    }
}
