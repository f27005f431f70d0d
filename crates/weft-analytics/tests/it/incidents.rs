//! Incidents: what belongs together and what does not, whatever the order of arrival; and persons' word.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_analytics::entity::Known;
use weft_analytics::incident::{By, Decision, FINDINGS_MAX, Incident, Incidents, Told, Verdict, Version, of_findings};
use weft_model::{Finding, Timestamp};

use crate::risk::{blake3_key, finding};

const HOUR: i64 = 3_600_000;
const LATENESS: i64 = 120_000;

fn known() -> Known {
    let mut known = Known::default();
    known.read(include_str!("../../../../content/entities/nobody.toml")).unwrap();
    known
}

/// `user`, `host`, `ip` in short.
fn made(hour: f64, analytic: &str, severity: i64, entities: &[&str], technique: &str) -> Finding {
    let entities: Vec<(&str, i64, &str)> = entities
        .iter()
        .map(|text| {
            let (kind, value) = text.split_once(':').unwrap();
            match kind {
                "user" => ("actor.user.name", 4, value),
                "mail" => ("user.email_addr", 5, value),
                "host" => ("device.hostname", 1, value),
                _ => ("src_endpoint.ip", 2, value),
            }
        })
        .collect();
    finding((hour * HOUR as f64) as i64, analytic, severity, &entities, Some(technique).filter(|id| !id.is_empty()))
}

fn grouped(findings: &[Finding]) -> Vec<Vec<String>> {
    of_findings(findings, &known(), &[]).iter().map(|incident| incident.members.iter().map(|member| member.analytic.clone()).collect()).collect()
}

#[test]
fn an_intrusion_over_three_tools_is_one_incident_with_its_path() {
    let findings = [
        made(0.0, "mail", 3, &["mail:ada@corp.example", "ip:203.0.113.9"], "T1566"),
        made(1.0, "idp", 3, &["user:CORP\\ada", "ip:198.51.100.7"], "T1078"),
        made(3.0, "edr", 4, &["user:ada", "host:WS7.corp.example"], "T1003"),
        made(30.0, "net", 2, &["host:ws7", "ip:203.0.113.200"], "T1041"),
    ];
    let incidents = of_findings(&findings, &known(), &[]);
    assert_eq!(incidents.len(), 1);
    let incident = &incidents[0];
    assert_eq!(incident.joins.len(), 3, "a path to every finding");
    let path: Vec<String> = incident
        .joins
        .iter()
        .map(|join| match &join.by {
            By::Entity { kind, key, earlier, later } => format!("{} {key}: {earlier} ~ {later}", kind.word()),
            By::Person(person) => person.clone(),
        })
        .collect();
    assert!(path.contains(&"user ada: user.email_addr=ada@corp.example ~ actor.user.name=CORP\\ada".to_owned()), "{path:?}");
    assert!(path.contains(&"host ws7: device.hostname=WS7.corp.example ~ device.hostname=ws7".to_owned()), "{path:?}");
    assert_eq!((incident.first_evidence().0, incident.last_evidence().0, incident.severity_id()), (0, 30 * HOUR, 4));
    insta_like(&incident.narrative(), include_str!("incidents-narrative.txt"));
}

fn insta_like(actual: &str, expected: &str) {
    if std::env::var_os("WEFT_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/incidents-narrative.txt"), actual).unwrap();
        return;
    }
    assert_eq!(actual.trim(), expected.trim());
}

