//! Programs that are not ours look at what we made: an OCSF validator and readers of the lake.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{command, have, output, say};

/// What the virtual environment holds; a change makes a new one.
const PACKAGES: [&str; 5] = ["ocsf-lib==0.10.4", "pydantic-ocsf==3.0.0", "deltalake==1.6.6", "duckdb==2.0.0", "pyarrow==26.0.1"];
/// Clients of others that send to us.
const SENDERS: [&str; 4] =
    ["elasticsearch==9.5.1", "opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2", "opentelemetry-exporter-otlp-proto-grpc==1.45.2"];
/// Raw records of every kind that the connectors' scenarios hold stand in for real data here;
/// the data sets are used where they are.
const SAMPLES: [(&str, &str); 3] = [
    ("aws/cloudtrail", "../shared/data/aws/invictus_cloudtrail.ndjson.gz"),
    ("zeek/log", "../shared/data/zeek-wrccdc/ssh.json.gz"),
    ("zeek/log", "../shared/data/zeek-wrccdc/notice.json.gz"),
];

/// Maps and ingests real records, validates the events, counts the tables with two other engines.
pub(crate) fn run(root: &Path, weft: &Path) -> Result<(), String> {
    let samples: Vec<_> = SAMPLES.into_iter().filter(|(_, path)| root.join(path).exists()).collect();
    if samples.is_empty() {
        say("no data sets at ../shared/data: the independent readers had nothing to read");
        return Ok(());
    }
    let Some(python) = environment(root, &PACKAGES)? else { return Ok(()) };
    let home = std::env::temp_dir().join(format!("weft-independent-{}", std::process::id()));
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let outcome = samples.iter().try_for_each(|(stream, path)| validate(root, weft, &python, &home, stream, path)).and_then(|()| {
        for (stream, path) in &samples {
            command(root, &text(weft), &["ingest", stream, path, "--data", &text(&home)])?;
        }
        counts(root, weft, &python, &home)?;
        exports(root, weft, &python, &home)
    });
    let _gone = std::fs::remove_dir_all(&home);
    outcome
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn validate(root: &Path, weft: &Path, python: &Path, home: &Path, stream: &str, path: &str) -> Result<(), String> {
    let events = home.join("events.ndjson");
    let into = File::create(&events).map_err(|error| error.to_string())?;
    let mapped = Command::new(weft).current_dir(root).args(["map", stream, path]).stdin(Stdio::null()).stdout(into).status();
    if !mapped.is_ok_and(|status| status.success()) {
        return Err(format!("`weft map {stream} {path}` failed"));
    }
    let from = File::open(&events).map_err(|error| error.to_string())?;
    let validated = Command::new(python).current_dir(root).args(["tests/independent/ocsf_validate.py", "--limit", "20"]).stdin(from).status();
    if validated.is_ok_and(|status| status.success()) { Ok(()) } else { Err(format!("events of `{path}` are not valid OCSF, as ocsf-lib sees it")) }
}

fn counts(root: &Path, weft: &Path, python: &Path, home: &Path) -> Result<(), String> {
    let tables = output(root, &text(weft), &["tables", "--format", "json", "--data", &text(home)]).ok_or("`weft tables` failed")?;
    let file = home.join("tables.json");
    std::fs::write(&file, tables).map_err(|error| error.to_string())?;
    command(root, &text(python), &["xtask/checks/lake.py", &text(&home.join("lake")), &text(&file)])
}

/// Clients of others send to a running mesh, each in its own protocol.
pub(crate) fn senders(root: &Path, address: &str, token: &str) -> Result<(), String> {
    let Some(python) = environment(root, &SENDERS)? else { return Ok(()) };
    command(root, &text(&python), &["xtask/checks/senders.py", address, token])
}

/// DuckDB reads what was exported.
fn exports(root: &Path, weft: &Path, python: &Path, home: &Path) -> Result<(), String> {
    let (plain, lake, tables) = (text(&home.join("export")), text(&home.join("security-lake")), text(&home.join("tables.json")));
    command(root, &text(weft), &["export", &plain, "--data", &text(home)])?;
    command(root, &text(weft), &["export", &lake, "--layout", "security-lake", "--data", &text(home)])?;
    command(root, &text(python), &["xtask/checks/export.py", &plain, &lake, &tables])
}

/// The Python of the environment, made when it is not there; none when it cannot be made.
pub(crate) fn environment(root: &Path, packages: &[&str]) -> Result<Option<PathBuf>, String> {
    let digest: String = blake3::hash(packages.join(" ").as_bytes()).to_hex().chars().take(12).collect();
    let cache = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from).join(".cache/weft");
    let (dir, mark) = (cache.join(format!("venv-{digest}")), cache.join(format!("venv-{digest}/ready")));
    let python = dir.join("bin/python");
    if mark.exists() {
        return Ok(Some(python));
    }
    if !have("python3", "--version") {
        say("python3 is not there: nobody else looked at events and tables (install python3-venv)");
        return Ok(None);
    }
    let made = command(root, "python3", &["-m", "venv", "--clear", &text(&dir)]).and_then(|()| {
        let install: Vec<&str> = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"].into_iter().chain(packages.iter().copied()).collect();
        command(root, &text(&python), &install)
    });
    match made {
        Ok(()) => std::fs::write(mark, "").map(|()| Some(python)).map_err(|error| error.to_string()),
        Err(message) => {
            say(&format!("the packages for independent readers cannot be had ({message}); nobody else looked"));
            Ok(None)
        }
    }
}
