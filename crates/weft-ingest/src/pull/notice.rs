//! What a message about new objects in a bucket says.
//!
//! Forms: event notifications of S3 (version 2.x), alone, within an SNS envelope or delivered raw by
//! it; the same events by EventBridge; and CloudTrail's own notice of delivered files. Formats:
//! Amazon S3 user guide, "Event message structure" and "EventBridge event message structure".

use serde_json::Value;

/// Longest message, bytes: what a queue carries at most, and room for escapes.
const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// Objects of one message.
const OBJECTS_MAX: usize = 10_000;
/// Envelopes within envelopes.
const NESTING_MAX: usize = 3;

/// An object that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Bucket.
    pub bucket: String,
    /// Key, decoded.
    pub key: String,
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// These objects are new.
    Objects(Vec<Named>),
    /// Nothing that is read: a test, a removal; the word says what.
    Nothing(String),
}

/// Reads the body of a message.
///
/// # Errors
/// For a person: why it is none.
pub fn notice(body: &str) -> Result<Notice, String> {
    if body.len() > MESSAGE_BYTES_MAX {
        return Err(format!("the message has {} bytes, at most {MESSAGE_BYTES_MAX} are read", body.len()));
    }
    let message: Value = serde_json::from_str(body).map_err(|error| format!("the message is no JSON: {error}"))?;
    read(&message, 0)
}

fn read(message: &Value, depth: usize) -> Result<Notice, String> {
    if let Some(inner) = message.get("Message").and_then(Value::as_str) {
        if depth >= NESTING_MAX {
            return Err(format!("envelopes nest deeper than {NESTING_MAX}"));
        }
        let inner: Value = serde_json::from_str(inner).map_err(|_| "the message in the envelope is no JSON".to_owned())?;
        return read(&inner, depth + 1);
    }
    if let Some(records) = message.get("Records").and_then(Value::as_array) {
        return of_records(records);
    }
    if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Notice::Nothing("a test of the notification".to_owned()));
    }
    if let (Some(bucket), Some(keys)) = (text(message, "/s3Bucket"), message.get("s3ObjectKey")) {
        let keys: Vec<&str> = keys.as_array().map_or_else(|| keys.as_str().into_iter().collect(), |keys| keys.iter().filter_map(Value::as_str).collect());
        return objects(keys.into_iter().map(|key| Named { bucket: bucket.to_owned(), key: key.to_owned() }).collect());
    }
    if let (Some(kind), Some(bucket), Some(key)) = (text(message, "/detail-type"), text(message, "/detail/bucket/name"), text(message, "/detail/object/key")) {
        // Keys are not encoded here, other than in S3's own notifications.
        return if kind == "Object Created" {
            objects(vec![Named { bucket: bucket.to_owned(), key: key.to_owned() }])
        } else {
            Ok(Notice::Nothing(kind.to_owned()))
        };
    }
    Err("the message is no notice of objects: neither of S3, nor of EventBridge, nor of CloudTrail".to_owned())
}

fn of_records(records: &[Value]) -> Result<Notice, String> {
    let (mut found, mut other) = (Vec::new(), None);
    for record in records {
        let name = text(record, "/eventName").unwrap_or_default();
        let created = name.strip_prefix("s3:").unwrap_or(name).starts_with("ObjectCreated:");
        match (created, text(record, "/s3/bucket/name"), text(record, "/s3/object/key")) {
            (true, Some(bucket), Some(key)) => found.push(Named { bucket: bucket.to_owned(), key: decode(key)? }),
            (false, Some(_), Some(_)) => other = Some(name.to_owned()),
            _ => return Err("a record of the message names no object".to_owned()),
        }
    }
    if found.is_empty() { Ok(Notice::Nothing(other.unwrap_or_else(|| "no records".to_owned()))) } else { objects(found) }
}

fn objects(named: Vec<Named>) -> Result<Notice, String> {
    if named.len() > OBJECTS_MAX {
        return Err(format!("the message names {} objects, at most {OBJECTS_MAX} are read", named.len()));
    }
    if named.iter().any(|named| named.bucket.is_empty() || named.key.is_empty()) {
        return Err("the message names an object without a name".to_owned());
    }
    Ok(Notice::Objects(named))
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// Keys are encoded as a form's values are: `+` for a blank, `%2B` for a plus.
fn decode(key: &str) -> Result<String, String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(key.len()), key.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        rest = match (first, after) {
            (b'+', _) => {
                bytes.push(b' ');
                after
            }
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push(hex(*high).unwrap_or_default() << 4 | hex(*low).unwrap_or_default());
                after
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| "the name of an object is no UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(body: &str) -> Vec<String> {
        match notice(body) {
            Ok(Notice::Objects(named)) => named.into_iter().map(|named| format!("{}:{}", named.bucket, named.key)).collect(),
            other => panic!("{other:?}"),
        }
    }

    const S3: &str = r#"{"Records":[{"eventVersion":"2.1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"AWSLogs/a+b%2Bc%C3%A9.gz","size":3}}}]}"#;

    #[test]
    fn every_form_names_the_same_object() {
        assert_eq!(keys(S3), ["b:AWSLogs/a b+cé.gz"]);
        let sns = serde_json::json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:x", "Message": S3}).to_string();
        assert_eq!(keys(&sns), ["b:AWSLogs/a b+cé.gz"]);
        let bridge = r#"{"version":"0","detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"a+b.gz","size":5}}}"#;
        assert_eq!(keys(bridge), ["b:a+b.gz"]);
        assert_eq!(keys(r#"{"s3Bucket":"b","s3ObjectKey":["x","y"]}"#), ["b:x", "b:y"]);
    }

    #[test]
    fn what_is_not_read_is_told() {
        let nothing = |body: &str| matches!(notice(body), Ok(Notice::Nothing(_)));
        assert!(nothing(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}"#));
        assert!(nothing(r#"{"Records":[{"eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#));
        assert!(nothing(r#"{"detail-type":"Object Deleted","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}"#));
        for wrong in
            ["", "{}", "[]", "hello", r#"{"Records":[{"eventName":"ObjectCreated:Put"}]}"#, r#"{"Message":"x"}"#, r#"{"s3Bucket":"b","s3ObjectKey":[""]}"#]
        {
            assert!(notice(wrong).is_err(), "{wrong}");
        }
        let mut nested = S3.to_owned();
        for _ in 0..5 {
            nested = serde_json::json!({ "Message": nested }).to_string();
        }
        assert!(notice(&nested).unwrap_err().contains("nest"));
    }
}
