//! Regular expressions: compiled once, bounded in size and steps, and what a value must hold for
//! one to match at all.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use regex_syntax::hir::{Class, Hir, HirKind};

/// Compiled size of one regular expression; the largest public one takes less.
pub const REGEX_BYTES_MAX: usize = 8 << 20;
/// Steps that one with look-around or back-references may take on one value: some milliseconds.
pub const REGEX_STEPS_MAX: usize = 100_000;
/// Literals that stand for one expression; more are no filter.
const NEEDLES_MAX: usize = 32;
/// Shortest literal that is worth to be looked for.
const NEEDLE_BYTES_MIN: usize = 3;

/// A compiled regular expression; equal where the source is.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    matcher: Arc<Matcher>,
}

enum Matcher {
    Linear(regex::Regex),
    Bounded(fancy_regex::Regex),
}

/// Compiles under limits. Look-around and back-references go to a matcher that counts its steps.
///
/// # Errors
/// What is wrong, for a person.
pub fn regex(text: &str, flags: &str) -> Result<Expression, String> {
    let source = if flags.is_empty() { text.to_owned() } else { format!("(?{flags}){text}") };
    let linear = regex::RegexBuilder::new(&source).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).nest_limit(64).build();
    let matcher = match linear {
        Ok(matcher) => Matcher::Linear(matcher),
        Err(regex::Error::CompiledTooBig(_)) => return Err(format!("the regular expression `{text}` is too large; write it without large repetitions")),
        Err(error) => {
            let mut bounded = fancy_regex::RegexBuilder::new(&source);
            bounded.backtrack_limit(REGEX_STEPS_MAX).delegate_size_limit(REGEX_BYTES_MAX).delegate_dfa_size_limit(REGEX_BYTES_MAX);
            let told = || format!("the regular expression `{text}` is not understood: {}", last_line(&error.to_string()));
            Matcher::Bounded(bounded.build().map_err(|_| told())?)
        }
    };
    Ok(Expression { source: source.into(), matcher: Arc::new(matcher) })
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

impl Expression {
    /// The source, with its flags.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is found in `value`; `None` where it took too many steps to tell.
    pub fn holds(&self, value: &str) -> Option<bool> {
        match &*self.matcher {
            Matcher::Linear(matcher) => Some(matcher.is_match(value)),
            Matcher::Bounded(matcher) => matcher.is_match(value).ok(),
        }
    }

    /// `text` with every match replaced; `$1` and `${name}` in `to` are groups.
    pub(crate) fn replace_all(&self, text: &str, to: &str) -> String {
        match &*self.matcher {
            Matcher::Linear(matcher) => matcher.replace_all(text, to).into_owned(),
            Matcher::Bounded(matcher) => matcher.try_replacen(text, 0, to).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned),
        }
    }

    /// Texts in lower case of which a value in ASCII must hold one, or it does not match.
    pub fn needles(&self) -> Option<Vec<String>> {
        let hir = regex_syntax::ParserBuilder::new().nest_limit(64).build().parse(&self.source).ok()?;
        let needles = required(&hir).0?;
        (needles.len() <= NEEDLES_MAX && needles.iter().all(|needle| needle.len() >= NEEDLE_BYTES_MIN)).then_some(needles)
    }
}

/// Alternatives of which one must be in the value, best so far; and the text that this part is,
/// where it is one.
fn required(hir: &Hir) -> (Option<Vec<String>>, Option<String>) {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok().map(str::to_lowercase);
            (text.clone().map(|text| vec![text]), text)
        }
        HirKind::Class(class) => {
            let text = one_letter(class).map(String::from);
            (text.clone().map(|text| vec![text]), text)
        }
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => (required(&repetition.sub).0, None),
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(parts) => {
            let all: Option<Vec<Vec<String>>> = parts.iter().map(|part| required(part).0).collect();
            (all.map(|all| all.into_iter().flatten().collect()), None)
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => (None, None),
    }
}

/// Neighbours that are texts are one text; the alternatives whose shortest is longest are best.
fn concat(parts: &[Hir]) -> (Option<Vec<String>>, Option<String>) {
    let (mut best, mut run, mut whole) = (None, String::new(), true);
    for part in parts {
        match required(part) {
            (_, Some(text)) => run.push_str(&text),
            (needles, None) => {
                whole = false;
                better(&mut best, vec![std::mem::take(&mut run)]);
                needles.into_iter().for_each(|needles| better(&mut best, needles));
            }
        }
    }
    let text = whole.then(|| run.clone());
    better(&mut best, vec![run]);
    (best, text)
}

fn better(best: &mut Option<Vec<String>>, other: Vec<String>) {
    let worth = |needles: &[String]| needles.iter().map(String::len).min().unwrap_or(0);
    if worth(&other) > best.as_deref().map_or(0, worth) && other.len() <= NEEDLES_MAX {
        *best = Some(other);
    }
}

/// The one letter that a class is, whatever its case, among ASCII.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut found = None;
    for range in class.iter().filter(|range| range.start().is_ascii()) {
        for letter in range.start()..=range.end() {
            let letter = letter.to_ascii_lowercase();
            if found.is_some_and(|found| found != letter) {
                return None;
            }
            found = Some(letter);
        }
    }
    found
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl Hash for Expression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles(source: &str) -> Option<Vec<String>> {
        regex(source, "").unwrap().needles()
    }

    #[test]
    fn what_a_value_must_hold() {
        assert_eq!(needles(r"foo\d+barbaz"), Some(vec!["barbaz".to_owned()]));
        assert_eq!(needles("(?i)Invoke-[a-z]+"), Some(vec!["invoke-".to_owned()]));
        assert_eq!(needles("(?:curl|wget) "), Some(vec!["curl".to_owned(), "wget".to_owned()]));
        assert_eq!(needles("^(abc)+$"), Some(vec!["abc".to_owned()]));
        assert_eq!(needles("a|b.*"), None);
        assert_eq!(needles("(?:longer)?x"), None);
    }

    #[test]
    fn look_around_is_bounded() {
        let found = regex(r"(?<=x)y(?!z)", "").unwrap();
        assert_eq!((found.holds("xy"), found.holds("xyz"), found.holds("y")), (Some(true), Some(false), Some(false)));
        assert_eq!(regex(r"(a)\1", "i").unwrap().holds("bAa"), Some(true));
        let slow = regex(r"(?=(a+)+$)(a+)+b\2", "").unwrap();
        assert_eq!(slow.holds(&"a".repeat(5_000)), None);
        assert!(regex("(", "").is_err() && regex(r"(?:a{1000}){1000}", "").is_err());
    }
}
