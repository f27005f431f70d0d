//! Verbs and their arguments.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand};

use super::Format;
use super::access::Access;
use super::entitlements::Entitlements;
use super::identity::Identity;

/// The cybersecurity mesh in one program.
///
/// Exit code 0: done. 1: findings, or failures in what was checked. 2: wrong use or bad input, with one line per fault on standard error.
#[derive(Debug, Parser)]
#[command(name = "weft", version, max_term_width = 100, propagate_version = false)]
pub struct Args {
    /// What every verb takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Arguments of every verb.
#[derive(Debug, Clone, Group)]
pub struct Common {
    /// The mesh's home.
    #[arg(long, global = true, value_name = "DIR", default_value = "./weft-data", env = "WEFT_DATA", hide_env_values = true)]
    pub data: PathBuf,
    /// Configuration; default `weft.toml` in the mesh's home, if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to print: a table on a terminal, else `ndjson`.
    #[arg(long, global = true, value_enum)]
    pub format: Option<Format>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the whole mesh in one process, console included.
    Up(Up),
    /// Validate configuration and content: no network, every fault at once.
    Check(Check),
    /// What the mesh knows: add to it.
    #[command(subcommand)]
    Content(ContentVerb),
    /// Map raw records to OCSF on standard output, rejects on standard error; nothing is stored.
    Map(Map),
    /// Map into the lake, with detection; prints read, mapped by class, rejected, findings, rate.
    Ingest(Input),
    /// Run Sigma rules over files or over the lake; findings as OCSF Detection Finding (2004).
    Detect(Detect),
    /// Ask hypotheses of the lake; hits as OCSF Detection Finding (2004).
    Hunt(super::HuntArgs),
    /// How much users, hosts, addresses, accounts and workloads are at risk, and by which findings.
    Risk(super::RiskArgs),
    /// Findings that belong together, and why; merge and split them.
    Incidents(super::IncidentsArgs),
    /// Run SQL over the lake.
    Query(Query),
    /// List the tables and views of the lake.
    Tables,
    /// The lake in daily life: compact, retain, scrub, usage, and more.
    #[command(subcommand)]
    Lake(super::Lake),
    /// Write events as plain Parquet, or in the layout of a security lake.
    Export(super::Export),
    /// Raw records that could not be mapped.
    #[command(subcommand)]
    Rejects(Rejects),
    /// Threat intelligence: indicators of others, matched with every event.
    #[command(subcommand)]
    Intel(super::Intel),
    /// Effective permissions and paths of escalation, from snapshots of an identity system.
    #[command(subcommand)]
    Entitlements(Entitlements),
    /// Persons and what they reach: one graph of all identity systems, now or on a date.
    #[command(subcommand)]
    Identity(Identity),
    /// Access decisions: AuthZEN requests against the current policies and facts.
    #[command(subcommand)]
    Access(Access),
    /// What was received against what became of it; exit code 1 when it does not balance.
    Ledger(Ledger),
    /// Checks of how things should be.
    #[command(subcommand)]
    Posture(Posture),
    /// Metrics of the mesh, computed from its own data.
    Metrics(Metrics),
    /// Run a benchmark, side by side with its anchor where that is installed.
    Bench(Bench),
    /// Approve or refuse a run that waits for a person.
    Approve(Approve),
    /// Runs of playbooks.
    #[command(subcommand)]
    Playbook(Playbook),
}

/// `up`
#[derive(Debug, Group)]
pub struct Up {
    /// Replay a fictitious company with an attack, live, through the ordinary ways in.
    #[arg(long)]
    pub demo: bool,
    /// Address of console and HTTP doors.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// `check`
#[derive(Debug, Group)]
pub struct Check {
    /// List every STREAM that is known.
    #[arg(long)]
    pub streams: bool,
    /// Look at these Sigma rules instead, files or folders: what is wrong or odd, and where they can fire.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Processing pipelines (pySigma's format) that rewrite the rules first.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub pipeline: Vec<PathBuf>,
}

/// `content`
#[derive(Debug, Subcommand)]
pub enum ContentVerb {
    /// Take a pack of Sigma rules into the mesh's home: a file, a folder, or a `.zip`.
    Add(ContentAdd),
}

/// `content add`
#[derive(Debug, Group)]
pub struct ContentAdd {
    /// The pack.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Name of the pack; default that of PATH. A pack of the same name is replaced.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// STREAM and PATH of `map` and `ingest`.
#[derive(Debug, Group)]
pub struct Input {
    /// `connector/record_type`, or `auto` to recognise each record.
    #[arg(value_name = "STREAM")]
    pub stream: String,
    /// File or folder: plain, `.gz`, `.zst`, `.zip`, `.evtx`; `-` for standard input.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

/// `map`
#[derive(Debug, Group)]
pub struct Map {
    /// Say for each attribute which rule made it, from which attribute of the record; and for each reject which conditions were tried.
    #[arg(long)]
    pub explain: bool,
    /// What to map.
    #[command(flatten)]
    pub input: Input,
}

/// `detect`
#[derive(Debug, Group)]
pub struct Detect {
    /// Rule files or folders; may be given more than once.
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub rules: Vec<String>,
    /// Processing pipelines (pySigma's format) that rewrite the rules first.
    #[arg(long, value_name = "FILE")]
    pub pipeline: Vec<PathBuf>,
    /// Over the lake.
    #[arg(long)]
    pub lake: bool,
    /// With `--lake`: events from this time on (RFC 3339).
    #[arg(long, value_name = "TIME", requires = "lake")]
    pub since: Option<String>,
    /// With `--lake`: events before this time (RFC 3339).
    #[arg(long, value_name = "TIME", requires = "lake")]
    pub until: Option<String>,
    /// STREAM, then PATH…, as with `map`.
    #[arg(value_name = "STREAM PATH")]
    pub input: Vec<String>,
}

/// `query`
#[derive(Debug, Group)]
pub struct Query {
    /// One statement that reads; tables are named by OCSF class, see `weft tables`.
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// Most rows to print.
    #[arg(long, value_name = "ROWS", default_value_t = 1_000_000)]
    pub limit: usize,
    /// Longest time to take, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub timeout: u64,
    /// Over the tables as they were at this time (RFC 3339), as far back as their files are kept.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// Tell on standard error how many files were read.
    #[arg(long)]
    pub stats: bool,
}

/// `rejects`
#[derive(Debug, Subcommand)]
pub enum Rejects {
    /// Group those that are open by tool, cause and shape of the message; exit code 1 when there are some.
    List,
    /// Show the records of one group.
    Show {
        /// Group, see `weft rejects list`.
        #[arg(value_name = "GROUP")]
        group: String,
        /// Most records to print.
        #[arg(long, value_name = "ROWS", default_value_t = 100)]
        limit: usize,
    },
    /// Map them again, after a mapping was mended; what maps now becomes events and leaves the list.
    Replay {
        /// Only this group.
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
    },
}

/// `ledger`
#[derive(Debug, Group)]
pub struct Ledger {
    /// Tables instead of sources: rows that should be there against rows that are.
    #[arg(long)]
    pub tables: bool,
    /// Count the rows in the data files themselves too.
    #[arg(long)]
    pub deep: bool,
}

/// `posture`
#[derive(Debug, Subcommand)]
pub enum Posture {
    /// Run every check now.
    Run,
    /// List the last outcome of every check.
    List,
}

/// `metrics`
#[derive(Debug, Group)]
pub struct Metrics {
    /// Only this one.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print the SQL that a metric is computed by.
    #[arg(long)]
    pub sql: bool,
}

/// `bench`
#[derive(Debug, Group)]
pub struct Bench {
    /// Which one.
    #[arg(value_name = "NAME", value_enum)]
    pub name: BenchName,
    /// Raw records to use instead of made ones: STREAM and PATH….
    #[arg(value_name = "STREAM PATH")]
    pub input: Vec<String>,
    /// Edges of the graph of `graph`.
    #[arg(long, value_name = "EDGES", default_value_t = 10_000_000)]
    pub edges: u32,
}

/// Benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchName {
    /// JSON to OCSF in Arrow, one thread.
    Map,
    /// JSON to OCSF to Parquet as the lake writes it, one thread.
    Parquet,
    /// NDJSON over HTTP, acknowledged when durable, mapped and written.
    Http,
    /// From the arrival of an event until SQL finds it.
    Searchable,
    /// Most memory while 10 GB come in over HTTP; takes minutes.
    Memory,
    /// Ten million indicators: size, look-ups, and what matching costs the stream, one thread.
    Intel,
    /// From the start until records are taken in, with 1 GB in the log.
    Start,
    /// Decisions at 10,000 policies, by the index and by plain Cedar.
    Cedar,
    /// AuthZEN over HTTP at 5,000 evaluations a second, and search among a million.
    Access,
    /// Effective permissions and escalation on accounts of random policies, processor time of one thread.
    Entitlements,
    /// The identity graph: load, bytes of an edge, and reach.
    Graph,
}

/// `approve`
#[derive(Debug, Group)]
pub struct Approve {
    /// Run to decide on, see `weft playbook list`.
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Say no.
    #[arg(long)]
    pub refuse: bool,
    /// Why; kept with the run.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}

/// `playbook`
#[derive(Debug, Subcommand)]
pub enum Playbook {
    /// List the runs, latest first.
    List,
    /// Take an applied run back.
    Undo {
        /// Run to take back.
        #[arg(value_name = "RUN")]
        run: String,
    },
}
