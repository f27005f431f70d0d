//! The graph as tables of Arrow, and back: what is kept in the lake, for us and for other engines.
//!
//! | table | columns |
//! |---|---|
//! | `scopes` | `name`, `taken_at` |
//! | `nodes` | `id`, `key`, `kind`, `name`, `scope`, `valid_from`, `valid_until`, `active`, `usage`, `passing` |
//! | `descriptions` | `node`, and of what several parts describe what each says: the columns of `nodes` from `kind` on |
//! | `aliases` | `alias`, `node`, `scope`, `valid_from`, `valid_until` |
//! | `identifiers` | `node`, `kind`, `value`, `scope`, `valid_from`, `valid_until` |
//! | `edges` | `source`, `target`, `kind`, `label`, `scope`, `valid_from`, `valid_until` |
//!
//! `source`, `target` and `node` are ids of `nodes`. No `valid_from` is since ever, no `valid_until` is until
//! further notice. No `active` is that no part says it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, DictionaryArray, PrimitiveArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow::datatypes::UInt32Type;

use super::build::{Builder, Full};
use super::describe::{Description, NAMELESS};
use super::{About, EdgeKind, Graph, Interval, Micros, NodeKind, Terms, Told};
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
    /// What each part says of nodes that several describe.
    Descriptions,
    /// Other names of nodes.
    Aliases,
    /// Texts by which persons are recognised.
    Identifiers,
    /// Edges.
    Edges,
}

/// All tables, in the order in which they are filled.
pub const TABLES: [Table; 6] = [Table::Scopes, Table::Nodes, Table::Descriptions, Table::Aliases, Table::Identifiers, Table::Edges];

