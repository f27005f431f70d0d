//! CEF (ArcSight Common Event Format, revision 26) and LEEF (1.0 and 2.0), with or without a
//! syslog header in front.

use bumpalo::Bump;

use super::{Malformed, syslog};
use crate::tree::Builder;

/// `cef.*`, extensions at the root, custom labels under `label`.
pub fn cef<'a>(text: &'a str, _received: i64, arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    let start = text.find("CEF:").ok_or_else(|| Malformed::form("`CEF:` is missing"))?;
    let (head, body) = text.split_at_checked(start).unwrap_or(("", text));
    if !head.is_empty() {
        // The header ends where the message begins; what it calls an app is part of it here.
        let _message = syslog::strip(head, arena, tree);
    }
    let fields = split_header(body, 7, arena);
    let [version, vendor, product, device_version, signature, name, severity] = fields.parts.as_slice() else {
        return Err(Malformed::form("a CEF header has seven fields between `|`"));
    };
    tree.key("cef");
    tree.object();
    let version = version.trim_start_matches("CEF:");
    for (key, value) in [
        ("version", version),
        ("vendor", vendor),
        ("product", product),
        ("device_version", device_version),
        ("signature_id", signature),
        ("name", name),
        ("severity", severity),
    ] {
        if !value.is_empty() {
            tree.pair(key, value);
        }
    }
    tree.end();
    extensions(fields.rest, arena, tree);
    Ok(())
}

struct Split<'a> {
    parts: Vec<&'a str>,
    rest: &'a str,
}

/// Fields between `|`, where `\|` and `\\` stand for themselves.
fn split_header<'a>(text: &'a str, count: usize, arena: &'a Bump) -> Split<'a> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '|' => {
                parts.push(unescape(text.get(start..at).unwrap_or(""), arena));
                start = at + 1;
                if parts.len() == count {
                    break;
                }
            }
            _ => {}
        }
    }
    let rest = text.get(start..).unwrap_or("");
    if parts.len() + 1 == count {
        return Split { parts: parts.into_iter().chain([unescape(rest, arena)]).collect(), rest: "" };
    }
    Split { parts, rest }
}

fn unescape<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    if !text.contains('\\') {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('r')) => plain.push('\r'),
            ('\\', Some(next @ ('\\' | '|' | '='))) => plain.push(next),
            ('\\', Some(next)) => plain.extend(['\\', next]),
            (c, _) => plain.push(c),
        }
    }
    arena.alloc_str(&plain)
}

/// Values reach to the next ` key=`; `\=` is no sign.
fn extensions<'a>(text: &'a str, arena: &'a Bump, tree: &mut Builder<'a>) {
    let pairs = extension_pairs(text);
    let mut labels: Vec<(&'a str, &'a str)> = Vec::new();
    for (key, value) in &pairs {
        let value = unescape(value.trim(), arena);
        tree.pair(key, value);
        if let Some(custom) = key.strip_suffix("Label")
            && let Some((_, value_of)) = pairs.iter().find(|(other, _)| *other == custom)
        {
            labels.push((value, unescape(value_of.trim(), arena)));
        }
    }
    if !labels.is_empty() {
        tree.key("label");
        tree.object();
        labels.into_iter().for_each(|(label, value)| tree.pair(label, value));
        tree.end();
    }
}

fn extension_pairs(text: &str) -> Vec<(&str, &str)> {
    let bytes = text.as_bytes();
    let signs: Vec<(usize, usize)> = memchr::memchr_iter(b'=', bytes)
        .filter(|at| *at == 0 || bytes.get(at - 1) != Some(&b'\\'))
        .filter_map(|at| {
            let before = text.get(..at)?;
            let start = before.rfind([' ', '\t', '\n']).map_or(0, |space| space + 1);
            let key = before.get(start..)?;
            let named = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']'));
            named.then_some((start, at))
        })
        .take(1024)
        .collect();
    let ends = signs.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
    signs.iter().zip(ends).filter_map(|((start, at), end)| Some((text.get(*start..*at)?, text.get(at + 1..end)?))).collect()
}

/// `leef.*`, attributes at the root.
pub fn leef<'a>(text: &'a str, _received: i64, arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    let start = text.find("LEEF:").ok_or_else(|| Malformed::form("`LEEF:` is missing"))?;
    let (head, body) = text.split_at_checked(start).unwrap_or(("", text));
    if !head.is_empty() {
        let _message = syslog::strip(head, arena, tree);
    }
    let version2 = body.starts_with("LEEF:2");
    let mut fields = body.splitn(if version2 { 7 } else { 6 }, '|');
    let head: Vec<&'a str> = fields.by_ref().take(5).collect();
    let [version, vendor, product, product_version, event_id] = head.as_slice() else {
        return Err(Malformed::form("a LEEF header has five fields between `|`"));
    };
    tree.key("leef");
    tree.object();
    for (key, value) in [
        ("version", version.trim_start_matches("LEEF:")),
        ("vendor", vendor),
        ("product", product),
        ("product_version", product_version),
        ("event_id", event_id),
    ] {
        tree.pair(key, value);
    }
    tree.end();
    let (delimiter, attributes) = leef_delimiter(version2, fields.next().unwrap_or(""), fields.next());
    for pair in attributes.split(delimiter).take(1024) {
        if let Some((key, value)) = pair.split_once('=') {
            tree.pair(key.trim(), value.trim());
        }
    }
    Ok(())
}

/// A tab, or in 2.0 what the sixth field says: a character or `x09`, `0x5E`.
fn leef_delimiter<'a>(version2: bool, sixth: &'a str, seventh: Option<&'a str>) -> (char, &'a str) {
    match seventh {
        Some(attributes) if version2 => {
            let hex = sixth.trim_start_matches("0x").trim_start_matches('x');
            let by_number = if hex.len() == sixth.len() { None } else { u32::from_str_radix(hex, 16).ok().and_then(char::from_u32) };
            (by_number.or_else(|| sixth.chars().next()).unwrap_or('\t'), attributes)
        }
        _ => (if sixth.contains('\t') || !sixth.contains('^') { '\t' } else { '^' }, sixth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cef_with_escapes_labels_and_spaces() {
        let arena = Bump::new();
        let mut tree = Builder::default();
        tree.object();
        cef(r"<13>May 1 10:00:00 fw CEF:0|Ven\|dor|Wall|1|100|Denied|7|src=192.0.2.1 msg=a \= b and c cs1=x y cs1Label=Rule Name", 0, &arena, &mut tree)
            .unwrap();
        let nodes = tree.finish();
        let mut out = Vec::new();
        crate::tree::write_json(&nodes, 0, &mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["cef"]["vendor"], "Ven|dor");
        assert_eq!((&json["msg"], &json["cs1"], &json["label"]["Rule Name"]), (&"a = b and c".into(), &"x y".into(), &"x y".into()));
        assert_eq!(json["syslog"]["host"], "fw");
    }
}
