//! Access decisions for other tools.

use std::path::PathBuf;

/// Where policies and facts are, and who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessConfig {
    /// Folder with `*.cedar`, `*.cedarschema` and `entities*.json`; none means `access` in the mesh's
    /// home.
    pub folder: Option<PathBuf>,
    /// How the decision point is reached from outside, without a slash at the end.
    pub url: Option<String>,
    /// A token that asks and does nothing else, for enforcement points.
    pub token: Option<String>,
    /// Header in which a proxy says who the user is.
    pub user_header: String,
    /// Type of the principals of proxies and hosts.
    pub principal_type: String,
    /// Seconds between two looks at the folder.
    pub look_seconds: u64,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self { folder: None, url: None, token: None, user_header: "x-forwarded-user".to_owned(), principal_type: "User".to_owned(), look_seconds: 5 }
    }
}
