//! Patches (RFC 7644, section 3.5.2), as identity providers send them.
//!
//! Where the standard leaves room, or is not kept by those who send, what they mean is done: names of operations in
//! any case, paths as names in a value without a path, members to be removed in the value of a `remove`.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::path::{Path, get, key_of};
use super::resource::{self, complete, is_by_type, sign, value_of};
use super::schema::{Attribute, Form, Mutability};
use super::{PATCH, Refusal};

/// Operations of one patch.
const CHANGES_MAX: usize = 10_000;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    verb: Verb,
    path: Option<Path>,
    value: Value,
}

/// Reads a patch.
///
/// # Errors
/// It is none; `invalidSyntax`, `invalidPath`, `noTarget`.
pub fn changes(sent: &Value) -> Result<Vec<Change>, Refusal> {
    let syntax = |detail: &str| Refusal::of("invalidSyntax", detail);
    let sent = sent.as_object().ok_or_else(|| syntax("a patch is an object of JSON"))?;
    let schemas = get(sent, "schemas").and_then(Value::as_array).ok_or_else(|| syntax("a patch names its schema in `schemas`"))?;
    if !schemas.iter().any(|schema| schema.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH))) {
        return Err(syntax(&format!("`schemas` of a patch has to hold `{PATCH}`")));
    }
    let operations = get(sent, "Operations").and_then(Value::as_array).ok_or_else(|| syntax("a patch has `Operations`"))?;
    if operations.is_empty() || operations.len() > CHANGES_MAX {
        return Err(syntax(&format!("a patch has one to {CHANGES_MAX} operations, this one {}", operations.len())));
    }
    operations.iter().map(change).collect()
}

fn change(operation: &Value) -> Result<Change, Refusal> {
    let syntax = |detail: String| Refusal::of("invalidSyntax", detail);
    let operation = operation.as_object().ok_or_else(|| syntax("an operation is an object of JSON".to_owned()))?;
    let verb = match resource::text(operation, "op").to_ascii_lowercase().as_str() {
        "add" => Verb::Add,
        "replace" => Verb::Replace,
        "remove" => Verb::Remove,
        other => return Err(syntax(format!("`op` is `add`, `replace` or `remove`, not `{other}`"))),
    };
    let path = match get(operation, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.trim().is_empty() => None,
        Some(Value::String(text)) => Some(Path::parse(text)?),
        Some(_) => return Err(Refusal::of("invalidPath", "`path` is a text")),
    };
    let value = get(operation, "value").cloned().unwrap_or_default();
    match (verb, &path) {
        (Verb::Remove, None) => Err(Refusal::of("noTarget", "a `remove` says by its `path` what goes")),
        (Verb::Add | Verb::Replace, _) if !operation.keys().any(|key| key.eq_ignore_ascii_case("value")) => Err(syntax("a `value` is missing".to_owned())),
        _ => Ok(Change { verb, path, value }),
    }
}

impl Change {
    /// A resource after changes, all of them or none.
    ///
    /// # Errors
    /// One cannot be made: `mutability`, `noTarget`, `invalidValue`, `invalidPath`.
    pub fn all(changes: &[Self], form: Form, mut resource: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        for change in changes {
            change.one(form, &mut resource)?;
        }
        complete(form, resource)
    }

    fn one(&self, form: Form, resource: &mut Map<String, Value>) -> Result<(), Refusal> {
        if let Some(path) = &self.path {
            return self.at(form, path, resource, self.value.clone());
        }
        let Value::Object(values) = &self.value else { return Err(Refusal::of("invalidValue", "without a `path` the `value` is an object")) };
        for (name, value) in values {
            if !name.eq_ignore_ascii_case("schemas") {
                self.at(form, &Path::parse(name)?, resource, value.clone())?;
            }
        }
        Ok(())
    }

