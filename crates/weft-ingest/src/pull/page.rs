//! What an answer holds: its records, verbatim, and where the next page is.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::describe::{Kind, Page};
use super::message::{Answer, Fault};
use super::place::Next;

/// Longest token or address of a next page, bytes.
const NEXT_BYTES_MAX: usize = 16 << 10;

/// A page, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) records: Vec<Bytes>,
    pub(super) next: Option<Next>,
    /// What the API says about more, if it says it.
    pub(super) more: Option<bool>,
}

/// Reads the page that was asked for at `current`.
pub(super) fn read(page: &Page, at: &str, current: Option<&Next>, answer: &Answer) -> Result<Read, Fault> {
    let text = text(answer)?;
    if text.trim().is_empty() {
        return Ok(Read { next: header_next(page, answer), ..Read::default() });
    }
    let document: &RawValue = serde_json::from_str(text).map_err(|error| Fault::Protocol(format!("the answer is no JSON: {error}")))?;
    let records = records(document, at, &answer.body)?;
    let more = page.more.as_deref().map(|pointer| find(document, pointer).is_some_and(is_true));
    // A record that stands twice on a page counts once: a smaller offset only reads some again.
    let count = records.iter().collect::<HashSet<_>>().len() as u64;
    let next = match &page.kind {
        Kind::Single => None,
        Kind::Link | Kind::NextHeader(_) => header_next(page, answer),
        Kind::NextUrl(pointer) => find(document, pointer).and_then(word).map(Next::Url),
        Kind::Token(pointer) => find(document, pointer).and_then(word).map(Next::Token),
        Kind::LastRecord(pointer) => records.last().and_then(|record| word_of(record, pointer)).map(Next::Token),
        Kind::Number { .. } | Kind::Offset if count == 0 => None,
        Kind::Number { first } => Some(Next::Page(if let Some(Next::Page(page)) = current { page.saturating_add(1) } else { first + 1 })),
        Kind::Offset => Some(Next::Offset(if let Some(Next::Offset(offset)) = current { offset.saturating_add(count) } else { count })),
    };
    Ok(Read { records, next, more })
}

/// Records of an answer by themselves.
pub(super) fn only_records(at: &str, answer: &Answer) -> Result<Vec<Bytes>, Fault> {
    let text = text(answer)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let document: &RawValue = serde_json::from_str(text).map_err(|error| Fault::Protocol(format!("the answer is no JSON: {error}")))?;
    records(document, at, &answer.body)
}

fn text(answer: &Answer) -> Result<&str, Fault> {
    std::str::from_utf8(&answer.body).map(|text| text.trim_start_matches('\u{feff}')).map_err(|_| Fault::Protocol("the answer is no UTF-8".to_owned()))
}

fn records(document: &RawValue, at: &str, body: &Bytes) -> Result<Vec<Bytes>, Fault> {
    let Some(found) = find(document, at).filter(|found| found.get() != "null") else { return Ok(Vec::new()) };
    let items: Vec<&RawValue> = serde_json::from_str(found.get())
        .map_err(|_| Fault::Protocol(format!("there is no array of records at `{at}` in the answer, but {}", start(found.get()))))?;
    Ok(items.into_iter().map(|item| body.slice_ref(item.get().as_bytes())).collect())
}

fn start(text: &str) -> String {
    format!("`{}`", text.chars().take(60).collect::<String>())
}

/// By JSON Pointer (RFC 6901), without building what is not asked for.
pub(super) fn find<'a>(document: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    let mut here = document;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        here = match here.get().as_bytes().first() {
            Some(b'{') => {
                let mut fields: HashMap<Cow<'a, str>, &'a RawValue> = serde_json::from_str(here.get()).ok()?;
                fields.remove(segment.as_str())?
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> = serde_json::from_str(here.get()).ok()?;
                items.get(segment.parse::<usize>().ok()?).copied()?
            }
            _ => return None,
        };
    }
    Some(here)
}

/// A text or number as text, a list of such with commas; nothing else, and not an empty one.
fn word(value: &RawValue) -> Option<String> {
    let plain = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let word = match serde_json::from_str(value.get()).ok()? {
        serde_json::Value::Array(items) => items.into_iter().map(plain).collect::<Option<Vec<String>>>()?.join(","),
        value => plain(value)?,
    };
    (!word.is_empty() && word.len() <= NEXT_BYTES_MAX).then_some(word)
}

/// The word at a place of a record.
pub(super) fn word_of(record: &[u8], pointer: &str) -> Option<String> {
    let document: &RawValue = serde_json::from_slice(record).ok()?;
    find(document, pointer).and_then(word)
}

/// The value at a place of a record.
pub(super) fn value_of(record: &[u8], pointer: &str) -> Option<serde_json::Value> {
    let document: &RawValue = serde_json::from_slice(record).ok()?;
    serde_json::from_str(find(document, pointer)?.get()).ok()
}

fn is_true(value: &RawValue) -> bool {
    match serde_json::from_str(value.get()) {
        Ok(serde_json::Value::Bool(flag)) => flag,
        Ok(serde_json::Value::String(text)) => !matches!(text.to_ascii_lowercase().as_str(), "" | "false" | "0" | "no"),
        Ok(serde_json::Value::Number(number)) => number.as_f64().is_some_and(|number| number > 0.0),
        _ => false,
    }
}

fn header_next(page: &Page, answer: &Answer) -> Option<Next> {
    let url = match &page.kind {
        Kind::Link => answer.headers.iter().filter(|(name, _)| name == "link").find_map(|(_, value)| next_link(value))?,
        Kind::NextHeader(name) => answer.header(name)?.trim().to_owned(),
        _ => return None,
    };
    (!url.is_empty() && url.len() <= NEXT_BYTES_MAX).then_some(Next::Url(url))
}

/// The target of `rel="next"` (RFC 8288).
fn next_link(header: &str) -> Option<String> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, parameters) = after.split_once('>')?;
        let end = link_end(parameters);
        let (parameters, after) = parameters.split_at_checked(end)?;
        let is_next = parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target.to_owned());
        }
        rest = after;
    }
    None
}

/// Where the parameters of a link end: at a comma outside of quotes.
fn link_end(parameters: &str) -> usize {
    let mut quoted = false;
    for (at, character) in parameters.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => return at,
            _ => {}
        }
    }
    parameters.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_every_form() {
        for (header, next) in [
            (r#"<https://x/?a=1,2>; rel="self", <https://x/?after=2>; rel="next""#, Some("https://x/?after=2")),
            (r#"<https://x/2>; title="a, b; rel=next"; rel="prev next""#, Some("https://x/2")),
            ("<https://x/3>;rel=next", Some("https://x/3")),
            (r#"<https://x/4>; rel="last""#, None),
            ("nonsense <", None),
            ("", None),
        ] {
            assert_eq!(next_link(header).as_deref(), next, "{header}");
        }
    }

    #[test]
    fn pointers_find_what_is_there() {
        let document: &RawValue = serde_json::from_str(r#"{"a":{"b/c":[{"d":1},"x"]},"@odata.nextLink":"u","n":null}"#).unwrap();
        let at = |pointer: &str| find(document, pointer).map(RawValue::get);
        assert_eq!(at("/a/b~1c/0/d"), Some("1"));
        assert_eq!(at("/@odata.nextLink"), Some("\"u\""));
        assert_eq!([at("/a/x"), at("/a/b~1c/9"), at("/n/x"), at("/a/b~1c/x")], [None; 4]);
        assert_eq!(at("").map(str::len), Some(document.get().len()));
    }
}
