//! Incidents for the console: what they are, and what persons do with them.

mod told;
mod view;

pub(crate) use view::named;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_analytics::incident::{Decision, Incident, Verdict};
use weft_analytics::risk::Preset;
use weft_console::api::{ApiError, ErrorCode, IncidentAction, IncidentDetail, IncidentRow, IncidentVerdict};
use weft_model::{Timestamp, TraceId};

use super::{Mesh, risks};
use crate::door::now;
use crate::state::incidents as kept;

/// How long incidents that were put together are shown: putting them together costs a look at every finding.
const FRESH: Duration = Duration::from_millis(500);

/// Incidents that were put together.
#[derive(Default)]
struct Last {
    known: Option<(Instant, Arc<Vec<Incident>>)>,
    /// Decisions that were obeyed: what was put together before one of them is not kept after it.
    decisions: u64,
}

/// The tools of an incident.
struct Tools {
    /// Its findings, and when its last evidence was, as of then.
    as_of: (u64, Timestamp),
    names: Vec<String>,
}

/// What is known of incidents between two requests.
#[derive(Default)]
pub(crate) struct Desk {
    /// Those that were put together last, and when.
    last: Mutex<Last>,
    /// By incident.
    tools: Mutex<HashMap<String, Tools>>,
    /// One decision is kept at a time.
    deciding: tokio::sync::Mutex<()>,
}

/// The incidents that may still grow, the newest evidence first.
pub(super) async fn list(mesh: &Mesh) -> Result<Vec<IncidentRow>, ApiError> {
    let all = current(mesh).await?;
    let tools = tools(mesh, &all).await?;
    let row = |incident: &Incident| view::row(incident, tools.get(&incident.uid).cloned().unwrap_or_default());
    let mut rows: Vec<IncidentRow> = all.iter().map(row).collect();
    rows.sort_by(|a, b| b.last_evidence.cmp(&a.last_evidence).then_with(|| a.uid.cmp(&b.uid)));
    Ok(rows)
}

/// One of them, whole.
pub(super) async fn one(mesh: &Mesh, uid: &str) -> Result<Option<IncidentDetail>, ApiError> {
    let all = current(mesh).await?;
    let Some(incident) = all.iter().find(|incident| incident.uid == uid) else { return Ok(None) };
    let lake = mesh.pipeline.lake();
    let told = told::of(lake, &[incident], &view::is_named).await?;
    let versions = told::versions(lake, uid).await?;
    let pipeline = mesh.pipeline.clone();
    let scores = tokio::task::spawn_blocking(move || pipeline.risks(Preset::Weft)).await.map_err(internal)?;
    let concerned = scores.iter().filter(|risk| incident.entities().iter().any(|(entity, _)| risks::is_of(risk, entity.kind, &entity.key)));
    Ok(Some(view::detail(incident, &told, versions, concerned.map(risks::whole).collect())))
}

/// Makes a decision of what a person asks for, keeps it, and obeys.
pub(super) async fn act(mesh: &Mesh, action: IncidentAction, by: &str) -> Result<(), ApiError> {
    // Nobody decides between the look and the decision.
    let _turn = mesh.desk.deciding.lock().await;
    let all = put_together(mesh).await?;
    let find = |uid: &String| {
        let found = all.iter().find(|incident| incident.uid == *uid);
        found.ok_or_else(|| ApiError::not_found(format!("there is no incident `{uid}` that may still grow")))
    };
    let decision = match &action {
        IncidentAction::Merge { incidents } => {
            let named: Vec<&Incident> = incidents.iter().map(find).collect::<Result<_, _>>()?;
            Decision::merge(&named, by, now())
        }
        IncidentAction::Split { incident, findings } => Decision::split(find(incident)?, findings, by, now()),
        IncidentAction::Close { incident, verdict, reason } => Decision::close(find(incident)?, verdict_of(*verdict), reason, by, now()),
        IncidentAction::Reopen { incident } => Decision::reopen(find(incident)?, by, now()),
        IncidentAction::Assign { incident, owner } => Decision::assign(find(incident)?, owner, by, now()),
    };
    obey(mesh, decision.map_err(conflict)?).await
}

/// Takes a decision that was made elsewhere.
pub(super) async fn decide(mesh: &Mesh, decision: Decision) -> Result<(), ApiError> {
    decision.check().map_err(conflict)?;
    let _turn = mesh.desk.deciding.lock().await;
    obey(mesh, decision).await
}

/// Keeps a decision, obeys it, and tells it as an event. INVARIANT: nobody else decides meanwhile.
async fn obey(mesh: &Mesh, decision: Decision) -> Result<(), ApiError> {
    let event = event(&decision, now());
    let decisions = mesh.pipeline.decisions_with(decision).map_err(conflict)?;
    kept::keep_all(&*mesh.state, &decisions).await.map_err(internal)?;
    mesh.pipeline.obey(decisions);
    {
        let mut last = last(mesh);
        (last.known, last.decisions) = (None, last.decisions + 1);
    }
    // It is kept and obeyed: an event that the log does not take now is no reason to say that it is not.
    if let Err(error) = mesh.respond.journal.keep(vec![event]).await {
        tracing::error!(error, "a decision about an incident could not be told as an event");
    }
    Ok(())
}

