//! Intent, what a tool can be told of it, and the difference to what it has.

use serde::{Deserialize, Serialize};

use crate::access::{AccessRequest, EntityUid, Proposal};

/// One tool-agnostic policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Policy {
    /// No traffic from or to this address.
    BlockAddress {
        /// IPv4 or IPv6 address.
        address: std::net::IpAddr,
        /// Why, for a person.
        reason: String,
    },
}

/// All policies that should hold at a point.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySet {
    /// In order of precedence.
    pub policies: Vec<Policy>,
}

/// What an enforcement point has, or should have, in a normal form: sorted lines that a person
/// can read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// One statement a line.
    pub lines: std::collections::BTreeSet<String>,
}

/// A policy that this tool cannot enforce, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The policy.
    pub policy: Policy,
    /// For a person.
    pub reason: String,
}

/// The intent in the words of one tool, with what did not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// What to enforce.
    pub artifact: Artifact,
    /// What cannot be enforced there.
    pub gaps: Vec<Gap>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", content = "line", rename_all = "lowercase")]
pub enum Change {
    /// A statement that is missing.
    Add(String),
    /// A statement that is too much.
    Remove(String),
}

/// Complete, readable, immutable; empty means no drift.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Enforcement point, e.g. `nftables/gateway`.
    pub point: String,
    /// Digest of the state that it was made from: applying refuses when the state has moved.
    pub from: String,
    /// Steps, in order.
    pub changes: Vec<Change>,
}

impl Artifact {
    /// Digest of the normal form.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for line in &self.lines {
            hasher.update(line.as_bytes()).update(b"\n");
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Additions first, so that nothing is open in between.
    pub fn difference(&self, actual: &Self, point: &str) -> Plan {
        let add = self.lines.difference(&actual.lines).cloned().map(Change::Add);
        let remove = actual.lines.difference(&self.lines).cloned().map(Change::Remove);
        Plan { point: point.to_owned(), from: actual.digest(), changes: add.chain(remove).collect() }
    }
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Proposal for Plan {
    fn request(&self, principal: &EntityUid) -> AccessRequest {
        let mut context = serde_json::Map::new();
        context.insert("changes".to_owned(), serde_json::Value::from(self.changes.len()));
        AccessRequest {
            principal: principal.clone(),
            action: "apply_plan".to_owned(),
            resource: EntityUid::new("EnforcementPoint", self.point.clone()),
            context,
        }
    }
}

/// What one tool can be told: pure.
pub trait Dialect: Send + Sync {
    /// Puts the intent in the tool's words.
    fn compile(&self, policies: &PolicySet) -> Compiled;
    /// What has to change; empty means no drift.
    fn plan(&self, intended: &Artifact, actual: &Artifact) -> Plan;
}
