//! Text with holes: `https://{domain}/api/v1/logs`.

use std::fmt::Write as _;

/// Longest text that is made of a template, bytes.
const RENDERED_BYTES_MAX: usize = 64 << 10;

/// A template, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(String),
}

/// How the value of a hole is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// As it is.
    No,
    /// For a path, a query or a form (RFC 3986, unreserved characters stay).
    Uri,
}

impl Template {
    /// `{name}` is a hole, `{{` and `}}` are braces.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                plain.push(if brace.starts_with('{') { '{' } else { '}' });
                rest = after;
                continue;
            }
            let hole = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((name, after)) = hole.filter(|(name, _)| is_name(name)) else {
                return Err("a hole is written `{name}`, a brace `{{` or `}}`".to_owned());
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Hole(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    pub(super) fn holes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| if let Part::Hole(name) = part { Some(name.as_str()) } else { None })
    }

    /// The name of the hole, when the template is nothing else.
    pub(super) fn only_hole(&self) -> Option<&str> {
        if let [Part::Hole(name)] = self.parts.as_slice() { Some(name) } else { None }
    }

    /// None when a hole has no value: what is made of it is then left out.
    pub(super) fn fill(&self, value: &dyn Fn(&str) -> Option<String>, escape: Escape) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Hole(name) => {
                    let value = value(name)?;
                    match escape {
                        Escape::No => text.push_str(&value),
                        Escape::Uri => escape_into(&mut text, &value),
                    }
                }
            }
            if text.len() > RENDERED_BYTES_MAX {
                return None;
            }
        }
        Some(text)
    }
}

fn is_name(name: &str) -> bool {
    let of = |name: &str| !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    of(name.strip_prefix("secret.").unwrap_or(name))
}

fn escape_into(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
}

/// A value for a query or a form.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    escape_into(&mut text, value);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_and_escaped() {
        let template = Template::read("a={a}&{{b}}={secret.b}").unwrap();
        assert_eq!(template.holes().collect::<Vec<_>>(), ["a", "secret.b"]);
        let value = |name: &str| (name != "c").then(|| format!("<{name}>"));
        assert_eq!(template.fill(&value, Escape::No).unwrap(), "a=<a>&{b}=<secret.b>");
        assert_eq!(template.fill(&value, Escape::Uri).unwrap(), "a=%3Ca%3E&{b}=%3Csecret.b%3E");
        assert_eq!(Template::read("{c}").unwrap().fill(&value, Escape::No), None);
        for wrong in ["{", "}", "{a", "a}", "{A}", "{a b}", "{}", "{secret.}"] {
            assert!(Template::read(wrong).is_err(), "{wrong}");
        }
    }
}
