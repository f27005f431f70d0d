//! Arguments of `weft entitlements`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

/// `entitlements`
#[derive(Debug, Subcommand)]
pub enum Entitlements {
    /// May a principal do this on that? With the statements that decide.
    Can(Can),
    /// Everybody who may, or may under conditions.
    WhoCan(WhoCan),
    /// What principals reach step by step: administrator, other accounts, resources worth reaching.
    Escalations(Escalations),
    /// What principals may do and did not, their creep index, and narrower policies that the past calls pass.
    Unused(Unused),
    /// Machine identities with owner, age, rotation, use and reach, and the checks that they fail.
    Machines(Machines),
    /// Which permissions to take away so that nobody escalates to administrator.
    Cuts(Cuts),
    /// Decide single requests that bring their own policies, one JSON object after the other.
    Evaluate {
        /// File of cases, `-` for standard input; see the guide on entitlements.
        #[arg(value_name = "CASES")]
        cases: PathBuf,
    },
}

/// What is asked for.
#[derive(Debug, Group)]
pub struct Asked {
    /// Action, e.g. `s3:GetObject`.
    #[arg(long, value_name = "ACTION")]
    pub action: String,
    /// Full name of the resource.
    #[arg(long, value_name = "RESOURCE", default_value = "*")]
    pub resource: String,
    /// Condition key that the request carries, `KEY=VALUE`; may be given more than once. Keys that are not given are not known.
    #[arg(long, value_name = "KEY=VALUE")]
    pub with: Vec<String>,
}

/// Where the snapshot is.
#[derive(Debug, Group)]
pub struct SnapshotPaths {
    /// Files or folders that say who may do what; see the guide on entitlements.
    #[arg(value_name = "SNAPSHOT", required = true)]
    pub paths: Vec<PathBuf>,
}

/// `entitlements can`
#[derive(Debug, Group)]
pub struct Can {
    /// Full name of the principal.
    #[arg(long, value_name = "PRINCIPAL")]
    pub principal: String,
    /// The question.
    #[command(flatten)]
    pub asked: Asked,
    /// The snapshot.
    #[command(flatten)]
    pub snapshot: SnapshotPaths,
}

/// `entitlements who-can`
#[derive(Debug, Group)]
pub struct WhoCan {
    /// The question.
    #[command(flatten)]
    pub asked: Asked,
    /// The snapshot.
    #[command(flatten)]
    pub snapshot: SnapshotPaths,
}

/// `entitlements escalations`
#[derive(Debug, Group)]
pub struct Escalations {
    /// Only from this principal; may be given more than once.
    #[arg(long, value_name = "PRINCIPAL")]
    pub principal: Vec<String>,
    /// The snapshot.
    #[command(flatten)]
    pub snapshot: SnapshotPaths,
}

/// `entitlements unused`
#[derive(Debug, Group)]
pub struct Unused {
    /// File or folder of calls, packed or not, `-` for standard input: one JSON object a line, or a document with
    /// `Records`. Records of the provider's trail, events of the lake, or `principal`, `action`, and maybe `resource`, `refused`, `count`. May be given more than once.
    #[arg(long, value_name = "FILE", required = true)]
    pub calls: Vec<PathBuf>,
    /// Only this principal; may be given more than once.
    #[arg(long, value_name = "PRINCIPAL")]
    pub principal: Vec<String>,
    /// The snapshot.
    #[command(flatten)]
    pub snapshot: SnapshotPaths,
}

/// `entitlements machines`
#[derive(Debug, Group)]
pub struct Machines {
    /// Findings of the checks as OCSF Compliance Finding (2003), instead of the inventory.
    #[arg(long)]
    pub findings: bool,
    /// File of calls, as for `unused`: sets what is granted against what was used.
    #[arg(long, value_name = "FILE")]
    pub calls: Vec<PathBuf>,
    /// The snapshot.
    #[command(flatten)]
    pub snapshot: SnapshotPaths,
}

/// `entitlements cuts`
#[derive(Debug, Group)]
pub struct Cuts {
    /// Cuts at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub most: usize,
    /// The snapshot.
    #[command(flatten)]
    pub snapshot: SnapshotPaths,
}
