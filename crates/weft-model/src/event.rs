//! Reading rows of an event batch: one path as a column, one row as OCSF JSON.
//!
//! Layout: columns are OCSF attributes, structs nest where OCSF nests. Text columns whose field
//! metadata holds [`JSON`] carry JSON text (`unmapped`, `extra`). `extra` keeps OCSF attributes
//! that have no column of their own and is merged into the row when it is written out.

use std::io::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use serde_json::{Map, Value};

use crate::batch::EventBatch;
use crate::time::Timestamp;

/// Metadata key of fields whose text is JSON.
pub const JSON: &str = "weft.json";
/// Column of OCSF attributes that have no column of their own.
pub const EXTRA: &str = "extra";
/// Column of source attributes that no mapping names.
pub const UNMAPPED: &str = "unmapped";
/// Column of the raw record.
pub const RAW_DATA: &str = "raw_data";

/// The column at a dotted OCSF path, e.g. `actor.user.name`.
///
/// Children of a null struct are null themselves, so the parents need no second look.
pub fn column(rows: &RecordBatch, path: &str) -> Option<ArrayRef> {
    let mut parts = path.split('.');
    let mut array = rows.column_by_name(parts.next()?)?.clone();
    for part in parts {
        array = array.as_struct_opt()?.column_by_name(part)?.clone();
    }
    Some(array)
}

/// The text at a path and row, where it is text and present.
pub fn text(array: &ArrayRef, row: usize) -> Option<&str> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    // The lake hands texts out as views.
    match array.data_type() {
        DataType::Utf8 => array.as_string_opt::<i32>().map(|strings| strings.value(row)),
        DataType::Utf8View => array.as_string_view_opt().map(|strings| strings.value(row)),
        DataType::LargeUtf8 => array.as_string_opt::<i64>().map(|strings| strings.value(row)),
        _ => None,
    }
}

impl EventBatch {
    /// Every row as an OCSF event.
    pub fn to_json(&self) -> Vec<Value> {
        (0..self.rows.num_rows()).map(|row| row_to_json(&self.rows, row)).collect()
    }

    /// Time of the newest event; none when there is none.
    pub fn newest(&self) -> Option<Timestamp> {
        let times = column(&self.rows, "time")?;
        arrow::compute::max(times.as_primitive_opt::<Int64Type>()?).map(Timestamp)
    }

    /// Appends every row as one line of JSON.
    pub fn write_ndjson(&self, out: &mut Vec<u8>) {
        for row in 0..self.rows.num_rows() {
            write_row(&self.rows, row, out);
            out.push(b'\n');
        }
    }
}

/// One row as an OCSF event.
pub fn row_to_json(rows: &RecordBatch, row: usize) -> Value {
    let mut text = Vec::with_capacity(1024);
    write_row(rows, row, &mut text);
    serde_json::from_slice(&text).unwrap_or(Value::Null)
}

/// Appends one row as a JSON object.
pub fn write_row(rows: &RecordBatch, row: usize, out: &mut Vec<u8>) {
    let extra = rows.column_by_name(EXTRA).filter(|array| array.is_valid(row));
    let fields = rows.schema_ref().fields();
    let start = out.len();
    write_fields(fields.iter().map(AsRef::as_ref).zip(rows.columns()), row, out);
    let Some(extra) = extra.and_then(|array| text(array, row)).and_then(|json| serde_json::from_str::<Value>(json).ok()) else { return };
    let typed = out.get(start..).and_then(|json| serde_json::from_slice::<Value>(json).ok());
    let Some(mut event) = typed else { return };
    merge_value(&mut event, extra);
    out.truncate(start);
    // Writing a JSON value to a vector cannot fail.
    let _infallible = serde_json::to_writer(out, &event);
}

/// Adds what `event` does not have, such as what [`EXTRA`] holds; typed columns win.
pub fn merge(event: &mut Map<String, Value>, extra: Map<String, Value>) {
    for (key, value) in extra {
        match event.get_mut(&key) {
            Some(present) => merge_value(present, value),
            None => {
                event.insert(key, value);
            }
        }
    }
}

fn merge_value(event: &mut Value, extra: Value) {
    match (event, extra) {
        (Value::Object(event), Value::Object(extra)) => merge(event, extra),
        (Value::Array(event), Value::Array(extra)) if event.len() == extra.len() => {
            event.iter_mut().zip(extra).for_each(|(present, value)| merge_value(present, value));
        }
        _ => {}
    }
}

