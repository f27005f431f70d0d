//! Rules of others: looked at by `check --rules`, taken in by `content add`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::{text, weft};

fn rule(title: &str, logsource: &str, lines: &str) -> String {
    format!("title: {title}\nid: {title}\nlogsource: {{{logsource}}}\ndetection:\n  s:\n    {lines}\n  condition: s\n")
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

fn archive(folder: &Path, name: &str, entries: &[(&str, Vec<u8>)]) -> PathBuf {
    let path = folder.join(name);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

#[test]
fn check_says_what_is_wrong_or_odd_and_where_rules_can_fire() {
    let folder = tempfile::tempdir().unwrap();
    let (home, rules) = (folder.path().join("home"), folder.path().join("rules"));
    write(&rules, "good.yml", &rule("good", "category: process_creation, product: windows", "CommandLine|contains: x"));
    write(&rules, "broken.yml", &rule("broken", "category: process_creation", "Image|nonsense: x"));
    write(&rules, "unknown.yml", &rule("unknown", "category: process_creation, product: windows", "CommandLin: x"));
    write(&rules, "never.yml", &rule("never", "product: toaster", "a: x"));
    write(&rules, "other.yml", &rule("other", "category: process_creation, product: windows", "u|expand: '%nobody%'"));
    write(&rules, "unused.yml", &rule("unused", "category: process_creation", "Image: x").replace("  condition", "  spare:\n    Image: y\n  condition"));
    let output = weft(&home, &["check", "--rules", rules.to_str().unwrap(), "--format", "csv"], "");
    let (said, sum) = (text(&output.stderr), text(&output.stdout));
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in [
        "broken.yml:6: the modifier `nonsense` is not known",
        "unknown.yml:1: the field `CommandLin` is in no mapping of this logsource; near: `CommandLine`",
        "never.yml:1: the rule can never fire here: no kind of event is known for the logsource `toaster`",
        "other.yml:1: the rule can never fire here: nothing fills the placeholder `%nobody%`",
        "unused.yml:8: the selection `spare` is never used in the condition",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    for line in ["rules,5", "refused,1", "can never fire here,2", "can fire on windows,3"] {
        assert!(sum.lines().any(|found| found == line), "{line}\n{sum}");
    }
}

#[test]
fn a_pack_is_taken_in_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let good = rule("good", "category: process_creation", "Image: x").into_bytes();
    let pack = archive(folder.path(), "pack.zip", &[("a/good.yml", good.clone()), ("a/broken.yml", b"title: [".to_vec()), ("README.md", b"x".to_vec())]);
    let output = weft(&home, &["content", "add", pack.to_str().unwrap(), "--format", "csv"], "");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("pack,2,1,1,") && text(&output.stderr).contains("broken.yml"), "{}", text(&output.stdout));
    assert!(home.join("content/detections/pack/a/good.yml").exists());

    let escape = archive(folder.path(), "escape.zip", &[("good.yml", good.clone()), ("../../outside.yml", good.clone())]);
    let large = archive(folder.path(), "large.zip", &[("good.yml", good), ("large.yml", vec![b'a'; 2 << 20])]);
    for (pack, reason) in [(escape, "reaches outside of the pack"), (large, "is longer than"), (folder.path().join("none.zip"), "cannot be read")] {
        let output = weft(&home, &["content", "add", pack.to_str().unwrap()], "");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(reason), "{}", text(&output.stderr));
    }
    assert_eq!(std::fs::read_dir(home.join("content/detections")).unwrap().count(), 1, "nothing else was taken");
    assert!(!folder.path().join("outside.yml").exists());
    let output = weft(&home, &["check"], "");
    assert_eq!(output.status.code(), Some(2), "the broken rule is told");
    assert!(text(&output.stderr).contains("broken.yml"), "{}", text(&output.stderr));
}
