//! Every step as an OCSF event, joined by the trace id in `metadata.correlation_uid`.

use serde_json::{Value, json};
use weft_model::{AccessRequest, Decision, Effect, EntityUid, Timestamp, TraceId};

use crate::run::{Phase, Run, Transition};

fn metadata(uid: &str, trace: &TraceId) -> Value {
    json!({"version": "1.8.0", "uid": uid, "correlation_uid": trace.as_str(), "product": {"name": "Weft", "vendor_name": "Weft"}})
}

/// A decision as OCSF API Activity (class 6003): the mesh asked itself.
pub fn decision(request: &AccessRequest, decision: &Decision, trace: &TraceId, now: Timestamp) -> Value {
    let permit = decision.effect == Effect::Permit;
    let uid = TraceId::of(&format!("{trace}{}{}{}{}", request.principal.id, request.action, request.resource.id, now.0));
    let authorizations: Vec<Value> = decision
        .determining
        .iter()
        .map(|policy| json!({"decision": if permit { "permit" } else { "forbid" }, "policy": {"uid": policy, "name": policy}}))
        .collect();
    let detail = match (permit, decision.determining.is_empty(), decision.errors.is_empty()) {
        (true, ..) => format!("permitted by {}", decision.determining.join(", ")),
        (false, false, _) => format!("forbidden by {}", decision.determining.join(", ")),
        (false, true, true) => "no policy permits it".to_owned(),
        (false, true, false) => decision.errors.join("; "),
    };
    json!({
        "activity_id": 99, "activity_name": "Authorize", "category_uid": 6, "class_uid": 6003, "type_uid": 600_399,
        "severity_id": if permit { 1 } else { 2 }, "status_id": if permit { 1 } else { 2 }, "status_detail": detail, "time": now.0,
        "message": format!("{} asks to {} {}: {detail}", request.principal.id, request.action, request.resource.id),
        "metadata": metadata(uid.as_str(), trace),
        "actor": {"user": user(&request.principal), "authorizations": authorizations},
        "api": {"operation": request.action, "service": {"name": "weft decision point"}, "request": {"uid": uid.as_str(), "data": request.context}},
        "src_endpoint": {"svc_name": "weft"},
        "resources": [{"type": request.resource.kind, "uid": request.resource.id}],
    })
}

/// A step of a run as OCSF Remediation Activity (class 7001).
///
/// Blocking is D3FEND's isolation, taking back its restoration; what lies between is Other with
/// the name of the phase.
pub fn transition(run: &Run, step: &Transition) -> Value {
    let uid = TraceId::of(&format!("{}{:?}{:?}{}{}", run.id, step.from, step.to, step.time.0, step.detail));
    let (activity, name) = match step.to {
        Phase::Applied | Phase::Verified | Phase::NotEffective => (1, "Isolate"),
        Phase::Undone => (3, "Restore"),
        _ => (99, phase(step.to)),
    };
    let status = match step.to {
        Phase::Refused | Phase::NotEffective | Phase::Failed => 2,
        Phase::Applied | Phase::Verified | Phase::Undone => 1,
        Phase::Proposed | Phase::AwaitingApproval | Phase::Approved | Phase::Undoing => 0,
    };
    let mut event = json!({
        "activity_id": activity, "activity_name": name, "category_uid": 7, "class_uid": 7001, "type_uid": 700_100 + activity,
        "severity_id": if status == 2 { 3 } else { 1 }, "status_id": status, "status_detail": step.detail, "time": step.time.0,
        "message": format!("{}: {} {} is {}", run.playbook, run.command.action, run.command.object.id, phase(step.to)),
        "metadata": metadata(uid.as_str(), &run.trace),
        "command_uid": run.id,
        "remediation": {"desc": format!("{} {} at {}", run.command.action, run.command.object.id, run.command.target)},
        "countermeasures": [{"d3f_tactic": {"name": "Isolate"}, "d3f_technique": {"uid": "D3-NTF", "name": "Network Traffic Filtering"}}],
        "unmapped": {"run": run.id, "finding": run.finding, "from": phase(step.from), "to": phase(step.to), "target": run.command.target, "object": run.command.object.id},
    });
    if let (Some(by), Some(fields)) = (&step.by, event.as_object_mut()) {
        fields.insert("actor".to_owned(), json!({"user": user(by)}));
    }
    event
}

fn user(principal: &EntityUid) -> Value {
    // A principal of the mesh itself is OCSF's user type System.
    json!({"name": principal.id, "uid": format!("{}::\"{}\"", principal.kind, principal.id), "type_id": if principal.kind == "User" { 1 } else { 3 }})
}

/// The stable name of a phase.
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Proposed => "proposed",
        Phase::AwaitingApproval => "awaiting approval",
        Phase::Refused => "refused",
        Phase::Approved => "approved",
        Phase::Applied => "applied",
        Phase::Verified => "verified",
        Phase::NotEffective => "not effective",
        Phase::Undoing => "being undone",
        Phase::Undone => "undone",
        Phase::Failed => "failed",
    }
}
