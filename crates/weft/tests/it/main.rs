//! The program as its users see it: arguments in, lines and exit codes out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a test may fail loudly"
)]

mod access;
mod api;
mod bucket;
mod command;
mod conformance;
mod demo;
mod domain;
mod entitlements;
mod fairness;
mod faults;
mod feeds;
mod hunts;
mod identity;
mod incidents;
mod intel;
mod lake;
mod mesh;
mod poison;
mod pull;
mod rules;
mod scim;
mod trust;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// One OCSF event as a raw record; `n` tells it from others.
fn event(n: usize) -> String {
    format!(
        r#"{{"class_uid":3002,"category_uid":3,"activity_id":1,"type_uid":300201,"severity_id":1,"time":1763924400000,"message":"log-on {n}","metadata":{{"version":"1.8.0","uid":"event-{n}","product":{{"name":"Test","vendor_name":"Test"}}}},"user":{{"name":"ada"}}}}"#
    )
}

fn events(range: std::ops::Range<usize>) -> String {
    range.map(|n| event(n) + "\n").collect()
}

/// Runs `weft` with this input and gives what it said.
fn weft(home: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(arguments)
        .env("WEFT_DATA", home)
        .env_remove("WEFT_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that refuses its arguments does not read its input.
    let _refused = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one number that a query answers.
fn count(home: &Path, sql: &str) -> u64 {
    let output = weft(home, &["query", sql, "--format", "csv"], "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().nth(1).unwrap().trim().parse().unwrap()
}
