//! OCSF 1.8 as tables: which classes, objects, attributes and enum values there are.
//!
//! [`schema`] is the built-in version: OCSF 1.8 with the Windows extension, the Linux and macOS
//! attributes of a process, and every profile folded in and marked. It is parsed once, in a few
//! milliseconds, from a table of about 115 kB that `cargo xtask ocsf` writes; a schema of the
//! user's own has the same type ([`Schema::new`]).
//!
//! What this module deliberately does not know: events, JSON, Arrow, how a value is checked
//! (that is `weft-ingest`), and the schema's prose.

mod enums;
mod load;
mod path;
mod types;

pub use enums::{Enum, EnumId};
pub use load::TableError;
pub use path::{PathError, Resolved, nearest};
pub use types::{Attribute, Class, Constraints, Object, ObjectId, Requirement, Type};

use std::collections::HashMap;
use std::sync::LazyLock;

/// The tables as `cargo xtask ocsf` writes them.
const TABLES: &str = include_str!("tables.txt");

// INVARIANT: the embedded tables parse; the test `tables_are_whole` below holds it. An empty
// schema instead of a panic keeps this crate free of panics.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| load::parse(TABLES).unwrap_or_default());

/// The built-in schema.
#[must_use]
pub fn schema() -> &'static Schema {
    &SCHEMA
}

/// One version of OCSF, complete: parents, profiles and datetime siblings are folded in.
#[derive(Debug, Default)]
pub struct Schema {
    version: Box<str>,
    classes: Vec<Class>,
    objects: Vec<Object>,
    enums: Vec<Enum>,
    class_names: HashMap<Box<str>, usize>,
    object_names: HashMap<Box<str>, ObjectId>,
}

impl Schema {
    /// A schema from its parts. An [`ObjectId`] is the place in `objects`, an [`EnumId`] the place
    /// in `enums`; attributes are brought into order here.
    #[must_use]
    pub fn new(version: &str, mut classes: Vec<Class>, mut objects: Vec<Object>, enums: Vec<Enum>) -> Self {
        classes.sort_by_key(|class| class.uid);
        for attributes in classes.iter_mut().map(|class| &mut class.attributes).chain(objects.iter_mut().map(|object| &mut object.attributes)) {
            attributes.sort_by(|left, right| left.name.cmp(&right.name));
        }
        let class_names = classes.iter().enumerate().map(|(place, class)| (class.name.clone(), place)).collect();
        let object_names = objects.iter().enumerate().map(|(place, object)| (object.name.clone(), ObjectId::new(place))).collect();
        Self { version: version.into(), classes, objects, enums, class_names, object_names }
    }

    /// The version that events carry in `metadata.version`, for example `1.8.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All classes, by uid; abstract ones (`iam`, `network`) are not among them, the base event (0) is.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// All objects; an [`ObjectId`] is the place in this list.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The class with this uid, for example 3002.
    #[must_use]
    pub fn class(&self, uid: u32) -> Option<&Class> {
        self.classes.binary_search_by_key(&uid, |class| class.uid).ok().and_then(|place| self.classes.get(place))
    }

    /// The class with this name, with or without its extension (`win/registry_key_activity`).
    #[must_use]
    pub fn class_by_name(&self, name: &str) -> Option<&Class> {
        self.class_names.get(without_extension(name)).and_then(|place| self.classes.get(*place))
    }

    /// The object with this name, with or without its extension (`win/reg_key`).
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.object_id(name).and_then(|id| self.object_at(id))
    }

    /// The place of the object with this name.
    #[must_use]
    pub fn object_id(&self, name: &str) -> Option<ObjectId> {
        self.object_names.get(without_extension(name)).copied()
    }

    /// The object at a place, as [`Attribute::object`] gives it.
    #[must_use]
    pub fn object_at(&self, id: ObjectId) -> Option<&Object> {
        self.objects.get(id.place())
    }

    /// The object that values of an attribute are; none for a scalar.
    #[must_use]
    pub fn object_of(&self, attribute: &Attribute) -> Option<&Object> {
        attribute.object.and_then(|id| self.object_at(id))
    }

    /// The enum at a place, as [`Attribute::enum_`] gives it.
    #[must_use]
    pub fn enum_at(&self, id: EnumId) -> Option<&Enum> {
        self.enums.get(id.place())
    }

    /// The enum that values of an attribute are of.
    #[must_use]
    pub fn enum_of(&self, attribute: &Attribute) -> Option<&Enum> {
        attribute.enum_.and_then(|id| self.enum_at(id))
    }

    /// The caption of a `type_uid`: `Authentication: Logon` for 300201.
    #[must_use]
    pub fn type_name(&self, type_uid: u64) -> Option<String> {
        let class = self.class(u32::try_from(type_uid / 100).ok()?)?;
        let activities = self.enum_of(class.attribute("activity_id")?)?;
        let activity = activities.caption(i64::try_from(type_uid % 100).ok()?)?;
        Some(format!("{}: {activity}", class.caption))
    }
}

/// Names are unique without their extension in every published schema, so that `win/reg_key` and
/// `reg_key` mean the same.
fn without_extension(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, name)| name)
}

#[cfg(test)]
mod tests;
