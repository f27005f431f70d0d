//! Mapping at work: values, code, columns, and the loop over records.

pub mod classes;
pub mod code;
pub mod columns;
pub mod convert;
pub mod dispatch;
pub mod drops;
mod event;
pub mod explain;
pub mod func;
mod nothing;
mod passthrough;
pub mod pattern;
pub mod program;
mod run;
pub mod staged;
pub mod time;
pub mod value;

pub use run::{Mapper, RECORD_BYTES_MAX, Scratch};
