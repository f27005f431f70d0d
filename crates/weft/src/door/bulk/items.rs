//! What became of each action of a request.

use std::fmt::Write as _;

use axum::http::StatusCode;

use crate::queue::Refusal;

/// What an action line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Write, whatever is there.
    Index,
    /// Write when it is not there.
    Create,
    /// Change.
    Update,
    /// Remove.
    Delete,
}

impl Op {
    /// Of its name.
    pub fn of(name: &[u8]) -> Option<Self> {
        [Self::Index, Self::Create, Self::Update, Self::Delete].into_iter().find(|op| op.name().as_bytes() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What became of the records that were handed on together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// On disk.
    Stored,
    /// Not written.
    NotStored,
    /// Not taken.
    Refused(Refusal),
}

/// One action.
#[derive(Debug)]
pub struct Item {
    /// What was asked for.
    pub op: Op,
    /// Name of the index, shared by items.
    pub index: std::sync::Arc<str>,
    /// `_id`, given or made.
    pub id: String,
    /// Group of its record.
    pub group: u32,
    /// Why it was refused, with status and type; the record is kept.
    pub fault: Option<(StatusCode, &'static str, String)>,
}

/// The items of a request, in order.
#[derive(Debug, Default)]
pub struct Items {
    items: Vec<Item>,
    groups: Vec<(u32, Group)>,
}

impl Items {
    /// Adds one.
    pub fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Says what became of a group.
    pub fn settle(&mut self, group: u32, outcome: Group) {
        self.groups.push((group, outcome));
        self.groups.sort_by_key(|(group, _)| *group);
    }

    fn outcome(&self, item: &Item) -> (StatusCode, Option<(&str, String)>) {
        let found = self.groups.binary_search_by_key(&item.group, |(group, _)| *group).ok();
        match found.and_then(|at| self.groups.get(at)).map_or(Group::Stored, |(_, outcome)| *outcome) {
            // Kept as it is, a record that is wrong stays wrong: the sender need not send it again.
            Group::Stored => match &item.fault {
                Some((status, kind, reason)) => (*status, Some((kind, reason.clone()))),
                None => (StatusCode::CREATED, None),
            },
            Group::Refused(Refusal::Full) => (StatusCode::TOO_MANY_REQUESTS, Some(("es_rejected_execution_exception", Refusal::Full.to_string()))),
            Group::Refused(refusal) => (StatusCode::SERVICE_UNAVAILABLE, Some(("node_closed_exception", refusal.to_string()))),
            Group::NotStored => {
                (StatusCode::SERVICE_UNAVAILABLE, Some(("unavailable_shards_exception", "the record could not be written, send it again".to_owned())))
            }
        }
    }

    /// The answer to a bulk request that took so long.
    pub fn answer(&self, took_ms: u128, with_items: bool) -> String {
        let errors = self.items.iter().any(|item| self.outcome(item).1.is_some());
        let mut text = format!("{{\"took\":{took_ms},\"errors\":{errors}");
        if with_items {
            text.push_str(",\"items\":[");
            for (at, item) in self.items.iter().enumerate() {
                text.push_str(if at == 0 { "{" } else { ",{" });
                self.told(item, &mut text);
                text.push('}');
            }
            text.push(']');
        }
        text.push('}');
        text
    }

    fn told(&self, item: &Item, text: &mut String) {
        let (status, fault) = self.outcome(item);
        let (index, id) = (quoted(&item.index), quoted(&item.id));
        let _infallible = write!(text, "\"{}\":{{\"_index\":{index},\"_id\":{id},\"status\":{}", item.op.name(), status.as_u16());
        let _infallible = match fault {
            None => write!(text, ",{CREATED}}}"),
            Some((kind, reason)) => write!(text, ",\"error\":{{\"type\":{},\"reason\":{}}}}}", quoted(kind), quoted(&reason)),
        };
    }

    /// Status and answer to the request of a single document.
    pub fn single(&self) -> (StatusCode, String) {
        let Some(item) = self.items.first() else { return (StatusCode::BAD_REQUEST, "{}".to_owned()) };
        let (status, fault) = self.outcome(item);
        let text = match fault {
            None => format!("{{\"_index\":{},\"_id\":{},{CREATED}}}", quoted(&item.index), quoted(&item.id)),
            Some((kind, reason)) => format!("{{\"error\":{{\"type\":{},\"reason\":{}}},\"status\":{}}}", quoted(kind), quoted(&reason), status.as_u16()),
        };
        (status, text)
    }
}

/// What clients want to read of a document that was written.
const CREATED: &str = r#""_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1"#;

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
