//! Incidents in the words of the API: pure.

use std::collections::BTreeSet;

use serde_json::Value;
use weft_analytics::entity::Resolved;
use weft_analytics::incident::{By, Closed, Incident, Join, Member, Verdict};
use weft_console::api::{
    EntityRisk, EvidenceEvent, IncidentClosing, IncidentDetail, IncidentEntity, IncidentFinding, IncidentJoin, IncidentRow, IncidentState, IncidentVerdict,
    IncidentVersion, Named,
};
use weft_model::{TraceId, attack};

use super::told::{Event, Place, Told};

/// Entities that a line of the list names.
const ENTITIES_MAX: usize = 50;
/// Events of evidence that one finding names.
const EVIDENCE_MAX: usize = 50;
/// Findings, and joins, that one answer names; of more, the first and the newest.
const MEMBERS_MAX: usize = 1_000;

/// A line of the list.
pub(super) fn row(incident: &Incident, tools: Vec<String>) -> IncidentRow {
    let entity = |(entity, findings): (&Resolved, usize)| of_entity(entity, findings);
    IncidentRow {
        uid: incident.uid.clone(),
        title: incident.title(),
        severity_id: incident.severity_id(),
        state: match incident.standing.status_id() {
            5 => IncidentState::Closed,
            2 => IncidentState::InProgress,
            _ => IncidentState::New,
        },
        owner: incident.standing.owner.clone(),
        verdict: incident.standing.closed.as_ref().map(|closed| verdict(closed.verdict)),
        entities: incident.entities().into_iter().take(ENTITIES_MAX).map(entity).collect(),
        tools,
        tactics: in_order(&incident.tactics().into_iter().collect()),
        first_evidence: incident.first_evidence().0,
        last_evidence: incident.last_evidence().0,
        detected: incident.detected().0,
        findings: incident.findings(),
    }
}

/// Whether the answer about an incident names an event.
pub(super) fn is_named(place: &Place) -> bool {
    place.event < EVIDENCE_MAX && (place.finding + 1 < MEMBERS_MAX || place.finding + 1 == place.findings)
}

/// All of it.
pub(super) fn detail(incident: &Incident, told: &Told, (versions, versions_before): (Vec<IncidentVersion>, u64), risks: Vec<EntityRisk>) -> IncidentDetail {
    let over = incident.members.len().saturating_sub(MEMBERS_MAX);
    // The beginning of the story stays with the newest of it.
    let named = incident.members.iter().enumerate().filter(|(at, _)| *at == 0 || *at > over).map(|(_, member)| member);
    let joins = incident.joins.iter().rev().take(MEMBERS_MAX).rev();
    IncidentDetail {
        row: row(incident, told.tools(incident)),
        narrative: incident.narrative(),
        closing: incident.standing.closed.as_ref().map(closing),
        members: named.map(|member| finding(member, told)).collect(),
        forgotten: incident.forgotten + over as u64,
        joins: joins.map(join).collect(),
        hubs: incident.hubs.clone(),
        decided: incident.decided.clone(),
        versions,
        versions_before,
        risks,
        trace_id: TraceId::of(&incident.uid).as_str().to_owned(),
    }
}

fn closing(closed: &Closed) -> IncidentClosing {
    IncidentClosing { verdict: verdict(closed.verdict), reason: closed.reason.clone(), by: closed.by.clone(), time: closed.at.0 }
}

fn verdict(verdict: Verdict) -> IncidentVerdict {
    match verdict {
        Verdict::TruePositive => IncidentVerdict::TruePositive,
        Verdict::Benign => IncidentVerdict::Benign,
        Verdict::FalsePositive => IncidentVerdict::FalsePositive,
        Verdict::Test => IncidentVerdict::Test,
        Verdict::InsufficientData => IncidentVerdict::InsufficientData,
    }
}

fn of_entity(entity: &Resolved, findings: usize) -> IncidentEntity {
    let seen = entity.seen.split_once('=').map_or(entity.key.as_str(), |(_, value)| value);
    IncidentEntity { kind: entity.kind.word().to_owned(), name: entity.key.clone(), seen: seen.to_owned(), findings }
}

fn finding(member: &Member, told: &Told) -> IncidentFinding {
    // Of what the lake was not asked for, nothing is said.
    let event = |(uid, class, time): &(String, u32, i64)| {
        let known = told.events.get(uid)?.clone().unwrap_or_default();
        Some(EvidenceEvent { uid: uid.clone(), time: *time, class_uid: i64::from(*class), tool: known.tool, message: known.message })
    };
    IncidentFinding {
        uid: member.uid.clone(),
        event: told.findings.get(&member.uid).map(|Event { uid, .. }| uid.clone()),
        time: member.time.0,
        begin: member.begin.0,
        title: member.title.clone(),
        analytic: member.analytic.clone(),
        severity_id: member.severity_id,
        techniques: member.techniques.iter().map(|id| named(id)).collect(),
        tactics: in_order(&member.tactics.iter().map(String::as_str).collect()),
        entities: member.entities.iter().map(|entity| of_entity(entity, 1)).collect(),
        tools: told.tools_of(member).into_iter().collect(),
        evidence: member.evidence.iter().take(EVIDENCE_MAX).filter_map(event).collect(),
        evidence_count: member.evidence.len(),
    }
}

