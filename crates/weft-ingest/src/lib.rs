//! Raw records to OCSF events: framing, decoding, mapping, schema.
//!
//! The mapping language (`docs/guide/mapping.md`) is compiled once; a record is decoded into a
//! flat tree of nodes, walked once, and written straight into Arrow columns of its class.
//!
//! What this crate deliberately does not know: any vendor (mappings are data that the caller
//! gives), sockets, the clock, the lake, findings. Files are read only by [`frame`], which turns
//! bytes of any container into raw records.

mod carried;
pub mod decode;
pub mod frame;
pub mod language;
pub mod map;
pub mod pull;
pub mod recognise;
pub mod registry;
pub mod schema;
mod shape;
pub mod tree;

pub use language::Fault;
pub use language::compile::ConnectorSource;
pub use map::Mapper;
pub use map::drops::{DropPolicy, Drops};
pub use registry::Registry;
