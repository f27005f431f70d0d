//! The demonstration against the engine: every record of the play maps, in its stream, to valid events.

use std::collections::BTreeMap;

use bytes::Bytes;
use weft::demo::{Plan, Player, Step, Way, story};
use weft_ingest::Mapper;
use weft_ingest::schema::{Level, Validator};
use weft_model::{Context, Mapping as _};
use weft_testkit::{batch, registry};

/// Monday morning: everybody is at work.
const START_MS: i64 = 1_795_421_400_000;

fn first_ten_minutes() -> Vec<Step> {
    let plan = Plan { start_ms: START_MS, ..Plan::default() };
    Player::new(story().unwrap(), plan).take_while(|step| step.at_ms < 600_000).collect()
}

fn context(step: &Step) -> Context {
    let file = (step.way == Way::File).then(|| step.source.as_str().into());
    Context { file, ..Context::default() }
}

#[test]
fn every_record_becomes_a_valid_event_of_a_real_class() {
    let (registry, faults) = registry();
    assert!(faults.is_empty(), "{faults:?}");
    let (mapper, validator) = (Mapper::new(registry), Validator::new());
    let mut classes: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for step in first_ten_minutes() {
        let record = Bytes::from(step.record.clone());
        let mapped = mapper.map(&batch(&step.stream, context(&step), vec![record]));
        wrong.extend(mapped.rejects.iter().map(|reject| format!("{}: {} {}", step.stream, reject.message, String::from_utf8_lossy(&step.record))));
        for events in &mapped.batches {
            for event in events.to_json() {
                let class = event.get("class_name").and_then(|name| name.as_str()).unwrap_or_default().to_owned();
                *classes.entry((step.stream.clone(), class)).or_default() += 1;
                let faults = validator.validate(&event).into_iter().filter(|violation| violation.level() == Level::Error);
                wrong.extend(faults.map(|violation| format!("{}: {violation}", step.stream)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong, first:\n{}", wrong.len(), wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n"));
    let unclassed: usize = classes.iter().filter(|((_, class), _)| class == "Base Event").map(|(_, count)| count).sum();
    let all: usize = classes.values().sum();
    assert!(unclassed * 20 <= all, "{unclassed} of {all} are base events: {classes:#?}");
}

#[test]
fn records_are_recognised_without_a_stream() {
    let (registry, _) = registry();
    let mapper = Mapper::new(registry);
    for step in first_ten_minutes().iter().step_by(7) {
        let mapped = mapper.map(&batch("auto", context(step), vec![Bytes::from(step.record.clone())]));
        assert!(mapped.rejects.is_empty(), "{}: {}", step.stream, String::from_utf8_lossy(&step.record));
    }
}
