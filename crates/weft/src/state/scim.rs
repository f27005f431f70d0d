//! What identity providers pushed, as it is kept.

use async_trait::async_trait;
use serde_json::{Map, Value};
use weft_identity::scim::Form;
use weft_model::Timestamp;

use super::StateError;

/// A resource.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptResource {
    /// Who pushed it.
    pub source: String,
    /// Which kind.
    pub form: Form,
    /// Ours.
    pub id: String,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub modified: Timestamp,
    /// Its attributes, as [`weft_identity::scim::accept`] gives them.
    pub body: Map<String, Value>,
}

/// By what resources are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'t> {
    /// All of them.
    All,
    /// By id.
    Id(&'t str),
    /// By `userName` or `displayName`, in any case.
    Name(&'t str),
    /// By `externalId`.
    External(&'t str),
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is kept.
    Kept,
    /// Another one has the name that has to be its own.
    Taken,
    /// It is not there, or was changed by somebody else meanwhile.
    Gone,
}

impl KeptResource {
    /// The text of an attribute at the top.
    pub fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The name that it is looked up by.
    pub fn name(&self) -> String {
        self.text(if self.form == Form::User { "userName" } else { "displayName" }).to_lowercase()
    }

    /// Ids of a group's members.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        let members = self.body.get("members").filter(|_| self.form == Form::Group).and_then(Value::as_array);
        members.into_iter().flatten().filter_map(|member| member.get("value")?.as_str())
    }
}

/// The port.
#[async_trait]
pub trait ScimStore: Send + Sync {
    /// Keeps a new one.
    async fn add_resource(&self, new: &KeptResource) -> Result<Changed, StateError>;
    /// Keeps one in place of its version before.
    async fn replace_resource(&self, new: &KeptResource, before: &KeptResource) -> Result<Changed, StateError>;
    /// Takes one away, and out of its groups; whether it was there.
    async fn remove_resource(&self, old: &KeptResource, now: Timestamp) -> Result<bool, StateError>;
    /// One.
    async fn resource(&self, source: &str, form: Form, id: &str) -> Result<Option<KeptResource>, StateError>;
    /// How many there are.
    async fn count_resources(&self, source: &str, form: Form, by: Lookup<'_>) -> Result<u64, StateError>;
    /// Some of them in the order in which they came, after so many.
    async fn resources(&self, source: &str, form: Form, by: Lookup<'_>, skip: u64, most: u64) -> Result<Vec<KeptResource>, StateError>;
    /// Groups with a member: id and name.
    async fn groups_with(&self, source: &str, member: &str) -> Result<Vec<(String, String)>, StateError>;
    /// Everybody who ever pushed.
    async fn scim_sources(&self) -> Result<Vec<String>, StateError>;
}
