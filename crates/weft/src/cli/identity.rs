//! Arguments of `weft identity`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

/// `identity`
#[derive(Debug, Subcommand)]
pub enum Identity {
    /// Take snapshots of identity systems in: who is there, who has what; what they tell no more ends.
    Import(Import),
    /// Which snapshots can be read, and what their files are called.
    Forms,
    /// Persons, or nodes of a kind.
    List(List),
    /// One person with the accounts and why they are one, or one node with what it has.
    Show {
        /// Id, name, key, address or login.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// What somebody reaches, or who reaches something, now or on a date.
    Reach(Reach),
    /// Two persons are one; remembered, and taken back by `split`.
    Merge {
        /// Person or account.
        #[arg(value_name = "A")]
        one: String,
        /// Person or account.
        #[arg(value_name = "B")]
        other: String,
    },
    /// An account is somebody else's; or, of a person, the last merge is taken back.
    Split {
        /// Account or person.
        #[arg(value_name = "A")]
        name: String,
    },
}

/// `identity import`
#[derive(Debug, Group)]
pub struct Import {
    /// Files or folders: JSON, JSON lines, LDIF, plain, `.gz` or in a `.zip`. All files of a part of a source belong into one import.
    #[arg(value_name = "PATH", required_unless_present = "empty")]
    pub paths: Vec<PathBuf>,
    /// A part of a source of which nothing is left, such as `okta/groups@acme.okta.com`, where no file says so: what
    /// it told ends. May be given more than once.
    #[arg(long, value_name = "PART")]
    pub empty: Vec<String>,
    /// Tenant, account or cluster, where the files do not name it.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub source: String,
    /// When the snapshots were taken (RFC 3339 or a date); now if not given.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// `identity list`
#[derive(Debug, Group)]
pub struct List {
    /// Nodes of this kind instead of persons: account, group, role, machine, device, resource, entitlement, person, unknown.
    #[arg(long, value_name = "KIND", conflicts_with = "others")]
    pub kind: Option<String>,
    /// Accounts that are no person's instead: of machines, and of several persons.
    #[arg(long)]
    pub others: bool,
    /// Customs of logins that were learned, and keys that link nobody, on standard error.
    #[arg(long)]
    pub notes: bool,
}

/// `identity reach`
#[derive(Debug, Group)]
pub struct Reach {
    /// Person, or any node: id, name, key, address or login.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// At this time (RFC 3339), or by the end of this date (UTC); now if not given.
    #[arg(long, value_name = "DATE")]
    pub at: Option<String>,
    /// Who reaches it, instead of what it reaches.
    #[arg(long)]
    pub reverse: bool,
    /// Only nodes of this kind; may be given more than once.
    #[arg(long, value_name = "KIND")]
    pub kind: Vec<String>,
    /// Most edges of a path.
    #[arg(long, value_name = "EDGES", default_value_t = 32)]
    pub depth: u32,
    /// Most nodes that are looked for.
    #[arg(long, value_name = "NODES", default_value_t = 100_000)]
    pub limit: usize,
}