#[test]
fn what_shares_nothing_or_is_too_far_apart_stays_apart() {
    assert_eq!(grouped(&[made(0.0, "a", 4, &["user:ada"], ""), made(1.0, "b", 4, &["user:bob"], "")]).len(), 2);
    assert_eq!(grouped(&[made(0.0, "a", 4, &["user:ada"], ""), made(72.0, "b", 4, &["user:ada"], "")]).len(), 1);
    assert_eq!(grouped(&[made(0.0, "a", 4, &["user:ada"], ""), made(73.0, "b", 4, &["user:ada"], "")]).len(), 2);
    assert_eq!(grouped(&[made(0.0, "a", 4, &["ip:10.0.0.1"], ""), made(37.0, "b", 4, &["ip:10.0.0.1"], "")]).len(), 2, "addresses change hands");
    assert_eq!(grouped(&[made(0.0, "a", 4, &["mail:ada@corp.example"], ""), made(1.0, "b", 4, &["mail:ada@other.example"], "")]).len(), 2);
    assert_eq!(grouped(&[made(0.0, "a", 4, &["user:ada"], "T1486"), made(20.0, "b", 4, &["user:ada"], "T1566")]).len(), 2, "a way in long after the impact");
    assert_eq!(grouped(&[made(0.0, "a", 4, &["user:ada"], "T1566"), made(20.0, "b", 4, &["user:ada"], "T1486")]).len(), 1);
}

#[test]
fn what_an_incident_is_about_stays_of_interest_until_its_worst_finding_is_over() {
    // A tool that rates it low speaks of the same two addresses, twenty hours later.
    let story = |hours: f64| {
        vec![
            made(0.0, "flow", 2, &["host:ws7", "ip:10.0.0.7", "ip:203.0.113.9"], ""),
            made(0.1, "dump", 4, &["host:ws7"], "T1003"),
            made(hours, "sensor", 2, &["ip:10.0.0.7", "ip:203.0.113.9"], ""),
        ]
    };
    assert_eq!(grouped(&story(20.0)), [["flow", "dump", "sensor"]]);
    assert_eq!(grouped(&story(40.0)), [["flow", "dump"]], "addresses change hands");
    // Without anything that is bad, low findings do not reach so far; and they do not go on for ever.
    let lows: Vec<Finding> = (0..20).map(|day| made(f64::from(day) * 24.0, &format!("low{day}"), 2, &["host:ws7"], "")).collect();
    assert!(grouped(&lows).is_empty());
    let with_one_high = [lows, vec![made(0.5, "dump", 4, &["host:ws7"], "T1003")]].concat();
    assert_eq!(grouped(&with_one_high).iter().map(Vec::len).collect::<Vec<_>>(), [5], "three days");
}

#[test]
fn nobody_joins_nothing_and_little_is_no_incident() {
    let by_system = |host: &'static str, hour: f64| made(hour, "a", 4, &["user:NT AUTHORITY\\SYSTEM", "ip:127.0.0.1"], "").clone_with_host(host);
    assert_eq!(grouped(&[by_system("h1", 0.0), by_system("h2", 0.1)]).len(), 2);
    assert!(grouped(&[made(0.0, "a", 2, &["user:ada"], ""), made(0.1, "b", 3, &["user:ada"], "")]).is_empty());
    assert_eq!(grouped(&[made(0.0, "a", 3, &["user:ada"], ""), made(0.1, "b", 3, &["user:ada"], ""), made(0.2, "c", 3, &["user:ada"], "")]).len(), 1);
}

trait WithHost {
    fn clone_with_host(self, host: &str) -> Self;
}
impl WithHost for Finding {
    fn clone_with_host(mut self, host: &str) -> Self {
        self.entities.push(weft_model::Entity { name: "device.hostname".into(), type_id: 1, value: host.into() });
        self.uid = Finding::uid_of(&format!("{}{host}", self.uid), &[]);
        self
    }
}

