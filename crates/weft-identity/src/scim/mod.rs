//! SCIM 2.0 (RFC 7643, RFC 7644) without I/O: what a resource is, what a filter asks, what a patch changes.
//!
//! Names of attributes are met in any case and kept as the standard writes them. What the standard does not know is
//! kept as it was sent: an organisation's own schemas lose nothing.

mod events;
mod filter;
mod patch;
mod path;
mod resource;
mod schema;

pub use events::Step;
pub use filter::Filter;
pub use patch::{Change, changes};
pub use path::Path;
pub use resource::{Selection, accept};
pub use schema::{Attribute, Form, Kind, Mutability, Returned, Schema};

use serde_json::{Value, json};

/// Schema of an error.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// Schema of a list.
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// Schema of a patch.
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Schema of a search.
pub const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// Why a request is refused (RFC 7644, section 3.12).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Status of HTTP.
    pub status: u16,
    /// Keyword of the standard, where it has one.
    pub kind: Option<&'static str>,
    /// For a person: what is wrong, and where.
    pub detail: String,
}

impl Refusal {
    /// With a keyword of table 9 of the standard; all of them but `uniqueness` are status 400.
    pub fn of(kind: &'static str, detail: impl Into<String>) -> Self {
        let status = if kind == "uniqueness" { 409 } else { 400 };
        Self { status, kind: Some(kind), detail: detail.into() }
    }

    /// With a status alone.
    pub fn status(status: u16, detail: impl Into<String>) -> Self {
        Self { status, kind: None, detail: detail.into() }
    }

    /// As the standard writes it.
    pub fn to_json(&self) -> Value {
        let mut body = json!({"schemas": [ERROR], "status": self.status.to_string(), "detail": self.detail});
        if let (Some(kind), Some(body)) = (self.kind, body.as_object_mut()) {
            body.insert("scimType".to_owned(), kind.into());
        }
        body
    }
}

#[cfg(test)]
mod tests;
