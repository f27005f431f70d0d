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

/// How a message about a table that is not there begins.
const NO_TABLE: &str = "there is no table `";

/// The table that is not there, when that is what a [`QueryError`](crate::QueryError) says in its words: what was
/// never received has no table yet.
pub fn missing_table(message: &str) -> Option<&str> {
    message.split_once(NO_TABLE)?.1.split_once('`').map(|(name, _)| name)
}

/// Names that a message lists.
const NAMES_MAX: usize = 40;

/// What the engine says of a question, in words for whoever asked it.
pub(super) fn plainly(message: &str) -> String {
    let message = ["Error during planning: ", "Schema error: ", "SQL error: "].into_iter().find_map(|kind| message.strip_prefix(kind)).unwrap_or(message);
    if let Some(name) = message.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        let name = name.rsplit('.').next().unwrap_or(name);
        return format!("{NO_TABLE}{name}`: nothing that belongs into it has been stored yet, or the name is another; see `weft tables`");
    }
    if let Some((kind, what)) = message.split_once(" not supported: ").filter(|(kind, _)| matches!(*kind, "DDL" | "DML" | "Statement")) {
        return format!("only questions are answered, nothing is changed: `{what}` ({kind}) is refused");
    }
    if let Some(wrong) = message.strip_prefix("ParserError(\"").and_then(|rest| rest.strip_suffix("\")")) {
        return format!("it is not SQL: {}", wrong.replace("\\\"", "\""));
    }
    match message.split_once("Valid fields are ") {
        Some((wrong, fields)) => format!("{} There are {}", wrong.trim_end(), some(fields)),
        None => message.to_owned(),
    }
}

/// As many names of a list as can be read.
fn some(list: &str) -> String {
    let names: Vec<&str> = list.trim_end_matches('.').split(", ").collect();
    match names.get(..NAMES_MAX) {
        Some(first) if names.len() > NAMES_MAX => format!("{} and {} more", first.join(", "), names.len() - NAMES_MAX),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::{missing_table, plainly, quote_names};

    #[test]
    fn what_the_engine_says_is_told_plainly() {
        for (said, told) in [
            ("Error during planning: table 'weft.lake.authentication' not found", "there is no table `authentication`: "),
            ("Error during planning: DDL not supported: DropTable", "only questions are answered, nothing is changed: `DropTable`"),
            ("Error during planning: Invalid function 'foo'", "Invalid function 'foo'"),
            ("SQL error: ParserError(\"Expected: an expression, found: EOF\")", "it is not SQL: Expected: an expression, found: EOF"),
            ("Schema error: No field named foo. Valid fields are t.a, t.b.", "No field named foo. There are t.a, t.b"),
        ] {
            assert!(plainly(said).starts_with(told), "{said}");
        }
        assert_eq!(missing_table(&plainly("Error during planning: table 'weft.lake.x' not found")), Some("x"));
        assert_eq!(missing_table(&plainly("Schema error: No field named x. Valid fields are y.")), None);
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
