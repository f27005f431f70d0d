//! OCSF 1.8 as OCSF 1.1: attributes that it does not know go, activities that it does not know are
//! Other (99), and `metadata.version` says 1.1.0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::with_day;

/// What `metadata.version` says afterwards.
const VERSION: &str = "1.1.0";
/// Activity of what the older version has no activity for.
const OTHER: i64 = 99;
/// What OCSF calls an object of any content.
const ANYTHING: &str = "object";

/// Attribute to the object that it is; none for a value.
type Attributes = BTreeMap<&'static str, Option<&'static str>>;

struct Class {
    uid: i64,
    activities: BTreeSet<i64>,
    attributes: Attributes,
}

#[derive(Default)]
struct Version {
    classes: BTreeMap<&'static str, Class>,
    objects: BTreeMap<&'static str, Attributes>,
}

static OLDER: LazyLock<Version> = LazyLock::new(|| {
    let mut version = Version::default();
    for line in include_str!("ocsf-1.1.txt").lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("class"), Some(name)) => {
                let uid = words.next().and_then(|uid| uid.parse().ok()).unwrap_or(0);
                let activities = words.next().unwrap_or_default().split(',').filter_map(|id| id.parse().ok()).collect();
                version.classes.insert(name, Class { uid, activities, attributes: attributes(words) });
            }
            (Some("object"), Some(name)) => {
                version.objects.insert(name, attributes(words));
            }
            _ => {}
        }
    }
    version
});

fn attributes(words: std::str::Split<'static, char>) -> Attributes {
    words.map(|word| word.split_once(':').map_or((word, None), |(name, object)| (name, Some(object)))).collect()
}

/// Rows of a class in the older version, with its name there; none when it has no such class.
pub(super) fn translate(table: &str, batch: &RecordBatch) -> Result<Option<(&'static str, RecordBatch)>, ArrowError> {
    let Some((name, class)) = OLDER.classes.get_key_value(table) else { return Ok(None) };
    let schema = batch.schema();
    let (fields, columns) = prune(schema.fields(), batch.columns(), &class.attributes)?;
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    with_day(&renumber(&rows, class)?).map(|rows| Some((*name, rows)))
}

fn prune(fields: &Fields, columns: &[ArrayRef], known: &Attributes) -> Result<(Vec<FieldRef>, Vec<ArrayRef>), ArrowError> {
    let (mut kept, mut arrays) = (Vec::new(), Vec::new());
    for (field, column) in fields.iter().zip(columns) {
        let Some(object) = known.get(field.name().as_str()) else { continue };
        let Some(column) = older(column, *object)? else { continue };
        kept.push(Arc::new(field.as_ref().clone().with_data_type(column.data_type().clone())));
        arrays.push(column);
    }
    Ok((kept, arrays))
}

/// A column with the attributes that its object had; none when nothing is left.
fn older(column: &ArrayRef, object: Option<&str>) -> Result<Option<ArrayRef>, ArrowError> {
    let Some(known) = object.filter(|object| *object != ANYTHING).and_then(|object| OLDER.objects.get(object)) else { return Ok(Some(Arc::clone(column))) };
    match column.data_type() {
        DataType::Struct(fields) => {
            let (fields, columns) = prune(fields, column.as_struct().columns(), known)?;
            if fields.is_empty() {
                return Ok(None);
            }
            Ok(Some(Arc::new(StructArray::try_new(fields.into(), columns, column.nulls().cloned())?)))
        }
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let Some(values) = older(list.values(), object)? else { return Ok(None) };
            let item = Arc::new(Field::new(item.name(), values.data_type().clone(), true));
            Ok(Some(Arc::new(ListArray::try_new(item, list.offsets().clone(), values, list.nulls().cloned())?)))
        }
        _ => Ok(Some(Arc::clone(column))),
    }
}

/// Class, activity, type and version as the older version numbers them.
fn renumber(rows: &RecordBatch, class: &Class) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let activities = rows.column_by_name("activity_id").map(|column| cast(column, &DataType::Int64)).transpose()?;
    let activity = |row: usize| {
        let id = activities.as_ref().map(|ids| ids.as_primitive::<Int64Type>()).filter(|ids| ids.is_valid(row)).map_or(0, |ids| ids.value(row));
        if class.activities.contains(&id) { id } else { OTHER }
    };
    let numbers = |f: &dyn Fn(usize) -> i64| -> ArrayRef { Arc::new((0..rows.num_rows()).map(|row| Some(f(row))).collect::<Int64Array>()) };
    let columns = schema.fields().iter().zip(rows.columns()).map(|(field, column)| {
        let column = match field.name().as_str() {
            "class_uid" => numbers(&|_| class.uid),
            "activity_id" => numbers(&activity),
            "type_uid" => numbers(&|row| class.uid * 100 + activity(row)),
            "metadata" => versioned(column)?,
            _ => Arc::clone(column),
        };
        cast(&column, field.data_type())
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_, _>>()?)
}

fn versioned(metadata: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let Some(parts) = metadata.as_struct_opt() else { return Ok(Arc::clone(metadata)) };
    let version: ArrayRef = Arc::new(StringArray::from(vec![VERSION; parts.len()]));
    let columns =
        parts.fields().iter().zip(parts.columns()).map(|(field, column)| if field.name() == "version" { version.clone() } else { Arc::clone(column) });
    Ok(Arc::new(StructArray::try_new(parts.fields().clone(), columns.collect(), parts.nulls().cloned())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_facts_is_whole() {
        assert_eq!((OLDER.classes.len(), OLDER.objects.len()), (44, 106));
        let class = &OLDER.classes["authentication"];
        assert_eq!((class.uid, class.attributes["user"], class.attributes["time"]), (3002, Some("user"), None));
        let objects = OLDER.classes.values().map(|class| &class.attributes).chain(OLDER.objects.values()).flat_map(|attributes| attributes.values().flatten());
        assert!(objects.into_iter().all(|object| OLDER.objects.contains_key(object)));
    }
}
