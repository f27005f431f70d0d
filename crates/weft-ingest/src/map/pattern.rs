//! Regexes of mappings: checked when they are loaded, compiled when they are first used.
//!
//! The connectors hold many hundreds; a process meets records of few, and to compile all of them
//! would take longer than everything else at the start together.
//!
//! Most of them say "what stands behind these words": those are searched for as words.

use std::sync::OnceLock;

use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Repetition};

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
    behind: Option<Behind>,
    compiled: OnceLock<Option<Regex>>,
}

/// `words([class]*)`: words, and behind them as many letters of a class as there are.
#[derive(Debug)]
struct Behind {
    words: Finder<'static>,
    class: ClassUnicode,
    /// Of ASCII, those in the class.
    ascii: u128,
    /// Letters that must be there.
    least: usize,
    most: usize,
    /// Whether they are group 1.
    grouped: bool,
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
        let pattern = Self { text: text.to_owned(), names, behind: Behind::of(&hir), compiled: OnceLock::new() };
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

    /// Whether it is found in a text.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.behind {
            Some(behind) => behind.find(text).is_some(),
            None => self.regex().is_some_and(|regex| regex.is_match(text)),
        }
    }

    /// What a group of its first match holds.
    pub fn group<'t>(&self, text: &'t str, group: usize) -> Option<&'t str> {
        match &self.behind {
            Some(behind) if behind.grouped && group == 1 => behind.find(text),
            _ => Some(self.regex()?.captures(text)?.get(group)?.as_str()),
        }
    }

    /// The regex; none only where it outgrew its limit although its form promised otherwise.
    pub fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compile(&self.text).ok()).as_ref()
    }
}

impl Behind {
    /// None for a regex of another form.
    fn of(hir: &Hir) -> Option<Self> {
        let HirKind::Concat(parts) = hir.kind() else { return None };
        let [words, rest] = parts.as_slice() else { return None };
        let HirKind::Literal(words) = words.kind() else { return None };
        let (rest, grouped) = if let HirKind::Capture(capture) = rest.kind() { (&*capture.sub, true) } else { (rest, false) };
        let (class, least, most) = match rest.kind() {
            HirKind::Repetition(Repetition { min, max, greedy: true, sub }) => {
                (sub.kind(), usize::try_from(*min).ok()?, max.map_or(Some(usize::MAX), |max| usize::try_from(max).ok())?)
            }
            one => (one, 1, 1),
        };
        let HirKind::Class(Class::Unicode(class)) = class else { return None };
        let has = |letter: u8| has(class, char::from(letter));
        let ascii = (0..128).filter(|letter| has(*letter)).fold(0, |ascii, letter| ascii | 1 << letter);
        Some(Self { words: Finder::new(&*words.0).into_owned(), class: class.clone(), ascii, least, most, grouped })
    }

    /// The letters behind the first words that enough of them follow.
    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut from = 0;
        loop {
            let at = from + self.words.find(text.as_bytes().get(from..)?)?;
            let rest = text.get(at + self.words.needle().len()..)?;
            let fits = |letter: &char| if letter.is_ascii() { self.ascii >> u32::from(*letter) & 1 == 1 } else { has(&self.class, *letter) };
            let (mut letters, mut bytes) = (0, 0);
            for letter in rest.chars().take(self.most).take_while(fits) {
                letters += 1;
                bytes += letter.len_utf8();
            }
            if letters >= self.least {
                return rest.get(..bytes);
            }
            from = at + 1;
        }
    }
}

fn has(class: &ClassUnicode, letter: char) -> bool {
    let ranges = class.ranges();
    let before = ranges.partition_point(|range| range.end() < letter);
    ranges.get(before).is_some_and(|range| range.start() <= letter)
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
    fn words_and_what_stands_behind_are_found_as_the_regex_finds_them() {
        let patterns = [r"Name=([^\r\n]*)", r"Name=([^\r\n]+)", r"a b (\S+)", r"id=([0-9a-f]{2,4})", r"Name=\S", r"aa([bc]+)", r"x(\w)", r"k: (.*)"];
        let texts =
            ["", "Name=", "Name=\r\nName=b c\r\n", "Name= Ä\u{a0}é", "a b \u{2003}x a b ü\u{85}", "id=1 id=12345", "id=ab", "aaab aab", "xé", "k: 1\n2"];
        for pattern in patterns {
            let (ours, theirs) = (Pattern::new(pattern).unwrap(), Regex::new(pattern).unwrap());
            assert!(ours.behind.is_some(), "{pattern}");
            for text in texts {
                let found = theirs.captures(text).and_then(|found| found.get(1)).map(|found| found.as_str());
                assert_eq!(ours.group(text, 1), found, "{pattern} in {text:?}");
                assert_eq!(ours.is_match(text), theirs.is_match(text), "{pattern} in {text:?}");
                assert_eq!(ours.group(text, 0), theirs.find(text).map(|found| found.as_str()), "{pattern} in {text:?}");
            }
        }
        for other in ["Name=(ab|c)", "(?i)name=(.)", r"^Name=(\S+)", r"Name=(\S+?)", r"Name=(\S+) ", r"Name=(?:\S+)(x)?"] {
            assert!(Pattern::new(other).unwrap().behind.is_none(), "{other}");
        }
    }

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
