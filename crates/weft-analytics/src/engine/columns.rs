//! One batch as the engine reads it: the values of a field, each distinct one once.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::rc::Rc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use serde_json::Value;
use weft_model::EventBatch;
use weft_model::event::{EXTRA, JSON, UNMAPPED, text};

use super::bits::Bits;
use super::wanted::{FieldId, Found, Place, Wanted, Wish};
use crate::sigma::fields::{IN_UNMAPPED, Paths};

/// The values of one field over a batch, as texts.
#[derive(Debug, Default)]
pub(crate) struct Values {
    texts: String,
    /// Where each distinct value stands in the texts.
    places: Vec<(usize, usize)>,
    /// The first value of each row; `NONE` where there is none.
    first: Vec<u32>,
    /// Further values: row and value, in order of rows.
    more: Vec<(u32, u32)>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    last: u32,
}

const NONE: u32 = u32::MAX;

impl Values {
    fn new(rows: usize) -> Self {
        Self { first: vec![NONE; rows], last: NONE, ..Self::default() }
    }

    fn push(&mut self, row: usize, value: &str) {
        if row < self.first.len() {
            let id = self.intern(value);
            self.place(row, id);
        }
    }

    fn place(&mut self, row: usize, id: u32) {
        let Some(first) = self.first.get_mut(row) else { return };
        if *first == NONE {
            *first = id;
        } else if *first != id {
            self.more.push((u32::try_from(row).unwrap_or(u32::MAX), id));
        }
    }

    /// Takes in the rows of a column of text that count.
    fn extend(&mut self, column: &ArrayRef, counts: &dyn Fn(usize) -> bool) {
        if column.null_count() == column.len() {
            return;
        }
        let rows = (0..column.len()).filter(|row| column.is_valid(*row) && counts(*row));
        if let Some((keys, texts)) = texts_of(column) {
            // A text that a file names by number is looked up once for all of its rows.
            let mut ids = vec![NONE; texts.len()];
            for row in rows {
                let key = usize::try_from(keys.value(row)).unwrap_or(usize::MAX);
                let Some(id) = ids.get_mut(key) else { continue };
                if *id == NONE {
                    *id = self.intern(texts.value(key));
                }
                self.place(row, *id);
            }
        } else if let Some(texts) = column.as_string_opt::<i32>() {
            rows.for_each(|row| self.push(row, texts.value(row)));
        } else if let Some(texts) = column.as_string_view_opt() {
            rows.for_each(|row| self.push(row, texts.value(row)));
        }
    }

    fn intern(&mut self, value: &str) -> u32 {
        // Neighbours are often equal.
        if self.text(self.last) == Some(value) {
            return self.last;
        }
        let hash = self.hasher.hash_one(value);
        let (texts, places) = (&self.texts, &self.places);
        let at = |id: u32| places.get(id as usize).and_then(|(from, to)| texts.get(*from..*to));
        if let Some(id) = self.table.find(hash, |id| at(*id) == Some(value)) {
            self.last = *id;
            return self.last;
        }
        let id = u32::try_from(self.places.len()).unwrap_or(NONE);
        let from = self.texts.len();
        self.texts.push_str(value);
        self.places.push((from, self.texts.len()));
        let (texts, places, hasher) = (&self.texts, &self.places, &self.hasher);
        let rehash = |id: &u32| hasher.hash_one(places.get(*id as usize).and_then(|(from, to)| texts.get(*from..*to)).unwrap_or_default());
        self.table.insert_unique(hash, id, rehash);
        self.last = id;
        id
    }

    /// The text of a distinct value.
    pub(crate) fn text(&self, id: u32) -> Option<&str> {
        self.places.get(id as usize).and_then(|(from, to)| self.texts.get(*from..*to))
    }

    /// How many distinct values there are.
    pub(crate) fn distinct(&self) -> usize {
        self.places.len()
    }

    /// The distinct values of one row.
    pub(crate) fn ids(&self, row: usize) -> impl Iterator<Item = u32> {
        let more = if self.more.is_empty() { &[] } else { self.further(row) };
        self.first.get(row).copied().filter(|id| *id != NONE).into_iter().chain(more.iter().map(|(_, id)| *id))
    }

    fn further(&self, row: usize) -> &[(u32, u32)] {
        let from = self.more.partition_point(|(at, _)| (*at as usize) < row);
        let tail = self.more.get(from..).unwrap_or_default();
        tail.get(..tail.partition_point(|(at, _)| *at as usize == row)).unwrap_or_default()
    }

