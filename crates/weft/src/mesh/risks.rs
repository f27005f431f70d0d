//! Risks of entities as the API gives them.

use weft_analytics::entity::EntityKind;
use weft_analytics::risk::{EntityRisk, Share};
use weft_console::api;

/// Entities that one answer names, highest first.
const ENTITIES_MAX: usize = 1_000;
/// Findings that are named for each of many.
const NAMED_MAX: usize = 20;

/// The highest risks, each with the largest findings that it is made of; of one entity, all of them.
pub fn answer(risks: &[EntityRisk], entity: Option<&str>) -> Vec<api::EntityRisk> {
    match entity.map(|entity| entity.split_once(':').unwrap_or(("", entity))) {
        None => risks.iter().take(ENTITIES_MAX).map(|risk| one(risk, NAMED_MAX)).collect(),
        Some((kind, name)) => risks.iter().filter(|risk| (kind.is_empty() || risk.kind.word() == kind) && risk.name == name).map(whole).collect(),
    }
}

/// One with every finding.
pub(super) fn whole(risk: &EntityRisk) -> api::EntityRisk {
    one(risk, usize::MAX)
}

/// Whether a risk is of an entity that a finding names without its domain.
pub(super) fn is_of(risk: &EntityRisk, kind: EntityKind, key: &str) -> bool {
    let below = || kind != EntityKind::Address && risk.name.strip_prefix(key).is_some_and(|rest| rest.starts_with(['@', '.']));
    risk.kind == kind && (risk.name == key || below())
}

fn one(risk: &EntityRisk, most: usize) -> api::EntityRisk {
    let share = |share: &Share| api::RiskShare {
        finding: share.point.finding.clone(),
        title: share.point.title.clone(),
        analytic: share.point.analytic.clone(),
        severity_id: share.point.severity_id,
        time: share.point.time.0,
        part: share.part,
    };
    api::EntityRisk {
        kind: risk.kind.word().to_owned(),
        entity: risk.name.clone(),
        score: risk.score,
        level_id: risk.level_id,
        level: risk.level().to_owned(),
        criticality: risk.criticality.word().to_owned(),
        findings: risk.shares.len(),
        newest: risk.newest().0,
        because_of: risk.shares.iter().take(most).map(share).collect(),
    }
}