impl Table {
    /// Name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scopes => "scopes",
            Self::Nodes => "nodes",
            Self::Descriptions => "descriptions",
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
            Table::Descriptions => Box::new(std::iter::once(self.description_rows())),
            Table::Aliases => Box::new(self.alias_batches()),
            Table::Identifiers => Box::new(std::iter::once(self.identifier_rows())),
            Table::Edges => Box::new(self.edge_batches()),
        }
    }

    fn scope_rows(&self) -> Result<RecordBatch, TableFault> {
        let names: StringArray = self.scopes.iter().map(|scope| Some(scope.name.as_str())).collect();
        batch(vec![("name", Arc::new(names)), ("taken_at", times(self.scopes.iter().map(|scope| scope.at)))])
    }

    fn node_rows(&self, from: u32, to: u32) -> Result<RecordBatch, TableFault> {
        let keys: StringArray = (from..to).map(|node| Some(self.key(node))).collect();
        let name = |node: u32| self.nodes.names.get(node as usize).copied().unwrap_or(NAMELESS);
        let all: Vec<Description> = (from..to).filter_map(|node| Some((*self.about(node)?, name(node)))).collect();
        let mut columns: Vec<(&str, ArrayRef)> = vec![("id", Arc::new(UInt32Array::from_iter_values(from..to))), ("key", Arc::new(keys))];
        columns.extend(self.described(&all)?);
        batch(columns)
    }

    fn description_rows(&self) -> Result<RecordBatch, TableFault> {
        let mut nodes: Vec<u32> = self.several.keys().copied().collect();
        nodes.sort_unstable();
        let of = |node: u32| self.several.get(&node).into_iter().flatten().map(move |all| (node, *all));
        let (nodes, all): (Vec<u32>, Vec<Description>) = nodes.into_iter().flat_map(of).unzip();
        let mut columns: Vec<(&str, ArrayRef)> = vec![("node", Arc::new(UInt32Array::from(nodes)))];
        columns.extend(self.described(&all)?);
        batch(columns)
    }

    fn described(&self, all: &[Description]) -> Result<[(&'static str, ArrayRef); 8], TableFault> {
        let names: StringArray = all.iter().map(|(_, name)| (*name != NAMELESS).then(|| self.texts.get(*name))).collect();
        let about = || all.iter().map(|(about, _)| about);
        Ok([
            ("kind", words(about().map(|about| about.kind.name()))?),
            ("name", Arc::new(names)),
            ("scope", words(about().map(|about| self.scope(about.scope)))?),
            ("valid_from", times(about().map(|about| about.held.from))),
            ("valid_until", times(about().map(|about| about.held.until))),
            ("active", Arc::new(about().map(|about| about.active).collect::<BooleanArray>())),
            ("usage", words(about().map(|about| about.usage.name()))?),
            ("passing", Arc::new(about().map(|about| Some(about.passing)).collect::<BooleanArray>())),
        ])
    }

    fn alias_batches(&self) -> impl Iterator<Item = Result<RecordBatch, TableFault>> + '_ {
        let all = &self.aliases.holders;
        // An empty list has one empty chunk, so that its columns are known.
        let chunks = all.chunks(ROWS as usize).chain(all.is_empty().then_some(all.as_slice()));
        chunks.map(|rows| {
            let names: StringArray = rows.iter().map(|holder| Some(self.aliases.name(holder.name))).collect();
            let nodes = UInt32Array::from_iter_values(rows.iter().map(|holder| holder.node));
            let mut columns: Vec<(&str, ArrayRef)> = vec![("alias", Arc::new(names)), ("node", Arc::new(nodes))];
            columns.extend(self.held(rows.iter().map(|holder| holder.told))?);
            batch(columns)
        })
    }

    fn identifier_rows(&self) -> Result<RecordBatch, TableFault> {
        let values: StringArray = self.ids.iter().map(|id| Some(self.text(id.value))).collect();
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("node", Arc::new(UInt32Array::from_iter_values(self.ids.iter().map(|id| id.node)))),
            ("kind", words(self.ids.iter().map(|id| id.kind.name()))?),
            ("value", Arc::new(values)),
        ];
        columns.extend(self.held(self.ids.iter().map(|id| id.told))?);
        batch(columns)
    }

    fn held(&self, told: impl Iterator<Item = u32>) -> Result<[(&'static str, ArrayRef); 3], TableFault> {
        let told: Vec<&Told> = told.filter_map(|told| self.told(told)).collect();
        Ok([
            ("scope", words(told.iter().map(|told| self.scope(told.scope)))?),
            ("valid_from", times(told.iter().map(|told| told.held.from))),
            ("valid_until", times(told.iter().map(|told| told.held.until))),
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
            Table::Descriptions => self.fill_descriptions(rows),
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
        let (keys, ids) = (column::<StringArray>(rows, "key")?, column::<UInt32Array>(rows, "id")?);
        let described = Described::of(rows, self)?;
        for row in 0..rows.num_rows() {
            let node = self.keyed(keys.value(row))?;
            if ids.value(row) != node {
                return Err(TableFault::Id("id"));
            }
            let (about, name) = described.get(row)?;
            self.describe(node, name, about)?;
        }
        Ok(())
    }

    fn fill_descriptions(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (nodes, described) = (column::<UInt32Array>(rows, "node")?, Described::of(rows, self)?);
        for row in 0..rows.num_rows() {
            let (node, (about, name)) = (self.known(nodes.value(row), "node")?, described.get(row)?);
            let name = if name.is_empty() { NAMELESS } else { self.text(name)? };
            self.several.entry(node).or_default().push((about, name));
        }
        Ok(())
    }

    fn fill_aliases(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (aliases, nodes) = (column::<StringArray>(rows, "alias")?, column::<UInt32Array>(rows, "node")?);
        let told = Tellers::of(rows, self)?;
        for row in 0..rows.num_rows() {
            let (node, told) = (self.known(nodes.value(row), "node")?, told.get(row)?);
            self.alias(node, aliases.value(row), told.scope, told.held)?;
        }
        Ok(())
    }

    fn fill_identifiers(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (nodes, values) = (column::<UInt32Array>(rows, "node")?, column::<StringArray>(rows, "value")?);
        let (kinds, told) = (Words::of(rows, "kind", IdKind::named)?, Tellers::of(rows, self)?);
        for row in 0..rows.num_rows() {
            let (node, told) = (self.known(nodes.value(row), "node")?, told.get(row)?);
            self.identifier(node, kinds.get(row)?, values.value(row), told.scope, told.held)?;
        }
        Ok(())
    }

    fn fill_edges(&mut self, rows: &RecordBatch) -> Result<(), TableFault> {
        let (sources, targets) = (column::<UInt32Array>(rows, "source")?, column::<UInt32Array>(rows, "target")?);
        let kinds = Words::of(rows, "kind", EdgeKind::named)?;
        let labels = Words::of(rows, "label", |word| self.text(word).ok())?;
        let told = Tellers::of(rows, self)?;
        for row in 0..rows.num_rows() {
            let Told { scope, held } = told.get(row)?;
            let terms = Terms { kind: kinds.get(row)?, label: labels.get(row)?, scope, held };
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

/// Columns of what is said of a node.
struct Described<'a> {
    kinds: Words<'a, NodeKind>,
    usages: Words<'a, Usage>,
    told: Tellers<'a>,
    names: &'a StringArray,
    active: &'a BooleanArray,
    passing: &'a BooleanArray,
}

impl<'a> Described<'a> {
    fn of(rows: &'a RecordBatch, builder: &mut Builder) -> Result<Self, TableFault> {
        Ok(Self {
            kinds: Words::of(rows, "kind", NodeKind::named)?,
            usages: Words::of(rows, "usage", Usage::named)?,
            told: Tellers::of(rows, builder)?,
            names: column(rows, "name")?,
            active: column(rows, "active")?,
            passing: column(rows, "passing")?,
        })
    }

    fn get(&self, row: usize) -> Result<(About, &'a str), TableFault> {
        let Told { scope, held } = self.told.get(row)?;
        let active = self.active.is_valid(row).then(|| self.active.value(row));
        let about = About { kind: self.kinds.get(row)?, scope, held, active, usage: self.usages.get(row)?, passing: self.passing.value(row) };
        Ok((about, if self.names.is_null(row) { "" } else { self.names.value(row) }))
    }
}

/// Columns of who says something and when it holds.
struct Tellers<'a> {
    scopes: Words<'a, u32>,
    from: Times<'a>,
    until: Times<'a>,
}

impl<'a> Tellers<'a> {
    fn of(rows: &'a RecordBatch, builder: &mut Builder) -> Result<Self, TableFault> {
        let scopes = Words::of(rows, "scope", |word| builder.scope(word, Micros::MIN).ok())?;
        Ok(Self { scopes, from: Times::of(rows, "valid_from", Micros::MIN)?, until: Times::of(rows, "valid_until", Interval::OPEN)? })
    }

    fn get(&self, row: usize) -> Result<Told, TableFault> {
        Ok(Told { scope: self.scopes.get(row)?, held: Interval { from: self.from.get(row), until: self.until.get(row) } })
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
