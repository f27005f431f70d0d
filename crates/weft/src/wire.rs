//! The only place where all parts meet: what is given to whom, in the order in which it starts.

mod access;
pub mod demo;
mod doors;
mod feeds;
mod hunts;
mod intel;
mod learn;
mod life;
mod loops;
mod persons;
pub(crate) mod pulled;
mod responder;
mod scim;
mod serve;
pub mod stand;

pub use feeds::FeedBoard;
pub(crate) use loops::subjects;
pub use serve::serve;
pub use stand::Stand;
