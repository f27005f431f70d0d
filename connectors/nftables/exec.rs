//! Running `nft` and `ip`, and telling apart what can be tried again from what cannot.

use std::io::ErrorKind;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use weft_model::PortError;

/// Longest that a call may take; `nft` answers within milliseconds.
const CALL_SECONDS_MAX: u64 = 10;
/// Longest answer that is read.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Runs a program with `input` on its standard input; its standard output.
pub(super) async fn run(tool: &str, program: &str, arguments: &[&str], input: &str) -> Result<Vec<u8>, PortError> {
    let unavailable = |message: String| PortError::Unavailable { tool: tool.to_owned(), message };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| absent(tool, program, &error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it read everything says why on standard error.
        let _told_by_status = stdin.write_all(input.as_bytes()).await;
    }
    let waited = tokio::time::timeout(Duration::from_secs(CALL_SECONDS_MAX), child.wait_with_output()).await;
    let output =
        waited.map_err(|_| unavailable(format!("`{program}` did not end within {CALL_SECONDS_MAX} s")))?.map_err(|error| unavailable(error.to_string()))?;
    outcome(tool, program, output)
}

/// The standard output of a call that went well, or else what a caller can do.
pub(super) fn outcome(tool: &str, program: &str, output: Output) -> Result<Vec<u8>, PortError> {
    if output.status.success() && output.stdout.len() <= ANSWER_BYTES_MAX {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    let denied = ["Operation not permitted", "Permission denied", "you must be root"].iter().any(|text| said.contains(text));
    if denied {
        let message = format!("`{program}` may not do this ({said}); run as root, or with CAP_NET_ADMIN and CAP_SYS_ADMIN");
        return Err(PortError::Refused { tool: tool.to_owned(), message });
    }
    Err(PortError::Protocol { tool: tool.to_owned(), message: format!("`{program}` failed: {said}") })
}

/// Why a program could not be started.
pub(super) fn absent(tool: &str, program: &str, error: &std::io::Error) -> PortError {
    match error.kind() {
        ErrorKind::NotFound => {
            PortError::Refused { tool: tool.to_owned(), message: format!("`{program}` is not installed; install the packages nftables and iproute2") }
        }
        ErrorKind::PermissionDenied => PortError::Refused { tool: tool.to_owned(), message: format!("`{program}` may not be run by this user") },
        _ => PortError::Unavailable { tool: tool.to_owned(), message: format!("`{program}` could not be started: {error}") },
    }
}
