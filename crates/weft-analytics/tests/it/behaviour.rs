//! What is usual, and what is not: each analytic with an entity that it must tell and one that it
//! must not, for a user, a host, a service account or a workload.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use weft_analytics::{Engine, FieldMap, Location, Places, RuleFile, compile};
use weft_model::{Detector as _, Finding, Timestamp};

use crate::events::batch;

const KIND: &str = "[[kind]]\nname = \"k\"\ncategory = \"k\"\nclass = [1]\n";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn engine(weft: &str) -> Engine {
    let text = format!("title: X\nname: x\nlogsource: {{category: k}}\ndetection: {{sel: {{kind: e}}, condition: sel}}\nweft: {weft}\n");
    let (engine, faults) = compile(&[RuleFile { name: "r.yml".into(), text }], &FieldMap::parse(KIND).unwrap());
    assert_eq!(faults, Vec::new());
    engine
}

/// An event at a time, with these fields.
fn at(time: i64, fields: Value) -> Value {
    let mut event = json!({"time": time, "kind": "e"});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let text = event.to_string();
    event["metadata"] = json!({"uid": Finding::uid_of(&text, &[])});
    event
}

fn run(engine: &mut Engine, events: &[Value]) -> Vec<Finding> {
    let mut found: Vec<Finding> = events.chunks(500).flat_map(|chunk| engine.observe(&batch(1, chunk))).collect();
    found.extend(engine.advance(Timestamp(i64::MAX)));
    found
}

fn words(weft: &str, events: &[Value]) -> Vec<String> {
    run(&mut engine(weft), events).into_iter().map(|finding| finding.matched.join("; ")).collect()
}

#[test]
fn first_seen_for_an_entity_and_its_peers() {
    let own = "{first_seen: {value: country, by: [user.name], learn: 14d}}";
    let by = |day: i64, user: &str, country: &str| at(day * DAY, json!({"user": {"name": user}, "country": country, "team": "red"}));
    let usual = [by(0, "ada", "DE"), by(1, "bob", "FR"), by(10, "ada", "DE")];
    assert_eq!(
        words(own, &[&usual[..], &[by(15, "ada", "FR")]].concat()),
        ["first seen: country FR for ada; baseline: 1 other values since the beginning, look-back 14 days"]
    );
    assert!(words(own, &[&usual[..], &[by(15, "ada", "DE")]].concat()).is_empty());
    assert!(words(own, &[&usual[..], &[by(12, "ada", "FR")]].concat()).is_empty(), "still learning");
    assert_eq!(words(own, &[&usual[..], &[by(40, "ada", "DE")]].concat()).len(), 1, "forgotten after the look-back");

    let peers = "{first_seen: {value: country, by: [user.name], peers: team, learn: 14d}}";
    assert!(words(peers, &[&usual[..], &[by(15, "ada", "FR")]].concat()).is_empty(), "a colleague was there");
    assert_eq!(words(peers, &[&usual[..], &[by(15, "ada", "US")]].concat()).len(), 1);
}

#[test]
fn counts_beyond_what_is_usual_at_this_hour_of_the_week() {
    let weft = "{deviation: {by: [device.hostname], every: 1h, least: 20, score: 6, learn: 14d}}";
    let times = |from: i64, count: i64, host: &str| {
        let host = host.to_owned();
        (0..count).map(move |n| at(from + n * HOUR / (count + 1), json!({"device": {"hostname": host}, "n": n}))).collect::<Vec<_>>()
    };
    // Mondays at nine a backup makes 100 events; every other hour makes five.
    let weeks: Vec<Value> = (0..28 * 24).flat_map(|hour| times(hour * HOUR, if hour % 168 == 9 { 100 } else { 5 }, "srv")).collect();
    let fires = |hour: i64, count: i64| words(weft, &[weeks.clone(), times((28 * 24 + hour) * HOUR, count, "srv")].concat());
    assert!(fires(9, 104).is_empty(), "Monday's backup is usual");
    let told = fires(33, 100);
    assert_eq!(told.len(), 1, "on Tuesday it is not");
    assert!(told[0].starts_with("events: 20 within 60 min; baseline: median 5.2, MAD 0.0, n 3 (the same hour of the week)"), "{told:?}");
    assert!(fires(33, 12).is_empty());
}

