//! Sentences with pairs in them: `Login: user=<ada>, rip=192.0.2.7` and `Source IP: 192.0.2.7, Port: 22`.
//!
//! For lines of tools that nobody has foreseen: what stands beside a name is found, and the
//! sentence itself is kept as `message`.

use bumpalo::Bump;

use super::Malformed;
use crate::tree::Builder;

/// Pairs of one sentence.
const PAIRS_MAX: usize = 256;
/// Letters of a name, and words of it.
const NAME_BYTES_MAX: usize = 40;
const NAME_WORDS_MAX: usize = 4;

/// The sentence under `message`, the pairs beside it.
pub fn decode<'a>(text: &'a str, arena: &'a Bump, tree: &mut Builder<'a>) -> Result<(), Malformed> {
    let mut found: Vec<(&'a str, &'a str)> = Vec::new();
    for part in parts(text) {
        let pair = equal_sign(part).or_else(|| colon(part)).or_else(|| quoted(part));
        found.extend(pair.filter(|(_, value)| !value.is_empty() && found.len() < PAIRS_MAX));
    }
    words(text, &mut found);
    if found.is_empty() {
        return Err(Malformed::form("there is no pair in it"));
    }
    tree.pair("message", text);
    let mut seen: Vec<&str> = vec!["message"];
    for (name, value) in found {
        if !seen.contains(&name) {
            seen.push(name);
            tree.pair(name, arena.alloc_str(value));
        }
    }
    Ok(())
}

/// What stands between separators; those within quotes separate nothing.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let ended = move |c: char| {
        quoted ^= c == '"';
        !quoted && matches!(c, ',' | ';' | '|' | '\t' | '\n' | '\r' | '[' | ']' | '(' | ')' | '{' | '}')
    };
    let dashed = if text.matches(" - ").count() >= 2 { " - " } else { "\n" };
    text.split(ended).flat_map(move |part| part.split(dashed))
}

/// `name=value` where the value ends with the part.
fn equal_sign(part: &str) -> Option<(&str, &str)> {
    let (name, value) = part.split_once('=')?;
    let name = name.rsplit(char::is_whitespace).next().unwrap_or(name);
    let spaced = value.contains(char::is_whitespace) && (value.contains('=') || !value.trim_start().starts_with('"'));
    (!spaced && is_name(name)).then(|| (name, bare(value)))
}

/// `Name of it: value`, `name:"value"`.
fn colon(part: &str) -> Option<(&str, &str)> {
    let (name, value) = part.split_once(':')?;
    let name = name.trim().trim_matches('"');
    let clock = name.ends_with(|c: char| c.is_ascii_digit()) || value.starts_with(['/', '\\', ':']);
    (!clock && is_name(name)).then(|| (name, bare(value)))
}

/// `name "value"`
fn quoted(part: &str) -> Option<(&str, &str)> {
    let (name, rest) = part.trim().split_once('"')?;
    let value = rest.strip_suffix('"')?;
    (is_name(name.trim()) && !value.contains('"')).then(|| (name.trim(), value))
}

/// `name=value` between spaces.
fn words<'a>(text: &'a str, found: &mut Vec<(&'a str, &'a str)>) {
    for word in text.split([' ', '\t', '\n', ',', ';', '|', '[', ']', '(', ')']).filter(|word| word.contains('=')) {
        let Some((name, value)) = word.split_once('=') else { continue };
        let value = bare(value);
        if is_name(name) && !value.is_empty() && !value.starts_with('"') && found.len() < PAIRS_MAX {
            found.push((name, value));
        }
    }
}

fn bare(value: &str) -> &str {
    value.trim().trim_matches(['"', '\'', '<', '>']).trim_end_matches('.')
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.split(' ').count() <= NAME_WORDS_MAX
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{self, Node};

    fn found(text: &str, name: &str) -> Option<String> {
        let arena = Bump::new();
        let mut tree = Builder::default();
        tree.object();
        decode(text, &arena, &mut tree).ok()?;
        let nodes = tree.finish();
        match nodes.get(tree::get(&nodes, 0, name)?) {
            Some(Node::String(text)) => Some((*text).to_owned()),
            _ => None,
        }
    }

    #[test]
    fn pairs_of_all_kinds() {
        let login = "imap-login: Login: user=<ada@example.com>, method=PLAIN, rip=192.0.2.7, TLS";
        assert_eq!(found(login, "user").as_deref(), Some("ada@example.com"));
        assert_eq!(found(login, "rip").as_deref(), Some("192.0.2.7"));
        let virus = "Virus found,IP Address: 192.0.2.7,File path: C:\\Users\\ada\\x.com,Actual action: Blocked";
        assert_eq!(found(virus, "IP Address").as_deref(), Some("192.0.2.7"));
        assert_eq!(found(virus, "File path").as_deref(), Some("C:\\Users\\ada\\x.com"));
        assert_eq!(found("connection received: host=192.0.2.7 port=51022", "port").as_deref(), Some("51022"));
        assert_eq!(found("[id \"942100\"] [severity \"CRITICAL\"] x", "severity").as_deref(), Some("CRITICAL"));
        assert_eq!(found("User ada - Command \"add x\" - Status \"Success\"", "Status").as_deref(), Some("Success"));
        assert_eq!(found("[action:\"Accept\"; src:\"192.0.2.7\"]", "src").as_deref(), Some("192.0.2.7"));
    }

    #[test]
    fn a_clock_and_an_address_of_the_web_are_no_pairs() {
        assert_eq!(found("at 08:00:01 it was over", "08"), None);
        assert_eq!(found("see https://example.com/x", "https"), None);
        assert_eq!(found("nothing", "nothing"), None);
    }
}