fn join(join: &Join) -> IncidentJoin {
    let (entity, earlier_has, later_has, person) = match &join.by {
        By::Entity { kind, key, earlier, later } => (Some(format!("{} {key}", kind.word())), Some(earlier.clone()), Some(later.clone()), None),
        By::Person(person) => (None, None, None, Some(person.clone())),
    };
    IncidentJoin { earlier: join.earlier.clone(), later: join.later.clone(), entity, earlier_has, later_has, person, gap_ms: join.gap_ms }
}

/// Tactics in the order of ATT&CK; what it does not know comes last.
pub(crate) fn in_order(tactics: &BTreeSet<&str>) -> Vec<Named> {
    let known = attack::TACTICS_IN_ORDER.iter().filter(|id| tactics.contains(**id)).copied();
    let other = tactics.iter().filter(|id| !attack::TACTICS_IN_ORDER.contains(id)).copied();
    known.chain(other).map(named).collect()
}

/// An id with its name.
pub(crate) fn named(id: &str) -> Named {
    Named { uid: id.to_owned(), name: attack::by_id(id).map_or(id, |entry| entry.name).to_owned() }
}

/// What was told of an incident, from its events in order of time.
pub(super) fn versions(events: &[Value]) -> Vec<IncidentVersion> {
    let number = |event: &Value, path: &str| event.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let (mut before, mut said): (Option<(i64, i64)>, BTreeSet<&str>) = (None, BTreeSet::new());
    let mut versions = Vec::new();
    for event in events.iter().filter(|event| event.pointer("/class_uid").and_then(Value::as_i64) == Some(2005)) {
        let decided = event.pointer("/unmapped/decided").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let now = (number(event, "/unmapped/findings"), number(event, "/severity_id"));
        let merged = event.get("status_detail").and_then(Value::as_str).filter(|detail| detail.starts_with("merged"));
        // Decisions that come within a second are told together; a merge brings those of the other incident.
        let words = decided.iter().filter_map(Value::as_str).filter(|words| !said.contains(words));
        let what = merged.map_or_else(|| changes(before, now, words), str::to_owned);
        versions.push(IncidentVersion { time: number(event, "/time"), what, findings: now.0, severity_id: now.1 });
        (before, said) = (Some(now), decided.iter().filter_map(Value::as_str).collect());
    }
    versions
}

/// What is another than before: findings, severity, what persons decided.
fn changes<'w>(before: Option<(i64, i64)>, now: (i64, i64), words: impl Iterator<Item = &'w str>) -> String {
    let mut parts = Vec::new();
    match before {
        None => parts.push("told first".to_owned()),
        Some((findings, severity)) => {
            let (more, less) = (now.0 - findings, findings - now.0);
            let noun = |count: i64| if count == 1 { "finding" } else { "findings" };
            parts.extend((more > 0).then(|| format!("{more} more {}", noun(more))));
            parts.extend((less > 0).then(|| format!("{less} {} left it", noun(less))));
            parts.extend((now.1 > severity).then(|| "it got worse".to_owned()));
        }
    }
    parts.extend(words.map(str::to_owned));
    if parts.is_empty() { "more evidence".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tactics_are_told_as_an_intrusion_goes() {
        let names: Vec<String> = in_order(&BTreeSet::from(["TA0010", "TA0001", "nonsense", "TA0011"])).into_iter().map(|tactic| tactic.name).collect();
        assert_eq!(names, ["Initial Access", "Command and Control", "Exfiltration", "nonsense"]);
    }

    #[test]
    fn each_version_says_what_is_new() {
        let event = |time: i64, findings: i64, severity: i64, decided: &[&str]| json!({"class_uid": 2005, "time": time, "severity_id": severity, "unmapped": {"findings": findings, "decided": decided}});
        let mut all = vec![
            event(1, 2, 3, &[]),
            event(2, 5, 3, &[]),
            event(3, 5, 4, &[]),
            event(4, 5, 4, &["eve gave it to ada"]),
            event(5, 3, 4, &["eve gave it to ada"]),
            event(6, 4, 5, &["eve gave it to ada", "eve closed it", "eve opened it again"]),
            event(7, 4, 5, &["eve gave it to ada", "eve closed it", "eve opened it again"]),
        ];
        // A merge brings what was decided about the other one, before its own.
        all.push(event(8, 4, 5, &["eve gave it to bob", "eve gave it to ada", "eve closed it", "eve opened it again", "eve merged them"]));
        let mut merged = event(9, 3, 4, &[]);
        merged["status_detail"] = "merged into x".into();
        all.push(merged);
        let what: Vec<String> = versions(&all).into_iter().map(|version| version.what).collect();
        assert_eq!(
            what,
            [
                "told first",
                "3 more findings",
                "it got worse",
                "eve gave it to ada",
                "2 findings left it",
                "1 more finding; it got worse; eve closed it; eve opened it again",
                "more evidence",
                "eve gave it to bob; eve merged them",
                "merged into x"
            ]
        );
    }
}
