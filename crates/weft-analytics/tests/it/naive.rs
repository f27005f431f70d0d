//! The engine finds what a row-by-row evaluator of the same rules finds.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, StringViewArray};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use serde_json::{Value, json};
use weft_analytics::sigma::condition::Condition;
use weft_analytics::sigma::detection::{Detection, Matcher};
use weft_analytics::sigma::pattern::{Piece, Test};
use weft_analytics::sigma::rule::{self, Body};
use weft_analytics::{FieldMap, RuleFile, compile};
use weft_model::{ClassUid, Detector as _, EventBatch};

use crate::events::batch;

const KIND: &str = "[[kind]]\nname = 'k'\ncategory = 'k'\nclass = [1]\nfields = { Both = ['a', 'o.b'] }\n";

fn values(event: &Value, field: &str) -> Vec<String> {
    let paths: &[&str] = if field == "Both" { &["/a", "/o/b"] } else { &[&format!("/{}", field.replace('.', "/")) as &str] };
    let found = paths.iter().find_map(|path| event.pointer(path).or_else(|| event.pointer(&format!("/unmapped{path}"))));
    found.into_iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect()
}

fn test(event: &Value, field: &str, test: &Test) -> bool {
    let mut values = values(event, field).into_iter();
    let fold = |text: &str, cased: bool| if cased { text.to_owned() } else { text.to_lowercase() };
    match test {
        Test::Literal { place, text, cased } => values.any(|value| place.holds(&fold(&value, *cased), text)),
        Test::Glob { pieces, cased } => {
            let source: String = pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) => regex::escape(text),
                    Piece::Any => ".*".into(),
                    Piece::One => ".".into(),
                })
                .collect();
            values.any(|value| regex::Regex::new(&format!("(?s)^{source}$")).unwrap().is_match(&fold(&value, *cased)))
        }
        Test::Regex(expression) => values.any(|value| regex::Regex::new(expression.source()).unwrap().is_match(&value)),
        Test::Time(part, order, bound) => values.any(|value| part.in_text(&value).is_some_and(|part| order.holds(part as f64, f64::from_bits(*bound)))),
        Test::Cidr(network) => values.any(|value| network.holds(&value)),
        Test::Compare(order, bound) => values.any(|value| value.parse().is_ok_and(|value| order.holds(value, f64::from_bits(*bound)))),
        Test::Present => values.next().is_some(),
        Test::Absent => values.next().is_none(),
        Test::Field { place, other, cased } => {
            values.any(|value| self::values(event, other).iter().any(|other| place.holds(&fold(&value, *cased), &fold(other, *cased))))
        }
    }
}

fn matcher(event: &Value, asked: &Matcher) -> bool {
    match asked {
        Matcher::All(parts) => parts.iter().all(|part| matcher(event, part)),
        Matcher::Any(parts) => parts.iter().any(|part| matcher(event, part)),
        Matcher::Not(part) => !matcher(event, part),
        Matcher::Field { field, test: asked, .. } => test(event, field, asked),
    }
}

fn holds(event: &Value, detection: &Detection, asked: &Condition) -> bool {
    match asked {
        Condition::Selection(index) => matcher(event, &detection.selections[*index].matcher),
        Condition::And(parts) => parts.iter().all(|part| holds(event, detection, part)),
        Condition::Or(parts) => parts.iter().any(|part| holds(event, detection, part)),
        Condition::Not(part) => !holds(event, detection, part),
        Condition::AtLeast(least, parts) => parts.iter().filter(|part| holds(event, detection, part)).count() >= *least,
    }
}

fn event() -> impl Strategy<Value = Value> {
    let text = "[abAB*.\\\\-]{0,4}|10\\.0\\.0\\.[0-9]|[0-9]{1,2}|İx";
    let text = move || proptest::option::of(text);
    (text(), text(), proptest::option::of(0i64..12), text()).prop_map(|(a, b, n, u)| {
        let mut event = json!({});
        a.into_iter().for_each(|a| event["a"] = a.into());
        b.into_iter().for_each(|b| event["o"] = json!({"b": b}));
        n.into_iter().for_each(|n| event["n"] = n.into());
        u.into_iter().for_each(|u| event["unmapped"] = json!({"u": {"x": u}}));
        event
    })
}

