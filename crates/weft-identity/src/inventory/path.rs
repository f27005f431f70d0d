//! Paths into a JSON value.
//!
//! Steps follow `/`. A name is a member of an object (`~1` is a slash, `~0` a tilde), `*` is each element of a
//! list, each member of an object, or a single value itself, `[NAME=VALUE]` are the elements of a list whose
//! member has this value, `!list` is each element of a list or
//! what is no list itself, `!json` reads a text, percent-encoded or not, as JSON, and `!entries` makes
//! `{"key": …, "value": …}` of each member of an object.
//!
//! A path finds everything that is there: no more than the document has bytes, which its reader bounds.

use std::borrow::Cow;

use serde_json::{Value, json};

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Each,
    Where(String, String),
    List,
    Json,
    Entries,
}

/// A compiled path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    steps: Vec<Step>,
}

/// A value with its place below where the path began.
pub(super) type Found<'a> = (String, Cow<'a, Value>);

impl Path {
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let steps = text.strip_prefix('/').ok_or_else(|| format!("path `{text}` does not begin with `/`"))?;
        let step = |step: &str| match step {
            "*" => Ok(Step::Each),
            "!list" => Ok(Step::List),
            "!json" => Ok(Step::Json),
            "!entries" => Ok(Step::Entries),
            "" => Err(format!("path `{text}` has an empty step")),
            _ => match step.strip_prefix('[').and_then(|step| step.strip_suffix(']')) {
                Some(test) => {
                    let (name, value) = test.split_once('=').ok_or_else(|| format!("`[{test}]` in path `{text}` is not `[NAME=VALUE]`"))?;
                    Ok(Step::Where(name.to_owned(), value.to_owned()))
                }
                None => Ok(Step::Name(step.replace("~1", "/").replace("~0", "~"))),
            },
        };
        Ok(Self { steps: steps.split('/').map(step).collect::<Result<_, String>>()? })
    }

    /// Everything that the path finds, in order. `null` is nothing.
    pub(super) fn all<'a>(&self, from: &'a Value) -> Vec<Found<'a>> {
        let mut found: Vec<Found<'a>> = vec![(String::new(), Cow::Borrowed(from))];
        for step in &self.steps {
            let mut next = Vec::with_capacity(found.len());
            for (place, value) in found {
                match value {
                    Cow::Borrowed(value) => step.walk(&place, value, &mut next),
                    // Only what was text once is owned, and that is small.
                    Cow::Owned(value) => {
                        let mut below = Vec::new();
                        step.walk(&place, &value, &mut below);
                        next.extend(below.into_iter().map(|(place, value)| (place, Cow::Owned(value.into_owned()))));
                    }
                }
            }
            found = next;
        }
        found.retain(|(_, value)| !value.is_null());
        found
    }

    /// Whether it is about the elements of a list that is there and has none.
    pub(super) fn is_empty_list(&self, from: &Value) -> bool {
        let Some((Step::Each, before)) = self.steps.split_last() else { return false };
        let before = Self { steps: before.to_vec() };
        before.one(from).is_some_and(|value| value.as_array().is_some_and(Vec::is_empty))
    }

    /// Everything that the path finds and that is wanted. Places are written for that alone: of a long list most
    /// records are of another form.
    pub(super) fn some<'a>(&self, from: &'a Value, wanted: impl Fn(&Value) -> bool) -> Vec<Found<'a>> {
        if let Some((Step::Each, before)) = self.steps.split_last()
            && let Some(Value::Array(all)) = named(before, from)
        {
            let place: String = before.iter().filter_map(Step::name).map(|name| format!("/{name}")).collect();
            let found = all.iter().enumerate().filter(|(_, value)| !value.is_null() && wanted(value));
            return found.map(|(n, value)| (format!("{place}[{n}]"), Cow::Borrowed(value))).collect();
        }
        let mut found = self.all(from);
        found.retain(|(_, value)| wanted(value));
        found
    }

    /// Texts of everything that the path finds and that is a single value.
    pub(super) fn texts(&self, from: &Value) -> Vec<String> {
        if self.is_named() {
            return named(&self.steps, from).and_then(text).into_iter().collect();
        }
        self.all(from).iter().filter_map(|(_, value)| text(value)).collect()
    }

    /// The first that is found.
    pub(super) fn one<'a>(&self, from: &'a Value) -> Option<Cow<'a, Value>> {
        if self.is_named() {
            return named(&self.steps, from).filter(|value| !value.is_null()).map(Cow::Borrowed);
        }
        self.all(from).into_iter().next().map(|(_, value)| value)
    }

    fn is_named(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Name(_)))
    }
}

