//! LDIF (RFC 2849), as directories print what was searched: entries as JSON objects.
//!
//! Each attribute is a list of texts under its name in lower case, without options; `dn` is one text. Values
//! that are not UTF-8 stay base64.

use serde_json::{Map, Value};

use super::binary::base64;

/// Bytes of one value, unfolded.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// Whether a text looks like LDIF.
pub fn is_one(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with("dn:") || line.starts_with("version:"))
}

/// Entries as a list, and what could not be read, with its line.
pub fn read(text: &str) -> (Value, Vec<(usize, String)>) {
    let (mut entries, mut faults, mut entry) = (Vec::new(), Vec::new(), Map::new());
    for (number, line) in unfolded(text) {
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

/// Lines with their continuations, without comments; an empty one ends an entry.
fn unfolded(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix(' '), lines.last_mut()) {
            (Some(more), Some((_, last))) if last.len() + more.len() <= VALUE_BYTES_MAX => last.push_str(more),
            (Some(_), Some(_)) => {}
            _ => lines.push((number + 1, line.to_owned())),
        }
    }
    lines.retain(|(_, line)| !line.starts_with('#'));
    lines
}

fn attribute(line: &str) -> Result<Option<(String, String)>, String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("`{}` is not `attribute: value`", line.chars().take(60).collect::<String>()))?;
    let name = name.split(';').next().unwrap_or(name).trim().to_lowercase();
    if let Some(encoded) = value.strip_prefix(':') {
        let bytes = base64(encoded).ok_or_else(|| format!("the value of `{name}` is not base64"))?;
        return Ok(Some((name, String::from_utf8(bytes).unwrap_or_else(|_| encoded.trim().to_owned()))));
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
    fn a_line_that_is_none_is_told_and_the_rest_is_read() {
        let (entries, faults) = read("dn: cn=a\nnonsense\ncn:: ?\ncn: a\njpegPhoto:< file:///x\n");
        assert_eq!(entries, json!([{"dn": "cn=a", "cn": ["a"]}]));
        assert_eq!(faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 5]);
        assert!(!is_one("{\"dn\": 1}"));
    }
}
