//! One folder per tool: manifest, mappings, detections, checks, and the facets that exist.
//!
//! Vendor words live here and nowhere else. What this crate deliberately does not know: how a
//! mapping is compiled (`weft-ingest`), the lake, other tools, and any layer.

use rust_embed::RustEmbed;

pub mod nftables;

/// Facets of Linux hosts that are code.
pub mod linux {
    pub mod sshd_config;
}

macro_rules! connectors {
    ($($name:ident),* $(,)?) => {
        /// Every connector, by its folder.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

// The one word that a new connector needs outside its folder.
connectors![aws, cef, entra, github, leef, linux, nftables, ocsf, okta, syslog, windows, zeek];

/// Files of all connectors, read from the folder in a debug build, embedded otherwise.
#[derive(RustEmbed)]
#[folder = "."]
#[include = "*/connector.toml"]
#[include = "*/fields.toml"]
#[include = "*/mapping/*.toml"]
#[include = "*/detections/*.yml"]
#[include = "*/checks/*.toml"]
struct Files;

/// Text files of one connector.
#[derive(Debug, Clone)]
pub struct ConnectorFiles {
    /// Folder.
    pub name: &'static str,
    /// Path below the folder, and text.
    pub files: Vec<(String, String)>,
}

/// Every connector with its files, in order of name.
pub fn files() -> Vec<ConnectorFiles> {
    NAMES.iter().map(|name| ConnectorFiles { name, files: files_of(name) }).collect()
}

fn files_of(name: &str) -> Vec<(String, String)> {
    let below = |path: &str| path.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')).map(str::to_owned);
    let text = |path: &str| Files::get(path).and_then(|file| String::from_utf8(file.data.into_owned()).ok());
    let mut files: Vec<(String, String)> = Files::iter().filter_map(|path| Some((below(&path)?, text(&path)?))).collect();
    files.sort();
    files
}
