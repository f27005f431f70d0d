//! Entity risk: published figures, our own formula, and that neither order nor a kill matters.

use std::sync::Arc;

use weft_analytics::entity::{Criticality, EntityKind, Known};
use weft_analytics::risk::published::{elastic, splunk};
use weft_analytics::risk::{EntityRisk, POINTS_MAX, Preset, Risk};
use weft_model::{ClassUid, Entity, Evidence, Finding, Technique, Timestamp};

const DAY: i64 = Timestamp::DAY_MS;

pub(crate) fn finding(time: i64, analytic: &str, severity_id: i64, entities: &[(&str, i64, &str)], technique: Option<&str>) -> Finding {
    let evidence = vec![Evidence { uid: format!("{analytic}-{time}"), class: ClassUid(3002), time: Timestamp(time) }];
    let entity = |(name, type_id, value): &(&str, i64, &str)| Entity { name: (*name).into(), type_id: *type_id, value: (*value).into() };
    Finding {
        uid: Finding::uid_of(analytic, &evidence),
        analytic_uid: analytic.into(),
        title: format!("Title of {analytic}"),
        severity_id,
        time: Timestamp(time),
        matched: Vec::new(),
        entities: entities.iter().map(entity).collect(),
        evidence,
        techniques: technique.map(|uid| Technique { uid: uid.into(), tactic: None }).into_iter().collect(),
        update: false,
    }
}

fn known() -> Arc<Known> {
    let mut known = Known::default();
    known.read(include_str!("../../../../content/entities/nobody.toml")).unwrap();
    known.read("[[criticality]]\nlevel = \"extreme\"\nhosts = [\"dc*\"]").unwrap();
    Arc::new(known)
}

fn of(findings: &[Finding], preset: Preset, now: i64) -> Vec<EntityRisk> {
    let mut risk = Risk::new(known());
    findings.iter().for_each(|finding| risk.observe(finding));
    risk.scores(preset, Timestamp(now))
}

fn figure(score: f64) -> String {
    format!("{score:.2}")
}

#[test]
fn the_published_figures_of_ranked_alerts() {
    let alerts = [21.0, 70.0, 21.0, 45.0, 21.0];
    assert_eq!(figure(elastic(&alerts, Criticality::Medium)), "36.16");
    assert_eq!(figure(elastic(&alerts, Criticality::Extreme)), "53.11");
    assert_eq!(figure(elastic(&[100.0; 10_000], Criticality::Medium)), "99.23", "however many");
    assert_eq!(figure(elastic(&[], Criticality::Extreme)), "0.00");
}

#[test]
fn the_published_thresholds_of_risk_based_alerting() {
    let tactics: Vec<String> = ["TA0001", "TA0006", "TA0008"].map(str::to_owned).to_vec();
    let event = |time: i64, score: f64, source: &'static str, tactic: usize| (Timestamp(time), score, source, &tactics[tactic..=tactic]);
    let day = |scores: &[f64]| splunk(scores.iter().map(|score| event(10 * DAY, *score, "a", 0)), Timestamp(10 * DAY)).day_exceeded();
    assert!(!day(&[60.0, 40.0]) && day(&[60.0, 40.1]), "over 100, not 100");
    assert!(!splunk([event(9 * DAY, 60.0, "a", 0), event(10 * DAY, 60.0, "a", 0)], Timestamp(10 * DAY)).day_exceeded(), "a day is over");
    let week = |sources: [&'static str; 4], from: i64| {
        let events = sources.iter().enumerate().map(|(at, source)| event(from + at as i64, 1.0, source, at.min(2)));
        splunk(events.collect::<Vec<_>>(), Timestamp(10 * DAY)).week_exceeded()
    };
    assert!(week(["a", "b", "c", "d"], 4 * DAY));
    assert!(!week(["a", "b", "c", "a"], 4 * DAY), "three sources");
    assert!(!week(["a", "b", "c", "d"], 2 * DAY), "longer ago");
    assert!(!splunk(["a", "b", "c", "d"].map(|source| event(9 * DAY, 1.0, source, 0)), Timestamp(10 * DAY)).week_exceeded(), "one tactic");
}

#[test]
fn presets_of_findings() {
    let ada = [("user.name", 4, "CORP\\ada")];
    let findings: Vec<Finding> =
        ["T1078", "T1110", "T1021", "T1021"].iter().enumerate().map(|(at, id)| finding(5 * DAY + at as i64, &format!("r{at}"), 3, &ada, Some(id))).collect();
    let now = 5 * DAY + 10;
    let splunk = of(&findings, Preset::Splunk, now);
    assert_eq!((splunk[0].kind, splunk[0].name.as_str(), splunk[0].score), (EntityKind::User, "ada", 160.0));
    assert_eq!(splunk[0].exceeded.len(), 2, "{:?}", splunk[0].exceeded);
    assert!(of(&findings[..2], Preset::Splunk, now)[0].exceeded.is_empty());
    assert_eq!(of(&findings, Preset::Splunk, 14 * DAY)[0].score, 0.0);
    let expected = 47.0 * (1.0 + 2_f64.powf(-1.5) + 3_f64.powf(-1.5) + 0.125) / 2.612_375_348_685_488;
    assert_eq!(figure(of(&findings, Preset::Elastic, now)[0].score), figure(expected));
}