    /// The values of one row.
    pub(crate) fn of(&self, row: usize) -> impl Iterator<Item = &str> {
        self.ids(row).filter_map(|id| self.text(id))
    }

    /// Rows that have a value.
    pub(crate) fn present(&self) -> Bits {
        let mut bits = Bits::default();
        self.first.iter().enumerate().filter(|(_, id)| **id != NONE).for_each(|(row, _)| bits.set(row));
        bits
    }
}

/// A batch with what was read of it so far.
pub(crate) struct View<'a> {
    batch: &'a EventBatch,
    wanted: &'a Wanted,
    found: OnceCell<Found<'a>>,
    extra: OnceCell<Vec<(usize, Value)>>,
    /// Top-level columns by name.
    heads: BTreeMap<&'a str, usize>,
    /// Rows of which a field is asked; of those that are not here, all.
    asked: RefCell<HashMap<FieldId, Bits>>,
    read: RefCell<HashMap<FieldId, Rc<Values>>>,
    /// The last row of which something unwanted was asked.
    row: RefCell<Option<(usize, Rc<Value>)>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(batch: &'a EventBatch, wanted: &'a Wanted) -> Self {
        let heads = batch.rows.schema_ref().fields().iter().enumerate().map(|(at, field)| (field.name().as_str(), at)).collect();
        let (asked, read, row) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { batch, wanted, found: OnceCell::new(), extra: OnceCell::new(), heads, asked, read, row }
    }

    pub(crate) fn batch(&self) -> &'a EventBatch {
        self.batch
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.rows.num_rows()
    }

    /// Notes that a field is asked of rows; before its values are read.
    pub(crate) fn ask(&self, field: FieldId, rows: &Bits) {
        self.asked.borrow_mut().entry(field).or_default().add(rows);
    }

    /// The values of a wanted field, in the rows of which it is asked.
    pub(crate) fn values(&self, field: FieldId) -> Rc<Values> {
        if let Some(values) = self.read.borrow().get(&field) {
            return Rc::clone(values);
        }
        let values = Rc::new(self.wanted.wish(field).map_or_else(|| Values::new(0), |wish| self.gather(wish, self.asked.borrow().get(&field))));
        self.read.borrow_mut().insert(field, Rc::clone(&values));
        values
    }

    fn gather(&self, wish: &Wish, asked: Option<&Bits>) -> Values {
        let mut values = Values::new(self.rows());
        let is_asked = |row: usize| asked.is_none_or(|asked| asked.has(row));
        let found = self.found.get_or_init(|| self.wanted.read(self.texts(UNMAPPED)));
        for path in &wish.own {
            found.values(*path, &is_asked).for_each(|(row, value)| values.push(row, &value));
        }
        // What the source itself calls so counts alone, then the first path that has a value.
        let mut owned = Bits::default();
        for place in &wish.places {
            if values.distinct() > 0 {
                owned = values.present();
            }
            let mut push = |row: usize, value: &str| {
                if !owned.has(row) {
                    values.push(row, value);
                }
            };
            match place {
                Place::Unmapped(path) => found.values(*path, &is_asked).for_each(|(row, value)| push(row, &value)),
                Place::Column(head, rest) => match self.texts_at(head, rest) {
                    Some(texts) => values.extend(texts, &|row| is_asked(row) && !owned.has(row)),
                    None => self.column(head, rest, &mut |row, value| {
                        if is_asked(row) {
                            push(row, value);
                        }
                    }),
                },
            }
        }
        values.more.sort_unstable();
        values.more.dedup();
        values
    }

    /// The column at a path where it is plain text, in no list.
    fn texts_at(&self, head: &str, rest: &str) -> Option<&'a ArrayRef> {
        let rows = &self.batch.rows;
        let (mut field, mut array) = self.heads.get(head).and_then(|at| Some((rows.schema_ref().fields().get(*at)?, rows.columns().get(*at)?)))?;
        for name in rest.split('.').filter(|name| !name.is_empty()) {
            let DataType::Struct(fields) = field.data_type() else { return None };
            let (at, child) = fields.find(name)?;
            (field, array) = (child, array.as_struct_opt()?.columns().get(at)?);
        }
        let plain = match field.data_type() {
            DataType::Utf8 | DataType::Utf8View => !field.metadata().contains_key(JSON),
            DataType::Dictionary(..) => texts_of(array).is_some(),
            _ => false,
        };
        plain.then_some(array)
    }

    /// Calls `push` with row and text of everything below a top-level column, or where an event that has no
    /// such column keeps it.
    fn column(&self, head: &str, rest: &str, push: &mut dyn FnMut(usize, &str)) {
        let (schema, columns) = (self.batch.rows.schema_ref(), self.batch.rows.columns());
        let here = self.heads.get(head).and_then(|at| Some((schema.fields().get(*at)?, columns.get(*at)?)));
        if here.is_some_and(|(field, array)| gather(field, array, rest, push)) {
            return;
        }
        let extra = self.extra.get_or_init(|| self.texts(EXTRA).filter_map(|(row, text)| Some((row, serde_json::from_str(text).ok()?))).collect());
        let path = if rest.is_empty() { Cow::Borrowed(head) } else { Cow::Owned(format!("{head}.{rest}")) };
        extra.iter().for_each(|(row, value)| descend(value, &path, &mut |text| push(*row, text)));
    }

    /// The first value of a field in a row; it need not be wanted.
    pub(crate) fn first(&self, paths: &Paths, row: usize) -> Option<String> {
        let mut first = None;
        for path in &paths.own {
            self.own(path, row, &mut |text| first = first.take().or_else(|| Some(text.to_owned())));
            if first.is_some() {
                return first;
            }
        }
        paths.ocsf.iter().find_map(|path| match path.strip_prefix(IN_UNMAPPED) {
            Some(path) => {
                self.own(path, row, &mut |text| first = first.take().or_else(|| Some(text.to_owned())));
                first.take()
            }
            None => self.at(path, row),
        })
    }

    /// The first value at an OCSF path of a row.
    pub(crate) fn at(&self, path: &str, row: usize) -> Option<String> {
        let mut first = None;
        let mut keep = |text: &str| first = first.take().or_else(|| Some(text.to_owned()));
        let (head, rest) = path.split_once('.').unwrap_or((path, ""));
        let schema = self.batch.rows.schema_ref();
        let here = schema.index_of(head).ok().filter(|_| row < self.rows());
        let found = here.is_some_and(|index| gather(schema.field(index), &self.batch.rows.column(index).slice(row, 1), rest, &mut |_, text| keep(text)));
        if !found {
            let extra = self.text(EXTRA, row).and_then(|text| serde_json::from_str::<Value>(text).ok());
            extra.iter().for_each(|value| descend(value, path, &mut keep));
        }
        first
    }

    /// Event time in milliseconds.
    pub(crate) fn time(&self, row: usize) -> i64 {
        let array = self.batch.rows.column_by_name("time").and_then(|array| array.as_primitive_opt::<Int64Type>());
        array.filter(|array| row < array.len() && array.is_valid(row)).map_or(0, |array| array.value(row))
    }

    fn own(&self, path: &str, row: usize, each: &mut dyn FnMut(&str)) {
        if let (Some(found), Some(number)) = (self.found.get(), self.wanted.number(path)) {
            return found.of(number, row).for_each(|text| each(&text));
        }
        let value = {
            let mut last = self.row.borrow_mut();
            let kept = last.as_ref().filter(|(at, _)| *at == row).map(|(_, value)| Rc::clone(value));
            let value = kept.unwrap_or_else(|| Rc::new(self.text(UNMAPPED, row).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()));
            *last = Some((row, Rc::clone(&value)));
            value
        };
        descend(&value, path, each);
    }

    /// The text of a top-level column.
    pub(crate) fn text(&self, column: &str, row: usize) -> Option<&'a str> {
        text(self.batch.rows.column_by_name(column)?, row)
    }

    fn texts(&self, column: &str) -> impl Iterator<Item = (usize, &'a str)> {
        let array = self.batch.rows.column_by_name(column);
        array.into_iter().flat_map(|array| (0..array.len()).filter_map(move |row| Some((row, text(array, row)?))))
    }
}

