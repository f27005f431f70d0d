//! Layer 4, the console: HTTP API, local session and the embedded pages.
//!
//! It turns requests into calls of one port, [`Backend`], and answers into JSON; it owns the
//! filter language of the Events page, the session of the browser and the headers that keep a
//! page from running anything that was not built into it.
//!
//! It deliberately does not know the lake or its engine (it writes SQL as text and asks the
//! backend to run it), any other layer, any tool, the configuration, and where it listens.

pub mod api;
mod backend;
pub mod filter;
mod headers;
mod latency;
mod openapi;
mod pages;
mod routes;
mod session;
mod sql;
mod tail;

pub use backend::{Backend, TailEvent};
pub use latency::{Latency, LatencySummary};
pub use openapi::document as openapi_document;
pub use routes::{Console, ConsoleConfig};
pub use session::{LoginKeys, MemorySessions, SessionStore};
