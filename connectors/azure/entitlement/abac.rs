//! Conditions of role assignments, as far as they are about actions.
//!
//! A condition is decided where it is only about other actions ("Azure role assignment condition format and
//! syntax"): `!(ActionMatches{'a'}) OR …` holds for every action but `a`. What it says of `a` depends on
//! attributes that no snapshot tells.

use weft_model::entitlement::Truth;

/// Parentheses within parentheses.
const DEPTH_MAX: usize = 64;

/// What a condition comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decided {
    /// For actions that it does not name.
    pub(super) elsewhere: Truth,
    /// Patterns of the actions that it names.
    pub(super) named: Vec<String>,
}

/// Reads a condition; `None` for one that cannot be read, which decides nothing.
pub(super) fn decide(text: &str) -> Option<Decided> {
    let mut reader = Reader { rest: text, named: Vec::new() };
    let elsewhere = reader.either(DEPTH_MAX)?;
    reader.rest.trim().is_empty().then_some(Decided { elsewhere, named: reader.named })
}

struct Reader<'t> {
    rest: &'t str,
    named: Vec<String>,
}

impl<'t> Reader<'t> {
    fn word(&mut self, words: &[&str]) -> bool {
        let rest = self.rest.trim_start();
        let found = words.iter().find(|word| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word)));
        let Some(after) = found.and_then(|word| rest.get(word.len()..)) else { return false };
        self.rest = after;
        true
    }

    fn either(&mut self, depth: usize) -> Option<Truth> {
        let mut truth = self.both(depth)?;
        while self.word(&["OR", "||"]) {
            truth = truth.or(self.both(depth)?);
        }
        Some(truth)
    }

    fn both(&mut self, depth: usize) -> Option<Truth> {
        let mut truth = self.one(depth)?;
        while self.word(&["AND", "&&"]) {
            truth = truth.and(self.one(depth)?);
        }
        Some(truth)
    }

    fn one(&mut self, depth: usize) -> Option<Truth> {
        let depth = depth.checked_sub(1)?;
        if self.word(&["!", "NOT "]) {
            return self.one(depth).map(|truth| !truth);
        }
        if self.word(&["("]) {
            let truth = self.either(depth)?;
            return self.word(&[")"]).then_some(truth);
        }
        if self.word(&["ActionMatches"]) {
            let (names, rest) = self.rest.trim_start().strip_prefix('{')?.split_once('}')?;
            self.rest = rest;
            self.named.extend(names.split(',').map(|name| name.trim().trim_matches('\'').to_owned()));
            return Some(Truth::No);
        }
        self.comparison()
    }

    /// Anything else, up to the end of the comparison: it depends.
    fn comparison(&mut self) -> Option<Truth> {
        let (mut braces, mut quoted) = (0_usize, false);
        let text = self.rest;
        for (at, sign) in text.char_indices() {
            match sign {
                '\'' => quoted = !quoted,
                _ if quoted => {}
                '{' | '[' => braces += 1,
                '}' | ']' => braces = braces.checked_sub(1)?,
                '(' if braces == 0 => return None,
                _ => {}
            }
            let here = text.get(at..).unwrap_or_default();
            let ends = |word: &str| here.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
            if !quoted && braces == 0 && (sign == ')' || [" AND", " OR", "\nAND", "\nOR", "&&", "||"].iter().any(|word| ends(word))) {
                return self.take(at);
            }
        }
        if quoted || braces > 0 { None } else { self.take(text.len()) }
    }

    fn take(&mut self, end: usize) -> Option<Truth> {
        let (taken, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!taken.trim().is_empty()).then_some(Truth::Depends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_actions_are_decided() {
        let text = "((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR \
            (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {acdd72a7, 2a2b9908}))";
        let decided = decide(text).unwrap();
        assert_eq!(decided, Decided { elsewhere: Truth::Yes, named: vec!["Microsoft.Authorization/roleAssignments/write".to_owned()] });
    }

    #[test]
    fn two_clauses_and_suboperations_are_read() {
        let text = "(\n (\n  !(ActionMatches{'a/read'} AND NOT SubOperationMatches{'Blob.List'})\n )\n OR\n (\n  @Resource[x:name] StringEquals 'a (b) OR c'\n )\n)\nAND\n((!(ActionMatches{'a/write'})) OR (@Principal[y] StringLike 'z*'))";
        let decided = decide(text).unwrap();
        assert_eq!((decided.elsewhere, decided.named.len()), (Truth::Yes, 2));
    }

    #[test]
    fn what_says_nothing_of_actions_depends() {
        assert_eq!(decide("@Resource[x] StringEquals 'y'").unwrap().elsewhere, Truth::Depends);
        assert_eq!(decide("ActionMatches{'a'}").unwrap().elsewhere, Truth::No);
    }

    #[test]
    fn what_cannot_be_read_decides_nothing() {
        for text in ["", "((", "(a", "!(ActionMatches{'a'", "@Resource[x StringEquals 'y'", &"(".repeat(10_000)] {
            assert_eq!(decide(text), None, "{text}");
        }
    }
}
