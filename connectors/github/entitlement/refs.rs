//! Names of branches and tags by patterns, as rules and policies write them.
//!
//! A `*` stays within its part of the path, `**/` takes any number of parts ("Branch protection rules: about
//! branch patterns", docs.github.com: fnmatch with `FNM_PATHNAME`). Patterns of entitlements know a `*` that takes
//! everything: what such a one fits beyond the branch pattern is told apart.

/// All branches, as rulesets name them.
pub(super) const ALL: &str = "~ALL";
/// Stands in a name for a part that a pattern leaves open.
const ANY_WORD: &str = "weft-any";

/// Whether a pattern names one branch.
pub(super) fn is_one(pattern: &str) -> bool {
    pattern != ALL && !pattern.contains(['*', '?', '['])
}

/// Whether a branch is among those of a pattern.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    if pattern == ALL {
        return true;
    }
    let (wanted, parts): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), name.split('/').collect());
    // The last part is never `**`: there it is a `*`.
    let last = wanted.len().saturating_sub(1);
    let is_deep = |place: usize| place < last && wanted.get(place) == Some(&"**");
    let (mut at, mut part) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(text) = parts.get(part) {
        if is_deep(at) {
            at += 1;
            retry = Some((at, part));
        } else if wanted.get(at).is_some_and(|wanted| fits_part(wanted.as_bytes(), text.as_bytes())) {
            (at, part) = (at + 1, part + 1);
        } else {
            let Some((deep, from)) = retry else { return false };
            (at, part) = (deep, from + 1);
            retry = Some((deep, from + 1));
        }
    }
    at == wanted.len()
}

/// One part of a path: `*`, `?`, and sets such as `[a-c]` or `[!a]`.
fn fits_part(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, t));
            p += 1;
        } else if let Some(width) = takes(pattern.get(p..).unwrap_or_default(), *byte) {
            (p, t) = (p + width, t + 1);
        } else {
            let Some((star, from)) = retry else { return false };
            (p, t) = (star + 1, from + 1);
            retry = Some((star, from + 1));
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

/// How much of a pattern takes a byte at its beginning; `None` where it does not.
fn takes(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.split_first()? {
        (b'?', _) => Some(1),
        (b'[', rest) => {
            let Some(end) = rest.iter().skip(1).position(|sign| *sign == b']').map(|end| end + 1) else { return (byte == b'[').then_some(1) };
            let set = rest.get(..end)?;
            let (negated, set) = match set.split_first() {
                Some((b'!' | b'^', set)) => (true, set),
                _ => (false, set),
            };
            let among = set.contains(&byte) || set.windows(3).any(|three| matches!(three, [from, b'-', to] if (*from..=*to).contains(&byte)));
            (among != negated).then_some(end + 2)
        }
        (sign, _) => (*sign == byte).then_some(1),
    }
}

/// A pattern of which `*` takes everything; it fits at least the branches of the other one.
pub(super) fn loose(pattern: &str) -> String {
    if pattern == ALL {
        return "*".to_owned();
    }
    let (mut found, mut rest) = (String::new(), pattern);
    while let Some(sign) = rest.chars().next() {
        let end = rest.get(2..).and_then(|set| set.find(']')).map(|end| end + 3);
        let (text, width) = match (sign, end) {
            ('*', _) => ("*", rest.len() - rest.trim_start_matches(['*']).len()),
            ('[', Some(end)) => ("?", end),
            _ => (rest.get(..sign.len_utf8()).unwrap_or_default(), sign.len_utf8()),
        };
        let deep = sign == '*' && width > 1 && rest.get(width..).is_some_and(|rest| rest.starts_with('/'));
        found.push_str(text);
        rest = rest.get(if deep { width + 1 } else { width }..).unwrap_or_default();
    }
    while found.contains("**") {
        found = found.replace("**", "*");
    }
    found
}

/// Patterns of what [`loose`] takes and the branch pattern surely does not: a `*` that goes over a `/`.
pub(super) fn beyond(pattern: &str) -> Vec<String> {
    if pattern == ALL || pattern.contains("**") || pattern.contains('[') {
        return Vec::new();
    }
    pattern.match_indices('*').filter_map(|(at, _)| Some(format!("{}*/*{}", pattern.get(..at)?, pattern.get(at + 1..)?))).collect()
}

/// A branch of a pattern.
pub(super) fn example(pattern: &str) -> String {
    if pattern == ALL {
        return ANY_WORD.to_owned();
    }
    loose(&pattern.replace("**/", "")).replace('*', ANY_WORD).replace('?', "x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_its_part() {
        for (pattern, name, fitting) in [
            ("main", "main", true),
            ("main", "mains", false),
            ("release/*", "release/1", true),
            ("release/*", "release/1/a", false),
            ("release/**/*", "release/1/a", true),
            ("release/**/*", "release/1", true),
            ("**/*", "main", true),
            ("**/main", "a/b/main", true),
            ("**/main", "a/b/domain", false),
            ("*", "a/b", false),
            ("**", "a/b", false),
            ("v[0-9].?", "v1.x", true),
            ("v[!0-9]", "v1", false),
            ("a*b*c", "aXbYbc", true),
            ("[", "[", true),
            (ALL, "a/b", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), fitting, "{pattern} {name}");
        }
        assert!(!fits(&"*a".repeat(2_000), &"a".repeat(1_999)), "in time");
    }

    #[test]
    fn a_looser_pattern_fits_more_and_what_is_beyond_does_not_fit() {
        let like = |pattern: &str, text: &str| fits_part(pattern.as_bytes(), text.as_bytes());
        for pattern in ["release/*", "*", "a/*/b-*", "**/*", "x/**/y", "v[0-9]*", "a?c"] {
            let example = example(pattern);
            assert!(like(&loose(pattern), &example), "{pattern} {example}");
            assert!(pattern.contains('[') || fits(pattern, &example), "{pattern} {example}");
            for other in beyond(pattern) {
                let text = other.replace('*', "z");
                assert!(like(&loose(pattern), &text) && !fits(pattern, &text), "{pattern} {text}");
            }
        }
    }
}
