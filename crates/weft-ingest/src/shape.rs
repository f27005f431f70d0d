//! Values that are known by their form alone: addresses, hashes, letters' addresses, URLs.
//!
//! For records that nobody has foreseen: what no word of a mapping names is still found, as a whole
//! value or within a sentence. Streams of known form never ask.

use std::net::IpAddr;

use crate::tree::{self, Node, Nodes};

/// Different values of one record; what is over is not looked for.
const FOUND_MAX: usize = 32;
/// Bytes of one record's texts that are looked at.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Letters of the shortest value: `a@b.cd`, `::1` apart.
const SHORTEST: usize = 6;
/// Levels that are gone down.
const DEPTH_MAX: usize = 32;

/// A form that a value may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Hex digits, as many as a digest has, where a name says that it is one.
    Hash,
    /// An address of the Internet Protocol.
    Ip,
    /// `who@where`
    Mail,
    /// `scheme://…`
    Url,
    /// Six pairs of hex digits.
    Mac,
}

impl Shape {
    /// All.
    pub const ALL: [Self; 5] = [Self::Hash, Self::Ip, Self::Mail, Self::Url, Self::Mac];

    /// By its name in the guide.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "hash" => Some(Self::Hash),
            "ip" => Some(Self::Ip),
            "mail" => Some(Self::Mail),
            "url" => Some(Self::Url),
            "mac" => Some(Self::Mac),
            _ => None,
        }
    }

    /// OCSF's `observable.type_id` of it.
    pub fn observable(self) -> i64 {
        match self {
            Self::Hash => 8,
            Self::Ip => 2,
            Self::Mail => 5,
            Self::Url => 6,
            Self::Mac => 3,
        }
    }

    /// The part of a word of text that has the form.
    fn of<'t>(self, word: &'t str, called: &Called<'_>) -> Option<&'t str> {
        match self {
            Self::Hash => hash(word),
            Self::Ip => address(word, called),
            Self::Mail => mail(word),
            Self::Url => url(word),
            Self::Mac => mac(word),
        }
    }
}

/// Values of a record that have a form, each once, in its order.
pub fn found<'a>(nodes: &Nodes<'a>, shape: Shape) -> Vec<&'a str> {
    let mut search = Search { shapes: &[shape], nodes, found: Vec::new(), left: TEXT_BYTES_MAX };
    search.visit(0, Called::default(), DEPTH_MAX);
    search.found.into_iter().map(|(_, value)| value).collect()
}

/// Values of a record that have any form.
pub fn all<'a>(nodes: &Nodes<'a>) -> Vec<(Shape, &'a str)> {
    let mut search = Search { shapes: &Shape::ALL, nodes, found: Vec::new(), left: TEXT_BYTES_MAX };
    search.visit(0, Called::default(), DEPTH_MAX);
    search.found
}

/// What a text is called: by its key and the one above, and by what stands before it or beside it.
#[derive(Debug, Clone, Copy, Default)]
struct Called<'c> {
    key: &'c str,
    above: &'c str,
    before: &'c str,
    /// The object that it is in: `{"type": "sha256", "value": "…"}`.
    object: usize,
}

struct Search<'a, 'n> {
    shapes: &'n [Shape],
    nodes: &'n Nodes<'a>,
    found: Vec<(Shape, &'a str)>,
    left: usize,
}

impl<'a> Search<'a, '_> {
    fn visit(&mut self, index: usize, called: Called<'_>, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let nodes = self.nodes;
        match nodes.get(index) {
            Some(Node::Object { .. }) => {
                for (key, value) in tree::entries(nodes, index) {
                    self.visit(value, Called { key, above: called.key, before: "", object: index }, depth);
                }
            }
            Some(Node::Array { .. }) => tree::items(nodes, index).for_each(|item| self.visit(item, called, depth)),
            Some(Node::String(text)) => self.text(text, called),
            _ => {}
        }
    }

    fn text(&mut self, text: &'a str, called: Called<'_>) {
        let Some(left) = self.left.checked_sub(text.len()) else { return };
        self.left = left;
        if self.shapes.contains(&Shape::Url) && text.contains("://") {
            // A URL may have within it what separates words elsewhere.
            for word in text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '|')) {
                self.word(word, Shape::Url, &called);
            }
        }
        if text.len() < SHORTEST {
            return;
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '|' | '\'' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '=');
        let mut before = "";
        for word in text.split(ends).filter(|word| !word.is_empty()) {
            let called = Called { before, ..called };
            for shape in self.shapes.iter().filter(|shape| word.len() >= SHORTEST && **shape != Shape::Url) {
                self.word(word, *shape, &called);
            }
            before = word;
        }
    }

    fn word(&mut self, word: &'a str, shape: Shape, called: &Called<'_>) {
        let found = shape.of(word.trim_end_matches(['.', ':']), called);
        let Some(value) = found.filter(|value| shape != Shape::Hash || is_digest(self.nodes, called, word, value)) else { return };
        if self.found.len() < FOUND_MAX && !self.found.iter().any(|(_, have)| *have == value) {
            self.found.push((shape, value));
        }
    }
}

