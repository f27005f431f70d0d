//! Connectors against their scenarios, against real telemetry, and against published examples.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a test may fail loudly"
)]

mod blocked;
mod catalogues;
mod claims;
mod detections;
mod entitlements;
mod federation;
mod files;
mod inventory;
mod machines;
mod panther;
mod pull;
mod recall;
mod remedies;
mod scenarios;
mod strangers;
mod telemetry;
mod verdicts;
mod yardstick;
