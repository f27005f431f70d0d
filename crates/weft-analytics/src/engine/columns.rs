//! One batch as the engine reads it: the values at a path, each distinct one once.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type};
use serde_json::Value;
use weft_model::EventBatch;
use weft_model::event::{EXTRA, JSON, UNMAPPED};

/// The values of one field over a batch, as texts.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// Distinct values.
    pub(crate) distinct: Vec<String>,
    /// Which row has which value; a row may have none, or several.
    pub(crate) pairs: Vec<(u32, u32)>,
    index: HashMap<String, u32>,
}

impl Values {
    fn push(&mut self, row: u32, value: &str) {
        let id = match self.index.get(value) {
            Some(id) => *id,
            None => {
                let id = u32::try_from(self.distinct.len()).unwrap_or(u32::MAX);
                self.distinct.push(value.to_owned());
                self.index.insert(value.to_owned(), id);
                id
            }
        };
        self.pairs.push((row, id));
    }

    /// The values of one row.
    pub(crate) fn of(&self, row: usize) -> impl Iterator<Item = &str> {
        let from = self.pairs.partition_point(|(at, _)| (*at as usize) < row);
        let here = self.pairs.get(from..).unwrap_or_default().iter().take_while(move |(at, _)| *at as usize == row);
        here.filter_map(|(_, id)| self.distinct.get(*id as usize)).map(String::as_str)
    }
}

type Texts = Vec<Option<Value>>;

/// A batch with what was read of it so far.
pub(crate) struct View<'a> {
    batch: &'a EventBatch,
    extra: OnceCell<Texts>,
    unmapped: OnceCell<Texts>,
    read: RefCell<HashMap<Vec<String>, Rc<Values>>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(batch: &'a EventBatch) -> Self {
        Self { batch, extra: OnceCell::new(), unmapped: OnceCell::new(), read: RefCell::default() }
    }

    pub(crate) fn batch(&self) -> &'a EventBatch {
        self.batch
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.rows.num_rows()
    }

    /// The values at all of `paths`.
    pub(crate) fn values(&self, paths: &[String]) -> Rc<Values> {
        if let Some(values) = self.read.borrow().get(paths) {
            return Rc::clone(values);
        }
        let mut values = Values::default();
        for path in paths {
            if !self.read_columns(path, &mut values) {
                self.read_json(path, &mut values);
            }
        }
        // By row, so that one row is found without a scan.
        values.pairs.sort_by_key(|(row, _)| *row);
        let values = Rc::new(values);
        self.read.borrow_mut().insert(paths.to_vec(), Rc::clone(&values));
        values
    }

    /// The first value of a row at a path.
    pub(crate) fn first(&self, paths: &[String], row: usize) -> Option<String> {
        self.values(paths).of(row).next().map(str::to_owned)
    }

    fn read_columns(&self, path: &str, values: &mut Values) -> bool {
        let rows = &self.batch.rows;
        let (head, rest) = path.split_once('.').unwrap_or((path, ""));
        let Ok(index) = rows.schema_ref().index_of(head) else { return false };
        let (field, array) = (rows.schema_ref().field(index), rows.column(index));
        gather(field, array, rest, &|row| row, values)
    }

    /// Attributes without a column, then what no mapping named.
    fn read_json(&self, path: &str, values: &mut Values) {
        for (texts, column) in [(&self.extra, EXTRA), (&self.unmapped, UNMAPPED)] {
            let texts = texts.get_or_init(|| self.parse(column));
            for (row, value) in (0u32..).zip(texts) {
                if let Some(value) = value {
                    descend(value, path, row, values);
                }
            }
        }
    }

    fn parse(&self, column: &str) -> Texts {
        let Some(array) = self.batch.rows.column_by_name(column) else { return Vec::new() };
        (0..array.len()).map(|row| weft_model::event::text(array, row).and_then(|text| serde_json::from_str(text).ok())).collect()
    }
}