/// What stands under names, one below the other; nothing where a step is no name.
fn named<'a>(steps: &[Step], from: &'a Value) -> Option<&'a Value> {
    steps.iter().try_fold(from, |at, step| member(at, step.name()?))
}

impl Step {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }

    fn walk<'a>(&self, place: &str, value: &'a Value, found: &mut Vec<Found<'a>>) {
        match self {
            Self::Name(name) => found.extend(member(value, name).map(|value| (format!("{place}/{name}"), Cow::Borrowed(value)))),
            Self::Each => match value {
                Value::Array(all) => found.extend(all.iter().enumerate().map(|(n, value)| (format!("{place}[{n}]"), Cow::Borrowed(value)))),
                Value::Object(all) => found.extend(all.iter().map(|(name, value)| (format!("{place}/{name}"), Cow::Borrowed(value)))),
                _ => found.push((place.to_owned(), Cow::Borrowed(value))),
            },
            Self::List => match value {
                Value::Array(_) => Self::Each.walk(place, value, found),
                _ => found.push((place.to_owned(), Cow::Borrowed(value))),
            },
            Self::Where(name, wanted) => {
                let is = |value: &Value| member(value, name).and_then(text).is_some_and(|found| found.eq_ignore_ascii_case(wanted));
                let all = value.as_array().into_iter().flatten().enumerate().filter(|(_, value)| is(value));
                found.extend(all.map(|(n, value)| (format!("{place}[{n}]"), Cow::Borrowed(value))));
            }
            Self::Json => match value {
                Value::String(text) => found.extend(decoded(text).map(|value| (place.to_owned(), Cow::Owned(value)))),
                _ => found.push((place.to_owned(), Cow::Borrowed(value))),
            },
            Self::Entries => {
                let entries = value.as_object().into_iter().flatten();
                found.extend(entries.map(|(key, value)| (format!("{place}/{key}"), Cow::Owned(json!({"key": key, "value": value})))));
            }
        }
    }
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(all) => all.get(name),
        Value::Array(all) => name.parse::<usize>().ok().and_then(|n| all.get(n)),
        _ => None,
    }
}

/// Text of a single value.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn decoded(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('%') {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
            bytes.push(if byte == b'%' { digit(rest.next())? << 4 | digit(rest.next())? } else { byte });
        }
        return serde_json::from_slice(&bytes).ok();
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_found_to_its_end() {
        let value = Value::Array((0..1_000_001).map(Value::from).collect());
        assert_eq!(Path::compile("/*").unwrap().all(&value).len(), 1_000_001);
    }

    fn found(path: &str, value: &Value) -> Vec<String> {
        Path::compile(path).unwrap().all(value).into_iter().map(|(place, value)| format!("{place}={}", text(&value).unwrap_or_default())).collect()
    }

    #[test]
    fn steps_find_what_they_say() {
        let value = json!({"a": [{"t": "work", "v": 1}, {"t": "home", "v": 2}], "one": "x", "doc": "%7B%22b%22%3A%5B3%5D%7D", "m": {"k/1": 4, "n": null}});
        assert_eq!(found("/a/*/v", &value), ["/a[0]/v=1", "/a[1]/v=2"]);
        assert_eq!(found("/a/[t=home]/v", &value), ["/a[1]/v=2"]);
        assert_eq!(found("/one/*", &value), ["/one=x"]);
        assert_eq!(found("/doc/!json/b/*", &value), ["/doc/b[0]=3"]);
        assert_eq!(found("/m/k~11", &value), ["/m/k/1=4"]);
        assert_eq!(found("/m/!entries/key", &value), ["/m/k/1/key=k/1", "/m/n/key=n"]);
        assert_eq!(found("/m/n", &value), Vec::<String>::new());
        assert!(Path::compile("a/b").is_err() && Path::compile("/a//b").is_err() && Path::compile("/[x]").is_err());
    }
}
