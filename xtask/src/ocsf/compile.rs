//! Compiles the schema as the OCSF server does: parents and profiles folded in, dictionary
//! definitions, datetime siblings and observables put on each attribute.

use super::{Object, object, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Depth of `extends`; the schema's deepest chain is four.
const PARENTS_MAX: usize = 16;

/// One attribute of a class or object, complete.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Attribute {
    pub(super) name: String,
    /// The scalar type without `_t`, or `object`.
    pub(super) type_: String,
    pub(super) object: Option<String>,
    pub(super) is_array: bool,
    /// `r`, `c` or `o`: required, recommended, optional.
    pub(super) requirement: char,
    pub(super) deprecated: bool,
    pub(super) sibling: Option<String>,
    pub(super) profiles: Vec<String>,
    pub(super) observable: Option<u64>,
    /// Values and captions; empty when the attribute is no enum.
    pub(super) values: Vec<(String, String)>,
}

/// A class or an object, complete.
#[derive(Clone, Debug, Default)]
pub(super) struct Structure {
    pub(super) name: String,
    pub(super) caption: String,
    pub(super) uid: u64,
    pub(super) category: u64,
    pub(super) category_caption: String,
    pub(super) deprecated: bool,
    pub(super) observable: Option<u64>,
    pub(super) at_least_one: Vec<String>,
    pub(super) just_one: Vec<String>,
    pub(super) attributes: Vec<Attribute>,
}

/// Everything that is written to the tables.
pub(super) struct Compiled {
    pub(super) classes: Vec<Structure>,
    pub(super) objects: Vec<Structure>,
}

/// The complete schema. Abstract classes (without uid) and hidden objects (`_entity`) are gone.
pub(super) fn compile(source: &Object) -> Result<Compiled, String> {
    let source = Value::Object(source.clone());
    let mut classes = Vec::new();
    for (name, item) in object(&source, "events") {
        if item.get("uid").is_some() || name == "base_event" {
            classes.push(class(&source, name)?);
        }
    }
    let mut objects = Vec::new();
    for name in object(&source, "objects").keys().filter(|name| !name.starts_with('_')) {
        objects.push(structure(&source, "objects", name)?);
    }
    classes.sort_by_key(|class| class.uid);
    objects.sort_by(|left, right| left.name.cmp(&right.name));
    let observables = observables(&source, &objects);
    for attribute in objects.iter_mut().filter(|object| object.name == "observable").flat_map(|object| &mut object.attributes) {
        if attribute.name == "type_id" {
            attribute.values = sorted(attribute.values.drain(..).chain(observables.clone()).collect());
        }
    }
    Ok(Compiled { classes, objects })
}

fn class(source: &Value, name: &str) -> Result<Structure, String> {
    let mut class = structure(source, "events", name)?;
    let merged = merged(source, "events", name, 0)?;
    let category = object(source, "categories_meta").get("attributes").and_then(|all| all.get(text(&merged, "category")));
    class.category = category.and_then(|category| category.get("uid")).and_then(Value::as_u64).unwrap_or(0);
    class.category_caption = category.map_or("Uncategorized", |category| text(category, "caption")).to_owned();
    if class.uid > 0 && class.uid < 1000 {
        class.uid += class.category * 1000;
    }
    for attribute in &mut class.attributes {
        match attribute.name.as_str() {
            "class_uid" => attribute.values = vec![(class.uid.to_string(), class.caption.clone())],
            "category_uid" => attribute.values = vec![(class.category.to_string(), class.category_caption.clone())],
            _ => {}
        }
    }
    Ok(class)
}

fn structure(source: &Value, kind: &str, name: &str) -> Result<Structure, String> {
    let merged = merged(source, kind, name, 0)?;
    let names = |key: &str| -> Vec<String> {
        let list = merged.get("constraints").and_then(|all| all.get(key)).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut attributes = Vec::new();
    for (name, item) in object(&merged, "attributes") {
        let complete = attribute(source, name, item)?;
        if complete.type_ == "timestamp" {
            attributes.push(datetime_sibling(&complete));
        }
        attributes.push(complete);
    }
    attributes.sort_by(|left, right| left.name.cmp(&right.name));
    attributes.dedup_by(|left, right| left.name == right.name);
    Ok(Structure {
        name: name.to_owned(),
        caption: text(&merged, "caption").to_owned(),
        uid: merged.get("uid").and_then(Value::as_u64).unwrap_or(0),
        deprecated: object(source, kind).get(name).is_some_and(|own| own.get("@deprecated").is_some()),
        observable: merged.get("observable").and_then(Value::as_u64),
        at_least_one: names("at_least_one"),
        just_one: names("just_one"),
        attributes,
        ..Structure::default()
    })
}

/// A class or object with its parents and its profiles folded in: the nearest definition wins,
/// enum values add up.
fn merged(source: &Value, kind: &str, name: &str, depth: usize) -> Result<Value, String> {
    let own = object(source, kind).get(name).ok_or_else(|| format!("`{name}` is not in `{kind}`"))?;
    if depth > PARENTS_MAX {
        return Err(format!("`{name}` extends itself"));
    }
    let mut result = match text(own, "extends") {
        "" => json!({ "attributes": {} }),
        parent => merged(source, kind, parent, depth + 1)?,
    };
    let mut attributes = own.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
    let includes = attributes.remove("$include");
    let mut folded = result.get("attributes").cloned().unwrap_or_else(|| json!({}));
    for include in includes.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let profile = include.trim_start_matches("profiles/").trim_end_matches(".json");
        overlay(&mut folded, &profile_attributes(source, profile)?);
    }
    overlay(&mut folded, &Value::Object(attributes));
    for (key, value) in own.as_object().into_iter().flatten() {
        if key != "attributes"
            && key != "@deprecated"
            && let Some(result) = result.as_object_mut()
        {
            result.insert(key.clone(), value.clone());
        }
    }
    if let Some(result) = result.as_object_mut() {
        result.insert("attributes".into(), folded);
    }
    Ok(result)
}

