//! NATS JetStream as a source (feature `nats`): a durable consumer, each message acknowledged when it is on disk.
//!
//! The server keeps the position. What was stored and not acknowledged comes again and is known by
//! its number; what is acknowledged was stored.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, AckKind};
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use weft_ingest::frame::Framing;
use weft_model::{Position, StreamId};

use super::Ingress;
use super::queued::{Message, Pause, Queued};
use super::records::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX};
use crate::config::NatsConfig;

/// How long a fetch waits for the first message.
const FETCH_WAIT: Duration = Duration::from_secs(1);

/// The source at work.
pub struct Nats {
    /// The way to the log.
    pub ingress: Ingress,
    /// What is read.
    pub config: NatsConfig,
    /// Mapping of the records.
    pub stream: StreamId,
    /// How messages are cut.
    pub framing: Framing,
    /// Tells to stop.
    pub stop: CancellationToken,
}

impl Nats {
    /// Reads until told to stop; a server that is away is waited for.
    pub async fn run(self) {
        super::tls::install();
        let name = format!("nats/{}", self.config.jetstream);
        let mut pause = Pause::new(&name);
        while !self.stop.is_cancelled() {
            if let Err(message) = self.read(&name).await {
                pause.after(&message, &self.stop).await;
            }
        }
    }

    async fn read(&self, name: &str) -> Result<(), String> {
        let (consumer, made) = self.consumer().await?;
        let origin = format!("{name}/{made}");
        let (ingress, stream, framing) = (self.ingress.clone(), self.stream.clone(), self.framing.clone());
        let queued = Queued { ingress, source: name.to_owned(), origin, stream, framing };
        while !self.stop.is_cancelled() {
            let fetch = consumer.batch().max_messages(BATCH_RECORDS_MAX).max_bytes(BATCH_BYTES_MAX).expires(FETCH_WAIT);
            let mut fetched = fetch.messages().await.map_err(|fault| fault.to_string())?;
            let (mut messages, mut handles) = (Vec::new(), Vec::new());
            while let Some(message) = fetched.next().await {
                let message = message.map_err(|fault| fault.to_string())?;
                let number = message.info().map_err(|fault| fault.to_string())?.stream_sequence;
                messages.push(Message { number, subject: message.subject.to_string(), payload: message.payload.clone() });
                handles.push(message);
            }
            let Some(last) = messages.last().map(|last| last.number) else { continue };
            let stored = queued.store(messages, &Position(last.to_string())).await;
            // What was not stored is asked for again at once instead of after the wait.
            let kind = if stored.is_ok() { AckKind::Ack } else { AckKind::Nak(None) };
            for handle in handles {
                handle.ack_with(kind).await.map_err(|fault| fault.to_string())?;
            }
            stored?;
        }
        Ok(())
    }

    /// The durable consumer, and when its stream was made: numbers begin again in a new one.
    async fn consumer(&self) -> Result<(PullConsumer, i128), String> {
        let config = &self.config;
        let mut options = async_nats::ConnectOptions::new().name("weft");
        if let Some(file) = &config.credentials {
            options = options.credentials_file(file).await.map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
        }
        if let Some((user, password)) = &config.login {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(file) = &config.ca {
            options = options.add_root_certificates(file.clone());
        }
        let servers: Vec<&str> = config.url.split(',').map(str::trim).collect();
        let client = options.connect(servers).await.map_err(|fault| format!("`{}` cannot be reached: {fault}", config.url))?;
        let mut stream = jetstream::new(client).get_stream(&config.jetstream).await.map_err(|fault| format!("stream `{}`: {fault}", config.jetstream))?;
        let made = stream.info().await.map_err(|fault| fault.to_string())?.created.unix_timestamp_nanos();
        let wanted = pull::Config {
            durable_name: Some(config.consumer.clone()),
            filter_subject: config.subject.clone().unwrap_or_default(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(config.ack_seconds),
            max_ack_pending: i64::try_from(BATCH_RECORDS_MAX).unwrap_or(i64::MAX),
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(&config.consumer, wanted).await.map_err(|fault| format!("consumer `{}`: {fault}", config.consumer))?;
        Ok((consumer, made))
    }
}

#[cfg(test)]
mod tests;
