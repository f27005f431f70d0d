//! Lines of a bulk body to items and records: an action, then its document.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use weft_model::{Context, Position, RawBatch, RejectCause, StreamId};

use super::super::frame::{Framed, KEPT_BYTES_MAX};
use super::super::records::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Batcher, Salt};
use super::super::token::Token;
use super::super::{now, skim};
use super::Bulk;
use super::items::{Item, Items, Op};

/// Indices whose records may wait at the same time.
const LANES_MAX: usize = 256;
/// Longest action line.
const ACTION_BYTES_MAX: usize = 64 << 10;
/// Longest name of an index and longest `_id`, as Elasticsearch has them.
const NAME_BYTES_MAX: usize = 512;

/// What the next line is.
enum Next {
    Action,
    Document(Action),
    /// The document of an action that cannot be read.
    Orphan,
}

struct Action {
    op: Op,
    index: Arc<str>,
    id: Option<String>,
}

struct Lane {
    index: Arc<str>,
    batcher: Batcher,
}

/// Opens the lines of one request.
pub struct Machine<'a> {
    bulk: &'a Bulk,
    token: &'a Token,
    /// Index of actions that name none.
    index: Arc<str>,
    next: Next,
    lanes: Vec<Lane>,
    records: usize,
    bytes: usize,
    group: u32,
    /// What became of each action so far.
    pub items: Items,
}

impl<'a> Machine<'a> {
    /// For a request to `index`, which may be empty.
    pub fn new(bulk: &'a Bulk, token: &'a Token, index: &str) -> Self {
        Self { bulk, token, index: index.into(), next: Next::Action, lanes: Vec::new(), records: 0, bytes: 0, group: 0, items: Items::default() }
    }

    /// An action that the request's path has said.
    pub fn begin(&mut self, id: Option<String>) {
        self.next = Next::Document(Action { op: Op::Index, index: Arc::clone(&self.index), id });
    }

    /// One line.
    pub fn line(&mut self, framed: Framed) {
        match std::mem::replace(&mut self.next, Next::Action) {
            Next::Document(action) => self.document(action, framed),
            Next::Action => self.action(framed, false),
            Next::Orphan => self.action(framed, true),
        }
    }

    /// The end of the body.
    pub fn finish(&mut self) {
        if let Next::Document(action) = std::mem::replace(&mut self.next, Next::Action) {
            let fault = (StatusCode::BAD_REQUEST, "parse_exception", "the body ends after the action: its document is missing".to_owned());
            self.items.push(Item { op: action.op, index: action.index, id: action.id.unwrap_or_default(), group: self.group, fault: Some(fault) });
        }
    }

    /// Keeps bytes that are no item, with the reason.
    pub fn refuse(&mut self, cause: RejectCause, message: String, kept: Bytes) {
        let index = Arc::clone(&self.index);
        self.count(kept.len());
        self.lane(&index).refuse(cause, message, kept);
    }