#[test]
fn a_proxy_does_not_glue_everything_together() {
    // Forty persons with a finding each, all through one address; and two findings of one of them.
    let mut all: Vec<Finding> =
        (0..40).map(|n| made(f64::from(n) / 10.0, &format!("r{n}"), 4, &["ip:10.9.0.5", &format!("user:u{n}"), &format!("host:h{n}")], "")).collect();
    all.push(made(5.0, "again", 4, &["user:u39"], ""));
    let incidents = of_findings(&all, &known(), &[]);
    assert!(incidents.len() > 25, "{} incidents", incidents.len());
    let last = incidents.iter().find(|incident| incident.analytics().contains("again")).unwrap();
    assert_eq!(last.members.len(), 2);
    assert!(last.hubs.iter().any(|hub| hub.starts_with("address 10.9.0.5 (touches ")), "{:?}", last.hubs);
    assert!(last.narrative().contains("Not used to join"));
    // Named as a hub by the organisation, it joins nobody at all.
    let mut named = known();
    named.read("[[hub]]\naddresses = [\"10.9.0.0/24\"]").unwrap();
    assert_eq!(of_findings(&all, &named, &[]).len(), 40);
    // What must differ: an address that touches few joins.
    assert_eq!(of_findings(&all[..5], &known(), &[]).len(), 1);
}

#[test]
fn there_is_no_size_at_which_grouping_stops() {
    let all: Vec<Finding> = (0..5_000).map(|n| made(f64::from(n) / 100.0, &format!("r{}", n % 50), 4, &["host:ws7"], "")).collect();
    let incidents = of_findings(&all, &known(), &[]);
    assert_eq!((incidents.len(), incidents[0].members.len(), incidents[0].joins.len()), (1, 5_000, 4_999));
}

