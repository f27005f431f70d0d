//! nftables, the packet filter of Linux: blocks addresses at a gateway.
//!
//! Everything stands in one table of our own, `inet weft`, which is made when the first address
//! is blocked and removed with the last: what others configured is never read or touched. The
//! gateway may be a network namespace (the default is one of our own, `weft`), so that the mesh
//! can show the whole loop on a machine whose firewall it must not touch.
//!
//! Debian packages: `nftables`, `iproute2`.

pub mod dialect;
mod exec;
pub mod gateway;
pub mod netns;
mod script;
#[cfg(test)]
mod tests;
pub mod topology;

pub use dialect::NftablesDialect;
pub use gateway::{Nftables, Settings};
pub use topology::Topology;
