//! `servers`: programs that tests talk to over loopback, installed once into a cache.

use std::path::{Path, PathBuf};

use crate::run::{command, have, say};

/// S3 and SQS over HTTP.
const PYTHON: [&str; 1] = ["moto[server]==5.2.5"];
/// Azure Blob over HTTP; what others make of SCIM.
const NODE: [&str; 2] = ["azurite@3.34.0", "scimmy@1.3.5"];

/// Installs what is missing; what cannot be had is told in one line, and its tests say that they skip.
pub(crate) fn install(root: &Path) -> Result<(), String> {
    let folder = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from).join(".cache/weft/servers");
    let mark = folder.join("versions");
    let wanted = PYTHON.into_iter().chain(NODE).collect::<Vec<_>>().join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(&folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
    for outcome in [python(root, &folder), node(root, &folder)] {
        if let Err(message) = outcome {
            say(&format!("a server for tests cannot be had ({message}); its tests are skipped"));
            return Ok(());
        }
    }
    std::fs::write(mark, wanted).map_err(|error| error.to_string())
}

fn python(root: &Path, folder: &Path) -> Result<(), String> {
    if !have("python3", "--version") {
        return Err("python3 is not there: install python3-venv".to_owned());
    }
    let venv = folder.join("venv");
    command(root, "python3", &["-m", "venv", "--clear", &venv.display().to_string()])?;
    let install: Vec<&str> = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"].into_iter().chain(PYTHON).collect();
    command(root, &venv.join("bin/python").display().to_string(), &install)
}

fn node(root: &Path, folder: &Path) -> Result<(), String> {
    if !have("npm", "--version") {
        return Err("npm is not there: install nodejs and npm".to_owned());
    }
    let place = folder.display().to_string();
    let install: Vec<&str> = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", &place].into_iter().chain(NODE).collect();
    command(root, "npm", &install)
}
