//! The router as a browser and a program meet it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at what it did not expect, in its helpers too")]

mod fake;
mod routes;
mod session;
