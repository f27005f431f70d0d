//! The protobuf form. The outer messages are walked without building them, so that a body of very
//! many empty ones costs no more than its bytes; each log record is decoded by itself.

use bytes::{Buf as _, Bytes};
use prost::encoding::{WireType, decode_key, decode_varint};
use prost::{Message, Oneof};
use serde_json::{Map, Value};

use super::record::{Record, Unread, add, base64, hex};
use super::{LOG_BYTES_MAX, Taken};

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    List(KeyValueList),
    #[prost(bytes = "bytes", tag = "7")]
    Bytes(Bytes),
}

#[derive(Clone, PartialEq, Message)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValueList {
    #[prost(message, repeated, tag = "1")]
    values: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
    #[prost(message, repeated, tag = "3")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct LogRecord {
    #[prost(fixed64, tag = "1")]
    time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    severity_number: i32,
    #[prost(string, tag = "3")]
    severity_text: String,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "7")]
    dropped_attributes_count: u32,
    #[prost(fixed32, tag = "8")]
    flags: u32,
    #[prost(bytes = "bytes", tag = "9")]
    trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "10")]
    span_id: Bytes,
    #[prost(fixed64, tag = "11")]
    observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    event_name: String,
}

/// `ExportLogsServiceResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// The answer; empty when all was taken.
pub(super) fn answer(taken: &Taken) -> Answer {
    let partial = || PartialSuccess { rejected_log_records: taken.rejected, error_message: taken.first.clone().unwrap_or_default() };
    Answer { partial_success: (taken.rejected > 0).then(partial) }
}

/// Fields of a message that are messages: number and bytes. A message that breaks off ends with
/// what is left of it.
struct Fields {
    rest: Bytes,
}

impl Iterator for Fields {
    type Item = Result<(u32, Bytes), Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.rest.has_remaining() {
            let whole = self.rest.clone();
            match field(&mut self.rest) {
                Some(Some(found)) => return Some(Ok(found)),
                Some(None) => {}
                None => {
                    self.rest = Bytes::new();
                    return Some(Err(whole));
                }
            }
        }
        None
    }
}

/// One field; nothing inside when it is no message, none when it breaks off.
fn field(rest: &mut Bytes) -> Option<Option<(u32, Bytes)>> {
    let (number, wire) = decode_key(rest).ok()?;
    let length = match wire {
        WireType::Varint => return decode_varint(rest).ok().map(|_| None),
        WireType::ThirtyTwoBit => 4,
        WireType::SixtyFourBit => 8,
        WireType::LengthDelimited => usize::try_from(decode_varint(rest).ok()?).ok()?,
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    let bytes = (length <= rest.len()).then(|| rest.split_to(length))?;
    Some((wire == WireType::LengthDelimited).then_some((number, bytes)))
}

fn fields(message: &Bytes) -> Fields {
    Fields { rest: message.clone() }
}

/// The last field of this number.
fn find(message: &Bytes, number: u32) -> Bytes {
    fields(message).filter_map(Result::ok).filter(|(found, _)| *found == number).last().map(|(_, bytes)| bytes).unwrap_or_default()
}

/// Every log record of an `ExportLogsServiceRequest`, as JSON.
pub(super) fn logs(body: &Bytes) -> impl Iterator<Item = Result<Bytes, Unread>> + Send + use<> {
    inner(body, 1).flat_map(|resource_logs| match resource_logs {
        Err(unread) => Box::new(std::iter::once(Err(unread))) as Box<dyn Iterator<Item = _> + Send>,
        Ok(logs) => {
            let resource = members(&find(&logs, 1), |resource: Resource| {
                let mut own = Record::default();
                own.set("attributes", pairs(resource.attributes));
                own
            });
            Box::new(inner(&logs, 2).flat_map(move |scope_logs| of_scope(resource.clone(), scope_logs)))
        }
    })
}

/// The messages in one field; a message that breaks off as the last.
fn inner(message: &Bytes, number: u32) -> impl Iterator<Item = Result<Bytes, Unread>> + Send + use<> {
    fields(message).filter_map(move |field| match field {
        Ok((found, bytes)) => (found == number).then_some(Ok(bytes)),
        Err(rest) => Some(Err(Unread::malformed("the protobuf message breaks off here", rest))),
    })
}

fn of_scope(resource: Value, scope_logs: Result<Bytes, Unread>) -> Box<dyn Iterator<Item = Result<Bytes, Unread>> + Send> {
    let logs = match scope_logs {
        Ok(logs) => logs,
        Err(unread) => return Box::new(std::iter::once(Err(unread))),
    };
    let scope = members(&find(&logs, 1), |scope: Scope| {
        let mut own = Record::default();
        own.set("name", scope.name);
        own.set("version", scope.version);
        own.set("attributes", pairs(scope.attributes));
        own
    });
    Box::new(inner(&logs, 2).map(move |log| log.and_then(|log| one(log, &resource, &scope))))
}

/// A resource or scope as JSON; one that cannot be read is kept as it came.
fn members<M: Message + Default>(bytes: &Bytes, write: impl Fn(M) -> Record) -> Value {
    if bytes.len() > LOG_BYTES_MAX {
        return Value::Null;
    }
    match M::decode(bytes.clone()) {
        Ok(message) => write(message).into_value(),
        Err(_) => Value::String(base64(bytes)),
    }
}

fn one(bytes: Bytes, resource: &Value, scope: &Value) -> Result<Bytes, Unread> {
    if bytes.len() > LOG_BYTES_MAX {
        return Err(Unread::too_large(LOG_BYTES_MAX, bytes));
    }
    let log = LogRecord::decode(bytes.clone()).map_err(|fault| Unread::malformed(format!("not a log record: {fault}"), bytes))?;
    let number = |value: u64| if value == 0 { Value::Null } else { Value::from(value) };
    let mut record = Record::default();
    record.set("resource", resource.clone());
    record.set("scope", scope.clone());
    // 64-bit numbers are text in OTLP's JSON.
    record.set("timeUnixNano", if log.time_unix_nano == 0 { String::new() } else { log.time_unix_nano.to_string() });
    record.set("observedTimeUnixNano", if log.observed_time_unix_nano == 0 { String::new() } else { log.observed_time_unix_nano.to_string() });
    record.set("severityNumber", number(u64::try_from(log.severity_number).unwrap_or(0)));
    record.set("severityText", log.severity_text);
    record.set("body", log.body.map_or(Value::Null, value));
    record.set("attributes", pairs(log.attributes));
    record.set("droppedAttributesCount", number(log.dropped_attributes_count.into()));
    record.set("flags", number(log.flags.into()));
    record.set("traceId", hex(&log.trace_id));
    record.set("spanId", hex(&log.span_id));
    record.set("eventName", log.event_name);
    Ok(record.into_bytes())
}

fn pairs(pairs: Vec<KeyValue>) -> Value {
    let mut members = Map::new();
    pairs.into_iter().for_each(|pair| add(&mut members, &pair.key, pair.value.map_or(Value::Null, value)));
    Value::Object(members)
}

/// A value as plain JSON. The depth was bounded when it was decoded.
fn value(any: AnyValue) -> Value {
    match any.value {
        None => Value::Null,
        Some(Any::Text(text)) => text.into(),
        Some(Any::Bool(value)) => value.into(),
        Some(Any::Int(number)) => number.into(),
        // What JSON has no number for stays as text.
        Some(Any::Double(number)) => serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number),
        Some(Any::Array(array)) => array.values.into_iter().map(value).collect(),
        Some(Any::List(list)) => pairs(list.values),
        Some(Any::Bytes(bytes)) => base64(&bytes).into(),
    }
}