/// Walks down `path`; false when the columns do not go that far.
fn gather(field: &Field, array: &ArrayRef, path: &str, row_of: &dyn Fn(usize) -> usize, values: &mut Values) -> bool {
    let valid = |index: &usize| array.is_valid(*index);
    let mut push = |index: usize, text: &str| values.push(u32::try_from(row_of(index)).unwrap_or(u32::MAX), text);
    match field.data_type() {
        DataType::Struct(fields) => {
            let (head, rest) = path.split_once('.').unwrap_or((path, ""));
            let Some((at, child)) = fields.find(head) else { return false };
            let Some(column) = array.as_struct_opt().and_then(|array| array.columns().get(at)) else { return false };
            return gather(child, column, rest, row_of, values);
        }
        DataType::List(child) => {
            let Some(list) = array.as_list_opt::<i32>() else { return false };
            let mut parents = vec![0usize; list.values().len()];
            for index in (0..list.len()).filter(|index| list.is_valid(*index)) {
                let (Some(from), Some(to)) = (list.value_offsets().get(index), list.value_offsets().get(index + 1)) else { continue };
                let range = usize::try_from(*from).unwrap_or(0)..usize::try_from(*to).unwrap_or(0);
                parents.get_mut(range).into_iter().flatten().for_each(|parent| *parent = row_of(index) + 1);
            }
            // Items that no row of this slice owns keep 0 and fall outside of every row.
            return gather(child, list.values(), path, &|item| parents.get(item).map_or(usize::MAX, |parent| parent.wrapping_sub(1)), values);
        }
        DataType::Utf8 if !path.is_empty() && field.metadata().contains_key(JSON) => {
            for index in (0..array.len()).filter(valid) {
                let value = weft_model::event::text(array, index).and_then(|text| serde_json::from_str::<Value>(text).ok());
                if let Some(value) = value {
                    descend(&value, path, u32::try_from(row_of(index)).unwrap_or(u32::MAX), values);
                }
            }
            return true;
        }
        _ if !path.is_empty() => return false,
        DataType::Utf8 => array.as_string::<i32>().iter().enumerate().for_each(|(index, text)| text.into_iter().for_each(|text| push(index, text))),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().enumerate().for_each(|(index, text)| text.into_iter().for_each(|text| push(index, text))),
        DataType::Utf8View => array.as_string_view().iter().enumerate().for_each(|(index, text)| text.into_iter().for_each(|text| push(index, text))),
        DataType::Boolean => (0..array.len()).filter(valid).for_each(|index| push(index, if array.as_boolean().value(index) { "true" } else { "false" })),
        DataType::Int64 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<Int64Type>().value(index).to_string())),
        DataType::Int32 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<Int32Type>().value(index).to_string())),
        DataType::UInt32 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<UInt32Type>().value(index).to_string())),
        DataType::Float64 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<Float64Type>().value(index).to_string())),
        DataType::Float32 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<Float32Type>().value(index).to_string())),
        _ => return false,
    }
    true
}

/// Values at a dotted path of a JSON tree; keys that hold dots themselves are found too, and
/// arrays are looked into.
pub(crate) fn descend_json<'v>(value: &'v Value, path: &str, found: &mut dyn FnMut(&'v Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| descend_json(item, path, found)),
        _ if path.is_empty() => found(value),
        Value::Object(entries) => {
            if let Some(child) = entries.get(path) {
                return descend_json(child, "", found);
            }
            let dots = path.match_indices('.').map(|(at, _)| at);
            for at in dots {
                let Some((key, rest)) = path.split_at_checked(at) else { continue };
                if let Some(child) = entries.get(key) {
                    return descend_json(child, rest.trim_start_matches('.'), found);
                }
            }
        }
        _ => {}
    }
}

fn descend(value: &Value, path: &str, row: u32, values: &mut Values) {
    descend_json(value, path, &mut |leaf| match leaf {
        Value::String(text) => values.push(row, text),
        Value::Number(number) => values.push(row, &number.to_string()),
        Value::Bool(value) => values.push(row, if *value { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => {}
    });
}
