//! Kept runs as the console and the command line show them.

use weft_console::api;
use weft_model::{Effect, Finding};
use weft_response::{Phase, Run, events};

use crate::state::KeptRun;

/// The run in what was kept.
pub(super) fn run_of(kept: &KeptRun) -> Option<Run> {
    serde_json::from_value(kept.body.get("run")?.clone()).ok()
}

/// The console's word for a phase.
pub fn run_state(phase: Phase) -> api::RunState {
    match phase {
        Phase::Proposed | Phase::Approved => api::RunState::Planned,
        Phase::AwaitingApproval => api::RunState::AwaitingApproval,
        Phase::Refused => api::RunState::Refused,
        Phase::Applied | Phase::Undoing => api::RunState::Applied,
        Phase::Verified => api::RunState::Verified,
        Phase::Undone => api::RunState::Undone,
        Phase::NotEffective | Phase::Failed => api::RunState::Failed,
    }
}

/// A kept run with its finding; none when it cannot be read.
pub fn entry(kept: &KeptRun) -> Option<api::LoopItem> {
    let run = run_of(kept)?;
    let finding: Finding = serde_json::from_value(kept.body.get("finding")?.clone()).ok()?;
    Some(api::LoopItem {
        trace_id: run.trace.as_str().to_owned(),
        finding: finding_view(&finding),
        decision: decision(&run),
        plan: Some(plan(&run)),
        run: Some(run_view(&run)),
    })
}

/// A finding without a run.
pub fn finding_view(finding: &Finding) -> api::FindingView {
    let observable = |entity: &weft_model::Entity| api::Observable {
        name: Some(entity.name.clone()),
        kind: None,
        type_id: Some(entity.type_id),
        value: Some(entity.value.clone()),
    };
    api::FindingView {
        uid: finding.uid.clone(),
        title: finding.title.clone(),
        analytic_uid: finding.analytic_uid.clone(),
        severity_id: finding.severity_id,
        time: finding.time.0,
        techniques: finding.techniques.iter().map(|technique| technique.uid.clone()).collect(),
        entities: finding.entities.iter().map(observable).collect(),
        matched: finding.matched.clone(),
        evidence: finding.evidence.iter().map(|event| event.uid.clone()).collect(),
    }
}

fn decision(run: &Run) -> Option<api::DecisionView> {
    let (taken, decision) = run.history.iter().rev().find_map(|step| Some((step, step.decision.as_ref()?)))?;
    let principal = taken.by.as_ref().map(|by| format!("{}::\"{}\"", by.kind, by.id)).unwrap_or_default();
    Some(api::DecisionView {
        permit: decision.effect == Effect::Permit,
        principal,
        action: run.command.action.clone(),
        resource: run.command.object.id.clone(),
        determining_policies: decision.determining.clone(),
        reason: Some(taken.detail.clone()),
        time: taken.time.0,
    })
}

fn plan(run: &Run) -> api::PlanView {
    let line = format!("{} {}", run.command.action, run.command.object.id);
    api::PlanView { point: run.command.target.clone(), changes: vec![api::Change { add: true, line }], gaps: Vec::new() }
}

fn run_view(run: &Run) -> api::RunView {
    let step = |step: &weft_response::Transition| api::RunStep {
        state: run_state(step.to),
        time: step.time.0,
        note: match &step.by {
            Some(by) => format!("{} ({}): {}", events::phase(step.to), by.id, step.detail),
            None => format!("{}: {}", events::phase(step.to), step.detail),
        },
    };
    let can_undo = run.undo().is_some() && matches!(run.phase, Phase::Applied | Phase::Verified | Phase::NotEffective | Phase::Failed);
    api::RunView { id: run.id.clone(), state: run_state(run.phase), can_undo, steps: run.history.iter().map(step).collect() }
}
