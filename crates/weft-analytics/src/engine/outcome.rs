//! From rows that hold to findings: evidence, entities, and what matched.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use weft_model::event::text;
use weft_model::{Entity, Evidence, Finding, Timestamp};

use super::columns::View;
use super::program::Hit;
use super::rows::written_entities;
use crate::sigma::detection::Detection;
use crate::sigma::fields::Kind;
use crate::sigma::rule::Rule;

/// Paths that name entities, with the OCSF observable type.
pub(crate) const ENTITY_PATHS: [(&str, i64); 20] = [
    ("src_endpoint.ip", 2),
    ("dst_endpoint.ip", 2),
    ("actor.user.name", 4),
    ("user.name", 4),
    ("device.hostname", 1),
    ("device.ip", 2),
    ("src_endpoint.hostname", 1),
    ("dst_endpoint.hostname", 1),
    ("user.email_addr", 5),
    ("actor.user.email_addr", 5),
    ("user.uid", 31),
    ("actor.user.uid", 31),
    ("device.uid", 10),
    ("process.name", 9),
    ("file.name", 7),
    ("query.hostname", 1),
    ("url.url_string", 6),
    ("resource.uid", 10),
    ("email.from", 5),
    ("email.to", 5),
];
/// Paths of lists that name entities too, for findings about one event.
const ENTITY_LISTS: [(&str, i64); 1] = [("process.file.hashes.value", 8)];
/// Most entities of one finding.
pub(crate) const ENTITIES_MAX: usize = 50;
/// Most events that a finding names as evidence.
pub const EVIDENCE_MAX: usize = 100;
/// Longest value that is shown beside what matched.
const VALUE_CHARS_MAX: usize = 200;

/// A rule that one event met.
pub(crate) struct Occurrence<'v> {
    view: &'v View<'v>,
    row: usize,
    pub(crate) evidence: Evidence,
    pub(crate) matched: Vec<String>,
}

impl<'v> Occurrence<'v> {
    pub(crate) fn new(view: &'v View<'v>, row: usize, uid: String, time: i64, matched: Vec<String>) -> Self {
        Self { view, row, evidence: Evidence { uid, class: view.batch().class, time: Timestamp(time) }, matched }
    }

    /// What it is about: observables, or else the paths that usually name entities.
    fn entities(&self) -> Vec<Entity> {
        let entities = observables(&self.view.batch().rows, self.row);
        if !entities.is_empty() {
            return distinct(entities);
        }
        let named = ENTITY_PATHS.into_iter().chain(ENTITY_LISTS);
        distinct(named.filter_map(|(path, type_id)| Some(Entity { name: path.to_owned(), type_id, value: self.view.at(path, self.row)? })).collect())
    }

    pub(crate) fn finding(self, rule: &Rule) -> Finding {
        let entities = self.entities();
        let evidence = vec![self.evidence];
        Finding {
            uid: Finding::uid_of(&rule.id, &evidence),
            analytic_uid: rule.id.clone(),
            title: rule.title.clone(),
            severity_id: rule.severity_id,
            time: evidence.first().map_or(Timestamp(0), |event| event.time),
            matched: self.matched,
            entities,
            evidence,
            techniques: rule.techniques.clone(),
            update: false,
        }
    }
}

/// Entities as a row wrote them.
pub(crate) fn entities_of(text: &str) -> impl Iterator<Item = Entity> {
    written_entities(text).filter_map(|(place, value)| {
        let (name, type_id) = ENTITY_PATHS.get(place)?;
        Some(Entity { name: (*name).to_owned(), type_id: *type_id, value: value.to_owned() })
    })
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

/// The observables of a row.
pub(crate) fn observables(rows: &RecordBatch, row: usize) -> Vec<Entity> {
    let Some(list) = rows.column_by_name("observables").and_then(|column| column.as_list_opt::<i32>()) else { return Vec::new() };
    if row >= list.len() || list.is_null(row) {
        return Vec::new();
    }
    let items = list.value(row);
    let Some(items) = items.as_struct_opt() else { return Vec::new() };
    let [Some(names), Some(types), Some(values)] = ["name", "type_id", "value"].map(|name| items.column_by_name(name)) else { return Vec::new() };
    let Some(types) = types.as_primitive_opt::<Int64Type>() else { return Vec::new() };
    let entity = |item: usize| {
        let type_id = types.is_valid(item).then(|| types.value(item))?;
        Some(Entity { name: text(names, item)?.to_owned(), type_id, value: text(values, item)?.to_owned() })
    };
    (0..items.len()).filter_map(entity).collect()
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
