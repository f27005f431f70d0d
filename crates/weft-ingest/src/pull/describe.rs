//! What a description says, checked.

use std::collections::BTreeMap;

use super::template::Template;
use super::when;

/// Headers of one request, those of the authentication included.
pub const REQUEST_HEADERS_MAX: usize = 32;

/// How one API is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `connector/name`, by which the configuration asks for it.
    pub name: String,
    /// Stream of the records, `connector/record_type`.
    pub stream: String,
    /// For people.
    pub title: String,
    /// Where the vendor documents the API.
    pub docs: String,
    /// Settings that the operator gives, with a word on each.
    pub settings: BTreeMap<String, String>,
    /// What a setting is when it is not given.
    pub defaults: BTreeMap<String, String>,
    /// Secrets that the operator gives, with a word on each.
    pub secrets: BTreeMap<String, String>,
    /// Time between two polls when nothing more waits, milliseconds.
    pub every_ms: i64,
    pub(super) auth: Auth,
    pub(super) prepare: Vec<Prepare>,
    pub(super) request: Ask,
    /// Parts that differ for the pages after the first.
    pub(super) follow: Option<Ask>,
    pub(super) detail: Option<Detail>,
    pub(super) records: Records,
    pub(super) page: Page,
    pub(super) window: Option<Window>,
    pub(super) limits: Limits,
}

impl Description {
    /// Pointers to what tells a record from all others; empty when it is what it says.
    pub fn key(&self) -> &[String] {
        &self.records.key
    }

    /// Pointer to the time of a record; none when addresses of a list lead to records.
    pub fn time(&self) -> Option<&str> {
        self.records.time.as_deref().filter(|_| self.detail.is_none())
    }

    /// How far back each walk begins before the newest event, milliseconds.
    pub fn look_back_ms(&self) -> i64 {
        self.window.as_ref().map_or(0, |window| window.look_back)
    }
}

/// Method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Asks.
    Get,
    /// Asks with a body.
    Post,
}

impl Method {
    /// As it is written in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Auth {
    None,
    /// A header with a secret in it.
    Header {
        name: String,
        value: Template,
    },
    /// RFC 7617.
    Basic {
        user: Template,
        password: Template,
    },
    /// RFC 6749 and what resembles it: a request that gives an access token.
    Grant(Box<Grant>),
    /// Each request is signed with a shared key.
    Signed {
        user: Template,
        key: Template,
        canonical: Template,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) url: Template,
    pub(super) form: Vec<(String, Template)>,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) basic: Option<(Template, Template)>,
    pub(super) jwt: Option<Jwt>,
    /// Where the answer has the token.
    pub(super) token: String,
    /// Where it has the seconds until it ends, or the instant.
    pub(super) expires: String,
    /// What stands before the token in `Authorization`.
    pub(super) scheme: String,
}

/// RFC 7519, signed with a private key (RFC 7518: RS256, ES256).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jwt {
    pub(super) algorithm: Algorithm,
    pub(super) key: Template,
    pub(super) key_id: Option<Template>,
    pub(super) claims: Vec<(String, Template)>,
    pub(super) lifetime: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

/// A request that is made once before the first poll, e.g. to start a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prepare {
    pub(super) ask: Ask,
    /// Status codes that also mean that it is so.
    pub(super) accept: Vec<u16>,
}

/// A request with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Template,
    pub(super) query: Vec<(String, Template)>,
    pub(super) headers: Vec<(String, Template)>,
    pub(super) body: Option<Json>,
}

/// A JSON body with holes in its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    Text(Template),
    Plain(serde_json::Value),
    Object(Vec<(String, Json)>),
    List(Vec<Json>),
}

/// For each record of a page one more request, whose answer has the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detail {
    /// Where a record of the page has the address.
    pub(super) url: String,
    pub(super) at: String,
}

/// JSON Pointers (RFC 6901) into an answer and a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Records {
    /// The array of records in an answer.
    pub(super) at: String,
    /// What tells a record from all others; its bytes when empty.
    pub(super) key: Vec<String>,
    pub(super) time: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) kind: Kind,
    /// Records that a page may have.
    pub(super) size: u64,
    /// The place outlives the walk: it is asked again when the end was reached.
    pub(super) lasting: bool,
    /// Says whether more waits, where the API says so.
    pub(super) more: Option<String>,
    /// Status codes by which the API says that a place is not valid any more.
    pub(super) expired: Vec<u16>,
}

/// How the next page is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is one page.
    Single,
    /// `Link: <…>; rel="next"` (RFC 8288).
    Link,
    /// The address of the next page in the answer's body.
    NextUrl(String),
    /// The same in a header.
    NextHeader(String),
    /// A token in the body, to be sent as `{token}`.
    Token(String),
    /// The last record of the page has the token.
    LastRecord(String),
    /// Pages by number, sent as `{page}`.
    Number { first: u64 },
    /// Records by number, sent as `{offset}`.
    Offset,
}

/// What part of time is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) form: when::Form,
    /// How far back the first walk begins.
    pub(super) initial: i64,
    pub(super) look_back: i64,
    /// Longest window that the API takes.
    pub(super) span_max: Option<i64>,
    /// How far back the API answers at all.
    pub(super) reach: Option<i64>,
    /// The end of a window lies so far in the past.
    pub(super) lag: i64,
}

/// What the API allows, and how it says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Limits {
    pub(super) requests: Option<u64>,
    pub(super) per: i64,
    /// Header with the number of requests that are left.
    pub(super) remaining: Option<String>,
    /// Header that says when the number is renewed: seconds from now, or an instant.
    pub(super) reset: Option<String>,
}
