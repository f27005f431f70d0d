//! What can be wrong with an event.

use std::fmt;

/// Whether the event is not OCSF, or OCSF that could be better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The event is not valid.
    Error,
    /// The event is valid; a newer or plainer form exists.
    Warning,
}

/// The rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// No `class_uid`, or none that the schema has.
    UnknownClass,
    /// An attribute that the class or object does not have.
    UnknownAttribute,
    /// A JSON value of another type.
    WrongType,
    /// A list where one value belongs, or the reverse.
    Array,
    /// A required attribute is not there.
    MissingRequired,
    /// A value outside of the enum.
    NotInEnum,
    /// None of a group of attributes is there.
    AtLeastOne,
    /// None or several of a group are there, of which there must be one.
    JustOne,
    /// `type_uid` is not `class_uid` times 100 plus `activity_id`.
    TypeUid,
    /// A number outside of its type's range.
    OutOfRange,
    /// A text that is not in its type's form.
    Format,
    /// Nested deeper than is looked at.
    TooDeep,
    /// More errors than are listed.
    TooMany,
    /// More warnings than are listed.
    MoreWarnings,
    /// Deprecated class or attribute.
    Deprecated,
    /// An attribute of a profile that `metadata.profiles` does not name.
    Profile,
    /// The text beside an enum value is not that value's caption.
    Sibling,
}

impl Kind {
    /// Whether an event with such a violation is still valid.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::Deprecated | Self::MoreWarnings | Self::Profile | Self::Sibling => Level::Warning,
            _ => Level::Error,
        }
    }
}

/// One thing that is wrong with one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: `answers[2].rdata`; empty for the event as a whole.
    pub path: String,
    /// The rule that is broken.
    pub kind: Kind,
    /// For a person, without the path.
    pub message: String,
}

impl Violation {
    /// Whether the event is still valid.
    #[must_use]
    pub fn level(&self) -> Level {
        self.kind.level()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}
