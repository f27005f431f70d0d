//! Regexes of mappings: checked when they are loaded, compiled when they are first used.
//!
//! The connectors hold many hundreds; a process meets records of few, and to compile all of them
//! would take longer than everything else at the start together.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

/// Size of a compiled regex, bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Estimated states above which a regex is compiled at once, to see whether it stays in its limit.
const STATES_SURE: usize = 2000;
/// States that a class outside ASCII takes, at most about.
const CLASS_STATES: usize = 400;

/// A regex within its limit.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    names: Vec<Option<String>>,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Checks the regex.
    ///
    /// # Errors
    /// What is wrong with it, on one line.
    pub fn new(text: &str) -> Result<Self, String> {
        let fault = |message: &str| {
            let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("the regex `{text}` is not one: {last}")
        };
        let hir = regex_syntax::parse(text).map_err(|error| fault(&error.to_string()))?;
        let mut names = vec![None];
        groups(&hir, &mut names);
        let pattern = Self { text: text.to_owned(), names, compiled: OnceLock::new() };
        if states(&hir) > STATES_SURE {
            let regex = compile(text).map_err(|error| fault(&error.to_string()))?;
            let _first = pattern.compiled.set(Some(regex));
        }
        Ok(pattern)
    }

    /// Names of the groups by number; group 0 is the whole match.
    pub fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.names.iter().enumerate().filter_map(|(place, name)| Some((place, name.as_deref()?)))
    }

    /// The regex; none only where it outgrew its limit although its form promised otherwise.
    pub fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compile(&self.text).ok()).as_ref()
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build()
}

/// Names of groups in the order of their numbers.
fn groups(hir: &Hir, names: &mut Vec<Option<String>>) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            names.push(capture.name.as_deref().map(str::to_owned));
            groups(&capture.sub, names);
        }
        HirKind::Repetition(repetition) => groups(&repetition.sub, names),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().for_each(|part| groups(part, names)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

/// About how many states it compiles to, at most: counted repetitions multiply.
fn states(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(class) => {
            if class.is_utf8() && class.maximum_len() == Some(1) {
                1
            } else {
                CLASS_STATES
            }
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            // Without a bound one copy loops; with one there are as many copies.
            states(&repetition.sub).saturating_mul(if times > 1 { usize::try_from(times).unwrap_or(usize::MAX) } else { 1 })
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(states).fold(1, usize::saturating_add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_at_load_and_names_are_known_before_it_is_compiled() {
        assert!(Pattern::new("a(b").unwrap_err().contains("unclosed group"));
        assert!(Pattern::new(r"(?:\w{100}){100}").unwrap_err().contains("exceeds size limit"));
        let pattern = Pattern::new(r"^(?<user>\w+)@(x|y)(?<host>.+)$").unwrap();
        assert_eq!(pattern.names().collect::<Vec<_>>(), [(1, "user"), (3, "host")]);
        assert!(pattern.compiled.get().is_none());
        assert!(pattern.regex().unwrap().is_match("ada@xhost"));
    }
}
