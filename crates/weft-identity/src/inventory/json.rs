//! JSON that may end early: what was whole is kept.

use serde_json::Value;

/// A document as far as it could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The value; of lines, a list of them.
    pub value: Value,
    /// What could not be read: line, and reason.
    pub faults: Vec<(usize, String)>,
    /// Whether something is missing.
    pub torn: bool,
}

/// Reads one JSON value, or one a line.
///
/// # Errors
/// For a person: nothing of it is JSON.
pub fn read(text: &str) -> Result<Parsed, String> {
    let whole = match serde_json::from_str(text) {
        Ok(value) => return Ok(Parsed { value, faults: Vec::new(), torn: false }),
        Err(error) => error,
    };
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if first.trim_start().starts_with('{') && serde_json::from_str::<Value>(first).is_ok() {
        return Ok(lines(text));
    }
    if whole.is_eof()
        && let Some((value, kept)) = mended(text)
    {
        let fault = (whole.line(), format!("ends early; what was whole in its first {kept} bytes is used"));
        return Ok(Parsed { value, faults: vec![fault], torn: true });
    }
    Err(format!("is neither JSON, nor JSON lines, nor LDIF: {whole}"))
}

fn lines(text: &str) -> Parsed {
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(value) => values.push(value),
            Err(error) => faults.push((number + 1, format!("is not JSON: {error}"))),
        }
    }
    Parsed { value: Value::Array(values), torn: !faults.is_empty(), faults }
}

/// Cuts after the last whole object or list, and closes what is open there.
fn mended(text: &str) -> Option<(Value, usize)> {
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    let mut last: Option<(usize, Vec<u8>)> = None;
    for (at, byte) in text.bytes().enumerate() {
        if quoted {
            (quoted, escaped) = match byte {
                _ if escaped => (true, false),
                b'\\' => (true, true),
                b'"' => (false, false),
                _ => (true, false),
            };
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' => {
                open.pop()?;
                // Copies only what is open: few, and bounded by the depth that a parser takes.
                last = Some((at + 1, open.clone())).filter(|_| open.len() < 128);
            }
            _ => {}
        }
    }
    let (end, open) = last?;
    let mut whole = text.get(..end)?.to_owned();
    whole.extend(open.iter().rev().map(|&byte| char::from(byte)));
    Some((serde_json::from_str(&whole).ok()?, end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_whole_is_kept() {
        let cut = read("{\"value\": [{\"id\": 1, \"x\": \"}\"},\n {\"id\": 2}, {\"id\": 3, \"na").unwrap();
        assert_eq!((cut.value, cut.torn, cut.faults[0].0), (json!({"value": [{"id": 1, "x": "}"}, {"id": 2}]}), true, 2));
        let lines = read("{\"a\": 1}\nnot\n\n{\"a\": 2}\n").unwrap();
        assert_eq!((lines.value, lines.torn, lines.faults[0].0), (json!([{"a": 1}, {"a": 2}]), true, 2));
        assert!(!read("[1]").unwrap().torn);
        for none in ["", "hello", "{\"a\"", "]"] {
            assert!(read(none).is_err(), "{none}");
        }
    }
}