/// Writes the present fields; returns whether there was one.
fn write_fields<'a>(fields: impl Iterator<Item = (&'a Field, &'a ArrayRef)>, row: usize, out: &mut Vec<u8>) -> bool {
    let mut any = false;
    out.push(b'{');
    for (field, array) in fields {
        if field.name() == EXTRA || !array.is_valid(row) {
            continue;
        }
        let before = out.len();
        if any {
            out.push(b',');
        }
        write_text(field.name(), out);
        out.push(b':');
        if write_value(field, array, row, out) {
            any = true;
        } else {
            out.truncate(before);
        }
    }
    out.push(b'}');
    any
}

/// Writes one value; false (and nothing that may stay) when it is absent or of a foreign type.
fn write_value(field: &Field, array: &ArrayRef, row: usize, out: &mut Vec<u8>) -> bool {
    if !array.is_valid(row) {
        return false;
    }
    // Writing to a vector cannot fail.
    let _infallible = match field.data_type() {
        DataType::Utf8 => return write_string(field, array.as_string::<i32>().value(row), out),
        DataType::LargeUtf8 => return write_string(field, array.as_string::<i64>().value(row), out),
        DataType::Utf8View => return write_string(field, array.as_string_view().value(row), out),
        DataType::Int64 => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::Int32 => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
        DataType::UInt32 => write!(out, "{}", array.as_primitive::<UInt32Type>().value(row)),
        DataType::Float64 => return write_float(array.as_primitive::<Float64Type>().value(row), out),
        DataType::Float32 => return write_float(f64::from(array.as_primitive::<Float32Type>().value(row)), out),
        DataType::Boolean => write!(out, "{}", array.as_boolean().value(row)),
        DataType::Struct(_) => return write_struct(array.as_struct(), row, out),
        DataType::List(child) => return write_list(child, &array.as_list::<i32>().value(row), out),
        _ => return false,
    };
    true
}

fn write_struct(array: &StructArray, row: usize, out: &mut Vec<u8>) -> bool {
    write_fields(array.fields().iter().map(AsRef::as_ref).zip(array.columns()), row, out)
}

fn write_list(child: &Field, items: &ArrayRef, out: &mut Vec<u8>) -> bool {
    out.push(b'[');
    let mut any = false;
    for item in 0..items.len() {
        let before = out.len();
        if any {
            out.push(b',');
        }
        if write_value(child, items, item, out) {
            any = true;
        } else {
            out.truncate(before);
        }
    }
    out.push(b']');
    true
}

fn write_float(value: f64, out: &mut Vec<u8>) -> bool {
    if !value.is_finite() {
        return false;
    }
    let _infallible = serde_json::to_writer(out, &value);
    true
}

fn write_string(field: &Field, value: &str, out: &mut Vec<u8>) -> bool {
    if field.metadata().contains_key(JSON) {
        out.extend_from_slice(value.as_bytes());
    } else {
        write_text(value, out);
    }
    true
}

/// Appends `value` as a JSON string.
pub fn write_text(value: &str, out: &mut Vec<u8>) {
    let _infallible = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::Schema;

    use super::*;

    #[test]
    fn a_row_is_written_without_what_is_absent_and_with_its_extra() {
        let user =
            StructArray::from(vec![(Arc::new(Field::new("name", DataType::Utf8, true)), Arc::new(StringArray::from(vec![Some("a\"b"), None])) as ArrayRef)]);
        let json = |name: &str| Field::new(name, DataType::Utf8, true).with_metadata(HashMap::from([(JSON.to_owned(), "1".to_owned())]));
        let schema =
            Schema::new(vec![Field::new("time", DataType::Int64, false), Field::new("user", user.data_type().clone(), true), json("unmapped"), json("extra")]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![1, 2])),
            Arc::new(user),
            Arc::new(StringArray::from(vec![Some("{\"x\":1}"), None])),
            Arc::new(StringArray::from(vec![Some("{\"user\":{\"uid\":\"u\"},\"time\":9}"), None])),
        ];
        let rows = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        assert_eq!(row_to_json(&rows, 0), serde_json::json!({"time": 1, "user": {"name": "a\"b", "uid": "u"}, "unmapped": {"x": 1}}));
        assert_eq!(row_to_json(&rows, 1), serde_json::json!({"time": 2}));
        assert_eq!(text(&column(&rows, "user.name").unwrap(), 0), Some("a\"b"));
        assert!(column(&rows, "user.nope").is_none());
    }
}
