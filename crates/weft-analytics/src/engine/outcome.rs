//! From rows that hold to findings: evidence, entities, and what matched.

use weft_model::event::row_to_json;
use weft_model::{Entity, Evidence, Finding, Timestamp};

use super::columns::{View, descend_json};
use super::window::{EVIDENCE_MAX, Seen};
use crate::sigma::fields::Kind;
use crate::sigma::rule::Rule;

/// Paths that name entities where an event carries no observables, with the OCSF observable type.
const ENTITY_PATHS: [(&str, i64); 7] = [
    ("src_endpoint.ip", 2),
    ("dst_endpoint.ip", 2),
    ("actor.user.name", 4),
    ("user.name", 4),
    ("device.hostname", 1),
    ("device.ip", 2),
    ("process.file.hashes.value", 8),
];
/// Most entities of one finding.
const ENTITIES_MAX: usize = 50;

/// A rule that held, by an event or by several.
pub(crate) struct Occurrence<'v> {
    view: &'v View<'v>,
    kind: &'v Kind,
    row: usize,
    /// Group values of the correlation that made it; empty for an event.
    group: Vec<(String, String)>,
    below: Vec<Entity>,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) matched: Vec<String>,
}

impl<'v> Occurrence<'v> {
    pub(crate) fn new(view: &'v View<'v>, kind: &'v Kind, row: usize, matched: Vec<String>) -> Self {
        let text = |path: &str| view.first(&[path.to_owned()], row);
        let time = text("time").and_then(|time| time.parse().ok()).unwrap_or_default();
        let uid = text("metadata.uid").unwrap_or_else(|| Finding::uid_of(&row_to_json(&view.batch().rows, row).to_string(), &[]));
        let evidence = vec![Evidence { uid, class: view.batch().class, time: Timestamp(time) }];
        Self { view, kind, row, group: Vec::new(), below: Vec::new(), evidence, matched }
    }

    /// Time of the newest event.
    pub(crate) fn time(&self) -> i64 {
        self.evidence.iter().map(|event| event.time.0).max().unwrap_or_default()
    }

    /// The value of a field as rules name it: of the group, or of the event.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        if self.group.is_empty() {
            return self.view.first(&self.kind.paths(name), self.row);
        }
        self.group.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
    }

    /// What the correlation above sees: the group and the events that completed it.
    pub(crate) fn above(&self, group: Vec<(String, String)>, complete: Vec<Seen>) -> Occurrence<'v> {
        let mut entities = Vec::new();
        let mut evidence = Vec::new();
        for seen in complete {
            evidence.extend(seen.evidence);
            entities.extend(seen.entities);
        }
        evidence.sort_by(|a, b| (a.time, &a.uid).cmp(&(b.time, &b.uid)));
        evidence.dedup();
        // The newest tell how it ended; the count says that there were more.
        let all = evidence.len();
        let evidence = evidence.split_off(all.saturating_sub(EVIDENCE_MAX));
        let mut matched: Vec<String> = group.iter().map(|(field, value)| format!("{field}: {value}")).collect();
        matched.push(format!("{all} events"));
        let group = if group.is_empty() { vec![(String::new(), String::new())] } else { group };
        Occurrence { view: self.view, kind: self.kind, row: self.row, group, below: distinct(entities), evidence, matched }
    }

    /// What it is about: observables, or else the paths that usually name entities.
    pub(crate) fn entities(&self) -> Vec<Entity> {
        if !self.group.is_empty() {
            return self.below.clone();
        }
        let event = row_to_json(&self.view.batch().rows, self.row);
        let observables = event.get("observables").and_then(|list| list.as_array());
        let entities: Vec<Entity> = observables.into_iter().flatten().filter_map(|item| serde_json::from_value(item.clone()).ok()).collect();
        if !entities.is_empty() {
            return distinct(entities);
        }
        let mut found = Vec::new();
        for (path, type_id) in ENTITY_PATHS {
            descend_json(&event, path, &mut |value| {
                found.extend(value.as_str().map(|value| Entity { name: path.to_owned(), type_id, value: value.to_owned() }))
            });
        }
        distinct(found)
    }

    pub(crate) fn finding(&self, rule: &Rule) -> Finding {
        Finding {
            uid: Finding::uid_of(&rule.id, &self.evidence),
            analytic_uid: rule.id.clone(),
            title: rule.title.clone(),
            severity_id: rule.severity_id,
            time: Timestamp(self.time()),
            matched: self.matched.clone(),
            entities: self.entities(),
            evidence: self.evidence.clone(),
            techniques: rule.techniques.clone(),
        }
    }
}

fn distinct(entities: Vec<Entity>) -> Vec<Entity> {
    let mut kept: Vec<Entity> = Vec::new();
    for entity in entities {
        if kept.len() < ENTITIES_MAX && !kept.contains(&entity) {
            kept.push(entity);
        }
    }
    kept
}
