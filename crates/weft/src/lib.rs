//! The binary's insides: command line, configuration, doors, state, and [`wire`], the only place
//! where all parts of the mesh meet.
//!
//! What this crate deliberately does not know: how anything is done. A layer decides, a
//! connector speaks to a tool, the lake keeps; here they are only joined, started and stopped.

pub mod access;
pub mod cli;
pub mod config;
pub mod content;
pub mod demo;
pub mod door;
pub mod geo;
pub mod home;
pub mod hunting;
pub mod identity;
pub mod intel;
pub mod life;
pub mod mesh;
pub mod pipeline;
pub mod queue;
pub mod remote;
pub mod respond;
mod rulebook;
pub mod scim;
pub mod state;
pub mod verb;
pub mod wire;
