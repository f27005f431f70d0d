//! Access decisions for the tools of the organisation: facts, policies, and questions about them.
//!
//! [`EntityStore`] holds what is known of persons, devices, groups and resources; [`AccessPoint`]
//! decides by it and by Cedar policies. [`authzen`] is the border: JSON of the AuthZEN
//! Authorization API 1.0 in and out. [`search`] finds principals, resources and actions for which
//! the answer is a permit, [`explain`] says why an answer is what it is and what would change it,
//! and [`watch`] tells when it changes.
//!
//! All of it is pure: it knows no files, no clock and no HTTP.

pub mod authzen;
pub mod events;
pub mod explain;
mod plan;
mod point;
pub mod search;
mod store;
mod value;
pub mod watch;

pub use point::{AccessPoint, Ask, Party};
pub use store::EntityStore;
