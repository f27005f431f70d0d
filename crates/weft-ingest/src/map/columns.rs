//! Columns of one OCSF class: the layout, and the builders that rows are written into.
//!
//! A builder that is not set in a row costs nothing: it remembers how many rows it has and
//! catches up with nulls when it is set again, or at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListArray, ListBuilder, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use hashbrown::HashMap;
use weft_model::event::JSON;

use super::nothing::Nothing;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// JSON text.
    Json,
    /// 64-bit numbers.
    Int,
    /// Doubles.
    Float,
    /// Booleans.
    Bool,
    /// Lists of text.
    Texts,
    /// Lists of numbers.
    Ints,
    /// Lists of objects.
    Rows,
}

/// Name of the items of a list: that of Parquet and Delta, so that nobody has to rename them.
const ITEM: &str = "element";

/// Number of a leaf within its layout.
pub type Leaf = u16;

/// A tree of names; leaves are numbered.
#[derive(Debug, Default, Clone)]
pub struct Layout {
    children: Vec<(String, Place)>,
    leaves: Vec<Spec>,
    by_path: HashMap<String, Leaf>,
}

#[derive(Debug, Clone)]
enum Place {
    Leaf(Leaf),
    Object(Vec<(String, Place)>),
}

/// A leaf of a layout.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Dotted path.
    pub path: String,
    /// What it holds.
    pub kind: Kind,
    /// Layout of the objects, where it holds lists of them.
    pub rows: Option<Layout>,
}

/// Paths to be made columns: by path, the kind, and for lists of objects their own paths.
pub type Wanted = BTreeMap<String, Want>;

/// One wanted column.
#[derive(Debug, Clone)]
pub struct Want {
    /// What it shall hold.
    pub kind: Kind,
    /// Below a list of objects.
    pub rows: Wanted,
}

impl Layout {
    /// Lays out the wanted paths, in their order.
    pub fn of(wanted: &Wanted) -> Self {
        let mut layout = Self::default();
        for (path, want) in wanted {
            // A class with more attributes than that does not exist; what is over stays in `extra`.
            let Ok(leaf) = Leaf::try_from(layout.leaves.len()) else { break };
            let rows = (want.kind == Kind::Rows).then(|| Self::of(&want.rows));
            layout.leaves.push(Spec { path: path.clone(), kind: want.kind, rows });
            layout.by_path.insert(path.clone(), leaf);
            insert(&mut layout.children, path, leaf);
        }
        layout
    }

    /// The leaf of a dotted path.
    pub fn leaf(&self, path: &str) -> Option<(Leaf, &Spec)> {
        let leaf = *self.by_path.get(path)?;
        Some((leaf, self.leaves.get(usize::from(leaf))?))
    }

    /// All leaves with path and kind.
    pub fn paths(&self) -> impl Iterator<Item = (Leaf, &str, Kind)> {
        self.leaves.iter().zip(0..).map(|(spec, leaf)| (leaf, spec.path.as_str(), spec.kind))
    }

    /// The layout of the objects in the list at `path`.
    pub fn rows(&self, path: &str) -> Option<&Self> {
        self.leaf(path)?.1.rows.as_ref()
    }

    /// The Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields()))
    }

    fn fields(&self) -> Fields {
        fields(&self.children, &self.leaves)
    }
}

fn insert(children: &mut Vec<(String, Place)>, path: &str, leaf: Leaf) {
    let Some((head, rest)) = path.split_once('.') else {
        children.push((path.to_owned(), Place::Leaf(leaf)));
        return;
    };
    if let Some((_, Place::Object(inner))) = children.iter_mut().find(|(name, _)| name == head) {
        insert(inner, rest, leaf);
        return;
    }
    let mut inner = Vec::new();
    insert(&mut inner, rest, leaf);
    children.push((head.to_owned(), Place::Object(inner)));
}

fn fields(children: &[(String, Place)], leaves: &[Spec]) -> Fields {
    children
        .iter()
        .map(|(name, place)| match place {
            Place::Leaf(leaf) => leaves.get(usize::from(*leaf)).map_or_else(|| Field::new(name, DataType::Null, true), |spec| spec.field(name)),
            Place::Object(inner) => Field::new(name, DataType::Struct(fields(inner, leaves)), true),
        })
        .collect()
}

