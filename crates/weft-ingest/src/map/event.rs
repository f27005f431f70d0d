//! One record to one event: the plan that fits, what it sets, and what every event has.

use std::sync::LazyLock;

use bumpalo::Bump;
use bumpalo::collections::Vec;
use weft_model::RawRecord;
use weft_model::ocsf::Enum;

use super::code::Scope;
use super::columns::{Cell, Cells};
use super::program::{ClassColumns, Classes, Plan, Program};
use super::staged::{Marks, Staged};
use crate::shape;
use crate::tree;

/// `severity_id` where nothing says otherwise: informational.
const SEVERITY: (i64, &str) = (1, "Informational");
/// Observables of one event; what is over is not listed, though it is still an attribute.
const OBSERVABLES_MAX: usize = 64;

/// Where a value stands that no attribute holds.
const RAW: &str = "raw_data";

/// A row of one class.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Place of the class in [`Classes`].
    pub class: usize,
    /// Its cells.
    pub cells: Cells<'a>,
}

/// Maps one record: finds its plan and makes a row.
pub fn map<'a>(program: &'a Program, classes: &'a Classes, scope: &Scope<'a>, marks: &mut Marks) -> Option<Row<'a>> {
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
        if let Some(row) = apply(program, plan, classes, &scope, marks) {
            return Some(row);
        }
        let fallback = plan.fallback.and_then(|place| program.plans.get(place))?;
        return apply(program, fallback, classes, &scope, marks);
    }
    let last = program.plans.last()?;
    apply(program, last, classes, &Scope { absent: &last.absent, ..*scope }, marks)
}

/// The captures of a plan's `match`; none where it does not match.
pub(super) fn captures<'a>(plan: &'a Plan, scope: &Scope<'a>) -> Option<&'a [Option<&'a str>]> {
    let Some(capture) = &plan.capture else { return Some(&[]) };
    let text = capture.on.eval(scope).text(scope.arena)?;
    let found = capture.pattern.regex()?.captures(text)?;
    let mut groups = Vec::with_capacity_in(capture.groups.len(), scope.arena);
    groups.extend(capture.groups.iter().map(|group| found.get(*group).map(|found| found.as_str())));
    Some(groups.into_bump_slice())
}

fn apply<'a>(program: &'a Program, plan: &'a Plan, classes: &'a Classes, scope: &Scope<'a>, marks: &mut Marks) -> Option<Row<'a>> {
    marks.reset(scope.nodes.len());
    let class = classes.list.get(plan.class)?;
    let mut staged = Staged::new(&plan.object, scope.arena);
    if !staged.fill(&plan.object, scope, marks) {
        return None;
    }
    identify(&mut staged, plan, class, scope);
    if staged.get(class.common.product).is_none() && staged.get(class.common.vendor).is_none() {
        let (vendor, product) = &program.maker;
        staged.put(class.common.vendor, Cell::Text(vendor));
        staged.put(class.common.product, Cell::Text(product));
    }
    profiles(&mut staged, plan, class, scope.arena);
    observables(&mut staged, class, scope, program.generic);
    keep(&mut staged, class, scope, marks);
    Some(Row { class: plan.class, cells: staged.into_cells() })
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
    // What the mapping set stays: the first cell of a leaf counts.
    if let Some((_, caption, type_name)) = names.activities.iter().find(|(id, ..)| *id == activity) {
        staged.put(common.activity_name, Cell::Text(caption));
        staged.put(common.type_name, Cell::Text(type_name));
    }
    staged.put(common.type_uid, Cell::Int(names.class_uid * 100 + activity));
    if staged.get(common.severity_id).is_none() {
        staged.put(common.severity_id, Cell::Int(SEVERITY.0));
        staged.put(common.severity, Cell::Text(SEVERITY.1));
    }
    staged.put(common.time, Cell::Int(scope.batch.received.0));
    staged.put(common.version, Cell::Text(weft_model::ocsf::schema().version()));
    if staged.get(common.uid).is_none() {
        staged.put(common.uid, Cell::Text(uid(scope.record, scope.arena)));
    }
    if scope.batch.received.0 > 0 {
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
    let mut present: Vec<'a, &'a str> = Vec::new_in(arena);
    present.extend(plan.profiles.iter().filter(|(flags, _)| staged.flags & flags != 0).map(|(_, profile)| profile.as_str()));
    present.sort_unstable();
    present.dedup();
    if !present.is_empty() {
        staged.put(class.common.profiles, Cell::Texts(present.into_bump_slice()));
    }
}

/// Values that the schema marks as such; of a record that nobody has foreseen, also those that
/// have the form of one, wherever they stand.
fn observables<'a>(staged: &mut Staged<'a>, class: &ClassColumns, scope: &Scope<'a>, unforeseen: bool) {
    let arena = scope.arena;
    let leaves = &class.common.observable;
    let mut rows: Vec<'a, Cells<'a>> = Vec::with_capacity_in(staged.observed.len(), arena);
    let mut push = |name: &'a str, type_id: i64, value: &'a str| {
        if rows.len() < OBSERVABLES_MAX {
            let kind = observable_caption(type_id);
            let cells =
                [(leaves.name, Cell::Text(name)), (leaves.type_id, Cell::Int(type_id)), (leaves.value, Cell::Text(value)), (leaves.kind, Cell::Text(kind))];
            rows.push(arena.alloc_slice_copy(&cells));
        }
    };
    for observed in &staged.observed {
        match observed.cell {
            Cell::Text(text) => push(observed.name, observed.type_id, text),
            Cell::Int(number) => push(observed.name, observed.type_id, arena.alloc_str(&number.to_string())),
            Cell::Texts(texts) => texts.iter().for_each(|text| push(observed.name, observed.type_id, text)),
            _ => {}
        }
    }
    if unforeseen {
        let known = |value: &str| staged.observed.iter().any(|observed| matches!(observed.cell, Cell::Text(text) if text.eq_ignore_ascii_case(value)));
        shape::all(scope.nodes).into_iter().filter(|(_, value)| !known(value)).for_each(|(shape, value)| push(RAW, shape.observable(), value));
    }
    if !rows.is_empty() && staged.get(class.common.observables).is_none() {
        staged.put(class.common.observables, Cell::Rows(rows.into_bump_slice()));
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
fn keep<'a>(staged: &mut Staged<'a>, class: &ClassColumns, scope: &Scope<'a>, marks: &mut Marks) {
    staged.put(class.common.raw_data, Cell::Text(scope.whole));
    let mut left = std::mem::take(&mut marks.left);
    left.clear();
    if staged.get(class.common.unmapped).is_none()
        && tree::write_unused(scope.nodes, 0, &|node| marks.is_set(node), &mut left)
        && let Ok(text) = std::str::from_utf8(&left)
    {
        staged.put(class.common.unmapped, Cell::Text(scope.arena.alloc_str(text)));
    }
    marks.left = left;
}
