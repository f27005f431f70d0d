//! One record to one event: the plan that fits, what it sets, and what every event has.

use std::sync::LazyLock;

use bumpalo::Bump;
use weft_model::RawRecord;
use weft_model::ocsf::Enum;

use super::code::Scope;
use super::columns::{Cell, Columns, Leaf};
use super::program::{ClassColumns, Classes, Plan, Program};
use super::staged::{Marks, Staged};
use crate::tree;

/// `severity_id` where nothing says otherwise: informational.
const SEVERITY: (i64, &str) = (1, "Informational");
/// Observables of one event; what is over is not listed, though it is still an attribute.
const OBSERVABLES_MAX: usize = 64;

/// Maps one record: finds its plan and writes a row. The class that it became is returned.
pub fn map<'a>(program: &'a Program, classes: &'a Classes, scope: &Scope<'a>, marks: &mut Marks, columns: &mut [Option<Columns>]) -> Option<usize> {
    let key = program.dispatch.key.as_ref().map_or(super::value::Val::Null, |key| key.eval(scope));
    let candidates = program.dispatch.plans(key);
    for place in candidates {
        let Some(plan) = program.plans.get(*place) else { continue };
        let scope = Scope { absent: &plan.absent, ..*scope };
        if plan.when.as_ref().is_some_and(|when| !when.holds(&scope)) {
            continue;
        }
        let Some(captures) = captures(plan, &scope) else { continue };
        let scope = Scope { captures, ..scope };
        if let Some(class) = apply(plan, classes, &scope, marks, columns) {
            return Some(class);
        }
        let fallback = plan.fallback.and_then(|place| program.plans.get(place))?;
        return apply(fallback, classes, &scope, marks, columns);
    }
    let last = program.plans.last()?;
    apply(last, classes, &Scope { absent: &last.absent, ..*scope }, marks, columns)
}

/// The captures of a plan's `match`; none where it does not match.
fn captures<'a>(plan: &'a Plan, scope: &Scope<'a>) -> Option<&'a [Option<&'a str>]> {
    let Some(capture) = &plan.capture else { return Some(&[]) };
    let text = capture.on.eval(scope).text(scope.arena)?;
    let found = capture.regex.captures(text)?;
    let groups: Vec<Option<&'a str>> = capture.groups.iter().map(|group| found.get(*group).map(|found| found.as_str())).collect();
    Some(scope.arena.alloc_slice_copy(&groups))
}

fn apply<'a>(plan: &'a Plan, classes: &'a Classes, scope: &Scope<'a>, marks: &mut Marks, columns: &mut [Option<Columns>]) -> Option<usize> {
    marks.reset(scope.nodes.len());
    let class = classes.list.get(plan.class)?;
    let mut staged = Staged::default();
    if !staged.fill(&plan.object, scope, marks) {
        return None;
    }
    identify(&mut staged, plan, class, scope);
    profiles(&mut staged, plan, class, scope.arena);
    observables(&mut staged, class, scope.arena);
    keep(&mut staged, class, scope, marks);
    let columns = columns.get_mut(plan.class)?.get_or_insert_with(|| Columns::new(&class.layout));
    columns.push(staged.cells(scope.arena));
    Some(plan.class)
}

/// Class, activity, severity, time and identity.
fn identify<'a>(staged: &mut Staged<'a>, plan: &'a Plan, class: &ClassColumns, scope: &Scope<'a>) {
    let (names, common) = (&*plan.names, &class.common);
    staged.put(common.class_uid, Cell::Int(names.class_uid));
    staged.put(common.class_name, Cell::Text(&names.class_name));
    staged.put(common.category_uid, Cell::Int(names.category_uid));
    staged.put(common.category_name, Cell::Text(&names.category_name));
    let activity = match staged.get(common.activity_id) {
        Some(Cell::Int(activity)) => activity,
        _ => {
            staged.put(common.activity_id, Cell::Int(0));
            0
        }
    };
    if let Some((_, caption, type_name)) = names.activities.iter().find(|(id, ..)| *id == activity) {
        if staged.get(common.activity_name).is_none() {
            staged.put(common.activity_name, Cell::Text(caption));
        }
        staged.put(common.type_name, Cell::Text(type_name));
    }
    staged.put(common.type_uid, Cell::Int(names.class_uid * 100 + activity));
    if staged.get(common.severity_id).is_none() {
        staged.put(common.severity_id, Cell::Int(SEVERITY.0));
        if staged.get(common.severity).is_none() {
            staged.put(common.severity, Cell::Text(SEVERITY.1));
        }
    }
    if staged.get(common.time).is_none() {
        staged.put(common.time, Cell::Int(scope.batch.received.0));
    }
    staged.put(common.version, Cell::Text(weft_model::ocsf::schema().version()));
    if staged.get(common.uid).is_none() {
        staged.put(common.uid, Cell::Text(uid(scope.record, scope.arena)));
    }
    if staged.get(common.processed_time).is_none() && scope.batch.received.0 > 0 {
        staged.put(common.processed_time, Cell::Int(scope.batch.received.0));
    }
}

