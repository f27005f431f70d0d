//! `docs/guide/cli.md` is what `--help` says; `WEFT_BLESS=1` writes it anew.

use clap::CommandFactory;

use super::Args;

fn section(command: &mut clap::Command, path: &str, out: &mut String) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    out.push_str(&format!("\n## `{path}`\n\n```text\n{}\n```\n", help.join("\n").trim()));
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        section(sub, &path, out);
    }
}

#[test]
fn the_reference_is_current() {
    let mut command = Args::command().term_width(100).disable_help_subcommand(true).disable_help_flag(true).disable_version_flag(true);
    command.build();
    let mut text = String::from("# The command line\n\nWritten from `weft --help` by `WEFT_BLESS=1 cargo test -p weft reference`; do not edit.\n");
    section(&mut command, "weft", &mut text);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/cli.md");
    if std::env::var_os("WEFT_BLESS").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(kept == text, "docs/guide/cli.md is not current: run `WEFT_BLESS=1 cargo test -p weft reference`");
}
