//! Filters (RFC 7644, section 3.4.2.2): `userName eq "ada" and (active eq true or not (emails pr))`.

use serde_json::{Map, Value};
use weft_model::Timestamp;

use super::Refusal;
use super::path::{self, Path};
use super::schema::{Attribute, Form, Kind};

/// Longest text of a filter or path, bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Brackets within brackets.
const DEPTH_MAX: usize = 32;

/// What a resource has to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of them.
    All(Vec<Filter>),
    /// One of them.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// The attribute has a value.
    Present(Path),
    /// One of the attribute's values compares so.
    Compare(Path, Compare, Value),
    /// One value of the attribute is like this.
    Within(Path, Box<Filter>),
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// The same.
    Equal,
    /// No value is the same.
    Different,
    /// Holds the text.
    Contains,
    /// Begins with the text.
    Begins,
    /// Ends with the text.
    Ends,
    /// Greater.
    Above,
    /// Greater or the same.
    NotBelow,
    /// Less.
    Below,
    /// Less or the same.
    NotAbove,
}

impl Compare {
    fn of(word: &str) -> Option<Self> {
        let all = [
            ("eq", Self::Equal),
            ("ne", Self::Different),
            ("co", Self::Contains),
            ("sw", Self::Begins),
            ("ew", Self::Ends),
            ("gt", Self::Above),
            ("ge", Self::NotBelow),
            ("lt", Self::Below),
            ("le", Self::NotAbove),
        ];
        all.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, compare)| compare)
    }

    fn is_by_order(self) -> bool {
        matches!(self, Self::Above | Self::NotBelow | Self::Below | Self::NotAbove)
    }

    fn holds<T: PartialOrd + ?Sized>(self, value: &T, wanted: &T) -> bool {
        match self {
            Self::Equal | Self::Different => value == wanted,
            Self::Above => value > wanted,
            Self::NotBelow => value >= wanted,
            Self::Below => value < wanted,
            Self::NotAbove => value <= wanted,
            Self::Contains | Self::Begins | Self::Ends => false,
        }
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// It is none; `invalidFilter`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut parser = Parser::of(text)?;
        let filter = parser.any(0)?;
        if parser.is_done() { Ok(filter) } else { Err(parser.fault("`and`, `or` or the end")) }
    }

    /// Whether a resource is like this.
    pub fn fits(&self, form: Form, resource: &Map<String, Value>) -> bool {
        self.fits_at(&|path| path.attribute(form).and_then(|attribute| part_of(attribute, path)), resource)
    }

    /// Whether one value of an attribute with several is like this.
    pub(super) fn fits_value(&self, attribute: Option<&'static Attribute>, value: &Value) -> bool {
        let of = |path: &Path| attribute?.part(path.name.as_deref()?);
        match value {
            Value::Object(parts) => self.fits_at(&of, parts),
            // A plain value is its own `value`.
            plain => self.fits_at(&of, &Map::from_iter([("value".to_owned(), plain.clone())])),
        }
    }

    fn fits_at(&self, of: &dyn Fn(&Path) -> Option<&'static Attribute>, at: &Map<String, Value>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.fits_at(of, at)),
            Self::Any(any) => any.iter().any(|one| one.fits_at(of, at)),
            Self::Not(not) => !not.fits_at(of, at),
            Self::Present(path) => path.values(at).into_iter().any(is_there),
            Self::Compare(path, compare, wanted) if wanted.is_null() => (*compare == Compare::Equal) != path.values(at).into_iter().any(is_there),
            Self::Compare(path, compare, wanted) => {
                let attribute = of(path);
                let found = path.values(at).into_iter().any(|value| holds(attribute, *compare, value, wanted));
                found != (*compare == Compare::Different)
            }
            Self::Within(path, inner) => {
                let whole = Path { part: None, ..path.clone() };
                let values = path::items(&whole, at);
                values.into_iter().any(|value| inner.fits_value(of(&whole), value))
            }
        }
    }

    /// The text that an attribute has to equal for the filter to hold, if there is one: so that it can be looked up.
    pub fn equals(&self, name: &str) -> Option<&str> {
        match self {
            Self::Compare(path, Compare::Equal, Value::String(text)) => {
                let is_it = path.urn.is_none() && path.part.is_none() && path.name.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(name));
                is_it.then_some(text)
            }
            Self::All(all) => all.iter().find_map(|one| one.equals(name)),
            _ => None,
        }
    }

    /// Whether it asks for an attribute at the top.
    pub fn asks(&self, name: &str) -> bool {
        let is_it = |path: &Path| path.name.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(name));
        match self {
            Self::All(all) | Self::Any(all) => all.iter().any(|one| one.asks(name)),
            Self::Not(not) => not.asks(name),
            Self::Present(path) | Self::Compare(path, ..) | Self::Within(path, _) => is_it(path),
        }
    }

    /// The parts that a new value has for certain when it is made to fit: `type eq "work"` makes a `type`.
    pub(super) fn made(&self) -> Map<String, Value> {
        match self {
            Self::Compare(Path { urn: None, name: Some(name), part: None, .. }, Compare::Equal, value) => Map::from_iter([(name.clone(), value.clone())]),
            Self::All(all) => all.iter().flat_map(Self::made).collect(),
            _ => Map::new(),
        }
    }
}

/// What the standard says of what a path leads to: of the part, or of the `value` of one with several values.
fn part_of(attribute: &'static Attribute, path: &Path) -> Option<&'static Attribute> {
    match path.part.as_deref() {
        Some(part) => attribute.part(part),
        None if path.filter.is_none() && attribute.is_multi => attribute.part("value").or(Some(attribute)),
        None => Some(attribute),
    }
}

fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(parts) => !parts.is_empty(),
        _ => true,
    }
}

