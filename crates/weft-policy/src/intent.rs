//! From decisions in force to one intent, and from intent to what a tool lacks.

use serde::{Deserialize, Serialize};
use weft_model::{Artifact, Compiled, Dialect, Plan, Policy, PolicySet, Timestamp, TraceId};

/// A policy that somebody decided on, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// What holds.
    pub policy: Policy,
    /// The trace of the finding that asked for it.
    pub trace: TraceId,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none means until it is undone.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// What an enforcement point has, should have, and what leads from one to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The intent in the tool's words, with what the tool cannot enforce.
    pub compiled: Compiled,
    /// The way there; empty means no drift.
    pub plan: Plan,
}

/// The policies in force at `now`: expired ones left out, equal ones once, in the order in which
/// they were decided.
pub fn policy_set(active: &[Active], now: Timestamp) -> PolicySet {
    let mut in_force: Vec<&Active> = active.iter().filter(|active| active.since <= now && active.until.is_none_or(|until| now < until)).collect();
    in_force.sort_by_key(|active| active.since);
    let mut policies: Vec<Policy> = Vec::new();
    for active in in_force {
        if !policies.iter().any(|policy| same(policy, &active.policy)) {
            policies.push(active.policy.clone());
        }
    }
    PolicySet { policies }
}

/// Compares the intent with what was observed.
pub fn drift(dialect: &dyn Dialect, policies: &PolicySet, actual: &Artifact) -> Drift {
    let compiled = dialect.compile(policies);
    let plan = dialect.plan(&compiled.artifact, actual);
    Drift { compiled, plan }
}

/// Two decisions for different reasons are one policy where they ask for the same.
fn same(one: &Policy, other: &Policy) -> bool {
    match (one, other) {
        (Policy::BlockAddress { address: one, .. }, Policy::BlockAddress { address: other, .. }) => one == other,
    }
}
