//! Risks of entities as the API gives them.

use serde_json::{Value, json};
use weft_analytics::risk::EntityRisk;

/// Entities that one answer names, highest first.
const ENTITIES_MAX: usize = 1_000;
/// Findings that are named for each.
const NAMED_MAX: usize = 20;

/// The highest risks, each with the findings that it is made of.
pub fn answer(risks: &[EntityRisk]) -> Value {
    let share = |share: &weft_analytics::risk::Share| json!({"finding": share.point.finding, "title": share.point.title, "time": share.point.time.0, "part": share.part});
    let one = |risk: &EntityRisk| {
        json!({
            "kind": risk.kind.word(), "entity": risk.name, "score": risk.score, "level_id": risk.level_id, "level": risk.level(),
            "criticality": risk.criticality.word(), "findings": risk.shares.len(), "newest": risk.newest().0,
            "because_of": risk.shares.iter().take(NAMED_MAX).map(share).collect::<Vec<_>>(),
        })
    };
    risks.iter().take(ENTITIES_MAX).map(one).collect()
}
