//! The command line: a contract, names and formats stay.

pub mod access;
mod args;
pub mod entitlements;
pub mod identity;
mod intel;
mod investigate;
mod lake;
mod output;
mod progress;
#[cfg(test)]
mod reference;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

pub use args::{
    Approve, Args, Bench, BenchName, Check, Common, ContentAdd, ContentVerb, Detect, Input, Ledger, Map, Metrics, Playbook, Posture, Query, Rejects, Up, Verb,
};
pub use intel::{ImportArgs, Intel};
pub use investigate::{HuntArgs, IncidentsArgs, IncidentsVerb, RiskArgs, RiskPreset};
pub use lake::{Export, ExportLayout, Lake, Remap, Usage, UsageBy};
pub use output::{Format, Output, Rows};
pub use progress::Progress;

/// What a verb came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// Findings, or failures in what was checked: exit code 1.
    Found,
}

/// Why a verb did not come to an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Wrong use or bad input, one line each: exit code 2.
    Misuse(Vec<String>),
    /// The world did not play along: exit code 1.
    Failed(String),
    /// The reader of standard output has gone: nothing to tell to nobody.
    ReaderGone,
}

impl Fault {
    /// One line of wrong use.
    pub fn misuse(message: impl Into<String>) -> Self {
        Self::Misuse(vec![message.into()])
    }

    /// Something failed.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Parses the arguments, runs the verb, says what was wrong.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match crate::verb::run(args) {
        Ok(Outcome::Done) | Err(Fault::ReaderGone) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Err(Fault::Failed(message)) => {
            say(&message);
            ExitCode::from(1)
        }
        Err(Fault::Misuse(messages)) => {
            messages.iter().for_each(|message| say(message));
            ExitCode::from(2)
        }
    }
}

/// One line on standard error; if that is closed, there is nobody to tell.
pub fn say(message: &str) {
    let one_line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _closed = writeln!(std::io::stderr(), "weft: {one_line}");
}
