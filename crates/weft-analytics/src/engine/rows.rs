//! One row at a time: the fields that a correlation or a baseline asks for, read from the columns.
//!
//! Rules that take part are met by few rows of a batch; reading whole columns for them would cost
//! every other row.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt32Type};
use weft_model::event::UNMAPPED;
use weft_model::{Finding, event};

use super::columns::View;
use super::outcome::ENTITY_PATHS;
use crate::sigma::fields::{Kind, Paths};

/// Between the entities of an event.
const ENTITY_SEPARATOR: char = '\u{1e}';

/// Readers of a batch, each made once.
pub(crate) struct Rows<'v> {
    view: &'v View<'v>,
    readers: RefCell<HashMap<(usize, String), Rc<Reader>>>,
    entities: Vec<(usize, ArrayRef)>,
    uid: Option<ArrayRef>,
}

/// How a field is read: by what the source itself calls so, else its paths in order; the first
/// value counts.
#[derive(Debug)]
pub(crate) struct Reader {
    paths: Paths,
    /// Keys that `unmapped` must hold, where the source itself may have called so.
    own: Vec<String>,
    places: Vec<Place>,
}

#[derive(Debug)]
enum Place {
    Column(ArrayRef),
    /// In a list, in JSON, or of another type: read through the view.
    Elsewhere(Paths),
}

impl<'v> Rows<'v> {
    pub(crate) fn new(view: &'v View<'v>) -> Self {
        let rows = &view.batch().rows;
        let texts =
            |path: &str| event::column(rows, path).filter(|column| matches!(column.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8));
        Self {
            view,
            readers: RefCell::default(),
            entities: ENTITY_PATHS.iter().enumerate().filter_map(|(at, (path, _))| Some((at, texts(path)?))).collect(),
            uid: texts("metadata.uid"),
        }
    }

    pub(crate) fn view(&self) -> &'v View<'v> {
        self.view
    }

    /// Event time in milliseconds.
    pub(crate) fn time(&self, row: usize) -> i64 {
        self.view.time(row)
    }

    /// `metadata.uid`, or one made of the event.
    pub(crate) fn uid(&self, row: usize, out: &mut String) {
        out.clear();
        if self.uid.as_ref().is_some_and(|column| append(column, row, out)) {
            return;
        }
        match self.view.at("metadata.uid", row) {
            Some(uid) => out.push_str(&uid),
            None => out.push_str(&Finding::uid_of(&event::row_to_json(&self.view.batch().rows, row).to_string(), &[])),
        }
    }

    /// The reader of a field of a kind of event.
    pub(crate) fn reader(&self, program: usize, kind: &Kind, field: &str) -> Rc<Reader> {
        let key = (program, field.to_owned());
        if let Some(reader) = self.readers.borrow().get(&key) {
            return Rc::clone(reader);
        }
        let rows = &self.view.batch().rows;
        let place = |path: &String| match event::column(rows, path).filter(|column| is_plain(column.data_type())) {
            Some(column) => Place::Column(column),
            None => Place::Elsewhere(Paths { own: Vec::new(), ocsf: vec![path.clone()] }),
        };
        let paths = kind.paths(field);
        let own = paths.own.iter().map(|path| format!("\"{}", path.split('.').next().unwrap_or_default())).collect();
        let reader = Rc::new(Reader { places: paths.ocsf.iter().map(place).collect(), own, paths });
        self.readers.borrow_mut().insert(key, Rc::clone(&reader));
        reader
    }

    /// Appends the first value of a row; false when there is none.
    pub(crate) fn read(&self, reader: &Reader, row: usize, out: &mut String) -> bool {
        let named = !reader.own.is_empty() && self.view.text(UNMAPPED, row).is_some_and(|text| reader.own.iter().any(|key| text.contains(key.as_str())));
        if named {
            return self.view.first(&reader.paths, row).map(|value| push(&value, out)).is_some();
        }
        reader.places.iter().any(|place| match place {
            Place::Column(column) => append(column, row, out),
            Place::Elsewhere(paths) => self.view.first(paths, row).map(|value| push(&value, out)).is_some(),
        })
    }

    /// Joins the first values of several fields; false when one is missing and `all` are wanted.
    pub(crate) fn join(&self, readers: &[Rc<Reader>], row: usize, all: bool, out: &mut String) -> bool {
        out.clear();
        for (at, reader) in readers.iter().enumerate() {
            if at > 0 {
                out.push(super::correlate::SEPARATOR);
            }
            if !self.read(reader, row, out) && all {
                return false;
            }
        }
        true
    }

    /// What the event is about, for [`entities_of`](super::outcome::entities_of).
    pub(crate) fn entities(&self, row: usize, out: &mut String) {
        out.clear();
        for (at, column) in &self.entities {
            if !column.is_valid(row) {
                continue;
            }
            let before = out.len();
            if before > 0 {
                out.push(ENTITY_SEPARATOR);
            }
            out.push(char::from_digit(u32::try_from(*at).unwrap_or(0), 36).unwrap_or('0'));
            if !append(column, row, out) {
                out.truncate(before);
            }
        }
    }
}

/// Time of the oldest event of a batch.
pub(crate) fn oldest(view: &View<'_>) -> Option<i64> {
    let column = event::column(&view.batch().rows, "time")?;
    arrow::compute::min(column.as_primitive_opt::<Int64Type>()?)
}

/// The entities of a row as they were written: place among the paths, value.
pub(crate) fn written_entities(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(ENTITY_SEPARATOR).filter_map(|part| {
        let place = part.chars().next()?.to_digit(36)?;
        Some((place as usize, part.get(1..)?))
    })
}

fn is_plain(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Int64 | DataType::Int32 | DataType::UInt32 | DataType::Boolean)
}

/// Values cannot forge the borders between values.
fn push(value: &str, out: &mut String) {
    if value.contains(['\u{1e}', '\u{1f}']) {
        out.extend(value.chars().map(|c| if matches!(c, '\u{1e}' | '\u{1f}') { '\u{fffd}' } else { c }));
    } else {
        out.push_str(value);
    }
}

fn append(column: &ArrayRef, row: usize, out: &mut String) -> bool {
    use std::fmt::Write as _;
    if row >= column.len() || !column.is_valid(row) {
        return false;
    }
    let before = out.len();
    match column.data_type() {
        DataType::Utf8 => push(column.as_string::<i32>().value(row), out),
        DataType::Utf8View => push(column.as_string_view().value(row), out),
        DataType::LargeUtf8 => push(column.as_string::<i64>().value(row), out),
        DataType::Boolean => out.push_str(if column.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int64 => drop(write!(out, "{}", column.as_primitive::<Int64Type>().value(row))),
        DataType::Int32 => drop(write!(out, "{}", column.as_primitive::<Int32Type>().value(row))),
        DataType::UInt32 => drop(write!(out, "{}", column.as_primitive::<UInt32Type>().value(row))),
        _ => return false,
    }
    out.len() > before
}
