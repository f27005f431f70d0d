//! Arguments of `weft intel`.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

/// `intel`
#[derive(Debug, Subcommand)]
pub enum Intel {
    /// Take indicators or warning lists in; a running mesh matches them from then on.
    Import(ImportArgs),
    /// What was imported, by source and kind.
    List {
        /// Only this indicator, with everything that is known of it.
        #[arg(long, value_name = "VALUE", conflicts_with = "gaps")]
        value: Option<String>,
        /// What was not taken, with the reason.
        #[arg(long)]
        gaps: bool,
    },
    /// Whether values are known, who says so, and what suppressed them; exit code 1 when one matches.
    Match {
        /// Address, domain, URL, e-mail address, digest, JA4.
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
        /// What the values are; by their looks without it.
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
    },
    /// Look for values in the events of the past; exit code 1 when one was seen.
    Retro {
        /// Address, network, domain, URL, e-mail address, digest, JA4.
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
        /// What the values are; by their looks without it.
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Tell how long it took beside reading every file.
        #[arg(long)]
        compare: bool,
    },
    /// Forget a source or a warning list.
    Remove {
        /// See `weft intel list`.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// `intel import`
#[derive(Debug, Group)]
pub struct ImportArgs {
    /// File, folder, `-` or `https` address: STIX 2.1, MISP events or feed, MISP warning lists, CSV, plain lists; also in `.gz`, `.zst`, `.xz`, `.zip`, `.tar`.
    #[arg(value_name = "FILE|URL", required = true)]
    pub from: Vec<String>,
    /// Name of the source; default that of FILE. What was kept of it is replaced.
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Keep what was imported of this source before, too.
    #[arg(long)]
    pub add: bool,
    /// Confidence of what says nothing about it, 0 to 100.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub confidence: u8,
    /// Days that what says nothing about it holds.
    #[arg(long, value_name = "DAYS")]
    pub valid_for: Option<u32>,
    /// What the values of lists are: ip, domain, url, email, hash, certificate, ja3, ja3s, ja4, `user_agent`.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Name for a server that asks who it is.
    #[arg(long, value_name = "NAME", requires = "secret")]
    pub user: Option<String>,
    /// File with the password of `--user`, or with a token.
    #[arg(long, value_name = "FILE")]
    pub secret: Option<PathBuf>,
}
