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

/// Calls `take` for each pair: values end at a space, at a separator before the next key, or at
/// their closing quote; `\` escapes. Between bars values may have spaces.
pub fn pairs<'a>(text: &'a str, arena: &'a Bump, take: &mut impl FnMut(&'a str, &'a str)) -> usize {
    if text.match_indices('|').filter(|(at, _)| begins_pair(text.get(at + 1..).unwrap_or(""))).count() >= 2 {
        let split = text.split('|').filter_map(|pair| pair.split_once('=')).take(PAIRS_MAX);
        return split.map(|(key, value)| take(key.rsplit(' ').next().unwrap_or(key).trim(), value.trim().trim_matches('"'))).count();
    }
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

/// `key=…`
fn begins_pair(text: &str) -> bool {
    text.split_once('=').is_some_and(|(key, _)| {
        key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.len() <= 48
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    })
}

fn value<'a>(text: &'a str, arena: &'a Bump) -> (&'a str, &'a str) {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let end = text.find([' ', '\t', '\n']).unwrap_or(text.len());
        let word = text.get(..end).unwrap_or(text);
        let end = word.match_indices([',', ';', '|']).map(|(at, _)| at).find(|at| begins_pair(word.get(at + 1..).unwrap_or(""))).unwrap_or(end);
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
        let mut seen = Vec::new();
        pairs("fw: a=1,b=2;c=x,y|d=/p?q=1&r=2 e=", &arena, &mut |key, value| seen.push((key, value)));
        assert_eq!(seen, [("a", "1"), ("b", "2"), ("c", "x,y"), ("d", "/p?q=1&r=2"), ("e", "")]);
        let mut seen = Vec::new();
        pairs("time=1|Subject=Lunch at one|to=\"ada\"", &arena, &mut |key, value| seen.push((key, value)));
        assert_eq!(seen, [("time", "1"), ("Subject", "Lunch at one"), ("to", "ada")]);
    }
}
