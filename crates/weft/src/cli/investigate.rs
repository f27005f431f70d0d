//! Arguments of the verbs that put findings together: risk, incidents, hunts.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand, ValueEnum};

/// `risk`
#[derive(Debug, Group)]
pub struct RiskArgs {
    /// Only this one, with each finding that its score is made of: a name, or e.g. `user:ada`.
    #[arg(value_name = "ENTITY")]
    pub entity: Option<String>,
    /// How scores are computed.
    #[arg(long, value_enum, default_value_t = RiskPreset::Weft)]
    pub preset: RiskPreset,
    /// As of this time (RFC 3339); default now in a running mesh, else the time of the newest finding.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Findings from files (OCSF 2004, one a line) instead of the lake; `-` for standard input.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
    /// Most entities to print.
    #[arg(long, value_name = "ROWS", default_value_t = 1000)]
    pub limit: usize,
}

/// `incidents`
#[derive(Debug, Group)]
#[command(args_conflicts_with_subcommands = true)]
pub struct IncidentsArgs {
    /// Merge, split, close, reopen or assign.
    #[command(subcommand)]
    pub decide: Option<IncidentsVerb>,
    /// Findings from files (OCSF 2004, one a line) instead of the lake; `-` for standard input.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "detect")]
    pub from: Vec<PathBuf>,
    /// Detect in STREAM and PATH… first, with the mesh's rules, and look in them for evidence.
    #[arg(long)]
    pub detect: bool,
    /// With `--detect`: these Sigma rules too, files or folders.
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "detect")]
    pub rules: Vec<String>,
    /// Merged and closed ones too.
    #[arg(long)]
    pub all: bool,
    /// Only this one, in full: its story, the path of its evidence, its sources. With `--detect`: STREAM, then PATH….
    #[arg(value_name = "ID")]
    pub words: Vec<String>,
}

/// `incidents merge`, `incidents split` and what else a person decides
#[derive(Debug, Subcommand)]
pub enum IncidentsVerb {
    /// Say that incidents are one; remembered, whatever is found later.
    Merge {
        /// Incidents.
        #[arg(value_name = "ID", num_args = 2.., required = true)]
        incidents: Vec<String>,
    },
    /// Say that findings are not of an incident; remembered, whatever is found later.
    Split {
        /// Incident.
        #[arg(value_name = "ID")]
        incident: String,
        /// Findings that leave it.
        #[arg(value_name = "FINDING", num_args = 1.., required = true)]
        findings: Vec<String>,
    },
    /// Say that an incident is done with; a worse finding, or one of another kind, opens it again.
    Close {
        /// Incident.
        #[arg(value_name = "ID")]
        incident: String,
        /// What it was: true-positive, benign, false-positive, test or insufficient-data.
        #[arg(long, value_name = "VERDICT")]
        verdict: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Say that a closed incident goes on.
    Reopen {
        /// Incident.
        #[arg(value_name = "ID")]
        incident: String,
    },
    /// Say who takes care of an incident.
    Assign {
        /// Incident.
        #[arg(value_name = "ID")]
        incident: String,
        /// The person; nobody without a name.
        #[arg(value_name = "PERSON")]
        owner: Option<String>,
    },
}

/// `hunt`
#[derive(Debug, Group)]
pub struct HuntArgs {
    /// Only these; default all.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// List them instead.
    #[arg(long)]
    pub list: bool,
    /// From this time on (RFC 3339); default as far back as each hunt looks.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this time (RFC 3339); default now.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// How scores are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RiskPreset {
    /// Our own: decays by half in seven days, and counts repeats of an analytic less and less.
    Weft,
    /// Alerts by rank, normalised by the zeta function, moved by criticality.
    Elastic,
    /// Sum of 24 hours (over 100), and breadth of seven days (3 tactics and 4 sources).
    Splunk,
}