fn profile_attributes(source: &Value, profile: &str) -> Result<Value, String> {
    let Some(found) = object(source, "profiles").get(profile) else {
        return Err(format!("profile `{profile}` is not declared"));
    };
    let extension = match profile {
        "linux_users" => "linux/",
        "macos_users" => "macos/",
        _ => "",
    };
    let mut attributes = object(found, "attributes").clone();
    for attribute in attributes.values_mut().filter_map(Value::as_object_mut) {
        attribute.insert("profiles".into(), json!([format!("{extension}{profile}")]));
    }
    Ok(Value::Object(attributes))
}

/// Lays `over` upon `under`. `"profile": null` means that a class has the attribute whether or not
/// the profile is applied; profiles that both bring it add up.
fn overlay(under: &mut Value, over: &Value) {
    let (Some(map), Some(over)) = (under.as_object_mut(), over.as_object()) else {
        *under = over.clone();
        return;
    };
    for (key, value) in over {
        match (map.get_mut(key), value) {
            (Some(old @ Value::Object(_)), Value::Object(_)) => overlay(old, value),
            (Some(Value::Array(old)), Value::Array(new)) if key == "profiles" => {
                old.extend(new.iter().filter(|name| !old.contains(name)).cloned().collect::<Vec<_>>());
            }
            _ => {
                map.insert(key.clone(), value.clone());
            }
        }
    }
    if over.get("profile").is_some_and(Value::is_null) {
        map.remove("profiles");
    }
}

fn attribute(source: &Value, name: &str, item: &Value) -> Result<Attribute, String> {
    let dictionary = object(source, "dictionary").get("attributes").and_then(|all| all.get(name));
    let mut complete = dictionary.cloned().unwrap_or_else(|| json!({}));
    overlay(&mut complete, item);
    let written = text(&complete, "type");
    let (type_, object_name) = match written.strip_suffix("_t") {
        Some(scalar) => (scalar.to_owned(), None),
        None if object(source, "objects").contains_key(written) => ("object".to_owned(), Some(written.to_owned())),
        None => return Err(format!("attribute `{name}` has the unknown type `{written}`")),
    };
    let types = object(source, "dictionary").get("types").and_then(|types| types.get("attributes"));
    let of_type = types.and_then(|types| types.get(written)).or_else(|| object(source, "objects").get(written));
    let number = |value: Option<&Value>| value.and_then(|value| value.get("observable")).and_then(Value::as_u64);
    let mut profiles: Vec<String> =
        complete.get("profiles").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    profiles.extend(complete.get("profile").and_then(Value::as_str).map(str::to_owned).filter(|name| !profiles.contains(name)).into_iter().collect::<Vec<_>>());
    let open = complete.get("open").is_some();
    Ok(Attribute {
        name: name.to_owned(),
        type_,
        object: object_name,
        is_array: complete.get("is_array").and_then(Value::as_bool).unwrap_or(false),
        requirement: match text(&complete, "requirement") {
            "required" => 'r',
            "recommended" => 'c',
            _ => 'o',
        },
        deprecated: complete.get("@deprecated").is_some(),
        sibling: complete.get("sibling").and_then(Value::as_str).map(str::to_owned),
        profiles,
        observable: number(Some(&complete)).or_else(|| number(of_type)),
        values: if open {
            Vec::new()
        } else {
            sorted(object(&complete, "enum").iter().map(|(value, item)| (value.clone(), text(item, "caption").to_owned())).collect())
        },
    })
}

/// Profile `datetime` gives each timestamp a sibling in RFC 3339.
fn datetime_sibling(timestamp: &Attribute) -> Attribute {
    Attribute {
        name: format!("{}_dt", timestamp.name),
        type_: "datetime".into(),
        requirement: 'o',
        profiles: vec!["datetime".into()],
        sibling: None,
        ..timestamp.clone()
    }
}

/// The values of `observable.type_id`: every type, dictionary attribute, object and object
/// attribute that the schema marks.
fn observables(source: &Value, objects: &[Structure]) -> Vec<(String, String)> {
    let mut found: BTreeMap<u64, String> = BTreeMap::new();
    let dictionary = object(source, "dictionary");
    let types = dictionary.get("types").map_or_else(Object::default, |types| object(types, "attributes").clone());
    let attributes = dictionary.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
    let marked_objects = object(source, "objects").clone();
    for item in types.values().chain(attributes.values()).chain(marked_objects.values()) {
        if let Some(uid) = item.get("observable").and_then(Value::as_u64) {
            found.entry(uid).or_insert_with(|| text(item, "caption").to_owned());
        }
    }
    for structure in objects {
        let own = marked_objects.get(&structure.name).map(|item| object(item, "attributes"));
        for (name, item) in own.into_iter().flatten() {
            if let Some(uid) = item.get("observable").and_then(Value::as_u64) {
                found.entry(uid).or_insert_with(|| format!("{} Object: {name}", structure.caption));
            }
        }
    }
    found.into_iter().map(|(uid, caption)| (uid.to_string(), caption)).collect()
}

/// Numeric values by number, named ones by name, each once.
fn sorted(mut values: Vec<(String, String)>) -> Vec<(String, String)> {
    values.sort_by_key(|(value, _)| (value.parse::<i64>().unwrap_or(i64::MAX), value.clone()));
    values.dedup_by(|left, right| left.0 == right.0);
    values
}
