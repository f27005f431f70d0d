//! The graph as tables of Arrow, and back: what is kept in the lake, for us and for other engines.
//!
//! | table | columns |
//! |---|---|
//! | `scopes` | `name`, `taken_at` |
//! | `nodes` | `id`, `key`, `kind`, `name`, `scope`, `valid_from`, `valid_until`, `active`, `usage` |
//! | `aliases` | `alias`, `node` |
//! | `identifiers` | `node`, `kind`, `value`, `scope` |
//! | `edges` | `source`, `target`, `kind`, `label`, `scope`, `valid_from`, `valid_until` |
//!
//! `source`, `target` and `node` are ids of `nodes`. No `valid_from` is since ever, no `valid_until` is until
//! further notice.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow::datatypes::UInt32Type;

use super::build::{Builder, Full};
use super::{About, EdgeKind, Graph, Interval, Micros, NodeKind, Terms};
use crate::person::{IdKind, Usage};

/// Rows of one batch.
const ROWS: u32 = 1 << 18;

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Parts of sources.
    Scopes,
    /// Nodes.
    Nodes,
    /// Other names of nodes.
    Aliases,
    /// Texts by which persons are recognised.
    Identifiers,
    /// Edges.
    Edges,
}

/// All tables, in the order in which they are filled.
pub const TABLES: [Table; 5] = [Table::Scopes, Table::Nodes, Table::Aliases, Table::Identifiers, Table::Edges];

impl Table {
    /// Name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scopes => "scopes",
            Self::Nodes => "nodes",
            Self::Aliases => "aliases",
            Self::Identifiers => "identifiers",
            Self::Edges => "edges",
        }
    }
}

/// A table that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum TableFault {
    /// A column is missing or of another type.
    #[error("column `{0}` is missing or has another type")]
    Column(&'static str),
    /// A value is none of those that are known.
    #[error("column `{0}` has `{1}`, which is not known")]
    Value(&'static str, String),
    /// Ids of nodes are not 0, 1, 2 and so on, or an id is that of no node.
    #[error("column `{0}`: ids do not go on one by one, or one is that of no node")]
    Id(&'static str),
    /// It does not fit.
    #[error(transparent)]
    Full(#[from] Full),
    /// Columns do not make a table.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

impl Graph {
    /// The rows of a table, in batches; at least one, so that its columns are known.
    pub fn table(&self, table: Table) -> Box<dyn Iterator<Item = Result<RecordBatch, TableFault>> + '_> {
        match table {
            Table::Scopes => Box::new(std::iter::once(self.scope_rows())),
            Table::Nodes => Box::new(spans(self.nodes()).map(|(from, to)| self.node_rows(from, to))),
            Table::Aliases => Box::new(spans(self.aliases.len()).map(|(from, to)| self.alias_rows(from, to))),
            Table::Identifiers => Box::new(std::iter::once(self.identifier_rows())),
            Table::Edges => Box::new(self.edge_batches()),
        }
    }

    fn scope_rows(&self) -> Result<RecordBatch, TableFault> {
        let names: StringArray = self.scopes.iter().map(|scope| Some(scope.name.as_str())).collect();
        batch(vec![("name", Arc::new(names)), ("taken_at", times(self.scopes.iter().map(|scope| scope.at)))])
    }

    fn node_rows(&self, from: u32, to: u32) -> Result<RecordBatch, TableFault> {
        let about: Vec<&About> = (from..to).filter_map(|node| self.about(node)).collect();
        let keys: StringArray = (from..to).map(|node| Some(self.key(node))).collect();
        let name = |node: u32| self.nodes.names.get(node as usize).filter(|&&name| name != u32::MAX).map(|&name| self.texts.get(name));
        let names: StringArray = (from..to).map(name).collect();
        batch(vec![
            ("id", Arc::new(UInt32Array::from_iter_values(from..to))),
            ("key", Arc::new(keys)),
            ("kind", words(about.iter().map(|about| about.kind.name()))?),
            ("name", Arc::new(names)),
            ("scope", words(about.iter().map(|about| self.scope(about.scope)))?),
            ("valid_from", times(about.iter().map(|about| about.held.from))),
            ("valid_until", times(about.iter().map(|about| about.held.until))),
            ("active", Arc::new(about.iter().map(|about| Some(about.active)).collect::<BooleanArray>())),
            ("usage", words(about.iter().map(|about| about.usage.name()))?),
        ])
    }

    fn alias_rows(&self, from: u32, to: u32) -> Result<RecordBatch, TableFault> {
        let aliases: StringArray = (from..to).map(|number| Some(self.aliases.get(number))).collect();
        let nodes = UInt32Array::from_iter_values((from..to).filter_map(|number| self.alias_of.get(number as usize).copied()));
        batch(vec![("alias", Arc::new(aliases)), ("node", Arc::new(nodes))])
    }

    fn identifier_rows(&self) -> Result<RecordBatch, TableFault> {
        let values: StringArray = self.ids.iter().map(|id| Some(self.text(id.value))).collect();
        batch(vec![
            ("node", Arc::new(UInt32Array::from_iter_values(self.ids.iter().map(|id| id.node)))),
            ("kind", words(self.ids.iter().map(|id| id.kind.name()))?),
            ("value", Arc::new(values)),
            ("scope", words(self.ids.iter().map(|id| self.scope(id.scope)))?),
        ])
    }

    /// Rows of nodes side by side until a batch is full.
    fn edge_batches(&self) -> impl Iterator<Item = Result<RecordBatch, TableFault>> + '_ {
        let mut next = 0;
        let mut begun = false;
        std::iter::from_fn(move || {
            if next >= self.nodes() && begun {
                return None;
            }
            begun = true;
            let (mut from, mut to, mut terms) = (Vec::new(), Vec::new(), Vec::new());
            while next < self.nodes() && from.len() < ROWS as usize {
                for neighbour in self.forward.of(next) {
                    from.push(next);
                    to.push(neighbour.node);
                    terms.extend(self.terms(neighbour.terms));
                }
                next += 1;
            }
            Some(self.edge_rows(from, to, &terms))
        })
    }

    fn edge_rows(&self, from: Vec<u32>, to: Vec<u32>, terms: &[&Terms]) -> Result<RecordBatch, TableFault> {
        batch(vec![
            ("source", Arc::new(UInt32Array::from(from))),
            ("target", Arc::new(UInt32Array::from(to))),
            ("kind", words(terms.iter().map(|terms| terms.kind.name()))?),
            ("label", words(terms.iter().map(|terms| self.text(terms.label)))?),
            ("scope", words(terms.iter().map(|terms| self.scope(terms.scope)))?),
            ("valid_from", times(terms.iter().map(|terms| terms.held.from))),
            ("valid_until", times(terms.iter().map(|terms| terms.held.until))),
        ])
    }
}

/// Numbers from 0 in spans of a batch; one empty span when there are none.
fn spans(count: u32) -> impl Iterator<Item = (u32, u32)> {
    (0..count.div_ceil(ROWS).max(1)).map(move |n| (n * ROWS, (n + 1).saturating_mul(ROWS).min(count)))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, TableFault> {
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))?)
}

