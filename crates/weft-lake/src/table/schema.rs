//! Table schemas: which Arrow types a table has, how it gains columns, how a batch is made to fit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

/// Partition column, the UTC day of `time`; derived, never written into a file.
pub(crate) const DAY: &str = "day";
/// Event time in milliseconds, which every table is sorted by.
pub(crate) const TIME: &str = "time";

/// Schemas of batches that were seen, with what tables keep of them.
static SEEN: Mutex<Vec<(SchemaRef, SchemaRef)>> = Mutex::new(Vec::new());
/// More than there are classes.
const SEEN_MAX: usize = 256;

/// Two schemas that cannot be one table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}` is {new} here and {old} in the table")]
pub struct Conflict {
    /// Dotted path.
    pub column: String,
    /// Type in the table.
    pub old: String,
    /// Type in the batch.
    pub new: String,
}

/// The type a table keeps for a column of this type; none when it can hold nothing.
fn stored(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        // Counters above 2^63 do not occur in OCSF, whose long_t is signed.
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Dictionary(_, values) => stored(values)?,
        DataType::Struct(fields) => {
            let fields: Fields = fields.iter().filter_map(|field| stored_field(field)).collect();
            (!fields.is_empty()).then_some(DataType::Struct(fields))?
        }
        // The name that Delta and Parquet give the items of a list.
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new("element", stored(item.data_type())?, true)))
        }
        DataType::Null => return None,
        other => other.clone(),
    })
}

fn stored_field(field: &Field) -> Option<FieldRef> {
    // Nullable throughout: a column that is required today may be absent from tomorrow's batch.
    Some(Arc::new(Field::new(field.name(), stored(field.data_type())?, true).with_metadata(field.metadata().clone())))
}

/// The columns that a table keeps of a batch with this schema, with the partition column last.
pub(crate) fn table_schema(batch: &Schema) -> SchemaRef {
    let columns = batch.fields().iter().filter(|field| field.name() != DAY).filter_map(|field| stored_field(field));
    Arc::new(Schema::new(columns.chain([day_field()]).collect::<Fields>()))
}

/// The same for a schema that many batches share, as those of a mapping do.
pub(crate) fn table_schema_of(batch: &SchemaRef) -> SchemaRef {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    // INVARIANT: what is held here keeps its address, so that no other schema is taken for it.
    if let Some((_, table)) = seen.iter().find(|(known, _)| Arc::ptr_eq(known, batch)) {
        return Arc::clone(table);
    }
    if seen.len() >= SEEN_MAX {
        seen.clear();
    }
    let table = table_schema(batch);
    seen.push((Arc::clone(batch), Arc::clone(&table)));
    table
}

/// The schema with views of texts, in all parts of objects but lists.
pub(crate) fn with_views(schema: &SchemaRef) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(as_views).collect::<Fields>()))
}

