//! The condition of a rule: a small boolean language over the names of selections.

use super::Fault;

/// Deepest nesting of parentheses and `not`; keeps the recursion bounded.
const DEPTH_MAX: usize = 64;
/// Words of one condition; the longest public one has some 60.
const WORDS_MAX: usize = 4_096;

/// A condition over selections, by index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A selection holds.
    Selection(usize),
    /// All hold.
    And(Vec<Condition>),
    /// At least one holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// At least so many hold.
    AtLeast(usize, Vec<Condition>),
}

impl Condition {
    /// The same with every selection `by` places further on.
    pub(crate) fn shifted(&self, by: usize) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.shifted(by)).collect();
        match self {
            Self::Selection(index) => Self::Selection(index + by),
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(part) => Self::Not(Box::new(part.shifted(by))),
            Self::AtLeast(least, parts) => Self::AtLeast(*least, all(parts)),
        }
    }

    /// Shows every selection that is named.
    pub fn each(&self, seen: &mut dyn FnMut(usize)) {
        match self {
            Self::Selection(index) => seen(*index),
            Self::And(parts) | Self::Or(parts) | Self::AtLeast(_, parts) => parts.iter().for_each(|part| part.each(seen)),
            Self::Not(part) => part.each(seen),
        }
    }
}

/// Parses `text` over the selections `names`.
///
/// # Errors
/// What is wrong, at `line`: a word that names no selection, a missing operand, too deep.
pub fn parse(text: &str, names: &[String], line: u64) -> Result<Condition, Fault> {
    let words = words(text).map_err(|reason| Fault::at(line, reason))?;
    let mut parser = Parser { words: &words, names, depth: 0 };
    let condition = parser.any().map_err(|reason| Fault::at(line, reason))?;
    match parser.words.first() {
        None => Ok(condition),
        Some(word) => Err(Fault::at(line, format!("`{word}` in the condition is one too many"))),
    }
}

fn words(text: &str) -> Result<Vec<&str>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '(' | ')' => 1,
            '|' => return Err("`|` in a condition is the old aggregation; write a correlation document".to_owned()),
            _ => rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|')).unwrap_or(rest.len()),
        };
        let (word, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        words.push(word);
        rest = tail.trim_start();
        if words.len() > WORDS_MAX {
            return Err(format!("the condition has more than {WORDS_MAX} words"));
        }
    }
    Ok(words)
}

struct Parser<'a> {
    words: &'a [&'a str],
    names: &'a [String],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, keyword: &str) -> bool {
        let found = self.words.first().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if found {
            self.next();
        }
        found
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.take("or") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Condition::Or))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.operand()?];
        while self.take("and") {
            parts.push(self.operand()?);
        }
        Ok(one_or(parts, Condition::And))
    }

    fn operand(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("the condition is nested deeper than {DEPTH_MAX}"));
        }
        let condition = self.operand_inside();
        self.depth -= 1;
        condition
    }

    fn operand_inside(&mut self) -> Result<Condition, String> {
        let Some(word) = self.next() else { return Err("the condition ends where a selection is expected".to_owned()) };
        if word.eq_ignore_ascii_case("not") {
            return Ok(Condition::Not(Box::new(self.operand()?)));
        }
        if word == "(" {
            let inside = self.any()?;
            return if self.take(")") { Ok(inside) } else { Err("a `)` is missing in the condition".to_owned()) };
        }
        if self.words.first().is_some_and(|next| next.eq_ignore_ascii_case("of")) {
            self.next();
            return self.quantified(word);
        }
        match self.names.iter().position(|name| name == word) {
            Some(index) => Ok(Condition::Selection(index)),
            None => Err(format!("`{word}` in the condition names no selection; there are {}", quoted(self.names))),
        }
    }

    fn quantified(&mut self, quantity: &str) -> Result<Condition, String> {
        let Some(pattern) = self.next() else { return Err(format!("`{quantity} of` must be followed by `them` or a name")) };
        let matching: Vec<Condition> =
            self.names.iter().enumerate().filter(|(_, name)| chosen(pattern, name)).map(|(index, _)| Condition::Selection(index)).collect();
        if matching.is_empty() {
            return Err(format!("`{pattern}` in the condition names no selection; there are {}", quoted(self.names)));
        }
        match quantity.to_ascii_lowercase().as_str() {
            "1" | "any" => Ok(one_or(matching, Condition::Or)),
            "all" => Ok(one_or(matching, Condition::And)),
            number => match number.parse::<usize>() {
                Ok(least) if least > matching.len() => Err(format!("`{quantity} of {pattern}` can never hold: there are only {}", matching.len())),
                Ok(least) if least > 0 => Ok(Condition::AtLeast(least, matching)),
                _ => Err(format!("`{quantity} of` is not known; write `1 of`, `2 of` … or `all of`")),
            },
        }
    }
}

fn one_or(mut parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

/// `them` leaves out names that begin with an underscore, as the specification says.
fn chosen(pattern: &str, name: &str) -> bool {
    if pattern.eq_ignore_ascii_case("them") {
        return !name.starts_with('_');
    }
    wildcard(pattern, name)
}

/// Whether `*` in `pattern` can be filled so that it is `name`; linear, no backtracking.
fn wildcard(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let (middle, last) = tail.rsplit_once('*').map_or((None, tail), |(middle, last)| (Some(middle), last));
    for piece in middle.into_iter().flat_map(|middle| middle.split('*')) {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(text: &str) -> Result<Condition, String> {
        let names = ["sel_a", "sel_b", "filter", "_hidden"].map(str::to_owned);
        parse(text, &names, 7).map_err(|fault| fault.reason)
    }

    #[test]
    fn and_binds_closer_than_or() {
        use Condition::{And, AtLeast, Not, Or, Selection as S};
        assert_eq!(condition("sel_a or sel_b and not filter"), Ok(Or(vec![S(0), And(vec![S(1), Not(Box::new(S(2)))])])));
        assert_eq!(condition("(sel_a or sel_b) and not filter"), Ok(And(vec![Or(vec![S(0), S(1)]), Not(Box::new(S(2)))])));
        assert_eq!(condition("1 of sel_*"), Ok(Or(vec![S(0), S(1)])));
        assert_eq!(condition("2 of them"), Ok(AtLeast(2, vec![S(0), S(1), S(2)])));
        assert!(condition("4 of them").unwrap_err().contains("only 3"));
        assert_eq!(condition("all of them"), Ok(And(vec![S(0), S(1), S(2)])));
    }

    #[test]
    fn faults_say_what_to_do() {
        assert_eq!(condition("sel_c").unwrap_err(), "`sel_c` in the condition names no selection; there are `sel_a`, `sel_b`, `filter`, `_hidden`");
        assert_eq!(condition("sel_a and").unwrap_err(), "the condition ends where a selection is expected");
        assert_eq!(condition("(sel_a").unwrap_err(), "a `)` is missing in the condition");
        assert!(condition("sel_a | count() > 5").unwrap_err().contains("correlation document"));
        assert!(condition(&"not ".repeat(10_000)).is_err());
        assert!(condition(&"(".repeat(1_000)).unwrap_err().contains("nested deeper"));
    }

    #[test]
    fn wildcards_in_names() {
        for (pattern, name, holds) in
            [("a*", "abc", true), ("*c", "abc", true), ("a*c", "abc", true), ("a*b*c", "aXbYc", true), ("ab*bc", "abc", false), ("a*b*c", "ac", false)]
        {
            assert_eq!(wildcard(pattern, name), holds, "{pattern} {name}");
        }
    }
}
