//! Checks events against OCSF.
//!
//! [`Validator`] looks at one event as JSON and says everything that is wrong with it, each with
//! its path. It stands beside the mapping, not in it: `weft check`, tests and the OCSF
//! pass-through use it, the hot path does not. [`load_compiled`] reads a compiled schema that the
//! user brings, so that other versions and private extensions are checked by the same code.
//!
//! What this module deliberately does not know: where an event comes from, how to mend it, Arrow.

pub(crate) mod format;
mod load;
mod validate;
mod violation;

pub use load::{SchemaError, load_compiled, load_compiled_file};
pub use validate::Validator;
pub use violation::{Kind, Level, Violation};

#[cfg(test)]
mod tests;
