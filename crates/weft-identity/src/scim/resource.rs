//! Resources as they are sent, kept and given.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use weft_model::Timestamp;

use super::Refusal;
use super::path::{Path, get, key_of};
use super::schema::{self, Attribute, COMMON, Form, Kind, Mutability, Returned, SCHEMAS};

/// Values of one attribute.
const VALUES_MAX: usize = 1_000_000;
/// Characters of one text.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// What is kept of a resource that was sent whole: names as the standard writes them, without what only the server
/// says (`id`, `meta`, a user's `groups`) and without passwords, which are of no use here.
///
/// # Errors
/// Something required is not there, or a value is not of its kind; `invalidValue`.
pub fn accept(form: Form, sent: Value) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(sent) = sent else { return Err(Refusal::of("invalidSyntax", "a resource is an object of JSON")) };
    let mut kept = Map::new();
    for (name, value) in sent {
        let Some(urn) = name.to_ascii_lowercase().starts_with("urn:").then_some(name.as_str()) else {
            put(&mut kept, attribute(form, &name), &name, value)?;
            continue;
        };
        match SCHEMAS.iter().find(|schema| schema.urn.eq_ignore_ascii_case(urn)) {
            // Some send what is of the core schema under its name.
            Some(schema) if schema.urn == form.core().urn => {
                let Value::Object(inner) = value else { return Err(wrong(urn, "an object")) };
                for (name, value) in inner {
                    put(&mut kept, attribute(form, &name), &name, value)?;
                }
            }
            Some(schema) => {
                let extension = parts(schema.attributes, schema.urn, value)?;
                kept.extend(extension.map(|extension| (schema.urn.to_owned(), extension)));
            }
            None => drop(kept.insert(urn.to_owned(), value)),
        }
    }
    complete(form, kept)
}

/// What a resource has to have: what is required, and the names of its schemas.
pub(super) fn complete(form: Form, mut kept: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    for required in form.core().attributes.iter().filter(|attribute| attribute.is_required) {
        let text = kept.get(required.name).and_then(Value::as_str).unwrap_or_default();
        if text.trim().is_empty() {
            return Err(Refusal::of("invalidValue", format!("a {} needs a `{}`", form.name(), required.name)));
        }
    }
    kept.retain(|name, value| !(name.starts_with("urn:") && value.as_object().is_some_and(Map::is_empty)));
    let extensions: Vec<Value> = kept.keys().filter(|name| name.starts_with("urn:")).map(|name| Value::from(name.as_str())).collect();
    let schemas = std::iter::once(Value::from(form.core().urn)).chain(extensions).collect();
    kept.insert("schemas".to_owned(), schemas);
    Ok(kept)
}

fn attribute(form: Form, name: &str) -> Option<&'static Attribute> {
    schema::find(&COMMON, name).or_else(|| schema::find(form.core().attributes, name))
}

/// Keeps one attribute, unless only the server says it.
fn put(kept: &mut Map<String, Value>, attribute: Option<&'static Attribute>, name: &str, value: Value) -> Result<(), Refusal> {
    let Some(attribute) = attribute else {
        kept.insert(name.to_owned(), value);
        return Ok(());
    };
    // The list of schemas is made anew.
    if attribute.mutability == Mutability::ReadOnly || attribute.returned == Returned::Never || attribute.name == "schemas" {
        return Ok(());
    }
    if let Some(value) = value_of(attribute, value)? {
        kept.insert(attribute.name.to_owned(), value);
    }
    Ok(())
}

/// A value of an attribute as it is kept; none for what means that there is none.
pub(super) fn value_of(attribute: &'static Attribute, value: Value) -> Result<Option<Value>, Refusal> {
    if !attribute.is_multi {
        return single(attribute, value);
    }
    let items = match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    if items.len() > VALUES_MAX {
        return Err(Refusal::of("tooMany", format!("`{}` has more than {VALUES_MAX} values", attribute.name)));
    }
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let Some(item) = single(attribute, item)? else { continue };
        // Whoever is named twice is there once.
        let is_new = item.get("value").is_none() || seen.insert(sign(&item, is_by_type(Some(attribute))));
        if is_new {
            kept.push(item);
        }
    }
    Ok(Some(kept).filter(|kept| !kept.is_empty()).map(Value::Array))
}

