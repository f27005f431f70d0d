//! Access decisions, and the only door through which the world is changed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::Timestamp;
use crate::trace::TraceId;

/// A Cedar entity: `Type::"id"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityUid {
    /// Entity type, e.g. `Playbook`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Identifier within the type.
    pub id: String,
}

impl EntityUid {
    /// Names an entity.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
}

/// May this principal do this action on this resource, in this context?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Who asks.
    pub principal: EntityUid,
    /// What for, e.g. `block_address`.
    pub action: String,
    /// On what.
    pub resource: EntityUid,
    /// Circumstances of this request alone.
    #[serde(default)]
    pub context: Map<String, Value>,
}

/// What is known when a decision is taken: entities with attributes and parents, and the time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Known entities.
    pub entities: Vec<FactEntity>,
    /// When the decision is asked for.
    pub now: Timestamp,
}

/// An entity with what is known about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactEntity {
    /// Name.
    pub uid: EntityUid,
    /// Attributes, as Cedar JSON.
    #[serde(default)]
    pub attrs: Map<String, Value>,
    /// Groups and roles that it is in.
    #[serde(default)]
    pub parents: Vec<EntityUid>,
}

/// Permit or forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The action may happen.
    Permit,
    /// The action must not happen.
    Forbid,
}

/// An answer with the policies that decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The answer.
    pub effect: Effect,
    /// Ids of the determining policies; empty when nothing permitted.
    pub determining: Vec<String>,
    /// Faults of single policies during evaluation; they never turn a forbid into a permit.
    pub errors: Vec<String>,
}

/// Policy decision point (NIST SP 800-207 section 3): pure, facts in, decision out.
pub trait DecisionPoint: Send + Sync {
    /// Decides one request.
    fn decide(&self, request: &AccessRequest, facts: &Facts) -> Decision;
}

/// Something that would change the world and can say so as an access request.
pub trait Proposal {
    /// The request that this value amounts to when `principal` asks for it.
    fn request(&self, principal: &EntityUid) -> AccessRequest;
}

/// A value that a decision point has permitted.
///
/// INVARIANT: [`authorize`] is the only constructor; ports that change the world take nothing
/// less.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved<T> {
    value: T,
    principal: EntityUid,
    decision: Decision,
    trace: TraceId,
}

impl<T> Approved<T> {
    /// What was permitted.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// On whose behalf.
    pub fn principal(&self) -> &EntityUid {
        &self.principal
    }

    /// The decision with its determining policies.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The trace that it belongs to.
    pub fn trace(&self) -> &TraceId {
        &self.trace
    }
}

/// A proposal that was not permitted, given back with the reason.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{action}` on `{resource}` is not permitted to `{principal}`: {reason}")]
pub struct Refused {
    /// Action that was asked for.
    pub action: String,
    /// Resource that was asked for.
    pub resource: String,
    /// Who asked.
    pub principal: String,
    /// For a person.
    pub reason: String,
    /// The decision with its determining policies.
    pub decision: Decision,
}

/// Asks `pdp` whether `principal` may do what `value` proposes; mints the approval if so.
///
/// # Errors
/// [`Refused`] when the decision is forbid, with the determining policies.
pub fn authorize<T: Proposal>(pdp: &dyn DecisionPoint, facts: &Facts, principal: &EntityUid, trace: &TraceId, value: T) -> Result<Approved<T>, Box<Refused>> {
    let request = value.request(principal);
    let decision = pdp.decide(&request, facts);
    match decision.effect {
        Effect::Permit => Ok(Approved { value, principal: principal.clone(), decision, trace: trace.clone() }),
        Effect::Forbid => Err(Box::new(Refused {
            reason: refusal(&decision),
            action: request.action,
            resource: request.resource.id,
            principal: principal.id.clone(),
            decision,
        })),
    }
}

fn refusal(decision: &Decision) -> String {
    if decision.determining.is_empty() { "no policy permits it".to_owned() } else { format!("forbidden by {}", decision.determining.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Always(Effect);
    impl DecisionPoint for Always {
        fn decide(&self, _: &AccessRequest, _: &Facts) -> Decision {
            Decision { effect: self.0, determining: Vec::new(), errors: Vec::new() }
        }
    }
    #[derive(Debug)]
    struct Door;
    impl Proposal for Door {
        fn request(&self, principal: &EntityUid) -> AccessRequest {
            AccessRequest { principal: principal.clone(), action: "open".into(), resource: EntityUid::new("Door", "1"), context: Map::new() }
        }
    }

    #[test]
    fn only_a_permit_mints_an_approval() {
        let (who, trace) = (EntityUid::new("User", "ada"), TraceId::of("t"));
        assert!(authorize(&Always(Effect::Permit), &Facts::default(), &who, &trace, Door).is_ok());
        let refused = authorize(&Always(Effect::Forbid), &Facts::default(), &who, &trace, Door).unwrap_err();
        assert_eq!(refused.to_string(), "`open` on `1` is not permitted to `ada`: no policy permits it");
    }
}
