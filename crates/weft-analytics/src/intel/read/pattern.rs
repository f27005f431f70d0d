//! STIX patterns (STIX 2.1, part 9), as far as they can be said in single values.
//!
//! A pattern becomes alternatives, each a set of values that one event must name together. What asks
//! for more (other comparisons, several observations, properties that are no observables) is told and
//! not weakened: an indicator that matched more than it says would be a false alarm by design.

use crate::intel::{Kind, Value};

/// Longest pattern.
const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting.
const DEPTH_MAX: usize = 32;
/// Most alternatives, and most values of one.
const ALTERNATIVES_MAX: usize = 4096;
const VALUES_MAX: usize = 16;

/// Values that must be named together.
type Together = Vec<Value>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

/// The alternatives of a pattern.
///
/// # Errors
/// Why it cannot be said so, or is no pattern.
pub(super) fn parse(pattern: &str) -> Result<Vec<Together>, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let mut parser = Parser { tokens: tokens(pattern)?.into_iter().peekable(), depth: 0 };
    let alternatives = parser.observations()?;
    match parser.tokens.next() {
        None => Ok(alternatives),
        Some(token) => Err(format!("{} is not expected after the end of the pattern", told(Some(&token)))),
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    const SIGNS: [&str; 16] = ["!=", "<>", "<=", ">=", "==", "=", "<", ">", "[", "]", "(", ")", ",", ":", ".", "*"];
    let (mut tokens, mut rest) = (Vec::new(), pattern.trim_start());
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, after) = quoted(rest)?;
            tokens.push(Token::Text(text));
            rest = after;
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = rest.strip_prefix(sign).unwrap_or_default();
        } else {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '+'))).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end).filter(|(word, _)| !word.is_empty()).ok_or_else(|| format!("`{first}` is not expected"))?;
            tokens.push(Token::Word(word.to_owned()));
            rest = after;
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// `'it\'s'`, and what follows it.
fn quoted(rest: &str) -> Result<(String, &str), String> {
    let (mut text, mut escaped) = (String::new(), false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            c if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '\'' => return Ok((text, rest.get(at + 1..).unwrap_or_default())),
            c => text.push(c),
        }
    }
    Err("a text has no closing quote".to_owned())
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn is_word(&mut self, word: &str) -> bool {
        matches!(self.tokens.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        if is {
            self.tokens.next();
        }
        is
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.tokens.peek(), Some(Token::Sign(next)) if *next == sign);
        if is {
            self.tokens.next();
        }
        is
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { Err(format!("`{sign}` is expected, {} is there", told(self.tokens.peek()))) }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(format!("the pattern is nested deeper than {DEPTH_MAX}")) } else { Ok(()) }
    }

    /// `[…] OR […]`
    fn observations(&mut self) -> Result<Vec<Together>, String> {
        let mut alternatives = self.observation()?;
        loop {
            if self.word("OR") {
                alternatives.extend(self.observation()?);
                bounded(&alternatives)?;
            } else if self.is_word("AND") || self.is_word("FOLLOWEDBY") {
                return Err("several observations that belong together (`AND`, `FOLLOWEDBY` between `[…]`) cannot be matched on one event".to_owned());
            } else if let Some(word) = ["WITHIN", "REPEATS", "START"].into_iter().find(|word| self.is_word(word)) {
                return Err(format!("the qualifier `{word}` cannot be matched on one event"));
            } else {
                return Ok(alternatives);
            }
        }
    }

    fn observation(&mut self) -> Result<Vec<Together>, String> {
        if self.sign("(") {
            self.deeper()?;
            let inner = self.observations()?;
            self.expect(")")?;
            self.depth -= 1;
            return Ok(inner);
        }
        self.expect("[")?;
        let inner = self.either()?;
        self.expect("]")?;
        Ok(inner)
    }

    /// `a OR b`, of which `AND` binds closer.
    fn either(&mut self) -> Result<Vec<Together>, String> {
        let mut alternatives = self.both()?;
        while self.word("OR") {
            alternatives.extend(self.both()?);
            bounded(&alternatives)?;
        }
        Ok(alternatives)
    }

    fn both(&mut self) -> Result<Vec<Together>, String> {
        let mut alternatives = self.one()?;
        while self.word("AND") {
            let others = self.one()?;
            alternatives = joined(&alternatives, &others)?;
        }
        Ok(alternatives)
    }

    fn one(&mut self) -> Result<Vec<Together>, String> {
        if self.sign("(") {
            self.deeper()?;
            let inner = self.either()?;
            self.expect(")")?;
            self.depth -= 1;
            return Ok(inner);
        }
        if self.is_word("EXISTS") || self.is_word("NOT") {
            return Err("what is there or is not (`EXISTS`, `NOT`) cannot be matched by a value".to_owned());
        }
        let path = self.path()?;
        let operator = match self.tokens.next() {
            Some(Token::Sign(sign)) => sign.to_owned(),
            Some(Token::Word(word)) => word.to_uppercase(),
            other => return Err(format!("a comparison is expected after `{path}`, {} is there", told(other.as_ref()))),
        };
        let texts = match operator.as_str() {
            "=" | "==" | "ISSUBSET" => vec![self.text()?],
            "IN" => self.set()?,
            _ => return Err(format!("the comparison `{path} {operator}` cannot be matched by a value")),
        };
        let kind = kind(&path).ok_or_else(|| format!("`{path}` is no observable that indicators are matched by"))?;
        texts.iter().map(|text| kind.value(text).map(|value| vec![value])).collect()
    }

    fn text(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            other => Err(format!("a text is expected, {} is there", told(other.as_ref()))),
        }
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut texts = vec![self.text()?];
        while self.sign(",") {
            texts.push(self.text()?);
        }
        self.expect(")")?;
        if texts.len() > ALTERNATIVES_MAX { Err(format!("the pattern has more than {ALTERNATIVES_MAX} alternatives")) } else { Ok(texts) }
    }

    /// `file:hashes.'SHA-256'`, `network-traffic:dst_ref.value`, with lists `[*]`.
    fn path(&mut self) -> Result<String, String> {
        let mut path = String::new();
        loop {
            match self.tokens.peek() {
                Some(Token::Word(word)) if path.is_empty() || path.ends_with([':', '.', '[']) => path.push_str(word),
                Some(Token::Text(text)) if path.ends_with([':', '.']) => path.push_str(text),
                Some(Token::Sign(sign @ (":" | "." | "[" | "]" | "*"))) if !path.is_empty() => path.push_str(sign),
                _ if path.contains(':') => return Ok(path),
                other => return Err(format!("an object path such as `ipv4-addr:value` is expected, {} is there", told(other))),
            }
            self.tokens.next();
        }
    }
}

