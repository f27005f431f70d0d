//! APIs over real HTTP on loopback, in the shapes of four vendors, with the faults of real ones.
//!
//! An event is shown after so many answered polls of its API, so that nothing waits for a clock; late
//! ones have times among those that were shown long before.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use url::Url;

/// Records of a page, whatever is asked for.
const PAGE: usize = 17;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shape {
    Okta,
    Github,
    Graph,
    Reports,
}

pub(crate) const SHAPES: [Shape; 4] = [Shape::Okta, Shape::Github, Shape::Graph, Shape::Reports];

/// What is done to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Busy,
    BusyUntil,
    Broken,
    Unavailable,
    Dropped,
    Cut,
    TokenGone,
    Doubled,
}

/// By number of the request; what is not named goes well.
const FAULTS: [(usize, Fault); 12] = [
    (2, Fault::Busy),
    (4, Fault::Broken),
    (6, Fault::Dropped),
    (8, Fault::Doubled),
    (9, Fault::Cut),
    (11, Fault::TokenGone),
    (13, Fault::Doubled),
    (15, Fault::BusyUntil),
    (17, Fault::Dropped),
    (19, Fault::Unavailable),
    (21, Fault::Cut),
    (24, Fault::TokenGone),
];

struct Event {
    number: usize,
    time: i64,
    /// Answered polls before it is shown.
    shown: usize,
}

#[derive(Default)]
struct Api {
    requests: usize,
    answered: usize,
    tokens: usize,
    seen: BTreeMap<&'static str, usize>,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    apis: Mutex<BTreeMap<Shape, Api>>,
    events: BTreeMap<Shape, Vec<Event>>,
    faults: bool,
    public_key: Vec<u8>,
}

impl Shape {
    /// Server's clock less ours, milliseconds.
    fn skew(self) -> i64 {
        match self {
            Self::Okta => 0,
            Self::Github => 2 * 3_600_000,
            Self::Graph => -3 * 3_600_000,
            Self::Reports => 40_000,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Okta => "okta",
            Self::Github => "github",
            Self::Graph => "graph",
            Self::Reports => "reports",
        }
    }

    fn record(self, event: &Event) -> Value {
        let (mark, time) = (format!("numbered-{}-{:05}", self.name(), event.number), rfc3339(event.time));
        match self {
            Self::Okta => json!({"uuid": mark, "published": time, "eventType": "user.session.start", "displayMessage": mark, "severity": "INFO",
                "actor": {"id": "00u1", "type": "User", "alternateId": "alice@example.com", "displayName": "Alice Analyst"},
                "outcome": {"result": "SUCCESS"}, "client": {"ipAddress": "198.51.100.23"}}),
            Self::Github => {
                json!({"@timestamp": event.time, "_document_id": mark, "action": "repo.create", "actor": "alice-example", "org": "acme", "created_at": event.time})
            }
            Self::Graph => {
                json!({"id": mark, "createdDateTime": time, "userDisplayName": "Alice Analyst", "userPrincipalName": "alice@example.com", "userId": "u1",
                "appId": "a1", "appDisplayName": "Payroll", "ipAddress": "203.0.113.77", "status": {"errorCode": 0}, "clientAppUsed": "Browser", "isInteractive": true})
            }
            Self::Reports => {
                json!({"kind": "admin#reports#activity", "id": {"time": time, "uniqueQualifier": mark, "applicationName": "login", "customerId": "C1"},
                "actor": {"callerType": "USER", "email": "alice@example.com", "profileId": "1"}, "ipAddress": "203.0.113.77",
                "events": [{"type": "login", "name": "login_success"}]})
            }
        }
    }
}

impl Server {
    /// `count` events for each API, a tenth of them late.
    pub(crate) fn start(count: usize, faults: bool, public_key: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let now = now();
        let events = SHAPES.map(|shape| {
            let event = |number: usize| {
                // Ten minutes of events, the last ones just now by the server's clock.
                let age = i64::try_from((count - number) * 600_000 / count).unwrap();
                let due = number * 24 / count;
                let late = if number % 10 == 3 { 6 } else { 0 };
                Event { number, time: now + shape.skew() - age, shown: due + late }
            };
            (shape, (0..count).map(event).collect())
        });
        let state = Arc::new(State { apis: Mutex::default(), events: events.into(), faults, public_key: public_key.to_vec() });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&serving);
                std::thread::spawn(move || while state.serve(&stream).is_some() {});
            }
        });
        Self { address, state }
    }

    /// Polls that each API answered well.
    pub(crate) fn answered(&self) -> Vec<usize> {
        let apis = self.state.apis.lock().unwrap();
        SHAPES.iter().map(|shape| apis.get(shape).map_or(0, |api| api.answered)).collect()
    }

    /// Requests in all.
    pub(crate) fn requests(&self) -> usize {
        self.state.apis.lock().unwrap().values().map(|api| api.requests).sum()
    }

    /// How often each fault was done.
    pub(crate) fn faults(&self) -> BTreeMap<&'static str, usize> {
        let mut sum = BTreeMap::new();
        self.state.apis.lock().unwrap().values().flat_map(|api| &api.seen).for_each(|(fault, count)| *sum.entry(*fault).or_default() += count);
        sum
    }
}

