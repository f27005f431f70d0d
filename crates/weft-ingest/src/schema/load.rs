//! A compiled schema that the user brings: what an OCSF server exports (`/export/schema`) and
//! what the schema compilers write.

use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use weft_model::ocsf::{Attribute, Class, Constraints, Enum, EnumId, Object, ObjectId, Requirement, Schema, Type};

/// Bytes of a schema file; a full export with all its prose is about 4 MB.
const BYTES_MAX: usize = 64 << 20;
/// Classes, and also objects.
const STRUCTURES_MAX: usize = 5_000;
/// Attributes of one class or object.
const ATTRIBUTES_MAX: usize = 2_000;

/// Why a schema is refused.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file cannot be read.
    #[error("the schema `{path}` cannot be read: {message}")]
    Unreadable {
        /// As given.
        path: String,
        /// The system's words.
        message: String,
    },
    /// Too large, in one of the ways above.
    #[error("the schema has {what}, at most {limit} are read")]
    TooLarge {
        /// What there is too much of.
        what: String,
        /// How much is read.
        limit: usize,
    },
    /// Not JSON, or nested too deep.
    #[error("the schema is not JSON: {message}")]
    NotJson {
        /// The parser's words.
        message: String,
    },
    /// JSON, but not a compiled schema.
    #[error("`{at}` {message}; give a compiled OCSF schema, as `/export/schema` of an OCSF server returns it")]
    NotCompiled {
        /// Where in the schema.
        at: String,
        /// What is wrong there.
        message: String,
    },
}

/// Reads a compiled schema from a file.
///
/// # Errors
/// As [`load_compiled`], or the file cannot be read.
pub fn load_compiled_file(path: &Path) -> Result<Schema, SchemaError> {
    let unreadable = |error: std::io::Error| SchemaError::Unreadable { path: path.display().to_string(), message: error.to_string() };
    let mut bytes = Vec::new();
    let limit = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    load_compiled(&bytes)
}

/// Reads a compiled schema.
///
/// # Errors
/// Says what makes it none, or which limit it passes.
pub fn load_compiled(bytes: &[u8]) -> Result<Schema, SchemaError> {
    if bytes.len() > BYTES_MAX {
        return Err(SchemaError::TooLarge { what: format!("more than {BYTES_MAX} bytes"), limit: BYTES_MAX });
    }
    // serde_json stops at 128 levels, so that depth is bounded here too.
    let root: Value = serde_json::from_slice(bytes).map_err(|error| SchemaError::NotJson { message: error.to_string() })?;
    let classes = structures(&root, "classes")?;
    let objects = structures(&root, "objects")?;
    let base = root.get("base_event").map(|base| ("base_event", base)).filter(|_| !classes.iter().any(|(name, _)| *name == "base_event"));
    let version = root.get("version").and_then(Value::as_str).unwrap_or("unknown");
    let mut reader = Reader {
        objects: objects.iter().enumerate().map(|(place, (name, _))| (plain(name), ObjectId::new(place))).collect(),
        enums: Vec::new(),
        places: HashMap::new(),
    };
    let mut built_objects = Vec::with_capacity(objects.len());
    for (name, item) in objects {
        built_objects.push(Object {
            name: plain(name).into(),
            caption: text(item, "caption").into(),
            observable: observable(item),
            attributes: reader.attributes(name, item)?,
            constraints: constraints(item),
        });
    }
    let mut built_classes = Vec::with_capacity(classes.len());
    for (name, item) in classes.into_iter().chain(base) {
        built_classes.push(reader.class(name, item)?);
    }
    Ok(Schema::new(version, built_classes, built_objects, reader.enums))
}

fn structures<'a>(root: &'a Value, kind: &str) -> Result<Vec<(&'a str, &'a Value)>, SchemaError> {
    let missing = || SchemaError::NotCompiled { at: kind.to_owned(), message: "is missing".to_owned() };
    let map = root.get(kind).and_then(Value::as_object).ok_or_else(missing)?;
    if map.len() > STRUCTURES_MAX {
        return Err(SchemaError::TooLarge { what: format!("{} {kind}", map.len()), limit: STRUCTURES_MAX });
    }
    Ok(map.iter().map(|(name, item)| (name.as_str(), item)).collect())
}

/// Builds attributes, and keeps each distinct enum once.
struct Reader<'a> {
    objects: HashMap<&'a str, ObjectId>,
    enums: Vec<Enum>,
    places: HashMap<String, usize>,
}