#[test]
fn our_own_score_decays_tires_and_names_its_findings() {
    let host = [("device.hostname", 1, "WS1")];
    let once = finding(0, "a", 4, &host, None);
    assert_eq!(figure(of(std::slice::from_ref(&once), Preset::Weft, 0)[0].score), "45.12", "100 (1 - e^-0.6)");
    assert_eq!(figure(of(std::slice::from_ref(&once), Preset::Weft, 7 * DAY)[0].score), "25.92", "half as much: 100 (1 - e^-0.3)");
    assert!(of(std::slice::from_ref(&once), Preset::Weft, 31 * DAY).is_empty());
    let repeated: Vec<Finding> = (0..100).map(|n| finding(n, "a", 4, &host, None)).collect();
    let tired = of(&repeated, Preset::Weft, 100)[0].score;
    assert!(tired < 69.89 && tired > 69.0, "{tired}: at most twice the weight");
    let both = of(&[once.clone(), finding(1, "b", 4, &host, None)], Preset::Weft, 1);
    assert!((both[0].score - 69.88).abs() < 0.01, "another analytic counts in full: {}", both[0].score);
    let sum: f64 = both[0].shares.iter().map(|share| share.part).sum();
    assert!((sum - both[0].score).abs() < 1e-9 && both[0].shares.iter().any(|share| share.point.finding == once.uid));
    let dc = of(&[finding(0, "a", 4, &[("device.hostname", 1, "DC01.corp.example")], None)], Preset::Weft, 0);
    assert_eq!((figure(dc[0].score).as_str(), dc[0].name.as_str(), dc[0].level()), ("69.88", "dc01.corp.example", "High"));
}

#[test]
fn two_full_domains_are_two_persons_and_nobody_has_no_risk() {
    let by = |value: &'static str, at: i64| finding(at, "a", 3, &[("user.email_addr", 5, value)], None);
    let one = of(&[by("ada@corp.example", 0), finding(1, "a", 3, &[("user.name", 4, "ada")], None)], Preset::Weft, 2);
    assert_eq!(one.iter().map(|risk| risk.name.as_str()).collect::<Vec<_>>(), ["ada@corp.example"]);
    let two = of(&[by("ada@corp.example", 0), by("ada@other.example", 1)], Preset::Weft, 2);
    assert_eq!(two.len(), 2);
    assert!(
        of(&[finding(0, "a", 5, &[("actor.user.name", 4, "NT AUTHORITY\\SYSTEM"), ("src_endpoint.ip", 2, "127.0.0.1")], None)], Preset::Weft, 0).is_empty()
    );
}

fn story() -> Vec<Finding> {
    (0..600_i64)
        .map(|n| {
            let (user, host) = (format!("u{}", n % 7), format!("ws{}.corp.example", n % 11));
            finding(n * 3_600_000, &format!("r{}", n % 13), 1 + n % 5, &[("user.name", 4, &user), ("device.hostname", 1, &host)], Some("T1110"))
        })
        .collect()
}

#[test]
fn neither_order_nor_a_kill_matters() {
    let story = story();
    let now = 600 * 3_600_000;
    let expected = of(&story, Preset::Weft, now);
    assert_eq!(expected.len(), 18);
    for seed in 1..=20_usize {
        let mut shuffled = story.clone();
        shuffled.sort_by_key(|finding| blake3_key(&finding.uid, seed));
        assert_eq!(of(&shuffled, Preset::Weft, now), expected, "seed {seed}");
        let (first, rest) = shuffled.split_at(seed * 25);
        let mut before = Risk::new(known());
        first.iter().for_each(|finding| before.observe(finding));
        let mut after = Risk::new(known());
        after.restore(&before.checkpoint()).unwrap();
        // What came after the checkpoint, and a little of what came before, is delivered again.
        first.iter().rev().take(10).chain(rest).for_each(|finding| after.observe(finding));
        assert_eq!(after.scores(Preset::Weft, Timestamp(now)), expected, "killed after {}", first.len());
        // What must differ: a memory that was lost.
        let mut lost = Risk::new(known());
        rest.iter().for_each(|finding| lost.observe(finding));
        assert_ne!(lost.scores(Preset::Weft, Timestamp(now)), expected);
    }
    assert!(Risk::new(known()).restore(b"nonsense").is_err());
}

pub(crate) fn blake3_key(uid: &str, seed: usize) -> String {
    Finding::uid_of(&format!("{seed}{uid}"), &[])
}

#[test]
fn memory_is_bounded_by_the_newest_points() {
    let mut risk = Risk::new(known());
    for n in 0..(POINTS_MAX as i64 + 50) {
        risk.observe(&finding(n, &format!("r{n}"), 2, &[("user.name", 4, "ada")], None));
    }
    assert_eq!(risk.evicted(), 50);
    let shares = risk.scores(Preset::Weft, Timestamp(1_000)).remove(0).shares;
    assert_eq!((shares.len(), shares.iter().map(|share| share.point.time.0).min()), (POINTS_MAX, Some(50)));
    risk.advance(Timestamp(40 * DAY));
    assert!(risk.scores(Preset::Weft, Timestamp(1_000)).is_empty());
}
