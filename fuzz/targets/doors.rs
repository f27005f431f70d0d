//! The doors: a body, a header or a stream of frames of any kind comes in; nobody panics, the
//! answer is one that a sender understands, and syslog frames do not depend on how they were cut.

#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;
use weft_ingest::Registry;

// The doors alone, without the lake behind them: that would take half an hour to build with counters.
#[allow(dead_code, unused_imports, missing_docs)]
#[path = "../../crates/weft/src/door/mod.rs"]
mod door;
#[allow(dead_code)]
#[path = "../../crates/weft/src/queue.rs"]
mod queue;
#[allow(dead_code, unused_imports)]
#[path = "../shims/config.rs"]
mod config;

use door::frame::{Framed, SyslogFrames};
use door::token::{Token, Tokens};
use door::{Ingress, Limits, bulk, hec, http, otlp, webhook};
use queue::{Bounds, Delivery, Queue};

/// Requests: path, content type.
const PATHS: [(&str, &str); 10] = [
    ("/ingest/ndjson", ""),
    ("/services/collector/event", ""),
    ("/services/collector/raw", ""),
    ("/services/collector/ack?channel=c", ""),
    ("/e/_bulk", ""),
    ("/e/an-index/_doc", ""),
    ("/ingest/v1/logs", "application/json"),
    ("/ingest/v1/logs", "application/x-protobuf"),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "application/grpc"),
    ("/ingest/webhook/slack", "application/json"),
];

struct World {
    runtime: tokio::runtime::Runtime,
    router: Router,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let queue = Queue::new(Bounds::default());
    let limits = Limits { record_bytes_max: 1 << 12, ..Limits::default() };
    let registry: Arc<Registry> = weft_testkit::registry().0;
    let ingress = Ingress { queue: queue.clone(), limits, streams: Arc::new(registry.streams().cloned().collect()) };
    let tokens = Tokens(vec![Token::new("t", "s", true, None)]);
    let hook = config::WebhookConfig { name: "slack".into(), connector: "slack".into(), secrets: vec!["0123456789abcdef".into()], stream: None };
    let hooks: BTreeMap<String, webhook::Hook> = webhook::hooks(&[hook], &registry).unwrap();
    let router = http::routes(http::Http::new(ingress.clone(), tokens.clone(), Arc::clone(&registry)))
        .merge(hec::routes(hec::Hec::new(ingress.clone(), tokens.clone())))
        .merge(otlp::routes(otlp::Otlp::new(ingress.clone(), tokens.clone())))
        .merge(webhook::routes(webhook::Webhooks::new(ingress.clone(), hooks, registry)))
        .nest("/e", bulk::routes(bulk::Bulk::new(ingress, tokens, Vec::new())));
    runtime.spawn(async move {
        while let Some(group) = queue.next(1 << 20).await {
            group.into_iter().for_each(|delivery| drop(Delivery::acknowledge(delivery)));
        }
    });
    World { runtime, router }
});

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match PATHS.get(usize::from(*kind & 0x0f)) {
        Some((path, mime)) => request(path, mime, kind >> 4, bytes),
        None => frames(usize::from(kind >> 4) + 1, bytes),
    }
});

fn request(path: &str, mime: &str, packed: u8, body: &[u8]) {
    let mut request = Request::post(path).header("authorization", "Bearer s").header("x-splunk-request-channel", "c");
    if !mime.is_empty() {
        request = request.header("content-type", mime);
    }
    request = match packed {
        14 => request.header("content-encoding", "gzip").header("grpc-encoding", "gzip"),
        15 => request.header("content-encoding", "zstd"),
        _ => request,
    };
    let answered = WORLD.router.clone().oneshot(request.body(Body::from(body.to_vec())).unwrap());
    let status = WORLD.runtime.block_on(answered).unwrap().status().as_u16();
    assert!(matches!(status, 200..=499 | 503), "{path} answers {status}");
}

fn frames(step: usize, bytes: &[u8]) {
    let cut = |step: usize| {
        let (mut frames, mut out) = (SyslogFrames::new(64), Vec::new());
        bytes.chunks(step).for_each(|piece| frames.push(piece, &mut out));
        frames.finish(&mut out);
        out
    };
    let (whole, torn) = (cut(bytes.len().max(1)), cut(step));
    assert_eq!(whole, torn, "frames depend on how the stream was cut");
    let kept: usize = whole.iter().map(|framed| match framed { Framed::Record(kept) | Framed::TooLarge { kept, .. } => kept.len() }).sum();
    assert!(kept <= bytes.len());
}
