//! An API in memory, with the habits of real ones: late, reordered, doubled, cut, refused.

use std::sync::Arc;

use bytes::Bytes;

use crate::pull::{Answer, Chunk, Description, Keys, Request, Session, Settings, Taken, describe};
use weft_model::Position;

/// An event that the API shows from `shown` on.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) number: usize,
    pub(super) time: i64,
    pub(super) shown: i64,
}

/// How the API hands out pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Link,
    LastingLink,
    NextUrl,
    Token,
    LastRecord,
    Number,
    Offset,
    Capped,
}

pub(super) const SHAPES: [Shape; 8] =
    [Shape::Link, Shape::LastingLink, Shape::NextUrl, Shape::Token, Shape::LastRecord, Shape::Number, Shape::Offset, Shape::Capped];

impl Shape {
    pub(super) fn description(self, look_back_s: u32) -> Arc<Description> {
        let (page, query) = match self {
            Self::Link => ("kind = \"link\"", ""),
            Self::LastingLink => ("kind = \"link\"\nlasting = true", ""),
            Self::NextUrl | Self::Capped => ("kind = \"next_url\"\nat = \"/next\"", ""),
            Self::Token => ("kind = \"token\"\nat = \"/next\"", "after = \"{token}\","),
            Self::LastRecord => ("kind = \"last_record\"\nat = \"/id\"\nlasting = true", "after = \"{token}\","),
            Self::Number => ("kind = \"number\"", "page = \"{page}\","),
            Self::Offset => ("kind = \"offset\"", "offset = \"{offset}\","),
        };
        let cap = if self == Self::Capped { "span_max = \"10m\"\n" } else { "" };
        let text = format!(
            "stream = \"log\"\ntitle = \"t\"\ndocs = \"d\"\n[auth]\nkind = \"none\"\n[request]\nurl = \"https://api/log\"\n\
             query = {{ since = \"{{since}}\", until = \"{{until}}\", {query} size = \"{{size}}\" }}\n\
             [records]\nat = \"/items\"\nkey = \"/id\"\ntime = \"/time\"\n[page]\n{page}\nsize = 7\n\
             [window]\nformat = \"epoch_millis\"\ninitial = \"1h\"\nlook_back = \"{look_back_s}s\"\n{cap}"
        );
        Arc::new(describe("api/pull/log.toml", "api/log", &text).unwrap_or_else(|faults| panic!("{faults:?}")))
    }
}

/// The server.
pub(super) struct Api {
    pub(super) shape: Shape,
    pub(super) events: Vec<Event>,
    /// Its clock less that of whoever asks, milliseconds.
    pub(super) skew: i64,
    /// Pages are handed out newest first.
    pub(super) reversed: bool,
}

impl Api {
    pub(super) fn answer(&self, request: &Request, now: i64) -> Answer {
        let query: std::collections::HashMap<String, String> = request.url.query_pairs().into_owned().collect();
        let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
        let at = now + self.skew;
        let (since, until) = (number("since").unwrap_or(i64::MIN), number("until").unwrap_or(i64::MAX));
        let lasting = matches!(self.shape, Shape::LastingLink | Shape::LastRecord);
        let mut visible: Vec<&Event> = self.events.iter().filter(|event| event.shown <= at).collect();
        if lasting {
            // In the order of arrival, whatever the time of the event says.
            visible.sort_by_key(|event| (event.shown, event.number));
            visible.retain(|event| event.time >= since || query.contains_key("after"));
        } else {
            visible.retain(|event| (since..until).contains(&event.time));
            visible.sort_by_key(|event| (event.time, event.number));
            if self.reversed {
                visible.reverse();
            }
        }
        let first = match self.shape {
            Shape::Number => usize::try_from((number("page").unwrap_or(1) - 1) * 7).unwrap_or(0),
            Shape::Offset => usize::try_from(number("offset").unwrap_or(0)).unwrap_or(0),
            // A cursor by what stands there, not by how many: others may come before it meanwhile.
            _ => query.get("after").map_or(0, |after| {
                let after: usize = after.parse().unwrap();
                visible.iter().position(|event| event.number == after).map_or(visible.len(), |place| place + 1)
            }),
        };
        let page: Vec<&Event> = visible.iter().skip(first).take(7).copied().collect();
        let items: Vec<String> = page.iter().map(|event| format!(r#"{{"id":{},"time":{}}}"#, event.number, event.time)).collect();
        let last = page.last().map(|event| event.number.to_string()).or_else(|| query.get("after").cloned());
        let more = first + page.len() < visible.len();
        self.page(&query, &items, last.filter(|_| more || lasting), at)
    }

    fn page(&self, query: &std::collections::HashMap<String, String>, items: &[String], next: Option<String>, at: i64) -> Answer {
        let url = next.as_ref().map(|after| {
            let get = |name: &str| query.get(name).cloned().unwrap_or_default();
            format!("https://api/log?after={after}&since={}&until={}&size=7", get("since"), get("until"))
        });
        let seconds = jiff::Timestamp::from_millisecond(at).unwrap();
        let mut headers = vec![("date".to_owned(), seconds.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())];
        let mut body = format!(r#"{{"items":[{}]"#, items.join(","));
        match self.shape {
            Shape::Link | Shape::LastingLink => headers.extend(url.map(|url| ("link".to_owned(), format!("<{url}>; rel=\"next\"")))),
            Shape::NextUrl | Shape::Capped => body += &url.map(|url| format!(r#","next":"{url}""#)).unwrap_or_default(),
            Shape::Token => body += &next.map(|after| format!(r#","next":"{after}""#)).unwrap_or_default(),
            Shape::LastRecord | Shape::Number | Shape::Offset => {}
        }
        Answer { status: 200, headers, body: Bytes::from(body + "}") }
    }
}

/// What survives a crash: the log with records and position in one, and the kept keys beside it.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) log: Vec<String>,
    position: Position,
    kept: Vec<Keys>,
}

impl Disk {
    /// A new process.
    pub(super) fn start(&mut self, description: &Arc<Description>) -> Session {
        let mut session = Session::new(Arc::clone(description), Settings { source: "pull/api".to_owned(), ..Settings::default() });
        let number = session_number(&self.position);
        self.kept.retain(|keys| keys.number <= number);
        session.resume(&self.position, self.kept.clone());
        session
    }

    /// Makes the chunks durable; cut off after so many steps, true when all was done.
    pub(super) fn store(&mut self, session: &mut Session, taken: &Taken, steps: usize) -> bool {
        let mut left = steps;
        let mut step = || left.checked_sub(1).map(|rest| left = rest).is_some();
        for chunk in &taken.chunks {
            if !step() {
                return false;
            }
            self.keep(chunk);
            if !step() {
                return false;
            }
            self.log.extend(chunk.records.iter().map(|record| String::from_utf8_lossy(&record.bytes).into_owned()));
            self.position = chunk.position();
            if !step() {
                return false;
            }
            session.stored(chunk);
            let oldest = session.oldest().unwrap_or(i64::MIN);
            self.kept.retain(|keys| keys.newest >= oldest);
        }
        true
    }

    fn keep(&mut self, chunk: &Chunk) {
        self.kept.retain(|keys| keys.number != chunk.keys.number);
        if !chunk.keys.ids.is_empty() {
            self.kept.push(chunk.keys.clone());
        }
    }
}

fn session_number(position: &Position) -> u64 {
    crate::pull::Place::of(position).number
}
