//! Chores of the project: `cargo xtask up | test | faults | fuzz | queues | servers | console | ocsf SCHEMA.json |
//! attack BUNDLE.json VERSION | labels WEFT RULES FOLDER`.
//!
//! What it deliberately does not know: the insides of any crate. It runs programs, and its own
//! tests read the source tree (`tidy`).

mod attack;
mod console;
mod faults;
mod fuzz;
mod independent;
mod labels;
mod ocsf;
mod queues;
mod run;
mod servers;
mod suite;
#[cfg(test)]
mod tidy;
mod up;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask up [ARGUMENTS OF weft up] | test | faults [--long] [NAME…] | fuzz [TARGET] [SECONDS] | queues | servers | console | ocsf SCHEMA.json | attack BUNDLE.json VERSION | labels WEFT RULES FOLDER";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["up", rest @ ..] => up::run(&root, rest),
        ["test"] => suite::run(&root),
        ["faults", rest @ ..] => faults::run(&root, rest),
        ["fuzz", rest @ ..] => fuzz::run(&root, rest),
        ["queues"] => queues::run(&root),
        ["servers"] => servers::install(&root),
        ["console"] => console::build(&root).map(|_| ()),
        ["ocsf", schema] => ocsf::run(&root, Path::new(schema)).map(|done| run::say(&done)),
        ["attack", bundle, version] => attack::run(&root, Path::new(bundle), version).map(|done| run::say(&done)),
        ["labels", weft, rules, data] => labels::run(&root, Path::new(weft), Path::new(rules), Path::new(data)).map(|done| run::say(&done)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            run::say(&message);
            ExitCode::from(if message == USAGE { 2 } else { 1 })
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
