use std::collections::BTreeSet;
use std::io::Write as _;

use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;
use weft_model::RawBatch;

use super::*;
use crate::door::Limits;
use crate::door::records::refused;
use crate::queue::{Bounds, Delivery, Queue};

struct Door {
    router: Router,
    queue: Queue,
    log: tokio::task::JoinHandle<Vec<RawBatch>>,
}

impl Door {
    fn new() -> Self {
        let queue = Queue::new(Bounds::default());
        let ingress = Ingress { queue: queue.clone(), limits: Limits::default(), streams: Arc::new(BTreeSet::new()) };
        let router = routes(Otlp::new(ingress, Tokens(vec![Token::new("t", "s", false, None)])));
        let log = tokio::spawn({
            let queue = queue.clone();
            async move {
                let mut all = Vec::new();
                while let Some(group) = queue.next(1 << 20).await {
                    all.extend(group.into_iter().map(Delivery::acknowledge));
                }
                all
            }
        });
        Self { router, queue, log }
    }

    async fn send(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> (StatusCode, HeaderMap, Bytes) {
        let mut request = Request::post(path).header(header::AUTHORIZATION, "Bearer s");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (status, mut headers, body) = (response.status(), response.headers().clone(), response.into_body());
        let collected = http_body_util::BodyExt::collect(body).await.unwrap();
        headers.extend(collected.trailers().cloned().unwrap_or_default());
        (status, headers, collected.to_bytes())
    }

    async fn json(&self, body: impl Into<Body>) -> (StatusCode, Value) {
        let (status, _, body) = self.send("/ingest/v1/logs", &[("content-type", "application/json")], body).await;
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// The records and the causes of the rejects.
    async fn written(self) -> (Vec<Value>, Vec<RejectCause>) {
        self.queue.close();
        let batches = self.log.await.unwrap();
        let records = batches.iter().filter(|batch| refused(batch).is_none()).flat_map(|batch| &batch.records);
        let rejects = batches.iter().filter_map(refused).flatten().map(|reject| reject.cause).collect();
        (records.map(|record| serde_json::from_slice(&record.bytes).unwrap()).collect(), rejects)
    }
}

/// One request in the JSON form, with every kind of value.
fn request() -> Value {
    let values = json!([
        {"key": "text", "value": {"stringValue": "a"}}, {"key": "int", "value": {"intValue": "-7"}}, {"key": "double", "value": {"doubleValue": 1.5}},
        {"key": "bool", "value": {"boolValue": true}}, {"key": "bytes", "value": {"bytesValue": "AQI="}}, {"key": "none"},
        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "x"}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
        {"key": "text", "value": {"stringValue": "again"}},
    ]);
    json!({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeLogs": [{"scope": {"name": "s", "version": "1"}, "logRecords": [
            {"timeUnixNano": "1772438400123456789", "severityNumber": 9, "severityText": "INFO", "body": {"stringValue": "hello"}, "attributes": values,
             "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "flags": 1},
            {"observedTimeUnixNano": "1772438400000000000", "body": {"kvlistValue": {"values": []}}},
        ]}],
    }]})
}

fn expected() -> Value {
    json!({
        "resource": {"attributes": {"service.name": "shop"}}, "scope": {"name": "s", "version": "1"},
        "timeUnixNano": "1772438400123456789", "severityNumber": 9, "severityText": "INFO", "body": "hello",
        "attributes": {"text": "a", "int": -7, "double": 1.5, "bool": true, "bytes": "AQI=", "none": null, "list": [1, "x"], "map": {"k": "v"}, "text#2": "again"},
        "flags": 1, "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
    })
}

/// The same request in protobuf, written by hand from the field numbers of the specification.
fn protobuf() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2], varint(bytes.len()).as_slice(), bytes].concat();
    let pair = |key: &str, value: &[u8]| field(6, &[field(1, key.as_bytes()), field(2, value)].concat());
    let text = |text: &str| field(1, text.as_bytes());
    let attributes = [
        pair("text", &text("a")),
        pair("int", &[&[3 << 3], (-7_i64 as u64).to_varint().as_slice()].concat()),
        pair("double", &[&[4 << 3 | 1], 1.5_f64.to_le_bytes().as_slice()].concat()),
        pair("bool", &[2 << 3, 1]),
        pair("bytes", &field(7, &[1, 2])),
        field(6, &field(1, b"none")),
        pair("list", &field(5, &[field(1, &[3 << 3, 1]), field(1, &text("x"))].concat())),
        pair("map", &field(6, &field(1, &[field(1, b"k"), field(2, &text("v"))].concat()))),
        pair("text", &text("again")),
    ]
    .concat();
    let trace = [0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c];
    let one = [
        [&[1 << 3 | 1], 1_772_438_400_123_456_789_u64.to_le_bytes().as_slice()].concat(),
        vec![2 << 3, 9],
        field(3, b"INFO"),
        field(5, &text("hello")),
        attributes,
        [&[8 << 3 | 5], 1_u32.to_le_bytes().as_slice()].concat(),
        field(9, &trace),
        field(10, &[0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]),
    ]
    .concat();
    let two = [[&[11 << 3 | 1], 1_772_438_400_000_000_000_u64.to_le_bytes().as_slice()].concat(), field(5, &field(6, b""))].concat();
    let scope = field(1, &[field(1, b"s"), field(2, b"1")].concat());
    let resource = field(1, &field(1, &[field(1, b"service.name"), field(2, &text("shop"))].concat()));
    field(1, &[resource, field(2, &[scope, field(2, &one), field(2, &two)].concat())].concat())
}

