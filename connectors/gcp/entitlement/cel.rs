//! Conditions (CEL), as far as they can be decided: what cannot be is kept as a condition that depends.
//!
//! Read are comparisons of `request.time`, `resource.name`, `resource.type`, `resource.service` and
//! `assertion.*` with literals, joined by `&&` and `||` ("Attribute reference for IAM Conditions",
//! cloud.google.com). An expression becomes a list of ways, of which one must hold.

use weft_model::entitlement::{Condition, Order, Quantifier, Test, TestKind};

/// Ways of one expression.
const WAYS_MAX: usize = 64;
/// Parentheses within parentheses.
const DEPTH_MAX: usize = 32;

/// The ways in which an expression holds, each a list of conditions. `key` gives the key of an attribute that
/// can be decided.
pub(super) fn ways(text: &str, key: &dyn Fn(&str) -> Option<String>) -> Vec<Vec<Condition>> {
    let mut reader = Reader { rest: text, key };
    let read = reader.either(DEPTH_MAX).filter(|ways| reader.rest.trim().is_empty() && ways.len() <= WAYS_MAX);
    read.unwrap_or_else(|| vec![vec![unknown(text)]])
}

/// The key of an attribute of a request.
pub(super) fn of_request(attribute: &str) -> Option<String> {
    ["request.time", "resource.name", "resource.type", "resource.service"].contains(&attribute).then(|| attribute.to_owned())
}

struct Reader<'t> {
    rest: &'t str,
    key: &'t dyn Fn(&str) -> Option<String>,
}

type Ways = Vec<Vec<Condition>>;

impl<'t> Reader<'t> {
    fn sign(&mut self, sign: &str) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    fn either(&mut self, depth: usize) -> Option<Ways> {
        let mut ways = self.both(depth)?;
        while self.sign("||") {
            ways.extend(self.both(depth)?);
        }
        (ways.len() <= WAYS_MAX).then_some(ways)
    }

    fn both(&mut self, depth: usize) -> Option<Ways> {
        let mut ways = self.one(depth)?;
        while self.sign("&&") {
            let more = self.one(depth)?;
            ways = ways.iter().flat_map(|way| more.iter().map(move |other| way.iter().chain(other).cloned().collect())).collect();
            if ways.len() > WAYS_MAX {
                return None;
            }
        }
        Some(ways)
    }

    fn one(&mut self, depth: usize) -> Option<Ways> {
        let depth = depth.checked_sub(1)?;
        if self.rest.trim_start().starts_with('(') {
            let before = self.rest;
            self.sign("(");
            if let Some(ways) = self.either(depth)
                && self.sign(")")
            {
                return Some(ways);
            }
            self.rest = before;
        }
        let end = end_of(self.rest)?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let text = text.trim();
        (!text.is_empty()).then(|| vec![vec![compared(text, self.key).unwrap_or_else(|| unknown(text))]])
    }
}

/// Where a comparison ends: at an operator or a parenthesis that is not its own.
fn end_of(text: &str) -> Option<usize> {
    let (mut open, mut quote) = (0_usize, None);
    for (at, sign) in text.char_indices() {
        match (quote, sign) {
            (Some(mark), sign) if mark == sign => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(sign),
            (None, '(' | '[') => open += 1,
            (None, ')' | ']') if open == 0 => return Some(at),
            (None, ')' | ']') => open -= 1,
            _ => {}
        }
        let here = text.get(at..).unwrap_or_default();
        if quote.is_none() && open == 0 && (here.starts_with("&&") || here.starts_with("||")) {
            return Some(at);
        }
    }
    (open == 0 && quote.is_none()).then_some(text.len())
}

fn compared(text: &str, key: &dyn Fn(&str) -> Option<String>) -> Option<Condition> {
    let of = |attribute: &str, kind: TestKind, negated: bool, value: String| {
        let key = key(attribute.trim())?;
        Some(Condition {
            test: Test { kind, negated },
            each: Quantifier::One,
            if_exists: false,
            key: key.to_lowercase(),
            values: vec![value],
            text: text.to_owned(),
        })
    };
    for (name, wrap) in [(".startsWith(", ("", "*")), (".endsWith(", ("*", "")), (".contains(", ("*", "*"))] {
        if let Some((attribute, rest)) = text.split_once(name) {
            let (negated, attribute) = attribute.trim().strip_prefix('!').map_or((false, attribute), |attribute| (true, attribute));
            let value = literal(rest.trim_end().strip_suffix(')')?)?;
            return of(attribute, TestKind::TextLike, negated, format!("{}{value}{}", wrap.0, wrap.1));
        }
    }
    for (sign, order, negated) in [
        ("==", Order::Equal, false),
        ("!=", Order::Equal, true),
        ("<=", Order::LessEqual, false),
        (">=", Order::GreaterEqual, false),
        ("<", Order::Less, false),
        (">", Order::Greater, false),
    ] {
        let Some((attribute, value)) = text.split_once(sign) else { continue };
        let value = value.trim();
        return match value.strip_prefix("timestamp(").and_then(|value| value.strip_suffix(')')) {
            Some(time) => of(attribute, TestKind::Date(order), negated, literal(time)?),
            None if order == Order::Equal => of(attribute, TestKind::Text, negated, literal(value)?),
            None => None,
        };
    }
    None
}

fn literal(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = ['"', '\''].iter().find_map(|mark| text.strip_prefix(*mark)?.strip_suffix(*mark))?;
    (!inner.contains(['"', '\'', '\\', '*', '?'])).then(|| inner.to_owned())
}

/// A condition that nothing decides.
pub(super) fn unknown(text: &str) -> Condition {
    let test = Test { kind: TestKind::Bool, negated: false };
    Condition { test, each: Quantifier::One, if_exists: false, key: "condition:expression".to_owned(), values: vec!["true".to_owned()], text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Vec<String>> {
        ways(text, &of_request).into_iter().map(|way| way.into_iter().map(|condition| condition.key).collect()).collect()
    }

    #[test]
    fn comparisons_are_read() {
        assert_eq!(keys("request.time < timestamp(\"2027-01-01T00:00:00Z\")"), [["request.time"]]);
        assert_eq!(
            keys("resource.name.startsWith('projects/_/buckets/a') && resource.type == \"storage.googleapis.com/Bucket\""),
            [["resource.name", "resource.type"]]
        );
        assert_eq!(keys("(resource.service == 'a' || resource.service == 'b') && resource.name == 'c'").len(), 2);
        let way = ways("resource.name != 'a || b'", &of_request);
        assert!(way[0][0].test.negated && way[0][0].values == ["a || b"]);
    }

    #[test]
    fn what_cannot_be_decided_depends() {
        for text in [
            "resource.matchTag('1/env', 'prod')",
            "!(resource.name == 'a')",
            "request.time.getHours('Europe/Berlin') > 9",
            "",
            "((",
            &"(".repeat(10_000),
            "resource.name == variable",
        ] {
            assert_eq!(keys(text), [["condition:expression"]], "{text}");
        }
        assert_eq!(keys("resource.name == 'a' && resource.matchTag('1/env', 'prod')"), [["resource.name", "condition:expression"]]);
    }
}
