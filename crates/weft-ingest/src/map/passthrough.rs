//! Events that are OCSF already: put into the columns of their class as they are.

use bumpalo::Bump;
use weft_model::{RawBatch, RawRecord, RejectCause, Timestamp};

use super::columns::{Cell, Cells, Kind, Layout, Leaf};
use super::event::Row;
use super::program::Common;
use super::staged::Marks;
use super::value::Val;
use crate::decode::Malformed;
use crate::registry::Registry;
use crate::tree::{self, Nodes};

/// Writes the event as a row of its class; attributes without a column go to `extra`.
pub fn map<'a>(registry: &Registry, nodes: &'a Nodes<'a>, raw: &'a RawBatch, record: &'a RawRecord, arena: &'a Bump) -> Result<Row<'a>, Malformed> {
    let invalid = |message: String| Malformed::new(RejectCause::Invalid, message);
    let uid = tree::get(nodes, 0, "class_uid")
        .and_then(|index| Val::of(nodes, index).int())
        .ok_or_else(|| invalid("an OCSF event has a number `class_uid`".to_owned()))?;
    let place =
        u32::try_from(uid).ok().and_then(|uid| registry.classes.place(uid)).ok_or_else(|| invalid(format!("there is no OCSF class with `class_uid` {uid}")))?;
    let class = registry.classes.list.get(place).ok_or_else(|| invalid(format!("there is no OCSF class with `class_uid` {uid}")))?;
    let mut marks = Marks::default();
    marks.reset(nodes.len());
    let mut cells = row(&class.layout, nodes, 0, arena, &mut marks);
    // A time without a date stays beside the event: the lake has no day for it.
    if let Some(place) = tree::get(nodes, 0, "time")
        && Val::of(nodes, place).int().is_some_and(|ms| !Timestamp::DATED.contains(&ms))
    {
        cells.retain(|(leaf, _)| *leaf != class.common.time);
        marks.unset(place);
    }
    let has = |cells: &[(Leaf, Cell<'_>)], leaf: Leaf| cells.iter().any(|(other, _)| *other == leaf);
    let common = &class.common;
    if !has(&cells, common.time) {
        cells.push((common.time, Cell::Int(raw.received.0)));
    }
    if !has(&cells, common.uid) {
        cells.push((common.uid, Cell::Text(arena.alloc_str(&record.id.to_string()))));
    }
    if !has(&cells, common.raw_data)
        && let Ok(text) = std::str::from_utf8(&record.bytes)
    {
        cells.push((common.raw_data, Cell::Text(text)));
    }
    name(&mut cells, common, uid, arena);
    let mut left = Vec::new();
    if tree::write_unused(nodes, 0, &|node| marks.is_set(node), &mut left)
        && let Ok(text) = std::str::from_utf8(&left)
    {
        cells.push((common.extra, Cell::Text(arena.alloc_str(text))));
    }
    Ok(Row { class: place, cells: arena.alloc_slice_copy(&cells) })
}

/// Names that follow from the numbers, where the event left them out.
fn name<'a>(cells: &mut Vec<(Leaf, Cell<'a>)>, common: &Common, uid: i64, arena: &'a Bump) {
    let schema = weft_model::ocsf::schema();
    let Some(class) = u32::try_from(uid).ok().and_then(|uid| schema.class(uid)) else { return };
    let number =
        |leaf: Leaf| cells.iter().find(|(other, _)| *other == leaf).and_then(|(_, cell)| if let Cell::Int(number) = cell { Some(*number) } else { None });
    let caption = |attribute: &str, leaf: Leaf| {
        class.attribute(attribute).and_then(|attribute| schema.enum_of(attribute)).and_then(|values| values.caption(number(leaf)?))
    };
    let type_name = number(common.type_uid).and_then(|uid| u64::try_from(uid).ok()).and_then(|uid| schema.type_name(uid));
    let names = [
        (common.class_name, Some(&*class.caption)),
        (common.category_name, Some(&*class.category_name)),
        (common.activity_name, caption("activity_id", common.activity_id)),
        (common.severity, caption("severity_id", common.severity_id)),
        (common.type_name, type_name.as_deref().map(|name| &*arena.alloc_str(name))),
    ];
    for (leaf, text) in names {
        let absent = cells.iter().all(|(other, _)| *other != leaf);
        cells.extend(text.filter(|_| absent && leaf != Leaf::MAX).map(|text| (leaf, Cell::Text(text))));
    }
}

fn row<'a>(layout: &Layout, nodes: &'a Nodes<'a>, index: usize, arena: &'a Bump, marks: &mut Marks) -> Vec<(Leaf, Cell<'a>)> {
    let mut cells = Vec::new();
    for (leaf, path, kind) in layout.paths() {
        let found = path.split('.').try_fold(index, |index, key| tree::get(nodes, index, key));
        let Some(found) = found else { continue };
        let value = Val::of(nodes, found);
        if value.is_null() {
            continue;
        }
        if let Some(cell) = cell(layout, path, kind, value, arena) {
            marks.set(found);
            cells.push((leaf, cell));
        }
    }
    cells
}

/// Only values of the column's own type: anything else stays as it is, in `extra`.
fn cell<'a>(layout: &Layout, path: &str, kind: Kind, value: Val<'a>, arena: &'a Bump) -> Option<Cell<'a>> {
    Some(match (kind, value) {
        (Kind::Text, Val::Text(text)) => Cell::Text(text),
        (Kind::Json, value) => Cell::Text(value.json(arena)?),
        (Kind::Int, Val::Int(number)) => Cell::Int(number),
        (Kind::Float, Val::Int(_) | Val::Float(_)) => Cell::Float(value.float()?),
        (Kind::Bool, Val::Bool(value)) => Cell::Bool(value),
        (Kind::Texts, Val::Node(..)) => {
            let texts: Option<Vec<&'a str>> = value.items(arena).iter().map(|item| item.as_str()).collect();
            Cell::Texts(arena.alloc_slice_copy(&texts?))
        }
        (Kind::Ints, Val::Node(..)) => {
            let numbers: Option<Vec<i64>> = value.items(arena).iter().map(|item| if let Val::Int(number) = item { Some(*number) } else { None }).collect();
            Cell::Ints(arena.alloc_slice_copy(&numbers?))
        }
        (Kind::Rows, Val::Node(nodes, index)) => {
            let inner = layout.rows(path)?;
            // Marks of their own: if one item does not fit, the whole list goes to `extra`.
            let mut seen = Marks::default();
            seen.reset(nodes.len());
            let rows: Vec<Cells<'a>> = tree::items(nodes, index).map(|item| whole_row(inner, nodes, item, arena, &mut seen)).collect::<Option<_>>()?;
            Cell::Rows(arena.alloc_slice_copy(&rows))
        }
        _ => return None,
    })
}

/// A list goes to its column only when every attribute of every item has its place there.
fn whole_row<'a>(layout: &Layout, nodes: &'a Nodes<'a>, item: usize, arena: &'a Bump, marks: &mut Marks) -> Option<Cells<'a>> {
    let cells = row(layout, nodes, item, arena, marks);
    let mut left = Vec::new();
    let rest = tree::write_unused(nodes, item, &|node| marks.is_set(node), &mut left);
    (!rest).then(|| &*arena.alloc_slice_copy(&cells))
}