/// A generator of numbers below a bound; Knuth's MMIX constants.
fn random(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// 400 findings of twenty days about 150 persons and 200 machines: many small incidents, and a large one.
fn story() -> Vec<Finding> {
    let mut next = random(11);
    (0..400)
        .map(|n| {
            let (user, host, address) = (format!("user:u{}", next(150)), format!("host:h{}", next(200)), format!("ip:10.0.{}.{}", next(3), next(100)));
            let entities: Vec<&str> = match next(4) {
                0 => vec![&user, &host],
                1 => vec![&host, &address],
                2 => vec![&user],
                _ => vec![&user, &host, &address],
            };
            let technique = ["T1566", "T1003", "T1021", "T1486", ""][next(5) as usize];
            made(next(20 * 24 * 60) as f64 / 60.0, &format!("r{n}"), 1 + next(5) as i64, &entities, technique)
        })
        .collect()
}

fn permuted(findings: &[Finding], late: i64, seed: u64) -> Vec<Finding> {
    let mut next = random(seed);
    let mut keyed: Vec<(i64, &Finding)> =
        findings.iter().map(|finding| (finding.time.0 + if seed == 0 { 0 } else { next(late as u64) as i64 }, finding)).collect();
    keyed.sort_by_key(|(key, finding)| (*key, finding.time, finding.uid.clone()));
    keyed.into_iter().map(|(_, finding)| finding.clone()).collect()
}

/// The last version of each incident that was told.
#[derive(Default, PartialEq, Debug)]
struct Heard(BTreeMap<String, Incident>);

impl Heard {
    fn hear(&mut self, told: Vec<Told>) {
        for one in told {
            match one.version {
                Version::MergedInto(_) => drop(self.0.remove(&one.incident.uid)),
                _ => drop(self.0.insert(one.incident.uid.clone(), one.incident)),
            }
        }
    }
}

fn play(incidents: &mut Incidents, findings: &[Finding], lateness: i64, mut between: impl FnMut(usize, &mut Incidents, i64) -> Vec<Told>) -> Heard {
    let (mut heard, mut newest) = (Heard::default(), 0);
    for (at, chunk) in findings.chunks(7).enumerate() {
        chunk.iter().for_each(|finding| incidents.observe(finding));
        newest = chunk.iter().map(|finding| finding.time.0).fold(newest, i64::max);
        heard.hear(incidents.advance(Timestamp(newest - lateness), Timestamp(newest)));
        heard.hear(between(at, incidents, newest));
    }
    heard.hear(incidents.conclude(Timestamp(newest)));
    heard
}

fn fresh() -> Incidents {
    Incidents::new(Arc::new(known()), Vec::new())
}

#[test]
fn twenty_orders_of_arrival_tell_the_same_incidents() {
    let story = story();
    let late = 6 * HOUR;
    let expected = play(&mut fresh(), &permuted(&story, late, 0), late, |_, _, _| Vec::new());
    assert!(
        expected.0.len() >= 5 && expected.0.values().any(|incident| incident.members.len() > 10),
        "{:?}",
        expected.0.values().map(|one| one.members.len()).collect::<Vec<_>>()
    );
    for seed in 1..=20 {
        let arrived = permuted(&story, late, seed);
        assert_ne!(arrived, permuted(&story, late, 0));
        assert_eq!(play(&mut fresh(), &arrived, late, |_, _, _| Vec::new()), expected, "seed {seed}");
    }
    // What must differ: findings that come when what they belong to has been folded long ago.
    let differ = (1..=20).filter(|seed| play(&mut fresh(), &permuted(&story, 400 * HOUR, *seed), 0, |_, _, _| Vec::new()) != expected).count();
    assert!(differ >= 18, "{differ} of 20 differ");
}

#[test]
fn a_kill_at_any_place_changes_nothing() {
    let story = permuted(&story(), LATENESS, 3);
    let expected = play(&mut fresh(), &story, LATENESS, |_, _, _| Vec::new());
    for at in [0, 5, 20, 33, 50] {
        let mut saved = None;
        let told = play(&mut fresh(), &story, LATENESS, |chunk, running, newest| {
            if chunk == at {
                saved = Some(running.checkpoint());
            }
            if chunk != at + 1 {
                return Vec::new();
            }
            *running = fresh();
            running.restore(saved.as_ref().unwrap()).unwrap();
            // What came after the checkpoint is delivered once more, and told once more.
            story[chunk * 7..(chunk + 1) * 7].iter().for_each(|finding| running.observe(finding));
            running.advance(Timestamp(newest - LATENESS), Timestamp(newest))
        });
        assert_eq!(told, expected, "killed after {at}");
        // What must differ: a memory that was lost.
        let lost = play(&mut fresh(), &story, LATENESS, |chunk, running, _| {
            if chunk == at + 1 {
                *running = fresh();
            }
            Vec::new()
        });
        assert!(at == 0 || lost != expected, "nothing was forgotten after {at}");
    }
    assert!(fresh().restore(b"no checkpoint").is_err());
}

#[test]
fn persons_merge_and_split_and_are_remembered() {
    let mut findings = vec![
        made(0.0, "a", 4, &["user:ada"], ""),
        made(1.0, "b", 4, &["user:bob"], ""),
        made(1.5, "b2", 4, &["user:bob"], ""),
        made(2.0, "c", 4, &["user:bob"], ""),
    ];
    let before = of_findings(&findings, &known(), &[]);
    assert_eq!(before.len(), 2);
    let merged = Decision::merge(&[&before[0], &before[1]], "eve", Timestamp(9)).unwrap();
    let one = of_findings(&findings, &known(), std::slice::from_ref(&merged));
    assert_eq!((one.len(), one[0].uid.as_str()), (1, before[0].uid.as_str()), "the older name stays");
    assert!(one[0].joins.iter().any(|join| join.by == By::Person("eve".into())) && one[0].narrative().contains("eve merged"));
    assert!(Decision::merge(&[&before[0], &before[0]], "eve", Timestamp(9)).is_err());

    let bob = &before[1];
    let split = Decision::split(bob, &[bob.members[2].uid.clone()], "eve", Timestamp(9)).unwrap();
    // A later finding about bob goes to one side; the sides stay apart.
    findings.push(made(3.0, "d", 4, &["user:bob"], ""));
    let apart = of_findings(&findings, &known(), std::slice::from_ref(&split));
    let members: Vec<Vec<&str>> = apart.iter().map(|incident| incident.members.iter().map(|member| member.analytic.as_str()).collect()).collect();
    assert_eq!(members, [vec!["a"], vec!["b", "b2"], vec!["c", "d"]]);
    // The last word counts: merged again, they are one, and what was split off stays apart no more.
    let again = Decision::merge(&[&apart[1], &apart[2]], "eve", Timestamp(10)).unwrap();
    let one = of_findings(&findings, &known(), &[split.clone(), again.clone()]);
    assert_eq!(one.iter().map(|incident| incident.members.len()).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(of_findings(&findings, &known(), &[again, split.clone()]).len(), 3, "a split after a merge parts them");
    assert!(Decision::split(bob, &["nonsense".to_owned()], "eve", Timestamp(9)).unwrap_err().contains("nonsense"));
    assert!(Decision::split(bob, &bob.members.iter().map(|member| member.uid.clone()).collect::<Vec<_>>(), "eve", Timestamp(9)).is_err());
}

#[test]
fn persons_close_reopen_and_assign() {
    let bob = |hour: f64, title: &str, severity: i64| made(hour, title, severity, &["user:bob"], "");
    let mut findings = vec![bob(0.0, "a", 4), bob(1.0, "b", 3)];
    let standing = |findings: &[Finding], decisions: &[Decision]| of_findings(findings, &known(), decisions).remove(0).standing;
    let open = of_findings(&findings, &known(), &[]).remove(0);
    assert_eq!((open.standing.status_id(), Decision::reopen(&open, "eve", Timestamp(9)).is_err()), (1, true));
    assert!(Decision::close(&open, Verdict::Test, " \n ", "eve", Timestamp(9)).unwrap_err().contains("a reason is needed"));
    assert!(Decision::close(&open, Verdict::Test, &"x".repeat(501), "eve", Timestamp(9)).unwrap_err().contains("500 characters"));
    let assign = Decision::assign(&open, "lena", "eve", Timestamp(9)).unwrap();
    let close = Decision::close(&open, Verdict::FalsePositive, "the new  scanner", "eve", Timestamp(10)).unwrap();
    let decisions = [assign, close];
    let closed = of_findings(&findings, &known(), &decisions).remove(0);
    let by = closed.standing.closed.clone().unwrap();
    assert_eq!((by.verdict, by.reason.as_str(), closed.standing.owner.as_deref()), (Verdict::FalsePositive, "the new scanner", Some("lena")));
    assert!(closed.narrative().contains("eve closed it as false positive: the new scanner"));
    let event = closed.to_ocsf(&Version::Updated, Timestamp(1), Timestamp(11), None);
    assert_eq!((&event["activity_id"], &event["status_id"], &event["verdict_id"]), (&3.into(), &5.into(), &1.into()));
    assert_eq!((&event["assignee"]["name"], &event["comment"]), (&"lena".into(), &"the new scanner".into()));
    assert!(Decision::close(&closed, Verdict::Test, "again", "eve", Timestamp(12)).is_err());

    // More of the same leaves it closed; a worse one, or another kind, opens it: in any order of arrival.
    findings.push(bob(2.0, "b", 4));
    assert_eq!(standing(&findings, &decisions).status_id(), 5);
    for worse in [bob(0.5, "b", 5), bob(0.5, "c", 1)] {
        let more = [findings.clone(), vec![worse]].concat();
        assert_eq!(standing(&more, &decisions).status_id(), 2, "in progress again, with its owner");
    }
    let reopened =
        [decisions.to_vec(), vec![Decision::reopen(&closed, "eve", Timestamp(13)).unwrap(), Decision::assign(&closed, "", "eve", Timestamp(14)).unwrap()]]
            .concat();
    assert_eq!(standing(&findings, &reopened).status_id(), 1);
    // Kept as text, read back, obeyed the same.
    let text = serde_json::to_string(&reopened).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Decision>>(&text).unwrap(), reopened);
}

#[test]
fn two_that_become_one_are_told_so() {
    let mut running = fresh();
    for one in [made(0.0, "a", 4, &["user:ada"], ""), made(1.0, "b", 4, &["host:h1"], "")] {
        running.observe(&one);
    }
    let told = running.advance(Timestamp(0), Timestamp(HOUR));
    assert_eq!(told.iter().map(|one| one.version.clone()).collect::<Vec<_>>(), [Version::Created, Version::Created]);
    running.observe(&made(2.0, "c", 2, &["user:ada", "host:h1"], ""));
    let told = running.advance(Timestamp(0), Timestamp(2 * HOUR));
    let older = told[0].incident.uid.clone();
    assert_eq!(told.iter().map(|one| one.version.clone()).collect::<Vec<_>>(), [Version::Updated, Version::MergedInto(older)]);
    assert_eq!((told[0].created.0, told[0].incident.members.len()), (HOUR, 3));
    assert!(running.advance(Timestamp(0), Timestamp(3 * HOUR)).is_empty(), "nothing new");
    // What only informs does not make one of two.
    let apart = [made(0.0, "a", 4, &["user:ada"], ""), made(1.0, "b", 4, &["host:h1"], ""), made(1.5, "c", 1, &["user:ada", "host:h1"], "")];
    assert_eq!(grouped(&apart), [vec!["a"], vec!["b", "c"]]);
    // More of the same waits a minute; what is worse does not.
    running.observe(&made(3.0, "c", 2, &["user:ada", "host:h1"], ""));
    assert!(running.advance(Timestamp(0), Timestamp(2 * HOUR + 1_000)).is_empty());
    assert_eq!(running.advance(Timestamp(0), Timestamp(2 * HOUR + 60_000)).len(), 1);
    running.observe(&made(3.1, "d", 5, &["user:ada"], ""));
    assert_eq!(running.advance(Timestamp(0), Timestamp(2 * HOUR + 61_000)).len(), 1);
}

#[test]
fn events_of_incidents_fit_the_class_and_name_every_version() {
    let told = of_findings(&[made(0.0, "a", 4, &["user:ada", "host:h"], "T1003"), made(1.0, "b", 2, &["user:ada"], "T1078")], &known(), &[]);
    let event = told[0].to_ocsf(&Version::Created, Timestamp(5), Timestamp(5), None);
    let class = weft_model::ocsf::schema().class(2005).unwrap();
    let strangers: Vec<&String> = event.as_object().unwrap().keys().filter(|name| class.attribute(name).is_none()).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert_eq!(event["finding_info_list"][0]["uid"], told[0].uid.as_str());
    assert_eq!(event["unmapped"]["joins"][0]["by"]["entity"], "user ada");
    let later = told[0].to_ocsf(&Version::Updated, Timestamp(5), Timestamp(6), None);
    assert_ne!(event["metadata"]["uid"], later["metadata"]["uid"]);
    assert_eq!(event["metadata"]["correlation_uid"], later["metadata"]["correlation_uid"]);
}

#[test]
fn memory_is_bounded_and_an_incident_outlives_it() {
    let mut running = fresh();
    let many = FINDINGS_MAX as i64 + 3_000;
    for n in 0..many {
        running.observe(&made(n as f64 / 1_000.0, &format!("r{}", n % 9), 4, &["host:ws7"], ""));
        if n % 5_000 == 0 {
            running.advance(Timestamp(0), Timestamp(n));
        }
    }
    running.advance(Timestamp(0), Timestamp(many));
    assert!(running.evicted() >= 3_000, "{}", running.evicted());
    running.observe(&made(30.0, "last", 4, &["host:ws7"], ""));
    let now = running.current();
    assert_eq!((now.len(), now[0].findings()), (1, many as u64 + 1), "one incident with all of its findings");
    let first = finding(0, "r0", 4, &[("device.hostname", 1, "ws7")], None);
    assert_eq!(now[0].members[0].uid, first.uid, "its beginning is remembered");
    let _order = blake3_key(&first.uid, 1);
}
