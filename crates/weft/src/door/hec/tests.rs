use std::collections::BTreeSet;

use axum::http::Request;
use tower::ServiceExt;

use super::*;
use crate::door::Limits;
use crate::queue::{Bounds, Queue};

fn collector() -> (Router, Queue) {
    let queue = Queue::new(Bounds::default());
    let streams = Arc::new(BTreeSet::from([StreamId::from("zeek/log")]));
    let ingress = Ingress { queue: queue.clone(), limits: Limits::default(), streams };
    let tokens = Tokens(vec![Token::new("plain", "p", false, None), Token::new("acked", "a", true, None)]);
    (routes(Hec::new(ingress, tokens)), queue)
}

async fn send(router: &Router, uri: &str, token: &str, body: &str) -> (u16, Value) {
    let request = Request::post(uri).header(header::AUTHORIZATION, format!("Splunk {token}")).body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn write_one(queue: &Queue) -> Vec<weft_model::RawBatch> {
    queue.next(1 << 20).await.unwrap().into_iter().map(crate::queue::Delivery::acknowledge).collect()
}

#[tokio::test]
async fn events_keep_their_bytes_and_a_bad_one_keeps_its_neighbours() {
    let (router, queue) = collector();
    let body = r#"{"event":{"b": 1,"a":2},"sourcetype":"zeek/log","source":"/opt/zeek/conn.log"}{"nope":1}{"event":"text \"line\""}"#;
    let sent = tokio::spawn(async move { send(&router, "/services/collector/event", "p", body).await });
    let mut batches = write_one(&queue).await;
    while batches.len() < 3 {
        batches.extend(write_one(&queue).await);
    }
    assert_eq!(sent.await.unwrap(), (200, json!({"text": "Success", "code": 0})));
    let raw = |at: usize| String::from_utf8_lossy(&batches[at].records[0].bytes).into_owned();
    assert_eq!(raw(0), r#"{"b": 1,"a":2}"#);
    assert_eq!((&*batches[0].stream.0, batches[0].context.file.as_deref()), ("zeek/log", Some("conn.log")));
    assert_eq!(raw(1), "text \"line\"");
    assert_eq!(crate::door::records::refused(&batches[2]).unwrap()[0].message, "not an event envelope: event field is required");
}

#[tokio::test]
async fn codes_as_documented() {
    let (router, _queue) = collector();
    let code = async |uri: &str, token: &str, body: &str| {
        let (status, answer) = send(&router, uri, token, body).await;
        (status, answer["code"].as_u64().unwrap())
    };
    assert_eq!(code("/services/collector", "wrong", "{}").await, (403, 4));
    assert_eq!(code("/services/collector", "p", "  ").await, (400, 5));
    assert_eq!(code("/services/collector", "a", r#"{"event":1}"#).await, (400, 10));
    assert_eq!(code("/services/collector/ack?channel=c", "p", r#"{"acks":[0]}"#).await, (400, 14));
    assert_eq!(code("/services/collector/ack?channel=c", "a", "nonsense").await, (400, 6));
    let bare = Request::post("/services/collector").body(Body::from("{}")).unwrap();
    assert_eq!(router.clone().oneshot(bare).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let health = Request::get("/services/collector/health").body(Body::empty()).unwrap();
    assert_eq!(router.clone().oneshot(health).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_acknowledgement_turns_true_after_the_write() {
    let (router, queue) = collector();
    let (status, answer) = send(&router, "/services/collector/raw?channel=c1", "a", "one\ntwo\n").await;
    assert_eq!((status, &answer["ackId"]), (200, &json!(0)));
    let ask = async || send(&router, "/services/collector/ack?channel=c1", "a", r#"{"acks":[0]}"#).await.1;
    assert_eq!(ask().await, json!({"acks": {"0": false}}));
    let batches = write_one(&queue).await;
    assert_eq!(batches[0].records.len(), 2);
    let mut told = ask().await;
    while told == json!({"acks": {"0": false}}) {
        tokio::task::yield_now().await;
        told = ask().await;
    }
    assert_eq!(told, json!({"acks": {"0": true}}));
}
