//! Sessions against an API in memory.
#![allow(clippy::print_stdout, reason = "the control prints what it lost")]

mod api;
mod once;
mod words;
