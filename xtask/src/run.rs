//! Steps: programs that are run one after another, each with its name and time.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// One line for the person who waits.
pub(crate) fn say(message: &str) {
    let _closed = writeln!(std::io::stderr(), "xtask: {message}");
}

/// Runs `work` under a name and says how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    say(&format!("{name} …"));
    let begun = Instant::now();
    let outcome = work();
    let seconds = begun.elapsed().as_secs_f64();
    match &outcome {
        Ok(_) => say(&format!("{name}: done in {seconds:.1} s")),
        Err(_) => say(&format!("{name}: FAILED after {seconds:.1} s")),
    }
    outcome
}

/// Runs a program to its end, its output passed through.
pub(crate) fn command(dir: &Path, program: &str, arguments: &[&str]) -> Result<(), String> {
    command_with(dir, program, arguments, &[])
}

/// The same with variables of the environment.
pub(crate) fn command_with(dir: &Path, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).envs(variables.iter().copied());
    // What cargo told us about xtask must not reach another cargo: build scripts that look at it
    // would run again, and everything above them be compiled again.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_about_us(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    let status = command.status().map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{program} {}` failed ({status})", arguments.join(" "))) }
}

/// What a program prints; none when it fails or is not there.
pub(crate) fn output(dir: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).current_dir(dir).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program can be started.
pub(crate) fn have(program: &str, version: &str) -> bool {
    output(Path::new("."), program, &[version]).is_some()
}

/// Cargo, the same that runs this.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Variables that `cargo run` sets for the program that it runs.
fn is_about_us(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || name.starts_with("CARGO_BIN_")
        || matches!(name, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}
