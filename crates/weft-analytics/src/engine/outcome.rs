//! From rows that hold to findings: evidence, entities, and what matched.

use arrow::record_batch::RecordBatch;
use weft_model::event::row_to_json;
use weft_model::{Entity, Evidence, Finding, Timestamp};

use super::columns::View;
use super::program::Hit;
use super::window::{EVIDENCE_MAX, Seen};
use crate::sigma::detection::Detection;
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
/// Longest value that is shown beside what matched.
const VALUE_CHARS_MAX: usize = 200;

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
        let time = view.time(row);
        let uid = view.at("metadata.uid", row).unwrap_or_else(|| Finding::uid_of(&row_to_json(&view.batch().rows, row).to_string(), &[]));
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
        let entities = observables(&self.view.batch().rows, self.row);
        if !entities.is_empty() {
            return distinct(entities);
        }
        let named =
            ENTITY_PATHS.into_iter().filter_map(|(path, type_id)| Some(Entity { name: path.to_owned(), type_id, value: self.view.at(path, self.row)? }));
        distinct(named.collect())
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

/// What matched, for a person: selection, field, modifiers and value as the rule has them, and the
/// value of the event where it is another one.
pub(crate) fn matched(detection: &Detection, view: &View<'_>, kind: &Kind, hit: &Hit) -> Vec<String> {
    let (mut told, mut number) = (Vec::new(), 0);
    for (at, selection) in detection.selections.iter().enumerate() {
        let holds = hit.selections.contains(&at);
        selection.matcher.each(&mut |field, _, label| {
            if holds && hit.tests.contains(&number) {
                let value = if field.is_empty() { None } else { view.first(&kind.paths(field), hit.row) };
                let other = value.filter(|value| !label.ends_with(value.as_str())).map(|value| format!(" (`{}`)", shortened(&value)));
                told.push(format!("{}: {label}{}", selection.name, other.unwrap_or_default()));
            }
            number += 1;
        });
    }
    told
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

fn observables(rows: &RecordBatch, row: usize) -> Vec<Entity> {
    let Some(alone) = rows.schema_ref().index_of("observables").ok().and_then(|index| rows.project(&[index]).ok()) else { return Vec::new() };
    let mut event = row_to_json(&alone, row);
    let list = event.get_mut("observables").and_then(|list| list.as_array_mut()).map(std::mem::take).unwrap_or_default();
    list.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect()
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
