//! The lake as its users see it: real files in temporary directories.

mod crash;
mod evolve;
mod independent;
mod read;
mod sql;
mod support;
mod visible;
