//! Correlations on event time: any order of arrival, restarts, what is late, and what must differ.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weft_analytics::{Engine, FieldMap, RuleFile, compile};
use weft_model::{Detector as _, Finding, Timestamp};

use crate::events::batch;

const KIND: &str = "[[kind]]\nname = \"k\"\ncategory = \"k\"\nclass = [1]\n[[kind]]\nname = \"other\"\ncategory = \"other\"\nclass = [2]\nfields = { Address = \"dst_endpoint.ip\" }\n";
const MINUTE: i64 = 60_000;

/// Two rules that the correlations below are about: events of kind `a` and of kind `b`.
const BASE: &str = "
title: A
name: a
logsource: {category: k}
detection: {sel: {what: a}, condition: sel}
---
title: B
name: b
logsource: {category: k}
detection: {sel: {what: b}, condition: sel}
---
title: C
name: c
logsource: {category: other}
detection: {sel: {what: c}, condition: sel}
---
";

pub(crate) fn engine(text: &str) -> Engine {
    let (engine, faults) = compile(&[RuleFile { name: "r.yml".into(), text: text.into() }], &FieldMap::parse(KIND).unwrap());
    assert_eq!(faults, Vec::new());
    engine
}

fn with(correlation: &str) -> Engine {
    engine(&format!("{BASE}title: X\nname: x\ncorrelation:\n  timespan: 10m\n  group-by: [ip]\n  {}\n", correlation.replace('\n', "\n  ")))
}

fn event(minute: f64, what: &str, ip: &str, value: i64) -> Value {
    let time = (minute * MINUTE as f64) as i64;
    json!({"time": time, "what": what, "ip": ip, "value": value, "user": {"name": format!("user{value}")}, "metadata": {"uid": format!("{what}-{time}-{ip}-{value}")}})
}

/// Findings by uid; a later version replaces an earlier one.
#[derive(Default)]
struct Told(BTreeMap<String, (i64, Vec<String>, Vec<String>, usize)>);

impl Told {
    fn hear(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let evidence = finding.evidence.iter().map(|one| one.uid.clone()).collect();
            self.0.insert(finding.uid, (finding.time.0, evidence, finding.matched, finding.entities.len()));
        }
    }

    /// The minutes of the evidence of each finding.
    fn minutes(&self) -> Vec<Vec<f64>> {
        let mut all: Vec<(i64, Vec<f64>)> = self
            .0
            .values()
            .map(|(time, evidence, ..)| (*time, evidence.iter().map(|uid| uid.split('-').nth(1).unwrap().parse::<f64>().unwrap() / MINUTE as f64).collect()))
            .collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap());
        all.into_iter().map(|(_, minutes)| minutes).collect()
    }
}

fn run(mut engine: Engine, events: &[Value]) -> Told {
    let mut told = Told::default();
    for event in events {
        told.hear(engine.observe(&batch(class(event), std::slice::from_ref(event))));
    }
    told.hear(engine.advance(Timestamp(1_000 * MINUTE)));
    told
}

fn class(event: &Value) -> u32 {
    if event["what"] == "c" { 2 } else { 1 }
}

fn fired(correlation: &str, events: &[(f64, &str)]) -> Vec<Vec<f64>> {
    let events: Vec<Value> = events.iter().map(|(minute, what)| event(*minute, what, "i", 1)).collect();
    run(with(correlation), &events).minutes()
}

fn a(minutes: &[f64]) -> Vec<(f64, &'static str)> {
    minutes.iter().map(|minute| (*minute, "a")).collect()
}

#[test]
fn counts_in_a_sliding_window() {
    let count = "type: event_count\nrules: [a]\ncondition: {gte: 3}";
    assert_eq!(fired(count, &a(&[0.0, 5.0, 10.0])), [[0.0, 5.0, 10.0]]);
    assert_eq!(fired(count, &a(&[10.0, 0.0, 5.0])), [[0.0, 5.0, 10.0]]);
    assert!(fired(count, &a(&[0.0, 5.0, 10.1])).is_empty());
    assert!(fired(count, &a(&[0.0, 0.0, 0.0])).is_empty(), "one event delivered three times");
    assert_eq!(fired(count, &a(&[1.0, 2.0, 3.0, 4.0, 9.0])), [[1.0, 2.0, 3.0, 4.0, 9.0]], "more evidence comes to light");
    assert_eq!(fired(count, &a(&[1.0, 2.0, 3.0, 41.0, 42.0, 43.0])).len(), 2);
}

