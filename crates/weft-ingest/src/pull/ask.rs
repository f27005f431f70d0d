//! A request of a description with its holes filled.

use serde_json::Value;
use url::Url;

use super::describe::{Ask, Json, Method};
use super::message::{Body, Fault, Request};
use super::template::{Escape, Template, escaped};

/// What fills a hole.
pub(super) type Fill<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Numbers among the holes: alone in a text of a body they stay numbers.
const NUMBERS: [&str; 3] = ["size", "page", "offset"];

/// Makes the request; a query, header or field whose hole is empty is left out.
pub(super) fn build(ask: &Ask, fill: Fill<'_>, origin: Option<&Url>) -> Result<Request, Fault> {
    let mut url = address(&ask.url, fill, origin)?;
    let mut query: Vec<(String, String)> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    query.extend(ask.query.iter().filter_map(|(name, value)| Some((name.clone(), value.fill(fill, Escape::No)?))));
    query.sort();
    let text: Vec<String> = query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    url.set_query((!text.is_empty()).then(|| text.join("&")).as_deref());
    let body = ask.body.as_ref().map(|body| Body::Json(json(body, fill).unwrap_or(Value::Null).to_string()));
    Ok(Request { method: ask.method, url, headers: headers(&ask.headers, fill), body })
}

/// A further request for a page whose address the API gave.
pub(super) fn follow(url: Url, ask: &Ask, fill: Fill<'_>) -> Request {
    Request { method: Method::Get, url, headers: headers(&ask.headers, fill), body: None }
}

/// The address, at the operator's origin if there is one.
pub(super) fn address(template: &Template, fill: Fill<'_>, origin: Option<&Url>) -> Result<Url, Fault> {
    let text = template.fill(fill, Escape::Uri).ok_or_else(|| Fault::Refused("a setting that the address needs is missing".to_owned()))?;
    let url = Url::parse(&text).map_err(|error| Fault::Refused(format!("`{text}` is no address: {error}")))?;
    Ok(match origin {
        Some(origin) => moved(&url, origin),
        None => url,
    })
}

/// The same path and query elsewhere.
pub(super) fn moved(url: &Url, origin: &Url) -> Url {
    let mut moved = origin.clone();
    moved.set_path(url.path());
    moved.set_query(url.query());
    moved
}

fn headers(of: &[(String, Template)], fill: Fill<'_>) -> Vec<(String, String)> {
    of.iter().filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.fill(fill, Escape::No)?))).collect()
}

fn json(body: &Json, fill: Fill<'_>) -> Option<Value> {
    Some(match body {
        Json::Plain(value) => value.clone(),
        Json::Text(template) => {
            let text = template.fill(fill, Escape::No)?;
            match template.only_hole().filter(|hole| NUMBERS.contains(hole)).and_then(|_| text.parse::<u64>().ok()) {
                Some(number) => number.into(),
                None => text.into(),
            }
        }
        Json::Object(fields) => Value::Object(fields.iter().filter_map(|(name, field)| Some((name.clone(), json(field, fill)?))).collect()),
        Json::List(items) => Value::Array(items.iter().filter_map(|item| json(item, fill)).collect()),
    })
}
