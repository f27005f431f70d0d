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
    fn a_witness_fits_its_pattern() {
        for pattern in ["arn:x:iam::1:role/app-*", "*", "arn:x:lambda:*:1:function:?x"] {
            assert!(name_like(pattern, &witness(pattern, "word")), "{pattern}");
        }
    }
}