trait Varint {
    fn to_varint(self) -> Vec<u8>;
}

impl Varint for u64 {
    fn to_varint(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self >= 0x80 {
            bytes.push((self & 0x7f) as u8 | 0x80);
            self >>= 7;
        }
        bytes.push(self as u8);
        bytes
    }
}

fn varint(length: usize) -> Vec<u8> {
    (length as u64).to_varint()
}

#[tokio::test]
async fn both_forms_give_the_same_records() {
    let door = Door::new();
    assert_eq!(door.json(request().to_string()).await, (StatusCode::OK, json!({})));
    let (status, headers, body) = door.send("/ingest/v1/logs", &[("content-type", "application/x-protobuf")], protobuf()).await;
    assert_eq!((status, body.len(), headers[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, 0, "application/x-protobuf"));
    let (records, rejects) = door.written().await;
    assert_eq!((records.len(), rejects.len()), (4, 0));
    assert_eq!(records[0], expected());
    assert_eq!(records[2], expected(), "protobuf");
    assert_eq!(records[1]["observedTimeUnixNano"], "1772438400000000000");
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_kept_and_its_neighbours_arrive() {
    let door = Door::new();
    let deep = "[".repeat(500) + &"]".repeat(500);
    let body = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"a"}}}},{{"body":{deep}}},5,{{"body":{{"stringValue":"b"}}}}]}}]}},7]}}"#
    );
    let (status, answer) = door.json(body).await;
    assert_eq!((status, answer["partialSuccess"]["rejectedLogRecords"].as_str()), (StatusCode::OK, Some("3")));
    assert_eq!(door.json("[]").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(door.json(r#"{"resourceLogs":[{"scopeLogs":"#).await.0, StatusCode::BAD_REQUEST);
    // A protobuf body that is cut in its second record: the first arrives, the rest is counted.
    let whole = protobuf();
    let cut = whole.split_at(whole.len() - 3).0.to_vec();
    let (status, _, body) = door.send("/ingest/v1/logs", &[("content-type", "application/x-protobuf")], cut).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!body.is_empty(), "a partial success");
    let (records, rejects) = door.written().await;
    assert_eq!(records.iter().filter(|record| record["body"] == "a" || record["body"] == "b").count(), 2);
    assert!(rejects.contains(&RejectCause::TooDeep) && rejects.len() >= 6, "{rejects:?}");
}

#[tokio::test]
async fn says_what_is_wrong() {
    let door = Door::new();
    let (status, ..) = door.send("/ingest/v1/logs", &[("content-type", "text/plain")], "x").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let bare = Request::post("/ingest/v1/logs").header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(door.router.clone().oneshot(bare).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let (status, _, body) = door.send("/ingest/v1/logs", &[("content-type", "application/x-protobuf"), ("content-encoding", "gzip")], "not gzip").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(proto::Status::decode(body).unwrap().message, "the body is not valid gzip");
}

#[tokio::test]
async fn grpc_takes_one_message_and_answers_with_a_status() {
    let door = Door::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&protobuf()).unwrap();
    for (flag, message) in [(0, protobuf()), (1, gzip.finish().unwrap())] {
        let framed = [&[flag], u32::try_from(message.len()).unwrap().to_be_bytes().as_slice(), &message].concat();
        let (status, headers, body) = door.send(grpc::PATH, &[("content-type", "application/grpc"), ("grpc-encoding", "gzip")], framed).await;
        assert_eq!((status, headers["grpc-status"].to_str().unwrap(), &body[..]), (StatusCode::OK, "0", &[0; 5][..]));
    }
    let (_, headers, _) = door.send(grpc::PATH, &[("content-type", "application/grpc")], &b"\0\0\0\0\x09x"[..]).await;
    assert_eq!((headers["grpc-status"].to_str().unwrap(), headers["grpc-message"].to_str().unwrap()), ("3", "the gRPC message breaks off"));
    let (records, rejects) = door.written().await;
    assert_eq!((records.len(), rejects), (4, vec![RejectCause::Container]));
}
