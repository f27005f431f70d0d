//! One folder per tool: manifest, mappings, detections, checks, and the facets that exist.
//!
//! Vendor words live here and nowhere else. What this crate deliberately does not know: how a
//! mapping is compiled (`weft-ingest`), the lake, other tools, and any layer.

use std::collections::BTreeMap;

use rust_embed::RustEmbed;

/// Facets of Azure that are code.
pub mod azure {
    pub mod entitlement;
    pub mod machines;
}
/// Facets of AWS that are code.
pub mod aws {
    pub mod entitlement;
    pub mod machines;
}
/// Facets of Kubernetes that are code.
pub mod kubernetes {
    pub mod entitlement;
    pub mod machines;
}
pub mod nftables;

/// Facets of Google Cloud that are code.
pub mod gcp {
    pub mod entitlement;
    pub mod machines;
}
/// Facets of GitHub that are code.
pub mod github {
    pub mod entitlement;
    pub mod machines;
}
mod groups;
pub mod machines;
pub mod systems;

// Snapshots of identity systems, by a name that says what and not whose.
pub use aws::entitlement;

/// Facets of Linux hosts that are code.
pub mod linux {
    pub mod sshd_config;
}

/// What makes a folder a connector.
const MANIFEST: &str = "connector.toml";

/// Files of all connectors, read from the folder in a debug build, embedded otherwise.
#[derive(RustEmbed)]
#[folder = "."]
#[include = "*/connector.toml"]
#[include = "*/fields.toml"]
#[include = "*/entities.toml"]
#[include = "*/mapping/*.toml"]
#[include = "*/pull/*.toml"]
#[include = "*/inventory/*.toml"]
#[include = "*/detections/*.yml"]
#[include = "*/checks/*.toml"]
struct Files;

/// Text files of one connector.
#[derive(Debug, Clone)]
pub struct ConnectorFiles {
    /// Folder.
    pub name: String,
    /// Path below the folder, and text.
    pub files: Vec<(String, String)>,
}

/// Every connector with its files, in order of name. A folder with a manifest is a connector.
pub fn files() -> Vec<ConnectorFiles> {
    let mut connectors: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in Files::iter() {
        let text = Files::get(&path).and_then(|file| String::from_utf8(file.data.into_owned()).ok());
        if let Some(((name, below), text)) = path.split_once('/').zip(text) {
            connectors.entry(name.to_owned()).or_default().push((below.to_owned(), text));
        }
    }
    connectors.retain(|_, files| files.iter().any(|(path, _)| path == MANIFEST));
    let sorted = |mut files: Vec<(String, String)>| {
        files.sort();
        files
    };
    connectors.into_iter().map(|(name, files)| ConnectorFiles { name, files: sorted(files) }).collect()
}
