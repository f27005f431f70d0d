//! Patterns over names: `*` is any text, `?` one character.

/// Stands for a `*` that is meant literally, once variables are filled in.
pub(super) const STAR: u8 = 1;
/// Stands for a literal `?`.
pub(super) const QUESTION: u8 = 2;

/// Segments of a full name that wildcards do not cross; the rest is one piece.
const SEGMENTS: usize = 6;

/// Whether `text` fits `pattern`, byte by byte.
pub fn like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(wanted) if literal(*wanted) == *byte => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((star, from)) = retry else { return false };
                (p, t) = (star + 1, from + 1);
                retry = Some((star, t));
            }
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

fn literal(byte: u8) -> u8 {
    match byte {
        STAR => b'*',
        QUESTION => b'?',
        other => other,
    }
}

/// Whether a full name fits a pattern, segment by segment: a wildcard stays within its segment, and
/// segments that the pattern leaves out are wildcards.
pub fn name_like(pattern: &str, name: &str) -> bool {
    if pattern == "*" || pattern == name {
        return true;
    }
    let mut segments = name.splitn(SEGMENTS, ':');
    pattern.splitn(SEGMENTS, ':').all(|wanted| segments.next().is_some_and(|segment| like(wanted.as_bytes(), segment.as_bytes())))
}

/// Pairs of places of two patterns that are looked at to find a text which fits both.
const PAIRS_MAX: usize = 1 << 20;

/// A shortest text that fits both patterns, with `word` where both leave the same choice.
///
/// `None` where no text fits both, and for patterns of which each pair of places is too much to look at. The
/// patterns are walked together, breadth first: a `*` ends, or takes what the other one wants next.
pub fn common(one: &str, other: &str, word: &str) -> Option<String> {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let end = (one.len(), other.len());
    let width = end.1 + 1;
    let pairs = width.checked_mul(end.0 + 1).filter(|pairs| *pairs <= PAIRS_MAX)?;
    // From where each pair was reached first.
    let mut before: Vec<Option<(usize, usize)>> = vec![None; pairs];
    let mut open = std::collections::VecDeque::from([(0, 0)]);
    while let Some((a, b)) = open.pop_front().filter(|here| *here != end) {
        for next in steps(one, other, (a, b)).into_iter().flatten() {
            if let Some(unseen @ None) = before.get_mut(next.0 * width + next.1) {
                *unseen = Some((a, b));
                open.push_back(next);
            }
        }
    }
    let (mut text, mut here) = (Vec::new(), end);
    while here != (0, 0) {
        let from = (*before.get(here.0 * width + here.1)?)?;
        let (wanted, offered) = (one.get(from.0).copied(), other.get(from.1).copied());
        match (wanted, offered) {
            (Some(b'*'), Some(b'*')) => text.extend(word.bytes().rev()),
            (Some(b'*'), taken) => text.extend(taken.filter(|_| here.1 > from.1).map(shown)),
            (taken, Some(b'*')) => text.extend(taken.filter(|_| here.0 > from.0).map(shown)),
            (Some(b'?'), taken) | (taken, _) => text.extend(taken.map(shown)),
        }
        here = from;
    }
    text.reverse();
    String::from_utf8(text).ok()
}

/// Places that follow a pair of places. Of two `*` the first ends first, so that both are met together once.
fn steps(one: &[u8], other: &[u8], (a, b): (usize, usize)) -> [Option<(usize, usize)>; 2] {
    match (one.get(a), other.get(b)) {
        (Some(b'*'), Some(b'*')) => [Some((a + 1, b)), Some((a, b + 1))],
        (Some(b'*'), taken) => [Some((a + 1, b)), taken.map(|_| (a, b + 1))],
        (taken, Some(b'*')) => [Some((a, b + 1)), taken.map(|_| (a + 1, b))],
        (Some(wanted), Some(offered)) if *wanted == b'?' || *offered == b'?' || wanted == offered => [Some((a + 1, b + 1)), None],
        _ => [None, None],
    }
}

/// A byte that fits one byte of a pattern.
fn shown(byte: u8) -> u8 {
    if byte == b'?' { b'x' } else { literal(byte) }
}