    fn at(&self, form: Form, path: &Path, resource: &mut Map<String, Value>, value: Value) -> Result<(), Refusal> {
        let path = &path.within(resource);
        let attribute = path.attribute(form);
        if attribute.is_some_and(|attribute| attribute.mutability == Mutability::ReadOnly) {
            return Err(Refusal::of("mutability", format!("`{}` is said by the server alone", attribute.map_or("", |attribute| attribute.name))));
        }
        // Nobody signs in here: a password is taken and forgotten.
        if attribute.is_some_and(|attribute| attribute.mutability == Mutability::WriteOnly) {
            return Ok(());
        }
        let Some(name) = &path.name else { return self.extension(form, path, resource, value) };
        let Some(urn) = &path.urn else { return self.attribute(attribute, name, path, resource, value) };
        let key = key_of(resource, urn).unwrap_or_else(|| urn.clone());
        let within = resource.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(within) = within else { return Err(Refusal::of("invalidPath", format!("`{key}` has no attributes"))) };
        self.attribute(attribute, name, path, within, value)
    }

    /// A whole extension, or the core schema by its name.
    fn extension(&self, form: Form, path: &Path, resource: &mut Map<String, Value>, value: Value) -> Result<(), Refusal> {
        let key = path.urn.as_ref().map(|urn| key_of(resource, urn).unwrap_or_else(|| urn.clone()));
        if self.verb == Verb::Remove {
            return match key {
                Some(key) => {
                    resource.remove(&key);
                    Ok(())
                }
                None => Err(Refusal::of("mutability", "what every resource has cannot be removed as a whole")),
            };
        }
        let Value::Object(values) = value else { return Err(Refusal::of("invalidValue", "the value of a schema is an object")) };
        for (name, value) in values {
            let inner = Path { urn: path.urn.clone(), ..Path::parse(&name)? };
            self.at(form, &inner, resource, value)?;
        }
        Ok(())
    }

    fn attribute(&self, attribute: Option<&'static Attribute>, name: &str, path: &Path, within: &mut Map<String, Value>, value: Value) -> Result<(), Refusal> {
        let key = attribute.map_or_else(|| key_of(within, name).unwrap_or_else(|| name.to_owned()), |attribute| attribute.name.to_owned());
        let is_multi = attribute.map_or_else(|| within.get(&key).is_some_and(Value::is_array) || path.filter.is_some(), |attribute| attribute.is_multi);
        let before = within.remove(&key);
        let after = if is_multi {
            let before = match before {
                Some(Value::Array(items)) => items,
                Some(one) => vec![one],
                None => Vec::new(),
            };
            let after = self.several(attribute, path, before, value)?;
            (!after.is_empty()).then_some(Value::Array(after))
        } else {
            self.single(attribute, path.part.as_deref(), before, value)?
        };
        within.extend(after.map(|after| (key, after)));
        Ok(())
    }

    /// A value after a change to it or to a part of it.
    fn single(&self, attribute: Option<&'static Attribute>, part: Option<&str>, before: Option<Value>, value: Value) -> Result<Option<Value>, Refusal> {
        let Some(part) = part else {
            return match self.verb {
                Verb::Remove => Ok(None),
                Verb::Add | Verb::Replace => Ok(merged(before, taken(attribute, value)?)),
            };
        };
        let mut object = match before {
            Some(Value::Object(object)) => object,
            None => Map::new(),
            Some(_) => return Err(Refusal::of("invalidPath", format!("there is no `{part}` in a plain value"))),
        };
        let known = attribute.and_then(|attribute| attribute.part(part));
        if known.is_some_and(|known| known.mutability == Mutability::ReadOnly) {
            return Err(Refusal::of("mutability", format!("`{part}` is said by the server alone")));
        }
        let key = known.map_or_else(|| key_of(&object, part).unwrap_or_else(|| part.to_owned()), |known| known.name.to_owned());
        object.remove(&key);
        if self.verb != Verb::Remove {
            object.extend(taken(known, value)?.map(|value| (key, value)));
        }
        Ok((!object.is_empty()).then_some(Value::Object(object)))
    }