/// Hex digits, as many as a digest has, without `sha256:` before them.
fn hash(word: &str) -> Option<&str> {
    let digest = word.rsplit_once(':').map_or(word, |(_, digest)| digest);
    let hex = matches!(digest.len(), 32 | 40 | 64 | 96 | 128) && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && digest.bytes().any(|byte| byte.is_ascii_alphabetic())).then_some(digest)
}

/// Whether something calls it a digest: a number of a trace has as many digits.
fn is_digest(nodes: &Nodes<'_>, called: &Called<'_>, word: &str, digest: &str) -> bool {
    let has = |text: &str, words: &[&str]| {
        let text = text.to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    let denies = |text: &str| has(text, &["imphash", "ja3", "authenti", "pass", "token"]);
    let says = |text: &str| has(text, &["md5", "sha1", "sha2", "sha3", "sha5", "sha-", "sha_", "hash", "checksum", "digest"]) && !denies(text);
    if called.before.len() < 16 && denies(called.before) {
        return false;
    }
    let beside =
        || tree::entries(nodes, called.object).take(4).any(|(_, value)| matches!(nodes.get(value), Some(Node::String(text)) if text.len() <= 16 && says(text)));
    says(called.before) || says(called.key) || says(called.above) || says(word.strip_suffix(digest).unwrap_or_default()) || beside()
}

/// An address, with or without a port; four numbers of a version are none.
fn address<'t>(word: &'t str, called: &Called<'_>) -> Option<&'t str> {
    if !word.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':') {
        return None;
    }
    let plain = word.strip_prefix("::ffff:").unwrap_or(word);
    let plain = if plain.matches('.').count() == 3 { plain.split_once([':', '/']).map_or(plain, |(address, _)| address) } else { plain };
    let found = plain.parse::<IpAddr>().ok().filter(|address| !address.is_unspecified() && !address.is_loopback()).map(|_| plain)?;
    let key = called.key.to_ascii_lowercase();
    (!["version", "build", "release", "oid", "firmware"].iter().any(|version| key.contains(version))).then_some(found)
}

fn mail(word: &str) -> Option<&str> {
    let word = word.strip_prefix("mailto:").unwrap_or(word);
    let (who, place) = word.split_once('@')?;
    let named = |text: &str, more: &[char]| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '-' || more.contains(&c));
    let top = place.rsplit_once('.')?.1;
    (word.len() <= 254 && named(who, &['_', '+', '%']) && named(place, &[]) && top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic()))
        .then_some(word)
}

fn url(word: &str) -> Option<&str> {
    const SCHEMES: [&str; 6] = ["https://", "http://", "ftps://", "ftp://", "hxxps://", "hxxp://"];
    let (start, scheme) = SCHEMES.iter().find_map(|scheme| word.find(scheme).map(|start| (start, scheme)))?;
    let rest = word.get(start + scheme.len()..)?;
    let found = word.get(start..)?.trim_end_matches([',', ';', ')', '\'']);
    rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[').then_some(found)
}

fn mac(word: &str) -> Option<&str> {
    let separator = if word.contains(':') { ':' } else { '-' };
    let pairs = word.split(separator).filter(|pair| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit())).count();
    (word.len() == 17 && pairs == 6 && word != "00:00:00:00:00:00").then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Builder;

    fn in_text(key: &str, text: &str, shape: Shape) -> Vec<String> {
        let mut tree = Builder::default();
        tree.object();
        tree.pair(key, text);
        found(&tree.finish(), shape).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn within_a_sentence() {
        let text = "Blocked ada@example.com (192.0.2.7:443) from https://evil.example/x, mac 00:00:5e:00:53:01. Again 192.0.2.7.";
        assert_eq!(in_text("message", text, Shape::Ip), ["192.0.2.7"]);
        assert_eq!(in_text("message", text, Shape::Mail), ["ada@example.com"]);
        assert_eq!(in_text("message", text, Shape::Url), ["https://evil.example/x"]);
        assert_eq!(in_text("message", text, Shape::Mac), ["00:00:5e:00:53:01"]);
    }

    #[test]
    fn a_digest_is_called_one() {
        let md5 = "44d88612fea8a8f36de82e1278abb02f";
        assert_eq!(in_text("fileMd5", md5, Shape::Hash), [md5]);
        assert_eq!(in_text("Hashes", &format!("MD5={md5},IMPHASH={md5}"), Shape::Hash), [md5]);
        assert_eq!(in_text("image", &format!("sha256:{md5}{md5}"), Shape::Hash), [format!("{md5}{md5}")]);
        assert!(in_text("trace_id", md5, Shape::Hash).is_empty());
    }

    #[test]
    fn a_version_is_no_address() {
        assert!(in_text("agent_version", "10.0.1.5", Shape::Ip).is_empty());
        assert!(in_text("clock", "08:00:01", Shape::Ip).is_empty());
    }
}
