//! Reads the tables. Text, one item a line, fields between tabs, `-` for none:
//!
//! | line | fields |
//! |---|---|
//! | `ocsf` | version, digest of the declaration, digest of all further lines |
//! | `e` | `value=caption` … |
//! | `a` | name, type (`@` before an object, `[]` behind a list), `r` `c` `o` and `d`, enum, sibling, profiles, observable |
//! | `o` | name, caption, observable, at least one of, just one of, attributes |
//! | `c` | name, caption, uid, category uid, category, `d`, at least one of, just one of, attributes |
//!
//! Enums and attributes are named by their place among their kind.

use super::Schema;
use super::enums::{Enum, EnumId};
use super::types::{Attribute, Class, Constraints, Object, ObjectId, Requirement, Type};
use std::collections::HashMap;
use std::sync::Arc;

/// The tables do not have the form above.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} of the OCSF tables has no valid {field}; write them again with `cargo xtask ocsf`")]
pub struct TableError {
    /// Counted from 1.
    pub line: usize,
    /// Which field of the line.
    pub field: &'static str,
}

/// The fields of one line, taken in order.
struct Line<'a> {
    number: usize,
    fields: std::str::Split<'a, char>,
}

impl<'a> Line<'a> {
    fn fault(&self, field: &'static str) -> TableError {
        TableError { line: self.number, field }
    }

    fn next(&mut self, field: &'static str) -> Result<&'a str, TableError> {
        self.fields.next().ok_or(TableError { line: self.number, field })
    }

    fn number<T: std::str::FromStr>(&mut self, field: &'static str) -> Result<T, TableError> {
        self.next(field)?.parse().map_err(|_| self.fault(field))
    }

    fn optional<T: std::str::FromStr>(&mut self, field: &'static str) -> Result<Option<T>, TableError> {
        match self.next(field)? {
            "-" => Ok(None),
            written => written.parse().map(Some).map_err(|_| self.fault(field)),
        }
    }

    fn list(&mut self, field: &'static str) -> Result<Vec<Box<str>>, TableError> {
        Ok(match self.next(field)? {
            "-" => Vec::new(),
            written => written.split(',').map(Box::from).collect(),
        })
    }

    fn constraints(&mut self) -> Result<Constraints, TableError> {
        Ok(Constraints { at_least_one: self.list("at least one")?, just_one: self.list("just one")? })
    }

    fn members(&mut self, attributes: &[Arc<Attribute>]) -> Result<Vec<Arc<Attribute>>, TableError> {
        let find = |place: &str| place.parse().ok().and_then(|place: usize| attributes.get(place)).cloned();
        let written = self.next("attributes")?;
        written.split(' ').filter(|place| !place.is_empty()).map(|place| find(place).ok_or_else(|| self.fault("attributes"))).collect()
    }
}

pub(super) fn parse(tables: &str) -> Result<Schema, TableError> {
    let mut lines = tables.lines().enumerate().map(|(place, line)| (line, Line { number: place + 1, fields: line.split('\t') }));
    let version = lines.next().and_then(|(line, _)| line.split('\t').nth(1)).ok_or(TableError { line: 1, field: "version" })?;
    let names = object_names(tables);
    let (mut enums, mut attributes) = (Vec::new(), Vec::new());
    let (mut classes, mut objects) = (Vec::new(), Vec::new());
    for (_, mut line) in lines {
        match line.next("kind")? {
            "e" => enums.push(Enum::new(line.fields.filter_map(|field| field.split_once('=')))),
            "a" => attributes.push(Arc::new(attribute(&mut line, &names, enums.len())?)),
            "o" => objects.push(Object {
                name: line.next("name")?.into(),
                caption: line.next("caption")?.into(),
                observable: line.optional("observable")?,
                constraints: line.constraints()?,
                attributes: line.members(&attributes)?,
            }),
            "c" => classes.push(class(&mut line, &attributes)?),
            _ => return Err(line.fault("kind")),
        }
    }
    Ok(Schema::new(version, classes, objects, enums))
}

/// Attributes name objects, and stand before them.
fn object_names(tables: &str) -> HashMap<&str, ObjectId> {
    let names = tables.lines().filter_map(|line| line.strip_prefix("o\t")).filter_map(|line| line.split('\t').next());
    names.enumerate().map(|(place, name)| (name, ObjectId::new(place))).collect()
}

fn attribute(line: &mut Line<'_>, objects: &HashMap<&str, ObjectId>, enums: usize) -> Result<Attribute, TableError> {
    let name = line.next("name")?.into();
    let written = line.next("type")?;
    let (written, is_array) = written.strip_suffix("[]").map_or((written, false), |written| (written, true));
    let (type_, object) = match written.strip_prefix('@') {
        Some(name) => (Type::Object, Some(*objects.get(name).ok_or_else(|| line.fault("object"))?)),
        None => (Type::from_name(written).ok_or_else(|| line.fault("type"))?, None),
    };
    let flags = line.next("requirement")?;
    let enum_: Option<usize> = line.optional("enum")?;
    if enum_.is_some_and(|place| place >= enums) {
        return Err(line.fault("enum"));
    }
    Ok(Attribute {
        name,
        type_,
        object,
        is_array,
        requirement: match flags.chars().next() {
            Some('r') => Requirement::Required,
            Some('c') => Requirement::Recommended,
            _ => Requirement::Optional,
        },
        enum_: enum_.map(EnumId::new),
        sibling: line.optional::<String>("sibling")?.map(Box::from),
        profiles: line.list("profiles")?,
        deprecated: flags.ends_with('d'),
        observable: line.optional("observable")?,
    })
}

fn class(line: &mut Line<'_>, attributes: &[Arc<Attribute>]) -> Result<Class, TableError> {
    Ok(Class {
        name: line.next("name")?.into(),
        caption: line.next("caption")?.into(),
        uid: line.number("uid")?,
        category_uid: line.number("category uid")?,
        category_name: line.next("category")?.into(),
        deprecated: line.next("deprecation")? == "d",
        constraints: line.constraints()?,
        attributes: line.members(attributes)?,
    })
}
