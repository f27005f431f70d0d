//! Separated columns, named by a header line or by the stream. RFC 4180 quoting.

use bumpalo::Bump;
use weft_model::Context;

use super::{Form, Malformed};
use crate::map::program::Delimiter;
use crate::tree::Builder;

/// Columns of one line.
const COLUMNS_MAX: usize = 2048;

/// Column names of the header, else of the stream, to values.
pub fn decode<'a>(text: &'a str, context: &'a Context, form: Form<'_>, arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    let header = context.header.as_deref().filter(|header| !header.starts_with('#'));
    let delimiter = delimiter(form, header.unwrap_or(text));
    let names: Vec<&'a str> = match header {
        Some(header) => fields(header, delimiter, arena).into_iter().map(|name| name.trim().trim_start_matches('\u{feff}')).collect(),
        None => form.columns.iter().map(|name| &*arena.alloc_str(name)).collect(),
    };
    if names.is_empty() {
        return Err(Malformed::form("no header names the columns"));
    }
    let values = fields(text, delimiter, arena);
    if values.len() > names.len() + 1 || values.len() < 2 {
        return Err(Malformed::form(format!("it has {} columns where {} are named", values.len(), names.len())));
    }
    for (name, value) in names.into_iter().zip(values) {
        let name = if !form.columns.is_empty() && name.contains('-') { arena.alloc_str(&name.replace('-', "_")) } else { name };
        tree.pair(name, value);
    }
    Ok(())
}

/// Whether a line names columns rather than holding values.
pub fn is_header(line: &str, form: Form<'_>) -> bool {
    let arena = Bump::new();
    let names = fields(line, delimiter(form, line), &arena);
    let known = names.iter().filter(|name| form.columns.iter().any(|column| *column == name.trim().replace('-', "_"))).count();
    if form.columns.is_empty() {
        names.iter().all(|name| name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_'))
    } else {
        known * 2 >= names.len().min(form.columns.len()) || is_plain_header(line)
    }
}

/// At least four names of letters, digits and `_-`, each once, none of them a number.
pub fn is_plain_header(line: &str) -> bool {
    let arena = Bump::new();
    let names = fields(line, delimiter(Form { columns: &[], delimiter: None }, line), &arena);
    let named = |name: &&str| {
        let name = name.trim();
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' '))
    };
    let joined = names.iter().filter(|name| name.contains(['_', '-'])).count();
    names.len() >= 4
        && names.iter().all(named)
        && (line.contains([',', '\t', ';', '|']) || joined * 3 >= names.len() || (names.len() >= 10 && joined >= 2 && line == line.to_lowercase()))
}

fn delimiter(form: Form<'_>, line: &str) -> char {
    match form.delimiter {
        Some(Delimiter::Char(delimiter)) => delimiter,
        _ => {
            let most = [',', ';', '|'].into_iter().map(|delimiter| (line.matches(delimiter).count(), delimiter)).rev().max_by_key(|(count, _)| *count);
            let most = most.filter(|(count, _)| *count > 0).map(|(_, delimiter)| delimiter);
            line.contains('\t').then_some('\t').or(most).unwrap_or(if line.contains(' ') { ' ' } else { ',' })
        }
    }
}

fn fields<'a>(line: &'a str, delimiter: char, arena: &'a Bump) -> Vec<&'a str> {
    let mut fields = Vec::new();
    let mut rest = line.trim_end_matches(['\r', '\n']);
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted, delimiter, arena),
            None => rest.split_once(delimiter).map_or((rest, None), |(field, after)| (field, Some(after))),
        };
        fields.push(field);
        match after {
            Some(after) if fields.len() < COLUMNS_MAX => rest = after,
            _ => return fields,
        }
    }
}

fn quoted_field<'a>(text: &'a str, delimiter: char, arena: &'a Bump) -> (&'a str, Option<&'a str>) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('"')) {
        let quote = at + found;
        if text.as_bytes().get(quote + 1) == Some(&b'"') {
            at = quote + 2;
            continue;
        }
        let inner = text.get(..quote).unwrap_or(text);
        let value = if inner.contains("\"\"") { &*arena.alloc_str(&inner.replace("\"\"", "\"")) } else { inner };
        let after = text.get(quote + 1..).unwrap_or("");
        return (value, after.split_once(delimiter).map(|(_, after)| after));
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_may_name_more_than_the_stream_does() {
        let columns: Vec<String> = ["version", "srcaddr", "dstaddr", "action"].iter().map(|name| (*name).to_owned()).collect();
        let form = Form { columns: &columns, delimiter: Some(Delimiter::Auto) };
        assert!(is_header("action,az_id,bytes,dstaddr,flow_direction,srcaddr,vpc_id,version,type", form));
        assert!(is_header("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes", form));
        assert!(!is_header("2 111122223333 eni-0example 203.0.113.77 10.20.0.15 51022 22 6 12 4096", form));
        assert!(!is_header("- - - -", form));
        assert!(is_plain_header("Time;User;Source IP;Action") && is_plain_header("time|user|src_ip|action"));
    }

    #[test]
    fn quotes_and_doubled_quotes() {
        let arena = Bump::new();
        assert_eq!(fields(r#"a,"b,""c""",,d"#, ',', &arena), ["a", "b,\"c\"", "", "d"]);
        assert_eq!(fields("", ',', &arena), [""]);
    }
}
