//! Every modifier, with an event that it holds for and one that it does not.

use serde_json::{Value, json};
use weft_analytics::{FieldMap, RuleFile, compile};
use weft_model::Detector as _;

use crate::events::batch;

const KIND: &str = "under = ['', 'data.*']\n[[kind]]\nname = 'k'\ncategory = 'k'\nclass = [1]\nsource = ['Own']\nfields = { Two = ['a', 'o.b'], Named = ['unmapped.deep.x', 'a'] }\n";

/// Rows of `events` for which a selection with these lines holds.
pub(crate) fn rows(lines: &str, events: &[Value]) -> Vec<usize> {
    let text = format!("title: t\nlogsource: {{category: k}}\ndetection:\n  s:\n    {}\n  condition: s\n", lines.replace('\n', "\n    "));
    let events: Vec<Value> = (0..).zip(events).map(|(at, event)| with(event, at)).collect();
    let (mut engine, faults) = compile(&[RuleFile { name: "f".into(), text }], &FieldMap::parse(KIND).unwrap());
    assert_eq!(faults, Vec::new(), "{lines}");
    engine.observe(&batch(1, &events)).iter().map(|finding| finding.evidence[0].uid.parse().unwrap()).collect()
}

fn with(event: &Value, at: usize) -> Value {
    let mut event = event.clone();
    event["time"] = json!(at);
    event["metadata"] = json!({"uid": at.to_string()});
    event
}

/// The values of `a` among `values` for which the lines hold.
fn values(lines: &str, values: &[&str]) -> Vec<String> {
    let events: Vec<Value> = values.iter().map(|value| json!({ "a": value })).collect();
    rows(lines, &events).into_iter().map(|row| values[row].to_owned()).collect()
}

#[test]
fn texts() {
    assert_eq!(values("a: Cmd", &["cmd", "CMD", "cmd.exe"]), ["cmd", "CMD"]);
    assert_eq!(values("a|cased: Cmd", &["Cmd", "cmd"]), ["Cmd"]);
    assert_eq!(values("a|contains: B", &["abc", "ac"]), ["abc"]);
    assert_eq!(values("a|startswith: ab", &["abc", "cab"]), ["abc"]);
    assert_eq!(values("a|endswith: BC", &["abc", "bcd"]), ["abc"]);
    assert_eq!(values("a|contains|all: [b, c]", &["abc", "ab", "cb"]), ["abc", "cb"]);
    assert_eq!(values("a: 'a*c?e'", &["abbcde", "acde", "ace"]), ["abbcde", "acde"]);
    assert_eq!(values("a|contains|cased: 'B*d'", &["aBcd", "abcd"]), ["aBcd"]);
    assert_eq!(values("a: 'a\\*c'", &["a*c", "abc"]), ["a*c"]);
    assert_eq!(values("a|neq: x", &["x", "y"]), ["y"]);
    assert_eq!(values("a|contains|neq: [x, y]", &["ax", "by", "z"]), ["z"]);
    assert_eq!(values("a|contains|windash: ' -enc'", &["p -enc x", "p /enc x", "p –enc x", "p enc"]), ["p -enc x", "p /enc x", "p –enc x"]);
}

#[test]
fn encodings() {
    // `whoami` after one, two and three letters; in UTF-16 as PowerShell takes it.
    assert_eq!(values("a|base64: foobar", &["Zm9vYmFy", "foobar"]), ["Zm9vYmFy"]);
    assert_eq!(values("a|base64offset|contains: whoami", &["eHdob2FtaXk=", "eHh3aG9hbWl5", "eHh4d2hvYW1peQ==", "aGVsbG8="]).len(), 3);
    let wide = "dwBoAG8AYQBtAGkA";
    for modifier in ["wide", "utf16le"] {
        assert_eq!(values(&format!("a|{modifier}|base64offset|contains: whoami"), &[wide, "d2hvYW1p"]), [wide]);
    }
    assert_eq!(values("a|utf16be|base64: ab", &["AGEAYg==", "YQBiAA=="]), ["AGEAYg=="]);
    assert_eq!(values("a|utf16|base64: ab", &["//5hAGIA", "/v8AYQBi", "YQBiAA=="]), ["//5hAGIA", "/v8AYQBi"]);
}

#[test]
fn expressions() {
    assert_eq!(values("a|re: '^a.c$'", &["abc", "ABC", "abcd"]), ["abc"]);
    assert_eq!(values("a|re|i: '^a.c$'", &["abc", "ABC"]), ["abc", "ABC"]);
    assert_eq!(values("a|re|m: '^b$'", &["a\nb", "ab"]), ["a\nb"]);
    assert_eq!(values("a|re|s: 'a.b'", &["a\nb", "ab"]), ["a\nb"]);
    assert_eq!(values("a|re: '(?<!x)foobar(?=z)'", &["foobarz", "xfoobarz", "foobary"]), ["foobarz"]);
    assert_eq!(values("a|re|i: 'needle[0-9]'", &["xNEEDLE7", "needle", "ünéédle needle1"]), ["xNEEDLE7", "ünéédle needle1"]);
    // The Kelvin sign is a k to a regular expression without case: prefilters must not lose it.
    assert_eq!(values("a|re|i: 'stroke'", &["stro\u{212a}e", "\u{17f}troke", "stripe"]).len(), 2);
}