impl<'a> Reader<'a> {
    fn class(&mut self, name: &str, item: &'a Value) -> Result<Class, SchemaError> {
        let number = |key: &str| item.get(key).and_then(Value::as_u64).and_then(|uid| u32::try_from(uid).ok());
        let uid = number("uid").or((plain(name) == "base_event").then_some(0));
        Ok(Class {
            name: plain(name).into(),
            caption: text(item, "caption").into(),
            uid: uid.ok_or_else(|| SchemaError::NotCompiled { at: format!("classes.{name}"), message: "has no valid `uid`".to_owned() })?,
            category_uid: number("category_uid").unwrap_or(0),
            category_name: item.get("category_name").and_then(Value::as_str).unwrap_or("Uncategorized").into(),
            deprecated: item.get("@deprecated").is_some_and(|mark| !mark.is_null()),
            attributes: self.attributes(name, item)?,
            constraints: constraints(item),
        })
    }

    fn attributes(&mut self, of: &str, item: &'a Value) -> Result<Vec<Arc<Attribute>>, SchemaError> {
        let empty = Map::new();
        let map = item.get("attributes").and_then(Value::as_object).unwrap_or(&empty);
        if map.len() > ATTRIBUTES_MAX {
            return Err(SchemaError::TooLarge { what: format!("{} attributes in `{of}`", map.len()), limit: ATTRIBUTES_MAX });
        }
        map.iter().map(|(name, item)| self.attribute(of, name, item).map(Arc::new)).collect()
    }

    fn attribute(&mut self, of: &str, name: &str, item: &Value) -> Result<Attribute, SchemaError> {
        let fault = |message: String| SchemaError::NotCompiled { at: format!("{of}.{name}"), message };
        let written = text(item, "type");
        let named = item.get("object_type").and_then(Value::as_str).unwrap_or(written);
        let (type_, object) = match (written, self.objects.get(plain(named))) {
            ("object_t", None) => return Err(fault(format!("is of object `{named}`, which the schema does not have"))),
            ("object_t", Some(id)) => (Type::Object, Some(*id)),
            _ => match (Type::from_name(written), self.objects.get(plain(written))) {
                (Some(type_), _) if written.ends_with("_t") => (type_, None),
                (_, Some(id)) => (Type::Object, Some(*id)),
                _ if written.ends_with("_t") => (self.base_type(item), None),
                _ => return Err(fault(format!("has the unknown type `{written}`"))),
            },
        };
        let list = item.get("profiles").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        Ok(Attribute {
            name: plain(name).into(),
            type_,
            object,
            is_array: item.get("is_array").and_then(Value::as_bool).unwrap_or(false),
            requirement: match text(item, "requirement") {
                "required" => Requirement::Required,
                "recommended" => Requirement::Recommended,
                _ => Requirement::Optional,
            },
            enum_: self.enumeration(item),
            sibling: item.get("sibling").and_then(Value::as_str).map(Box::from),
            profiles: list.chain(item.get("profile").and_then(Value::as_str)).map(Box::from).collect(),
            deprecated: item.get("@deprecated").is_some_and(|mark| !mark.is_null()),
            observable: observable(item),
        })
    }

    /// A scalar type of an extension that we do not know is text unless the schema says a number.
    fn base_type(&self, item: &Value) -> Type {
        match text(item, "type_name") {
            "Integer" | "Long" => Type::Long,
            "Float" => Type::Float,
            "Boolean" => Type::Boolean,
            _ => Type::String,
        }
    }

    fn enumeration(&mut self, item: &Value) -> Option<EnumId> {
        let values = item.get("enum").and_then(Value::as_object).filter(|values| !values.is_empty())?;
        let pairs: Vec<(&str, &str)> = values.iter().map(|(value, item)| (value.as_str(), text(item, "caption"))).collect();
        let key: String = pairs.iter().flat_map(|(value, caption)| [*value, "\u{1f}", *caption, "\u{1e}"]).collect();
        let place = *self.places.entry(key).or_insert_with(|| {
            self.enums.push(Enum::new(pairs));
            self.enums.len() - 1
        });
        Some(EnumId::new(place))
    }
}

fn constraints(item: &Value) -> Constraints {
    let names = |key: &str| {
        let list = item.get("constraints").and_then(|all| all.get(key)).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(Box::from).collect()
    };
    Constraints { at_least_one: names("at_least_one"), just_one: names("just_one") }
}

fn observable(item: &Value) -> Option<u16> {
    item.get("observable").and_then(Value::as_u64).and_then(|uid| u16::try_from(uid).ok())
}

fn text<'a>(item: &'a Value, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn plain(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}