#[test]
fn data_out_beyond_what_is_usual() {
    let weft = "{deviation: {by: [src_endpoint.ip], sum: traffic.bytes_out, every: 1d, season: none, least: 1000000000, learn: 7d}}";
    let out = |day: i64, ip: &str, bytes: i64| at(day * DAY, json!({"src_endpoint": {"ip": ip}, "traffic": {"bytes_out": bytes}}));
    let usual: Vec<Value> =
        (0..20).map(|day| out(day, "10.0.0.1", 50_000_000 + day * 1_000_000)).chain((0..20).map(|day| out(day, "10.0.0.2", 3_000_000_000))).collect();
    let told = words(weft, &[&usual[..], &[out(20, "10.0.0.1", 9_000_000_000), out(20, "10.0.0.2", 3_100_000_000)]].concat());
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("sum of traffic.bytes_out: 9000000000") && told[0].contains("10.0.0.1") && told[0].contains("MAD"), "{told:?}");
}

#[test]
fn what_few_of_the_population_show() {
    let weft = "{rarity: {value: process.name, by: [device.hostname], share: 0.02, population: 50, learn: 1d}}";
    let run_on = |time: i64, host: i64, name: &str| at(time, json!({"device": {"hostname": format!("h{host}")}, "process": {"name": name}}));
    let all: Vec<Value> = (0..100).map(|host| run_on(host, host, "explorer.exe")).collect();
    let told = words(weft, &[&all[..], &[run_on(2 * DAY, 7, "x.exe")]].concat());
    assert_eq!(told, ["rare: process.name x.exe for h7; baseline: 1 of 100 entities show it, at most 2 % count as rare"]);
    assert!(words(weft, &[&all[..50], &[run_on(2 * DAY, 77, "explorer.exe")]].concat()).is_empty());
    assert!(words(weft, &[&all[..20], &[run_on(2 * DAY, 7, "x.exe")]].concat()).is_empty(), "too few to say what is rare");
}

struct Atlas;
impl Places for Atlas {
    fn locate(&self, address: IpAddr) -> Option<Location> {
        let place = |latitude, longitude, name: &str| Some(Location { latitude, longitude, radius_km: 50.0, name: name.into() });
        match address.to_string().as_str() {
            "192.0.2.1" => place(52.52, 13.405, "Berlin"),
            "192.0.2.2" => place(-33.87, 151.21, "Sydney"),
            "192.0.2.3" => place(53.55, 9.99, "Hamburg"),
            _ => None,
        }
    }
}

#[test]
fn travel_that_is_not_possible() {
    let weft = "{travel: {by: [user.name], address: src_endpoint.ip}}";
    let from = |minute: i64, user: &str, ip: &str| at(minute * MINUTE, json!({"user": {"name": user}, "src_endpoint": {"ip": ip}}));
    let told = |events: &[Value]| {
        let mut engine = engine(weft);
        engine.set_places(&(Arc::new(Atlas) as Arc<dyn Places>));
        run(&mut engine, events)
    };
    let found = told(&[from(0, "ada", "192.0.2.1"), from(60, "ada", "192.0.2.2")]);
    assert_eq!((found.len(), found[0].evidence.len()), (1, 2));
    assert!(found[0].matched[0].starts_with("travel: Berlin to Sydney, 1"), "{:?}", found[0].matched);
    assert!(told(&[from(0, "ada", "192.0.2.1"), from(60, "ada", "192.0.2.3")]).is_empty(), "too near to count");
    assert!(told(&[from(0, "ada", "192.0.2.1"), from(60 * 30, "ada", "192.0.2.2")]).is_empty(), "there are aeroplanes");
    assert!(told(&[from(0, "ada", "192.0.2.1"), from(60, "bob", "192.0.2.2")]).is_empty());
    assert!(told(&[from(0, "ada", "192.0.2.1"), from(60, "ada", "10.0.0.1")]).is_empty(), "nowhere");
    assert!(engine(weft).off()[0].1.contains("GeoIP"), "without a database it says why it is off");
    assert!(words(weft, &[from(0, "ada", "192.0.2.1"), from(60, "ada", "192.0.2.2")]).is_empty());
}

#[test]
fn edges_that_neither_a_source_nor_its_like_went() {
    let weft = "{edge: {by: [src_endpoint.hostname], to: dst_endpoint.hostname, learn: 7d}}";
    let log_on = |time: i64, from: &str, to: &str| at(time, json!({"src_endpoint": {"hostname": from}, "dst_endpoint": {"hostname": to}}));
    let usual = [log_on(0, "ws1", "files"), log_on(1, "ws2", "files"), log_on(2, "ws2", "print"), log_on(3, "admin", "dc"), log_on(5 * DAY, "ws1", "files")];
    let told = words(weft, &[&usual[..], &[log_on(8 * DAY - HOUR, "ws1", "files"), log_on(8 * DAY, "ws1", "dc")]].concat());
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("new edge: ws1 to dc; baseline: the source went to 1 other places, 1 other sources"), "{told:?}");
    assert!(
        words(weft, &[&usual[..], &[log_on(6 * DAY, "ws2", "print"), log_on(6 * DAY, "ws2", "files"), log_on(8 * DAY, "ws1", "print")]].concat()).is_empty(),
        "its like goes there"
    );
    assert!(words(weft, &[&usual[..], &[log_on(8 * DAY, "new", "dc")]].concat()).is_empty(), "nothing is known of the source");
}

