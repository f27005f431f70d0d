use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;
use serde_json::Value;
use tower::ServiceExt;
use weft_model::RawBatch;

use super::*;
use crate::door::Limits;
use crate::door::records::refused;
use crate::queue::{Bounds, Delivery, Queue};

fn door(bounds: Bounds) -> (Router, Queue) {
    let queue = Queue::new(bounds);
    let limits = Limits { record_bytes_max: 256, room_wait: Duration::from_millis(1), ..Limits::default() };
    let streams = Arc::new(BTreeSet::from([StreamId::from("okta/system_log")]));
    let ingress = Ingress { queue: queue.clone(), limits, streams };
    let tokens = Tokens(vec![Token::new("beat", "s3cret-of-a-beat", false, None)]);
    (routes(Bulk::new(ingress, tokens, vec![("logs-okta*".into(), "okta/system_log".into())])), queue)
}

async fn send(router: &Router, method: &str, uri: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(uri).header(header::AUTHORIZATION, "Bearer s3cret-of-a-beat");
    let response = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    assert_eq!(response.headers().get("x-elastic-product").unwrap(), "Elasticsearch", "{uri}");
    let (status, body) = (response.status(), axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap());
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn writer(queue: &Queue) -> tokio::task::JoinHandle<Vec<RawBatch>> {
    let queue = queue.clone();
    tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(group) = queue.next(1 << 20).await {
            all.extend(group.into_iter().map(Delivery::acknowledge));
        }
        all
    })
}

async fn written(queue: Queue, log: tokio::task::JoinHandle<Vec<RawBatch>>) -> Vec<RawBatch> {
    queue.close();
    log.await.unwrap()
}

