//! What the generic streams alone make of the records of every connector, in two halves:
//! `cargo run -p weft-testkit --example yardstick`, with `--notes` for each value that the half to
//! look at misses.

#![allow(clippy::print_stdout, reason = "a tool for the terminal")]

fn main() {
    let yardstick = weft_testkit::yardstick::measure();
    if std::env::args().any(|argument| argument == "--notes") {
        yardstick.seen.notes.iter().for_each(|note| println!("{note}"));
    }
    println!("{}", yardstick.text());
}