#[test]
fn upper_bounds_wait_for_the_end_of_the_window() {
    let few = "type: event_count\nrules: [a]\ncondition: {lt: 3}";
    assert_eq!(fired(few, &a(&[0.0, 5.0])), [[0.0, 5.0]]);
    assert!(fired(few, &a(&[0.0, 5.0, 9.0])).is_empty());
    assert_eq!(fired("type: event_count\nrules: [a]\ncondition: {eq: 2}", &a(&[0.0, 5.0, 30.0])), [[0.0, 5.0]]);
    assert_eq!(fired("type: event_count\nrules: [a]\ncondition: {neq: 2}", &a(&[0.0, 5.0, 30.0])), [[30.0]]);
    assert_eq!(fired("type: event_count\nrules: [a]\ncondition: {gt: 1, lte: 2}", &a(&[0.0, 5.0, 30.0, 31.0, 32.0])), [[0.0, 5.0]]);

    let mut engine = with(few);
    assert!(engine.observe(&batch(1, &[event(0.0, "a", "i", 1)])).is_empty());
    assert!(engine.advance(Timestamp(10 * MINUTE)).is_empty(), "an event of this moment may still come");
    assert_eq!(engine.advance(Timestamp(10 * MINUTE + 1)).len(), 1);
    assert!(engine.advance(Timestamp(99 * MINUTE)).is_empty(), "told once");
}

#[test]
fn tumbling_and_session_windows() {
    let tumbling = "type: event_count\nrules: [a]\nwindow: tumbling\ncondition: {gte: 3}";
    assert!(fired(tumbling, &a(&[8.0, 9.0, 11.0])).is_empty(), "the border of a window is between them");
    assert_eq!(fired(tumbling, &a(&[11.0, 12.0, 19.9])), [[11.0, 12.0, 19.9]]);
    let session = "type: event_count\nrules: [a]\nwindow: session\ngap: 2m\ncondition: {gte: 3}";
    assert_eq!(fired(session, &a(&[8.0, 9.5, 11.0, 20.0])), [[8.0, 9.5, 11.0]]);
    assert!(fired(session, &a(&[8.0, 9.5, 12.0])).is_empty(), "the pause ended the session");
    assert!(fired("type: event_count\nrules: [a]\nwindow: session\ngap: 2m\ncondition: {eq: 2}", &a(&[8.0, 9.5, 11.0])).is_empty());
}

#[test]
fn values_are_counted_summed_and_ranked() {
    let values = |correlation: &str, values: &[i64]| {
        let events: Vec<Value> = values.iter().enumerate().map(|(at, value)| event(at as f64 / 10.0, "a", "i", *value)).collect();
        let told = run(with(correlation), &events);
        told.0.into_values().map(|(_, _, matched, _)| matched[1].clone()).collect::<Vec<_>>()
    };
    assert_eq!(values("type: value_count\nrules: [a]\ncondition: {field: value, gte: 3}", &[1, 2, 2, 3]), ["3 values of value"]);
    assert!(values("type: value_count\nrules: [a]\ncondition: {field: value, gte: 4}", &[1, 2, 2, 3]).is_empty());
    assert_eq!(values("type: value_count\nrules: [a]\ncondition: {field: [value, user.name], gte: 3}", &[1, 2, 2, 3]), ["3 values of value, user.name"]);
    assert_eq!(values("type: value_sum\nrules: [a]\ncondition: {field: value, gt: 7}", &[1, 2, 2, 3]), ["sum of value: 8"]);
    assert!(values("type: value_sum\nrules: [a]\ncondition: {field: value, gt: 8}", &[1, 2, 2, 3]).is_empty());
    assert_eq!(values("type: value_avg\nrules: [a]\ncondition: {field: value, gte: 1.5}", &[1, 2]), ["mean of value: 1.500"]);
    assert!(values("type: value_avg\nrules: [a]\ncondition: {field: value, gt: 1.5}", &[1, 2]).is_empty());
    assert_eq!(values("type: value_median\nrules: [a]\ncondition: {field: value, eq: 2}", &[1, 2, 100]), ["percentile 50 of value: 2"]);
    assert_eq!(
        values("type: value_percentile\nrules: [a]\ncondition: {field: value, percentile: 90, gte: 100}", &[1, 2, 100]),
        ["percentile 90 of value: 100"]
    );
    assert!(values("type: value_percentile\nrules: [a]\ncondition: {field: value, percentile: 60, gte: 100}", &[1, 2, 100]).is_empty());
}

