//! Sections of the ways in.

use std::path::PathBuf;

use super::super::{Config, KafkaConfig, NatsConfig, ScimConfig, WebhookConfig};
use super::{Reader, SECRET_LENGTH_MIN, Table};
use crate::door::tls::TlsFiles;

impl Reader<'_> {
    pub(super) fn doors(&mut self, table: &Table<'_>, config: &mut Config) {
        for (at, scim) in self.tables(table, "scim") {
            config.scim.extend(self.scim(at, scim, &config.scim));
        }
        if let Some(bulk) = self.table(table, "bulk") {
            self.known(bulk, "bulk", &["listen", "index"]);
            self.address(bulk, "listen", |address| config.doors.bulk_listen = Some(address));
            for (at, index) in self.tables(bulk, "index") {
                self.known(index, "bulk.index", &["name", "stream"]);
                let (name, stream) = (self.text(index, "name"), self.text(index, "stream"));
                match name.zip(stream) {
                    Some(pair) => config.doors.bulk_indices.push(pair),
                    None => self.fault(at, "`bulk.index` needs a `name`, which may have `*`, and a `stream`".to_owned()),
                }
            }
        }
        for (at, webhook) in self.tables(table, "webhook") {
            let read = self.webhook(at, webhook);
            config.doors.webhooks.extend(read);
        }
        for (at, nats) in self.tables(table, "nats") {
            let read = self.nats(at, nats);
            config.doors.nats.extend(read);
        }
        for (at, kafka) in self.tables(table, "kafka") {
            let read = self.kafka(at, kafka);
            config.doors.kafka.extend(read);
        }
    }

    fn scim(&mut self, at: usize, table: &Table<'_>, others: &[ScimConfig]) -> Option<ScimConfig> {
        self.known(table, "scim", &["name", "secret"]);
        let (name, secret) = (self.optional(table, "name").unwrap_or_default(), self.optional(table, "secret").unwrap_or_default());
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !is_name {
            self.fault(at, "`scim` needs a `name` of letters, digits, `-`, `_` and `.`: that of the source in the identity graph".to_owned());
        } else if others.iter().any(|other| other.name == name || other.secret == secret) {
            self.fault(at, format!("there is another `scim` with the name or the secret of `{name}`; each directory has its own"));
        }
        if secret.len() < SECRET_LENGTH_MIN {
            self.fault(at, "`scim` needs a `secret` of at least 16 characters, e.g. from `openssl rand -hex 24`".to_owned());
        }
        (is_name && secret.len() >= SECRET_LENGTH_MIN).then_some(ScimConfig { name, secret })
    }

    /// `tls`, `certificate`, `key` and `client_ca` of `[syslog]`.
    pub(super) fn syslog_tls(&mut self, syslog: &Table<'_>, config: &mut Config) {
        let mut address = None;
        self.address(syslog, "tls", |found| address = Some(found));
        let mut file = |name| self.text(syslog, name).map(PathBuf::from);
        let (certificate, key, client_ca) = (file("certificate"), file("key"), file("client_ca"));
        let Some(address) = address else { return };
        match certificate.zip(key) {
            Some((certificate, key)) => config.doors.syslog_tls = Some((address, TlsFiles { certificate, key, client_ca })),
            None => {
                let at = syslog.get("tls").map_or(0, |item| item.span().start);
                self.fault(at, "`tls` needs `certificate` and `key`, the PEM files of the listener".to_owned());
            }
        }
    }

    fn webhook(&mut self, at: usize, table: &Table<'_>) -> Option<WebhookConfig> {
        self.known(table, "webhook", &["name", "connector", "secret", "secrets", "stream"]);
        let (name, connector, secret, stream) =
            (self.text(table, "name"), self.text(table, "connector"), self.text(table, "secret"), self.text(table, "stream"));
        let mut secrets: Vec<String> = secret.into_iter().collect();
        self.strings(table, "secrets", |more| secrets.extend(more));
        let Some((name, connector)) = name.zip(connector) else {
            self.fault(at, "`webhook` needs a `name`, the last part of its address, and a `connector`".to_owned());
            return None;
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
            self.fault(at, format!("the webhook's name `{name}` may have letters, digits, `-`, `_` and `.`"));
        }
        if secrets.is_empty() || secrets.iter().any(|secret| secret.len() < SECRET_LENGTH_MIN) {
            self.fault(at, format!("`webhook` needs a `secret` of at least {SECRET_LENGTH_MIN} characters, the one that the tool was given"));
        }
        Some(WebhookConfig { name, connector, secrets, stream })
    }

    fn nats(&mut self, at: usize, table: &Table<'_>) -> Option<NatsConfig> {
        self.known(table, "nats", &["url", "jetstream", "consumer", "subject", "credentials", "user", "password", "ca", "ack_seconds", "stream"]);
        self.built_in(at, cfg!(feature = "nats"), "nats");
        let mut ack_seconds = 60;
        self.number(table, "ack_seconds", 1..=3600, |seconds| ack_seconds = seconds);
        let mut text = |name| self.text(table, name);
        let (url, jetstream, consumer, subject, stream) = (text("url"), text("jetstream"), text("consumer"), text("subject"), text("stream"));
        let (credentials, user, password, ca) = (text("credentials"), text("user"), text("password"), text("ca"));
        let Some(jetstream) = jetstream else {
            self.fault(at, "`nats` needs `jetstream`, the name of the JetStream stream that is read".to_owned());
            return None;
        };
        Some(NatsConfig {
            url: url.unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned()),
            jetstream,
            consumer: consumer.unwrap_or_else(|| "weft".to_owned()),
            subject,
            credentials: credentials.map(PathBuf::from),
            login: user.zip(password),
            ca: ca.map(PathBuf::from),
            ack_seconds,
            stream: stream.unwrap_or_else(|| "auto".to_owned()),
        })
    }

    fn kafka(&mut self, at: usize, table: &Table<'_>) -> Option<KafkaConfig> {
        self.known(table, "kafka", &["brokers", "topic", "start", "user", "password", "ca", "stream"]);
        self.built_in(at, cfg!(feature = "kafka"), "kafka");
        let mut brokers = Vec::new();
        self.strings(table, "brokers", |found| brokers = found);
        let mut text = |name| self.text(table, name);
        let (topic, start, user, password, ca, stream) = (text("topic"), text("start"), text("user"), text("password"), text("ca"), text("stream"));
        if start.as_deref().is_some_and(|start| !matches!(start, "earliest" | "latest")) {
            self.fault(at, "`start` must be `earliest` or `latest`".to_owned());
        }
        let Some(topic) = topic.filter(|_| !brokers.is_empty()) else {
            self.fault(at, "`kafka` needs `brokers`, e.g. `[\"127.0.0.1:9092\"]`, and a `topic`".to_owned());
            return None;
        };
        let (latest, login) = (start.as_deref() == Some("latest"), user.zip(password));
        Some(KafkaConfig { brokers, topic, latest, login, ca: ca.map(PathBuf::from), stream: stream.unwrap_or_else(|| "auto".to_owned()) })
    }

    fn built_in(&mut self, at: usize, built_in: bool, feature: &str) {
        if !built_in {
            self.fault(at, format!("this program was built without `{feature}`: build it with `cargo build --release --features {feature}`"));
        }
    }

    /// Text in quotes, where it is given.
    fn text(&mut self, table: &Table<'_>, name: &str) -> Option<String> {
        let mut found = None;
        self.string(table, name, |text| found = Some(text));
        found
    }
}