impl Spec {
    fn field(&self, name: &str) -> Field {
        let item = |kind| DataType::List(Arc::new(Field::new(ITEM, kind, true)));
        let field = |kind| Field::new(name, kind, true);
        match self.kind {
            Kind::Text => field(DataType::Utf8),
            Kind::Json => field(DataType::Utf8).with_metadata([(JSON.to_owned(), "true".to_owned())].into()),
            Kind::Int => field(DataType::Int64),
            Kind::Float => field(DataType::Float64),
            Kind::Bool => field(DataType::Boolean),
            Kind::Texts => field(item(DataType::Utf8)),
            Kind::Ints => field(item(DataType::Int64)),
            Kind::Rows => field(item(DataType::Struct(self.rows.as_ref().map(Layout::fields).unwrap_or_default()))),
        }
    }
}

/// A value for one leaf of one row.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// Text, or JSON text.
    Text(&'a str),
    /// A number.
    Int(i64),
    /// A double.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A list of texts.
    Texts(&'a [&'a str]),
    /// A list of numbers.
    Ints(&'a [i64]),
    /// A list of objects.
    Rows(&'a [Cells<'a>]),
}

/// The cells of one row, in any order.
pub type Cells<'a> = &'a [(Leaf, Cell<'a>)];

/// Builders of all leaves of a layout.
#[derive(Debug)]
pub struct Columns {
    columns: Vec<Column>,
    rows: usize,
    nothing: Nothing,
}

/// One builder, and how much it held the last time.
#[derive(Debug)]
struct Column {
    builder: Builder,
    data_type: DataType,
    /// Rows that are in it; it may lag behind.
    len: usize,
    /// Rows and bytes of text of the batches before: as much is reserved at the first value.
    before: (usize, usize),
}

/// What to make room for: the most of late, unless that is far from what comes now.
fn likely(before: usize, now: usize) -> usize {
    if before / 2 <= now { before.max(now) } else { now }
}

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Texts(ListBuilder<StringBuilder>),
    Ints(ListBuilder<Int64Builder>),
    Rows { inner: Box<Columns>, offsets: Vec<i32>, present: Vec<bool> },
}

impl Builder {
    fn new(spec: &Spec) -> Self {
        match spec.kind {
            Kind::Text | Kind::Json => Self::Text(StringBuilder::new()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Texts => Self::Texts(ListBuilder::new(StringBuilder::new()).with_field(Field::new(ITEM, DataType::Utf8, true))),
            Kind::Ints => Self::Ints(ListBuilder::new(Int64Builder::new()).with_field(Field::new(ITEM, DataType::Int64, true))),
            Kind::Rows => Self::Rows { inner: Box::new(Columns::new(spec.rows.as_ref().unwrap_or(&Layout::default()))), offsets: vec![0], present: Vec::new() },
        }
    }

    /// Makes room at once for what is likely to come.
    fn reserve(&mut self, (rows, bytes): (usize, usize)) {
        match self {
            Self::Text(builder) => *builder = StringBuilder::with_capacity(rows, bytes + bytes / 8),
            Self::Int(builder) => *builder = Int64Builder::with_capacity(rows),
            Self::Float(builder) => *builder = Float64Builder::with_capacity(rows),
            Self::Bool(builder) => *builder = BooleanBuilder::with_capacity(rows),
            Self::Rows { offsets, present, .. } => {
                offsets.reserve(rows);
                present.reserve(rows);
            }
            Self::Texts(_) | Self::Ints(_) => {}
        }
    }

    /// Bytes of text that it holds.
    fn bytes(&self) -> usize {
        if let Self::Text(builder) = self { builder.values_slice().len() } else { 0 }
    }

    fn nulls(&mut self, count: usize) {
        match self {
            Self::Text(builder) => builder.append_nulls(count),
            Self::Int(builder) => builder.append_nulls(count),
            Self::Float(builder) => builder.append_nulls(count),
            Self::Bool(builder) => builder.append_nulls(count),
            Self::Texts(builder) => builder.append_nulls(count),
            Self::Ints(builder) => builder.append_nulls(count),
            Self::Rows { offsets, present, .. } => {
                offsets.resize(offsets.len() + count, offsets.last().copied().unwrap_or(0));
                present.resize(present.len() + count, false);
            }
        }
    }

    /// A cell of a foreign kind is a null; the compiler makes none. Lists of objects are not pushed
    /// one by one, see [`Column::write`].
    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (Self::Int(builder), Cell::Int(number)) => builder.append_value(number),
            (Self::Float(builder), Cell::Float(number)) => builder.append_value(number),
            (Self::Bool(builder), Cell::Bool(value)) => builder.append_value(value),
            (Self::Texts(builder), Cell::Texts(texts)) => builder.append_value(texts.iter().map(Some)),
            (Self::Ints(builder), Cell::Ints(numbers)) => builder.append_value(numbers.iter().copied().map(Some)),
            (builder, _) => builder.nulls(1),
        }
    }
}