fn told(token: Option<&Token>) -> String {
    match token {
        None => "the end".to_owned(),
        Some(Token::Word(text) | Token::Text(text)) => format!("`{}`", text.chars().take(100).collect::<String>()),
        Some(Token::Sign(sign)) => format!("`{sign}`"),
    }
}

fn bounded(alternatives: &[Together]) -> Result<(), String> {
    if alternatives.len() > ALTERNATIVES_MAX { Err(format!("the pattern has more than {ALTERNATIVES_MAX} alternatives")) } else { Ok(()) }
}

/// Both sides of an `AND`. Digests of one file by different methods name the same file: tools log one
/// of them, so that each counts alone.
fn joined(some: &[Together], others: &[Together]) -> Result<Vec<Together>, String> {
    let digests = |side: &[Together]| side.iter().all(|together| together.iter().all(|value| value.kind == Kind::Hash));
    let methods = |side: &[Together]| side.iter().flatten().map(|value| value.text.len()).collect::<std::collections::BTreeSet<_>>();
    if digests(some) && digests(others) && methods(some).is_disjoint(&methods(others)) {
        return Ok([some, others].concat());
    }
    if some.len().saturating_mul(others.len()) > ALTERNATIVES_MAX {
        return Err(format!("the pattern has more than {ALTERNATIVES_MAX} alternatives"));
    }
    let mut all = Vec::new();
    for one in some {
        for other in others {
            let mut together = [one.as_slice(), other.as_slice()].concat();
            together.sort_by(|a, b| (a.kind, &a.text).cmp(&(b.kind, &b.text)));
            together.dedup();
            if together.len() > VALUES_MAX {
                return Err(format!("more than {VALUES_MAX} values must be named together"));
            }
            all.push(together);
        }
    }
    Ok(all)
}

/// What an object path holds.
enum Holds {
    Kind(Kind),
    /// An address or a name.
    Host,
}

impl Holds {
    fn value(&self, text: &str) -> Result<Value, String> {
        match self {
            Self::Kind(kind) => Value::indicator(*kind, text),
            Self::Host => Value::guess(text),
        }
    }
}