/// Few different words of many rows.
fn words<'a>(rows: impl Iterator<Item = &'a str>) -> Result<ArrayRef, TableFault> {
    let (mut numbers, mut values, mut keys): (HashMap<&str, u32>, Vec<&str>, Vec<u32>) = (HashMap::new(), Vec::new(), Vec::new());
    let mut last: Option<(&str, u32)> = None;
    for word in rows {
        let number = match last {
            Some((before, number)) if std::ptr::eq(before, word) => number,
            _ => *numbers.entry(word).or_insert_with(|| {
                values.push(word);
                u32::try_from(values.len() - 1).unwrap_or(u32::MAX)
            }),
        };
        last = Some((word, number));
        keys.push(number);
    }
    Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(UInt32Array::from(keys), Arc::new(StringArray::from(values)))?))
}

fn times(rows: impl Iterator<Item = Micros>) -> ArrayRef {
    let bounded = rows.map(|at| (at != Micros::MIN && at != Interval::OPEN).then_some(at));
    Arc::new(bounded.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

impl Builder {
    /// Takes rows of a table in. Tables are filled in the order of [`TABLES`], into a builder that began empty.
    ///
    /// # Errors
    /// The rows are not those that [`Graph::table`] gave.
    pub fn fill(&mut self, table: Table, rows: &RecordBatch) -> Result<(), TableFault> {
        match table {
            Table::Scopes => self.fill_scopes(rows),
            Table::Nodes => self.fill_nodes(rows),
            Table::Aliases => self.fill_aliases(rows),
            Table::Identifiers => self.fill_identifiers(rows),
            Table::Edges => self.fill_edges(rows),
        }
    }

    fn fill_scopes(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (names, at) = (column::<StringArray>(rows, "name")?, Times::of(rows, "taken_at", Micros::MIN)?);
        for row in 0..rows.num_rows() {
            self.scope(names.value(row), at.get(row))?;
        }
        Ok(())
    }

    fn fill_nodes(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (keys, names) = (column::<StringArray>(rows, "key")?, column::<StringArray>(rows, "name")?);
        let (ids, active) = (column::<UInt32Array>(rows, "id")?, column::<BooleanArray>(rows, "active")?);
        let kinds = Words::of(rows, "kind", NodeKind::named)?;
        let usages = Words::of(rows, "usage", Usage::named)?;
        let scopes = Words::of(rows, "scope", |word| self.scope(word, Micros::MIN).ok())?;
        let (from, until) = (Times::of(rows, "valid_from", Micros::MIN)?, Times::of(rows, "valid_until", Interval::OPEN)?);
        for row in 0..rows.num_rows() {
            let node = self.node(keys.value(row))?;
            if ids.value(row) != node {
                return Err(TableFault::Id("id"));
            }
            let held = Interval { from: from.get(row), until: until.get(row) };
            let about = About { kind: kinds.get(row)?, scope: scopes.get(row)?, held, active: active.value(row), usage: usages.get(row)? };
            self.describe(node, if names.is_null(row) { "" } else { names.value(row) }, about)?;
        }
        Ok(())
    }

    fn fill_aliases(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (aliases, nodes) = (column::<StringArray>(rows, "alias")?, column::<UInt32Array>(rows, "node")?);
        for row in 0..rows.num_rows() {
            let node = self.known(nodes.value(row), "node")?;
            self.alias(node, aliases.value(row))?;
        }
        Ok(())
    }

    fn fill_identifiers(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (nodes, values) = (column::<UInt32Array>(rows, "node")?, column::<StringArray>(rows, "value")?);
        let kinds = Words::of(rows, "kind", IdKind::named)?;
        let scopes = Words::of(rows, "scope", |word| self.scope(word, Micros::MIN).ok())?;
        for row in 0..rows.num_rows() {
            let node = self.known(nodes.value(row), "node")?;
            self.identifier(node, kinds.get(row)?, values.value(row), scopes.get(row)?)?;
        }
        Ok(())
    }

    fn fill_edges(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (sources, targets) = (column::<UInt32Array>(rows, "source")?, column::<UInt32Array>(rows, "target")?);
        let kinds = Words::of(rows, "kind", EdgeKind::named)?;
        let labels = Words::of(rows, "label", |word| self.text(word).ok())?;
        let scopes = Words::of(rows, "scope", |word| self.scope(word, Micros::MIN).ok())?;
        let (from, until) = (Times::of(rows, "valid_from", Micros::MIN)?, Times::of(rows, "valid_until", Interval::OPEN)?);
        for row in 0..rows.num_rows() {
            let held = Interval { from: from.get(row), until: until.get(row) };
            let terms = Terms { kind: kinds.get(row)?, label: labels.get(row)?, scope: scopes.get(row)?, held };
            let terms = self.terms.number(terms).ok_or(Full::Text)?;
            let (from, to) = (self.known(sources.value(row), "source")?, self.known(targets.value(row), "target")?);
            self.edge(from, to, terms);
        }
        Ok(())
    }

    fn known(&self, node: u32, column: &'static str) -> Result<u32, TableFault> {
        if node < self.nodes.keys.len() { Ok(node) } else { Err(TableFault::Id(column)) }
    }
}

fn column<'a, T: Array + 'static>(rows: &'a RecordBatch, name: &'static str) -> Result<&'a T, TableFault> {
    rows.column_by_name(name).and_then(|column| column.as_any().downcast_ref()).ok_or(TableFault::Column(name))
}

/// A column of few different words, each understood once.
struct Words<'a, T> {
    name: &'static str,
    keys: &'a PrimitiveArray<UInt32Type>,
    values: &'a StringArray,
    meant: Vec<Option<T>>,
}