/// Whether the same value may be there again with another type: not where it is the id of a resource.
pub(super) fn is_by_type(attribute: Option<&Attribute>) -> bool {
    attribute.is_none_or(|attribute| attribute.part("$ref").is_none())
}

/// By what one value of several is known: its `value`, or all of it.
pub(super) fn sign(item: &Value, by_type: bool) -> String {
    let of_type = item.get("type").filter(|_| by_type).map(Value::to_string).unwrap_or_default();
    item.get("value").map_or_else(|| item.to_string(), |value| format!("{value} {of_type}"))
}

fn single(attribute: &'static Attribute, value: Value) -> Result<Option<Value>, Refusal> {
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (Kind::Complex, Value::Object(object)) => parts(attribute.parts, attribute.name, Value::Object(object)),
        // Some write the value of a complex one in its place, e.g. a manager's id.
        (Kind::Complex, Value::String(text)) if attribute.part("value").is_some() => {
            Ok((!text.is_empty()).then(|| Value::Object(Map::from_iter([("value".to_owned(), Value::from(text))]))))
        }
        (Kind::Complex, _) => Err(wrong(attribute.name, "an object")),
        (Kind::Flag, Value::Bool(flag)) => Ok(Some(flag.into())),
        (Kind::Flag, Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true.into())),
            "false" => Ok(Some(false.into())),
            _ => Err(wrong(attribute.name, "`true` or `false`")),
        },
        (Kind::Flag, _) => Err(wrong(attribute.name, "`true` or `false`")),
        (Kind::Time, Value::String(text)) if Timestamp::read(&text).is_some() => Ok(Some(text.into())),
        (Kind::Time, _) => Err(wrong(attribute.name, "a time such as `2026-01-31T12:00:00Z`")),
        (_, Value::String(text)) if text.len() > TEXT_BYTES_MAX => Err(wrong(attribute.name, "a text of at most a MiB")),
        (_, Value::String(text)) => Ok(Some(text.into())),
        (_, Value::Number(number)) => Ok(Some(number.to_string().into())),
        _ => Err(wrong(attribute.name, "a text")),
    }
}

/// The parts of a complex value, under their names.
pub(super) fn parts(attributes: &'static [Attribute], place: &str, value: Value) -> Result<Option<Value>, Refusal> {
    let Value::Object(object) = value else { return Err(wrong(place, "an object")) };
    let mut kept = Map::new();
    for (name, value) in object {
        match schema::find(attributes, &name) {
            Some(part) => kept.extend(value_of(part, value)?.map(|value| (part.name.to_owned(), value))),
            None => drop(kept.insert(name, value)),
        }
    }
    Ok(Some(kept).filter(|kept| !kept.is_empty()).map(Value::Object))
}

fn wrong(place: &str, wanted: &str) -> Refusal {
    Refusal::of("invalidValue", format!("`{place}` has to be {wanted}"))
}

/// Which attributes of a resource are given (RFC 7644, section 3.9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    only: Vec<Path>,
    without: Vec<Path>,
}