#[test]
fn accounts_that_change_hands() {
    let weft = "{switching: {by: [device.hostname], account: user.name, within: 1h, learn: 7d}}";
    let log_on = |time: i64, host: &str, user: &str| at(time, json!({"device": {"hostname": host}, "user": {"name": user}}));
    let usual = [log_on(0, "ws1", "ada"), log_on(0, "srv", "svc-backup"), log_on(7 * DAY, "ws1", "ada")];
    let found = run(&mut engine(weft), &[&usual[..], &[log_on(8 * DAY, "ws1", "ada"), log_on(8 * DAY + MINUTE, "ws1", "svc-backup")]].concat());
    assert_eq!((found.len(), found[0].evidence.len()), (1, 2));
    assert_eq!(found[0].matched[0], "account svc-backup on ws1, 60 s after ada");
    assert!(
        words(weft, &[&usual[..], &[log_on(8 * DAY, "ws1", "ada"), log_on(8 * DAY + MINUTE, "ws1", "carl")]].concat()).is_empty(),
        "a new colleague has no home elsewhere"
    );
    assert!(words(weft, &[&usual[..], &[log_on(8 * DAY, "ws1", "ada"), log_on(9 * DAY, "ws1", "svc-backup")]].concat()).is_empty(), "long after");
}

#[test]
fn contacts_like_clockwork() {
    let weft = "{beacon: {by: [src_endpoint.ip], to: dst_endpoint.ip, count: 12, jitter: 0.2}}";
    let contact = |second: i64, from: &str, to: &str| at(second * 1_000, json!({"src_endpoint": {"ip": from}, "dst_endpoint": {"ip": to}}));
    let regular = |from: &str, to: &str| (0..20).map(|n| contact(n * 300 + [0, 11, -13, 7, -5][n as usize % 5], from, to)).collect::<Vec<_>>();
    let told = words(weft, &regular("10.0.0.1", "198.51.100.7"));
    assert_eq!(told.len(), 1, "told once");
    assert!(told[0].starts_with("beacon: 10.0.0.1, 198.51.100.7 every 3") && told[0].contains("1 sources"), "{told:?}");
    let human: Vec<Value> = (0..20_i64).map(|n| contact(n * n * 37 % 5_000 + n * 211, "10.0.0.1", "198.51.100.7")).collect();
    assert!(words(weft, &human).is_empty());
    let everybody: Vec<Value> = (0..8).flat_map(|host| regular(&format!("10.0.0.{host}"), "192.0.2.123")).collect();
    assert!(words(weft, &everybody).is_empty(), "a time server");
}

#[test]
fn names_that_carry_data() {
    let weft = "{tunnel: {name: query.hostname, by: [src_endpoint.ip], names: 30, entropy: 3.2, bytes: 500}}";
    let ask = |n: i64, name: String| at(n * 1_000, json!({"src_endpoint": {"ip": "10.0.0.1"}, "query": {"hostname": name}}));
    let noise = |n: i64| Finding::uid_of(&n.to_string(), &[]);
    let told = words(weft, &(0..50).map(|n| ask(n, format!("{}.t.example.com", noise(n)))).collect::<Vec<_>>());
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("tunnel: 30 names below example.com within 10 min"), "{told:?}");
    assert!(words(weft, &(0..50).map(|n| ask(n, format!("www{n}.example.com"))).collect::<Vec<_>>()).is_empty(), "short and like words");
    assert!(words(weft, &(0..50).map(|n| ask(n, format!("{}.com", noise(n)))).collect::<Vec<_>>()).is_empty(), "each a domain of its own");
    assert!(words(weft, &(0..50).map(|n| ask(n, format!("{}.example.com", noise(n % 3)))).collect::<Vec<_>>()).is_empty(), "the same names");
}

