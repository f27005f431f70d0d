//! JSON text read once from front to back: what nobody asked for is stepped over, not parsed.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use serde_json::Value;

/// Longest number that is taken as it is written.
const DIGITS_MAX: usize = 18;
/// Deepest nesting that is read; deeper text counts as broken.
const DEPTH_MAX: usize = 128;

/// A place in JSON text.
pub(crate) struct Scan<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// Whether an object or array was opened and none of it was read.
    fresh: bool,
}

/// A text, number or truth value, as it stands in JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'t> {
    /// What it means.
    Plain(&'t str),
    /// With quotes and escapes: long messages are full of them, and seldom asked for.
    Escaped(&'t str),
    /// What it means, where that is not what is written.
    Meant(String),
}

impl Scalar<'_> {
    /// What it means; none where an escape is broken.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Plain(text) => Some(Cow::Borrowed(text)),
            Self::Escaped(quoted) => meant(quoted).map(Cow::Owned),
            Self::Meant(text) => Some(Cow::Borrowed(text)),
        }
    }
}

/// What a text with quotes and escapes means (RFC 8259 section 7).
fn meant(quoted: &str) -> Option<String> {
    let mut rest = quoted.get(1..quoted.len().checked_sub(1)?)?;
    let mut text = String::with_capacity(rest.len());
    while let Some((plain, escape)) = memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at)) {
        text.push_str(plain);
        text.push(match escape.as_bytes().get(1)? {
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            letter @ (b'"' | b'\\' | b'/') => char::from(*letter),
            // A letter by its number: rare enough to read all of the text again.
            _ => return serde_json::from_str(quoted).ok(),
        });
        rest = escape.get(2..)?;
    }
    text.push_str(rest);
    Some(text)
}

/// What stands next.
#[derive(Debug, PartialEq)]
pub(crate) enum Token<'t> {
    /// The beginning of an object.
    Object,
    /// The beginning of an array.
    Array,
    /// A text, number or truth value.
    Scalar(Scalar<'t>),
    /// Nothing.
    Null,
}

impl<'t> Scan<'t> {
    /// The beginning of `text`.
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0, fresh: false }
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// The value that stands next; objects and arrays are only opened. None where there is none, as in
    /// all that follows: the text is broken.
    pub(crate) fn token(&mut self) -> Option<Token<'t>> {
        match self.peek()? {
            open @ (b'{' | b'[') => {
                self.at += 1;
                self.depth += 1;
                self.fresh = true;
                (self.depth <= DEPTH_MAX).then_some(if open == b'{' { Token::Object } else { Token::Array })
            }
            b'"' => self.string().map(Token::Scalar),
            _ => self.literal(),
        }
    }

    /// The text after an opening quote, which is the next byte.
    fn string(&mut self) -> Option<Scalar<'t>> {
        let from = self.at;
        let escaped = self.close()?;
        let quoted = self.text.get(from..self.at)?;
        if escaped { Some(Scalar::Escaped(quoted)) } else { quoted.get(1..quoted.len() - 1).map(Scalar::Plain) }
    }

    /// Steps over a text; true where it has escapes.
    fn close(&mut self) -> Option<bool> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += memchr2(b'"', b'\\', self.rest())?;
            if *self.rest().first()? == b'"' {
                self.at += 1;
                return Some(escaped);
            }
            escaped = true;
            self.at += 2;
        }
    }

    /// A number, a truth value, or nothing.
    fn literal(&mut self) -> Option<Token<'t>> {
        let rest = self.rest();
        let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')).unwrap_or(rest.len());
        let written = self.text.get(self.at..self.at + end)?;
        self.at += end;
        Some(match written {
            "null" => Token::Null,
            "true" | "false" => Token::Scalar(Scalar::Plain(written)),
            _ if is_plain(written) => Token::Scalar(Scalar::Plain(written)),
            _ => Token::Scalar(Scalar::Meant(serde_json::from_str::<Value>(written).ok()?.to_string())),
        })
    }

    /// The next key of the object that was opened, with the colon behind it; `Some(None)` at its end.
    pub(crate) fn key(&mut self) -> Option<Option<Scalar<'t>>> {
        if !self.next(b'}')? {
            return Some(None);
        }
        (self.peek()? == b'"').then_some(())?;
        let key = self.string()?;
        (self.peek()? == b':').then(|| self.at += 1)?;
        Some(Some(key))
    }

    /// Whether another item of the array that was opened follows.
    pub(crate) fn item(&mut self) -> Option<bool> {
        self.next(b']')
    }

    fn next(&mut self, end: u8) -> Option<bool> {
        let fresh = std::mem::take(&mut self.fresh);
        let byte = self.peek()?;
        if byte == end {
            self.at += 1;
            self.depth = self.depth.saturating_sub(1);
            return Some(false);
        }
        if !fresh {
            (byte == b',').then(|| self.at += 1)?;
        }
        Some(true)
    }

    /// Steps over the value that stands next.
    pub(crate) fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.close().map(drop),
            b'{' | b'[' => self.leave(0),
            _ => self.literal().map(drop),
        }
    }

    /// The whole text of the object that was just opened.
    pub(crate) fn whole(&mut self) -> Option<&'t str> {
        let from = self.at.checked_sub(1)?;
        self.fresh = false;
        self.depth = self.depth.saturating_sub(1);
        self.leave(1)?;
        self.text.get(from..self.at)
    }

    /// Steps on until all that is open below here is closed; `open` are open already.
    fn leave(&mut self, mut open: usize) -> Option<()> {
        loop {
            // Of the bytes that count, the two brackets of one kind are looked for together with quotes:
            // a text is the longest thing to step over.
            match *self.rest().first()? {
                b'"' => {
                    self.close()?;
                }
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    open -= 1;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            if open == 0 {
                return Some(());
            }
        }
    }
}