fn holds(attribute: Option<&Attribute>, compare: Compare, value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Bool(value), Value::Bool(wanted)) => !compare.is_by_order() && compare.holds(value, wanted),
        (Value::Number(value), Value::Number(wanted)) => {
            let (Some(value), Some(wanted)) = (value.as_f64(), wanted.as_f64()) else { return false };
            compare.holds(&value, &wanted)
        }
        (Value::String(value), Value::String(wanted)) => {
            let time = |text: &str| Timestamp::read(text).map(|time| time.0);
            if attribute.is_some_and(|attribute| attribute.kind == Kind::Time)
                && let (Some(value), Some(wanted)) = (time(value), time(wanted))
                && !matches!(compare, Compare::Contains | Compare::Begins | Compare::Ends)
            {
                return compare.holds(&value, &wanted);
            }
            if attribute.is_some_and(|attribute| attribute.is_exact) {
                return text_holds(compare, value, wanted);
            }
            text_holds(compare, &value.to_lowercase(), &wanted.to_lowercase())
        }
        _ => false,
    }
}

fn text_holds(compare: Compare, value: &str, wanted: &str) -> bool {
    match compare {
        Compare::Contains => value.contains(wanted),
        Compare::Begins => value.starts_with(wanted),
        Compare::Ends => value.ends_with(wanted),
        _ => compare.holds(value, wanted),
    }
}

/// Reads filters and paths.
pub(super) struct Parser<'t> {
    rest: &'t str,
    all: &'t str,
}

impl<'t> Parser<'t> {
    pub(super) fn of(text: &'t str) -> Result<Self, Refusal> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Refusal::of("invalidFilter", format!("it is longer than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(Self { rest: text.trim(), all: text })
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.trim_start().is_empty()
    }

    fn fault(&self, wanted: &str) -> Refusal {
        let at = self.all.len() - self.rest.len() + 1;
        Refusal::of("invalidFilter", format!("character {at} of `{}`: {wanted} is expected", short(self.all)))
    }

    /// A word of letters, digits and signs of names.
    fn word(&mut self) -> &'t str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.:$".contains(c))).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        self.rest = after;
        word
    }

    fn takes(&mut self, sign: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let before = self.rest;
        let took = self.word().eq_ignore_ascii_case(wanted);
        if !took {
            self.rest = before;
        }
        took
    }

    fn any(&mut self, depth: usize) -> Result<Filter, Refusal> {
        let mut parts = vec![self.all(depth)?];
        while self.takes_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Filter::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, Refusal> {
        let mut parts = vec![self.one(depth)?];
        while self.takes_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(one_or(parts, Filter::All))
    }

    fn one(&mut self, depth: usize) -> Result<Filter, Refusal> {
        if depth > DEPTH_MAX {
            return Err(Refusal::of("invalidFilter", format!("more than {DEPTH_MAX} brackets within brackets")));
        }
        if self.takes('(') {
            return self.closed(depth, ')');
        }
        let before = self.rest;
        if self.takes_word("not") && self.takes('(') {
            return Ok(Filter::Not(Box::new(self.closed(depth, ')')?)));
        }
        self.rest = before;
        let path = self.path()?;
        if self.takes('[') {
            return Ok(Filter::Within(path, Box::new(self.closed(depth, ']')?)));
        }
        if self.takes_word("pr") {
            return Ok(Filter::Present(path));
        }
        let at = self.rest;
        let Some(compare) = Compare::of(self.word()) else {
            self.rest = at;
            return Err(self.fault("`eq`, `ne`, `co`, `sw`, `ew`, `pr`, `gt`, `ge`, `lt` or `le`"));
        };
        let value = self.value()?;
        if compare.is_by_order() && (value.is_boolean() || value.is_null()) {
            return Err(Refusal::of("invalidFilter", format!("`{value}` is neither more nor less than another value")));
        }
        Ok(Filter::Compare(path, compare, value))
    }

    fn closed(&mut self, depth: usize, sign: char) -> Result<Filter, Refusal> {
        let filter = self.any(depth + 1)?;
        if self.takes(sign) { Ok(filter) } else { Err(self.fault(&format!("`{sign}`"))) }
    }

    fn path(&mut self) -> Result<Path, Refusal> {
        let at = self.rest;
        Path::of_words(self.word()).ok_or_else(|| {
            self.rest = at;
            self.fault("the name of an attribute")
        })
    }

    /// A path that may say which values it means, and a part of them.
    pub(super) fn whole_path(&mut self) -> Result<Path, Refusal> {
        let mut path = self.path()?;
        if self.takes('[') {
            path.filter = Some(Box::new(self.closed(0, ']')?));
            if let Some(part) = self.rest.strip_prefix('.') {
                self.rest = part;
                path.part = Some(self.word().to_owned()).filter(|part| !part.is_empty());
            }
        }
        Ok(path)
    }

    /// A JSON value that is text, a number, `true`, `false` or `null`.
    fn value(&mut self) -> Result<Value, Refusal> {
        let rest = self.rest.trim_start();
        let (value, after) = if rest.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            (values.next().and_then(Result::ok), rest.get(values.byte_offset()..))
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            (serde_json::from_str(&word.to_ascii_lowercase()).ok(), Some(after))
        };
        let (Some(value), Some(after)) = (value, after) else { return Err(self.fault("a text in quotes, a number, `true`, `false` or `null`")) };
        self.rest = after;
        Ok(value)
    }
}

fn one_or(mut parts: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
