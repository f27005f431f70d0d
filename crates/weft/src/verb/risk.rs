//! `weft risk`: how much each entity is at risk, and by which findings.

use std::sync::Arc;

use weft_analytics::risk::{EntityRisk, Preset, Risk};
use weft_model::{Timestamp, attack};

use super::{detect, found};
use crate::cli::{self, Fault, Outcome, Output, RiskPreset, Rows};
use crate::content;
use crate::door::now;
use crate::home::Home;
use crate::identity;

/// Findings that a line names.
const NAMED_MAX: usize = 3;

/// Prints every entity, or one with its findings; exit code 1 when an entity that was asked for has none.
///
/// # Errors
/// Findings that cannot be read.
pub(super) async fn run(home: &Home, asked: &cli::RiskArgs, out: &mut Output) -> Result<Outcome, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let mut risk = Risk::new(Arc::new(identity::entities(home, &files).await?));
    found::findings(home, &asked.from).await?.iter().for_each(|finding| risk.observe(finding));
    let at = match &asked.at {
        Some(time) => Timestamp(detect::millis(time)?),
        None if asked.from.is_empty() && home.running().is_some() => now(),
        None => risk.newest(),
    };
    let preset = match asked.preset {
        RiskPreset::Weft => Preset::Weft,
        RiskPreset::Elastic => Preset::Elastic,
        RiskPreset::Splunk => Preset::Splunk,
    };
    let mut scores = risk.scores(preset, at);
    if risk.evicted() > 0 {
        cli::say(&format!("{} older findings of entities with very many are left out", risk.evicted()));
    }
    let Some(entity) = &asked.entity else {
        scores.truncate(asked.limit);
        out.list(list(&scores), &["kind", "entity", "score", "level", "findings", "tactics", "newest"])?;
        return Ok(Outcome::Done);
    };
    scores.retain(|score| is_meant(score, entity));
    if scores.is_empty() {
        cli::say(&format!("no finding is about `{entity}`"));
        return Ok(Outcome::Found);
    }
    out.rows(&shares(&scores))?;
    Ok(Outcome::Done)
}

fn is_meant(risk: &EntityRisk, asked: &str) -> bool {
    let asked = asked.to_lowercase();
    let (kind, name) = asked.split_once([':', ' ']).filter(|(kind, _)| *kind == risk.kind.word()).unwrap_or((risk.kind.word(), asked.as_str()));
    let short = risk.name.split(['@', '.']).next().unwrap_or_default();
    kind == risk.kind.word() && (risk.name == name || (short == name && risk.kind != weft_analytics::entity::EntityKind::Address))
}

fn rounded(score: f64) -> serde_json::Value {
    ((score * 100.0).round() / 100.0).into()
}

fn list(scores: &[EntityRisk]) -> Rows {
    let mut rows = Rows::new(["kind", "entity", "score", "level", "criticality", "findings", "tactics", "newest", "exceeded", "because_of"]);
    for risk in scores {
        let tactics: Vec<&str> = risk.tactics().into_iter().map(|id| attack::by_id(id).map_or(id, |tactic| tactic.name)).collect();
        let because: Vec<String> = risk.shares.iter().take(NAMED_MAX).map(|share| format!("{} ({:.1})", share.point.title, share.part)).collect();
        rows.push([
            risk.kind.word().into(),
            risk.name.clone().into(),
            rounded(risk.score),
            risk.level().into(),
            risk.criticality.word().into(),
            risk.shares.len().into(),
            tactics.join(", ").into(),
            risk.newest().rfc3339().into(),
            risk.exceeded.join("; ").into(),
            because.join("; ").into(),
        ]);
    }
    rows
}

fn shares(scores: &[EntityRisk]) -> Rows {
    let mut rows = Rows::new(["kind", "entity", "score", "level", "part", "time", "severity", "title", "analytic", "finding"]);
    for risk in scores {
        for share in &risk.shares {
            rows.push([
                risk.kind.word().into(),
                risk.name.clone().into(),
                rounded(risk.score),
                risk.level().into(),
                rounded(share.part),
                share.point.time.rfc3339().into(),
                share.point.severity_id.into(),
                share.point.title.clone().into(),
                share.point.analytic.clone().into(),
                share.point.finding.clone().into(),
            ]);
        }
    }
    rows
}
