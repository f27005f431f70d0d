//! The console's pages: installed, checked and built by npm, which is optional for `up`.

use std::path::Path;

use crate::run::{command, have, output, say, step};

/// Oldest Node that the console's tools run on.
const NODE_MIN: (u32, u32) = (20, 19);

/// Whether npm and a recent Node are there; says what is missing.
pub(crate) fn possible() -> bool {
    if !have("npm", "--version") {
        say("npm is not there: the console will be a stub page (install nodejs and npm)");
        return false;
    }
    let version = output(Path::new("."), "node", &["--version"]).unwrap_or_default();
    let mut parts = version.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < NODE_MIN {
        say(&format!("Node {version} is too old for the console (at least {}.{}): it will be a stub page", NODE_MIN.0, NODE_MIN.1));
    }
    found >= NODE_MIN
}

/// Installs what `package-lock.json` names, unless that was done.
pub(crate) fn install(root: &Path) -> Result<(), String> {
    let console = root.join("console");
    let lock = std::fs::read(console.join("package-lock.json")).map_err(|error| format!("`console/package-lock.json` cannot be read: {error}"))?;
    let digest = blake3::hash(&lock).to_hex().to_string();
    let mark = console.join("node_modules/.weft-lock");
    if std::fs::read_to_string(&mark).is_ok_and(|kept| kept == digest) {
        return Ok(());
    }
    step("console: npm ci", || command(&console, "npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    std::fs::write(mark, digest).map_err(|error| error.to_string())
}

/// Installs and builds the pages; the binary embeds what it finds.
pub(crate) fn build(root: &Path) -> Result<bool, String> {
    if !possible() {
        return Ok(false);
    }
    install(root)?;
    step("console: build", || command(&root.join("console"), "npm", &["run", "--silent", "build"]))?;
    Ok(true)
}