/// Whether a number means just what is written: no fraction, no exponent, not too long.
fn is_plain(written: &str) -> bool {
    let digits = written.strip_prefix('-').unwrap_or(written).as_bytes();
    let leads = digits == b"0" || !digits.starts_with(b"0");
    leads && written != "-0" && (1..=DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_what_they_mean() {
        let token = |text: &'static str| Scan::new(text).token();
        let scalar = |text: &'static str| match token(text) {
            Some(Token::Scalar(scalar)) => scalar.text().unwrap().into_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!([scalar("7"), scalar("-12"), scalar("2.50"), scalar("1e3"), scalar("true")], ["7", "-12", "2.5", "1000.0", "true"]);
        assert_eq!([scalar(r#""a b""#), scalar(r#""\u00e9\\""#), scalar(" \"x\"")], ["a b", "é\\", "x"]);
        assert_eq!(scalar(r#""\"C:\\a\/b\"\r\n\té\b\f""#), "\"C:\\a/b\"\r\n\té\u{8}\u{c}");
        assert_eq!(Scalar::Escaped(r#""\x""#).text(), None);
        assert_eq!(token("null"), Some(Token::Null));
        assert_eq!([token("nul"), token("-"), token("01"), token("\"open"), token("")], [None, None, None, None, None]);
    }

    #[test]
    fn what_is_not_asked_for_is_stepped_over() {
        let mut scan = Scan::new(r#"{"a":{"x":["]}\"",{}]},"b" : [1, {"c":2}],"d":3}"#);
        assert_eq!(scan.token(), Some(Token::Object));
        assert_eq!(scan.key(), Some(Some(Scalar::Plain("a"))));
        scan.skip().unwrap();
        assert_eq!(scan.key(), Some(Some(Scalar::Plain("b"))));
        assert_eq!(scan.token(), Some(Token::Array));
        assert_eq!((scan.item(), scan.token()), (Some(true), Some(Token::Scalar(Scalar::Plain("1")))));
        assert_eq!((scan.item(), scan.token()), (Some(true), Some(Token::Object)));
        assert_eq!(scan.whole(), Some(r#"{"c":2}"#));
        assert_eq!(scan.item(), Some(false));
        assert_eq!(scan.key(), Some(Some(Scalar::Plain("d"))));
        scan.skip().unwrap();
        assert_eq!(scan.key(), Some(None));
    }
}
