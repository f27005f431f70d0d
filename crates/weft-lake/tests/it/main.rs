//! The lake as its users see it: real files in temporary directories.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a test may fail loudly"
)]

mod bucket;
mod compact;
mod crash;
mod damage;
mod evolve;
mod faults;
mod full;
mod independent;
mod ledger;
mod life;
mod read;
mod sift;
mod sql;
mod support;
mod visible;
