//! One log record as JSON, whatever form it came in.

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Map, Value};
use weft_model::RejectCause;

/// A log record that cannot be read.
#[derive(Debug)]
pub(super) struct Unread {
    /// Kind.
    pub(super) cause: RejectCause,
    /// For a person.
    pub(super) message: String,
    /// Its bytes.
    pub(super) kept: Bytes,
}

impl Unread {
    pub(super) fn malformed(message: impl Into<String>, kept: Bytes) -> Self {
        Self { cause: RejectCause::Malformed, message: message.into(), kept }
    }

    pub(super) fn too_large(max: usize, kept: Bytes) -> Self {
        Self { cause: RejectCause::TooLarge, message: format!("the log record is {} bytes long, at most {max} are taken", kept.len()), kept }
    }
}

/// Members in the order in which a person reads them.
#[derive(Default)]
pub(super) struct Record(Map<String, Value>);

impl Record {
    /// Sets a member that is there.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::Object(members) => members.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !empty {
            add(&mut self.0, name, value);
        }
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from(self.into_value().to_string())
    }
}

/// Adds a member; of a name that is there already, under the next free one: nothing is lost.
pub(super) fn add(members: &mut Map<String, Value>, name: &str, value: Value) {
    if !members.contains_key(name) {
        members.insert(name.to_owned(), value);
        return;
    }
    let free = (2..).map(|n| format!("{name}#{n}")).find(|name| !members.contains_key(name));
    members.extend(free.map(|name| (name, value)));
}

/// Bytes as text.
pub(super) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Trace and span ids as OTLP writes them in JSON.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
