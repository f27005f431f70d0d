//! Attributes of users and groups (RFC 7643, sections 3.1, 4.1, 4.2, 4.3 and 8.7.1), as a table.

use serde_json::{Value, json};

/// Which resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// An account.
    User,
    /// A group of accounts and groups.
    Group,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// An instant.
    Time,
    /// An address.
    Reference,
    /// Base64.
    Binary,
    /// Parts.
    Complex,
}

/// Who may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// Anybody.
    Free,
    /// Nobody but the server.
    ReadOnly,
    /// Set once.
    Once,
    /// Anybody, and nobody reads it.
    WriteOnly,
}

/// When it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    /// Always.
    Always,
    /// Unless it is left out by request.
    Usually,
    /// Never.
    Never,
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// As the standard writes it.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether there may be several.
    pub is_multi: bool,
    /// Whether there has to be one.
    pub is_required: bool,
    /// Whether case counts.
    pub is_exact: bool,
    /// Whether no two resources have the same.
    pub is_unique: bool,
    /// Who may change it.
    pub mutability: Mutability,
    /// When it is given.
    pub returned: Returned,
    /// Attributes of a complex one.
    pub parts: &'static [Attribute],
}

const fn text(name: &'static str) -> Attribute {
    Attribute {
        name,
        kind: Kind::Text,
        is_multi: false,
        is_required: false,
        is_exact: false,
        is_unique: false,
        mutability: Mutability::Free,
        returned: Returned::Usually,
        parts: &[],
    }
}

const fn of(kind: Kind, name: &'static str) -> Attribute {
    Attribute { kind, ..text(name) }
}

const fn complex(name: &'static str, parts: &'static [Attribute]) -> Attribute {
    Attribute { kind: Kind::Complex, parts, ..text(name) }
}

const fn several(name: &'static str, parts: &'static [Attribute]) -> Attribute {
    Attribute { is_multi: true, ..complex(name, parts) }
}

const fn fixed(attribute: Attribute) -> Attribute {
    Attribute { mutability: Mutability::ReadOnly, ..attribute }
}

const fn exact(attribute: Attribute) -> Attribute {
    Attribute { is_exact: true, ..attribute }
}

const fn once(attribute: Attribute) -> Attribute {
    Attribute { mutability: Mutability::Once, ..attribute }
}

/// Parts of an attribute with several values (section 2.4).
const PLURAL: [Attribute; 4] = [text("value"), text("display"), text("type"), of(Kind::Flag, "primary")];
const LINKS: [Attribute; 4] = [of(Kind::Reference, "value"), text("display"), text("type"), of(Kind::Flag, "primary")];
const CERTIFICATES: [Attribute; 4] = [of(Kind::Binary, "value"), text("display"), text("type"), of(Kind::Flag, "primary")];
const NAME: [Attribute; 6] = [text("formatted"), text("familyName"), text("givenName"), text("middleName"), text("honorificPrefix"), text("honorificSuffix")];
const ADDRESS: [Attribute; 8] =
    [text("formatted"), text("streetAddress"), text("locality"), text("region"), text("postalCode"), text("country"), text("type"), of(Kind::Flag, "primary")];
const IN_GROUPS: [Attribute; 4] = [fixed(exact(text("value"))), fixed(of(Kind::Reference, "$ref")), fixed(text("display")), fixed(text("type"))];
const MEMBERS: [Attribute; 4] = [once(exact(text("value"))), once(of(Kind::Reference, "$ref")), once(text("type")), text("display")];
const MANAGER: [Attribute; 3] = [exact(text("value")), of(Kind::Reference, "$ref"), fixed(text("displayName"))];
const META: [Attribute; 5] = [
    fixed(exact(text("resourceType"))),
    fixed(of(Kind::Time, "created")),
    fixed(of(Kind::Time, "lastModified")),
    fixed(of(Kind::Reference, "location")),
    fixed(exact(text("version"))),
];

/// What every resource has.
pub(super) const COMMON: [Attribute; 4] = [
    Attribute { is_multi: true, is_exact: true, returned: Returned::Always, ..of(Kind::Reference, "schemas") },
    Attribute { returned: Returned::Always, ..fixed(exact(text("id"))) },
    exact(text("externalId")),
    fixed(complex("meta", &META)),
];

