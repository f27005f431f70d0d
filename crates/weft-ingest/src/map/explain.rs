//! What made each attribute of an event, and why a record became none.
//!
//! A second walk over the same compiled program, one rule at a time and with every step written
//! down. It needs a registry that was built traced; the loop that maps knows nothing of it. What an
//! event *is* always comes from that loop: here its attributes are only traced back to their rules.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bumpalo::Bump;
use serde::Serialize;
use serde_json::Value;
use weft_model::{Mapping, RawBatch, RawRecord};

use super::code::{Code, NOWHERE, Scope};
use super::program::{Capture, EachPlan, ObjectPlan, Plan, PlanTrace, Program};
use super::run::Run;
use super::staged::{ELEMENTS_MAX, Marks, row};
use super::value::Val;
use super::{Mapper, Scratch, event};
use crate::decode;
use crate::language::expr::Segment;
use crate::language::file::Format;
use crate::recognise::Given;
use crate::registry::Registry;
use crate::tree::{self, Node, Nodes};

#[cfg(test)]
mod tests;

/// Streams that are named when no one claims a record: those that came nearest.
const NEAR_MAX: usize = 5;
/// Characters of a value that a condition saw.
const SEEN_CHARS_MAX: usize = 80;
/// Rules of our own that are in no mapping file.
const OWN: &str = "weft";

/// One record, explained.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Explanation {
    /// Identity of the record.
    pub record: String,
    /// Stream that read it, where one did.
    pub stream: String,
    /// `event`, `reject` or `dropped`.
    pub outcome: &'static str,
    /// OCSF class of the event.
    pub class: String,
    /// Why it was refused, for a reject.
    pub reason: String,
    /// Kinds of event that were tried, in order, the one that was taken last.
    pub tried: Vec<Tried>,
    /// Every attribute of the event with the rule that made it.
    pub fields: Vec<Field>,
    /// Rules that gave nothing that the event has, and why.
    pub without_effect: Vec<Field>,
    /// Attributes of the record that went to `unmapped`.
    pub unmapped: Vec<String>,
}

/// A kind of event, or the fingerprint of a stream, that was tried.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tried {
    /// OCSF class, or the stream.
    pub what: String,
    /// Where it stands.
    pub place: String,
    /// Whether it was taken.
    pub taken: bool,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// What happened to it beside its conditions.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One part of a condition.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Condition {
    /// As the language writes it.
    pub rule: String,
    /// Where it stands.
    pub place: String,
    /// Whether it holds.
    pub holds: bool,
    /// Attributes that it looked at, with their values.
    pub saw: BTreeMap<String, String>,
}

/// One attribute of the event.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Field {
    /// Dotted path, with places in lists.
    pub path: String,
    /// Its value.
    pub value: Value,
    /// The rule that made it.
    pub rule: String,
    /// Where the rule stands: file and line, or `weft` for what every event has.
    pub place: String,
    /// Attributes of the record that it came from.
    pub from: Vec<String>,
}

/// Explains every record of a batch. The registry should be a traced one.
pub fn explain(registry: &Arc<Registry>, batch: &RawBatch) -> Vec<Explanation> {
    let mapper = Mapper::new(Arc::clone(registry));
    batch.records.iter().map(|record| one(registry, &mapper, batch, record)).collect()
}

fn one(registry: &Arc<Registry>, mapper: &Mapper, batch: &RawBatch, record: &RawRecord) -> Explanation {
    let alone = RawBatch { records: vec![record.clone()], ..batch.clone() };
    let mapped = mapper.map(&alone);
    let mut explained = Explanation { record: record.id.to_string(), stream: batch.stream.to_string(), outcome: "event", ..Explanation::default() };
    let event = mapped.batches.first().and_then(|events| events.to_json().into_iter().next());
    if let Some(reject) = mapped.rejects.first() {
        explained.outcome = "reject";
        explained.reason = format!("{}: {}", reject.cause.name(), reject.message);
    }
    let program = if alone.stream.is_auto() { None } else { Some(registry.program(&alone.stream)) };
    let run = Run { registry, drops: None, program, raw: &alone };
    let Some(record) = alone.records.first() else { return explained };
    trace(&run, record, event.as_ref(), &mut explained);
    if let Some(event) = &event {
        explained.class = event.get("class_name").and_then(Value::as_str).unwrap_or_default().to_owned();
        explained.unmapped = event.get("unmapped").map(|unmapped| leaves(unmapped).into_iter().map(|(path, _)| path).collect()).unwrap_or_default();
        complete(event, &mut explained);
    }
    explained
}