fn as_views(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(as_views).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

pub(crate) fn day_field() -> FieldRef {
    Arc::new(Field::new(DAY, DataType::Date32, true))
}

/// What is in the files: all but the partition column.
pub(crate) fn file_schema(table: &Schema) -> SchemaRef {
    Arc::new(Schema::new(table.fields().iter().filter(|field| field.name() != DAY).cloned().collect::<Fields>()))
}

/// The table's schema with what the batch has more; none when the batch has nothing new.
pub(crate) fn widen(table: &SchemaRef, batch: &SchemaRef) -> Result<Option<SchemaRef>, Conflict> {
    if Arc::ptr_eq(table, batch) || table.fields() == batch.fields() {
        return Ok(None);
    }
    let fields = union(table.fields(), batch.fields(), "")?;
    let (days, columns): (Vec<_>, Vec<_>) = fields.iter().cloned().partition(|field| field.name() == DAY);
    let widened: Fields = columns.into_iter().chain(days).collect();
    Ok((widened != *table.fields()).then(|| Arc::new(Schema::new(widened))))
}

fn union(old: &Fields, new: &Fields, path: &str) -> Result<Fields, Conflict> {
    let mut fields: Vec<FieldRef> = old.iter().cloned().collect();
    let places: HashMap<String, usize> = old.iter().enumerate().map(|(place, field)| (field.name().clone(), place)).collect();
    for field in new {
        match places.get(field.name()).and_then(|place| fields.get_mut(*place)) {
            Some(known) => {
                let column = if path.is_empty() { field.name().clone() } else { format!("{path}.{}", field.name()) };
                let data_type = join(known.data_type(), field.data_type(), &column)?;
                if data_type != *known.data_type() {
                    *known = Arc::new(known.as_ref().clone().with_data_type(data_type));
                }
            }
            None => fields.push(Arc::clone(field)),
        }
    }
    Ok(fields.into())
}

fn join(old: &DataType, new: &DataType, path: &str) -> Result<DataType, Conflict> {
    match (old, new) {
        _ if old == new => Ok(old.clone()),
        (DataType::Struct(old), DataType::Struct(new)) => Ok(DataType::Struct(union(old, new, path)?)),
        (DataType::List(old), DataType::List(new)) => {
            let items = join(old.data_type(), new.data_type(), path)?;
            Ok(DataType::List(Arc::new(old.as_ref().clone().with_data_type(items))))
        }
        // Fits without loss: the table keeps its type.
        (DataType::Int64, DataType::Int32) | (DataType::Float64, DataType::Float32 | DataType::Int32) => Ok(old.clone()),
        _ => Err(Conflict { column: path.to_owned(), old: old.to_string(), new: new.to_string() }),
    }
}

/// The table's columns that hold a value in any of the batches, at every depth; what a file lacks
/// is null to every reader of the table, and costs nothing.
///
/// A class has hundreds of attributes and a file some dozens of them.
pub(crate) fn present(batches: &[RecordBatch], table: &Schema) -> SchemaRef {
    let column = |field: &FieldRef| {
        let arrays: Vec<&ArrayRef> = batches.iter().filter_map(|batch| batch.column_by_name(field.name())).collect();
        present_field(field, &arrays)
    };
    // Without them a row has no place in a file.
    let kept = |field: &FieldRef| if [TIME, DAY].contains(&field.name().as_str()) { Some(Arc::clone(field)) } else { column(field) };
    Arc::new(Schema::new(table.fields().iter().filter_map(kept).collect::<Fields>()))
}

fn present_field(field: &FieldRef, arrays: &[&ArrayRef]) -> Option<FieldRef> {
    let filled: Vec<&ArrayRef> = arrays.iter().copied().filter(|array| array.null_count() < array.len()).collect();
    if filled.is_empty() {
        return None;
    }
    let narrow = match field.data_type() {
        DataType::Struct(fields) => {
            let objects: Vec<&StructArray> = filled.iter().filter_map(|array| array.as_struct_opt()).collect();
            let child = |child: &FieldRef| {
                let arrays: Vec<&ArrayRef> = objects.iter().filter_map(|object| object.column_by_name(child.name())).collect();
                present_field(child, &arrays)
            };
            let kept: Fields = fields.iter().filter_map(child).collect();
            (!kept.is_empty()).then_some(DataType::Struct(kept))
        }
        DataType::List(item) => {
            let items: Vec<&ArrayRef> = filled.iter().filter_map(|array| array.as_list_opt::<i32>().map(ListArray::values)).collect();
            present_field(item, &items).map(DataType::List)
        }
        _ => None,
    };
    // An object without any attribute, or a list without any item, is still there.
    Some(narrow.map_or_else(|| Arc::clone(field), |narrow| Arc::new(field.as_ref().clone().with_data_type(narrow))))
}

/// The batch with exactly the columns of `schema`: what it lacks is null.
pub(crate) fn adapt(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref().fields() == schema.fields() {
        return Ok(batch.clone());
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => fit(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn fit(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), target) {
        (from, to) if from == to => Ok(Arc::clone(array)),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let source = array.as_struct();
            let columns = fields.iter().map(|field| match source.column_by_name(field.name()) {
                Some(column) => fit(column, field.data_type()),
                None => Ok(new_null_array(field.data_type(), source.len())),
            });
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns.collect::<Result<_, _>>()?, source.nulls().cloned(), source.len())?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let source: &ListArray = array.as_list();
            let values = fit(source.values(), item.data_type())?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), source.offsets().clone(), values, source.nulls().cloned())?))
        }
        // A value that does not fit must be an error, not a null.
        _ => cast_with_options(array, target, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray, UInt32Array};
    use arrow::buffer::OffsetBuffer;

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn user(columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
        Arc::new(StructArray::from(batch(columns)))
    }

    #[test]
    fn a_table_gains_nested_columns_and_old_rows_have_nulls_there() {
        let name: ArrayRef = Arc::new(StringArray::from(vec!["ada"]));
        let old = batch(vec![("time", Arc::new(Int32Array::from(vec![1]))), ("user", user(vec![("name", Arc::clone(&name))]))]);
        let new = batch(vec![("user", user(vec![("uid", Arc::clone(&name))])), ("count", Arc::new(UInt32Array::from(vec![7])))]);
        let table = table_schema(&old.schema());
        let wide = widen(&table, &table_schema(&new.schema())).unwrap().unwrap();
        assert_eq!(wide.fields().last().unwrap().name(), DAY);
        let adapted = adapt(&old, &wide).unwrap();
        let user = adapted.column_by_name("user").unwrap().as_struct();
        assert_eq!(user.column_by_name("name").unwrap().as_string::<i32>().value(0), "ada");
        assert!(user.column_by_name("uid").unwrap().is_null(0));
        assert!(widen(&wide, &table).unwrap().is_none(), "nothing new");
    }

    #[test]
    fn a_file_has_only_the_columns_that_hold_something() {
        let name: ArrayRef = Arc::new(StringArray::from(vec![Some("ada"), None]));
        let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
        let item = user(vec![("value", Arc::clone(&name)), ("type", Arc::clone(&none))]);
        let list = ListArray::new(Arc::new(Field::new("element", item.data_type().clone(), true)), OffsetBuffer::from_lengths([2, 0]), item, None);
        let rows = batch(vec![
            ("user", user(vec![("name", Arc::clone(&name)), ("uid", Arc::clone(&none))])),
            ("message", Arc::clone(&none)),
            ("observables", Arc::new(list)),
        ]);
        let table = table_schema(&rows.schema());
        let other = batch(vec![("message", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]);
        let narrow = present(std::slice::from_ref(&rows), &table);
        assert_eq!(narrow.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["user", "observables", DAY]);
        let adapted = adapt(&rows, &narrow).unwrap();
        assert_eq!(adapted.column(0).as_struct().column_names(), ["name"]);
        assert_eq!(adapted.column(1).as_list::<i32>().values().as_struct().column_names(), ["value"]);
        assert!(present(&[rows, other], &table).field_with_name("message").is_ok());
    }

    #[test]
    fn a_foreign_type_is_a_conflict_that_names_the_column() {
        let number = batch(vec![("user", user(vec![("uid", Arc::new(Int32Array::from(vec![1])))]))]);
        let text = batch(vec![("user", user(vec![("uid", Arc::new(StringArray::from(vec!["1"])))]))]);
        let conflict = widen(&table_schema(&number.schema()), &table_schema(&text.schema())).unwrap_err();
        assert_eq!(conflict.column, "user.uid");
    }
}