fn uid<'a>(record: &RawRecord, arena: &'a Bump) -> &'a str {
    let mut digits = [0_u8; 32];
    for (place, digit) in digits.iter_mut().enumerate() {
        let nibble = (record.id.0 >> (124 - 4 * place)) & 0xf;
        *digit = char::from_digit(u32::try_from(nibble).unwrap_or(0), 16).map_or(b'0', |digit| u8::try_from(digit).unwrap_or(b'0'));
    }
    arena.alloc_str(std::str::from_utf8(&digits).unwrap_or_default())
}

fn profiles<'a>(staged: &mut Staged<'a>, plan: &'a Plan, class: &ClassColumns, arena: &'a Bump) {
    if staged.get(class.common.profiles).is_some() {
        return;
    }
    let mut present: Vec<&'a str> = plan.profiles.iter().filter(|(flags, _)| staged.flags & flags != 0).map(|(_, profile)| profile.as_str()).collect();
    present.sort_unstable();
    present.dedup();
    if !present.is_empty() {
        staged.put(class.common.profiles, Cell::Texts(arena.alloc_slice_copy(&present)));
    }
}

fn observables<'a>(staged: &mut Staged<'a>, class: &ClassColumns, arena: &'a Bump) {
    let leaves = &class.common.observable;
    let mut rows: Vec<&'a [(Leaf, Cell<'a>)]> = Vec::new();
    for observed in &staged.observed {
        let kind = observable_caption(observed.type_id);
        let mut push = |value: &'a str| {
            if rows.len() < OBSERVABLES_MAX {
                let cells = [
                    (leaves.name, Cell::Text(observed.name)),
                    (leaves.type_id, Cell::Int(observed.type_id)),
                    (leaves.value, Cell::Text(value)),
                    (leaves.kind, Cell::Text(kind)),
                ];
                rows.push(arena.alloc_slice_copy(&cells));
            }
        };
        match observed.cell {
            Cell::Text(text) => push(text),
            Cell::Int(number) => push(arena.alloc_str(&number.to_string())),
            Cell::Texts(texts) => texts.iter().for_each(|text| push(text)),
            _ => {}
        }
    }
    if !rows.is_empty() && staged.get(class.common.observables).is_none() {
        staged.put(class.common.observables, Cell::Rows(arena.alloc_slice_copy(&rows)));
    }
}

/// `observables[].type` of a type id.
fn observable_caption(type_id: i64) -> &'static str {
    static CAPTIONS: LazyLock<Option<&'static Enum>> = LazyLock::new(|| {
        let schema = weft_model::ocsf::schema();
        schema.object("observable")?.attribute("type_id").and_then(|attribute| schema.enum_of(attribute))
    });
    CAPTIONS.and_then(|captions| captions.caption(type_id)).unwrap_or("Other")
}

/// The raw record, and what of it went nowhere.
fn keep<'a>(staged: &mut Staged<'a>, class: &ClassColumns, scope: &Scope<'a>, marks: &Marks) {
    if let Ok(text) = std::str::from_utf8(&scope.record.bytes) {
        staged.put(class.common.raw_data, Cell::Text(text));
    }
    let mut left = Vec::new();
    if staged.get(class.common.unmapped).is_none()
        && tree::write_unused(scope.nodes, 0, &|node| marks.is_set(node), &mut left)
        && let Ok(text) = std::str::from_utf8(&left)
    {
        staged.put(class.common.unmapped, Cell::Text(scope.arena.alloc_str(text)));
    }
}
