//! Pipelines, filters, rule collections: rules that are changed before they are compiled.

use serde_json::{Value, json};
use weft_analytics::{FieldMap, Pipelines, RuleFile, compile_with};
use weft_model::Detector as _;

use crate::events::batch;

const KIND: &str = "[[kind]]\nname = 'k'\ncategory = 'k'\nproduct = 'p'\nclass = [1]\n";

fn found(rules: &str, pipeline: &str, events: &[Value]) -> Vec<String> {
    let (pipelines, faults) = Pipelines::read(&[("p.yml", pipeline)]);
    assert_eq!(faults, Vec::new());
    let (mut engine, faults) = compile_with(&[RuleFile { name: "f".into(), text: rules.into() }], &FieldMap::parse(KIND).unwrap(), &pipelines);
    assert_eq!(faults, Vec::new());
    let events: Vec<Value> = (0..)
        .zip(events)
        .map(|(at, event): (usize, &Value)| {
            let mut event = event.clone();
            event["time"] = json!(at);
            event["metadata"] = json!({"uid": at.to_string()});
            event
        })
        .collect();
    engine.observe(&batch(1, &events)).iter().map(|finding| format!("{} {}", finding.title, finding.evidence[0].uid)).collect()
}

fn rule(title: &str, lines: &str) -> String {
    format!("title: {title}\nid: {title}\nlogsource: {{category: k, product: p}}\ndetection:\n  s:\n    {lines}\n  condition: s\n")
}

#[test]
fn placeholders_come_from_lists() {
    let events = [json!({"u": "ada"}), json!({"u": "bob"}), json!({"u": "eve@corp"})];
    let lists = "vars:\n  admins: [ada, eve]\n  domain: corp\n";
    assert_eq!(found(&rule("t", "u|expand: '%admins%'"), lists, &events), ["t 0"]);
    assert_eq!(found(&rule("t", "u|expand: '%admins%@%domain%'"), lists, &events), ["t 2"]);
    assert_eq!(found(&rule("t", "u|expand: '%nobody%'"), lists, &events), Vec::<String>::new());
    assert_eq!(found(&rule("t", "u|expand: '%nobody%'"), "transformations:\n  - {type: wildcard_placeholders}\n", &events).len(), 3);
}

#[test]
fn fields_values_and_logsources_are_rewritten() {
    let events = [json!({"a": {"user": "ada"}}), json!({"a": {"name": "ADA"}}), json!({"x": "ada"})];
    let map = "transformations:\n  - {type: field_name_mapping, mapping: {User: [a.user, a.name]}, rule_conditions: [{type: logsource, product: p}]}\n";
    assert_eq!(found(&rule("t", "User: ada"), map, &events), ["t 0", "t 1"]);
    let elsewhere = map.replace("product: p", "product: q");
    assert_eq!(found(&rule("t", "User: ada"), &elsewhere, &events), Vec::<String>::new());
    let prefix = "transformations:\n  - {type: field_name_prefix, prefix: a., field_name_conditions: [{type: include_fields, fields: [user]}]}\n  - {type: replace_string, regex: '^x-', replacement: ''}\n";
    assert_eq!(found(&rule("t", "user: x-ada"), prefix, &events), ["t 0"]);
    let moved = "transformations:\n  - {type: change_logsource, category: k, product: p}\n  - {type: add_condition, conditions: {x: ada}}\n";
    assert_eq!(found(&rule("t", "x|exists: true").replace("product: p", "product: other"), moved, &events), ["t 2"]);
    let dropped = "transformations:\n  - {type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [gone]}]}\n  - {type: map_string, mapping: {one: [ada, eve]}}\n";
    assert_eq!(found(&rule("t", "gone: 1\n    x: one"), dropped, &events), ["t 2"]);
}

#[test]
fn what_a_pipeline_refuses_is_told() {
    let told = |pipeline: &str| {
        let (pipelines, faults) = Pipelines::read(&[("p.yml", pipeline)]);
        let (engine, more) = compile_with(&[RuleFile { name: "f".into(), text: rule("t", "x: 1") }], &FieldMap::parse(KIND).unwrap(), &pipelines);
        (engine.len(), faults.into_iter().map(|(_, fault)| fault.reason).chain(more.into_iter().map(|fault| fault.reason)).collect::<Vec<_>>())
    };
    assert_eq!(told("transformations:\n  - {type: rule_failure, message: not for us}\n"), (0, vec!["not for us".to_owned()]));
    assert_eq!(told("transformations:\n  - {type: detection_item_failure, message: no x}\n"), (0, vec!["no x".to_owned()]));
    let (count, faults) = told("transformations:\n  - {type: nonsense}\n");
    assert!(count == 1 && faults[0].starts_with("the transformation `nonsense` is not known"), "{faults:?}");
}

#[test]
fn filters_narrow_the_rules_that_they_name() {
    let events = [json!({"x": "1", "u": "ada"}), json!({"x": "1", "u": "svc_backup"})];
    let filter = "title: f\nfilter:\n  rules: [one]\n  s:\n    u|startswith: svc_\n  condition: not s\nlogsource: {category: k}\n";
    let rules = format!("{}---\n{}---\n{filter}", rule("one", "x: 1"), rule("two", "x: 1"));
    assert_eq!(found(&rules, "", &events), ["one 0", "two 0", "two 1"]);
    assert_eq!(found(&rules.replace("[one]", "any"), "", &events), ["one 0", "two 0"]);
}

#[test]
fn collections_share_what_is_global() {
    let events = [json!({"x": "1"}), json!({"x": "2"})];
    let rules = "action: global\ntitle: shared\nlogsource: {category: k}\ndetection:\n  condition: s\n---\nid: a\ndetection:\n  s: {x: 1}\n---\naction: repeat\nid: b\ntitle: again\ndetection:\n  s: {x: 2}\n---\naction: reset\n---\ntitle: own\nlogsource: {category: k}\ndetection:\n  s: {x: 1}\n  condition: s\n";
    assert_eq!(found(rules, "", &events), ["shared 0", "own 0", "again 1"]);
}