/// Follows the record through its stream, as far as it comes.
fn trace(run: &Run<'_>, record: &RawRecord, event: Option<&Value>, explained: &mut Explanation) {
    let (arena, mut scratch) = (Bump::new(), Scratch::default());
    let Ok(whole) = decode::text(&record.bytes) else { return };
    let given = Given { text: decode::unmarked(whole), batch: run.raw, record };
    let Ok(read) = run.read(given, &mut scratch, &arena) else {
        explained.tried = near(run.registry, given);
        return;
    };
    explained.stream = read.program.stream.to_string();
    if read.format == Format::Ocsf {
        explained.tried.push(Tried {
            what: "OCSF".to_owned(),
            taken: event.is_some(),
            note: "the record is an OCSF event and is taken as it is".to_owned(),
            ..Tried::default()
        });
        return;
    }
    let nodes = decode::expand(&read.program.expand, read.nodes, &arena, run.raw.received.0);
    read.program.trie.locate(nodes, &mut scratch.slots);
    let slots = arena.alloc_slice_copy(&scratch.slots);
    let scope = Scope { nodes, slots, item: Val::Node(nodes, 0), index: 0, absent: &[], captures: &[], batch: run.raw, record, whole, arena: &arena };
    let walker = Walker { paths: paths(nodes) };
    let Some((plan, scope)) = walker.choose(read.program, &scope, event, explained) else { return };
    let mut fields = Vec::new();
    walker.object(&plan.object, &scope, plan.capture.as_ref(), "", &mut fields, &mut explained.without_effect);
    explained.fields = fields;
}

/// Names of all nodes of a record.
struct Walker {
    paths: HashMap<usize, String>,
}