/// A response: status, headers, body.
struct Reply(u16, Vec<(String, String)>, String);

impl State {
    /// One request of a connection; none when it is over.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let target = line.split(' ').nth(1)?.to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        let url = Url::parse("http://api/").unwrap().join(&target).unwrap();
        let body = String::from_utf8(body).unwrap();
        if url.path().ends_with("/token") {
            return send(stream, &self.token(&url, &body), 0);
        }
        let shape = match url.path() {
            path if path.starts_with("/api/v1/logs") => Shape::Okta,
            path if path.contains("audit-log") => Shape::Github,
            path if path.contains("signIns") => Shape::Graph,
            _ => Shape::Reports,
        };
        self.answer(stream, shape, &url, headers.get("authorization").map_or("", |value| value.as_str()))
    }

    fn token(&self, url: &Url, body: &str) -> Reply {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let shape = if url.path().contains("oauth2") { Shape::Graph } else { Shape::Reports };
        let good = match shape {
            Shape::Graph => form.get("client_secret").is_some_and(|secret| secret == "graph-secret"),
            _ => form.get("assertion").is_some_and(|assertion| self.is_signed(assertion, shape)),
        };
        if !good {
            return Reply(401, vec![date(shape)], r#"{"error":"invalid_grant"}"#.to_owned());
        }
        let mut apis = self.apis.lock().unwrap();
        let api = apis.entry(shape).or_default();
        api.tokens += 1;
        Reply(200, vec![date(shape)], json!({"access_token": format!("token-{}", api.tokens), "expires_in": 3600, "token_type": "Bearer"}).to_string())
    }

    fn is_signed(&self, assertion: &str, shape: Shape) -> bool {
        let Some((signed, mark)) = assertion.rsplit_once('.') else { return false };
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key);
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap()).unwrap();
        let (from, until, now) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap(), (now() + shape.skew()) / 1000);
        let good = key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(mark).unwrap()).is_ok() && claims["aud"] == "https://oauth2.googleapis.com/token";
        good && from <= now + 60 && now < until
    }

    fn answer(&self, stream: &TcpStream, shape: Shape, url: &Url, authorization: &str) -> Option<()> {
        let mut apis = self.apis.lock().unwrap();
        let api = apis.entry(shape).or_default();
        api.requests += 1;
        let fault = FAULTS.iter().find(|(number, _)| self.faults && *number == api.requests).map(|(_, fault)| *fault);
        let wanted = match shape {
            Shape::Okta => "SSWS okta-token".to_owned(),
            Shape::Github => "Bearer github-token".to_owned(),
            _ => format!("Bearer token-{}", api.tokens),
        };
        if fault == Some(Fault::TokenGone) && matches!(shape, Shape::Graph | Shape::Reports) {
            *api.seen.entry("token_expired").or_default() += 1;
            api.tokens += 1;
        }
        if authorization != wanted || fault == Some(Fault::TokenGone) && matches!(shape, Shape::Graph | Shape::Reports) {
            return send(stream, &Reply(401, vec![date(shape)], r#"{"error":{"message":"the access token has expired"}}"#.to_owned()), 0);
        }
        let refused = |status, name: &'static str, more: Option<(String, String)>, api: &mut Api| {
            *api.seen.entry(name).or_default() += 1;
            Reply(status, [date(shape)].into_iter().chain(more).collect(), "try again".to_owned())
        };
        let reply = match fault {
            Some(Fault::Busy) => refused(429, "status_429_seconds", Some(("retry-after".to_owned(), "1".to_owned())), api),
            Some(Fault::BusyUntil) => refused(429, "status_429_date", Some(("retry-after".to_owned(), http_date(now() + shape.skew() + 1000))), api),
            Some(Fault::Broken) => refused(500, "status_500", None, api),
            Some(Fault::Unavailable) => refused(503, "status_503", None, api),
            Some(Fault::Dropped) => {
                *api.seen.entry("dropped").or_default() += 1;
                return stream.shutdown(std::net::Shutdown::Both).ok().and(None);
            }
            _ => {
                let reply = self.page(shape, url, api.answered, fault == Some(Fault::Doubled));
                if fault == Some(Fault::Doubled) {
                    *api.seen.entry("doubled_and_reordered").or_default() += 1;
                }
                if fault == Some(Fault::Cut) {
                    *api.seen.entry("cut_in_the_middle").or_default() += 1;
                    return send(stream, &reply, reply.2.len() / 2);
                }
                // A poll has ended when no further page waits.
                api.answered += usize::from(is_last(&reply, shape));
                reply
            }
        };
        drop(apis);
        send(stream, &reply, 0)
    }

    fn page(&self, shape: Shape, url: &Url, polls: usize, doubled: bool) -> Reply {
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let get = |name: &str| query.get(name).cloned().unwrap_or_default();
        let mut visible: Vec<&Event> = self.events[&shape].iter().filter(|event| event.shown <= polls).collect();
        let words = match shape {
            Shape::Okta => get("since"),
            Shape::Github => get("phrase"),
            Shape::Graph => get("$filter"),
            Shape::Reports => get("startTime") + " " + &get("endTime"),
        };
        let (since, until) = instants(&words);
        match shape {
            // In order of arrival; a cursor goes on behind an event, whatever its time.
            Shape::Okta => visible.sort_by_key(|event| (event.shown, event.number)),
            Shape::Github => visible.sort_by_key(|event| (event.time, event.number)),
            _ => visible.sort_by_key(|event| std::cmp::Reverse((event.time, event.number))),
        }
        let after: Option<usize> = ["after", "$skiptoken", "pageToken"].iter().find_map(|name| query.get(*name)?.parse().ok());
        if shape != Shape::Okta || after.is_none() {
            visible.retain(|event| event.time >= since && event.time < until);
        }
        let first = after.map_or(0, |after| visible.iter().position(|event| event.number == after).map_or(visible.len(), |place| place + 1));
        let page: Vec<&Event> = visible.iter().skip(first).take(PAGE).copied().collect();
        let more = first + page.len() < visible.len();
        let last = page.last().map(|event| event.number).or(after);
        let mut records: Vec<Value> = page.iter().map(|event| shape.record(event)).collect();
        if doubled {
            let again: Vec<Value> = records.iter().rev().cloned().collect();
            records.extend(again);
        }
        reply(shape, &query, records, last.filter(|_| more || shape == Shape::Okta), more)
    }
}

