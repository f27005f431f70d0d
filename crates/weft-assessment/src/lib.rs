//! Assessment: the mesh measures itself, from its own data.
//!
//! [`metric`] reads a metric's definition and computes it from samples.
//!
//! What this crate deliberately does not know: where samples are taken or kept, the clock, and
//! any questionnaire.

pub mod metric;

pub use metric::{Family, Measured, Metric, MetricFault, Samples};
