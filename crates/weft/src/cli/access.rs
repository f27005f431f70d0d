//! Arguments of `weft access`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand, ValueEnum};

/// `access`
#[derive(Debug, Subcommand)]
pub enum Access {
    /// Decide AuthZEN requests, one evaluation or a series; exit code 1 when one is denied.
    Evaluate {
        /// File with one JSON request or one a line, `-` for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Find the subjects that may, the resources on which it may be done, or the actions that may be done.
    Search {
        /// What is sought.
        #[arg(value_name = "WHAT", value_enum)]
        what: Sought,
        /// File with an AuthZEN search request, `-` for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say why the answer is what it is, and which single changes would turn it.
    Explain {
        /// File with an AuthZEN evaluation request, `-` for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the certificate principals that may log in to a host: for sshd's AuthorizedPrincipalsCommand.
    SshPrincipals(SshPrincipals),
}

/// What is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sought {
    /// Subjects.
    Subject,
    /// Resources.
    Resource,
    /// Actions.
    Action,
}

/// `access ssh-principals`
#[derive(Debug, Group)]
pub struct SshPrincipals {
    /// Account that is logged in to (`%u`).
    #[arg(value_name = "LOGIN")]
    pub login: String,
    /// The person, when the certificate's key id names one (`%i`); none: everybody who may is printed.
    #[arg(long, value_name = "ID")]
    pub person: Option<String>,
    /// The host as policies name it; default this machine's name.
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Type of persons in policies.
    #[arg(long, value_name = "TYPE", default_value = "User")]
    pub principal_type: String,
    /// Decision point to ask; default the mesh that runs on the data folder.
    #[arg(long, value_name = "URL", requires = "token_file")]
    pub url: Option<String>,
    /// File with the token of the decision point.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
