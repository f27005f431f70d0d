//! The public rule set: every file is read, and what is not understood yet is counted.

use std::collections::BTreeMap;
use std::process::Command;

use weft_analytics::sigma::rule;

#[test]
fn the_public_rules_are_read() {
    let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/sigma/rules.tar.xz");
    // Each file begins a document of its own; `tar -O` writes them one after the other.
    let Some(text) = Command::new("tar").args(["xOJf", archive, "--wildcards", "*.yml"]).output().ok().filter(|output| output.status.success()) else {
        println!("skipped: {archive} is not here");
        return;
    };
    let text = String::from_utf8_lossy(&text.stdout).replace('\r', "");
    let (mut rules, mut reasons) = (0, BTreeMap::<String, usize>::new());
    for document in text.split("\ntitle: ").map(|part| format!("title: {}", part.trim_start_matches("title: "))) {
        let (good, faults) = rule::parse(&document);
        rules += good.len();
        for fault in faults {
            *reasons.entry(fault.reason.split('`').step_by(2).collect()).or_default() += 1;
        }
    }
    println!("{rules} rules read; not understood: {reasons:#?}");
    let refused: usize = reasons.values().sum();
    assert!(rules > 3_500 && refused * 20 < rules, "{rules} read, {refused} refused");
}