/// Calls `push` with row and text of everything at a dotted path; false when the columns do not go that far.
pub(crate) fn column(rows: &arrow::record_batch::RecordBatch, path: &str, push: &mut dyn FnMut(usize, &str)) -> bool {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let Ok(index) = rows.schema_ref().index_of(head) else { return false };
    let (field, array) = (rows.schema_ref().field(index), rows.column(index));
    gather(field, array, rest, push)
}

/// Keys and texts of a column that names its texts by number.
fn texts_of(column: &ArrayRef) -> Option<(&Int32Array, &StringArray)> {
    let column = column.as_dictionary_opt::<Int32Type>()?;
    Some((column.keys(), column.values().as_string_opt::<i32>()?))
}

/// Walks down `path`; false when the columns do not go that far.
fn gather(field: &Field, array: &ArrayRef, path: &str, push: &mut dyn FnMut(usize, &str)) -> bool {
    if path.is_empty() && array.null_count() == array.len() {
        return true;
    }
    let valid = |index: &usize| array.is_valid(*index);
    match field.data_type() {
        DataType::Struct(fields) => {
            let (head, rest) = path.split_once('.').unwrap_or((path, ""));
            let Some((at, child)) = fields.find(head) else { return false };
            let Some(column) = array.as_struct_opt().and_then(|array| array.columns().get(at)) else { return false };
            return gather(child, column, rest, push);
        }
        DataType::List(child) => return items(child, array, path, push),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if !path.is_empty() && field.metadata().contains_key(JSON) => {
            // A text without the last key has no value there; keys that are written with escapes are read.
            let key = memchr::memmem::Finder::new(path.rsplit('.').next().unwrap_or(path));
            let possible = |text: &&str| key.find(text.as_bytes()).is_some() || text.contains("\\u");
            for index in (0..array.len()).filter(valid) {
                let value = text(array, index).filter(possible).and_then(|text| serde_json::from_str::<Value>(text).ok());
                value.iter().for_each(|value| descend(value, path, &mut |text| push(index, text)));
            }
            return true;
        }
        _ if !path.is_empty() => return false,
        // JSON text: a string in it is the text that it means, an array its items.
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if field.metadata().contains_key(JSON) => {
            for index in (0..array.len()).filter(valid) {
                let text = text(array, index).unwrap_or_default();
                let value = if text.starts_with(['"', '[']) { serde_json::from_str::<Value>(text).ok() } else { None };
                match value {
                    Some(value) => descend(&value, "", &mut |text| push(index, text)),
                    None => push(index, text),
                }
            }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            (0..array.len()).for_each(|index| text(array, index).into_iter().for_each(|text| push(index, text)))
        }
        DataType::Dictionary(..) => {
            let Some((keys, texts)) = texts_of(array) else { return false };
            let text = |row: usize| usize::try_from(keys.value(row)).ok().filter(|key| *key < texts.len()).map(|key| texts.value(key));
            (0..array.len()).filter(valid).for_each(|index| text(index).into_iter().for_each(|text| push(index, text)));
        }
        DataType::Boolean => (0..array.len()).filter(valid).for_each(|index| push(index, if array.as_boolean().value(index) { "true" } else { "false" })),
        DataType::Int64 => {
            let mut number = itoa::Buffer::new();
            let array = array.as_primitive::<Int64Type>();
            (0..array.len()).filter(|index| array.is_valid(*index)).for_each(|index| push(index, number.format(array.value(index))));
        }
        DataType::Int32 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<Int32Type>().value(index).to_string())),
        DataType::UInt32 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<UInt32Type>().value(index).to_string())),
        DataType::Float64 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<Float64Type>().value(index).to_string())),
        DataType::Float32 => (0..array.len()).filter(valid).for_each(|index| push(index, &array.as_primitive::<Float32Type>().value(index).to_string())),
        _ => return false,
    }
    true
}

fn items(child: &Field, array: &ArrayRef, path: &str, push: &mut dyn FnMut(usize, &str)) -> bool {
    let Some(list) = array.as_list_opt::<i32>() else { return false };
    // Items that no row of this slice owns keep the row after the last and are not there.
    let mut parents = vec![usize::MAX; list.values().len()];
    for index in (0..list.len()).filter(|index| list.is_valid(*index)) {
        let (Some(from), Some(to)) = (list.value_offsets().get(index), list.value_offsets().get(index + 1)) else { continue };
        let range = usize::try_from(*from).unwrap_or(0)..usize::try_from(*to).unwrap_or(0);
        parents.get_mut(range).into_iter().flatten().for_each(|parent| *parent = index);
    }
    gather(child, list.values(), path, &mut |item, text| push(parents.get(item).copied().unwrap_or(usize::MAX), text))
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

fn descend(value: &Value, path: &str, push: &mut dyn FnMut(&str)) {
    descend_json(value, path, &mut |leaf| match leaf {
        Value::Null => {}
        Value::String(text) => push(text),
        Value::Bool(value) => push(if *value { "true" } else { "false" }),
        other => push(&other.to_string()),
    });
}
