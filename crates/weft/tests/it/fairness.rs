//! One source floods, or nobody reads: the others are served, memory stays bounded, nothing is lost.
//! Each story has its opposite, which shows that the test can lose.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use weft::door::syslog::Syslog;
use weft::door::token::{Token, Tokens};
use weft::door::{Ingress, Limits, http};
use weft::queue::{Bounds, Delivery, Queue};
use weft_model::{Context, Position, RawBatch, RawRecord, RecordId, StreamId, Timestamp};

const SOURCES: usize = 20;
const FLOOD_BATCHES: usize = 24;
const BATCH_BYTES: usize = 1 << 20;

fn batch(source: &str, name: &str, size: usize) -> RawBatch {
    let (stream, mut text) = (StreamId::from("auto"), name.as_bytes().to_vec());
    text.resize(size.max(text.len()), b'x');
    let record = RawRecord { id: RecordId::of(&stream, source.as_bytes(), &text), bytes: Bytes::from(text) };
    RawBatch { source: source.into(), stream, context: Context::default(), next: Position::default(), received: Timestamp(0), records: vec![record] }
}

/// Bytes that are read before the last of the quiet sources has had its turn.
async fn waited(source: impl Fn(usize) -> String) -> usize {
    let queue = Queue::new(Bounds { lane_bytes_max: 64 << 20, ..Bounds::default() });
    for n in 0..FLOOD_BATCHES {
        queue.push(batch(&source(0), &format!("flood {n}"), BATCH_BYTES)).await.unwrap();
    }
    for n in 1..SOURCES {
        queue.push(batch(&source(n), &format!("quiet {n}"), 100)).await.unwrap();
    }
    let (mut bytes, mut quiet) = (0, 0);
    while quiet < SOURCES - 1 {
        for record in queue.next(1).await.unwrap().into_iter().flat_map(|delivery| delivery.acknowledge().records) {
            quiet += usize::from(record.bytes.starts_with(b"quiet"));
            bytes += record.bytes.len();
        }
    }
    bytes
}

#[tokio::test]
async fn a_flood_of_one_source_delays_nineteen_others_by_one_turn() {
    let fair = waited(|n| format!("source {n}")).await;
    assert!(fair <= 2 * BATCH_BYTES, "{fair} bytes were read before all quiet sources had their turn");
    // The opposite: everything in one lane, as a queue without fairness has it.
    let unfair = waited(|_| "all".to_owned()).await;
    assert!(unfair >= FLOOD_BATCHES * BATCH_BYTES, "in one lane the quiet ones wait behind the flood: {unfair}");
    println!("bytes before the last of {} quiet sources had its turn: {fair} fair, {unfair} in one lane", SOURCES - 1);
}

struct Doors {
    router: Router,
    ingress: Ingress,
}

fn doors(bounds: Bounds) -> Doors {
    let limits = Limits { room_wait: Duration::from_millis(5), bodies_max: 1000, ..Limits::default() };
    let ingress = Ingress { queue: Queue::new(bounds), limits, streams: Arc::new(BTreeSet::new()) };
    let tokens = Tokens(vec![Token::new("t", "s", false, None)]);
    Doors { router: http::routes(http::Http::new(ingress.clone(), tokens, weft_testkit::registry().0)), ingress }
}

async fn send(router: &Router, body: String) -> (StatusCode, bool) {
    let request = Request::post("/ingest/ndjson").header(header::AUTHORIZATION, "Bearer s").body(Body::from(body)).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    (response.status(), response.headers().contains_key(header::RETRY_AFTER))
}

/// Sends until somebody is told to come back, or `most` bodies were taken; gives the bytes that wait.
async fn fill(doors: &Doors, most: usize) -> (bool, usize) {
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..most {
        let (router, body) = (doors.router.clone(), format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(10_000)));
        waiting.spawn(async move { send(&router, body).await });
        tokio::task::yield_now().await;
    }
    // Who found no room is told after its wait; who found some waits for a disk that never writes.
    let told = tokio::time::timeout(100 * doors.ingress.limits.room_wait, waiting.join_next()).await;
    if let Ok(Some(answered)) = told {
        assert_eq!(answered.unwrap(), (StatusCode::TOO_MANY_REQUESTS, true), "a sender is told to come back, and when");
        return (true, doors.ingress.queue.waiting_bytes());
    }
    (false, doors.ingress.queue.waiting_bytes())
}

#[tokio::test]
async fn while_nobody_reads_senders_are_told_to_wait_and_memory_is_bounded() {
    let bounds = Bounds { lane_bytes_max: 1 << 20, total_bytes_max: 2 << 20, lanes_max: 64 };
    let (told, bytes) = fill(&doors(bounds), 400).await;
    assert!(told && bytes <= 2 << 20, "{told} {bytes}");
    // The opposite: without a bound nobody is told, and what waits grows.
    let endless = Bounds { lane_bytes_max: usize::MAX / 2, total_bytes_max: usize::MAX / 2, lanes_max: 64 };
    let (told, bytes) = fill(&doors(endless), 400).await;
    assert!(!told && bytes > 2 << 20, "{told} {bytes}");
}

#[tokio::test]
async fn a_connection_is_not_read_on_while_nobody_reads_and_loses_nothing_when_somebody_does() {
    const MESSAGES: usize = 20_000;
    let doors = doors(Bounds { lane_bytes_max: 1 << 20, total_bytes_max: 2 << 20, lanes_max: 8 });
    let stop = CancellationToken::new();
    let door = Syslog { ingress: doors.ingress.clone(), stream: "auto".into(), stop: stop.clone() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = tokio::spawn(door.tcp(listener, None));
    let mut sender = tokio::net::TcpStream::connect(address).await.unwrap();
    let text: String = (0..MESSAGES).map(|n| format!("<13>{n} {}\n", "x".repeat(1000))).collect();
    let whole = text.len();
    let sending = tokio::spawn(async move {
        sender.write_all(text.as_bytes()).await.unwrap();
        sender.shutdown().await.unwrap();
    });
    let queue = doors.ingress.queue.clone();
    while queue.waiting_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    // The kernel's buffers hold some; the sender stands still long before its end.
    assert!(!sending.is_finished() && queue.waiting_bytes() < whole / 4, "{} of {whole} bytes wait", queue.waiting_bytes());
    let (mut ids, mut records) = (BTreeSet::new(), 0);
    while records < MESSAGES {
        for batch in queue.next(1 << 20).await.unwrap().into_iter().map(Delivery::acknowledge) {
            records += batch.records.len();
            ids.extend(batch.records.iter().map(|record| record.id));
        }
        assert!(queue.waiting_bytes() <= 2 << 20);
    }
    assert_eq!((records, ids.len()), (MESSAGES, MESSAGES));
    sending.await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
}
