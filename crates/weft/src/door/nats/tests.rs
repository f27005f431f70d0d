use std::collections::BTreeSet;
use std::sync::Arc;

use weft_model::{RawBatch, RecordId};
use weft_testkit::server::{self, Server};

use super::*;
use crate::door::Limits;
use crate::queue::{Bounds, Delivery, Queue};

const MESSAGES: usize = 500;

fn config(server: &Server, consumer: &str) -> NatsConfig {
    NatsConfig {
        url: format!("nats://{}", server.address),
        jetstream: "TELEMETRY".to_owned(),
        consumer: consumer.to_owned(),
        subject: Some("logs.>".to_owned()),
        credentials: None,
        login: None,
        ca: None,
        ack_seconds: 30,
        stream: "auto".to_owned(),
    }
}

async fn publish(context: &jetstream::Context, subject: &'static str, payload: String) {
    context.publish(subject, payload.into()).await.unwrap().await.unwrap();
}

/// A stream with numbered messages, and a subject that is not asked for. Not of all subjects: those of the server itself,
/// acknowledgements among them, would be kept in it as well.
async fn filled(server: &Server) -> jetstream::Context {
    let context = jetstream::new(async_nats::connect(&server.address).await.unwrap());
    let stream = jetstream::stream::Config {
        name: "TELEMETRY".to_owned(),
        subjects: vec!["logs.>".to_owned(), "other".to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.create_stream(stream).await.unwrap();
    for n in 0..MESSAGES {
        publish(&context, if n % 2 == 0 { "logs.a" } else { "logs.b" }, format!("{{\"n\":{n}}}")).await;
    }
    publish(&context, "logs.a", "{\"n\":\"two\"}\n{\"n\":\"lines\"}".to_owned()).await;
    publish(&context, "other", "{\"n\":\"no\"}".to_owned()).await;
    context
}

/// A source that runs, and its queue.
struct Running {
    queue: Queue,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(config: NatsConfig) -> Self {
        let (queue, stop) = (Queue::new(Bounds::default()), CancellationToken::new());
        let ingress = Ingress { queue: queue.clone(), limits: Limits::default(), streams: Arc::new(BTreeSet::new()) };
        let source = Nats { ingress, config, stream: "auto".into(), framing: Framing::default(), stop: stop.clone() };
        Self { queue, stop, task: tokio::spawn(source.run()) }
    }

    /// Stores until so many different records were seen.
    async fn store(&self, records: usize) -> Vec<RawBatch> {
        let (mut all, mut ids) = (Vec::new(), BTreeSet::new());
        while ids.len() < records {
            let group = self.queue.next(1 << 20).await.unwrap();
            let stored: Vec<RawBatch> = group.into_iter().map(Delivery::acknowledge).collect();
            ids.extend(stored.iter().flat_map(|batch| batch.records.iter().map(|record| record.id)));
            all.extend(stored);
        }
        all
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn ids(batches: &[RawBatch]) -> BTreeSet<RecordId> {
    batches.iter().flat_map(|batch| batch.records.iter().map(|record| record.id)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_stored_comes_again_and_what_is_stored_does_not() {
    let Some(server) = server::nats() else { return };
    let context = filled(&server).await;
    let running = Running::start(config(&server, "one"));
    // The disk fails: nothing of the first group is stored, so all of it must come again.
    drop(running.queue.next(1 << 20).await.unwrap());
    let first = running.store(MESSAGES + 2).await;
    assert_eq!(ids(&first).len(), MESSAGES + 2);
    let subjects: BTreeSet<_> = first.iter().filter_map(|batch| batch.context.file.clone()).collect();
    assert_eq!(subjects.into_iter().collect::<Vec<_>>(), ["logs.a".into(), "logs.b".into()]);
    running.stop().await;
    // A consumer whose acknowledgements were all lost: the same records with the same ids.
    let again = Running::start(config(&server, "two"));
    assert_eq!(ids(&again.store(MESSAGES + 2).await), ids(&first));
    again.stop().await;
    // The first consumer goes on where it was: the server keeps its position.
    for n in 0..10 {
        publish(&context, "logs.a", format!("{{\"late\":{n}}}")).await;
    }
    let later = Running::start(config(&server, "one"));
    let rest = later.store(10).await;
    assert!(rest.iter().flat_map(|batch| &batch.records).all(|record| record.bytes.starts_with(b"{\"late\"")), "{rest:?}");
    assert_eq!(rest.last().unwrap().next, Position((MESSAGES + 12).to_string()));
    later.stop().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut away = NatsConfig {
        url: format!("nats://{free}"),
        jetstream: "X".to_owned(),
        consumer: "x".to_owned(),
        subject: None,
        credentials: None,
        login: None,
        ca: None,
        ack_seconds: 30,
        stream: "auto".to_owned(),
    };
    let running = Running::start(away.clone());
    running.stop().await;
    away.credentials = Some("/nowhere/file.creds".into());
    let (queue, stop) = (Queue::new(Bounds::default()), CancellationToken::new());
    let ingress = Ingress { queue, limits: Limits::default(), streams: Arc::new(BTreeSet::new()) };
    let source = Nats { ingress, config: away, stream: "auto".into(), framing: Framing::default(), stop };
    let message = source.read("nats/X").await.unwrap_err();
    assert!(message.starts_with("`/nowhere/file.creds` cannot be read"), "{message}");
}
