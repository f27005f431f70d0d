//! The circumstances of a request: what is known, what is absent, what nobody knows yet.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::pattern::{QUESTION, STAR};

/// What is known of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known<'a> {
    /// These values.
    Values(&'a [String]),
    /// The request does not carry the key.
    Absent,
    /// It depends on a request that is not made yet.
    Unknown,
    /// The caller chooses it.
    Chosen,
}

/// Circumstances of a request, by key in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circumstances {
    values: BTreeMap<String, Vec<String>>,
    absent: Vec<String>,
    unknown: Arc<[String]>,
    /// What is asked where `values` says nothing: shared by many questions.
    base: Option<Arc<Circumstances>>,
    open: Option<Open>,
}

/// How keys without values are read when the request is only imagined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Open {
    chosen: Arc<[String]>,
}

impl Circumstances {
    /// Of a request that was made: what is not said is absent.
    pub fn complete() -> Self {
        Self::default()
    }

    /// Of a request that is only imagined: what is not said is unknown, unless its key begins with one
    /// of `chosen` (in lower case), which the caller chooses.
    pub fn imagined(chosen: Arc<[String]>) -> Self {
        Self { values: BTreeMap::new(), absent: Vec::new(), unknown: [].into(), base: None, open: Some(Open { chosen }) }
    }

    /// More about circumstances that are shared.
    pub fn over(base: &Arc<Self>) -> Self {
        Self { values: BTreeMap::new(), absent: Vec::new(), unknown: [].into(), base: Some(Arc::clone(base)), open: None }
    }

    /// Says what a key holds; the key counts without case.
    pub fn set(&mut self, key: &str, values: Vec<String>) {
        self.values.insert(key.to_ascii_lowercase(), values);
    }

    /// Says that no key that begins so is there, apart from those that are set.
    pub fn absent(&mut self, prefix: &str) {
        self.absent.push(prefix.to_ascii_lowercase());
    }

    /// Says that no key that begins with one of these, in lower case, is chosen by the caller: what is not
    /// set is unknown.
    pub fn open(&mut self, prefixes: &Arc<[String]>) {
        self.unknown = Arc::clone(prefixes);
    }

    /// Says that the value of this key is not known, in circumstances that are otherwise complete.
    pub fn unknown(&mut self, key: &str) {
        // An empty list marks it: a key that is there has a value.
        self.values.insert(key.to_ascii_lowercase(), Vec::new());
    }

    /// What is known of a key, given in lower case.
    pub fn get(&self, key: &str) -> Known<'_> {
        if let Some(values) = self.values.get(key) {
            return if values.is_empty() { Known::Unknown } else { Known::Values(values) };
        }
        if self.absent.iter().any(|prefix| key.starts_with(prefix.as_str())) {
            return Known::Absent;
        }
        if self.unknown.iter().any(|prefix| key.starts_with(prefix.as_str())) {
            // Facts stand in the base, and are known all the same.
            return self.base.as_ref().and_then(|base| base.values.get(key)).map_or(Known::Unknown, |values| Known::Values(values));
        }
        if let Some(base) = &self.base {
            return base.get(key);
        }
        let Some(open) = &self.open else { return Known::Absent };
        if open.chosen.iter().any(|prefix| key.starts_with(prefix.as_str())) { Known::Chosen } else { Known::Unknown }
    }

    /// A pattern with its variables filled in.
    pub(super) fn fill<'t>(&self, text: &'t str) -> Filled<'t> {
        let Some((before, rest)) = text.split_once("${") else { return Filled::Text(Cow::Borrowed(text)) };
        let Some((name, after)) = rest.split_once('}') else { return Filled::Text(Cow::Borrowed(text)) };
        let value = match name {
            "*" => char::from(STAR).to_string(),
            "?" => char::from(QUESTION).to_string(),
            "$" => "$".to_owned(),
            name => match self.variable(name) {
                Ok(value) => value,
                Err(not) => return not,
            },
        };
        match self.fill(after) {
            Filled::Text(after) => Filled::Text(Cow::Owned(format!("{before}{value}{after}"))),
            not => not,
        }
    }

    fn variable<'t>(&self, name: &str) -> Result<String, Filled<'t>> {
        let (key, default) = name.split_once(',').map_or((name, None), |(key, default)| (key, Some(default.trim().trim_matches('\''))));
        match (self.get(&key.trim().to_ascii_lowercase()), default) {
            (Known::Values([value]), _) => Ok(literal(value)),
            (Known::Unknown, _) => Err(Filled::Unknown),
            // What the caller chooses can be anything that fits.
            (Known::Chosen, _) => Ok("*".to_owned()),
            (Known::Absent, Some(default)) => Ok(literal(default)),
            (Known::Absent | Known::Values(_), _) => Err(Filled::Absent),
        }
    }
}

/// A value is text: its `*` is no wildcard.
fn literal(value: &str) -> String {
    value.replace('*', "\u{1}").replace('?', "\u{2}")
}

/// A text whose variables were filled in, or why not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled<'t> {
    Text(Cow<'t, str>),
    /// A variable has no value: nothing can match.
    Absent,
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let mut at = Circumstances::complete();
        at.set("Aws:UserName", vec!["ada*".into()]);
        assert_eq!(at.fill("home/${aws:username}/x"), Filled::Text("home/ada\u{1}/x".into()));
        assert_eq!(at.fill("${aws:PrincipalTag/team, 'none'}/${$}${*}"), Filled::Text("none/$\u{1}".into()));
        assert_eq!(at.fill("${aws:PrincipalTag/team}"), Filled::Absent);
        assert_eq!(Circumstances::imagined([].into()).fill("${x}"), Filled::Unknown);
        assert_eq!(at.fill("plain ${open"), Filled::Text("plain ${open".into()));
    }
}