impl Walker {
    /// The plan that the event was made by, with the scope of its rules; notes those tried before.
    fn choose<'a>(&self, program: &'a Program, scope: &Scope<'a>, event: Option<&Value>, explained: &mut Explanation) -> Option<(&'a Plan, Scope<'a>)> {
        let key = program.dispatch.key.as_ref().map_or(Val::Null, |key| key.eval(scope));
        let candidates = program.dispatch.plans(key);
        let kinds = program.plans.iter().filter(|plan| plan.fallback.is_some()).count();
        if candidates.len() < kinds {
            let others = kinds - candidates.len();
            let saw = program.dispatch.key.as_ref().map(|key| self.saw(key, scope, None)).unwrap_or_default();
            let seen: Vec<String> = saw.iter().map(|(path, value)| format!("{path} = {value}")).collect();
            let note = format!("{others} kinds of event want another value: {}", if seen.is_empty() { "it has none".to_owned() } else { seen.join(", ") });
            explained.tried.push(Tried { what: "other kinds".to_owned(), note, ..Tried::default() });
        }
        for plan in candidates.iter().filter_map(|place| program.plans.get(*place)) {
            let scope = Scope { absent: &plan.absent, ..*scope };
            let (mut tried, holds) = self.tried(plan, &scope);
            let captures = event::captures(plan, &scope).filter(|_| holds);
            let Some(captures) = captures else {
                explained.tried.push(tried);
                continue;
            };
            let scope = Scope { captures, ..scope };
            let kept = event.is_none_or(|event| event.get("class_uid").and_then(Value::as_i64) == Some(plan.names.class_uid));
            tried.taken = kept;
            if !kept {
                "what OCSF requires of this class is missing, so it became a base event".clone_into(&mut tried.note);
            }
            explained.tried.push(tried);
            if kept {
                return Some((plan, scope));
            }
            return plan.fallback.and_then(|place| program.plans.get(place)).map(|fallback| (fallback, scope));
        }
        let last = program.plans.last()?;
        let note = "no kind of event fits, so it is a base event".to_owned();
        explained.tried.push(Tried { what: "base_event".to_owned(), taken: event.is_some(), note, ..Tried::default() });
        Some((last, Scope { absent: &last.absent, ..*scope }))
    }

    fn tried(&self, plan: &Plan, scope: &Scope<'_>) -> (Tried, bool) {
        let known = PlanTrace::default();
        let trace = plan.trace.as_deref().unwrap_or(&known);
        let parts = match &plan.when {
            Some(Code::All(parts)) => &**parts,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        let mut conditions: Vec<Condition> = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            let origin = trace.conditions.get(place).cloned().unwrap_or_default();
            conditions.push(Condition { rule: origin.rule, place: origin.place, holds: part.holds(scope), saw: self.saw(part, scope, None) });
        }
        if let Some(capture) = &plan.capture {
            let origin = trace.capture.clone().unwrap_or_default();
            let holds = event::captures(plan, scope).is_some();
            conditions.push(Condition { rule: origin.rule, place: origin.place, holds, saw: self.saw(&capture.on, scope, None) });
        }
        let holds = conditions.iter().all(|condition| condition.holds);
        (Tried { what: trace.class.clone(), place: trace.place.clone(), conditions, ..Tried::default() }, holds)
    }

    /// Every rule of an event or element.
    fn object(&self, plan: &ObjectPlan, scope: &Scope<'_>, capture: Option<&Capture>, within: &str, fields: &mut Vec<Field>, without: &mut Vec<Field>) {
        for (assign, origin) in plan.assigns.iter().zip(&plan.origins) {
            let value = assign.code.eval(scope);
            let from = self.saw(&assign.code, scope, capture).into_keys().collect();
            let field = Field { path: format!("{within}{}", origin.path), rule: origin.rule.clone(), place: origin.place.clone(), from, value: json(value) };
            if value.is_absent() {
                continue;
            }
            match assign.convert.cell(value, scope.batch.received.0, scope.arena) {
                Some(_) => fields.push(field),
                None => without.push(Field { rule: format!("{} (its value is not of the attribute's type)", field.rule), ..field }),
            }
        }
        for (list, path) in plan.lists.iter().zip(&plan.list_paths) {
            let mut place = 0;
            let mut element = |plan: &ObjectPlan, scope: &Scope<'_>| {
                let mut marks = Marks::default();
                marks.reset(scope.nodes.len());
                let mut observed = bumpalo::collections::Vec::new_in(scope.arena);
                if row(plan, scope, &mut marks, &mut observed).is_some() {
                    self.object(plan, scope, capture, &format!("{within}{path}[{place}]."), fields, without);
                    place += 1;
                }
            };
            list.fixed.iter().for_each(|plan| element(plan, scope));
            list.each.iter().for_each(|each| items(each, scope, &mut element));
        }
    }

    /// Attributes that an expression looked at on this record, with their values.
    fn saw(&self, code: &Code, scope: &Scope<'_>, capture: Option<&Capture>) -> BTreeMap<String, String> {
        let mut seen = BTreeMap::new();
        self.look(code, scope, capture, &mut seen);
        seen
    }

    fn look(&self, code: &Code, scope: &Scope<'_>, capture: Option<&Capture>, seen: &mut BTreeMap<String, String>) {
        let mut all = |parts: &[Code]| parts.iter().for_each(|part| self.look(part, scope, capture, seen));
        match code {
            Code::Slots(slots) => {
                let found = slots.iter().filter_map(|slot| scope.slots.get(*slot as usize)).filter(|node| **node != NOWHERE);
                if let Some(node) = found.map(|node| *node as usize).find(|node| !scope.value(*node).is_null()) {
                    self.note(node, scope, seen);
                }
            }
            Code::Item(segments) => match scope.item {
                Val::Node(_, item) => scope.walk(item, segments).into_iter().for_each(|node| self.note(node, scope, seen)),
                item => drop(seen.insert(format!("@item[{}]", scope.index), short(&json(item)))),
            },
            Code::Context(key) => drop(seen.insert(key.to_string(), short(&json(code.eval(scope))))),
            Code::Capture(_) => capture.into_iter().for_each(|capture| self.look(&capture.on, scope, None, seen)),
            Code::Coalesce(parts) => {
                if let Some(taken) = parts.iter().find(|part| !part.eval(scope).is_absent()) {
                    self.look(taken, scope, capture, seen);
                }
            }
            Code::Choice(parts) => {
                let [value, condition, otherwise] = &**parts;
                self.look(condition, scope, capture, seen);
                self.look(if condition.holds(scope) { value } else { otherwise }, scope, capture, seen);
            }
            Code::List(parts) | Code::Call(_, parts) | Code::All(parts) | Code::Any(parts) => all(parts),
            Code::Compare(_, sides) => all(&**sides),
            Code::Table(inner, _) | Code::Group(inner, ..) | Code::Replace(inner, ..) | Code::Not(inner) | Code::In(inner, _) | Code::Matches(inner, _) => {
                self.look(inner, scope, capture, seen)
            }
            Code::Null | Code::Bool(_) | Code::Int(_) | Code::Float(_) | Code::Text(_) => {}
        }
    }

    fn note(&self, node: usize, scope: &Scope<'_>, seen: &mut BTreeMap<String, String>) {
        let path = self.paths.get(&node).cloned().unwrap_or_default();
        seen.insert(path, short(&json(Val::of(scope.nodes, node))));
    }
}

