//! `test`: everything that this repository promises, in the order in which a fault is cheapest.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{cargo, command, command_with, have, output, say, step};
use crate::{console, independent, ocsf, servers, up};

/// How long the mesh may take to say where it listens.
const START_SECONDS_MAX: u64 = 60;

/// Runs every step; stops at the first that fails.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let begun = Instant::now();
    let cargo = cargo();
    step("generated tables", || tables(root))?;
    step("format", || command(root, &cargo, &["fmt", "--all", "--check"]))?;
    let pages = console_checks(root)?;
    step("clippy", || command(root, &cargo, &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // With everything that the tests need, so that no library is built twice with other features.
    step("weft: build with its tests", || command(root, &cargo, &["test", "--locked", "--workspace", "--no-run", "--quiet"]))?;
    let weft = up::binary("debug");
    step("independent readers", || independent::run(root, &weft))?;
    step("independent senders", || senders(root, &weft))?;
    if pages {
        step("console in a browser", || browser(root, &weft))?;
    }
    step("documentation tests", || command(root, &cargo, &["test", "--locked", "--workspace", "--doc", "--quiet"]))?;
    step("servers for tests", || servers::install(root))?;
    step("tests", || tests(root, &cargo))?;
    say(&format!("everything passed in {:.0} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

fn tables(root: &Path) -> Result<(), String> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).map_err(|error| format!("`{path}` cannot be read: {error}"));
    let current = ocsf::is_current(&read(ocsf::TABLES)?, &read(ocsf::DECLARATION)?);
    if current { Ok(()) } else { Err(format!("{} is not that of {}: run `cargo xtask ocsf SCHEMA.json`", ocsf::TABLES, ocsf::DECLARATION)) }
}

fn console_checks(root: &Path) -> Result<bool, String> {
    if !console::possible() {
        return Ok(false);
    }
    let dir = root.join("console");
    console::install(root)?;
    step("console: prettier and tsc", || command(&dir, "npm", &["run", "--silent", "check"]))?;
    step("console: vitest", || command(&dir, "npm", &["run", "--silent", "test"]))?;
    console::build(root)
}

/// Last, so that its counts are the last lines.
fn tests(root: &Path, cargo: &str) -> Result<(), String> {
    if have("cargo-nextest", "--version") {
        return command(root, cargo, &["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]);
    }
    say("cargo-nextest is not there, using `cargo test` (`cargo install cargo-nextest --locked` is quicker to run)");
    command(root, cargo, &["test", "--locked", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])
}

/// A mesh that runs with its demonstration for as long as this value lives.
struct Mesh {
    child: Child,
    address: String,
    token: String,
}

impl Drop for Mesh {
    fn drop(&mut self) {
        // Its own way down first: the console's test is also one of a clean stop.
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let until = Instant::now() + Duration::from_secs(20);
        while asked.is_ok() && Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn senders(root: &Path, weft: &Path) -> Result<(), String> {
    let home = std::env::temp_dir().join(format!("weft-senders-{}", std::process::id()));
    let outcome = start(weft, &home, &[]).and_then(|mesh| independent::senders(root, &mesh.address, &mesh.token));
    let _gone = std::fs::remove_dir_all(&home);
    outcome
}

fn browser(root: &Path, weft: &Path) -> Result<(), String> {
    let Some(chromium) =
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(|name| output(root, "sh", &["-c", &format!("command -v {name}")]))
    else {
        say("no Chromium here: the console was not looked at in a browser (install chromium)");
        return Ok(());
    };
    let home = std::env::temp_dir().join(format!("weft-e2e-{}", std::process::id()));
    let outcome = start(weft, &home, &["--demo"]).and_then(|mesh| {
        let variables = [("WEFT_URL", mesh.address.as_str()), ("WEFT_TOKEN", mesh.token.as_str()), ("WEFT_CHROMIUM", chromium.as_str())];
        command_with(&root.join("console"), "npm", &["run", "--silent", "e2e"], &variables)
    });
    let _gone = std::fs::remove_dir_all(&home);
    outcome
}

/// Starts the mesh on a free port and waits until it says where it is.
fn start(weft: &Path, home: &Path, more: &[&str]) -> Result<Mesh, String> {
    let mut command = Command::new(weft);
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(home).args(more).stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn().map_err(|error| format!("`{}` cannot be started: {error}", weft.display()))?;
    let mut mesh = Mesh { child, address: String::new(), token: String::new() };
    let until = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    while Instant::now() < until {
        let run = std::fs::read(home.join("run.json")).ok().and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
        let text = |name: &str| run.as_ref()?.get(name)?.as_str().map(str::to_owned);
        if let (Some(address), Some(token)) = (text("address"), text("token")) {
            (mesh.address, mesh.token) = (address, token);
            return Ok(mesh);
        }
        if let Ok(Some(status)) = mesh.child.try_wait() {
            return Err(format!("the mesh ended at its start ({status})"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("the mesh did not say within {START_SECONDS_MAX} s where it listens"))
}
