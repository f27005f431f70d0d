//! Where the parts of JSON text begin and end, without parsing it: the envelope of a request is
//! opened, the records in it stay as they were written.
//!
//! Nothing here recurses, so depth costs nothing; what is not JSON is cut as well as it can be,
//! and judged later by the mapping.

use std::ops::Range;

use bytes::Bytes;

/// Members of an object that are told one by one; one with more is no envelope.
const MEMBERS_MAX: usize = 4096;

/// The values that stand one after another in `text`, with or without blanks and commas between.
///
/// The rest after the last whole value comes as a last item when it is not blank.
pub fn values(text: &Bytes) -> Values {
    Values { text: text.clone(), at: 0 }
}

/// The elements of an array, as [`values`]; none when `array` is no array.
pub fn elements(array: &Bytes) -> Option<Values> {
    let start = skip(array, 0, |byte| byte.is_ascii_whitespace()).filter(|at| array.get(*at) == Some(&b'['))?;
    let end = container_end(array, start)?;
    Some(Values { text: array.slice(start + 1..end - 1), at: 0 })
}

/// See [`values`].
#[derive(Debug)]
pub struct Values {
    text: Bytes,
    at: usize,
}

impl Values {
    /// All that is left, when it is not blank.
    pub fn rest(&mut self) -> Option<Bytes> {
        let start = skip(&self.text, self.at, separates)?;
        self.at = self.text.len();
        Some(self.text.slice(start..))
    }
}

impl Iterator for Values {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let start = skip(&self.text, self.at, separates)?;
        self.at = value_end(&self.text, start).unwrap_or(self.text.len());
        Some(self.text.slice(start..self.at))
    }
}

fn separates(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b','
}

/// The value of one member; the last of several.
pub fn member(object: &Bytes, name: &str) -> Option<Bytes> {
    let mut found = None;
    let whole = each_member(object, |key, value| {
        if object.get(key) == Some(name.as_bytes()) {
            found = Some(object.slice(value));
        }
        true
    });
    whole.and(found)
}

/// The members of an object: key (undecoded, without quotes) and value.
///
/// None when `object` is not an object, breaks off, or has very many.
pub fn members(object: &Bytes) -> Option<Vec<(Bytes, Bytes)>> {
    let mut members = Vec::new();
    each_member(object, |key, value| {
        members.push((object.slice(key), object.slice(value)));
        members.len() <= MEMBERS_MAX
    })?;
    Some(members)
}

/// Tells the places of key and value of each member until `tell` says no; none then, and where
/// `object` is no whole object.
fn each_member(object: &[u8], mut tell: impl FnMut(Range<usize>, Range<usize>) -> bool) -> Option<()> {
    let blank = |byte: u8| byte.is_ascii_whitespace();
    let mut at = skip(object, 0, blank).filter(|at| object.get(*at) == Some(&b'{'))? + 1;
    loop {
        at = skip(object, at, separates)?;
        if object.get(at) == Some(&b'}') {
            return Some(());
        }
        let key_end = (object.get(at) == Some(&b'"')).then(|| value_end(object, at)).flatten()?;
        let colon = skip(object, key_end, blank).filter(|at| object.get(*at) == Some(&b':'))?;
        let start = skip(object, colon + 1, blank)?;
        let end = value_end(object, start)?;
        if end == start || !tell(at + 1..key_end - 1, start..end) {
            return None;
        }
        at = end;
    }
}

/// Whether the text is one whole object, as far as brackets and quotes tell.
pub fn is_object(text: &[u8]) -> bool {
    let start = skip(text, 0, |byte| byte.is_ascii_whitespace()).filter(|start| text.get(*start) == Some(&b'{'));
    let end = start.and_then(|start| container_end(text, start));
    end.is_some_and(|end| skip(text, end, |byte| byte.is_ascii_whitespace()).is_none())
}

fn skip(text: &[u8], from: usize, over: impl Fn(u8) -> bool) -> Option<usize> {
    text.iter().skip(from).position(|byte| !over(*byte)).map(|offset| from + offset)
}

/// One past the end of the value that begins at `start`; none when the text breaks off in it.
fn value_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b'"' => string_end(text, start),
        b'{' | b'[' => container_end(text, start),
        _ => Some(
            skip(text, start, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b',' | b'}' | b']' | b'{' | b'[' | b'"'))
                .unwrap_or(text.len())
                .max(start + 1),
        ),
    }
}

fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn container_end(text: &[u8], start: usize) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, start);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<String> {
        values(&Bytes::copy_from_slice(text.as_bytes())).map(|v| String::from_utf8_lossy(&v).into_owned()).collect()
    }

    fn pairs(text: &str) -> Option<Vec<(String, String)>> {
        let text_of = |b: &Bytes| String::from_utf8_lossy(b).into_owned();
        members(&Bytes::copy_from_slice(text.as_bytes())).map(|m| m.iter().map(|(k, v)| (text_of(k), text_of(v))).collect())
    }

    #[test]
    fn values_stand_side_by_side() {
        assert_eq!(cut(r#"{"a":"}"}{"b":[1,{"c":"\""}]} , 5 "x""#), [r#"{"a":"}"}"#, r#"{"b":[1,{"c":"\""}]}"#, "5", "\"x\""]);
        assert_eq!(cut(r#"{"a":1} {"b":"#), [r#"{"a":1}"#, r#"{"b":"#]);
        assert_eq!(cut("}"), ["}"]);
        assert_eq!(cut(&"[".repeat(1 << 20)).len(), 1, "depth costs nothing");
    }

    #[test]
    fn one_member_is_found_and_very_many_are_no_envelope() {
        let object = Bytes::from_static(br#"{"a":1,"b":[{"a":2}],"a":3}"#);
        assert_eq!(member(&object, "a").unwrap(), "3");
        let inside: Vec<Bytes> = elements(&member(&object, "b").unwrap()).unwrap().collect();
        assert_eq!(inside, [r#"{"a":2}"#]);
        assert!(elements(&object).is_none());
        let many = Bytes::from(format!("{{{}\"z\":0}}", "\"k\":1,".repeat(MEMBERS_MAX)));
        assert_eq!(member(&many, "z").unwrap(), "0");
        assert_eq!(members(&many), None);
    }

    #[test]
    fn an_object_is_whole_or_not() {
        for whole in ["{}", r#" {"a":"}{"} "#, r#"{"a":[{}]}"#] {
            assert!(is_object(whole.as_bytes()), "{whole}");
        }
        for other in ["", "5", "[]", "{", r#"{"a":"}"#, "{}{}", "{} x"] {
            assert!(!is_object(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn an_envelope_is_opened() {
        let open = pairs(r#" {"time": 1.5, "event" :{"x":"a,b"}, "host":"h"} "#).unwrap();
        assert_eq!(open, [("time".into(), "1.5".into()), ("event".into(), r#"{"x":"a,b"}"#.into()), ("host".into(), "\"h\"".into())]);
        assert_eq!(pairs("{}"), Some(vec![]));
        for broken in ["", "5", "{", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":"x"#, r#"{a:1}"#] {
            assert_eq!(pairs(broken), None, "{broken}");
        }
    }
}