#[test]
fn numbers_networks_and_times() {
    let number = |lines: &str| rows(lines, &[json!({"n": 4}), json!({"n": 5}), json!({"n": 6}), json!({})]);
    assert_eq!((number("n|lt: 5"), number("n|lte: 5"), number("n|gt: 5"), number("n|gte: 5")), (vec![0], vec![0, 1], vec![2], vec![1, 2]));
    assert_eq!(number("n: 5"), [1]);
    assert_eq!(number("n|neq: 5"), [0, 2, 3], "a field that is not there is not equal");
    assert_eq!(values("a|cidr: [10.0.0.0/8, 'fe80::/10']", &["10.1.2.3", "11.0.0.1", "fe80::1"]), ["10.1.2.3", "fe80::1"]);
    let at = ["2026-03-02T09:15:42Z", "2026-03-02 22:15:42", "2025-12-31T23:59:59Z"];
    assert_eq!(values("a|hour: 9", &at), [at[0]]);
    assert_eq!(values("a|hour|gte: 22", &at), [at[1], at[2]]);
    assert_eq!(values("a|minute: 15", &at), [at[0], at[1]]);
    assert_eq!(
        (values("a|day: 31", &at), values("a|month: 12", &at), values("a|year: 2025", &at)),
        (vec![at[2].into()], vec![at[2].into()], vec![at[2].into()])
    );
    assert_eq!(values("a|week: 1", &at), [at[2]]);
}

#[test]
fn presence_and_other_fields() {
    let events =
        [json!({"a": "x", "o": {"b": "x"}}), json!({"a": "x", "o": {"b": "xy"}}), json!({"o": {"b": ""}}), json!({"unmapped": {"Own": null, "b": "x"}})];
    assert_eq!(rows("a|exists: true", &events), [0, 1]);
    assert_eq!(rows("a|exists: false", &events), [2, 3]);
    assert_eq!(rows("a: null", &events), [2, 3]);
    assert_eq!(rows("Own: null", &events), [0, 1, 2, 3]);
    assert_eq!(rows("o.b: ''", &events), [2]);
    assert_eq!(rows("a|fieldref: o.b", &events), [0]);
    assert_eq!(rows("o.b|fieldref|startswith: a", &events), [0, 1]);
    assert_eq!((rows("Two: x", &events), rows("Two: xy", &events), rows("Two: ''", &events)), (vec![0, 1], vec![], vec![2]));
}

#[test]
fn what_the_source_calls_so_counts_alone() {
    let events = [
        json!({"o": {"b": "host"}, "unmapped": {"o.b": "HOST\\full"}}),
        json!({"o": {"b": "host"}, "unmapped": {"data": {"any": {"o": {"b": "HOST\\deep"}}}}}),
        json!({"o": {"b": "host"}}),
        json!({"a": "q", "unmapped": {"deep": {"x": "w"}, "Named": "n"}}),
    ];
    assert_eq!(rows("o.b: host", &events), [2]);
    assert_eq!(rows("o.b|startswith: 'HOST\\'", &events), [0, 1]);
    assert_eq!(rows("Named: w", &events), [3]);
    assert_eq!(rows("Named: q", &events), Vec::<usize>::new());
    assert_eq!(rows("Named: n", &events), Vec::<usize>::new());
}

#[test]
fn keywords() {
    let raw = |text: &str| json!({ "raw_data": text });
    let list = |lines: &str, events: &[Value]| {
        let text = format!("title: t\nlogsource: {{category: k}}\ndetection:\n  s:\n{lines}\n  condition: s\n");
        let events: Vec<Value> = (0..).zip(events).map(|(at, event)| with(event, at)).collect();
        let (mut engine, faults) = compile(&[RuleFile { name: "f".into(), text }], &FieldMap::parse(KIND).unwrap());
        assert_eq!(faults, Vec::new());
        engine.observe(&batch(1, &events)).iter().map(|finding| finding.evidence[0].uid.parse::<usize>().unwrap()).collect::<Vec<_>>()
    };
    let events = [raw("failed Password for root"), raw(r#"{"path":"C:\\Temp\\x"}"#), json!({"message": "password"}), raw("nothing")];
    assert_eq!(list("    - password\n    - 'c:\\temp'", &events), [0, 1, 2]);
    assert_eq!(list("    '|all':\n      - failed\n      - root", &events), [0]);
    assert_eq!(list("    - 'fail*root'", &events), [0]);
    assert_eq!(list("    '|re': 'for [a-z]+$'", &events), [0]);
    assert_eq!(list("    '|cased':\n      - Password", &events), [0]);
}
