//! What the doors read of the configuration.

#[path = "../../crates/weft/src/config/doors.rs"]
mod doors;
pub use doors::*;
