//! Forward authentication: a proxy asks whether a request may go on, by headers alone.
//!
//! Proxies tell of the original request in their own ways; three are understood: `X-Original-URI`
//! and `X-Original-Method`; `X-Forwarded-Uri`, `-Method` and `-Host`; and the original request
//! itself below `/access/v1/forward-auth`, with its method and `Host`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use weft_identity::access::{AccessPoint, Ask, Party};
use weft_model::{Effect, EntityUid};

use super::http::{RequestId, Shared, error};

/// Where this is.
const HERE: &str = "/access/v1/forward-auth";
/// Type of what proxies protect.
const ROUTE: &str = "Route";
/// Longest path.
const PATH_BYTES_MAX: usize = 4096;
/// Parts of a path that become groups.
const PARTS_MAX: usize = 32;

/// 200: it may go on; 401: nobody is signed in; 403: it may not.
pub(super) async fn decide(State(service): Shared, id: axum::Extension<RequestId>, request: Request) -> Response {
    let access = &service.settings.home.config.access;
    let headers = request.headers();
    let mut users = headers.get_all(&access.user_header).iter();
    let user = match (users.next().map(|value| value.to_str()), users.next()) {
        (None, _) => return (StatusCode::UNAUTHORIZED, error("unauthenticated", "nobody is signed in")).into_response(),
        (Some(Ok(user)), None) if !user.trim().is_empty() => user.trim().to_owned(),
        _ => return refused("the header with the user is not one name"),
    };
    let Some(original) = Original::of(&request) else { return refused("the original request is not told") };
    let resource = match original.resource() {
        Ok(resource) => resource,
        Err(reason) => return refused(reason),
    };
    let ask = Ask {
        principal: Party::new(&access.principal_type, user),
        action: original.method,
        resource,
        context: original.client.map(|ip| Map::from_iter([("ip".to_owned(), json!({"__extn": {"fn": "ip", "arg": ip}}))])).unwrap_or_default(),
        ..Ask::default()
    };
    let (ask, decision) = service.read(|point| {
        let ask = with_facts_of_nearest(point, ask);
        let decision = point.decide(&ask);
        (ask, decision)
    });
    service.keep_session(&id.0.0, &ask, &decision).await;
    match decision.effect {
        Effect::Permit => (StatusCode::OK, [("x-weft-user", ask.principal.id)]).into_response(),
        Effect::Forbid => refused("no policy permits it, or one forbids it"),
    }
}

/// A path that is not known has the facts of the nearest one before it that is.
fn with_facts_of_nearest(point: &AccessPoint, mut ask: Ask) -> Ask {
    if point.store().facts(ROUTE, &ask.resource.id).is_none() {
        let nearest = ask.resource.joins.iter().rev().find_map(|group| point.store().facts(ROUTE, &group.id));
        let mut facts = nearest.unwrap_or_default();
        facts.append(&mut ask.resource.properties);
        ask.resource.properties = facts;
    }
    ask
}

fn refused(reason: &str) -> Response {
    (StatusCode::FORBIDDEN, error("forbidden", reason)).into_response()
}

/// The request that the proxy holds back.
struct Original {
    method: String,
    host: String,
    path: String,
    client: Option<String>,
}

impl Original {
    fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let own = || request.uri().path_and_query().and_then(|all| all.as_str().strip_prefix(HERE)).filter(|rest| rest.starts_with('/')).map(str::to_owned);
        let uri = text("x-original-uri").or_else(|| text("x-forwarded-uri")).or_else(own)?;
        let method = text("x-original-method").or_else(|| text("x-forwarded-method")).unwrap_or_else(|| request.method().to_string());
        let host = text("x-forwarded-host").or_else(|| text(header::HOST.as_str()))?;
        let path = uri.split(['?', '#']).next().unwrap_or_default().to_owned();
        Some(Self { method: method.to_ascii_uppercase(), host: bare(&host), path, client: client(headers) })
    }

    /// The path as a resource, within all that stand before it: `Route::"host/a/b"` is in
    /// `Route::"host/a"` and in `Route::"host"`.
    ///
    /// What servers read in different ways is refused: a policy must mean the path that is served.
    fn resource(&self) -> Result<Party, &'static str> {
        let path = decoded(&self.path).ok_or("the path is not text")?;
        let odd = path.contains(['\\', '\0', '%', ';']) || path.contains("//") || path.split('/').any(|part| part == "." || part == "..");
        if !path.starts_with('/') || odd || path.len() > PATH_BYTES_MAX || path.chars().any(char::is_control) {
            return Err("the path can be read in more than one way");
        }
        let (mut joins, mut at) = (Vec::new(), self.host.clone());
        for part in path.split('/').filter(|part| !part.is_empty()).take(PARTS_MAX) {
            joins.push(EntityUid::new(ROUTE, at.clone()));
            at = format!("{at}/{part}");
        }
        let whole = format!("{}{}", self.host, path.trim_end_matches('/'));
        joins.retain(|group| group.id != whole);
        let properties: Map<String, Value> = [("host".to_owned(), json!(self.host)), ("path".to_owned(), json!(path))].into_iter().collect();
        Ok(Party { kind: ROUTE.to_owned(), id: whole, properties, joins, leaves: Vec::new() })
    }
}

/// A host without its port, in lower case.
fn bare(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
        _ => host,
    }
}

/// The address of the client, as the nearest proxy tells it.
fn client(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let told = text("x-real-ip").or_else(|| text("x-forwarded-for").and_then(|all| all.rsplit(',').next()))?;
    told.trim().parse::<std::net::IpAddr>().ok().map(|ip| ip.to_string())
}

/// `%20` and the like once; none when it is not UTF-8 afterwards.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            // A slash that is not one for the proxy may be one for the server.
            if (high << 4 | low) == b'/' {
                return None;
            }
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> Result<(String, Vec<String>), &'static str> {
        let original = Original { method: "GET".into(), host: bare("App.example:8443"), path: path.into(), client: None };
        original.resource().map(|party| (party.id, party.joins.into_iter().map(|group| group.id).collect()))
    }

    #[test]
    fn a_path_is_within_what_stands_before_it() {
        let within = vec!["app.example".to_owned(), "app.example/admin".to_owned()];
        assert_eq!(resource("/admin/users").unwrap(), ("app.example/admin/users".into(), within.clone()));
        assert_eq!(resource("/admin/users/").unwrap(), ("app.example/admin/users".into(), within));
        assert_eq!(resource("/").unwrap(), ("app.example".into(), vec![]));
        assert_eq!(resource("/a%20b").unwrap().0, "app.example/a b");
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_refused() {
        for path in ["/a/../admin", "/a/./b", "/a//b", "/a%2fb", "/a%2e%2e/b/..", "/%252e", "/a\\b", "/a;b", "/a%00", "admin", "/%ff", "/%zz", "/%"] {
            assert!(resource(path).is_err(), "{path}");
        }
    }
}
