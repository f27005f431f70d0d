//! Events as JSON to batches: structs nest, what differs in type becomes `extra`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use serde_json::Value;
use weft_model::{ClassUid, EventBatch};

pub(crate) fn batch(class: u32, events: &[Value]) -> EventBatch {
    let rows: Vec<Option<&Value>> = events.iter().map(Some).collect();
    let columns = columns(&rows);
    let schema = Schema::new(columns.iter().map(|(field, _)| field.clone()).collect::<Vec<_>>());
    let rows = RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    EventBatch { class: ClassUid(class), source: "test".into(), rows }
}

fn columns(rows: &[Option<&Value>]) -> Vec<(Field, ArrayRef)> {
    let mut names: BTreeMap<&str, ()> = BTreeMap::new();
    for row in rows.iter().flatten() {
        names.extend(row.as_object().unwrap().keys().map(|key| (key.as_str(), ())));
    }
    names.keys().map(|name| column(name, &rows.iter().map(|row| row.and_then(|row| row.get(name))).collect::<Vec<_>>())).collect()
}

fn column(name: &str, values: &[Option<&Value>]) -> (Field, ArrayRef) {
    let json = matches!(name, "unmapped" | "extra" | "observables");
    if !json && values.iter().flatten().all(|value| value.is_object()) {
        let children = columns(values);
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = children.into_iter().unzip();
        let nulls = NullBuffer::from(values.iter().map(Option::is_some).collect::<Vec<_>>());
        let array = StructArray::try_new(fields.into(), arrays, Some(nulls)).unwrap();
        return (Field::new(name, array.data_type_owned(), true), Arc::new(array));
    }
    if !json && values.iter().flatten().all(|value| value.is_i64()) {
        return (
            Field::new(name, DataType::Int64, true),
            Arc::new(Int64Array::from(values.iter().map(|value| value.and_then(Value::as_i64)).collect::<Vec<_>>())),
        );
    }
    let texts: Vec<Option<String>> = values
        .iter()
        .map(|value| value.map(|value| if json { value.to_string() } else { value.as_str().map_or_else(|| value.to_string(), str::to_owned) }))
        .collect();
    let mut field = Field::new(name, DataType::Utf8, true);
    if json {
        field = field.with_metadata(HashMap::from([(weft_model::event::JSON.to_owned(), "1".to_owned())]));
    }
    (field, Arc::new(StringArray::from(texts)))
}

trait Typed {
    fn data_type_owned(&self) -> DataType;
}
impl Typed for StructArray {
    fn data_type_owned(&self) -> DataType {
        use arrow::array::Array as _;
        self.data_type().clone()
    }
}
