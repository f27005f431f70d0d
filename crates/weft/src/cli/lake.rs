//! `lake` and `export`: the lake in daily life.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

/// `lake`
#[derive(Debug, Subcommand)]
pub enum Lake {
    /// Merge small files of a day into large ones, sorted by time.
    Compact {
        /// Merge whatever can be merged, also two files.
        #[arg(long)]
        all: bool,
    },
    /// Remove events and raw records that the `[[retention]]` rules of weft.toml no longer keep.
    Retain,
    /// Move old days to a folder of cheaper storage; they stay in their tables.
    Tier {
        /// The folder; default `lake.cold` of weft.toml.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Days older than this; default `lake.cold_days` of weft.toml.
        #[arg(long, value_name = "DAYS")]
        older_than: Option<u32>,
    },
    /// Remove files that no table names any more; older versions of the tables need them.
    Vacuum {
        /// Only files older than this, e.g. `7d`, `12h`, `0s`.
        #[arg(long, value_name = "AGE", default_value = "7d")]
        older_than: String,
    },
    /// Read everything that is stored and compare it with its digests; exit code 1 for damage.
    Scrub {
        /// Mend what is damaged: from its redundancy, from a copy, else keep the rows that are whole.
        #[arg(long)]
        repair: bool,
        /// A folder with a copy of the lake or of the home; may be given more than once.
        #[arg(long = "copy", value_name = "DIR")]
        copies: Vec<PathBuf>,
    },
    /// Events, raw bytes and stored bytes by tool, class and day.
    Usage(Usage),
    /// Map events anew from their raw records, after a mapping was mended; same uids, none doubled.
    Remap(Remap),
    /// Take every trace of a person out of the home, and prove it; a receipt stays.
    Forget {
        /// What names the person: an attribute and its value.
        #[arg(long, value_name = "PATH=VALUE")]
        entity: String,
        /// Count what would go.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `lake usage`
#[derive(Debug, Group)]
pub struct Usage {
    /// Columns to sum up by.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "tool,class")]
    pub by: Vec<UsageBy>,
    /// Days from this one on (`YYYY-MM-DD`).
    #[arg(long, value_name = "DAY")]
    pub since: Option<String>,
    /// Days before this one (`YYYY-MM-DD`).
    #[arg(long, value_name = "DAY")]
    pub until: Option<String>,
    /// Price of a gigabyte stored for a month, for a column `cost_month`.
    #[arg(long, value_name = "PRICE")]
    pub price: Option<f64>,
}

/// What usage is summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum UsageBy {
    /// Vendor and product that the events are of.
    Tool,
    /// OCSF class.
    Class,
    /// UTC day.
    Day,
}

/// `lake remap`
#[derive(Debug, Group)]
pub struct Remap {
    /// Stream whose mapping is used; events of its tool that it takes are replaced.
    #[arg(long, value_name = "STREAM")]
    pub stream: String,
    /// Events from this time on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Events before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// `export`
#[derive(Debug, Group)]
pub struct Export {
    /// Folder to write to.
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
    /// How files are laid out.
    #[arg(long, value_enum, default_value = "parquet")]
    pub layout: ExportLayout,
    /// Classes; default all.
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    pub class: Vec<String>,
    /// Events from this time on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Events before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// `security-lake`: first part of the names of the custom sources, one a class.
    #[arg(long, value_name = "NAME", default_value = "weft")]
    pub source: String,
    /// `security-lake`: region of events that name none.
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    pub region: String,
    /// `security-lake`: account of events that name none.
    #[arg(long, value_name = "ACCOUNT", default_value = "external")]
    pub account: String,
}

/// Layouts of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportLayout {
    /// `CLASS/day=YYYY-MM-DD/…`, all columns.
    Parquet,
    /// `ext/SOURCE_CLASS/region=…/accountId=…/eventDay=YYYYMMDD/…`, OCSF 1.1.
    SecurityLake,
}
