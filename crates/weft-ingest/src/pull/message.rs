//! What goes in and out of a session.

use std::collections::BTreeMap;

use bytes::Bytes;
use url::Url;
use weft_model::{Position, RawRecord};

use super::describe::{Description, Method};
use super::place::Place;
use super::seen::Keys;

/// How much of a refusal is told.
const TOLD_CHARS: usize = 200;

/// What an operator gives.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Name of the source.
    pub source: String,
    /// Settings that the description asks for.
    pub values: BTreeMap<String, String>,
    /// Secrets that it asks for.
    pub secrets: BTreeMap<String, String>,
    /// Scheme, host and port instead of the description's: a proxy, or a test.
    pub origin: Option<Url>,
    /// Look-back instead of the description's, milliseconds.
    pub look_back_ms: Option<i64>,
    /// How far back the first walk begins, milliseconds.
    pub initial_ms: Option<i64>,
}

/// Secrets are not for logs.
impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("source", &self.source).field("values", &self.values).finish_non_exhaustive()
    }
}

impl Settings {
    /// What is missing, and what nobody asks for, one line each; values do not matter.
    pub fn faults(&self, description: &Description) -> Vec<String> {
        let mut faults = Vec::new();
        for (what, given, wanted) in [("setting", &self.values, &description.settings), ("secret", &self.secrets, &description.secrets)] {
            let is_there = |name: &String| given.contains_key(name) || what == "setting" && description.defaults.contains_key(name);
            let missing = wanted.iter().filter(|(name, _)| !is_there(name));
            faults.extend(missing.map(|(name, help)| format!("`{}` needs the {what} `{name}`: {help}", description.name)));
            let unknown = given.keys().filter(|name| !wanted.contains_key(*name));
            faults.extend(unknown.map(|name| {
                let known: Vec<&str> = wanted.keys().map(String::as_str).collect();
                let known = if known.is_empty() { format!("it has no {what}s") } else { format!("there are {}", known.join(", ")) };
                format!("`{}` has no {what} `{name}`; {known}", description.name)
            }));
        }
        faults
    }
}

/// A request to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Address.
    pub url: Url,
    /// Names in lower case, with values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<Body>,
}

/// A body with its media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// `application/json`
    Json(String),
    /// `application/x-www-form-urlencoded`
    Form(String),
}

/// An answer, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Names in lower case, with values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What keeps a poll from going on, by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Ask again later: after so many milliseconds, if the server said it.
    #[error("{0}")]
    Later(String, Option<i64>),
    /// The access token is not valid (any more).
    #[error("{0}")]
    Unauthorised(String),
    /// Asking again does not help until somebody changes something.
    #[error("{0}")]
    Refused(String),
    /// The answer is not understood.
    #[error("{0}")]
    Protocol(String),
}

/// Records that become durable together with the place after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The records, verbatim.
    pub records: Vec<RawRecord>,
    /// Keys to remember before the chunk is handed on.
    pub keys: Keys,
    /// The place after them.
    pub place: Place,
}

impl Chunk {
    /// The place in the words of the log.
    pub fn position(&self) -> Position {
        self.place.position()
    }
}

/// What an answer gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// In order; each to be made durable before the next.
    pub chunks: Vec<Chunk>,
    /// Records that were known already.
    pub duplicates: u64,
    /// More waits: ask on.
    pub more: bool,
}

/// The beginning of an answer, for a person.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body.get(..TOLD_CHARS * 4).unwrap_or(body)).split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { String::new() } else { format!(": {}", short(&text)) }
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(TOLD_CHARS).collect()
}
