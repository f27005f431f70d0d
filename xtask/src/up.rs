//! `up`: the pages, the program, and then the program itself in our place.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::console;
use crate::run::{cargo, command, say, step};

/// Builds what is not built and becomes `weft up`.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    // Old pages are better than none: a console that does not build must not stop the mesh.
    if let Err(message) = console::build(root) {
        say(&format!("the console was not built ({message}); going on without"));
    }
    let program = binary("release");
    if !program.exists() {
        say("the first build compiles about 600 libraries: about half an hour on two cores; the next one takes seconds");
    }
    step("weft: build", || command(root, &cargo(), &["build", "--release", "--locked", "--package", "weft"]))?;
    let given = |flag: &str| arguments.contains(&flag);
    let mut weft = Command::new(&program);
    weft.arg("up");
    if !given("--no-demo") && !given("--demo") {
        weft.arg("--demo");
    }
    weft.args(arguments.iter().filter(|argument| **argument != "--no-demo"));
    Err(format!("`{}` cannot be started: {}", program.display(), weft.exec()))
}

/// Where cargo puts the program.
pub(crate) fn binary(profile: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    target.join(profile).join("weft")
}