fn items<'a>(each: &'a EachPlan, scope: &Scope<'a>, element: &mut dyn FnMut(&ObjectPlan, &Scope<'_>)) {
    for (item, index) in each.from.eval(scope).items(scope.arena).iter().take(ELEMENTS_MAX).zip(0..) {
        let scope = Scope { item: *item, index, ..*scope };
        if each.when.as_ref().is_none_or(|when| when.holds(&scope)) {
            element(&each.element, &scope);
        }
    }
}

/// Attributes that no rule of a file made, and rules whose attribute the event does not have.
fn complete(event: &Value, explained: &mut Explanation) {
    let mut made: BTreeMap<String, Field> = BTreeMap::new();
    for field in std::mem::take(&mut explained.fields) {
        made.entry(field.path.clone()).or_insert(field);
    }
    for (path, value) in leaves(event) {
        if path == "raw_data" || path.starts_with("unmapped") {
            continue;
        }
        let rule = made.remove(&path).or_else(|| made.remove(path.rsplit_once('[').map_or("", |(list, _)| list)));
        explained.fields.push(match rule {
            Some(field) => Field { path, value, ..field },
            None => Field { rule: own_rule(&path).to_owned(), place: OWN.to_owned(), path, value, ..Field::default() },
        });
    }
    let listed = |path: &str| explained.fields.iter().any(|field| field.path.starts_with(path));
    let lost = made.into_values().filter(|field| !listed(&field.path)).collect::<Vec<_>>();
    explained
        .without_effect
        .extend(lost.into_iter().map(|field| Field { rule: format!("{} (its object lacks what OCSF requires of it)", field.rule), ..field }));
}

/// What made an attribute that no mapping sets.
fn own_rule(path: &str) -> &'static str {
    match path {
        "class_uid" | "class_name" | "category_uid" | "category_name" => "of the class",
        "type_uid" | "type_name" | "activity_name" => "of class and activity",
        "activity_id" => "unknown, because nothing sets it",
        "severity_id" | "severity" => "of severity_id, informational where nothing sets it",
        "time" => "when it was received, because nothing sets it",
        _ if path.starts_with("observables") => "an attribute that OCSF marks as an observable",
        _ if path.starts_with("metadata.") => "every event has it",
        _ if path.ends_with("_id") => "unknown, because OCSF requires it and nothing sets it",
        _ => "the caption of its id, or the id of its caption",
    }
}

/// Fingerprints that came nearest to claiming a record that none claims.
fn near(registry: &Registry, given: Given<'_>) -> Vec<Tried> {
    let mut all: Vec<(usize, Tried)> = registry.programs.iter().filter_map(|program| fingerprint(program, given)).collect();
    all.sort_by(|(a, left), (b, right)| b.cmp(a).then_with(|| left.what.cmp(&right.what)));
    all.truncate(NEAR_MAX);
    all.into_iter().map(|(_, tried)| tried).collect()
}

