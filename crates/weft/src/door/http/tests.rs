use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Request;
use tower::ServiceExt;

use super::*;
use crate::door::Limits;
use crate::door::token::Token;
use crate::queue::{Bounds, Queue};

fn door(bounds: Bounds) -> (Router, Queue) {
    let queue = Queue::new(bounds);
    let limits = Limits { record_bytes_max: 64, room_wait: Duration::from_millis(1), ..Limits::default() };
    let streams = Arc::new(BTreeSet::from([StreamId::from("okta/system_log")]));
    let ingress = Ingress { queue: queue.clone(), limits, streams };
    (routes(Http::new(ingress, Tokens(vec![Token::new("t", "s", false, None)]), registry())), queue)
}

fn registry() -> Arc<Registry> {
    weft_testkit::registry().0
}

async fn send(router: &Router, uri: &str, body: impl Into<Body>) -> (StatusCode, String) {
    let request = Request::post(uri).header(header::AUTHORIZATION, "Bearer s").body(body.into()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn writer(queue: Queue) -> tokio::task::JoinHandle<Vec<weft_model::RawBatch>> {
    tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(group) = queue.next(1 << 20).await {
            all.extend(group.into_iter().map(crate::queue::Delivery::acknowledge));
        }
        all
    })
}

#[tokio::test]
async fn answers_when_stored_and_keeps_the_neighbours_of_a_long_record() {
    let (router, queue) = door(Bounds::default());
    let log = writer(queue.clone());
    let body = format!("{{\"a\":1}}\n{}\n{{\"a\":2}}", "x".repeat(100));
    let (status, answer) = send(&router, "/ingest/okta/system_log", body).await;
    assert_eq!((status, answer.as_str()), (StatusCode::OK, r#"{"accepted":2,"rejected":1}"#));
    queue.close();
    let batches = log.await.unwrap();
    assert_eq!(batches.iter().map(|b| b.records.len()).sum::<usize>(), 3);
    assert_eq!(batches.iter().filter_map(crate::door::records::refused).count(), 1);
}

#[tokio::test]
async fn a_document_gives_its_records_and_a_header_its_columns() {
    let (router, queue) = door(Bounds::default());
    let log = writer(queue.clone());
    let (_, answer) = send(&router, "/ingest/okta/system_log", "{\"cursor\":\"x\",\n \"events\": [\n  {\"a\":1},\n  {\"a\":2}\n ]}").await;
    assert_eq!(answer, r#"{"accepted":2,"rejected":0}"#);
    let (_, answer) = send(&router, "/ingest/ndjson", "date,user,action,result\n2026-03-02,ada,login,ok\n2026-03-02,bob,login,ok\n").await;
    assert_eq!(answer, r#"{"accepted":2,"rejected":0}"#);
    queue.close();
    let batches = log.await.unwrap();
    let records: Vec<&[u8]> = batches.iter().flat_map(|batch| &batch.records).map(|record| &*record.bytes).collect();
    assert_eq!(records, [&b"{\"a\":1}"[..], b"{\"a\":2}", b"2026-03-02,ada,login,ok", b"2026-03-02,bob,login,ok"]);
    assert_eq!(batches.last().unwrap().context.header.as_deref(), Some("date,user,action,result"));
}

#[tokio::test]
async fn says_what_is_wrong() {
    let (router, _queue) = door(Bounds::default());
    let (status, answer) = send(&router, "/ingest/ndjson?stream=okta/nope", "{}").await;
    assert_eq!((status, answer.as_str()), (StatusCode::NOT_FOUND, r#"{"error":"unknown stream `okta/nope`; near it: `okta/system_log`"}"#));
    let bare = Request::post("/ingest/ndjson").body(Body::empty()).unwrap();
    assert_eq!(router.clone().oneshot(bare).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let (router, queue) = door(Bounds { lane_bytes_max: 10, total_bytes_max: 10, lanes_max: 1 });
    let first = tokio::spawn({
        let router = router.clone();
        async move { send(&router, "/ingest/ndjson", "{}").await }
    });
    while queue.waiting_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    let request = Request::post("/ingest/ndjson").header(header::AUTHORIZATION, "Bearer s").body(Body::from("{\"b\":1}")).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "1");
    drop(queue.next(1).await);
    assert_eq!(first.await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE, "what was not written is not acknowledged");
}
