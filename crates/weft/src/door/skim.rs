//! Where the parts of JSON text begin and end, without parsing it: the envelope of a request is
//! opened, the records in it stay as they were written.
//!
//! Nothing here recurses, so depth costs nothing; what is not JSON is cut as well as it can be,
//! and judged later by the mapping.

use bytes::Bytes;

/// The values that stand one after another in `text`, with or without blanks and commas between.
///
/// The rest after the last whole value comes as a last item when it is not blank.
pub fn values(text: &Bytes) -> Vec<Bytes> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(start) = skip(text, at, |byte| byte.is_ascii_whitespace() || byte == b',') {
        let end = value_end(text, start).unwrap_or(text.len());
        found.push(text.slice(start..end));
        at = end;
    }
    found
}

/// The members of an object: key (undecoded, without quotes) and value.
///
/// None when `object` is not an object or breaks off.
pub fn members(object: &Bytes) -> Option<Vec<(Bytes, Bytes)>> {
    let blank = |byte: u8| byte.is_ascii_whitespace();
    let mut at = skip(object, 0, blank).filter(|at| object.get(*at) == Some(&b'{'))? + 1;
    let mut members = Vec::new();
    loop {
        at = skip(object, at, |byte| blank(byte) || byte == b',')?;
        if object.get(at) == Some(&b'}') {
            return Some(members);
        }
        let key_end = (object.get(at) == Some(&b'"')).then(|| value_end(object, at)).flatten()?;
        let key = object.slice(at + 1..key_end - 1);
        let colon = skip(object, key_end, blank).filter(|at| object.get(*at) == Some(&b':'))?;
        let start = skip(object, colon + 1, blank)?;
        let end = value_end(object, start)?;
        if end == start {
            return None;
        }
        members.push((key, object.slice(start..end)));
        at = end;
    }
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
        values(&Bytes::copy_from_slice(text.as_bytes())).iter().map(|v| String::from_utf8_lossy(v).into_owned()).collect()
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
    fn an_envelope_is_opened() {
        let open = pairs(r#" {"time": 1.5, "event" :{"x":"a,b"}, "host":"h"} "#).unwrap();
        assert_eq!(open, [("time".into(), "1.5".into()), ("event".into(), r#"{"x":"a,b"}"#.into()), ("host".into(), "\"h\"".into())]);
        assert_eq!(pairs("{}"), Some(vec![]));
        for broken in ["", "5", "{", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":"x"#, r#"{a:1}"#] {
            assert_eq!(pairs(broken), None, "{broken}");
        }
    }
}
