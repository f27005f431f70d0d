//! Pulling records from an API as a description says: pure, neither sockets nor a clock.
//!
//! A [`Description`] is a file of a connector (`pull/*.toml`, `docs/guide/pull.md`). A [`Session`]
//! asks by it: what to request now, what an answer holds, and the position after it. Whoever drives
//! it does the I/O.
//!
//! ```text
//! position -> Session::ask -> Request -> (the world) -> Answer -> Session::take -> Chunk… -> position
//! ```
//!
//! **Exactly once.** A [`Chunk`] carries the position after it, and both become durable together.
//! APIs show events late, in any order, and twice; so each walk begins `look_back` before the newest
//! event seen, and what is known by its key is left out. The keys of a chunk are remembered *before*
//! it is handed on, under its number; the number in the durable position tells afterwards which of
//! them count. No crash in between loses or doubles.

mod ask;
mod auth;
mod check;
mod describe;
mod limit;
mod message;
mod notice;
mod page;
mod place;
mod seen;
mod session;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod when;

pub use auth::{Access, ToSign, access_of, basic, sign, token_request};
pub use check::read as describe;
pub use describe::{Description, Method, REQUEST_HEADERS_MAX};
pub use limit::{Backoff, Pace, retry_after};
pub use message::{Answer, Body, Chunk, Fault, Request, Settings, Taken};
pub use notice::{Named, Notice, notice};
pub use place::Place;
pub use seen::Keys;
pub use session::Session;
pub use when::span;
