//! What the generic streams make of tools that are hidden from them:
//! `cargo run -p weft-testkit --example strangers`, with `--notes` for every record.

#![allow(clippy::print_stdout, reason = "a tool for the terminal")]

fn main() {
    let outcome = weft_testkit::strangers::measure(weft_testkit::strangers::PARTS);
    if std::env::args().any(|argument| argument == "--notes") {
        outcome.notes.iter().for_each(|note| println!("{note}"));
        outcome.mistaken.iter().for_each(|note| println!("mistaken {note}"));
    }
    println!("{}", outcome.text());
}