/// A decision as OCSF API Activity (class 6003), in the trace of its incident.
fn event(decision: &Decision, now: Timestamp) -> Value {
    let trace = TraceId::of(decision.incident());
    let uid = TraceId::of(&format!("{trace}{}{}{}", decision.word(), decision.by, decision.at.0));
    json!({
        "activity_id": 3, "activity_name": "Update", "category_uid": 6, "class_uid": 6003, "type_uid": 600_303,
        "severity_id": 1, "status_id": 1, "time": now.0, "message": format!("Incident {}: {}", decision.incident(), decision.words()),
        "metadata": {"version": "1.8.0", "uid": uid.as_str(), "correlation_uid": trace.as_str(), "product": {"name": "Weft", "vendor_name": "Weft"}},
        "actor": {"user": {"name": decision.by, "type_id": 1}},
        "api": {"operation": format!("incident.{}", decision.word()), "service": {"name": "weft console"}, "request": {"uid": uid.as_str(), "data": decision}},
        "src_endpoint": {"svc_name": "weft"},
        "resources": [{"type": "incident", "uid": decision.incident()}],
    })
}

fn verdict_of(verdict: IncidentVerdict) -> Verdict {
    match verdict {
        IncidentVerdict::TruePositive => Verdict::TruePositive,
        IncidentVerdict::Benign => Verdict::Benign,
        IncidentVerdict::FalsePositive => Verdict::FalsePositive,
        IncidentVerdict::Test => Verdict::Test,
        IncidentVerdict::InsufficientData => Verdict::InsufficientData,
    }
}

async fn current(mesh: &Mesh) -> Result<Arc<Vec<Incident>>, ApiError> {
    let (known, decisions) = {
        let last = last(mesh);
        (last.known.clone(), last.decisions)
    };
    if let Some((_, all)) = known.filter(|(since, _)| since.elapsed() < FRESH) {
        return Ok(all);
    }
    let all = Arc::new(put_together(mesh).await?);
    let mut last = last(mesh);
    if last.decisions == decisions {
        last.known = Some((Instant::now(), Arc::clone(&all)));
    }
    Ok(all)
}

async fn put_together(mesh: &Mesh) -> Result<Vec<Incident>, ApiError> {
    let pipeline = mesh.pipeline.clone();
    tokio::task::spawn_blocking(move || pipeline.incidents()).await.map_err(internal)
}

fn last(mesh: &Mesh) -> MutexGuard<'_, Last> {
    mesh.desk.last.lock().unwrap_or_else(PoisonError::into_inner)
}

fn conflict(reason: String) -> ApiError {
    ApiError::new(ErrorCode::Conflict, reason)
}

/// The tools of each incident; those that did not grow are not asked for again.
async fn tools(mesh: &Mesh, all: &[Incident]) -> Result<HashMap<String, Vec<String>>, ApiError> {
    let state = |incident: &Incident| (incident.findings(), incident.last_evidence());
    let new: Vec<&Incident> = {
        let mut known = mesh.desk.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let here: HashSet<&str> = all.iter().map(|incident| incident.uid.as_str()).collect();
        known.retain(|uid, _| here.contains(uid.as_str()));
        let is_known = |incident: &&Incident| known.get(&incident.uid).is_some_and(|tools| tools.as_of == state(incident) && !tools.names.is_empty());
        all.iter().filter(|incident| !is_known(incident)).collect()
    };
    if !new.is_empty() {
        let told = told::of(mesh.pipeline.lake(), &new, &told::few).await?;
        let mut known = mesh.desk.tools.lock().unwrap_or_else(PoisonError::into_inner);
        for incident in new {
            known.insert(incident.uid.clone(), Tools { as_of: state(incident), names: told.tools(incident) });
        }
    }
    let known = mesh.desk.tools.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(known.iter().map(|(uid, tools)| (uid.clone(), tools.names.clone())).collect())
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_told_in_the_trace_of_its_incident() {
        let incident = Incident::with_members("i", &[], &Default::default(), Vec::new());
        assert!(Decision::assign(&incident, "ada", "eve", Timestamp(5)).is_err(), "an incident without findings is found by nothing");
        let what = weft_analytics::incident::decision::What::Assign("i".to_owned(), "f".to_owned(), Some("ada".to_owned()));
        let told = event(&Decision { what, by: "eve".to_owned(), at: Timestamp(5) }, Timestamp(6));
        assert_eq!(told["metadata"]["correlation_uid"], TraceId::of("i").as_str());
        assert_eq!((told["api"]["operation"].as_str(), told["actor"]["user"]["name"].as_str()), (Some("incident.assign"), Some("eve")));
        assert!(told["message"].as_str().unwrap().contains("eve gave it to ada"), "{told}");
    }
}