fn statuses(answer: &Value) -> Vec<u64> {
    answer["items"].as_array().unwrap().iter().map(|item| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn each_action_has_its_status_and_each_index_its_stream() {
    let (router, queue) = door(Bounds::default());
    let log = writer(&queue);
    let body = [
        r#"{"create":{"_index":"logs-okta.system-default","_id":"a1"}}"#,
        r#"{"eventType":"x"}"#,
        r#"{"index":{"_index":"other"}}"#,
        r#"{"message":"plain"}"#,
        r#"{"update":{"_index":"other","_id":"7"}}"#,
        r#"{"doc":{"a":1}}"#,
        r#"{"delete":{"_index":"other","_id":"7"}}"#,
        r#"{"index":{"_index":"other"}}"#,
        r#"{"torn": "#,
        r#"{"index":{}}"#,
        r#"{"no":"index"}"#,
        r#"{"create":{"_index":"okta/system_log"}}"#,
        r#"{"eventType":"y"}"#,
    ];
    let (status, answer) = send(&router, "POST", "/_bulk", body.join("\n")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((answer["errors"].as_bool(), statuses(&answer)), (Some(true), vec![201, 201, 400, 400, 400, 400, 201]));
    assert_eq!(answer["items"][0]["create"]["_id"], "a1");
    assert_eq!(answer["items"][2]["update"]["error"]["type"], "illegal_argument_exception");
    let batches = written(queue, log).await;
    let taken: Vec<(&str, &str)> = batches
        .iter()
        .filter(|b| refused(b).is_none())
        .flat_map(|b| b.records.iter().map(|r| (&*b.stream.0, std::str::from_utf8(&r.bytes).unwrap())))
        .collect();
    assert_eq!(taken, [("okta/system_log", r#"{"eventType":"x"}"#), ("auto", r#"{"message":"plain"}"#), ("okta/system_log", r#"{"eventType":"y"}"#)]);
    let kept: Vec<Bytes> = batches.iter().filter_map(refused).flatten().map(|reject| reject.raw).collect();
    for lost in [r#"{"doc":{"a":1}}"#, r#"{"torn": "#, r#"{"no":"index"}"#] {
        assert!(kept.iter().any(|raw| raw == lost), "{lost} is kept: {kept:?}");
    }
}

#[tokio::test]
async fn a_request_sent_again_doubles_nothing_and_two_ids_are_two_events() {
    let (router, queue) = door(Bounds::default());
    let log = writer(&queue);
    let body = "{\"create\":{\"_id\":\"1\"}}\n{\"a\":1}\n{\"create\":{\"_id\":\"2\"}}\n{\"a\":1}\n{\"create\":{}}\n{\"a\":1}\n";
    for _ in 0..2 {
        let (_, answer) = send(&router, "POST", "/metrics/_bulk?filter_path=errors", body).await;
        assert_eq!(answer, serde_json::json!({"took": answer["took"], "errors": false}));
    }
    let batches = written(queue, log).await;
    let ids: Vec<_> = batches.iter().flat_map(|b| b.records.iter().map(|r| r.id)).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (6, 3));
}

#[tokio::test]
async fn without_room_the_items_say_so_one_by_one() {
    let (router, queue) = door(Bounds { lane_bytes_max: 10, total_bytes_max: 10, lanes_max: 1 });
    // Somebody else has the only lane.
    let other = Batch::of("other");
    let _waiting = queue.try_push(other).unwrap();
    let (status, answer) = send(&router, "POST", "/_bulk", "{\"index\":{\"_index\":\"x\"}}\n{\"a\":1}\n").await;
    assert_eq!((status, statuses(&answer)), (StatusCode::OK, vec![429]));
    assert_eq!(answer["items"][0]["index"]["error"]["type"], "es_rejected_execution_exception");
}

struct Batch;

impl Batch {
    fn of(source: &str) -> RawBatch {
        let mut batcher = super::super::records::Batcher::new(
            source.into(),
            "auto".into(),
            weft_model::Context::default(),
            super::super::records::Salt::content(Bytes::new()),
            weft_model::Timestamp(0),
            100,
        );
        batcher.record(Bytes::from_static(b"x"));
        batcher.take(&weft_model::Position::default()).remove(0)
    }
}

#[tokio::test]
async fn a_sender_finds_what_it_asks_for_and_nobody_comes_in_without_a_token() {
    let (router, _queue) = door(Bounds::default());
    let (_, root) = send(&router, "GET", "/", "").await;
    assert!(root["version"]["number"].as_str().unwrap().starts_with("8."));
    assert_eq!(send(&router, "GET", "/_license", "").await.1["license"]["status"], "active");
    assert_eq!(send(&router, "GET", "/_ilm/policy/x", "").await.0, StatusCode::NOT_FOUND);
    for path in ["/_ilm/policy/x", "/_index_template/x", "/_ingest/pipeline/x", "/_data_stream/x", "/an-index"] {
        assert_eq!(send(&router, "PUT", path, "{}").await.1["acknowledged"], true, "{path}");
    }
    assert_eq!(send(&router, "GET", "/x/_search", "").await.0, StatusCode::BAD_REQUEST);
    for path in ["/", "/_license", "/_index_template/x"] {
        let bare = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(bare.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let bare = router.clone().oneshot(Request::post("/_bulk").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(send(&router, "POST", "/_bulk", "").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn below_a_path_the_root_is_found_with_and_without_a_slash() {
    let ingress = Ingress { queue: Queue::new(Bounds::default()), limits: Limits::default(), streams: Arc::new(BTreeSet::new()) };
    let router = below("/ingest/elastic", Bulk::new(ingress, Tokens(vec![Token::new("beat", "s3cret-of-a-beat", false, None)]), Vec::new()));
    for path in ["/ingest/elastic", "/ingest/elastic/", "/ingest/elastic/_license"] {
        assert_eq!(send(&router, "GET", path, "").await.0, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn one_document_and_packed_bodies() {
    let (router, queue) = door(Bounds::default());
    let log = writer(&queue);
    let (status, answer) = send(&router, "POST", "/logs-okta/_doc", "{\n \"pretty\": 1\n}").await;
    assert_eq!((status, answer["result"].as_str()), (StatusCode::CREATED, Some("created")));
    assert_eq!(send(&router, "PUT", "/logs-okta/_create/7", "[1]").await.0, StatusCode::BAD_REQUEST);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"{\"index\":{\"_index\":\"x\"}}\n{\"a\":1}\n{\"index\":{\"_index\":\"x\"}}\n{\"b\":1}\n").unwrap();
    let whole = gzip.finish().unwrap();
    for (body, expected) in [(whole.clone(), StatusCode::OK), (whole.split_at(whole.len() - 9).0.to_vec(), StatusCode::BAD_REQUEST)] {
        let request = Request::post("/_bulk").header(header::AUTHORIZATION, "Bearer s3cret-of-a-beat").header(header::CONTENT_ENCODING, "gzip");
        assert_eq!(router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap().status(), expected);
    }
    let batches = written(queue, log).await;
    assert!(batches.iter().any(|b| b.records.iter().any(|r| r.bytes == "{\n \"pretty\": 1\n}")), "a document keeps its line ends");
}

#[test]
fn names_fit_patterns() {
    for (pattern, name) in [("a", "a"), ("a*", "abc"), ("*", ""), ("a*c*e", "abcde"), ("*-*", "x-y")] {
        assert!(fits(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [("a", "ab"), ("a*b", "a"), ("a*c", "abd"), ("ab*ba", "aba")] {
        assert!(!fits(pattern, name), "{pattern} {name}");
    }
}