impl Column {
    /// Values of this column, by row.
    fn write<'a>(&mut self, run: &[(usize, Cell<'a>)], arena: &'a Bump) {
        if self.len == 0 && self.before.0 > 0 {
            self.builder.reserve(self.before);
        }
        let mut elements: BumpVec<'_, Cells<'_>> = BumpVec::new_in(arena);
        for (row, cell) in run {
            if *row < self.len {
                continue;
            }
            self.catch_up(*row);
            self.len += 1;
            match (&mut self.builder, cell) {
                (Builder::Text(builder), Cell::Text(text)) => builder.append_value(text),
                (Builder::Rows { inner, offsets, present }, Cell::Rows(rows)) => {
                    elements.extend_from_slice_copy(rows);
                    offsets.push(i32::try_from(inner.rows + elements.len()).unwrap_or(i32::MAX));
                    present.push(true);
                }
                (builder, cell) => builder.push(*cell),
            }
        }
        if let Builder::Rows { inner, .. } = &mut self.builder {
            inner.write(&elements, arena);
        }
    }

    /// Nulls for the rows that had no value.
    fn catch_up(&mut self, rows: usize) {
        if self.len < rows {
            self.builder.nulls(rows - self.len);
            self.len = rows;
        }
    }
}

impl Columns {
    /// Empty columns of `layout`.
    pub fn new(layout: &Layout) -> Self {
        let column = |spec: &Spec| Column { builder: Builder::new(spec), data_type: spec.field("").data_type().clone(), len: 0, before: (0, 0) };
        Self { columns: layout.leaves.iter().map(column).collect(), rows: 0, nothing: Nothing::default() }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends rows; a leaf that is twice in a row keeps the first value.
    ///
    /// They are turned by a counting sort, so that each builder is touched once for all of them
    /// and stays in the processor's cache meanwhile: row by row it would be gone every time.
    pub fn write<'a>(&mut self, rows: &[Cells<'a>], arena: &'a Bump) {
        let ends = arena.alloc_slice_fill_copy(self.columns.len(), 0_usize);
        for (leaf, _) in rows.iter().copied().flatten() {
            ends.iter_mut().skip(usize::from(*leaf)).take(1).for_each(|count| *count += 1);
        }
        let mut total = 0;
        for end in ends.iter_mut() {
            // For now the start: each cell that is put in place moves it on to the end.
            total += std::mem::replace(end, total);
        }
        let turned = arena.alloc_slice_fill_copy(total, (0, Cell::Bool(false)));
        for (row, cells) in (self.rows..).zip(rows) {
            for (leaf, cell) in *cells {
                let Some(end) = ends.get_mut(usize::from(*leaf)) else { continue };
                turned.iter_mut().skip(*end).take(1).for_each(|place| *place = (row, *cell));
                *end += 1;
            }
        }
        let mut rest = &*turned;
        let mut from = 0;
        for (column, end) in self.columns.iter_mut().zip(ends.iter()) {
            let Some((run, after)) = rest.split_at_checked(end - from) else { break };
            (rest, from) = (after, *end);
            if !run.is_empty() {
                column.write(run, arena);
            }
        }
        self.rows += rows.len();
    }

    /// The rows as a record batch; the columns are empty again.
    ///
    /// # Errors
    /// When Arrow refuses the arrays, which would be a fault of this module.
    pub fn finish(&mut self, layout: &Layout, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let leaves = self.arrays(layout)?;
        let columns: Vec<ArrayRef> =
            layout.children.iter().zip(schema.fields()).map(|((_, place), field)| assemble(place, field, &leaves)).collect::<Result<_, _>>()?;
        RecordBatch::try_new(Arc::clone(schema), columns)
    }

    fn arrays(&mut self, layout: &Layout) -> Result<Vec<ArrayRef>, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let nothing = &mut self.nothing;
        self.columns
            .iter_mut()
            .zip(&layout.leaves)
            .map(|(column, spec)| {
                if column.len == 0 {
                    return Ok(nothing.of(&column.data_type, rows));
                }
                column.catch_up(rows);
                column.len = 0;
                column.before = (likely(column.before.0, rows), likely(column.before.1, column.builder.bytes()));
                Ok(match &mut column.builder {
                    Builder::Text(builder) => Arc::new(builder.finish()) as ArrayRef,
                    Builder::Int(builder) => Arc::new(builder.finish()),
                    Builder::Float(builder) => Arc::new(builder.finish()),
                    Builder::Bool(builder) => Arc::new(builder.finish()),
                    Builder::Texts(builder) => Arc::new(builder.finish()),
                    Builder::Ints(builder) => Arc::new(builder.finish()),
                    Builder::Rows { inner, offsets, present } => {
                        let layout = spec.rows.clone().unwrap_or_default();
                        list_of_rows(inner, &layout, std::mem::replace(offsets, vec![0]), std::mem::take(present))?
                    }
                })
            })
            .collect()
    }
}

