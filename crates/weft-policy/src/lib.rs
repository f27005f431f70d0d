//! Layer 3, policy and posture: what should hold, and what does.
//!
//! [`intent`] gathers the decisions in force into one tool-agnostic policy set and says what a
//! tool lacks; [`posture`] evaluates checks on facts.
//!
//! What this crate deliberately does not know: any tool (a [`Dialect`](weft_model::Dialect) is
//! handed in), who decided, the clock, and how facts are gathered.

pub mod intent;
pub mod posture;

pub use intent::{Active, Drift, drift, policy_set};
pub use posture::{Check, CheckFault, Outcome, Status, Subject};
