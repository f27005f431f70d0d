//! Runs scenarios of folders: `cargo run -p weft-testkit --example scenarios -- FOLDER…`;
//! `WEFT_BLESS=1` rewrites their expectations.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

use std::path::Path;

fn main() {
    let (registry, faults) = weft_testkit::registry();
    faults.iter().for_each(|fault| eprintln!("{fault}"));
    let mut failed = false;
    for folder in std::env::args().skip(1) {
        match weft_testkit::scenario::run(&registry, Path::new(&folder)) {
            Ok(count) => println!("{folder}: {count} scenarios hold"),
            Err(differences) => {
                failed = true;
                eprintln!("{differences}");
            }
        }
    }
    std::process::exit(i32::from(failed));
}