#[test]
fn order_and_boolean_conditions() {
    let ordered = "type: temporal_ordered\nrules: [a, b]";
    assert_eq!(fired(ordered, &[(1.0, "a"), (2.0, "b")]), [[1.0, 2.0]]);
    assert_eq!(fired(ordered, &[(2.0, "a"), (2.0, "b")]), [[2.0, 2.0]], "many tools write whole seconds");
    assert!(fired(ordered, &[(1.0, "b"), (2.0, "a")]).is_empty());
    assert_eq!(fired(ordered, &[(1.0, "a"), (3.0, "a"), (12.0, "b")]), [[3.0, 12.0]], "the latest that fits");
    assert_eq!(fired("type: temporal\nrules: [a, b]", &[(1.0, "b"), (2.0, "a")]), [[1.0, 2.0]]);
    assert!(fired("type: temporal\nrules: [a, b]", &[(1.0, "b"), (12.0, "a")]).is_empty());
    assert_eq!(fired("type: temporal\nrules: [a, b]\ncondition: a or b", &[(1.0, "b")]), [[1.0]]);
    assert_eq!(fired("type: temporal\nrules: [a, b]\ncondition: {gte: 2}", &[(1.0, "b"), (2.0, "a")]), [[1.0, 2.0]]);
    assert_eq!(fired("type: temporal\nrules: [a, b]\ncondition: {eq: 1}", &[(1.0, "b"), (20.0, "a"), (21.0, "b")]), [[1.0]]);
}

#[test]
fn absence_is_told_when_time_has_passed() {
    let unanswered = "type: temporal_ordered\nrules: [a, b]\ncondition: a and not b";
    assert_eq!(fired(unanswered, &[(1.0, "a"), (11.1, "b")]), [[1.0]]);
    assert!(fired(unanswered, &[(1.0, "a"), (11.0, "b")]).is_empty());
    assert_eq!(fired(unanswered, &[(0.5, "b"), (1.0, "a")]), [[1.0]], "before is not after");
    assert_eq!(fired(unanswered, &[(1.0, "a"), (2.0, "b"), (3.0, "a")]), [[3.0]], "each is asked for itself");
    let unprepared = "type: temporal_ordered\nrules: [b, a]\ncondition: a and not b";
    assert!(fired(unprepared, &[(0.5, "b"), (1.0, "a")]).is_empty());
    assert_eq!(fired(unprepared, &[(1.0, "a"), (2.0, "b")]), [[1.0]]);
    let alone = "type: temporal\nrules: [a, b]\ncondition: a and not b";
    assert!(fired(alone, &[(0.5, "b"), (1.0, "a")]).is_empty());
    assert!(fired(alone, &[(1.0, "a"), (2.0, "b")]).is_empty());
    assert_eq!(fired(alone, &[(1.0, "a"), (12.0, "b")]), [[1.0]]);

    let mut engine = with(unanswered);
    engine.observe(&batch(1, &[event(1.0, "a", "i", 1)]));
    assert!(engine.advance(Timestamp(11 * MINUTE)).is_empty());
    let told = engine.advance(Timestamp(11 * MINUTE + 1));
    assert_eq!(told.len(), 1);
    assert!(told[0].matched.contains(&"not met: b".to_owned()), "{:?}", told[0].matched);
}

