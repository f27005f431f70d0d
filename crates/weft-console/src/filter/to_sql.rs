//! An expression as a SQL predicate over the columns of one table.
//!
//! A field that the table lacks is false there, not an error: one filter runs over tables of
//! different classes. Whether *any* table has the field is for the caller to ask.

use std::collections::HashMap;

use super::fields::{Target, resolve};
use super::{Expr, FilterError, Term, Test};
use crate::api::{ColumnKind, TableInfo};
use crate::sql::{identifier_path, like_escape, literal};

/// The columns of one table and how each may be tested.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    kinds: HashMap<String, ColumnKind>,
}

impl Columns {
    /// Of a table as the backend describes it.
    pub fn of(table: &TableInfo) -> Self {
        Self { kinds: table.columns.iter().map(|column| (column.path.clone(), column.kind)).collect() }
    }

    /// How the column may be tested; none when the table lacks it.
    pub fn kind(&self, path: &str) -> Option<ColumnKind> {
        self.kinds.get(path).copied()
    }

    /// Whether the table has what the field name means.
    pub fn has(&self, field: &str) -> bool {
        match resolve(field) {
            Target::Column(path) => self.kinds.contains_key(&path),
            Target::Observable(_) => self.kinds.contains_key("observables"),
        }
    }
}

/// A predicate, folded where the table decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// Every row.
    True,
    /// No row.
    False,
    /// SQL that says which.
    Sql(String),
}

/// The filter as a predicate over a table with these columns.
pub fn to_sql(expr: &Expr, columns: &Columns) -> Result<Predicate, FilterError> {
    Ok(match expr {
        Expr::All => Predicate::True,
        Expr::Term(term) => term_to_sql(term, columns)?,
        Expr::Group(inner, _) => to_sql(inner, columns)?,
        Expr::Not(inner, _) => match to_sql(inner, columns)? {
            Predicate::True => Predicate::False,
            Predicate::False => Predicate::True,
            // A null is not a match, so its opposite is one: plain NOT would lose those rows.
            Predicate::Sql(sql) => Predicate::Sql(format!("({sql}) IS NOT TRUE")),
        },
        Expr::And(parts) => join(parts, columns, " AND ", &Predicate::True, &Predicate::False)?,
        Expr::Or(parts) => join(parts, columns, " OR ", &Predicate::False, &Predicate::True)?,
    })
}

fn join(parts: &[Expr], columns: &Columns, word: &str, neutral: &Predicate, absorbing: &Predicate) -> Result<Predicate, FilterError> {
    let mut sql = Vec::with_capacity(parts.len());
    let mut absorbed = false;
    for part in parts {
        match to_sql(part, columns)? {
            Predicate::Sql(part) => sql.push(format!("({part})")),
            constant if constant == *absorbing => absorbed = true,
            _ => {}
        }
    }
    Ok(match () {
        () if absorbed => absorbing.clone(),
        () if sql.is_empty() => neutral.clone(),
        () => Predicate::Sql(sql.join(word)),
    })
}

fn term_to_sql(term: &Term, columns: &Columns) -> Result<Predicate, FilterError> {
    let Some(field) = &term.field else { return Ok(free_text(&term.test, columns)) };
    match resolve(field) {
        Target::Observable(types) => observable(term, field, types),
        Target::Column(path) => match columns.kind(&path) {
            None => Ok(Predicate::False),
            Some(kind) => column(term, &path, kind).map(Predicate::Sql),
        },
    }
}

fn free_text(test: &Test, columns: &Columns) -> Predicate {
    let Test::Contains(text) = test else { return Predicate::False };
    let pattern = literal(&format!("%{}%", like_escape(text)));
    let places: Vec<_> =
        ["raw_data", "message"].into_iter().filter(|name| columns.kind(name).is_some()).map(|name| format!("{name} ILIKE {pattern}")).collect();
    if places.is_empty() { Predicate::False } else { Predicate::Sql(places.join(" OR ")) }
}

fn observable(term: &Term, field: &str, types: &[i64]) -> Result<Predicate, FilterError> {
    let Test::Equals(value) = &term.test else {
        return Err(FilterError::new(format!("`{field}` is compared as a whole; write `{field}:value`"), term.value_span));
    };
    let value = literal(value);
    let tests: Vec<_> = match types {
        [] => vec![format!("has_observable(observables, {value})")],
        types => types.iter().map(|type_id| format!("has_observable(observables, {value}, {type_id})")).collect(),
    };
    Ok(Predicate::Sql(tests.join(" OR ")))
}

fn column(term: &Term, path: &str, kind: ColumnKind) -> Result<String, FilterError> {
    let sql = identifier_path(path);
    let wrong = |what: &str| Err(FilterError::new(format!("`{path}` {what}"), term.value_span));
    match (&term.test, kind) {
        (Test::Exists, _) => Ok(format!("{sql} IS NOT NULL")),
        (_, ColumnKind::Other) => wrong("has parts; name one of them, or ask `:*` whether it is there"),
        (Test::Equals(value), ColumnKind::Text) => Ok(format!("{sql} = {}", literal(value))),
        (Test::Equals(value), ColumnKind::TextList) => Ok(format!("array_has({sql}, {})", literal(value))),
        (Test::Equals(value), ColumnKind::Boolean) => match value.as_str() {
            "true" | "false" => Ok(format!("{sql} = {value}")),
            _ => wrong("is `true` or `false`"),
        },
        (Test::Equals(value), ColumnKind::Integer | ColumnKind::Float) => {
            number(value).map_or_else(|| wrong("is a number"), |value| Ok(format!("{sql} = {value}")))
        }
        (Test::Compare(order, value), ColumnKind::Integer | ColumnKind::Float) => {
            number(value).map_or_else(|| wrong("is a number"), |value| Ok(format!("{sql} {} {value}", order.symbol())))
        }
        (Test::Compare(..), _) => wrong("is not a number and has no order"),
        (Test::Like(parts), ColumnKind::Text) => {
            let pattern: Vec<_> = parts.iter().map(|part| like_escape(part)).collect();
            Ok(format!("{sql} LIKE {}", literal(&pattern.join("%"))))
        }
        (Test::Like(_), _) => wrong("is not text and has no wildcard"),
        (Test::Contains(_), _) => wrong("cannot be searched as free text"),
    }
}

/// A number in the form that SQL reads: digits only, so that nothing else slips in.
pub(super) fn number(text: &str) -> Option<String> {
    if let Ok(value) = text.parse::<i64>() {
        return Some(value.to_string());
    }
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some(format!("{value:?}")).filter(|text| text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | 'e')))
}
