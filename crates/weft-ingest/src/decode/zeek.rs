//! Zeek logs: TSV lines read by their header, and JSON, which only wants the log's name.

use bumpalo::Bump;
use weft_model::Context;

use super::Malformed;
use crate::tree::{Builder, Node, Nodes, StaticNode, get};

/// Adds `_path` to a JSON record that does not say which log it is of, from the file's name.
pub fn name<'a>(nodes: &'a Nodes<'a>, context: &'a Context, arena: &'a Bump) -> &'a Nodes<'a> {
    if get(nodes, 0, "_path").is_some() {
        return nodes;
    }
    let Some(path) = context.file.as_deref().and_then(path_of) else { return nodes };
    let mut named = nodes.to_vec();
    if let Some(Node::Object { len, count }) = named.first_mut() {
        *len += 1;
        *count += 2;
    }
    named.extend([Node::String("_path"), Node::String(path)]);
    arena.alloc_slice_copy(&named)
}

/// `conn` of `logs/conn.log`, `conn.2024-05-01.json.gz`, `zeek_conn.log`.
pub fn path_of(file: &str) -> Option<&str> {
    let name = file.rsplit(['/', '\\']).next()?;
    let stem = name.split('.').next()?;
    let stem = stem.strip_prefix("zeek_").or_else(|| stem.strip_prefix("bro_")).unwrap_or(stem);
    (!stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then_some(stem)
}

/// One TSV line by the `#fields` and `#types` of its header.
pub fn decode<'a>(text: &'a str, context: &'a Context, arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    let header = context.header.as_deref().ok_or_else(|| Malformed::form("no `#fields` header comes with it"))?;
    let header = Header::of(header, arena);
    if header.fields.is_empty() {
        return Err(Malformed::form("its header has no `#fields`"));
    }
    if let Some(path) = header.path.or_else(|| context.file.as_deref().and_then(path_of)) {
        tree.pair("_path", path);
    }
    let values: Vec<&str> = text.split(header.separator).collect();
    if values.len() != header.fields.len() {
        return Err(Malformed::form(format!("it has {} columns where the header names {}", values.len(), header.fields.len())));
    }
    for ((name, kind), value) in header.fields.iter().zip(header.types.iter().copied().chain(std::iter::repeat("string"))).zip(values) {
        if value == header.unset {
            continue;
        }
        tree.key(name);
        write(value, kind, &header, arena, tree);
    }
    Ok(())
}

struct Header<'a> {
    separator: char,
    set_separator: &'a str,
    empty: &'a str,
    unset: &'a str,
    path: Option<&'a str>,
    fields: Vec<&'a str>,
    types: Vec<&'a str>,
}

impl<'a> Header<'a> {
    fn of(text: &'a str, arena: &'a Bump) -> Self {
        let mut header = Self { separator: '\t', set_separator: ",", empty: "(empty)", unset: "-", path: None, fields: Vec::new(), types: Vec::new() };
        for line in text.lines() {
            if let Some(separator) = line.strip_prefix("#separator ") {
                header.separator = unescape(separator.trim(), arena).chars().next().unwrap_or('\t');
                continue;
            }
            let Some((key, value)) = line.strip_prefix('#').and_then(|line| line.split_once(header.separator)) else { continue };
            match key {
                "set_separator" => header.set_separator = value,
                "empty_field" => header.empty = value,
                "unset_field" => header.unset = value,
                "path" => header.path = Some(value),
                "fields" => header.fields = value.split(header.separator).collect(),
                "types" => header.types = value.split(header.separator).collect(),
                _ => {}
            }
        }
        header
    }
}

fn write<'a>(value: &'a str, kind: &str, header: &Header<'a>, arena: &'a Bump, tree: &mut Builder<'a>) {
    let element = kind.split_once('[').map(|(_, element)| element.trim_end_matches(']'));
    if let Some(element) = element {
        tree.array();
        if value != header.empty {
            value.split(header.set_separator).filter(|item| *item != header.unset).for_each(|item| scalar(item, element, arena, tree));
        }
        tree.end();
    } else if value == header.empty {
        tree.text("");
    } else {
        scalar(value, kind, arena, tree);
    }
}

fn scalar<'a>(value: &'a str, kind: &str, arena: &'a Bump, tree: &mut Builder<'a>) {
    let number = match kind {
        "count" | "int" | "port" => value.parse().ok().map(StaticNode::I64),
        "double" | "interval" | "time" => value.parse().ok().map(StaticNode::F64),
        "bool" => match value {
            "T" => Some(StaticNode::Bool(true)),
            "F" => Some(StaticNode::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    match number {
        Some(number) => tree.scalar(number),
        None => tree.text(unescape(value, arena)),
    }
}

/// `\x09` and `\\`
fn unescape<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    if !text.contains("\\x") && !text.contains("\\\\") {
        return text;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let code = after.strip_prefix('x').and_then(|code| code.get(..2)).and_then(|code| u8::from_str_radix(code, 16).ok());
        rest = match code {
            Some(byte) => {
                bytes.push(byte);
                after.get(3..).unwrap_or("")
            }
            None => {
                bytes.push(b'\\');
                after.strip_prefix('\\').unwrap_or(after)
            }
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    arena.alloc_str(&String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        assert_eq!(path_of("a/conn.log"), Some("conn"));
        assert_eq!(path_of("zeek_x509.json.gz"), Some("x509"));
        assert_eq!(path_of("dns.2024-05-01-00.log"), Some("dns"));
    }

    #[test]
    fn typed_by_the_header() {
        let arena = Bump::new();
        let header = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n#fields\tts\tuid\tid.orig_p\tAA\tanswers\tTTLs\n#types\ttime\tstring\tport\tbool\tvector[string]\tvector[interval]";
        let context = Context { header: Some(header.into()), ..Context::default() };
        let mut tree = Builder::default();
        tree.object();
        decode("1.5\tC\\x41\t53\tT\ta,b\t-", &context, &arena, &mut tree).unwrap();
        let mut out = Vec::new();
        crate::tree::write_json(&tree.finish(), 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"_path":"dns","ts":1.5,"uid":"CA","id.orig_p":53,"AA":true,"answers":["a","b"]}"#);
    }
}
