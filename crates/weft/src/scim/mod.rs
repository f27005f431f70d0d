//! The SCIM 2.0 server (RFC 7644): a directory of persons pushes accounts and groups to us, and the identity graph
//! follows.
//!
//! What a resource, a filter and a patch are is said in `weft-identity`; here requests are taken, kept and answered.
//! Each token is a source of its own: what one pushes the other neither sees nor changes.

mod discovery;
mod follow;
mod http;
mod service;

pub use follow::Follower;
pub use http::routes;
pub use service::Service;

/// Where it is served.
pub const BASE: &str = "/scim/v2";