fn kind(path: &str) -> Option<Holds> {
    let (object, property) = path.split_once(':')?;
    let lower = path.to_lowercase();
    let last = property.rsplit('.').next()?.to_lowercase();
    Some(Holds::Kind(match (object, property) {
        // No object of the standard has them: extensions name them so.
        _ if lower.contains("ja3s") => Kind::Ja3s,
        _ if lower.contains("ja3") => Kind::Ja3,
        _ if lower.contains("ja4") => Kind::Ja4,
        _ if matches!(last.as_str(), "user-agent" | "user_agent") => Kind::UserAgent,
        ("ipv4-addr" | "ipv6-addr", "value") => Kind::Ip,
        ("domain-name", "value") => Kind::Domain,
        ("domain-name", property) if property.starts_with("resolves_to_refs") => return Some(Holds::Host),
        ("url", "value") => Kind::Url,
        ("email-addr", "value") | ("email-message", "from_ref.value" | "sender_ref.value") => Kind::Email,
        ("network-traffic", "src_ref.value" | "dst_ref.value") => return Some(Holds::Host),
        ("x509-certificate", property) if property.starts_with("hashes.") => Kind::Certificate,
        ("file" | "artifact" | "process", property) if property.starts_with("hashes.") || property.contains("_ref.hashes.") => {
            match last.replace('-', "").as_str() {
                "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512" => Kind::Hash,
                _ => return None,
            }
        }
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pattern: &str) -> Vec<Vec<String>> {
        let alternatives = parse(pattern).unwrap_or_else(|reason| panic!("{pattern}: {reason}"));
        alternatives.into_iter().map(|together| together.into_iter().map(|value| format!("{} {}", value.kind.name(), value.text)).collect()).collect()
    }

    #[test]
    fn what_can_be_said_in_values() {
        assert_eq!(values("[ipv4-addr:value = '198.51.100.7']"), [["ip 198.51.100.7"]]);
        assert_eq!(values("[ipv4-addr:value ISSUBSET '198.51.100.0/24']"), [["ip 198.51.100.0/24"]]);
        assert_eq!(
            values("[domain-name:value IN ('a.example', 'b.example')] OR ([url:value = 'http://c.example/x'])"),
            [["domain a.example"], ["domain b.example"], ["url c.example/x"]]
        );
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let sha = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        let both = [vec![format!("hash {md5}")], vec![format!("hash {sha}")]];
        assert_eq!(values(&format!("[file:hashes.MD5 = '{md5}' AND file:hashes.'SHA-1' = '{sha}']")), both);
        assert_eq!(values(&format!("[file:hashes.'MD5'='{md5}' OR file:hashes.'SHA-1'='{sha}']")), both);
        assert_eq!(values("[domain-name:value = 'a.example' AND ipv4-addr:value = '198.51.100.7']"), [["ip 198.51.100.7", "domain a.example"]]);
        assert_eq!(values(&format!("[x-tls:ja3 = '{md5}']")), [[format!("ja3 {md5}")]]);
        assert_eq!(values("[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'it\\'s']"), [["user_agent it's"]]);
        assert_eq!(values("[domain-name:resolves_to_refs[*].value = '198.51.100.7']"), [["ip 198.51.100.7"]]);
    }

    #[test]
    fn what_cannot_is_told() {
        let deep = format!("{}[url:value = 'x.example/']{}", "(".repeat(100), ")".repeat(100));
        for (pattern, reason) in [
            ("[file:name = 'x.exe']", "is no observable"),
            ("[file:hashes.SSDEEP = 'x']", "is no observable"),
            ("[ipv4-addr:value != '198.51.100.7']", "cannot be matched by a value"),
            ("[url:value LIKE '%x%']", "cannot be matched by a value"),
            ("[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 443]", "a text is expected"),
            ("[ipv4-addr:value = '198.51.100.7'] FOLLOWEDBY [url:value = 'a.example/']", "several observations"),
            ("[ipv4-addr:value = '198.51.100.7'] WITHIN 5 SECONDS", "qualifier `WITHIN`"),
            ("[NOT ipv4-addr:value = '198.51.100.7']", "cannot be matched by a value"),
            ("[ipv4-addr:value = 'x']", "is no ip"),
            ("[domain-name:value = 'co.uk']", "is a public suffix"),
            ("ipv4-addr:value = '198.51.100.7'", "`[` is expected"),
            ("[ipv4-addr:value = '198.51.100.7", "no closing quote"),
            ("[ipv4-addr:value = '198.51.100.7']]", "not expected after the end"),
            (deep.as_str(), "nested deeper"),
            ("", "the end"),
        ] {
            let told = parse(pattern).expect_err(pattern);
            assert!(told.contains(reason), "{pattern}: {told}");
        }
    }
}
