//! Attributes, classes and objects.

use super::enums::EnumId;
use std::sync::Arc;

/// The place of an object in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId(u32);

impl ObjectId {
    /// The object at this place of the list given to [`super::Schema::new`].
    #[must_use]
    pub fn new(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// The place in [`super::Schema::objects`].
    #[must_use]
    pub fn place(self) -> usize {
        self.0 as usize
    }
}

/// What a value is; OCSF's names without `_t`.
#[allow(missing_docs, reason = "the names are the field's own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Boolean,
    Bytestring,
    /// RFC 3339 text.
    Datetime,
    Email,
    FileHash,
    FileName,
    FilePath,
    Float,
    Hostname,
    /// Signed; OCSF sets no width.
    Integer,
    Ip,
    /// Any JSON value.
    Json,
    Long,
    Mac,
    /// One of the schema's objects, see [`Attribute::object`].
    Object,
    Port,
    ProcessName,
    RegKeyPath,
    ResourceUid,
    String,
    Subnet,
    /// Milliseconds since 1970.
    Timestamp,
    Url,
    Username,
    Uuid,
}

/// Every scalar type: its name without `_t`, and its observable type, if the schema marks it.
const TYPES: [(&str, Type, Option<u16>); 25] = [
    ("boolean", Type::Boolean, None),
    ("bytestring", Type::Bytestring, None),
    ("datetime", Type::Datetime, None),
    ("email", Type::Email, Some(5)),
    ("file_hash", Type::FileHash, Some(8)),
    ("file_name", Type::FileName, Some(7)),
    ("file_path", Type::FilePath, Some(45)),
    ("float", Type::Float, None),
    ("hostname", Type::Hostname, Some(1)),
    ("integer", Type::Integer, None),
    ("ip", Type::Ip, Some(2)),
    ("json", Type::Json, None),
    ("long", Type::Long, None),
    ("mac", Type::Mac, Some(3)),
    ("object", Type::Object, None),
    ("port", Type::Port, Some(11)),
    ("process_name", Type::ProcessName, Some(9)),
    ("reg_key_path", Type::RegKeyPath, Some(46)),
    ("resource_uid", Type::ResourceUid, Some(10)),
    ("string", Type::String, None),
    ("subnet", Type::Subnet, Some(12)),
    ("timestamp", Type::Timestamp, None),
    ("url", Type::Url, Some(6)),
    ("username", Type::Username, Some(4)),
    ("uuid", Type::Uuid, None),
];

impl Type {
    /// The type with this name, with or without `_t`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix("_t").unwrap_or(name);
        TYPES.iter().find(|(known, ..)| *known == name).map(|(_, type_, _)| *type_)
    }

    /// OCSF's name without `_t`.
    #[must_use]
    pub fn name(self) -> &'static str {
        TYPES.iter().find(|(_, type_, _)| *type_ == self).map_or("json", |(name, ..)| name)
    }

    /// The `observable.type_id` that the schema gives every value of this type: 2 for an address.
    #[must_use]
    pub fn observable_type_id(self) -> Option<u16> {
        TYPES.iter().find(|(_, type_, _)| *type_ == self).and_then(|(.., observable)| *observable)
    }

    /// Whether values are written as JSON text.
    #[must_use]
    pub fn is_text(self) -> bool {
        !matches!(self, Self::Boolean | Self::Float | Self::Integer | Self::Json | Self::Long | Self::Object | Self::Port | Self::Timestamp)
    }
}

/// Whether an event must, should or may have an attribute.
#[allow(missing_docs, reason = "OCSF's words")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Requirement {
    Required,
    Recommended,
    Optional,
}

/// One attribute of one class or object.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name in the event: `severity_id`.
    pub name: Box<str>,
    /// What its values are.
    pub type_: Type,
    /// Which object, when the type is [`Type::Object`].
    pub object: Option<ObjectId>,
    /// Whether the value is a list of that type.
    pub is_array: bool,
    /// For a profile's attribute it counts only when the profile is applied.
    pub requirement: Requirement,
    /// The set of values, when there is one.
    pub enum_: Option<EnumId>,
    /// The attribute beside it that carries the caption: `severity` for `severity_id`.
    pub sibling: Option<Box<str>>,
    /// The profiles that bring it; empty when the class or object itself has it.
    pub profiles: Vec<Box<str>>,
    /// Deprecated in this version.
    pub deprecated: bool,
    /// The `observable.type_id` of its values: of the attribute, its type, or its object.
    pub observable: Option<u16>,
}

impl Attribute {
    /// Whether a profile brings it, rather than the class or object.
    #[must_use]
    pub fn is_of_profile(&self) -> bool {
        !self.profiles.is_empty()
    }
}

/// Rules over several attributes of one class or object. Members are names or dotted paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// At least one of these must be there; empty when there is no such rule.
    pub at_least_one: Vec<Box<str>>,
    /// Exactly one of these must be there; empty when there is no such rule.
    pub just_one: Vec<Box<str>>,
}

/// An event class.
#[derive(Clone, Debug)]
pub struct Class {
    /// `authentication`.
    pub name: Box<str>,
    /// `Authentication`.
    pub caption: Box<str>,
    /// `class_uid`: 3002, or 201001 with the extension's number in front.
    pub uid: u32,
    /// `category_uid`.
    pub category_uid: u32,
    /// `category_name`.
    pub category_name: Box<str>,
    /// Deprecated in this version.
    pub deprecated: bool,
    /// All attributes by name, those of profiles among them.
    pub attributes: Vec<Arc<Attribute>>,
    /// Rules over several attributes.
    pub constraints: Constraints,
}

impl Class {
    /// The attribute with this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }

    /// `type_uid` of an activity of this class.
    #[must_use]
    pub fn type_uid(&self, activity_id: u32) -> u64 {
        u64::from(self.uid) * 100 + u64::from(activity_id)
    }
}

/// An object, which is the value of an attribute.
#[derive(Clone, Debug)]
pub struct Object {
    /// `network_endpoint`.
    pub name: Box<str>,
    /// `Network Endpoint`.
    pub caption: Box<str>,
    /// The `observable.type_id` of the object as a whole.
    pub observable: Option<u16>,
    /// All attributes by name, those of profiles among them. None at all means any.
    pub attributes: Vec<Arc<Attribute>>,
    /// Rules over several attributes.
    pub constraints: Constraints,
}

impl Object {
    /// The attribute with this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        find(&self.attributes, name)
    }

    /// Whether it may hold anything, as `unmapped` does.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.attributes.is_empty()
    }
}

fn find<'a>(attributes: &'a [Arc<Attribute>], name: &str) -> Option<&'a Attribute> {
    let place = attributes.binary_search_by(|attribute| (*attribute.name).cmp(name)).ok()?;
    attributes.get(place).map(|attribute| &**attribute)
}
