//! Entitlements: effective permissions from policies, each answer with the statements that decide.
//!
//! [`compile`] prepares documents, [`decide`] goes through the layers, [`Estate`] answers over a
//! whole snapshot, and [`escalation`] follows what one principal can become.

pub mod catalogue;
pub mod compile;
mod condition;
pub mod context;
pub mod decide;
pub mod escalation;
mod estate;
pub mod federation;
mod pattern;
pub mod remedy;
mod rules;
mod single;
pub mod usage;

pub use catalogue::Catalogue;
pub use compile::{Action, Compiler, Policy};
pub use context::Circumstances;
pub use decide::{Policies, Question};
pub use estate::{Estate, Provider};
pub use rules::{Capability, RuleFault, Rules};
pub use single::evaluate;