    /// Several values after a change.
    fn several(&self, attribute: Option<&'static Attribute>, path: &Path, before: Vec<Value>, value: Value) -> Result<Vec<Value>, Refusal> {
        let was_primary: Vec<Value> = before.iter().filter(|item| is_primary(item)).cloned().collect();
        let mut after = match (&path.filter, &path.part) {
            (None, None) => self.all_values(attribute, before, value)?,
            (filter, part) => self.some_values(attribute, filter.as_deref(), part.as_deref(), before, value)?,
        };
        // At most one is the first: the one that was made so last.
        if after.iter().filter(|item| is_primary(item)).count() > 1 {
            for item in after.iter_mut().filter(|item| was_primary.contains(item)) {
                item.as_object_mut().into_iter().for_each(|object| drop(object.insert("primary".to_owned(), false.into())));
            }
        }
        Ok(after)
    }

    fn all_values(&self, attribute: Option<&'static Attribute>, mut before: Vec<Value>, value: Value) -> Result<Vec<Value>, Refusal> {
        let given = match taken_all(attribute, value)? {
            Some(Value::Array(items)) => items,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        match self.verb {
            Verb::Replace => Ok(given),
            Verb::Remove if given.is_empty() => Ok(Vec::new()),
            Verb::Remove => {
                let gone: HashSet<String> = given.iter().map(|item| sign(item, false)).collect();
                before.retain(|item| !gone.contains(&sign(item, false)));
                Ok(before)
            }
            Verb::Add => {
                let by_type = is_by_type(attribute);
                let mut there: HashMap<String, usize> = before.iter().map(|item| sign(item, by_type)).zip(0..).collect();
                for item in given {
                    match there.get(&sign(&item, by_type)).and_then(|place| before.get_mut(*place)) {
                        Some(known) => *known = merged(Some(known.take()), Some(item)).unwrap_or_default(),
                        None => {
                            there.insert(sign(&item, by_type), before.len());
                            before.push(item);
                        }
                    }
                }
                Ok(before)
            }
        }
    }

    fn some_values(
        &self,
        attribute: Option<&'static Attribute>,
        filter: Option<&super::Filter>,
        part: Option<&str>,
        before: Vec<Value>,
        value: Value,
    ) -> Result<Vec<Value>, Refusal> {
        let (mut after, mut met) = (Vec::with_capacity(before.len()), false);
        for item in before {
            if filter.is_some_and(|filter| !filter.fits_value(attribute, &item)) {
                after.push(item);
                continue;
            }
            met = true;
            after.extend(self.single(attribute, part, Some(item), value.clone())?);
        }
        if met || self.verb == Verb::Remove {
            return Ok(after);
        }
        if self.verb == Verb::Replace && filter.is_some() {
            return Err(Refusal::of("noTarget", "no value is like that; `add` makes one"));
        }
        let made = filter.map(super::Filter::made).filter(|made| !made.is_empty()).map(Value::Object);
        after.extend(self.single(attribute, part, made, value)?);
        Ok(after)
    }
}

/// A value as it is kept.
fn taken(attribute: Option<&'static Attribute>, value: Value) -> Result<Option<Value>, Refusal> {
    match attribute {
        // One of several is like one alone.
        Some(attribute) if attribute.is_multi => Ok(match value_of(attribute, value)? {
            Some(Value::Array(items)) => items.into_iter().next(),
            other => other,
        }),
        Some(attribute) => value_of(attribute, value),
        None => Ok(Some(value).filter(|value| !value.is_null())),
    }
}

fn taken_all(attribute: Option<&'static Attribute>, value: Value) -> Result<Option<Value>, Refusal> {
    attribute.map_or_else(|| Ok(Some(value.clone()).filter(|value| !value.is_null())), |attribute| value_of(attribute, value.clone()))
}

/// Parts of an object take the place of those that were there; anything else as a whole.
fn merged(before: Option<Value>, value: Option<Value>) -> Option<Value> {
    match (before, value) {
        (Some(Value::Object(mut object)), Some(Value::Object(more))) => {
            object.extend(more);
            Some(Value::Object(object))
        }
        (_, value) => value,
    }
}

fn is_primary(item: &Value) -> bool {
    item.get("primary") == Some(&Value::Bool(true))
}
