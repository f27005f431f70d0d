//! What persons decided about incidents, kept beside the lake; and findings of any tool in event batches.

use weft_analytics::incident::Decision;
use weft_analytics::incident::decision::DECISIONS_MAX;
use weft_model::event::row_to_json;
use weft_model::{DETECTION_FINDING, EventBatch, Finding};

use super::{StateError, StateStore};
use crate::cli::Fault;

/// Setting that holds the decisions.
const DECISIONS: &str = "incident-decisions";

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        Self::failed(error)
    }
}

/// All decisions so far.
///
/// # Errors
/// The store failed, or holds something else.
pub async fn decisions(state: &dyn StateStore) -> Result<Vec<Decision>, StateError> {
    let Some(kept) = state.setting(DECISIONS).await? else { return Ok(Vec::new()) };
    serde_json::from_str(&kept).map_err(|error| StateError(format!("what was decided about incidents cannot be read: {error}")))
}

/// Keeps one more, while no mesh runs; the oldest goes where there are too many.
///
/// # Errors
/// The store failed.
pub async fn keep(state: &dyn StateStore, decision: &Decision) -> Result<(), StateError> {
    let mut all = decisions(state).await?;
    if !all.contains(decision) {
        all.push(decision.clone());
    }
    let over = all.len().saturating_sub(DECISIONS_MAX);
    keep_all(state, all.get(over..).unwrap_or_default()).await
}

/// Keeps these and no other ones.
///
/// # Errors
/// The store failed.
pub async fn keep_all(state: &dyn StateStore, decisions: &[Decision]) -> Result<(), StateError> {
    let text = serde_json::to_string(decisions).map_err(|error| StateError(error.to_string()))?;
    state.set_setting(DECISIONS, &text).await
}

/// The findings in a batch of events: ours, and those of tools.
pub fn findings(events: &EventBatch) -> Vec<Finding> {
    if events.class != DETECTION_FINDING {
        return Vec::new();
    }
    (0..events.rows.num_rows()).filter_map(|row| Finding::from_ocsf(&row_to_json(&events.rows, row))).collect()
}