#[test]
fn order_of_arrival_and_restarts_do_not_matter() {
    let weft = "{first_seen: {value: country, by: [user.name], learn: 2h}}";
    let event = |n: i64| at(n * 7 % 200 * MINUTE * 3 / 2, json!({"user": {"name": format!("u{}", n % 5)}, "country": format!("c{}", n % 13)}));
    let mut events: Vec<Value> = (0..200).map(event).collect();
    events.sort_by_key(|event| event["time"].as_i64());
    let told = |events: &[Value], lateness: i64, kill: Option<usize>| {
        let (mut running, mut newest, mut found) = (engine(weft), 0, Vec::new());
        for (at, event) in events.iter().enumerate() {
            found.extend(running.observe(&batch(1, std::slice::from_ref(event))));
            newest = newest.max(event["time"].as_i64().unwrap());
            if kill == Some(at) {
                let saved = running.checkpoint().unwrap();
                running = engine(weft);
                running.restore(&saved).unwrap();
                // Delivered once more after the restart.
                found.extend(running.observe(&batch(1, std::slice::from_ref(event))));
            }
            found.extend(running.advance(Timestamp(newest - lateness)));
        }
        found.extend(running.advance(Timestamp(i64::MAX)));
        let mut uids: Vec<String> = found.into_iter().map(|finding| finding.uid).collect();
        uids.sort();
        uids
    };
    let expected = told(&events, 10 * MINUTE, None);
    assert!(expected.len() > 10, "{}", expected.len());
    let mut shuffled = events.clone();
    shuffled.chunks_mut(6).for_each(<[Value]>::reverse);
    assert_ne!(shuffled, events);
    assert_eq!(told(&shuffled, 10 * MINUTE, None), expected);
    assert_eq!(told(&shuffled, 10 * MINUTE, Some(100)), expected);
    let mut late = events;
    late.reverse();
    assert_ne!(told(&late, 0, None), expected, "what is later than was allowed must differ");
}

#[test]
fn what_is_usual_is_learned_from_the_past_and_nothing_of_it_is_told() {
    let weft = "{first_seen: {value: country, by: [user.name], learn: 14d}}";
    let by = |day: i64, user: &str, country: &str| at(day * DAY, json!({"user": {"name": user}, "country": country}));
    let past = [by(0, "ada", "DE"), by(1, "bob", "FR"), by(9, "ada", "AT"), by(16, "ada", "DE")];
    let now = [by(17, "ada", "AT"), by(17, "ada", "US"), by(17, "bob", "US")];
    let expected = run(&mut engine(weft), &[&past[..], &now[..]].concat());

    let mut running = engine(weft);
    assert!(run(&mut engine(weft), &now).is_empty(), "without a past nobody knows what is usual");
    let (ids, look_back) = running.unlearned().unwrap();
    assert_eq!((ids.len(), look_back), (1, 14 * DAY));
    let mut learner = engine(weft);
    for day in past.chunks(2) {
        // Rows that no analytic asks for need not be shown.
        let batch = batch(1, day);
        assert_eq!(learner.rows(&batch), [0, 1]);
        drop(learner.observe(&batch));
        drop(learner.advance(Timestamp(day[1]["time"].as_i64().unwrap() + 1)));
    }
    running.adopt(learner);
    assert_eq!(running.unlearned(), None);
    let told = run(&mut running, &now);
    assert_eq!(
        told.iter().map(|finding| &finding.uid).collect::<Vec<_>>(),
        expected.iter().rev().take(told.len()).rev().map(|finding| &finding.uid).collect::<Vec<_>>()
    );
    assert_eq!(told.len(), 2, "{told:?}");

    // Who knows a history keeps it, and a behaviour that is another one learns nothing.
    let mut other = engine("{first_seen: {value: country, by: [user.name], learn: 15d}}");
    let mut learner = engine(weft);
    drop(learner.observe(&batch(1, &past)));
    other.adopt(learner);
    assert!(other.unlearned().is_some());
}

#[test]
fn a_correlation_of_what_is_not_usual() {
    let text = "title: New country
name: country
logsource: {category: k}
detection: {sel: {kind: e}, condition: sel}
weft: {first_seen: {value: country, by: [user.name], learn: 1d}}
---
title: Two new countries
correlation: {type: value_count, rules: [country], group-by: [user.name], timespan: 1h, condition: {field: country, gte: 2}}
";
    let (mut engine, faults) = compile(&[RuleFile { name: "r.yml".into(), text: text.into() }], &FieldMap::parse(KIND).unwrap());
    assert_eq!(faults, Vec::new());
    let by = |time: i64, country: &str| at(time, json!({"user": {"name": "ada"}, "country": country}));
    let found = run(&mut engine, &[by(0, "DE"), by(2 * DAY, "FR"), by(2 * DAY + MINUTE, "US")]);
    assert_eq!(found.iter().map(|finding| (finding.title.as_str(), finding.evidence.len())).collect::<Vec<_>>(), [("Two new countries", 2)]);
}