const USER: [Attribute; 21] = [
    Attribute { is_required: true, is_unique: true, ..text("userName") },
    complex("name", &NAME),
    text("displayName"),
    text("nickName"),
    of(Kind::Reference, "profileUrl"),
    text("title"),
    text("userType"),
    text("preferredLanguage"),
    text("locale"),
    text("timezone"),
    of(Kind::Flag, "active"),
    Attribute { mutability: Mutability::WriteOnly, returned: Returned::Never, ..text("password") },
    several("emails", &PLURAL),
    several("phoneNumbers", &PLURAL),
    several("ims", &PLURAL),
    several("photos", &LINKS),
    several("addresses", &ADDRESS),
    fixed(several("groups", &IN_GROUPS)),
    several("entitlements", &PLURAL),
    several("roles", &PLURAL),
    several("x509Certificates", &CERTIFICATES),
];
const ENTERPRISE: [Attribute; 6] =
    [text("employeeNumber"), text("costCenter"), text("organization"), text("division"), text("department"), complex("manager", &MANAGER)];
const GROUP: [Attribute; 2] = [Attribute { is_required: true, ..text("displayName") }, several("members", &MEMBERS)];

/// A schema.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its URN.
    pub urn: &'static str,
    /// Short name.
    pub name: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

/// The schemas that are known by heart.
pub(super) const SCHEMAS: [Schema; 3] = [
    Schema { urn: "urn:ietf:params:scim:schemas:core:2.0:User", name: "User", attributes: &USER },
    Schema { urn: "urn:ietf:params:scim:schemas:core:2.0:Group", name: "Group", attributes: &GROUP },
    Schema { urn: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", name: "EnterpriseUser", attributes: &ENTERPRISE },
];

impl Form {
    /// Both.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// Its name.
    pub fn name(self) -> &'static str {
        self.core().name
    }

    /// Last part of its address.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// The schema that each has.
    pub fn core(self) -> Schema {
        let [user, group, _] = SCHEMAS;
        if self == Self::User { user } else { group }
    }

    /// The schema that it may have beside it, if there is one.
    pub fn extension(self) -> Option<Schema> {
        let [.., enterprise] = SCHEMAS;
        (self == Self::User).then_some(enterprise)
    }

    /// Its description (RFC 7643, section 6).
    pub fn resource_type(self, base: &str) -> Value {
        let extensions: Vec<Value> = self.extension().iter().map(|schema| json!({"schema": schema.urn, "required": false})).collect();
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"], "id": self.name(), "name": self.name(),
            "endpoint": format!("/{}", self.endpoint()), "schema": self.core().urn, "schemaExtensions": extensions,
            "meta": {"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", self.name())},
        })
    }
}

impl Schema {
    /// Every one that is known.
    pub fn all() -> &'static [Self] {
        &SCHEMAS
    }

    /// Its description (RFC 7643, section 7).
    pub fn to_json(&self, base: &str) -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"], "id": self.urn, "name": self.name,
            "attributes": self.attributes.iter().map(Attribute::described).collect::<Vec<_>>(),
            "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{}", self.urn)},
        })
    }
}

impl Attribute {
    fn described(&self) -> Value {
        let kind = match self.kind {
            Kind::Text => "string",
            Kind::Flag => "boolean",
            Kind::Time => "dateTime",
            Kind::Reference => "reference",
            Kind::Binary => "binary",
            Kind::Complex => "complex",
        };
        let mutability = match self.mutability {
            Mutability::Free => "readWrite",
            Mutability::ReadOnly => "readOnly",
            Mutability::Once => "immutable",
            Mutability::WriteOnly => "writeOnly",
        };
        let returned = match self.returned {
            Returned::Always => "always",
            Returned::Usually => "default",
            Returned::Never => "never",
        };
        let mut body = json!({
            "name": self.name, "type": kind, "multiValued": self.is_multi, "required": self.is_required, "caseExact": self.is_exact,
            "mutability": mutability, "returned": returned, "uniqueness": if self.is_unique { "server" } else { "none" },
        });
        if let (false, Some(body)) = (self.parts.is_empty(), body.as_object_mut()) {
            body.insert("subAttributes".to_owned(), self.parts.iter().map(Self::described).collect());
        }
        if let (Kind::Reference, Some(body)) = (self.kind, body.as_object_mut()) {
            body.insert("referenceTypes".to_owned(), json!(["external", "uri", "User", "Group"]));
        }
        body
    }

    /// A part by its name, in any case.
    pub(super) fn part(&self, name: &str) -> Option<&'static Self> {
        find(self.parts, name)
    }
}

/// An attribute by its name, in any case.
pub(super) fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}
