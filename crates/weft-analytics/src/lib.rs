//! Layer 1, analytics: rules over event batches, findings out.
//!
//! [`sigma`] reads Sigma rules and says what is wrong with them, line by line; [`engine`] runs
//! the compiled rules over Arrow columns and keeps correlations and baselines on event
//! time; [`intel`] matches indicators of others. Findings, ours and those that tools send, raise the [`risk`] of the [`entity`]s that they
//! are about. Batches and time go in, [`Finding`](weft_model::Finding)s come out; what has to survive
//! a restart is one checkpoint.
//!
//! What this crate deliberately does not know: any vendor (logsources of a product are mapped by
//! a file in its connector's folder), files and folders (rules arrive as text), the clock, the
//! lake, and what is done about a finding.

pub mod engine;
pub mod entity;
pub mod hunt;
pub mod incident;
pub mod intel;
pub mod risk;
pub mod sigma;

pub use engine::baseline::{Location, Places};
pub use engine::{Engine, Pressure, RuleFault, RuleFile, compile, compile_with};
pub use sigma::fields::FieldMap;
pub use sigma::pipeline::Pipelines;
