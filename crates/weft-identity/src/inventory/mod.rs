//! Snapshots of identity systems into the graph's words, by descriptions that connectors give.
//!
//! A description (a [`Forms`] file) says which records of which document it is about, and which nodes, keys
//! and edges each record gives. So a tool needs no code here, and no word of a tool stands here. The neutral
//! form of nodes and edges is a description too.
//!
//! What this module deliberately does not know: files and archives (the caller reads them), and what is
//! done with what was read.

mod binary;
mod form;
pub mod json;
pub mod ldif;
mod path;
mod read;
mod template;

pub use binary::instant;
pub use form::{FormFault, Forms};
pub use read::Reading;
