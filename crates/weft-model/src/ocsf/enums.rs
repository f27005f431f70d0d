//! Enums: the values that an attribute may have, with their captions.

/// The place of an enum in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnumId(u32);

impl EnumId {
    /// The enum at this place of the list given to [`super::Schema::new`].
    #[must_use]
    pub fn new(place: usize) -> Self {
        Self(u32::try_from(place).unwrap_or(u32::MAX))
    }

    pub(super) fn place(self) -> usize {
        self.0 as usize
    }
}

/// The values of one attribute. Nearly all are numbers with a caption; a few (`http_method`,
/// `osint.tlp`) are names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enum {
    values: Vec<(i64, Box<str>)>,
    names: Vec<Box<str>>,
}

impl Enum {
    /// An enum from its values as the schema writes them (`"1"` or `"GET"`) with captions.
    #[must_use]
    pub fn new<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut result = Self::default();
        for (value, caption) in values {
            match value.parse() {
                Ok(number) => result.values.push((number, caption.into())),
                Err(_) => result.names.push(value.into()),
            }
        }
        result.values.sort_unstable();
        result.values.dedup_by_key(|(value, _)| *value);
        result
    }

    /// Numbers with captions, by number.
    #[must_use]
    pub fn values(&self) -> &[(i64, Box<str>)] {
        &self.values
    }

    /// Values that are names; empty for nearly every enum.
    #[must_use]
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The caption of a number, none when it is not in the set.
    #[must_use]
    pub fn caption(&self, value: i64) -> Option<&str> {
        let place = self.values.binary_search_by_key(&value, |(value, _)| *value).ok()?;
        self.values.get(place).map(|(_, caption)| &**caption)
    }

    /// The number of a caption, whatever its case; `_` and a space are the same, so that
    /// `account_switch` finds `Account Switch`.
    #[must_use]
    pub fn value_of(&self, caption: &str) -> Option<i64> {
        let same = |left: &str| left.len() == caption.len() && left.bytes().zip(caption.bytes()).all(|(left, right)| folded(left) == folded(right));
        self.values.iter().find(|(_, caption)| same(caption)).map(|(value, _)| *value)
    }

    /// Whether a name is in the set of an enum of names.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|known| **known == *name)
    }

    /// The values for a person, at most `max` of them: `0 Unknown, 1 User, …`.
    #[must_use]
    pub fn listing(&self, max: usize) -> String {
        let total = self.values.len() + self.names.len();
        let numbers = self.values.iter().map(|(value, caption)| format!("{value} {caption}"));
        let mut words: Vec<String> = numbers.chain(self.names.iter().map(|name| name.to_string())).take(max).collect();
        if total > words.len() {
            words.push("…".to_owned());
        }
        words.join(", ")
    }
}

fn folded(byte: u8) -> u8 {
    if byte == b'_' { b' ' } else { byte.to_ascii_lowercase() }
}
