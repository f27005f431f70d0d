//! Intelligence of this home: what was imported, and what is matched now.
//!
//! ```text
//! intel/sources/NAME.ti   all of one source, packed
//! intel/lists/NAME.json   warning lists, as they were published
//! intel/stamp             another text after each change: a running mesh looks at it
//! ```

pub mod feed;
pub mod fetch;
pub mod import;
pub mod live;
pub mod open;
pub mod retro;
pub mod shelf;

pub use live::{Live, Renewed};
pub use shelf::Shelf;