#[test]
fn fields_of_other_names_in_other_logsources() {
    let text = format!(
        "{BASE}title: X\ncorrelation:\n  type: temporal\n  rules: [a, c]\n  timespan: 1m\n  group-by: [address]\n  aliases:\n    address: {{a: ip, c: Address}}\n"
    );
    let c = |ip: &str| json!({"time": 5, "what": "c", "dst_endpoint": {"ip": ip}, "metadata": {"uid": "c-5"}});
    assert_eq!(run(engine(&text), &[event(0.0, "a", "i", 1), c("i")]).0.len(), 1);
    assert!(run(engine(&text), &[event(0.0, "a", "i", 1), c("j")]).0.is_empty());
}

/// Correlations of correlations: a burst of one user, then `b` from the same address, which the
/// burst is not grouped by; and a burst that nobody answers.
const CHAIN: &str = "title: Burst
name: burst
correlation: {type: event_count, rules: [a], group-by: [ip, user.name], timespan: 5m, condition: {gte: 3}}
---
title: Burst then b
correlation: {type: temporal_ordered, rules: [burst, b], group-by: [ip], timespan: 10m}
---
title: Many bursts
name: many
correlation: {type: value_count, rules: [burst], group-by: [ip], timespan: 10m, condition: {field: user.name, gte: 2}}
---
title: Burst without b
name: unanswered
correlation: {type: temporal_ordered, rules: [burst, b], condition: burst and not b, group-by: [ip], timespan: 10m}
---
title: Unanswered twice
correlation: {type: event_count, rules: [unanswered], group-by: [ip], timespan: 1h, condition: {gte: 2}, generate: true}
";

#[test]
fn correlations_feed_correlations() {
    let told = |events: &[Value]| {
        let mut engine = engine(&format!("{BASE}{CHAIN}"));
        let mut titles: BTreeMap<String, (String, usize)> = BTreeMap::new();
        let mut hear = |found: Vec<Finding>| found.into_iter().for_each(|one| drop(titles.insert(one.uid, (one.title, one.evidence.len()))));
        events.iter().for_each(|event| hear(engine.observe(&batch(1, std::slice::from_ref(event)))));
        hear(engine.advance(Timestamp(1_000 * MINUTE)));
        let mut titles: Vec<(String, usize)> = titles.into_values().collect();
        titles.sort();
        titles
    };
    let burst = |from: f64, user: i64| (0..4).map(move |n| event(from + f64::from(n), "a", "i", user)).collect::<Vec<_>>();
    assert_eq!(told(&[burst(1.0, 1), vec![event(5.0, "b", "i", 9)]].concat()), [("Burst then b".to_owned(), 5)]);
    assert_eq!(told(&burst(1.0, 1)), [("Burst without b".to_owned(), 3)]);
    assert_eq!(told(&[burst(1.0, 1), burst(1.5, 2), vec![event(6.0, "b", "i", 9)]].concat()), [("Burst then b".to_owned(), 5), ("Many bursts".to_owned(), 8)]);
    let twice = told(&[burst(1.0, 1), burst(31.0, 1)].concat());
    assert_eq!(twice.iter().map(|(title, _)| title.as_str()).collect::<Vec<_>>(), ["Burst without b", "Burst without b", "Unanswered twice"]);
}

