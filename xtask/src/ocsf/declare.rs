//! Folds our declaration into the source schema, in the source schema's own form.

use super::Object;
use serde_json::{Map, Value, json};
use toml::{Table, Value as Toml};

/// Extends `source` by `declared` and returns the version that both together are.
pub(super) fn extend(source: &mut Object, declared: &Table) -> Result<String, String> {
    let base = declared.get("base").and_then(Toml::as_str).unwrap_or_default();
    let found = source.get("version").and_then(Value::as_str).unwrap_or_default();
    if found != base {
        return Err(format!("the schema file is version `{found}`, the declaration extends `{base}`"));
    }
    dictionary(source, declared)?;
    let mut profiles = Object::new();
    for (name, attributes) in table(declared, "profiles") {
        profiles.insert(name.clone(), json!({ "attributes": attribute_map(attributes)? }));
    }
    source.insert("profiles".into(), Value::Object(profiles));
    for (kind, key) in [("objects", "objects"), ("classes", "events")] {
        for (name, item) in table(declared, kind) {
            let target = member(source, key).entry(name.clone()).or_insert_with(|| json!({ "name": name, "attributes": {} }));
            structure(name, item, target)?;
        }
    }
    Ok(declared.get("version").and_then(Toml::as_str).unwrap_or_default().to_owned())
}

fn dictionary(source: &mut Object, declared: &Table) -> Result<(), String> {
    let dictionary = member(source, "dictionary");
    let types = member(member(dictionary, "types"), "attributes");
    for (name, item) in table(declared, "types") {
        types.insert(name.clone(), serde_json::to_value(item).map_err(|error| error.to_string())?);
    }
    let attributes = member(dictionary, "attributes");
    for (name, item) in table(declared, "dictionary") {
        let written = item.as_str().ok_or_else(|| format!("dictionary `{name}` needs a type"))?;
        let (type_, is_array) = written.strip_suffix("[]").map_or((written, false), |type_| (type_, true));
        attributes.insert(name.clone(), json!({ "type": type_, "is_array": is_array }));
    }
    for (name, sibling) in table(declared, "siblings") {
        member(attributes, name).insert("sibling".into(), json!(sibling.as_str()));
    }
    for (name, values) in table(declared, "enums") {
        enumerate(member(attributes, name), values);
    }
    Ok(())
}

fn structure(name: &str, item: &Toml, target: &mut Value) -> Result<(), String> {
    let (Some(item), Some(target)) = (item.as_table(), target.as_object_mut()) else {
        return Err(format!("`{name}` is not a table"));
    };
    for key in ["caption", "extends", "extension", "observable", "uid"] {
        if let Some(value) = item.get(key) {
            target.insert(key.into(), serde_json::to_value(value).map_err(|error| error.to_string())?);
        }
    }
    if let Some(constraints) = item.get("constraints") {
        target.insert("constraints".into(), serde_json::to_value(constraints).map_err(|error| error.to_string())?);
    }
    for (kind, names) in table(item, "also") {
        let list = member(target, "constraints").entry(kind.clone()).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.extend(names.as_array().into_iter().flatten().filter_map(Toml::as_str).map(|name| json!(name)));
        }
    }
    let includes: Vec<Value> = item
        .get("profiles")
        .and_then(Toml::as_array)
        .into_iter()
        .flatten()
        .filter_map(Toml::as_str)
        .map(|name| json!(format!("profiles/{name}.json")))
        .collect();
    let attributes = member(target, "attributes");
    if !includes.is_empty() {
        let list = attributes.entry("$include").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.extend(includes);
        }
    }
    if let Some(declared) = item.get("attributes") {
        for (name, value) in attribute_map(declared)? {
            let existing = member(attributes, &name);
            existing.extend(value.as_object().cloned().unwrap_or_default());
        }
    }
    for (name, values) in table(item, "enums") {
        enumerate(member(attributes, name), values);
    }
    Ok(())
}

fn attribute_map(declared: &Toml) -> Result<Object, String> {
    let mut map = Object::new();
    for (name, written) in declared.as_table().into_iter().flatten() {
        let written = written.as_str().ok_or_else(|| format!("attribute `{name}` needs a requirement"))?;
        map.insert(name.clone(), attribute(name, written)?);
    }
    Ok(map)
}

fn attribute(name: &str, written: &str) -> Result<Value, String> {
    let mut map = Object::new();
    for word in written.split_whitespace() {
        match word {
            "required" | "recommended" | "optional" => map.insert("requirement".into(), json!(word)),
            "deprecated" => map.insert("@deprecated".into(), json!({})),
            "open" => map.insert("open".into(), json!(true)),
            _ if word.starts_with('#') => map.insert(
                "observable".into(),
                json!(word.trim_start_matches('#').parse::<u16>().map_err(|_| format!("attribute `{name}`: `{word}` is no observable"))?),
            ),
            _ if word.starts_with("profile=") => map.insert("profile".into(), json!(word.trim_start_matches("profile="))),
            _ => map.insert("type".into(), json!(word)),
        };
    }
    Ok(Value::Object(map))
}

fn enumerate(attribute: &mut Object, values: &Toml) {
    let target = member(attribute, "enum");
    for (value, caption) in values.as_table().into_iter().flatten() {
        target.insert(value.clone(), json!({ "caption": caption.as_str() }));
    }
}

fn table<'a>(table: &'a Table, key: &str) -> impl Iterator<Item = (&'a String, &'a Toml)> {
    table.get(key).and_then(Toml::as_table).into_iter().flatten()
}

/// The member `key` as an object, made if it is missing or something else.
fn member<'a>(map: &'a mut Object, key: &str) -> &'a mut Object {
    let value = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}
