use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::{ColumnInfo, ColumnKind, TableInfo};

fn columns() -> Columns {
    let kinds = [
        ("class_name", ColumnKind::Text),
        ("severity_id", ColumnKind::Integer),
        ("is_remote", ColumnKind::Boolean),
        ("actor", ColumnKind::Other),
        ("actor.user.name", ColumnKind::Text),
        ("labels", ColumnKind::TextList),
        ("raw_data", ColumnKind::Text),
        ("message", ColumnKind::Text),
        ("observables", ColumnKind::Other),
    ];
    let columns = kinds.map(|(path, kind)| ColumnInfo { path: path.to_owned(), kind, data_type: String::new() }).into();
    Columns::of(&TableInfo { name: "events".to_owned(), class_uid: None, rows: None, columns })
}

fn sql(text: &str) -> String {
    match parse(text).and_then(|expr| to_sql(&expr, &columns())) {
        Ok(Predicate::Sql(sql)) => sql,
        Ok(Predicate::True) => "TRUE".to_owned(),
        Ok(Predicate::False) => "FALSE".to_owned(),
        Err(error) => format!("{} at {}..{}", error.message, error.span.start, error.span.end),
    }
}

#[test]
fn a_filter_becomes_sql() {
    for (filter, expected) in [
        ("", "TRUE"),
        ("class_name:Authentication", "\"class_name\" = 'Authentication'"),
        ("actor.user.name:\"O'Brien\"", "\"actor\"['user']['name'] = 'O''Brien'"),
        ("severity_id:>=4", "\"severity_id\" >= 4"),
        ("class:Auth*n_", "\"class_name\" LIKE 'Auth%n\\_'"),
        ("labels:x", "array_has(\"labels\", 'x')"),
        ("is_remote:true", "\"is_remote\" = true"),
        ("actor:*", "\"actor\" IS NOT NULL"),
        ("50%", "raw_data ILIKE '%50\\%%' OR message ILIKE '%50\\%%'"),
        ("ip:10.0.0.1", "has_observable(observables, '10.0.0.1', 2)"),
        ("entity:x", "has_observable(observables, 'x')"),
        ("class:a class:b", "(\"class_name\" = 'a') AND (\"class_name\" = 'b')"),
        ("class:a OR NOT class:b", "(\"class_name\" = 'a') OR ((\"class_name\" = 'b') IS NOT TRUE)"),
        ("-(class:a OR class:b)", "((\"class_name\" = 'a') OR (\"class_name\" = 'b')) IS NOT TRUE"),
        ("device.hostname:x", "FALSE"),
        ("device.hostname:x OR class:a", "(\"class_name\" = 'a')"),
        ("NOT device.hostname:x", "TRUE"),
    ] {
        assert_eq!(sql(filter), expected, "{filter}");
    }
}

#[test]
fn a_fault_has_its_place() {
    for (filter, expected) in [
        ("class:a AND", "something to search for is missing at the end at 11..11"),
        ("class:", "`class:` needs a value; `class:*` asks whether it is there at 0..6"),
        ("a )", "this `)` closes nothing at 2..3"),
        ("(a", "this `(` is not closed at 0..1"),
        ("x severity_id:high", "`severity_id` is a number at 14..18"),
        ("class:>4", "`class_name` is not a number and has no order at 7..8"),
        ("\"a", "the closing quotation mark is missing at 0..2"),
        ("actor:x", "`actor` has parts; name one of them, or ask `:*` whether it is there at 6..7"),
    ] {
        assert_eq!(sql(filter), expected, "{filter}");
    }
    let deep = "(".repeat(DEPTH_MAX + 1) + "a";
    assert!(sql(&deep).starts_with("a filter nests at most"));
    let many = "a ".repeat(TERMS_MAX + 1);
    assert!(sql(&many).starts_with("a filter has at most 128 terms"));
}

#[test]
fn conjuncts_keep_their_parentheses() {
    let text = "class:a (b OR c) -(d e)";
    let expr = parse(text).unwrap();
    let parts: Vec<_> = expr.conjuncts().iter().map(|part| part.span().unwrap()).map(|span| text.get(span.start..span.end).unwrap()).collect();
    assert_eq!(parts, ["class:a", "(b OR c)", "-(d e)"]);
}

#[test]
fn the_tail_agrees_with_the_lake() {
    let event = json!({"class_name": "Authentication", "severity_id": 4, "actor": {"user": {"name": "ann"}}, "labels": ["x"], "is_remote": true,
        "message": "Sign-in FAILED", "observables": [{"type_id": 2, "value": "10.0.0.1"}]});
    for yes in [
        "",
        "class:Auth*",
        "severity_id:>=4 severity_id:<5",
        "actor.user.name:ann",
        "labels:x",
        "is_remote:true",
        "failed",
        "ip:10.0.0.1",
        "entity:10.0.0.1",
        "NOT device.hostname:x",
        "actor:*",
        "class:*then*n",
    ] {
        assert!(matches(&parse(yes).unwrap(), &event), "{yes}");
    }
    for no in ["class:auth*", "severity_id:>4", "user:10.0.0.1", "-failed", "device.hostname:*", "labels:y", "class:*x*", "severity_id:high"] {
        assert!(!matches(&parse(no).unwrap(), &event), "{no}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_an_error_inside_it(text in "(\\PC|[()\"\\\\:*<>=\\- ]|AND |OR |NOT |ip:|severity_id:){0,60}") {
        let fault = match parse(&text) {
            Ok(expr) => {
                matches(&expr, &json!({"class_name": "a", "raw_data": text.clone()}));
                to_sql(&expr, &columns()).err()
            }
            Err(error) => Some(error),
        };
        if let Some(error) = fault {
            prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
            let span = error.span.utf16(&text);
            prop_assert!(span.end <= text.encode_utf16().count());
        }
    }

    #[test]
    fn quoted_text_never_leaves_its_literal(value in "\\PC{0,40}") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let expr = parse(&format!("class_name:\"{quoted}\"")).unwrap();
        let Predicate::Sql(sql) = to_sql(&expr, &columns()).unwrap() else { panic!("not folded") };
        let inside = sql.strip_prefix("\"class_name\" = '").and_then(|sql| sql.strip_suffix('\'')).unwrap();
        prop_assert_eq!(inside.replace("''", "'"), value.clone());
        prop_assert!(!inside.replace("''", "").contains('\''));
    }
}
