//! `weft`: see the crate's library.

/// Mapping and encoding ask for the same large buffers batch after batch: this allocator keeps them
/// instead of giving them back to the system each time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    weft::cli::main()
}
