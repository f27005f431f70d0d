//! Rules and hunts for the console: what they are, whether they can fire here, and how often they did.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use weft_console::api::{ApiError, DetectionState, HuntRun, HuntView, MemoryView, RuleState, RuleView};
use weft_lake::{QueryError, QueryOptions, table_name};
use weft_model::{DETECTION_FINDING, Timestamp, attack};

use super::incidents::named;
use super::{Mesh, backend, cells};
use crate::door::now;
use crate::hunting::{self, Hunts};
use crate::pipeline::Remembered;
use crate::state::StateStore;

/// Milliseconds for which findings are counted.
const COUNTED_MS: i64 = 7 * Timestamp::DAY_MS;
/// Analytics that are counted one by one.
const ANALYTICS_MAX: usize = 50_000;

/// What was loaded at the start.
#[derive(Default)]
pub struct Loaded {
    /// Rules, as they are before the first event.
    pub rules: Vec<RuleView>,
    /// Rules that were left out.
    pub refused: Vec<String>,
    /// Hunts.
    pub hunts: Vec<HuntView>,
}

impl Loaded {
    /// Of rules that were looked at, and hunts that did not run yet.
    pub fn new(rules: Vec<RuleView>, refused: Vec<String>, hunts: &Hunts) -> Self {
        let hunt = |hunt: &weft_analytics::hunt::Hunt| HuntView {
            name: hunt.name.clone(),
            title: hunt.title.clone(),
            hypothesis: hunt.hypothesis.clone(),
            severity_id: hunt.severity_id,
            techniques: hunt.techniques.iter().map(|id| named(id)).collect(),
            every_ms: hunt.every_ms,
            look_back_ms: hunt.look_back_ms,
            last: None,
            fired: 0,
        };
        Self { rules, refused, hunts: hunts.all.iter().map(hunt).collect() }
    }
}

/// Everything, now.
pub(super) async fn state(mesh: &Mesh) -> Result<DetectionState, ApiError> {
    let since = now().0 - COUNTED_MS;
    let fired = fired(mesh, since).await?;
    let pipeline = mesh.pipeline.clone();
    let remembered = tokio::task::spawn_blocking(move || pipeline.remembered()).await.map_err(|error| ApiError::internal(error.to_string()))?;
    let suspended: BTreeSet<&str> = remembered.detectors.suspended.iter().map(String::as_str).collect();
    let rules = mesh.loaded.rules.iter().map(|rule| {
        let (count, last) = fired.get(&rule.id).copied().unwrap_or_default();
        let mut rule = RuleView { fired: count, last_fired: last, ..rule.clone() };
        if suspended.contains(rule.id.as_str()) {
            rule.state = RuleState::Suspended;
            rule.reason = Some("it took more than 1 ms an event; mend it and start the mesh again".to_owned());
        }
        rule
    });
    let rules = rules.collect();
    let mut hunts = Vec::new();
    for hunt in &mesh.loaded.hunts {
        let last = last_run(&*mesh.state, &hunt.name).await.map_err(|error| ApiError::internal(error.to_string()))?;
        let (count, _) = fired.get(&format!("hunt:{}", hunt.name)).copied().unwrap_or_default();
        hunts.push(HuntView { last, fired: count, ..hunt.clone() });
    }
    Ok(DetectionState {
        rules,
        refused: mesh.loaded.refused.clone(),
        hunts,
        tactics: attack::TACTICS_IN_ORDER.iter().map(|id| named(id)).collect(),
        attack_version: attack::version().to_owned(),
        counted_since: since,
        memory: memory(&remembered),
    })
}

fn memory(remembered: &Remembered) -> MemoryView {
    let detectors = &remembered.detectors;
    MemoryView {
        groups: detectors.groups,
        events: detectors.events,
        entities: detectors.entities,
        evicted: detectors.evicted,
        late: detectors.late,
        incidents_evicted: remembered.incidents_evicted,
        risk_evicted: remembered.risk_evicted,
    }
}

/// Findings by analytic since a time, and when the last was.
async fn fired(mesh: &Mesh, since: i64) -> Result<HashMap<String, (u64, Option<i64>)>, ApiError> {
    let table = table_name(DETECTION_FINDING);
    let sql = format!(
        "SELECT finding_info['analytic']['uid'] AS analytic, count(DISTINCT finding_info['uid']) AS n, max(time) AS last FROM \"{table}\" \
         WHERE time >= {since} AND metadata['product']['name'] = 'Weft' GROUP BY finding_info['analytic']['uid']"
    );
    let found = match mesh.pipeline.lake().session(QueryOptions { rows_max: ANALYTICS_MAX, ..QueryOptions::default() }).collect(&sql).await {
        Ok(found) => found,
        Err(QueryError::Sql { message }) if hunting::missing(&message).is_some() => return Ok(HashMap::new()),
        Err(error) => return Err(backend::api_error(error)),
    };
    let row = |row: Vec<Value>| Some((row.first()?.as_str()?.to_owned(), (row.get(1)?.as_u64()?, row.get(2).and_then(Value::as_i64))));
    Ok(cells::rows(&found.batches).into_iter().filter_map(row).collect())
}

/// Setting that holds what the last scheduled run of a hunt came to.
fn setting(hunt: &str) -> String {
    format!("hunt-run:{hunt}")
}

/// What the last scheduled run of a hunt came to.
///
/// # Errors
/// The store failed.
pub(crate) async fn last_run(state: &dyn StateStore, hunt: &str) -> Result<Option<HuntRun>, crate::state::StateError> {
    Ok(state.setting(&setting(hunt)).await?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Keeps what a scheduled run of a hunt came to.
///
/// # Errors
/// The store failed.
pub(crate) async fn keep_run(state: &dyn StateStore, hunt: &str, run: &HuntRun) -> Result<(), crate::state::StateError> {
    let text = serde_json::to_string(run).map_err(|error| crate::state::StateError(error.to_string()))?;
    state.set_setting(&setting(hunt), &text).await
}