/// A name that fits the pattern, with `word` where it leaves a choice.
pub fn witness(pattern: &str, word: &str) -> String {
    let mut name = String::with_capacity(pattern.len() + word.len());
    for part in pattern.chars() {
        match part {
            '*' => name.push_str(word),
            '?' => name.push('x'),
            other => name.push(other),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_text() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*a*b*", "xxaxxbxx", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
            ("", "a", false),
            ("Get*Object*", "GetObjectAcl", true),
            ("\u{1}", "*", true),
            ("\u{1}", "x", false),
        ] {
            assert_eq!(like(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn wildcards_of_names_stay_in_their_segment() {
        for (pattern, name, fits) in [
            ("arn:x:s3:::bucket/*", "arn:x:s3:::bucket/a/b", true),
            ("arn:x:iam::*:role/a", "arn:x:iam::1:role/a", true),
            ("arn:x:*:role/a", "arn:x:iam::1:role/a", false),
            ("arn:x:sqs", "arn:x:sqs:r:1:queue", true),
            ("arn:x:s3:::bucket", "*", false),
            ("arn:x:logs:r:1:log-group:*", "arn:x:logs:r:1:log-group:a:log-stream:b", true),
        ] {
            assert_eq!(name_like(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_two_patterns_have_in_common() {
        for (one, other, found) in [
            ("repo:corp/*:ref:refs/heads/main", "repo:corp/app:*", Some("repo:corp/app:ref:refs/heads/main")),
            ("repo:corp/*:environment:prod", "repo:corp/app:*", Some("repo:corp/app:environment:prod")),
            ("repo:corp/*:ref:refs/heads/*", "repo:corp/app:*", Some("repo:corp/app:ref:refs/heads/word")),
            ("repo:corp/ap?:*", "repo:*/app:pull_request", Some("repo:corp/app:pull_request")),
            ("repo:corp/\u{1}:*", "repo:corp/*:x", Some("repo:corp/*:x")),
            ("é*", "?\u{2}?", None),
            ("é*", "???", Some("éx")),
            ("repo:corp/*:environment:prod", "repo:corp/app:ref:*", Some("repo:corp/app:ref:environment:prod")),
            ("repo:corp/*:environment:prod", "repo:bank/app:*", None),
            ("repo:corp/app:*", "repo:corp/apps:*", None),
            ("a?", "a", None),
            ("", "*", Some("")),
        ] {
            assert_eq!(common(one, other, "word").as_deref(), found, "{one} {other}");
            assert_eq!(common(other, one, "word").as_deref(), found, "{other} {one}");
        }
        assert_eq!(common(&"a*".repeat(1_000), &"*a".repeat(1_000), "word"), None, "more pairs than are looked at");
    }

    /// All texts over an alphabet, up to a length.
    fn texts(alphabet: &str, length: usize) -> Vec<String> {
        let (mut all, mut last) = (vec![String::new()], vec![String::new()]);
        for _ in 0..length {
            last = last.iter().flat_map(|text| alphabet.chars().map(move |sign| format!("{text}{sign}"))).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn two_patterns_have_a_text_in_common_exactly_when_one_fits_both() {
        let (patterns, names) = (texts("ab*?", 3), texts("abx", 4));
        for one in &patterns {
            let fitting: Vec<&String> = names.iter().filter(|name| like(one.as_bytes(), name.as_bytes())).collect();
            for other in &patterns {
                let both = |name: &str| like(one.as_bytes(), name.as_bytes()) && like(other.as_bytes(), name.as_bytes());
                let wanted = fitting.iter().any(|name| like(other.as_bytes(), name.as_bytes()));
                let found = common(one, other, "word");
                assert_eq!(found.is_some(), wanted, "{one} {other}");
                assert!(found.as_deref().is_none_or(both), "{one} {other} {found:?}");
            }
        }
    }

    #[test]
    fn a_witness_fits_its_pattern() {
        for pattern in ["arn:x:iam::1:role/app-*", "*", "arn:x:lambda:*:1:function:?x"] {
            assert!(name_like(pattern, &witness(pattern, "word")), "{pattern}");
        }
    }
}
