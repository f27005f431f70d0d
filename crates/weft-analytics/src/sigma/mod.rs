//! Sigma 2 rules as values: parsed, checked, not yet bound to columns.
//!
//! <https://github.com/SigmaHQ/sigma-specification>

pub mod behaviour;
pub mod condition;
pub mod correlation;
pub mod detection;
pub mod fields;
pub mod lint;
mod modifier;
pub mod pattern;
pub mod pipeline;
pub mod regular;
pub mod rule;
pub mod timepart;
pub mod yaml;

/// What is wrong with a rule, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line in the file, from 1; 0 when it concerns the file as a whole.
    pub line: u64,
    /// For a person: what to do.
    pub reason: String,
}

impl Fault {
    /// A fault at a line.
    pub fn at(line: u64, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}
