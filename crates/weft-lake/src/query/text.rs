//! SQL as people write it about OCSF: `user` and `group` are attributes here, not SQL keywords.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

/// Longest text of a query.
pub(super) const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Quotes names that stand where only a name can stand, so that no attribute has to be quoted by
/// hand; text that is no SQL is left for the parser to complain about.
pub(super) fn quote_names(sql: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).with_unescape(false).tokenize() else { return sql.to_owned() };
    // Their escapes do not survive being written again.
    if tokens.iter().any(|token| matches!(token, Token::EscapedStringLiteral(_))) {
        return sql.to_owned();
    }
    let mut out = String::with_capacity(sql.len() + 16);
    let mut before = None;
    for (place, token) in tokens.iter().enumerate() {
        let mut after = tokens.iter().skip(place + 1).filter(|token| !matches!(token, Token::Whitespace(_)));
        match token {
            Token::Word(word) if word.quote_style.is_none() && is_name(word, before, after.next()) => {
                out.push_str(&format!("\"{}\"", word.value.to_lowercase()));
            }
            other => out.push_str(&other.to_string()),
        }
        if !matches!(token, Token::Whitespace(_)) {
            before = Some(token);
        }
    }
    out
}

fn is_name(word: &Word, before: Option<&Token>, after: Option<&Token>) -> bool {
    let called = matches!(after, Some(Token::LParen));
    let followed_by = |text: &str| matches!(after, Some(Token::Word(next)) if next.value.eq_ignore_ascii_case(text));
    match word.value.to_ascii_lowercase().as_str() {
        _ if matches!(before, Some(Token::Period)) => !called,
        "user" => !called,
        "group" => !called && !followed_by("by"),
        _ => matches!(after, Some(Token::Period)),
    }
}

/// What the engine says of a question, in words for whoever asked it.
pub(super) fn plainly(message: String) -> String {
    if let Some(name) = message.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        let name = name.rsplit('.').next().unwrap_or(name);
        return format!("there is no table `{name}`: nothing that belongs into it has been stored yet, or the name is another; see `weft tables`");
    }
    if let Some((kind, what)) = message.split_once(" not supported: ").filter(|(kind, _)| matches!(*kind, "DDL" | "DML" | "Statement")) {
        return format!("only questions are answered, nothing is changed: `{what}` ({kind}) is refused");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::{plainly, quote_names};

    #[test]
    fn what_the_engine_says_is_told_plainly() {
        for (said, told) in [
            ("table 'weft.lake.authentication' not found", "there is no table `authentication`: "),
            ("DDL not supported: DropTable", "only questions are answered, nothing is changed: `DropTable`"),
            ("Invalid function 'foo'", "Invalid function 'foo'"),
        ] {
            assert!(plainly(said.to_owned()).starts_with(told), "{said}");
        }
    }

    #[test]
    fn attributes_may_be_named_like_keywords() {
        for (written, read) in [
            ("SELECT actor.user.name FROM t", r#"SELECT "actor"."user"."name" FROM t"#),
            ("SELECT user, user.name, count(*) FROM t GROUP BY user", r#"SELECT "user", "user"."name", count(*) FROM t GROUP BY "user""#),
            ("SELECT group.name, group FROM t", r#"SELECT "group"."name", "group" FROM t"#),
            ("SELECT a.* FROM t a WHERE x = 'it''s user.name' -- user", "SELECT \"a\".* FROM t a WHERE x = 'it''s user.name' -- user"),
            ("SELECT 1.5, \"User\".x", "SELECT 1.5, \"User\".\"x\""),
            ("SELECT actor['user']['name'], E'a\\nb'", "SELECT actor['user']['name'], E'a\\nb'"),
            ("SELECT 'open", "SELECT 'open"),
        ] {
            assert_eq!(quote_names(written), read);
        }
    }
}
