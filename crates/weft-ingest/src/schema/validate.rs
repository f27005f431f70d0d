//! The walk over one event.

use super::format;
use super::violation::{Kind, Level, Violation};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use weft_model::ocsf::{Attribute, Class, Constraints, Enum, Requirement, Schema, Type, nearest, schema};

/// Objects in objects; OCSF events nest below ten, a `process` may have parents without end.
const DEPTH_MAX: usize = 32;
/// Errors, and also warnings, listed for one event; what is beyond is said in one line each.
const LISTED_PER_LEVEL_MAX: usize = 100;
/// Enum values listed in one message.
const LISTED_MAX: usize = 12;
/// The last millisecond of the year 9999: beyond are microseconds taken for milliseconds.
const TIMESTAMP_MAX: i64 = 253_402_300_799_999;
/// The first millisecond of the year 1.
const TIMESTAMP_MIN: i64 = -62_135_596_800_000;

/// Checks events against one schema. Build it once; it holds no state between events.
pub struct Validator {
    schema: Held,
    required_of_class: HashMap<u32, Vec<Arc<Attribute>>>,
    required_of_object: Vec<Vec<Arc<Attribute>>>,
}

enum Held {
    BuiltIn,
    Own(Box<Schema>),
}

impl Default for Validator {
    fn default() -> Self {
        Self::held(Held::BuiltIn)
    }
}

impl Validator {
    /// Checks against the built-in schema.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks against a schema of the user's own, see [`super::load_compiled`].
    #[must_use]
    pub fn with(schema: Schema) -> Self {
        Self::held(Held::Own(Box::new(schema)))
    }

    fn held(held: Held) -> Self {
        let mut validator = Self { schema: held, required_of_class: HashMap::new(), required_of_object: Vec::new() };
        let required = |attributes: &[Arc<Attribute>]| attributes.iter().filter(|attribute| attribute.requirement == Requirement::Required).cloned().collect();
        let of_class = validator.schema().classes().iter().map(|class| (class.uid, required(&class.attributes))).collect();
        let of_object = validator.schema().objects().iter().map(|object| required(&object.attributes)).collect();
        validator.required_of_class = of_class;
        validator.required_of_object = of_object;
        validator
    }

    /// The schema that events are checked against.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        match &self.schema {
            Held::BuiltIn => schema(),
            Held::Own(schema) => schema,
        }
    }

    /// Everything that is wrong with an event, in the event's order; empty when nothing is.
    #[must_use]
    pub fn validate(&self, event: &Value) -> Vec<Violation> {
        let mut walk = Walk { validator: self, schema: self.schema(), profiles: applied_profiles(event), found: Vec::new(), errors: 0, warnings: 0 };
        let root = Path { above: None, step: Step::Root };
        let Some(members) = event.as_object() else {
            walk.report(&root, Kind::WrongType, format!("an event is an object, not {}", json_type(event)));
            return walk.found;
        };
        match self.class_of(members) {
            Ok(class) => walk.event(class, members, &root),
            Err(message) => walk.report(&Path { above: Some(&root), step: Step::Name("class_uid") }, Kind::UnknownClass, message),
        }
        walk.finish()
    }

    fn class_of(&self, event: &Map<String, Value>) -> Result<&Class, String> {
        let value = event.get("class_uid").filter(|value| !value.is_null()).ok_or("is missing, so nothing can be checked")?;
        let uid = value.as_u64().and_then(|uid| u32::try_from(uid).ok()).ok_or_else(|| format!("{value} is not a class number"))?;
        self.schema().class(uid).ok_or_else(|| format!("{uid} is not a class of OCSF {}", self.schema().version()))
    }
}

fn applied_profiles(event: &Value) -> Vec<&str> {
    let profiles = event.get("metadata").and_then(|metadata| metadata.get("profiles")).and_then(Value::as_array);
    profiles.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Where the walk is; spelled out only when something is wrong there.
#[derive(Clone, Copy)]
struct Path<'a> {
    above: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Name(&'a str),
    Place(usize),
}

impl Path<'_> {
    fn spell(&self, into: &mut String) {
        if let Some(above) = self.above {
            above.spell(into);
        }
        match self.step {
            Step::Root => {}
            Step::Place(place) => {
                let _ = write!(into, "[{place}]");
            }
            Step::Name(name) => {
                if !into.is_empty() {
                    into.push('.');
                }
                into.push_str(name);
            }
        }
    }
}

/// What one class or object asks of its members.
struct Shape<'s> {
    name: &'s str,
    attributes: &'s [Arc<Attribute>],
    required: &'s [Arc<Attribute>],
    constraints: &'s Constraints,
}

struct Walk<'s> {
    validator: &'s Validator,
    schema: &'s Schema,
    profiles: Vec<&'s str>,
    found: Vec<Violation>,
    errors: usize,
    warnings: usize,
}

