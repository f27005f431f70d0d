//! Decisions as OCSF events.

use serde_json::{Value, json};
use weft_model::{Decision, Effect, Timestamp, TraceId};

use super::point::{Ask, Party};
use super::watch::Flip;

/// Of which request a decision is one.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The request as a whole: the caller's `X-Request-ID`, or one that was made for it.
    pub request: &'a str,
    /// Which decision of the request, from 0.
    pub item: usize,
    /// When.
    pub now: Timestamp,
}

/// A decision for another tool as OCSF API Activity (class 6003).
pub fn decision(ask: &Ask, decision: &Decision, origin: Origin<'_>) -> Value {
    let permit = decision.effect == Effect::Permit;
    let uid = uid(origin);
    let detail = detail(decision);
    json!({
        "activity_id": 99, "activity_name": "Authorize", "category_uid": 6, "class_uid": 6003, "type_uid": 600_399,
        "severity_id": if permit { 1 } else { 2 }, "status_id": if permit { 1 } else { 2 }, "status_detail": detail, "time": origin.now.0,
        "message": format!("{} asks to {} {}: {detail}", ask.principal.id, ask.action, ask.resource.id),
        "metadata": metadata(&uid, origin.request),
        "actor": {"user": user(&ask.principal), "authorizations": authorizations(decision)},
        "api": {"operation": ask.action, "service": {"name": "weft decision point"}, "request": {"uid": origin.request, "data": ask.context}},
        "src_endpoint": {"svc_name": "weft"},
        "resources": [{"type": ask.resource.kind, "uid": ask.resource.id}],
    })
}

/// A decision on whether a session may begin or go on as OCSF Authorize Session (class 3003).
pub fn session(ask: &Ask, decision: &Decision, origin: Origin<'_>) -> Value {
    let permit = decision.effect == Effect::Permit;
    let uid = uid(origin);
    let detail = detail(decision);
    json!({
        "activity_id": 1, "activity_name": "Assign Privileges", "category_uid": 3, "class_uid": 3003, "type_uid": 300_301,
        "severity_id": if permit { 1 } else { 2 }, "status_id": if permit { 1 } else { 2 }, "status_detail": detail, "time": origin.now.0,
        "message": format!("{} asks to {} {}: {detail}", ask.principal.id, ask.action, ask.resource.id),
        "metadata": metadata(&uid, origin.request),
        "actor": {"user": user(&ask.principal), "authorizations": authorizations(decision)},
        "user": user(&ask.principal),
        "privileges": if permit { json!([ask.action]) } else { json!([]) },
        "dst_endpoint": {"svc_name": ask.resource.id},
        "session": {"uid": origin.request},
    })
}

/// An answer that changed as OCSF Authorize Session (class 3003): what was open is closed, or the
/// other way round.
pub fn flip(flip: &Flip, origin: Origin<'_>) -> Value {
    let mut event = session(&flip.ask, &flip.after, origin);
    if let Some(fields) = event.as_object_mut() {
        let before = if flip.before.effect == Effect::Permit { "permit" } else { "forbid" };
        fields.insert("unmapped".to_owned(), json!({"before": before, "determining_before": flip.before.determining}));
    }
    event
}

fn uid(origin: Origin<'_>) -> TraceId {
    TraceId::of(&format!("access {} {} {}", origin.request, origin.item, origin.now.0))
}

fn metadata(uid: &TraceId, request: &str) -> Value {
    json!({"version": "1.8.0", "uid": uid.as_str(), "correlation_uid": request, "product": {"name": "Weft", "vendor_name": "Weft"}})
}

fn authorizations(decision: &Decision) -> Vec<Value> {
    let effect = if decision.effect == Effect::Permit { "permit" } else { "forbid" };
    decision.determining.iter().map(|policy| json!({"decision": effect, "policy": {"uid": policy, "name": policy}})).collect()
}

fn detail(decision: &Decision) -> String {
    match (decision.effect, decision.determining.is_empty(), decision.errors.is_empty()) {
        (Effect::Permit, ..) => format!("permitted by {}", decision.determining.join(", ")),
        (Effect::Forbid, false, _) => format!("forbidden by {}", decision.determining.join(", ")),
        (Effect::Forbid, true, true) => "no policy permits it".to_owned(),
        (Effect::Forbid, true, false) => decision.errors.join("; "),
    }
}

fn user(principal: &Party) -> Value {
    json!({"name": principal.id, "uid": format!("{}::\"{}\"", principal.kind, principal.id), "type_id": 99, "type": principal.kind})
}
