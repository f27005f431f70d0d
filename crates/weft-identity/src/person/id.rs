//! Texts by which persons are recognised, in the form in which they are compared.

use std::borrow::Cow;

use crate::graph::named;

named! {
    /// What a text by which a person is recognised is.
    IdKind {
        /// An id that never changes and that several sources know: of the directory that one was filled from.
        Immutable = "immutable",
        /// Number of the person in the register of employees.
        Employee = "employee_number",
        /// An address that the source vouches for: primary mail address, user principal name, alias.
        Email = "email",
        /// An address that its owner typed in. It links nothing alone.
        ClaimedEmail = "claimed_email",
        /// What is typed to sign in.
        Login = "login",
        /// Given name.
        Given = "given_name",
        /// Family name.
        Family = "family_name",
        /// Whole name.
        Name = "name",
    }
}

named! {
    /// Who uses an account.
    Usage {
        /// The source does not say.
        Unsaid = "unsaid",
        /// One human being.
        Personal = "personal",
        /// A machine.
        Service = "service",
        /// Several human beings.
        Shared = "shared",
    }
}

/// Values that stand for none.
const NOTHING: [&str; 8] = ["0", "-", "n/a", "na", "none", "null", "unknown", "undefined"];

/// The form in which a value is compared; empty for a value that is none.
pub(super) fn canonical(kind: IdKind, value: &str) -> Cow<'_, str> {
    let value = value.trim();
    if value.is_empty() || NOTHING.iter().any(|nothing| value.eq_ignore_ascii_case(nothing)) {
        return Cow::Borrowed("");
    }
    match kind {
        // Registers pad numbers as they like.
        IdKind::Employee if value.bytes().all(|byte| byte.is_ascii_digit()) => Cow::Borrowed(value.trim_start_matches('0')),
        IdKind::Email | IdKind::ClaimedEmail if !value.contains('@') => Cow::Borrowed(""),
        _ if value.bytes().any(|byte| byte.is_ascii_uppercase()) || !value.is_ascii() => Cow::Owned(value.to_lowercase()),
        _ => Cow::Borrowed(value),
    }
}

/// Letters of a name as logins write them: lower case, without accents.
pub(super) fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for c in name.trim().chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => plain.push(c),
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => plain.push('a'),
            'ç' | 'ć' | 'č' => plain.push('c'),
            'ď' | 'đ' => plain.push('d'),
            'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => plain.push('e'),
            'ğ' => plain.push('g'),
            'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => plain.push('i'),
            'ł' | 'ľ' => plain.push('l'),
            'ñ' | 'ń' | 'ň' => plain.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ő' => plain.push('o'),
            'ř' => plain.push('r'),
            'ś' | 'š' | 'ş' | 'ș' => plain.push('s'),
            'ß' => plain.push_str("ss"),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ť' | 'ţ' | 'ț' => plain.push('t'),
            'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => plain.push('u'),
            'ý' | 'ÿ' => plain.push('y'),
            'ź' | 'ż' | 'ž' => plain.push('z'),
            // Letters of other scripts stay; blanks, hyphens and apostrophes within a name are not typed.
            c if c.is_alphabetic() => plain.push(c),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_they_are_meant() {
        assert_eq!(canonical(IdKind::Email, " Ada@Example.ORG "), "ada@example.org");
        assert_eq!(canonical(IdKind::Email, "ada"), "");
        assert_eq!(canonical(IdKind::Employee, "0001001"), "1001");
        assert_eq!(canonical(IdKind::Employee, "N/A"), "");
        assert_eq!(canonical(IdKind::Immutable, "{3F2504E0}"), "{3f2504e0}");
        assert_eq!((plain("Jörg-Peter"), plain("O'Brien"), plain("Łukasz")), ("jorgpeter".into(), "obrien".into(), "lukasz".into()));
    }
}