/// Rules of every kind at once.
fn all() -> String {
    let mut text = format!("{BASE}{CHAIN}");
    for (at, one) in [
        "type: event_count, rules: [a, b], condition: {gte: 4}",
        "type: event_count, rules: [a], condition: {gt: 1, lte: 3}",
        "type: value_count, rules: [a], condition: {field: value, gte: 3}",
        "type: value_sum, rules: [a], condition: {field: value, gte: 9}",
        "type: value_avg, rules: [a, b], condition: {field: value, gte: 2.5}",
        "type: value_median, rules: [a, b], condition: {field: value, lte: 2}",
        "type: temporal, rules: [a, b]",
        "type: temporal, rules: [a, b], condition: a and not b",
        "type: temporal_ordered, rules: [b, a], condition: a and not b",
        "type: event_count, rules: [a], window: tumbling, condition: {gte: 3}",
        "type: event_count, rules: [b], window: session, gap: 3m, condition: {gte: 2}",
    ]
    .iter()
    .enumerate()
    {
        text.push_str(&format!("---\ntitle: R{at}\ncorrelation: {{timespan: 10m, group-by: [ip], generate: true, {one}}}\n"));
    }
    text
}

/// A generator of numbers below a bound; Knuth's MMIX constants.
fn random(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// 300 events of three hours, four addresses.
fn story() -> Vec<Value> {
    let mut next = random(7);
    (0..300).map(|_| event(next(10_800) as f64 / 60.0, if next(3) == 0 { "b" } else { "a" }, &format!("10.0.0.{}", next(4)), next(5) as i64)).collect()
}

/// Every event arrives at most `late` after one that is newer; seed 0 is the order of time.
fn permuted(events: &[Value], late: i64, seed: u8) -> Vec<Value> {
    let mut next = random(u64::from(seed));
    let mut keyed: Vec<(i64, &Value)> =
        events.iter().map(|event| (event["time"].as_i64().unwrap() + if seed == 0 { 0 } else { next(late as u64) as i64 }, event)).collect();
    keyed.sort_by_key(|(key, event)| (*key, event["time"].as_i64()));
    keyed.into_iter().map(|(_, event)| event.clone()).collect()
}

/// Plays events in batches; the watermark follows the newest event at a distance.
fn play(engine: &mut Engine, events: &[Value], lateness: i64, size: usize, mut between: impl FnMut(usize, &mut Engine, &mut Told)) -> Told {
    let (mut told, mut newest) = (Told::default(), 0);
    for (at, chunk) in events.chunks(size).enumerate() {
        told.hear(engine.observe(&batch(1, chunk)));
        newest = chunk.iter().map(|event| event["time"].as_i64().unwrap()).fold(newest, i64::max);
        told.hear(engine.advance(Timestamp(newest - lateness)));
        between(at, engine, &mut told);
    }
    told.hear(engine.advance(Timestamp(10_000 * MINUTE)));
    told
}

fn difference(told: &Told, expected: &Told) -> Vec<String> {
    let uids: std::collections::BTreeSet<&String> = told.0.keys().chain(expected.0.keys()).collect();
    let differ = uids.into_iter().filter(|uid| told.0.get(*uid) != expected.0.get(*uid));
    differ.map(|uid| format!("{uid}: {:?} instead of {:?}", told.0.get(uid), expected.0.get(uid))).collect()
}

const LATENESS: i64 = 5 * MINUTE;

#[test]
fn twenty_orders_of_arrival_tell_the_same() {
    let (text, story) = (all(), story());
    let expected = play(&mut engine(&text), &permuted(&story, LATENESS, 0), LATENESS, 1, |_, _, _| ());
    assert!(expected.0.len() > 60, "{} findings", expected.0.len());
    for seed in 1..=20 {
        let events = permuted(&story, LATENESS, seed);
        assert_ne!(events, story);
        let told = play(&mut engine(&text), &events, LATENESS, 1 + usize::from(seed) % 7, |_, _, _| ());
        assert_eq!(difference(&told, &expected), Vec::<String>::new(), "seed {seed}");
    }
    // What must differ: events later than the lateness that was allowed.
    let differ = (1..=20).filter(|seed| play(&mut engine(&text), &permuted(&story, 12 * LATENESS, *seed), 0, 1, |_, _, _| ()).0 != expected.0).count();
    assert!(differ >= 18, "{differ} of 20 differ");
}

#[test]
fn a_kill_at_any_place_changes_nothing() {
    let (text, story) = (all(), permuted(&story(), LATENESS, 3));
    let expected = play(&mut engine(&text), &story, LATENESS, 5, |_, _, _| ());
    for at in [0, 7, 23, 40, 58] {
        // The checkpoint is older than the crash: what came since is delivered once more.
        let mut saved = None;
        let told = play(&mut engine(&text), &story, LATENESS, 5, |chunk, running, told| {
            if chunk == at {
                saved = running.checkpoint();
            }
            if chunk == at + 1 {
                *running = engine(&text);
                running.restore(saved.as_ref().unwrap()).unwrap();
                told.hear(running.observe(&batch(1, &story[chunk * 5..(chunk + 1) * 5])));
            }
        });
        assert_eq!(difference(&told, &expected), Vec::<String>::new(), "killed after batch {at}");
        // What must differ: a memory that was not restored.
        let lost = play(&mut engine(&text), &story, LATENESS, 5, |chunk, running, _| {
            if chunk == at + 1 {
                *running = engine(&text);
            }
        });
        if at > 0 {
            assert_ne!(lost.0, expected.0, "nothing was forgotten after batch {at}");
        }
    }
}

#[test]
fn what_is_delivered_twice_counts_once_and_is_told_again() {
    let (text, story) = (all(), permuted(&story(), LATENESS, 4));
    let expected = play(&mut engine(&text), &story, LATENESS, 5, |_, _, _| ());
    let doubled: Vec<Value> = story.chunks(5).flat_map(|chunk| [chunk, chunk].concat()).collect();
    assert_eq!(play(&mut engine(&text), &doubled, LATENESS, 10, |_, _, _| ()).0, expected.0);

    let mut engine = with("type: event_count\nrules: [a]\ncondition: {gte: 2}");
    let events = [event(0.0, "a", "i", 1), event(1.0, "a", "i", 1)];
    let first = engine.observe(&batch(1, &events));
    assert_eq!(first.len(), 1);
    let again = engine.observe(&batch(1, &events[1..]));
    assert_eq!(again.first().map(|finding| &finding.uid), first.first().map(|finding| &finding.uid), "it may have been lost on its way");
}

#[test]
fn what_is_late_is_counted_and_what_is_forgotten_does_not_take_part() {
    let mut engine = with("type: event_count\nrules: [a]\ncondition: {gte: 2}");
    engine.observe(&batch(1, &[event(100.0, "a", "i", 1)]));
    engine.advance(Timestamp(100 * MINUTE));
    assert_eq!(engine.observe(&batch(1, &[event(95.0, "a", "i", 1)])).len(), 1, "late, but remembered");
    assert_eq!(engine.pressure().late, 1);
    assert!(engine.observe(&batch(1, &[event(70.0, "a", "i", 1), event(71.0, "a", "i", 1)])).is_empty());
    assert_eq!(engine.pressure().late, 3);
    engine.advance(Timestamp(500 * MINUTE));
    assert_eq!((engine.pressure().groups, engine.pressure().events), (0, 0), "what is over is forgotten");
}

#[test]
fn memory_is_bounded_and_what_it_costs_is_counted() {
    use weft_analytics::engine::correlate::{EVENTS_MAX, GROUPS_MAX};
    let mut engine = with("type: event_count\nrules: [a]\ncondition: {gte: 10000}");
    let events: Vec<Value> = (0..EVENTS_MAX + 500).map(|n| event(n as f64 / 10_000.0, "a", "i", n as i64)).collect();
    events.chunks(3_000).for_each(|chunk| drop(engine.observe(&batch(1, chunk))));
    assert_eq!((engine.pressure().events, engine.pressure().evicted), (EVENTS_MAX, 500));
    for from in (0..GROUPS_MAX + 10).step_by(5_000) {
        let events: Vec<Value> =
            (from..from + 5_000).map(|n| json!({"time": n, "what": "a", "ip": n.to_string(), "metadata": {"uid": n.to_string()}})).collect();
        engine.observe(&batch(1, &events));
    }
    assert!(engine.pressure().groups <= GROUPS_MAX && engine.pressure().evicted > 500);
}
