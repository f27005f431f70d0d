//! `weft`: see the crate's library.

fn main() -> std::process::ExitCode {
    weft::cli::main()
}
