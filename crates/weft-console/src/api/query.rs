//! SQL in, columns and rows out.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One read-only statement with its budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryRequest {
    /// Chosen by the reader; cancelling needs it.
    #[serde(default)]
    pub id: String,
    /// The statement.
    pub sql: String,
    /// At most so many rows come back.
    #[serde(default = "QueryRequest::default_limit_rows")]
    pub limit_rows: usize,
    /// At most so long it runs.
    #[serde(default = "QueryRequest::default_timeout_ms")]
    pub timeout_ms: u64,
}

impl QueryRequest {
    /// Most rows that one answer holds.
    pub const LIMIT_ROWS_MAX: usize = 50_000;
    /// Longest time that one statement runs.
    pub const TIMEOUT_MS_MAX: u64 = 120_000;
    /// Longest statement.
    pub const SQL_BYTES_MAX: usize = 64 * 1024;

    fn default_limit_rows() -> usize {
        1_000
    }

    fn default_timeout_ms() -> u64 {
        10_000
    }
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueryAnswer {
    /// In order.
    pub columns: Vec<QueryColumn>,
    /// One array per row, a value per column; nested values are JSON.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub rows: Vec<Vec<Value>>,
    /// Whether the row budget cut the answer.
    pub truncated: bool,
    /// Time that it took.
    pub elapsed_ms: u64,
    /// Rows that were read to answer, when the engine says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_scanned: Option<u64>,
    /// Files that were read, and of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_read: Option<(u64, u64)>,
    /// What is missing from the answer, e.g. the rows of a damaged file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryColumn {
    /// Name or alias.
    pub name: String,
    /// The engine's name of its type.
    pub data_type: String,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableInfo {
    /// As SQL names it.
    pub name: String,
    /// OCSF class; none for a view over several.
    pub class_uid: Option<i64>,
    /// How many rows, when it is known without counting.
    pub rows: Option<u64>,
    /// Every column and nested column, by dotted path, parents before children.
    pub columns: Vec<ColumnInfo>,
}

/// A column or nested column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnInfo {
    /// Dotted, e.g. `actor.user.name`.
    pub path: String,
    /// How a filter may test it.
    pub kind: ColumnKind,
    /// The engine's name of its type, for people.
    pub data_type: String,
}

/// How a filter may test a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Equals, wildcard.
    Text,
    /// Equals, order.
    Integer,
    /// Equals, order.
    Float,
    /// `true` or `false`.
    Boolean,
    /// One of its items equals.
    TextList,
    /// Only whether it is there.
    Other,
}
