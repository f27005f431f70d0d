//! Which column, or which kind of entity, a field name means.

/// What a field name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A column by dotted OCSF path.
    Column(String),
    /// An observable of one of these OCSF types; of any type when empty.
    Observable(&'static [i64]),
}

/// Short names of entities: OCSF observable type ids of the value and of the object.
const ENTITIES: &[(&str, &[i64])] = &[
    ("entity", &[]),
    ("host", &[1, 20]),
    ("ip", &[2]),
    ("mac", &[3]),
    ("user", &[4, 21]),
    ("email", &[5, 22]),
    ("url", &[6, 23]),
    ("file", &[7, 24, 45]),
    ("hash", &[8, 30]),
    ("process", &[9, 25]),
    ("resource", &[10]),
];

/// Short names of columns.
const COLUMNS: &[(&str, &str)] = &[
    ("activity", "activity_name"),
    ("class", "class_name"),
    ("log", "metadata.log_name"),
    ("product", "metadata.product.name"),
    ("trace", "metadata.correlation_uid"),
    ("uid", "metadata.uid"),
    ("vendor", "metadata.product.vendor_name"),
];

/// What the name means.
pub fn resolve(name: &str) -> Target {
    if let Some((_, types)) = ENTITIES.iter().find(|(short, _)| *short == name) {
        return Target::Observable(types);
    }
    let path = COLUMNS.iter().find(|(short, _)| *short == name).map_or(name, |(_, path)| *path);
    Target::Column(path.to_owned())
}

/// Every short name, for completion.
pub fn short_names() -> impl Iterator<Item = &'static str> {
    ENTITIES.iter().map(|(name, _)| *name).chain(COLUMNS.iter().map(|(name, _)| *name))
}
