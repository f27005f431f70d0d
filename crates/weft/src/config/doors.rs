//! Ways in that need words of their own: TLS, bulk, webhooks, queues.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::door::tls::TlsFiles;

/// What is listened to and read beside HTTP, plain syslog and files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoorsConfig {
    /// Syslog over TLS.
    pub syslog_tls: Option<(SocketAddr, TlsFiles)>,
    /// A listener for the bulk API alone.
    pub bulk_listen: Option<SocketAddr>,
    /// Streams by index name.
    pub bulk_indices: Vec<(String, String)>,
    /// Webhooks.
    pub webhooks: Vec<WebhookConfig>,
    /// JetStream streams.
    pub nats: Vec<NatsConfig>,
    /// Topics.
    pub kafka: Vec<KafkaConfig>,
}

impl DoorsConfig {
    /// Every stream that is named here, with the entry that names it.
    pub fn streams(&self) -> impl Iterator<Item = (String, &String)> {
        let indices = self.bulk_indices.iter().map(|(index, stream)| (format!("index `{index}`"), stream));
        let webhooks = self.webhooks.iter().filter_map(|webhook| Some((format!("webhook `{}`", webhook.name), webhook.stream.as_ref()?)));
        let nats = self.nats.iter().map(|nats| ("NATS".to_owned(), &nats.stream));
        let kafka = self.kafka.iter().map(|kafka| ("Kafka".to_owned(), &kafka.stream));
        indices.chain(webhooks).chain(nats).chain(kafka)
    }
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Last part of its address.
    pub name: String,
    /// Connector whose manifest tells how deliveries are signed.
    pub connector: String,
    /// Secrets that are good.
    pub secrets: Vec<String>,
    /// Stream instead of the manifest's.
    pub stream: Option<String>,
}

/// One stream of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsConfig {
    /// `nats://host:port` or `tls://…`, several with commas.
    pub url: String,
    /// Name of the JetStream stream.
    pub jetstream: String,
    /// Name of the durable consumer; made when it is not there.
    pub consumer: String,
    /// Subjects, with `*` and `>`; none takes all.
    pub subject: Option<String>,
    /// File with credentials (`.creds`).
    pub credentials: Option<PathBuf>,
    /// User and password.
    pub login: Option<(String, String)>,
    /// Who signs the server's certificate (PEM).
    pub ca: Option<PathBuf>,
    /// After how many seconds the server sends again what was not acknowledged.
    pub ack_seconds: u64,
    /// Mapping of the records.
    pub stream: String,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// Topic.
    pub topic: String,
    /// Begin with what comes from now on, where nothing was read before.
    pub latest: bool,
    /// User and password (SCRAM-SHA-512).
    pub login: Option<(String, String)>,
    /// Who signs the brokers' certificates (PEM); none speaks without TLS.
    pub ca: Option<PathBuf>,
    /// Mapping of the records.
    pub stream: String,
}
