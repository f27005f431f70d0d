//! Makes sure that the folder of built pages exists, so that the crate builds without Node.
//!
//! It never runs npm: whoever wants pages builds them first, everyone else gets the stub page.

fn main() {
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    if let Err(error) = std::fs::create_dir_all(&dist) {
        println!("cargo::warning=cannot make {}: {error}", dist.display());
    }
}