fn list_of_rows(inner: &mut Columns, layout: &Layout, offsets: Vec<i32>, present: Vec<bool>) -> Result<ArrayRef, ArrowError> {
    let fields = layout.fields();
    let rows = inner.rows;
    let leaves = inner.arrays(layout)?;
    let columns: Vec<ArrayRef> = layout.children.iter().zip(&fields).map(|((_, place), field)| assemble(place, field, &leaves)).collect::<Result<_, _>>()?;
    let structs = if columns.is_empty() { StructArray::new_empty_fields(rows, None) } else { StructArray::try_new(fields.clone(), columns, None)? };
    let item = Arc::new(Field::new(ITEM, DataType::Struct(fields), true));
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(structs), Some(NullBuffer::from(present)))?))
}

/// An object is null where all of its parts are.
fn assemble(place: &Place, field: &Field, leaves: &[ArrayRef]) -> Result<ArrayRef, ArrowError> {
    match (place, field.data_type()) {
        (Place::Leaf(leaf), _) => leaves.get(usize::from(*leaf)).cloned().ok_or_else(|| ArrowError::SchemaError(format!("no column for `{}`", field.name()))),
        (Place::Object(children), DataType::Struct(fields)) => {
            let columns: Vec<ArrayRef> = children.iter().zip(fields).map(|((_, place), field)| assemble(place, field, leaves)).collect::<Result<_, _>>()?;
            let nulls = any_present(&columns);
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?))
        }
        _ => Err(ArrowError::SchemaError(format!("`{}` is not an object", field.name()))),
    }
}

fn any_present(columns: &[ArrayRef]) -> Option<NullBuffer> {
    let mut present: Option<arrow::buffer::BooleanBuffer> = None;
    for column in columns {
        let nulls = column.logical_nulls()?;
        present = Some(match present {
            Some(bits) => &bits | nulls.inner(),
            None => nulls.inner().clone(),
        });
    }
    present.map(NullBuffer::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_gaps_lists_and_objects() {
        let want = |kind| Want { kind, rows: Wanted::new() };
        let inner: Wanted = [("uid".to_owned(), want(Kind::Text)), ("owner.name".to_owned(), want(Kind::Text))].into();
        let wanted: Wanted = [
            ("time".to_owned(), want(Kind::Int)),
            ("user.name".to_owned(), want(Kind::Text)),
            ("user.uid".to_owned(), want(Kind::Text)),
            ("tags".to_owned(), want(Kind::Texts)),
            ("resources".to_owned(), Want { kind: Kind::Rows, rows: inner }),
        ]
        .into();
        let layout = Layout::of(&wanted);
        let leaf = |path: &str| layout.leaf(path).unwrap().0;
        let rows = layout.rows("resources").unwrap();
        let arena = Bump::new();
        let mut columns = Columns::new(&layout);
        columns.write(&[&[(leaf("time"), Cell::Int(1))]], &arena);
        columns.write(&[&[(leaf("time"), Cell::Int(2)), (leaf("user.name"), Cell::Text("ada")), (leaf("tags"), Cell::Texts(&["a", "b"]))]], &arena);
        let one = [(rows.leaf("uid").unwrap().0, Cell::Text("r1"))];
        let two = [(rows.leaf("owner.name").unwrap().0, Cell::Text("bob"))];
        columns.write(&[&[(leaf("resources"), Cell::Rows(&[&one, &two]))]], &arena);
        let batch = columns.finish(&layout, &layout.schema()).unwrap();
        let json = |row| weft_model::event::row_to_json(&batch, row).to_string();
        assert_eq!(json(0), r#"{"time":1}"#);
        assert_eq!(json(1), r#"{"tags":["a","b"],"time":2,"user":{"name":"ada"}}"#);
        assert_eq!(json(2), r#"{"resources":[{"uid":"r1"},{"owner":{"name":"bob"}}]}"#);
        assert!(columns.is_empty());
    }
}
