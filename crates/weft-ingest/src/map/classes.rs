//! Columns of every class: what all events have, and what mappings set.

use std::collections::BTreeMap;

use weft_model::ocsf::{Class, Schema};
use weft_model::{ClassUid, event};

use super::columns::{Kind, Layout, Want, Wanted};
use super::program::{ClassColumns, Classes, Common, ObservableLeaves};
use crate::language::draft::{Draft, kind};

/// Attributes that every class has as columns, whether a mapping sets them or not, so that one
/// query reads all tables.
const COMMON: [&str; 32] = [
    "activity_id",
    "activity_name",
    "category_name",
    "category_uid",
    "class_name",
    "class_uid",
    "message",
    "metadata.correlation_uid",
    "metadata.event_code",
    "metadata.log_name",
    "metadata.log_provider",
    "metadata.logged_time",
    "metadata.original_time",
    "metadata.processed_time",
    "metadata.product.feature.name",
    "metadata.product.name",
    "metadata.product.vendor_name",
    "metadata.product.version",
    "metadata.profiles",
    "metadata.tenant_uid",
    "metadata.uid",
    "metadata.version",
    "raw_data",
    "severity",
    "severity_id",
    "status",
    "status_code",
    "status_detail",
    "status_id",
    "time",
    "type_name",
    "type_uid",
];

/// Lays out all classes that drafts are of, and those that the mesh itself writes.
pub fn layout<'a>(schema: &'static Schema, drafts: impl Iterator<Item = (&'a Class, &'a Draft<'a>)>) -> Classes {
    let mut wanted: BTreeMap<u32, Wanted> = BTreeMap::new();
    for class in [ClassUid::BASE, ClassUid::COMPLIANCE_FINDING, ClassUid::DETECTION_FINDING, ClassUid::API_ACTIVITY, ClassUid::REMEDIATION_ACTIVITY] {
        wanted.entry(class.0).or_default();
    }
    for (class, draft) in drafts {
        draft.want(wanted.entry(class.uid).or_default());
    }
    let list = wanted.into_iter().filter_map(|(uid, wanted)| columns(schema, uid, wanted)).collect();
    Classes { list }
}

impl Classes {
    /// Columns of every class of the schema, with nothing but what all events have: for streams
    /// whose events are OCSF already.
    pub fn complete(&mut self, schema: &'static Schema) {
        for class in schema.classes() {
            if let Err(place) = self.list.binary_search_by_key(&class.uid, |columns| columns.class.0) {
                self.list.extend(columns(schema, class.uid, Wanted::new()));
                if let Some(tail) = self.list.get_mut(place..) {
                    tail.rotate_right(1);
                }
            }
        }
    }

    /// The place of a class.
    pub fn place(&self, uid: u32) -> Option<usize> {
        self.list.binary_search_by_key(&uid, |columns| columns.class.0).ok()
    }
}

fn columns(schema: &'static Schema, uid: u32, mut wanted: Wanted) -> Option<ClassColumns> {
    schema.class(uid)?;
    for path in COMMON {
        let attribute = schema.resolve(uid, path).ok().and_then(|found| found.leaf().map(kind));
        if let Some(kind) = attribute {
            wanted.entry(path.to_owned()).or_insert_with(|| Want { kind, rows: Wanted::new() });
        }
    }
    let json = || Want { kind: Kind::Json, rows: Wanted::new() };
    wanted.insert(event::UNMAPPED.to_owned(), json());
    wanted.insert(event::EXTRA.to_owned(), json());
    let observable = wanted.entry("observables".to_owned()).or_insert_with(|| Want { kind: Kind::Rows, rows: Wanted::new() });
    for (name, kind) in [("name", Kind::Text), ("type", Kind::Text), ("type_id", Kind::Int), ("value", Kind::Text)] {
        observable.rows.entry(name.to_owned()).or_insert_with(|| Want { kind, rows: Wanted::new() });
    }
    let layout = Layout::of(&wanted);
    let schema = layout.schema();
    let common = common(&layout);
    Some(ClassColumns { class: ClassUid(uid), schema, common, layout })
}

fn common(layout: &Layout) -> Common {
    let leaf = |path: &str| layout.leaf(path).map_or(u16::MAX, |(leaf, _)| leaf);
    let rows = layout.rows("observables");
    let row = |path: &str| rows.and_then(|rows| rows.leaf(path)).map_or(u16::MAX, |(leaf, _)| leaf);
    Common {
        class_uid: leaf("class_uid"),
        class_name: leaf("class_name"),
        category_uid: leaf("category_uid"),
        category_name: leaf("category_name"),
        activity_id: leaf("activity_id"),
        activity_name: leaf("activity_name"),
        type_uid: leaf("type_uid"),
        type_name: leaf("type_name"),
        severity_id: leaf("severity_id"),
        severity: leaf("severity"),
        time: leaf("time"),
        raw_data: leaf("raw_data"),
        unmapped: leaf("unmapped"),
        extra: leaf("extra"),
        uid: leaf("metadata.uid"),
        version: leaf("metadata.version"),
        product: leaf("metadata.product.name"),
        vendor: leaf("metadata.product.vendor_name"),
        profiles: leaf("metadata.profiles"),
        processed_time: leaf("metadata.processed_time"),
        observables: leaf("observables"),
        observable: ObservableLeaves { name: row("name"), type_id: row("type_id"), kind: row("type"), value: row("value") },
    }
}