    /// Whether it is time to hand on what is there.
    pub fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES_MAX || self.records >= BATCH_RECORDS_MAX
    }

    /// The records so far, and the number of their group.
    pub fn take(&mut self) -> (u32, Vec<RawBatch>) {
        let group = self.group;
        self.group += 1;
        (self.records, self.bytes) = (0, 0);
        (group, self.lanes.iter_mut().flat_map(|lane| lane.batcher.take(&Position::default())).collect())
    }

    fn action(&mut self, framed: Framed, after_fault: bool) {
        let (line, length) = match framed {
            Framed::TooLarge { kept, .. } => (kept, ACTION_BYTES_MAX + 1),
            Framed::Record(line) => {
                let length = line.len();
                (line, length)
            }
        };
        let read = if length > ACTION_BYTES_MAX { Err("the action line is too long") } else { self.read(&line) };
        match read {
            Ok(action) if action.op == Op::Delete => {
                self.refused_item(action, line, DELETE);
            }
            Ok(action) => self.next = Next::Document(action),
            // What follows an action that cannot be read is taken for its document: one item for both.
            Err(reason) if !after_fault => {
                let action = Action { op: Op::Index, index: Arc::clone(&self.index), id: None };
                self.refused_item(action, line, (StatusCode::BAD_REQUEST, "illegal_argument_exception", reason));
                self.next = Next::Orphan;
            }
            Err(_) => self.refuse(RejectCause::Malformed, "its action line cannot be read".to_owned(), line),
        }
    }

    fn read(&self, line: &Bytes) -> Result<Action, &'static str> {
        const FORM: &str = "malformed action/metadata line: `{\"create\":{\"_index\":\"NAME\"}}` is expected";
        let members = skim::members(line).ok_or(FORM)?;
        let [(name, inner)] = members.as_slice() else { return Err(FORM) };
        let op = Op::of(name).ok_or("malformed action/metadata line: the action is none of `create`, `index`, `update`, `delete`")?;
        let inner = skim::members(inner).ok_or(FORM)?;
        let text =
            |wanted: &str| inner.iter().rfind(|(key, _)| &**key == wanted.as_bytes()).and_then(|(_, value)| serde_json::from_slice::<String>(value).ok());
        let (index, id) = (text("_index"), text("_id"));
        if index.iter().chain(&id).any(|name| name.len() > NAME_BYTES_MAX) {
            return Err("`_index` and `_id` have at most 512 bytes");
        }
        // One shared text for all items of an index.
        let index = match index {
            None => Arc::clone(&self.index),
            Some(name) => self.lanes.iter().find(|lane| *lane.index == *name).map_or_else(|| name.as_str().into(), |lane| Arc::clone(&lane.index)),
        };
        if index.is_empty() {
            return Err("the index is missing: name it in the action (`_index`) or in the path");
        }
        Ok(Action { op, index, id })
    }

    fn document(&mut self, action: Action, framed: Framed) {
        let document = match framed {
            Framed::Record(document) => document,
            Framed::TooLarge { kept, length } => {
                let max = self.bulk.ingress.limits.record_bytes_max;
                let reason = format!("the document is {length} bytes long, at most {max} are taken; its first {} are kept", kept.len());
                return self.kept_item(action, kept, (StatusCode::PAYLOAD_TOO_LARGE, "document_parsing_exception", reason), RejectCause::TooLarge);
            }
        };
        if action.op == Op::Update {
            return self.refused_item(action, document, UPDATE);
        }
        if !skim::is_object(&document) {
            return self.refused_item(action, document, (StatusCode::BAD_REQUEST, "document_parsing_exception", "the document is not a JSON object"));
        }
        self.count(document.len());
        let index = Arc::clone(&action.index);
        let lane = self.lane(&index);
        let id = match &action.id {
            Some(id) => lane.record_as(id.as_bytes(), document),
            None => lane.identified(document),
        };
        let id = action.id.unwrap_or_else(|| id.to_string());
        self.items.push(Item { op: action.op, index, id, group: self.group, fault: None });
    }

    fn refused_item(&mut self, action: Action, kept: Bytes, (status, kind, reason): (StatusCode, &'static str, &str)) {
        self.kept_item(action, kept, (status, kind, reason.to_owned()), RejectCause::Malformed);
    }

    /// An item that is refused; its bytes are kept, so that nothing is lost.
    fn kept_item(&mut self, action: Action, kept: Bytes, fault: (StatusCode, &'static str, String), cause: RejectCause) {
        let kept = kept.slice(..kept.len().min(KEPT_BYTES_MAX));
        self.count(kept.len());
        self.lane(&action.index).refuse(cause, fault.2.clone(), kept);
        self.items.push(Item { op: action.op, index: action.index, id: action.id.unwrap_or_default(), group: self.group, fault: Some(fault) });
    }

    fn count(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
    }

    /// The records of an index; beyond the bound the last lane of the same stream takes them.
    fn lane(&mut self, index: &Arc<str>) -> &mut Batcher {
        let stream = self.bulk.stream(index, self.token);
        let at = self.lanes.iter().rposition(|lane| lane.index == *index);
        let full = || (self.lanes.len() >= LANES_MAX).then(|| self.lanes.iter().rposition(|lane| *lane.batcher.stream() == stream)).flatten();
        let at = at.or_else(full).unwrap_or_else(|| {
            let batcher = self.batcher(index, stream);
            self.lanes.push(Lane { index: Arc::clone(index), batcher });
            self.lanes.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the place was found or made above")]
        &mut self.lanes[at].batcher
    }

    fn batcher(&self, index: &Arc<str>, stream: StreamId) -> Batcher {
        let source = format!("bulk/{}", self.token.name);
        let context = Context { file: (!index.is_empty()).then(|| Arc::clone(index)), ..Context::default() };
        Batcher::new(source.as_str().into(), stream, context, Salt::content(Bytes::new()), now(), self.bulk.ingress.limits.record_bytes_max)
    }
}

const UPDATE: (StatusCode, &str, &str) = (
    StatusCode::BAD_REQUEST,
    "illegal_argument_exception",
    "events are kept as they were and never updated; send `create`. The document is kept among the rejects",
);
const DELETE: (StatusCode, &str, &str) =
    (StatusCode::BAD_REQUEST, "illegal_argument_exception", "events are never deleted by senders; retention and deletion are for the mesh's operator");