impl Selection {
    /// By the names of `attributes` and `excludedAttributes`, separated by commas.
    ///
    /// # Errors
    /// One is no attribute's.
    pub fn parse(only: &str, without: &str) -> Result<Self, Refusal> {
        let read = |text: &str| text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Path::parse).collect::<Result<Vec<_>, _>>();
        Ok(Self { only: read(only)?, without: read(without)? })
    }

    /// Whether an attribute with this name at the top will be given: what costs much is not made for nothing.
    pub fn wants(&self, name: &str) -> bool {
        let is_it = |path: &Path| path.urn.is_none() && path.name.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(name));
        let is_whole = |path: &Path| is_it(path) && path.part.is_none();
        (self.only.is_empty() || self.only.iter().any(is_it)) && !self.without.iter().any(is_whole)
    }

    /// What of a resource is given.
    pub fn of(&self, resource: Map<String, Value>) -> Map<String, Value> {
        if !self.only.is_empty() {
            let mut kept = Map::new();
            for name in ["schemas", "id"] {
                kept.extend(resource.get(name).map(|value| (name.to_owned(), value.clone())));
            }
            self.only.iter().for_each(|path| copy(&path.within(&resource), &resource, &mut kept));
            return kept;
        }
        let mut kept = resource;
        self.without.iter().for_each(|path| leave_out(&path.within(&kept), &mut kept));
        kept
    }
}

/// Copies what a path leads to.
fn copy(path: &Path, from: &Map<String, Value>, to: &mut Map<String, Value>) {
    let within = |map: &Map<String, Value>, name: &str| key_of(map, name);
    if let Some(urn) = &path.urn {
        let Some((key, Value::Object(inner))) = within(from, urn).and_then(|key| from.get(&key).map(|value| (key, value))) else { return };
        let into = to.entry(key).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(into) = into else { return };
        match path.name {
            Some(_) => copy(&Path { urn: None, ..path.clone() }, inner, into),
            None => into.extend(inner.clone()),
        }
        return;
    }
    let Some((key, value)) = path.name.as_deref().and_then(|name| within(from, name)).and_then(|key| from.get(&key).map(|value| (key, value))) else { return };
    let Some(part) = &path.part else {
        to.insert(key, value.clone());
        return;
    };
    let pick = |value: &Value| -> Map<String, Value> {
        let object = value.as_object();
        object.and_then(|object| within(object, part).and_then(|key| object.get(&key).map(|value| (key, value.clone())))).into_iter().collect()
    };
    match (value, to.get_mut(&key)) {
        (Value::Array(items), Some(Value::Array(there))) => {
            for (item, there) in items.iter().zip(there.iter_mut().filter_map(Value::as_object_mut)) {
                there.extend(pick(item));
            }
        }
        (Value::Array(items), _) => drop(to.insert(key, items.iter().map(|item| Value::Object(pick(item))).collect())),
        (one, Some(Value::Object(there))) => there.extend(pick(one)),
        (one, _) => drop(to.insert(key, Value::Object(pick(one)))),
    }
}

/// Takes away what a path leads to, but what is always given.
fn leave_out(path: &Path, from: &mut Map<String, Value>) {
    if let Some(urn) = &path.urn {
        let Some(key) = key_of(from, urn) else { return };
        match (&path.name, from.get_mut(&key)) {
            (Some(_), Some(Value::Object(inner))) => leave_out(&Path { urn: None, ..path.clone() }, inner),
            _ => drop(from.remove(&key)),
        }
        return;
    }
    let Some(key) = path.name.as_deref().and_then(|name| key_of(from, name)) else { return };
    if schema::find(&COMMON, &key).is_some_and(|attribute| attribute.returned == Returned::Always) {
        return;
    }
    let Some(part) = &path.part else {
        from.remove(&key);
        return;
    };
    let cut = |value: &mut Value| {
        if let Some(object) = value.as_object_mut()
            && let Some(key) = key_of(object, part)
        {
            object.remove(&key);
        }
    };
    match from.get_mut(&key) {
        Some(Value::Array(items)) => items.iter_mut().for_each(cut),
        Some(one) => cut(one),
        None => {}
    }
}

/// The text of an attribute at the top.
pub(super) fn text<'r>(resource: &'r Map<String, Value>, name: &str) -> &'r str {
    get(resource, name).and_then(Value::as_str).unwrap_or_default()
}