fn fingerprint(program: &Program, given: Given<'_>) -> Option<(usize, Tried)> {
    use crate::language::Trie;
    use crate::language::expr::{Expr, parse};
    use crate::language::link::{Linker, Names, Patterns};
    let condition = parse(program.recognise_text.as_ref()?).ok()?;
    let (arena, mut scratch) = (Bump::new(), Scratch::default());
    let format = decode::fitting(&program.formats, given.text, &given.batch.context);
    let nodes = decode::decode(format, program, given.text, given.batch, &mut scratch, &arena).ok()?;
    let parts = if let Expr::All(parts) = condition { parts } else { vec![condition] };
    let (mut trie, mut patterns, names) = (Trie::default(), Patterns::default(), Names::default());
    let mut linker = Linker { names: &names, trie: &mut trie, patterns: &mut patterns, captures: &[], item: false };
    let codes = parts.iter().map(|part| linker.link(part)).collect::<Result<Vec<_>, _>>().ok()?;
    let mut slots = Vec::new();
    trie.locate(nodes, &mut slots);
    let Given { text, batch, record } = given;
    let scope = Scope { nodes, slots: &slots, item: Val::Node(nodes, 0), index: 0, absent: &[], captures: &[], batch, record, whole: text, arena: &arena };
    let walker = Walker { paths: paths(nodes) };
    let place = format!("{}/connector.toml", program.stream.0.split('/').next().unwrap_or_default());
    let condition = |(part, code): (&Expr, &Code)| Condition {
        rule: part.to_string(),
        place: place.clone(),
        holds: code.holds(&scope),
        saw: walker.saw(code, &scope, None),
    };
    let conditions: Vec<Condition> = parts.iter().zip(&codes).map(condition).collect();
    let held = conditions.iter().filter(|condition| condition.holds).count();
    (held > 0).then(|| (held * 100 / conditions.len().max(1), Tried { what: program.stream.to_string(), place: place.clone(), conditions, ..Tried::default() }))
}

/// Dotted path of every node.
fn paths(nodes: &Nodes<'_>) -> HashMap<usize, String> {
    let mut paths = HashMap::new();
    let mut open = vec![(0, String::new())];
    while let Some((index, path)) = open.pop() {
        match nodes.get(index) {
            Some(Node::Object { .. }) => open.extend(tree::entries(nodes, index).map(|(key, child)| (child, below(&path, &Segment::Key(key.to_owned()))))),
            Some(Node::Array { .. }) => open.extend(tree::items(nodes, index).zip(0_i64..).map(|(child, place)| (child, below(&path, &Segment::Index(place))))),
            _ => {}
        }
        paths.insert(index, path);
    }
    paths
}

fn below(path: &str, segment: &Segment) -> String {
    match segment {
        Segment::Key(key) if path.is_empty() => key.clone(),
        Segment::Key(key) => format!("{path}.{key}"),
        Segment::Index(place) => format!("{path}[{place}]"),
        // Only in aliases, never in the path of a record.
        Segment::Word { text, .. } => format!("{path}.{text}"),
    }
}

/// Every value of a JSON document with its path.
fn leaves(value: &Value) -> Vec<(String, Value)> {
    let (mut found, mut open) = (Vec::new(), vec![(String::new(), value)]);
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(members) => open.extend(members.iter().rev().map(|(key, child)| (below(&path, &Segment::Key(key.clone())), child))),
            Value::Array(items) => {
                let children: Vec<_> = items.iter().zip(0_i64..).map(|(child, place)| (below(&path, &Segment::Index(place)), child)).collect();
                open.extend(children.into_iter().rev());
            }
            other => found.push((path, other.clone())),
        }
    }
    found
}

fn json(value: Val<'_>) -> Value {
    match value {
        Val::Null => Value::Null,
        Val::Bool(value) => value.into(),
        Val::Int(number) => number.into(),
        Val::Float(number) => number.into(),
        Val::Text(text) => text.into(),
        Val::List(items) => items.iter().map(|item| json(*item)).collect(),
        Val::Node(nodes, index) => {
            let mut text = Vec::new();
            tree::write_json(nodes, index, &mut text);
            serde_json::from_slice(&text).unwrap_or_default()
        }
    }
}

fn short(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > SEEN_CHARS_MAX { text.chars().take(SEEN_CHARS_MAX).chain(['…']).collect() } else { text }
}
