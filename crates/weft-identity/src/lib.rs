//! Layer 2, the identity fabric: who may do what, decided from facts.
//!
//! [`decide`] is the policy decision point: Cedar policies and a schema in, a decision with its
//! determining policies out. [`access`] decides for the tools of the organisation, from stored facts. [`entitlement`] answers what principals may do and can become, from a
//! snapshot of an identity system. [`facts`] turns what the organisation says of itself into the
//! entities that decisions look at. [`graph`] holds who has what at any date, and [`person`] finds the one
//! person behind accounts of many sources; [`inventory`] reads snapshots by what connectors describe, and
//! [`machine`] sees machine identities: whose, how old, what they reach. [`scim`] is what identity providers push.
//!
//! What this crate deliberately does not know: where policies and facts are kept, the clock, any
//! identity provider, and what is done with a decision.

pub mod access;
pub mod decide;
pub mod entitlement;
pub mod facts;
pub mod graph;
pub mod inventory;
pub mod machine;
pub mod person;
pub mod scim;

pub use decide::{CedarPoint, PolicyFault, PolicyFile, PolicyIndex};
pub use facts::Networks;
