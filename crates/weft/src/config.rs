//! `weft.toml`: what this mesh listens to and how much it may use. Everything has a default.
//!
//! Read without touching the network or the disk beyond the file itself; every fault is found in
//! one pass, with line and column.

mod access;
mod doors;
mod feed;
mod life;
mod read;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::door::Limits;
use crate::queue::Bounds;
use weft_identity::facts::Networks;
use weft_ingest::DropPolicy;

pub use access::AccessConfig;
pub use doors::{DoorsConfig, KafkaConfig, NatsConfig, WebhookConfig};
pub use feed::{EVERY_MS, FeedConfig, FeedFrom};
pub use life::LakeLife;
pub use read::parse;

/// A fault in a file, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// File as the user named it.
    pub file: String,
    /// From 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Console and HTTP doors.
    pub listen: SocketAddr,
    /// Where the lake's tables are; none means below the data folder.
    pub lake_url: Option<String>,
    /// What is done to the lake day by day.
    pub life: LakeLife,
    /// Syslog over UDP.
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP.
    pub syslog_tcp: Option<SocketAddr>,
    /// Mapping of syslog records.
    pub syslog_stream: String,
    /// Ways in beside these.
    pub doors: DoorsConfig,
    /// Tokens of the HTTP doors.
    pub tokens: Vec<TokenConfig>,
    /// Who pushes accounts and groups.
    pub scim: Vec<ScimConfig>,
    /// Files and folders to follow.
    pub files: Vec<FileConfig>,
    /// Records that are not kept, by decision.
    pub drops: Vec<DropPolicy>,
    /// APIs and buckets to pull from.
    pub sources: Vec<SourceConfig>,
    /// Intelligence that is fetched by itself.
    pub feeds: Vec<FeedConfig>,
    /// Access decisions for other tools.
    pub access: AccessConfig,
    /// Limits and budgets.
    pub budget: Budget,
    /// What a response may do here.
    pub response: ResponseConfig,
    /// What analytics have at hand.
    pub analytics: AnalyticsConfig,
    /// The organisation's own networks, and what must never be cut off.
    pub networks: Networks,
}

/// One token; the secret itself may be given or stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConfig {
    /// Who uses it.
    pub name: String,
    /// The secret.
    pub secret: String,
    /// HEC indexer acknowledgement.
    pub acknowledge: bool,
    /// Stream of its records; none means `auto`.
    pub stream: Option<String>,
}

/// A directory of persons that pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimConfig {
    /// Name of the source in the identity graph.
    pub name: String,
    /// Its token.
    pub secret: String,
}

/// One file or folder to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// A file, a folder, or a folder with a pattern such as `*.log` as last part.
    pub path: PathBuf,
    /// Mapping of its records.
    pub stream: String,
}

/// One API or bucket to pull from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Name, by which its position is kept.
    pub name: String,
    /// File and line, for faults.
    pub place: String,
    /// What is pulled.
    pub kind: SourceKind,
    /// Where its secrets are.
    pub secrets: BTreeMap<String, Secret>,
    /// Time between two polls, milliseconds.
    pub every_ms: Option<i64>,
    /// How far back it begins, milliseconds.
    pub since_ms: Option<i64>,
    /// How late a record may appear, milliseconds.
    pub look_back_ms: Option<i64>,
}

/// What is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// An API, as a connector describes it.
    Pull {
        /// `connector/name` of the description.
        description: String,
        /// What the description asks for.
        settings: BTreeMap<String, String>,
        /// Scheme, host and port instead of the description's.
        origin: Option<String>,
    },
    /// Objects of a bucket or folder.
    Bucket {
        /// `s3://…`, `az://…`, `gs://…` or `file:///…`, with a prefix.
        url: String,
        /// Mapping of the records.
        stream: String,
        /// Queue with notices of new objects; none lists the bucket.
        queue: Option<String>,
        /// New objects have greater keys.
        by_key: bool,
        /// Settings of the object store, by its own names.
        options: BTreeMap<String, String>,
    },
}

/// Where a secret is; it never stands in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In a variable of the environment.
    Env {
        /// Its name.
        variable: String,
        /// JSON Pointer, when the value is a JSON document.
        at: Option<String>,
    },
    /// In a file.
    File {
        /// Its path.
        path: PathBuf,
        /// JSON Pointer, when it is a JSON document.
        at: Option<String>,
    },
}

/// How much the mesh may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes in the queue.
    pub queue: Bounds,
    /// Sizes at the doors.
    pub limits: Limits,
    /// Time between two commits of the lake, seconds.
    pub commit_seconds: u64,
    /// Rows that a query of the console may return.
    pub query_rows_max: usize,
    /// Seconds that a query may take.
    pub query_seconds_max: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { queue: Bounds::default(), limits: Limits::default(), commit_seconds: 30, query_rows_max: 10_000, query_seconds_max: 60 }
    }
}

/// What analytics have at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalyticsConfig {
    /// Database of places of addresses, in MaxMind's format.
    pub geoip: Option<PathBuf>,
    /// How much later than newer events an event may come and still be put in order.
    pub lateness_seconds: u64,
}

impl Default for AnalyticsConfig {
    fn default() -> Self {
        Self { geoip: None, lateness_seconds: 120 }
    }
}

/// What a response may do on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseConfig {
    /// Network namespace whose firewall is the enforcement point, `host` for the machine's own;
    /// none makes one for demonstration.
    pub namespace: Option<String>,
    /// Seconds between two runs of the posture checks.
    pub posture_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8440)),
            lake_url: None,
            life: LakeLife::default(),
            syslog_udp: None,
            syslog_tcp: None,
            syslog_stream: "auto".to_owned(),
            doors: DoorsConfig::default(),
            tokens: Vec::new(),
            scim: Vec::new(),
            files: Vec::new(),
            drops: Vec::new(),
            sources: Vec::new(),
            feeds: Vec::new(),
            access: AccessConfig::default(),
            budget: Budget::default(),
            response: ResponseConfig { namespace: None, posture_seconds: 300 },
            analytics: AnalyticsConfig::default(),
            networks: Networks { internal: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"].map(str::to_owned).to_vec(), protected: Vec::new() },
        }
    }
}