impl<'s> Walk<'s> {
    fn report(&mut self, path: &Path<'_>, kind: Kind, message: String) {
        let count = match kind.level() {
            Level::Error => &mut self.errors,
            Level::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count > LISTED_PER_LEVEL_MAX {
            return;
        }
        let mut spelled = String::new();
        path.spell(&mut spelled);
        self.found.push(Violation { path: spelled, kind, message });
    }

    fn finish(mut self) -> Vec<Violation> {
        for (count, kind, name) in [(self.errors, Kind::TooMany, "errors"), (self.warnings, Kind::MoreWarnings, "warnings")] {
            if let Some(more) = count.checked_sub(LISTED_PER_LEVEL_MAX).filter(|more| *more > 0) {
                self.found.push(Violation { path: String::new(), kind, message: format!("{more} more {name} are not listed") });
            }
        }
        self.found
    }

    fn event(&mut self, class: &'s Class, members: &'s Map<String, Value>, root: &Path<'_>) {
        let required = self.validator.required_of_class.get(&class.uid).map_or(&[] as &[_], Vec::as_slice);
        if class.deprecated {
            self.report(&Path { above: Some(root), step: Step::Name("class_uid") }, Kind::Deprecated, format!("class `{}` is deprecated", class.name));
        }
        self.members(&Shape { name: &class.name, attributes: &class.attributes, required, constraints: &class.constraints }, members, root, 0);
        let number = |name: &str| members.get(name).and_then(Value::as_u64);
        if let (Some(activity), Some(written)) = (number("activity_id"), number("type_uid")) {
            let computed = u64::from(class.uid).saturating_mul(100).saturating_add(activity);
            if written != computed {
                self.report(
                    &Path { above: Some(root), step: Step::Name("type_uid") },
                    Kind::TypeUid,
                    format!("{written} is not {computed}, which is `class_uid` times 100 plus `activity_id`"),
                );
            }
        }
    }

    fn members(&mut self, shape: &Shape<'s>, members: &'s Map<String, Value>, path: &Path<'_>, depth: usize) {
        for (name, value) in members {
            let here = Path { above: Some(path), step: Step::Name(name) };
            let found = shape.attributes.binary_search_by(|attribute| (*attribute.name).cmp(name.as_str()));
            match found.ok().and_then(|place| shape.attributes.get(place)) {
                Some(attribute) if !value.is_null() => self.attribute(attribute, value, members, &here, depth),
                Some(_) => {}
                None => self.unknown(shape, name, &here),
            }
        }
        for attribute in shape.required {
            let applies = !attribute.is_of_profile() || attribute.profiles.iter().any(|profile| self.has_profile(profile));
            if applies && members.get(&*attribute.name).is_none_or(Value::is_null) {
                let here = Path { above: Some(path), step: Step::Name(&attribute.name) };
                self.report(&here, Kind::MissingRequired, format!("is required in `{}` and missing", shape.name));
            }
        }
        self.constraints(shape, members, path);
    }

    fn unknown(&mut self, shape: &Shape<'_>, name: &str, here: &Path<'_>) {
        // The search for near names is the one costly thing here, and not worth it unlisted.
        if self.errors >= LISTED_PER_LEVEL_MAX {
            self.errors += 1;
            return;
        }
        let near = nearest(name, shape.attributes.iter().map(|attribute| &*attribute.name));
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean `{}`?", near.join("`, `")) };
        self.report(here, Kind::UnknownAttribute, format!("is not an attribute of `{}`{hint}", shape.name));
    }

    fn constraints(&mut self, shape: &Shape<'_>, members: &Map<String, Value>, path: &Path<'_>) {
        let Constraints { at_least_one, just_one } = shape.constraints;
        if !at_least_one.is_empty() && !at_least_one.iter().any(|name| is_there(members, name)) {
            self.report(path, Kind::AtLeastOne, format!("`{}` needs at least one of `{}`", shape.name, at_least_one.join("`, `")));
        }
        if !just_one.is_empty() {
            let there = just_one.iter().filter(|name| is_there(members, name)).count();
            if there != 1 {
                self.report(path, Kind::JustOne, format!("`{}` needs exactly one of `{}` and has {there}", shape.name, just_one.join("`, `")));
            }
        }
    }

    fn has_profile(&self, profile: &str) -> bool {
        let plain = |name: &str| -> usize { name.rfind('/').map_or(0, |slash| slash + 1) };
        self.profiles.iter().any(|applied| *applied == profile || *applied == profile.get(plain(profile)..).unwrap_or_default())
    }

    fn attribute(&mut self, attribute: &'s Attribute, value: &'s Value, beside: &'s Map<String, Value>, here: &Path<'_>, depth: usize) {
        if attribute.deprecated {
            self.report(here, Kind::Deprecated, "is deprecated".to_owned());
        }
        if depth == 0 && attribute.is_of_profile() && !attribute.profiles.iter().any(|profile| self.has_profile(profile)) {
            self.report(here, Kind::Profile, format!("belongs to profile `{}`, which `metadata.profiles` does not name", attribute.profiles.join("` or `")));
        }
        match value {
            Value::Array(items) if attribute.is_array => {
                for (place, item) in items.iter().enumerate() {
                    self.value(attribute, item, &Path { above: Some(here), step: Step::Place(place) }, depth);
                }
            }
            Value::Array(_) if attribute.type_ != Type::Json => self.report(here, Kind::Array, format!("is one {}, not a list", attribute.type_.name())),
            _ if attribute.is_array => self.report(here, Kind::Array, format!("is a list of {}, not {}", attribute.type_.name(), json_type(value))),
            _ => {
                self.value(attribute, value, here, depth);
                self.sibling(attribute, value, beside, here);
            }
        }
    }

    fn value(&mut self, attribute: &'s Attribute, value: &'s Value, here: &Path<'_>, depth: usize) {
        match attribute.type_ {
            Type::Json => return,
            Type::Object => return self.object(attribute, value, here, depth),
            Type::Boolean if value.is_boolean() => {}
            Type::Float if value.is_number() => {}
            Type::Integer | Type::Long | Type::Port | Type::Timestamp if value.is_i64() || value.is_u64() => self.range(attribute.type_, value, here),
            type_ if type_.is_text() => match value.as_str() {
                Some(text) => {
                    if let Some(expected) = format::expected(type_, text) {
                        self.report(here, Kind::Format, format!("{} is not {expected}", shortened(value)));
                    }
                }
                None => return self.wrong_type(attribute, value, here),
            },
            _ => return self.wrong_type(attribute, value, here),
        }
        // `type_uid` has a rule of its own, which says more.
        if let Some(set) = self.schema.enum_of(attribute)
            && !is_member(set, value)
            && &*attribute.name != "type_uid"
        {
            self.report(here, Kind::NotInEnum, format!("{} is not one of {}", shortened(value), set.listing(LISTED_MAX)));
        }
    }

    fn object(&mut self, attribute: &'s Attribute, value: &'s Value, here: &Path<'_>, depth: usize) {
        let (Some(members), Some(id)) = (value.as_object(), attribute.object) else {
            return self.wrong_type(attribute, value, here);
        };
        let Some(object) = self.schema.object_at(id).filter(|object| !object.is_free()) else { return };
        if depth >= DEPTH_MAX {
            return self.report(here, Kind::TooDeep, format!("is nested deeper than {DEPTH_MAX} objects"));
        }
        let required = self.validator.required_of_object.get(id.place()).map_or(&[] as &[_], Vec::as_slice);
        self.members(&Shape { name: &object.name, attributes: &object.attributes, required, constraints: &object.constraints }, members, here, depth + 1);
    }

    fn wrong_type(&mut self, attribute: &Attribute, value: &Value, here: &Path<'_>) {
        let object = self.schema.object_of(attribute).map_or_else(String::new, |object| format!(" `{}`", object.name));
        self.report(here, Kind::WrongType, format!("{} is {}, not {}{object}", shortened(value), json_type(value), attribute.type_.name()));
    }

    fn range(&mut self, type_: Type, value: &Value, here: &Path<'_>) {
        let range = match type_ {
            Type::Port => 0..=65_535,
            Type::Timestamp => TIMESTAMP_MIN..=TIMESTAMP_MAX,
            _ => i64::MIN..=i64::MAX,
        };
        if !value.as_i64().is_some_and(|number| range.contains(&number)) {
            let unit = if type_ == Type::Timestamp { " milliseconds since 1970" } else { "" };
            self.report(here, Kind::OutOfRange, format!("{value} is outside of {} to {}{unit}", range.start(), range.end()));
        }
    }

    /// The caption beside an enum value says the same, except beside `Other`, where it is the
    /// source's own word.
    fn sibling(&mut self, attribute: &Attribute, value: &Value, beside: &Map<String, Value>, here: &Path<'_>) {
        let Some(name) = &attribute.sibling else { return };
        let (Some(number), Some(written)) = (value.as_i64(), beside.get(&**name).and_then(Value::as_str)) else { return };
        let caption = match self.schema.enum_of(attribute) {
            Some(set) if number != 99 => set.caption(number).map(str::to_owned),
            None if &*attribute.name == "type_uid" => u64::try_from(number).ok().and_then(|uid| self.schema.type_name(uid)),
            _ => None,
        };
        if let Some(caption) = caption.filter(|caption| !caption.eq_ignore_ascii_case(written)) {
            self.report(here, Kind::Sibling, format!("{number} means `{caption}`, but `{name}` is `{written}`"));
        }
    }
}

/// Whether a name, or a dotted path of a constraint, has a value.
fn is_there(members: &Map<String, Value>, path: &str) -> bool {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| members.get(name));
    names.try_fold(first, |value, name| value.map(|value| value.get(name))).flatten().is_some_and(|value| !value.is_null())
}

fn is_member(set: &Enum, value: &Value) -> bool {
    match value {
        Value::String(text) => set.has_name(text),
        _ => value.as_i64().is_some_and(|number| set.caption(number).is_some()),
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value as a message shows it: the first characters, on one line.
fn shortened(value: &Value) -> String {
    const SHOWN_MAX: usize = 60;
    match value {
        Value::Object(_) | Value::Array(_) => "the value".to_owned(),
        Value::String(text) => {
            let shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
            if text.chars().nth(SHOWN_MAX).is_some() { format!("`{shown}…`") } else { format!("`{shown}`") }
        }
        _ => value.to_string(),
    }
}
