//! Arrow cells as JSON, of any type that SQL can give.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use serde_json::{Map, Value};
use weft_console::api::{ColumnInfo, ColumnKind};
use weft_model::event::JSON;

/// One array per row.
pub fn rows(batches: &[RecordBatch]) -> Vec<Vec<Value>> {
    let mut all = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        let schema = batch.schema();
        all.extend((0..batch.num_rows()).map(|row| schema.fields().iter().zip(batch.columns()).map(|(field, column)| cell(field, column, row)).collect()));
    }
    all
}

/// One cell.
pub fn cell(field: &Field, array: &ArrayRef, row: usize) -> Value {
    if !array.is_valid(row) {
        return Value::Null;
    }
    match field.data_type() {
        DataType::Utf8 => text(field, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(field, array.as_string::<i64>().value(row)),
        DataType::Utf8View => text(field, array.as_string_view().value(row)),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Struct(fields) => {
            let inner = array.as_struct();
            let members = fields.iter().zip(inner.columns()).filter(|(_, column)| column.is_valid(row));
            Value::Object(members.map(|(field, column)| (field.name().clone(), cell(field, column, row))).collect::<Map<_, _>>())
        }
        DataType::List(item) => list(item, &array.as_list::<i32>().value(row)),
        DataType::LargeList(item) => list(item, &array.as_list::<i64>().value(row)),
        DataType::Binary => String::from_utf8_lossy(array.as_binary::<i32>().value(row)).into_owned().into(),
        _ => array_value_to_string(array, row).map_or(Value::Null, Value::String),
    }
}

fn list(item: &Field, items: &ArrayRef) -> Value {
    (0..items.len()).map(|at| cell(item, items, at)).collect()
}

fn text(field: &Field, text: &str) -> Value {
    let json = field.metadata().contains_key(JSON).then(|| serde_json::from_str(text).ok()).flatten();
    json.unwrap_or_else(|| text.into())
}

/// Every column and nested column by dotted path, parents first.
pub fn columns(schema: &Schema) -> Vec<ColumnInfo> {
    let mut found = Vec::new();
    schema.fields().iter().for_each(|field| column(field, "", &mut found));
    found
}

fn column(field: &Field, parent: &str, found: &mut Vec<ColumnInfo>) {
    let path = if parent.is_empty() { field.name().clone() } else { format!("{parent}.{}", field.name()) };
    found.push(ColumnInfo { path: path.clone(), kind: kind(field), data_type: type_name(field.data_type()) });
    if let DataType::Struct(fields) = field.data_type() {
        fields.iter().for_each(|field| column(field, &path, found));
    }
}

fn kind(field: &Field) -> ColumnKind {
    if field.metadata().contains_key(JSON) {
        return ColumnKind::Other;
    }
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnKind::Text,
        DataType::Boolean => ColumnKind::Boolean,
        DataType::Float32 | DataType::Float64 => ColumnKind::Float,
        other if other.is_integer() => ColumnKind::Integer,
        DataType::List(item) if matches!(item.data_type(), DataType::Utf8) => ColumnKind::TextList,
        _ => ColumnKind::Other,
    }
}

/// The type in words that a person knows from SQL.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Float32 | DataType::Float64 => "double".to_owned(),
        DataType::Struct(_) => "struct".to_owned(),
        DataType::List(item) | DataType::LargeList(item) => format!("list of {}", type_name(item.data_type())),
        other if other.is_integer() => "bigint".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray, StructArray};

    use super::*;

    #[test]
    fn nested_values_become_objects() {
        let inner =
            StructArray::from(vec![(Arc::new(Field::new("ip", DataType::Utf8, true)), Arc::new(StringArray::from(vec![Some("192.0.2.1"), None])) as ArrayRef)]);
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("src", inner.data_type().clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(vec![Some(1), None])), Arc::new(inner)]).unwrap();
        assert_eq!(
            rows(std::slice::from_ref(&batch)),
            [vec![Value::from(1), serde_json::json!({"ip": "192.0.2.1"})], vec![Value::Null, serde_json::json!({})]]
        );
        let paths: Vec<String> = columns(&batch.schema()).into_iter().map(|column| column.path).collect();
        assert_eq!(paths, ["n", "src", "src.ip"]);
    }
}
