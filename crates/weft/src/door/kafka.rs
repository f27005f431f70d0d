//! Kafka as a source (feature `kafka`): every partition of a topic, from the offset that the lake
//! has committed.
//!
//! The position is ours, not the group coordinator's: it is committed with the data that it covers,
//! so that no rebalancing and no lost commit can double or lose a record.

use std::collections::BTreeMap;
use std::sync::Arc;

use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weft_ingest::frame::Framing;
use weft_model::{Position, SourceId, StreamId};

use super::Ingress;
use super::queued::{Message, Pause, Queued};
use super::records::BATCH_BYTES_MAX;
use crate::config::KafkaConfig;

/// How long a fetch waits for the first record.
const FETCH_WAIT_MS: i32 = 1000;
/// Largest answer of a broker; a larger record batch cannot be read.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The source at work.
pub struct Kafka {
    /// The way to the log.
    pub ingress: Ingress,
    /// What is read.
    pub config: KafkaConfig,
    /// Mapping of the records.
    pub stream: StreamId,
    /// How messages are cut.
    pub framing: Framing,
    /// How far each partition was read before.
    pub positions: BTreeMap<SourceId, Position>,
    /// Tells to stop.
    pub stop: CancellationToken,
}

impl Kafka {
    /// Reads until told to stop; brokers that are away are waited for.
    pub async fn run(self) {
        super::tls::install();
        let (name, reader) = (format!("kafka/{}", self.config.topic), Arc::new(self));
        let (mut reached, mut pause) = (BTreeMap::new(), Pause::new(&name));
        while !reader.stop.is_cancelled() {
            if let Err(message) = reader.read(&mut reached).await {
                pause.after(&message, &reader.stop).await;
            }
        }
    }

    /// Reads all partitions until one fails; `reached` is how far each has come.
    async fn read(self: &Arc<Self>, reached: &mut BTreeMap<i32, i64>) -> Result<(), String> {
        let client = self.client().await?;
        let topics = client.list_topics().await.map_err(|fault| fault.to_string())?;
        let topic = topics.into_iter().find(|topic| topic.name == self.config.topic).ok_or_else(|| format!("there is no topic `{}`", self.config.topic))?;
        let (mut partitions, over) = (JoinSet::new(), self.stop.child_token());
        for partition in topic.partitions {
            let opened = client.partition_client(&self.config.topic, partition, UnknownTopicHandling::Retry).await.map_err(|fault| fault.to_string())?;
            let (reader, over, from) = (Arc::clone(self), over.clone(), reached.get(&partition).copied());
            partitions.spawn(async move { (partition, reader.partition(&opened, from, &over).await) });
        }
        let mut failed = Ok(());
        while let Some(ended) = partitions.join_next().await {
            let (partition, (offset, outcome)) = ended.map_err(|fault| fault.to_string())?;
            reached.extend(offset.map(|offset| (partition, offset)));
            if let Err(message) = outcome {
                failed = Err(message);
                over.cancel();
            }
        }
        failed
    }

    async fn client(&self) -> Result<Client, String> {
        let mut builder = ClientBuilder::new(self.config.brokers.clone()).client_id("weft").max_message_size(MESSAGE_BYTES_MAX);
        if let Some(ca) = &self.config.ca {
            builder = builder.tls_config(super::tls::client(ca, super::now())?);
        }
        if let Some((user, password)) = &self.config.login {
            builder = builder.sasl_config(SaslConfig::ScramSha512(Credentials::new(user.clone(), password.clone())));
        }
        let built = builder.build();
        tokio::select! {
            () = self.stop.cancelled() => Err("told to stop".to_owned()),
            built = built => built.map_err(|fault| format!("`{}` cannot be reached: {fault}", self.config.brokers.join(", "))),
        }
    }

    /// Reads one partition; gives how far it came.
    async fn partition(&self, client: &PartitionClient, from: Option<i64>, over: &CancellationToken) -> (Option<i64>, Result<(), String>) {
        let source = format!("kafka/{}/{}", client.topic(), client.partition());
        let committed = || self.positions.get(&SourceId::from(source.as_str())).and_then(|position| position.0.parse().ok());
        let mut offset = match from.or_else(committed) {
            Some(offset) => offset,
            None => match client.get_offset(if self.config.latest { OffsetAt::Latest } else { OffsetAt::Earliest }).await {
                Ok(offset) => offset,
                Err(fault) => return (None, Err(fault.to_string())),
            },
        };
        let (ingress, stream, framing) = (self.ingress.clone(), self.stream.clone(), self.framing.clone());
        let queued = Queued { ingress, source: source.clone(), origin: source, stream, framing };
        while !over.is_cancelled() {
            let fetch = client.fetch_records(offset, 1..i32::try_from(BATCH_BYTES_MAX).unwrap_or(i32::MAX), FETCH_WAIT_MS);
            let fetched = tokio::select! {
                () = over.cancelled() => break,
                fetched = fetch => fetched,
            };
            let records = match fetched {
                Ok((records, _)) => records,
                Err(fault) => return (Some(offset), Err(format!("offset {offset}: {fault}"))),
            };
            // A batch begins where its first record is, which may be before what was asked for.
            let new = records.into_iter().filter(|record| record.offset >= offset);
            let messages: Vec<Message> = new
                .map(|found| {
                    let payload = found.record.value.unwrap_or_default().into();
                    Message { number: u64::try_from(found.offset).unwrap_or(0), subject: client.topic().to_owned(), payload }
                })
                .collect();
            let Some(last) = messages.last().and_then(|last| i64::try_from(last.number).ok()) else { continue };
            if let Err(message) = queued.store(messages, &Position((last + 1).to_string())).await {
                return (Some(offset), Err(message));
            }
            offset = last + 1;
        }
        (Some(offset), Ok(()))
    }
}

#[cfg(test)]
mod tests;
