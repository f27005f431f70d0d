//! A small connector, and what is said of its records.

use bytes::Bytes;
use weft_model::{Context, Position, RecordId, StreamId, Timestamp};

use super::*;
use crate::language::compile::ConnectorSource;
use crate::map::drops::{DropPolicy, Drops};

const MANIFEST: &str = r#"
name = "door"
vendor = "Test"
product = "Door"
domain = "identity"
[[stream]]
name = "entry"
format = "json"
recognise = "exists(who) and door == 7"
"#;

const MAPPING: &str = r#"
include = ["common"]
[set]
time = "at"
"service.name" = "'door'"
[[event]]
class = "authentication"
when = "kind == 'in' and exists(who)"
set = { activity_id = 1, "user.name" = "who ?? person", "src_endpoint.ip" = "ip" }
[[event]]
class = "authentication"
when = "kind == 'out'"
set = { activity_id = 2, "user.name" = "who" }
"#;

const COMMON: &str = "[set]\nmessage = \"text\"\n";

fn registry() -> Arc<Registry> {
    let files = [("connector.toml", MANIFEST), ("mapping/entry.toml", MAPPING), ("mapping/common.toml", COMMON)];
    let source = ConnectorSource { name: "door".to_owned(), files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).to_vec() };
    let (registry, faults) = Registry::build_traced(&[source]);
    assert_eq!(faults, [], "{faults:?}");
    registry
}

fn batch(stream: &str, records: &[&str]) -> RawBatch {
    let record = |(text, id): (&&str, u128)| RawRecord { id: RecordId(id), bytes: Bytes::copy_from_slice(text.as_bytes()) };
    RawBatch {
        source: "test".into(),
        stream: StreamId::from(stream),
        context: Context::default(),
        next: Position::default(),
        received: Timestamp(1_763_924_400_000),
        records: records.iter().zip(1..).map(record).collect(),
    }
}

fn explained(stream: &str, record: &str) -> Explanation {
    explain(&registry(), &batch(stream, &[record])).pop().unwrap()
}

#[test]
fn each_attribute_names_its_rule_and_where_it_came_from() {
    let said = explained("door/entry", r#"{"kind":"in","who":"ada","at":"2025-11-23T19:00:00Z","text":"hello","ip":"nowhere","extra":{"a":1}}"#);
    assert_eq!((said.outcome, said.class.as_str()), ("event", "Authentication"));
    let field = |path: &str| said.fields.iter().find(|field| field.path == path).unwrap_or_else(|| panic!("{path}: {:?}", said.fields));
    let user = field("user.name");
    assert_eq!((user.place.as_str(), user.rule.as_str(), user.from.as_slice()), ("door/mapping/entry.toml:9", "who ?? person", &["who".to_owned()][..]));
    assert_eq!((field("message").place.as_str(), field("time").place.as_str()), ("door/mapping/common.toml:2", "door/mapping/entry.toml:4"));
    assert_eq!((field("class_uid").place.as_str(), field("metadata.version").place.as_str()), (OWN, OWN));
    assert_eq!(said.unmapped, ["kind", "ip", "extra.a"], "what a condition reads is not mapped by it");
    let lost = said.without_effect.iter().find(|field| field.path == "src_endpoint.ip").unwrap();
    assert!(lost.rule.contains("not of the attribute's type"), "{lost:?}");
    let last = said.tried.last().unwrap();
    assert!(last.taken && last.place == "door/mapping/entry.toml:7" && last.conditions.iter().all(|condition| condition.holds), "{last:?}");
}

#[test]
fn every_leaf_of_the_event_is_explained() {
    let record = r#"{"kind":"out","who":"ada","at":1763924400,"text":"bye","door":7}"#;
    let said = explained("auto", record);
    assert_eq!(said.stream, "door/entry");
    let mapped = Mapper::new(registry()).map(&batch("door/entry", &[record]));
    let event = mapped.batches[0].to_json().pop().unwrap();
    for (path, _) in leaves(&event).into_iter().filter(|(path, _)| path != "raw_data" && !path.starts_with("unmapped") && !path.ends_with("processed_time")) {
        assert!(said.fields.iter().any(|field| field.path == path && !field.rule.is_empty()), "{path}");
    }
}

#[test]
fn a_kind_that_does_not_fit_says_which_condition_failed() {
    let said = explained("door/entry", r#"{"kind":"in","at":1763924400}"#);
    assert_eq!(said.class, "Base Event");
    let failed: Vec<_> = said.tried.iter().flat_map(|tried| &tried.conditions).filter(|condition| !condition.holds).map(|condition| &*condition.rule).collect();
    assert_eq!(failed, ["exists(who)"], "{:?}", said.tried);
}

#[test]
fn a_record_that_nobody_claims_names_those_that_came_near() {
    let said = explained("auto", r#"{"who":"ada","door":8}"#);
    assert_eq!(said.outcome, "reject");
    let [near] = said.tried.as_slice() else { panic!("{:?}", said.tried) };
    assert_eq!((near.what.as_str(), near.conditions[1].holds, near.conditions[1].saw["door"].as_str()), ("door/entry", false, "8"));
}

#[test]
fn what_cannot_be_read_says_so() {
    let said = explained("door/entry", "{\"kind\":");
    assert!(said.outcome == "reject" && said.reason.starts_with("malformed: ") && said.fields.is_empty(), "{said:?}");
}

#[test]
fn a_policy_drops_what_it_names_and_the_sample_is_the_same_every_time() {
    let registry = registry();
    let policy = |when: &str, keep_one_in| DropPolicy { stream: "door/entry".to_owned(), when: Some(when.to_owned()), keep_one_in, ..DropPolicy::default() };
    let records: Vec<String> = (0..100).map(|n| format!(r#"{{"kind":"{}","who":"u{n}","door":7}}"#, if n % 2 == 0 { "in" } else { "out" })).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let counted = |policies: &[DropPolicy]| {
        let mapper = Mapper::new(Arc::clone(&registry)).with_drops(Arc::new(Drops::compile(&registry, policies).unwrap()));
        let mapped = mapper.map(&batch("auto", &records));
        assert_eq!(mapped.events() as u64 + mapped.dropped, 100);
        mapped.dropped
    };
    assert_eq!(counted(&[]), 0);
    assert_eq!(counted(&[policy("kind == 'out'", None)]), 50);
    assert_eq!(counted(&[policy("kind == 'out'", Some(10))]), counted(&[policy("kind == 'out'", Some(10))]));
    assert_eq!(counted(&[policy("kind == 'in'", Some(10))]), 50, "ids are odd here, so none is a tenth");
    assert_eq!(counted(&[policy("kind == 'out'", Some(10))]), 50 - 10, "every tenth id is even");
    let faults = Drops::compile(&registry, &[policy("kind ==", None), DropPolicy { stream: "no/such".to_owned(), ..DropPolicy::default() }]).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
}
