//! `fuzz`: every parser of untrusted bytes under libFuzzer, with coverage on the stable toolchain.
//!
//! What is found stays in `fuzz/found/`, what covers something new beside the build; the seeds are
//! the raw records of all scenarios and the mapping files themselves.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{cargo, command, command_with, say, step};

/// Each parser with where its seeds come from: end of the file name.
const TARGETS: [(&str, &str); 10] = [
    ("auto", ".md"),
    ("container", ".md"),
    ("connector", ".toml"),
    ("pull", ".toml"),
    ("rule", ".yml"),
    ("doors", ".md"),
    ("frame", ".md"),
    ("schema", ".toml"),
    ("scim", ".md"),
    ("explain", ".md"),
];
/// Coverage counters and traced comparisons, as libFuzzer wants them (LLVM SanitizerCoverage).
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
/// Named, so that build scripts and macros are compiled without counters.
#[cfg(target_arch = "x86_64")]
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
#[cfg(not(target_arch = "x86_64"))]
const TRIPLE: &str = "aarch64-unknown-linux-gnu";
const SECONDS: &str = "60";

/// Builds the targets and runs one, or each, for so many seconds.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let seconds = arguments.iter().find(|argument| argument.parse::<u32>().is_ok()).copied().unwrap_or(SECONDS);
    let wanted = arguments.iter().find(|argument| argument.parse::<u32>().is_err());
    let known = |name: &str| TARGETS.iter().any(|(target, _)| *target == name);
    if let Some(name) = wanted.filter(|name| !known(name)) {
        return Err(format!("there is no fuzz target `{name}`; there are {}", TARGETS.map(|(target, _)| target).join(", ")));
    }
    let build = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("fuzz");
    let place = build.to_string_lossy().into_owned();
    let manifest = ["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target", TRIPLE, "--target-dir", &place];
    step("fuzz targets: build", || command_with(root, &cargo(), &manifest, &[("RUSTFLAGS", FLAGS)]))?;
    let found = root.join("fuzz/found");
    fs::create_dir_all(&found).map_err(|error| error.to_string())?;
    for (target, kind) in TARGETS.iter().filter(|(target, _)| wanted.is_none_or(|name| name == target)) {
        let corpus = build.join("corpus").join(target);
        let seeds = seed(root, kind, &corpus).map_err(|error| format!("`{}`: {error}", corpus.display()))?;
        say(&format!("{target}: {seeds} seeds in {}", corpus.display()));
        let program = build.join(TRIPLE).join("release").join(target);
        let (time, prefix) = (format!("-max_total_time={seconds}"), format!("-artifact_prefix={}/{target}-", found.display()));
        let corpus = corpus.to_string_lossy();
        let arguments = [&*corpus, &time, &prefix, "-max_len=16384", "-timeout=20", "-rss_limit_mb=4096", "-print_final_stats=1"];
        step(target, || command(root, &program.to_string_lossy(), &arguments))?;
    }
    Ok(())
}

/// Seeds from the connectors and the content: whole files, of scenarios the raw blocks.
fn seed(root: &Path, kind: &str, corpus: &Path) -> std::io::Result<usize> {
    fs::create_dir_all(corpus)?;
    let mut count = 0;
    for folder in ["connectors", "content"] {
        for file in files(&root.join(folder), kind)? {
            let text = fs::read_to_string(&file)?;
            let parts: Vec<&str> = if kind == ".md" { text.split("```raw").skip(1).filter_map(block).collect() } else { vec![text.as_str()] };
            for part in parts {
                fs::write(corpus.join(format!("seed-{count}")), part)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// What stands between the line of the fence and its end.
fn block(rest: &str) -> Option<&str> {
    rest.split_once('\n')?.1.split_once("\n```").map(|(text, _)| text)
}

fn files(folder: &Path, kind: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, kind)?);
        } else if path.to_string_lossy().ends_with(kind) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
