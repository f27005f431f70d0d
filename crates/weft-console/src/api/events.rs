//! Events as the Events page needs them: thin rows for the list, whole events one at a time.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::TextSpan;

/// An entity that an event names, as OCSF's `observable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Observable {
    /// OCSF path it stands at.
    #[serde(default)]
    pub name: Option<String>,
    /// OCSF caption of the type.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// OCSF type id, e.g. 2 for an IP address.
    #[serde(default)]
    pub type_id: Option<i64>,
    /// The value.
    #[serde(default)]
    pub value: Option<String>,
}

/// One line of the list: what a person needs to decide whether to open the event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventRow {
    /// `metadata.uid`.
    pub uid: String,
    /// Epoch milliseconds.
    pub time: i64,
    /// OCSF class.
    pub class_uid: i64,
    /// Its caption.
    pub class_name: Option<String>,
    /// What was done.
    pub activity_name: Option<String>,
    /// 0 unknown, 1 informational to 6 fatal.
    pub severity_id: i64,
    /// Success, Failure and so on.
    pub status: Option<String>,
    /// The event in a sentence, when its mapping gives one.
    pub message: Option<String>,
    /// `metadata.product.name`.
    pub product: Option<String>,
    /// Entities, at most `ROW_OBSERVABLES_MAX` of them.
    pub observables: Vec<Observable>,
}

/// A page of the list, latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// At most as many as were asked for.
    pub rows: Vec<EventRow>,
    /// Whether older ones exist.
    pub more: bool,
    /// How long the lake took.
    pub elapsed_ms: u64,
}

/// One event, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventDetail {
    /// As OCSF, without `raw_data`.
    #[schema(value_type = Object)]
    pub ocsf: Value,
    /// The raw record as the tool wrote it; bytes that are not UTF-8 are replaced.
    pub raw: Option<String>,
}

/// Counts over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Histogram {
    /// Start of the first bucket, epoch milliseconds.
    pub from: i64,
    /// Width of a bucket in milliseconds.
    pub width: i64,
    /// How many buckets there are, empty ones included.
    pub buckets: usize,
    /// Counts of the buckets that are not empty.
    pub counts: Vec<Bucket>,
    /// Sum of all counts.
    pub total: u64,
}

/// One count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// Ordinal of the bucket.
    pub at: usize,
    /// Severity, 0 to 6 and 99.
    pub severity_id: i64,
    /// How many.
    pub count: u64,
}

/// The most frequent values of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldValues {
    /// The field as the filter language names it.
    pub field: String,
    /// Most frequent first.
    pub values: Vec<FieldValue>,
}

/// One value of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldValue {
    /// The value as text.
    pub value: String,
    /// What kind of entity it is, for the field `entity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How many events have it.
    pub count: u64,
}

/// How a filter was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterAnswer {
    /// The parts that must all hold, in order.
    pub terms: Vec<FilterTerm>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<super::ApiError>,
}

/// One part of a filter that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterTerm {
    /// Where it stands.
    pub span: TextSpan,
    /// As written.
    pub text: String,
    /// Whether it excludes.
    pub negated: bool,
}

/// What the live tail sends at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TailBatch {
    /// Events that match, in order of arrival.
    pub rows: Vec<EventRow>,
    /// Events that were seen since the last batch, matching or not.
    pub seen: u64,
    /// Events that were lost or not looked at since the last batch, because more came than a
    /// person can read.
    pub skipped: u64,
}