fn rule_text() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "a",
        "o.b",
        "Both",
        "u.x",
        "a|contains",
        "Both|startswith",
        "o.b|endswith",
        "a|contains|cased",
        "a|cased",
        "u.x|re",
        "o.b|re|i",
        "Both|contains|all",
        "a|contains|windash",
    ]);
    let value = prop_oneof!["'[abAB*.\\\\?-]{1,3}'", Just("null".to_owned()), Just("['a', 'b*']".to_owned())];
    let safe = |key: &str, value: String| if key.contains("|re") { "'^[ab]+.?$'".to_owned() } else { value };
    let plain = (key, value).prop_map(move |(key, value)| format!("{key}: {}", safe(key, value)));
    let other = prop::sample::select(vec![
        "a|exists: true",
        "o.b|exists: false",
        "a|cidr: 10.0.0.0/29",
        "n|gte: 5",
        "n|lt: 3",
        "n: 7",
        "a|fieldref: o.b",
        "o.b|fieldref|contains: u.x",
    ])
    .prop_map(str::to_owned);
    let line = prop_oneof![3 => plain, 1 => other];
    let condition = prop::sample::select(vec!["s1", "s1 and s2", "s1 or not s2", "not (s1 or s2)", "1 of s*", "all of them", "not 1 of them"]);
    (line.clone(), line, condition).prop_map(|(one, two, condition)| {
        format!("title: t\nlogsource: {{category: k}}\ndetection:\n  s1:\n    {one}\n  s2:\n    - {two}\n    - n: 11\n  condition: {condition}\n")
    })
}

/// Top-level texts as views.
fn viewed(batch: &EventBatch) -> EventBatch {
    let schema = batch.rows.schema();
    let mut fields = Vec::new();
    let columns = schema.fields().iter().zip(batch.rows.columns()).map(|(field, column)| {
        if *field.data_type() != DataType::Utf8 {
            fields.push(field.as_ref().clone());
            return Arc::clone(column);
        }
        fields.push(field.as_ref().clone().with_data_type(DataType::Utf8View));
        Arc::new(column.as_string::<i32>().iter().collect::<StringViewArray>()) as ArrayRef
    });
    let columns: Vec<ArrayRef> = columns.collect();
    EventBatch { rows: RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap(), ..batch.clone() }
}

/// What of a batch is read to find the rows that hold.
fn numbered(batch: &EventBatch, columns: &BTreeSet<String>) -> EventBatch {
    let asked = |name: &str| columns.iter().any(|path| path.split('.').next() == Some(name));
    let by_number = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = batch.rows.schema();
    let here = schema.fields().iter().zip(batch.rows.columns()).filter(|(field, _)| asked(field.name()));
    let here = here.map(|(field, column)| match field.data_type() {
        DataType::Utf8 if field.metadata().is_empty() && !["unmapped", "extra", "raw_data"].contains(&field.name().as_str()) => {
            (field.name().clone(), arrow::compute::cast(column, &by_number).unwrap(), true)
        }
        _ => (field.name().clone(), Arc::clone(column), true),
    });
    EventBatch { rows: RecordBatch::try_from_iter_with_nullable(here).unwrap(), ..batch.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_a_naive_evaluator(texts in prop::collection::vec(rule_text(), 1..4), mut events in prop::collection::vec(event(), 1..12), cut in 0usize..12) {
        events.iter_mut().enumerate().for_each(|(at, event)| { event["time"] = json!(at); event["metadata"] = json!({"uid": at.to_string()}); });
        let files: Vec<RuleFile> = texts.iter().enumerate().map(|(at, text)| RuleFile { name: at.to_string(), text: text.replace("title: t", &format!("title: t{at}")) }).collect();
        let (mut engine, faults) = compile(&files, &FieldMap::parse(KIND).unwrap());
        prop_assert!(faults.is_empty(), "{:?}\n{}", faults, texts.join("\n"));
        let mut found: Vec<(String, String)> = engine.observe(&batch(1, &events)).into_iter().map(|finding| (finding.title, finding.evidence[0].uid.clone())).collect();
        let mut expected = Vec::new();
        for file in &files {
            let (rules, _) = rule::parse(&file.text);
            let Body::Detection { detection, .. } = &rules[0].body else { unreachable!() };
            expected.extend(events.iter().enumerate().filter(|(_, event)| holds(event, detection, &detection.condition)).map(|(at, _)| (rules[0].title.clone(), at.to_string())));
        }
        found.sort();
        expected.sort();
        prop_assert_eq!(&found, &expected, "{}\n{:?}", texts.join("\n"), events);
        // The lake hands the same events out in other portions, and texts as views.
        let (mut hunter, _) = compile(&files, &FieldMap::parse(KIND).unwrap());
        let at = cut % (events.len() + 1);
        let whole = viewed(&batch(1, &events));
        let portions = [whole.rows.slice(0, at), whole.rows.slice(at, events.len() - at)];
        let mut hunted: Vec<(String, String)> = portions
            .into_iter()
            .flat_map(|rows| hunter.observe(&EventBatch { rows, ..whole.clone() }))
            .map(|finding| (finding.title, finding.evidence[0].uid.clone()))
            .collect();
        hunted.sort();
        prop_assert_eq!(&hunted, &expected);
        // The columns that rules ask for tell which rows hold; texts may be named by number.
        let narrow = numbered(&batch(1, &events), &hunter.columns(ClassUid(1)));
        let rows: BTreeSet<String> = hunter.rows(&narrow).into_iter().map(|row| row.to_string()).collect();
        prop_assert_eq!(rows, expected.into_iter().map(|(_, row)| row).collect::<BTreeSet<_>>());
    }
}
