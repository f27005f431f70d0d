//! `key=value` text, with or without a syslog header.

use bumpalo::Bump;

use super::{Malformed, syslog};
use crate::tree::Builder;

/// Pairs of one record.
const PAIRS_MAX: usize = 4096;

/// The pairs at the root, the header under `syslog`.
pub fn decode<'a>(text: &'a str, arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    let body = syslog::strip(text, arena, tree);
    if pairs(body, arena, &mut |key, value| tree.pair(key, value)) == 0 {
        return Err(Malformed::form("there is no `key=value` in it"));
    }
    Ok(())
}

/// Calls `take` for each pair: values end at a space, or at their closing quote; `\` escapes.
pub fn pairs<'a>(text: &'a str, arena: &'a Bump, take: &mut impl FnMut(&'a str, &'a str)) -> usize {
    let mut rest = text;
    let mut count = 0;
    while count < PAIRS_MAX {
        let Some((before, after)) = rest.split_once('=') else { break };
        let key = before.rsplit([' ', '\t', ',', ';', '|']).next().unwrap_or(before).trim_matches(['"', '\'', '[', '(', '{']);
        let (value, left) = value(after, arena);
        rest = left;
        if !key.is_empty() {
            count += 1;
            take(key, value);
        }
    }
    count
}

fn value<'a>(text: &'a str, arena: &'a Bump) -> (&'a str, &'a str) {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let end = text.find([' ', '\t', '\n']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        return (value.trim_end_matches([',', ';']), rest);
    };
    let body = text.get(1..).unwrap_or("");
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => {
                let inner = body.get(..at).unwrap_or(body);
                let value = if inner.contains("\\\"") || inner.contains("\\\\") {
                    &*arena.alloc_str(&inner.replace("\\\"", "\"").replace("\\\\", "\\"))
                } else {
                    inner
                };
                return (value, body.get(at + 1..).unwrap_or(""));
            }
            _ => {}
        }
    }
    (body, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_bare_and_spaced() {
        let arena = Bump::new();
        let mut seen = Vec::new();
        pairs(r#"date=2024-01-01 msg="say \"hi\" now", user='a b' n=1"#, &arena, &mut |key, value| seen.push((key, value)));
        assert_eq!(seen, [("date", "2024-01-01"), ("msg", "say \"hi\" now"), ("user", "a b"), ("n", "1")]);
    }
}
