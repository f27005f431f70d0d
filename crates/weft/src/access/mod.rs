//! The decision point for other tools: over HTTP, for proxies, for hosts.
//!
//! What a decision is, is decided in `weft-identity`; here policies and facts are read, questions
//! are taken and answered, and every answer is kept as an event.

pub mod client;
mod facts;
mod forward;
mod http;
pub mod load;
mod log;
mod service;
mod watch;

pub use http::routes;
pub(crate) use http::{explained, found, kind_named};
pub use service::{Service, Settings};

/// Paths of [`routes`] as OpenAPI.
pub const OPENAPI: &str = include_str!("openapi.json");
