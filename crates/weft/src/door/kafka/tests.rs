use std::collections::BTreeSet;

use rskafka::client::partition::Compression;
use rskafka::record::Record;
use weft_model::RecordId;
use weft_testkit::server;

use super::*;
use crate::door::Limits;
use crate::queue::{Bounds, Delivery, Queue};

const PARTITIONS: i32 = 3;
const RECORDS: usize = 300;

async fn filled(address: &str) -> Client {
    let client = ClientBuilder::new(vec![address.to_owned()]).build().await.unwrap();
    client.controller_client().unwrap().create_topic("telemetry", PARTITIONS, 1, 5_000).await.unwrap();
    for partition in 0..PARTITIONS {
        produce(&client, partition, 0..RECORDS).await;
    }
    client
}

async fn produce(client: &Client, partition: i32, range: std::ops::Range<usize>) {
    let opened = client.partition_client("telemetry", partition, UnknownTopicHandling::Retry).await.unwrap();
    let record = |n: usize| Record {
        key: None,
        value: Some(format!("{{\"p\":{partition},\"n\":{n}}}").into_bytes()),
        headers: BTreeMap::new(),
        timestamp: std::time::SystemTime::UNIX_EPOCH.into(),
    };
    opened.produce(range.map(record).collect(), Compression::NoCompression).await.unwrap();
}

/// Reads until so many different records were stored; the first group is lost when `fail` is set.
async fn read(address: &str, positions: BTreeMap<SourceId, Position>, records: usize, fail: bool) -> (BTreeSet<RecordId>, BTreeMap<SourceId, Position>) {
    let (queue, stop) = (Queue::new(Bounds::default()), CancellationToken::new());
    let ingress = Ingress { queue: queue.clone(), limits: Limits::default(), streams: Arc::new(BTreeSet::new()) };
    let config =
        KafkaConfig { brokers: vec![address.to_owned()], topic: "telemetry".to_owned(), latest: false, login: None, ca: None, stream: "auto".to_owned() };
    let source = Kafka { ingress, config, stream: "auto".into(), framing: Framing::default(), positions, stop: stop.clone() };
    let task = tokio::spawn(source.run());
    if fail {
        drop(queue.next(1).await.unwrap());
    }
    let (mut ids, mut reached) = (BTreeSet::new(), BTreeMap::new());
    while ids.len() < records {
        for batch in queue.next(1 << 20).await.unwrap().into_iter().map(Delivery::acknowledge) {
            ids.extend(batch.records.iter().map(|record| record.id));
            reached.insert(batch.source.clone(), batch.next.clone());
        }
    }
    stop.cancel();
    task.await.unwrap();
    (ids, reached)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_partition_is_read_from_the_position_that_was_committed() {
    let Some(server) = server::kafka() else { return };
    let client = filled(&server.address).await;
    let all = RECORDS * usize::try_from(PARTITIONS).unwrap();
    let (first, reached) = read(&server.address, BTreeMap::new(), all, true).await;
    assert_eq!((first.len(), reached.len()), (all, 3));
    assert!(reached.values().all(|position| *position == Position(RECORDS.to_string())), "{reached:?}");
    // Without a position all comes again, with the same ids.
    assert_eq!(read(&server.address, BTreeMap::new(), all, false).await.0, first);
    produce(&client, 1, RECORDS..RECORDS + 5).await;
    let (rest, reached) = read(&server.address, reached, 5, false).await;
    assert_eq!((rest.len(), rest.is_disjoint(&first)), (5, true));
    assert_eq!(reached.get(&SourceId::from("kafka/telemetry/1")), Some(&Position((RECORDS + 5).to_string())));
}