fn reply(shape: Shape, query: &BTreeMap<String, String>, records: Vec<Value>, next: Option<usize>, more: bool) -> Reply {
    let next_query = |name: &str| {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in query.iter().filter(|(known, _)| *known != name) {
            text.append_pair(name, value);
        }
        text.append_pair(name, &next.unwrap_or_default().to_string()).finish()
    };
    let mut headers = vec![date(shape), ("x-more".to_owned(), more.to_string()), ("x-rate-limit-remaining".to_owned(), "50".to_owned())];
    let body = match shape {
        Shape::Okta => {
            let link = next.map(|next| ("link".to_owned(), format!("<https://acme.okta.com/api/v1/logs?limit=1000&after={next}>; rel=\"next\"")));
            headers.extend(link);
            Value::Array(records)
        }
        Shape::Github => {
            let link = next.map(|_| {
                ("link".to_owned(), format!("<https://api.github.com/orgs/acme/audit-log?{}>; rel=\"next\", <https://x/>; rel=\"first\"", next_query("after")))
            });
            headers.extend(link);
            Value::Array(records)
        }
        Shape::Graph => {
            let mut body = json!({"value": records});
            if next.is_some() {
                body["@odata.nextLink"] = format!("https://graph.microsoft.com/v1.0/auditLogs/signIns?{}", next_query("$skiptoken")).into();
            }
            body
        }
        Shape::Reports => {
            let mut body = json!({"kind": "admin#reports#activities", "items": records});
            if let Some(next) = next {
                body["nextPageToken"] = next.to_string().into();
            }
            body
        }
    };
    Reply(200, headers, body.to_string())
}

fn is_last(reply: &Reply, _shape: Shape) -> bool {
    reply.1.iter().any(|(name, value)| name == "x-more" && value == "false")
}

/// The instants in a text, as a server would read a filter.
fn instants(text: &str) -> (i64, i64) {
    let found: Vec<i64> = text.split(|c: char| c.is_whitespace() || c == '=').filter_map(|word| weft_ingest::map::time::parse(word, 0)).collect();
    (found.first().copied().unwrap_or(i64::MIN), found.get(1).copied().unwrap_or(i64::MAX))
}

fn send(mut stream: &TcpStream, reply: &Reply, cut: usize) -> Option<()> {
    let Reply(status, headers, body) = reply;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("HTTP/1.1 {status} -\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    let end = text.len() - cut;
    stream.write_all(text.get(..end)?.as_bytes()).ok()?;
    if cut > 0 { stream.shutdown(std::net::Shutdown::Both).ok().and(None) } else { Some(()) }
}

fn date(shape: Shape) -> (String, String) {
    ("date".to_owned(), http_date(now() + shape.skew()))
}

fn http_date(at: i64) -> String {
    let day = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(at.div_euclid(86_400_000).rem_euclid(7)).unwrap()];
    let text = rfc3339(at);
    let part = |from: usize, to: usize| text.get(from..to).unwrap().to_owned();
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][part(5, 7).parse::<usize>().unwrap() - 1];
    format!("{day}, {} {month} {} {} GMT", part(8, 10), part(0, 4), part(11, 19))
}

fn rfc3339(at: i64) -> String {
    weft_model::Timestamp(at).rfc3339()
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
