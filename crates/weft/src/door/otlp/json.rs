//! The JSON form. Only one log record at a time is parsed; the arrays around it are cut.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use weft_model::RejectCause;

use super::super::skim;
use super::record::{Record, Unread, add};
use super::{LOG_BYTES_MAX, Taken};

/// The answer; empty when all was taken.
pub(super) fn answer(taken: &Taken) -> Value {
    if taken.rejected == 0 {
        return json!({});
    }
    json!({"partialSuccess": {"rejectedLogRecords": taken.rejected.to_string(), "errorMessage": taken.first.as_deref().unwrap_or_default()}})
}

/// Every log record of an `ExportLogsServiceRequest`; none when the body is not one.
pub(super) fn logs(body: &Bytes) -> Option<impl Iterator<Item = Result<Bytes, Unread>> + Send + use<>> {
    let resource_logs = inner(body, "resourceLogs", "resource_logs")?;
    Some(resource_logs.flat_map(|logs| {
        let resource = around(&logs, "resource");
        let scope_logs = inner(&logs, "scopeLogs", "scope_logs");
        let unread = scope_logs.is_none().then(|| Err(Unread::malformed("an element of `resourceLogs` has no whole `scopeLogs`", logs)));
        unread.into_iter().chain(scope_logs.into_iter().flatten().flat_map(move |logs| of_scope(resource.clone(), logs)))
    }))
}

fn of_scope(resource: Value, logs: Bytes) -> impl Iterator<Item = Result<Bytes, Unread>> + Send {
    let scope = around(&logs, "scope");
    let records = inner(&logs, "logRecords", "log_records");
    let unread = records.is_none().then(|| Err(Unread::malformed("an element of `scopeLogs` has no whole `logRecords`", logs)));
    unread.into_iter().chain(records.into_iter().flatten().map(move |log| one(log, &resource, &scope)))
}

/// The elements of an array; an array that is left out is empty.
fn inner(object: &Bytes, name: &str, other: &str) -> Option<skim::Values> {
    if !skim::is_object(object) {
        return None;
    }
    match skim::member(object, name).or_else(|| skim::member(object, other)) {
        Some(array) => skim::elements(&array),
        None => Some(skim::values(&Bytes::new())),
    }
}

/// The resource or scope of records, its attributes plain.
fn around(object: &Bytes, name: &str) -> Value {
    let found = skim::member(object, name).filter(|value| value.len() <= LOG_BYTES_MAX);
    let Some(Ok(Value::Object(members))) = found.map(|value| serde_json::from_slice(&value)) else { return Value::Null };
    members.into_iter().map(|(name, value)| if name == "attributes" { (name, pairs(value)) } else { (name, value) }).collect::<Map<_, _>>().into()
}

fn one(log: Bytes, resource: &Value, scope: &Value) -> Result<Bytes, Unread> {
    if log.len() > LOG_BYTES_MAX {
        return Err(Unread::too_large(LOG_BYTES_MAX, log));
    }
    let members: Map<String, Value> = match serde_json::from_slice(&log) {
        Ok(members) => members,
        Err(fault) if fault.to_string().starts_with("recursion limit") => {
            return Err(Unread { cause: RejectCause::TooDeep, message: "the log record is nested too deep".to_owned(), kept: log });
        }
        Err(fault) => return Err(Unread::malformed(format!("not a log record: {fault}"), log)),
    };
    let mut record = Record::default();
    record.set("resource", resource.clone());
    record.set("scope", scope.clone());
    for (name, value) in members {
        match name.as_str() {
            "attributes" => record.set("attributes", pairs(value)),
            "body" => record.set("body", plain(value)),
            "timeUnixNano" | "observedTimeUnixNano" if value.is_u64() => record.set(&name, value.to_string()),
            "timeUnixNano" | "observedTimeUnixNano" if value == "0" => {}
            _ => record.set(&name, value),
        }
    }
    Ok(record.into_bytes())
}

/// A list of `{key, value}` as an object; what is no such list stays as it is.
fn pairs(list: Value) -> Value {
    let Value::Array(list) = list else { return list };
    let mut members = Map::new();
    for pair in list {
        match pair {
            Value::Object(mut pair) if pair.get("key").is_some_and(Value::is_string) => {
                let value = pair.remove("value").map_or(Value::Null, plain);
                let key = pair.remove("key").and_then(|key| key.as_str().map(str::to_owned)).unwrap_or_default();
                add(&mut members, &key, value);
            }
            other => add(&mut members, "", other),
        }
    }
    Value::Object(members)
}

/// A value as plain JSON; one that is none of OTLP's stays as it is.
fn plain(value: Value) -> Value {
    let Value::Object(mut members) = value else { return value };
    let only = (members.len() == 1).then(|| members.keys().next().cloned()).flatten().unwrap_or_default();
    let mut inside = |name: &str| members.get_mut(name).map(Value::take).unwrap_or_default();
    match only.as_str() {
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => inside(&only),
        "intValue" => match inside(&only) {
            Value::String(text) => text.parse::<i64>().map_or(Value::String(text), Value::from),
            number => number,
        },
        "arrayValue" => match inside(&only) {
            Value::Object(mut array) => match array.remove("values") {
                Some(Value::Array(values)) => values.into_iter().map(plain).collect(),
                _ => Value::Array(Vec::new()),
            },
            other => other,
        },
        "kvlistValue" => match inside(&only) {
            Value::Object(mut list) => pairs(list.remove("values").unwrap_or_else(|| Value::Array(Vec::new()))),
            other => other,
        },
        _ => Value::Object(members),
    }
}
