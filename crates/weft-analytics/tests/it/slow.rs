//! Rules that are too slow say so and are silent; expressions that explode end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use weft_analytics::engine::pace::SUSPENDED;
use weft_analytics::{Engine, FieldMap, RuleFile, compile};
use weft_model::Detector as _;

use crate::events::batch;

const KIND: &str = "[[kind]]\nname = 'k'\ncategory = 'k'\nclass = [1]\n";

fn engine(lines: &str) -> Engine {
    let rule = |title: &str, lines: &str| format!("title: {title}\nid: {title}\nlogsource: {{category: k}}\ndetection:\n  s:\n    {lines}\n  condition: s\n");
    let files = [RuleFile { name: "f".into(), text: format!("{}---\n{}", rule("slow", lines), rule("other", "b: 1")) }];
    let (engine, faults) = compile(&files, &FieldMap::parse(KIND).unwrap());
    assert_eq!(faults, Vec::new());
    engine
}

fn events(count: usize) -> Vec<Value> {
    (0..count).map(|at| json!({"time": at, "a": format!("x{at}"), "b": "1", "metadata": {"uid": at.to_string()}})).collect()
}

#[test]
fn a_slow_rule_is_set_aside_with_a_finding_about_itself() {
    let mut engine = engine("a|re: 'x[0-9]+'");
    let time = Arc::new(AtomicU64::new(0));
    let ticks = Arc::clone(&time);
    // Each look at the stopwatch is half a second later than the one before.
    engine.measure_with(Box::new(move || ticks.fetch_add(500_000_000, Ordering::Relaxed)));
    let titles = |found: &[weft_model::Finding], title: &str| found.iter().filter(|finding| finding.title == title).count();
    let first = engine.observe(&batch(1, &events(200)));
    assert_eq!((titles(&first, "slow"), titles(&first, "other")), (200, 200));
    let about: Vec<_> = first.iter().filter(|finding| finding.analytic_uid == SUSPENDED).collect();
    assert_eq!(about.len(), 1);
    assert!(about[0].title.contains("slow") && about[0].matched[0] == "rule: slow", "{about:?}");
    assert_eq!(engine.suspended().collect::<Vec<_>>(), ["slow"]);
    let second = engine.observe(&batch(1, &events(200)));
    assert_eq!((titles(&second, "slow"), titles(&second, "other"), second.len()), (0, 200, 200));
}

#[test]
fn a_rule_that_keeps_pace_is_left_alone() {
    let mut engine = engine("a|re: 'x[0-9]+'");
    let time = Arc::new(AtomicU64::new(0));
    engine.measure_with(Box::new(move || time.fetch_add(100_000, Ordering::Relaxed)));
    for _ in 0..5 {
        assert_eq!(engine.observe(&batch(1, &events(200))).len(), 400);
    }
    assert_eq!(engine.suspended().count(), 0);
}

#[test]
fn an_expression_that_explodes_ends_and_is_set_aside() {
    let mut engine = engine("a|re: '(?=(a+)+$)(a+)+b\\2'");
    let long: Vec<Value> = (0..200).map(|at| json!({"time": at, "a": format!("{}{at}", "a".repeat(40)), "metadata": {"uid": at.to_string()}})).collect();
    let explode: Vec<Value> = (0..120).map(|at| json!({"time": at, "a": "a".repeat(2_000 + at), "metadata": {"uid": at.to_string()}})).collect();
    assert!(engine.observe(&batch(1, &long)).is_empty());
    let found = engine.observe(&batch(1, &explode));
    assert_eq!(found.iter().filter(|finding| finding.analytic_uid == SUSPENDED).count(), 1);
}
