//! Dotted paths into an event: `actor.user.name`, `answers[].rdata`.

use super::Schema;
use super::types::{Attribute, Class, Type};

/// Names offered when a segment is wrong.
const NEAR_MAX: usize = 3;
/// Bytes of a wrong name that is compared at all; the longest attribute has 33.
const NAME_BYTES_MAX: usize = 64;
/// Segments in one path; OCSF's own nesting is far below.
const SEGMENTS_MAX: usize = 32;

/// A path that the schema knows.
#[derive(Clone, Debug)]
pub struct Resolved<'s> {
    /// The class that it starts in.
    pub class: &'s Class,
    /// The attribute of each segment, in order; never empty.
    pub chain: Vec<&'s Attribute>,
    /// What follows below a value that may hold anything: `detail.code` of `unmapped.detail.code`.
    pub free: Option<String>,
}

impl<'s> Resolved<'s> {
    /// The attribute that the path ends in.
    #[must_use]
    pub fn leaf(&self) -> Option<&'s Attribute> {
        self.chain.last().copied()
    }

    /// Whether any segment is a list, so that the path can have several values.
    #[must_use]
    pub fn is_plural(&self) -> bool {
        self.chain.iter().any(|attribute| attribute.is_array)
    }
}

/// Why a path is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is no such class.
    #[error("there is no OCSF class `{uid}`")]
    UnknownClass {
        /// As asked for.
        uid: u32,
    },
    /// Nothing, an empty segment, or far too many.
    #[error("`{path}` is not a path; write attribute names with dots between them")]
    Malformed {
        /// As asked for.
        path: String,
    },
    /// A segment that is not an attribute there.
    #[error("`{path}`: `{segment}` is not an attribute of `{within}`{}", did_you_mean(near))]
    Unknown {
        /// As asked for.
        path: String,
        /// The wrong segment.
        segment: String,
        /// Its place, counted from 0.
        position: usize,
        /// The class or object that was searched.
        within: String,
        /// The nearest names there.
        near: Vec<String>,
    },
    /// A segment below something that holds no attributes.
    #[error("`{path}`: `{segment}` is of type `{type_}` and has no attributes")]
    NotAnObject {
        /// As asked for.
        path: String,
        /// The segment that cannot be descended into.
        segment: String,
        /// Its place, counted from 0.
        position: usize,
        /// Its type.
        type_: &'static str,
    },
}

fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean `{}`?", near.join("`, `")) }
}

impl Schema {
    /// Follows a path from a class. A list may be written `answers` or `answers[]`.
    ///
    /// # Errors
    /// Says which segment is wrong and which names are near it.
    pub fn resolve(&self, class_uid: u32, path: &str) -> Result<Resolved<'_>, PathError> {
        let class = self.class(class_uid).ok_or(PathError::UnknownClass { uid: class_uid })?;
        let malformed = || PathError::Malformed { path: path.to_owned() };
        if path.split('.').count() > SEGMENTS_MAX {
            return Err(malformed());
        }
        let (mut within, mut attributes) = (&*class.name, &class.attributes);
        let mut chain: Vec<&Attribute> = Vec::new();
        let mut rest = path;
        loop {
            let (written, below) = rest.split_once('.').map_or((rest, None), |(written, below)| (written, Some(below)));
            let segment = written.strip_suffix("[]").unwrap_or(written);
            if segment.is_empty() {
                return Err(malformed());
            }
            let found = attributes.binary_search_by(|attribute| (*attribute.name).cmp(segment)).ok().and_then(|place| attributes.get(place));
            let Some(attribute) = found else {
                let near = nearest(segment, attributes.iter().map(|attribute| &*attribute.name));
                return Err(PathError::Unknown { path: path.to_owned(), segment: segment.to_owned(), position: chain.len(), within: within.to_owned(), near });
            };
            chain.push(attribute);
            let Some(below) = below else { return Ok(Resolved { class, chain, free: None }) };
            match self.object_of(attribute) {
                Some(object) if !object.is_free() => (within, attributes) = (&object.name, &object.attributes),
                None if attribute.type_ != Type::Json => {
                    return Err(PathError::NotAnObject {
                        path: path.to_owned(),
                        segment: segment.to_owned(),
                        position: chain.len() - 1,
                        type_: attribute.type_.name(),
                    });
                }
                _ => return Ok(Resolved { class, chain, free: Some(below.to_owned()) }),
            }
            rest = below;
        }
    }
}

/// The names nearest to a wrong one, best first: few letters differ, or one contains the other.
#[must_use]
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    if wrong.len() > NAME_BYTES_MAX {
        return Vec::new();
    }
    let limit = (wrong.len() / 3).clamp(2, 4);
    let score = |name: &str| {
        let distance = distance(wrong, name);
        let contains = wrong.len() > 2 && (name.contains(wrong) || (name.len() > 2 && wrong.contains(name)));
        (distance <= limit).then_some(distance).or(contains.then_some(limit + 1 + distance))
    };
    let mut scored: Vec<(usize, &str)> = names.filter_map(|name| score(name).map(|score| (score, name))).collect();
    scored.sort_unstable();
    scored.into_iter().take(NEAR_MAX).map(|(_, name)| name.to_owned()).collect()
}

/// Levenshtein's distance over bytes, with one row.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (place, from) in left.bytes().enumerate() {
        let mut diagonal = place;
        let mut before = place + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (slot, to) in row.iter_mut().skip(1).zip(right.bytes()) {
            let change = diagonal + usize::from(from != to);
            diagonal = *slot;
            *slot = change.min(diagonal + 1).min(before + 1);
            before = *slot;
        }
    }
    row.last().copied().unwrap_or(0)
}
