//! Rules of the project against events, and the engine against a naive evaluator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout, missing_docs)]

mod behaviour;
mod content;
mod correlations;
mod events;
mod incidents;
mod intel;
mod load;
mod modifiers;
mod naive;
mod public_rules;
mod rewrite;
mod risk;
mod scenarios;
mod slow;
