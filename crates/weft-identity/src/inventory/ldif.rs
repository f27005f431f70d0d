//! LDIF (RFC 2849), as directories print what was searched: entries as JSON objects.
//!
//! Each attribute is a list of texts under its name in lower case, without options; `dn` is one text. Values
//! that are no text stay base64: they are not UTF-8, or have control characters, as identifiers made of bytes do.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::binary::base64;

/// Bytes of one value, unfolded.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// The number of a line, and its text or what is said of it.
type Numbered = (usize, String);

/// Whether a text looks like LDIF.
pub fn is_one(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with("dn:") || line.starts_with("version:"))
}

/// Entries as a list, and what could not be read, with its line.
pub fn read(text: &str) -> (Value, Vec<(usize, String)>) {
    let (mut entries, mut entry) = (Vec::new(), Map::new());
    let (lines, mut faults) = unfolded(text);
    for (number, line) in lines {
        if line.is_empty() {
            close(&mut entry, &mut entries);
            continue;
        }
        match attribute(&line) {
            Ok(Some((name, value))) if name == "dn" => {
                close(&mut entry, &mut entries);
                entry.insert(name, Value::String(value));
            }
            // What a search prints after the entries (`search:`, `result:`) belongs to none.
            Ok(Some((name, value))) if entry.contains_key("dn") => {
                if let Value::Array(values) = entry.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                    values.push(Value::String(value));
                }
            }
            Ok(_) => {}
            Err(reason) => faults.push((number, reason)),
        }
    }
    close(&mut entry, &mut entries);
    (Value::Array(entries), faults)
}

fn close(entry: &mut Map<String, Value>, entries: &mut Vec<Value>) {
    let entry = std::mem::take(entry);
    if entry.contains_key("dn") {
        entries.push(Value::Object(entry));
    }
}

/// Lines with their continuations, without comments; an empty one ends an entry. What is too long is left out
/// and told.
fn unfolded(text: &str) -> (Vec<Numbered>, Vec<Numbered>) {
    let (mut lines, mut long): (Vec<Numbered>, BTreeSet<usize>) = (Vec::new(), BTreeSet::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix(' '), lines.last_mut()) {
            (Some(more), Some((_, last))) if last.len() + more.len() <= VALUE_BYTES_MAX => last.push_str(more),
            (Some(_), Some((begun, _))) => _ = long.insert(*begun),
            _ => lines.push((number + 1, line.to_owned())),
        }
    }
    lines.retain(|(number, line)| !line.starts_with('#') && !long.contains(number));
    let reason = format!("a value is longer than {VALUE_BYTES_MAX} bytes and is left out; ask for the attributes that are needed");
    (lines, long.into_iter().map(|number| (number, reason.clone())).collect())
}

/// The text that bytes are, if they are one.
fn written(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')))
}

fn attribute(line: &str) -> Result<Option<(String, String)>, String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("`{}` is not `attribute: value`", line.chars().take(60).collect::<String>()))?;
    let name = name.split(';').next().unwrap_or(name).trim().to_lowercase();
    if let Some(encoded) = value.strip_prefix(':') {
        let bytes = base64(encoded).ok_or_else(|| format!("the value of `{name}` is not base64"))?;
        return Ok(Some((name, written(bytes).unwrap_or_else(|| encoded.trim().to_owned()))));
    }
    if value.starts_with('<') {
        return Err(format!("`{name}` is in another file; print values instead of addresses"));
    }
    let value = value.trim();
    Ok((!value.is_empty()).then(|| (name, value.to_owned())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_read_as_they_are_printed() {
        let text = "# extended LDIF\nversion: 1\n\n# Ada\ndn: CN=Ada Love\n lace,DC=x\nobjectClass: top\nobjectClass: user\ncn:: QWRhIEzDtnZlbGFjZQ==\nobjectSid:: AQUAAAAAAAUVAAAA/w==\nuserCertificate;binary:: /w==\n\n# search result\nsearch: 2\nresult: 0 Success\n";
        assert!(is_one(text));
        let (entries, faults) = read(text);
        assert_eq!(faults, vec![]);
        assert_eq!(
            entries,
            json!([{"dn": "CN=Ada Lovelace,DC=x", "objectclass": ["top", "user"], "cn": ["Ada Lövelace"], "objectsid": ["AQUAAAAAAAUVAAAA/w=="], "usercertificate": ["/w=="]}])
        );
    }

    #[test]
    fn bytes_stay_base64_also_where_they_could_be_text() {
        let (entries, faults) = read("dn: cn=a\nobjectSid:: AQIAAAAAAAUgAAAAIAIAAA==\ndescription:: b25lCnR3bwlhbmQ=\n");
        assert_eq!((entries, faults), (json!([{"dn": "cn=a", "objectsid": ["AQIAAAAAAAUgAAAAIAIAAA=="], "description": ["one\ntwo\tand"]}]), vec![]));
    }

    #[test]
    fn a_value_that_is_too_long_is_left_out_and_told() {
        let more = format!(" {}\n", "x".repeat(1 << 20));
        let (entries, faults) = read(&format!("dn: cn=a\nphoto: x\n{}cn: a\n", more.repeat(17)));
        assert_eq!(entries, json!([{"dn": "cn=a", "cn": ["a"]}]));
        assert_eq!((faults.len(), faults[0].0), (1, 2), "{faults:?}");
    }

    #[test]
    fn a_line_that_is_none_is_told_and_the_rest_is_read() {
        let (entries, faults) = read("dn: cn=a\nnonsense\ncn:: ?\ncn: a\njpegPhoto:< file:///x\n");
        assert_eq!(entries, json!([{"dn": "cn=a", "cn": ["a"]}]));
        assert_eq!(faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 5]);
        assert!(!is_one("{\"dn\": 1}"));
    }
}
