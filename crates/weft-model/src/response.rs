//! Commands, receipts and probes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::{AccessRequest, EntityUid, Proposal};

/// One thing that a tool is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Tool, e.g. `nftables/gateway`.
    pub target: String,
    /// What, e.g. `block_address`.
    pub action: String,
    /// On what, e.g. an address.
    pub object: EntityUid,
    /// Arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
}

impl Proposal for Command {
    fn request(&self, principal: &EntityUid) -> AccessRequest {
        let mut context = self.arguments.clone();
        context.insert("target".to_owned(), Value::from(self.target.clone()));
        AccessRequest { principal: principal.clone(), action: self.action.clone(), resource: self.object.clone(), context }
    }
}

/// What the tool said it did, and how to take it back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// For a person.
    pub summary: String,
    /// The command that undoes it; none when it changed nothing.
    pub undo: Option<Command>,
}

/// What an independent look at the world saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Whether the effect of the command is there.
    pub effective: bool,
    /// What was looked at and seen, for a person.
    pub observed: String,
}