impl<'a, T: Copy> Words<'a, T> {
    fn of(rows: &'a RecordBatch, name: &'static str, meant: impl FnMut(&str) -> Option<T>) -> Result<Self, TableFault> {
        let words = column::<DictionaryArray<UInt32Type>>(rows, name)?;
        let values = words.values().as_any().downcast_ref::<StringArray>().ok_or(TableFault::Column(name))?;
        Ok(Self { name, keys: words.keys(), values, meant: values.iter().map(Option::unwrap_or_default).map(meant).collect() })
    }

    fn get(&self, row: usize) -> Result<T, TableFault> {
        let key = self.keys.value(row) as usize;
        let known = self.meant.get(key).copied().flatten().filter(|_| self.keys.is_valid(row));
        known.ok_or_else(|| TableFault::Value(self.name, if key < self.values.len() { self.values.value(key).to_owned() } else { String::new() }))
    }
}

struct Times<'a> {
    column: &'a TimestampMicrosecondArray,
    none: Micros,
}

impl<'a> Times<'a> {
    fn of(rows: &'a RecordBatch, name: &'static str, none: Micros) -> Result<Self, TableFault> {
        Ok(Self { column: column(rows, name)?, none })
    }

    fn get(&self, row: usize) -> Micros {
        if self.column.is_null(row) { self.none } else { self.column.value(row) }
    }
}
