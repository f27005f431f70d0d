//! A made-up incident with what surrounds it.

use weft_console::api::*;

pub(super) const UID: &str = "3fa2c1d09b7e4f558b1f0c6f2c1f7d11";

fn named(uid: &str, name: &str) -> Named {
    Named { uid: uid.to_owned(), name: name.to_owned() }
}

fn entity(kind: &str, name: &str, findings: usize) -> IncidentEntity {
    IncidentEntity { kind: kind.to_owned(), name: name.to_owned(), seen: name.to_owned(), findings }
}

pub(super) fn row(now: i64) -> IncidentRow {
    IncidentRow {
        uid: UID.to_owned(),
        title: "New cloud access key by an unusual person on user mara.lindt, host bastion-eu-1, and 2 more kinds of finding".to_owned(),
        severity_id: 5,
        state: IncidentState::InProgress,
        owner: Some("lena.fox".to_owned()),
        verdict: None,
        entities: vec![entity("user", "mara.lindt", 3), entity("host", "bastion-eu-1", 2), entity("address", "203.0.113.9", 2)],
        tools: ["Cloud Audit", "Directory", "Remote Shell"].map(str::to_owned).to_vec(),
        tactics: vec![named("TA0001", "Initial Access"), named("TA0003", "Persistence"), named("TA0006", "Credential Access")],
        first_evidence: now - 3_600_000,
        last_evidence: now - 600_000,
        detected: now - 3_500_000,
        findings: 3,
    }
}

fn finding(n: i64, now: i64, title: &str, tool: &str, severity: i64) -> IncidentFinding {
    let event = |at: i64| EvidenceEvent {
        uid: format!("e-{n}-{at}"),
        time: now - 3_600_000 + n * 1_400_000 + at * 1_000,
        class_uid: 3002,
        tool: Some(tool.to_owned()),
        message: Some(format!("event {at} of <b>{title}</b>")),
    };
    IncidentFinding {
        uid: format!("finding-{n}"),
        event: Some(format!("finding-{n}")),
        time: now - 3_500_000 + n * 1_400_000,
        begin: now - 3_600_000 + n * 1_400_000,
        title: title.to_owned(),
        analytic: format!("analytic-{n}"),
        severity_id: severity,
        techniques: vec![named("T1110.001", "Password Guessing")],
        tactics: vec![named("TA0006", "Credential Access")],
        entities: vec![entity("user", "mara.lindt", 1)],
        tools: vec![tool.to_owned()],
        evidence: (0..3).map(event).collect(),
        evidence_count: 3,
    }
}

pub(super) fn detail(now: i64) -> IncidentDetail {
    let members = vec![
        finding(0, now, "SSH brute force that succeeded", "Remote Shell", 4),
        finding(1, now, "Second factor reset", "Directory", 3),
        finding(2, now, "New cloud access key by an unusual person", "Cloud Audit", 5),
    ];
    let join = |earlier: usize, later: usize, entity: &str| IncidentJoin {
        earlier: format!("finding-{earlier}"),
        later: format!("finding-{later}"),
        entity: Some(entity.to_owned()),
        earlier_has: Some("actor.user.name=mara.lindt".to_owned()),
        later_has: Some("user.email_addr=mara.lindt@example.com".to_owned()),
        person: None,
        gap_ms: 1_400_000,
    };
    IncidentDetail {
        row: row(now),
        narrative: "From then to now, 3 findings of 3 analytics concern user mara.lindt.\n- first <script>alert(1)</script>\n- then\nThey belong together by user mara.lindt (2).".to_owned(),
        closing: None,
        members,
        forgotten: 0,
        joins: vec![join(0, 1, "user mara.lindt"), join(1, 2, "user mara.lindt")],
        hubs: vec!["host proxy-1: 40 users".to_owned()],
        decided: vec!["console gave it to lena.fox".to_owned()],
        versions: vec![IncidentVersion { time: now - 3_400_000, what: "told first".to_owned(), findings: 2, severity_id: 4 }],
        versions_before: 0,
        risks: risks(now),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
    }
}

pub(super) fn risks(now: i64) -> Vec<EntityRisk> {
    let share = |n: i64, part: f64| RiskShare {
        finding: format!("finding-{n}"),
        title: "SSH brute force that succeeded".to_owned(),
        analytic: "analytic-0".to_owned(),
        severity_id: 4,
        time: now - 3_500_000,
        part,
    };
    vec![EntityRisk {
        kind: "user".to_owned(),
        entity: "mara.lindt".to_owned(),
        score: 71.5,
        level_id: 3,
        level: "High".to_owned(),
        criticality: "high".to_owned(),
        findings: 2,
        newest: now - 600_000,
        because_of: vec![share(0, 50.0), share(2, 21.5)],
    }]
}

pub(super) fn detection(now: i64) -> DetectionState {
    let rule = |id: &str, state: RuleState, reason: Option<&str>| RuleView {
        id: id.to_owned(),
        title: format!("Rule {id}"),
        description: "Why it exists.".to_owned(),
        file: "content/detections/x.yml".to_owned(),
        line: 1,
        severity_id: 4,
        kind: RuleKind::Detection,
        state,
        reason: reason.map(str::to_owned),
        techniques: vec![named("T1110", "Brute Force")],
        tactics: vec!["TA0006".to_owned()],
        connectors: vec!["linux".to_owned()],
        fired: 3,
        last_fired: Some(now - 600_000),
    };
    DetectionState {
        rules: vec![
            rule("one", RuleState::Ready, None),
            rule("two", RuleState::Never, Some("the rule can never fire here: no connector has events of its class")),
            rule("three", RuleState::Suspended, Some("it took more than 1 ms an event")),
        ],
        refused: vec!["x.yml:3: not a rule".to_owned()],
        hunts: vec![HuntView {
            name: "rare-country".to_owned(),
            title: "Sign-in from a country that nobody works in".to_owned(),
            hypothesis: "somebody uses a stolen session".to_owned(),
            severity_id: 3,
            techniques: vec![named("T1078", "Valid Accounts")],
            every_ms: Some(86_400_000),
            look_back_ms: 86_400_000,
            last: Some(HuntRun { time: now - 3_600_000, hits: Some(2), detail: None }),
            fired: 2,
        }],
        tactics: vec![named("TA0006", "Credential Access")],
        attack_version: "18.1".to_owned(),
        counted_since: now - 604_800_000,
        memory: MemoryView { groups: 4, events: 40, entities: 400, ..MemoryView::default() },
    }
}

pub(super) fn intelligence(now: i64) -> IntelligenceState {
    IntelligenceState {
        feeds: vec![FeedView {
            name: "cti".to_owned(),
            from: "https://taxii.example/api/collections/c/".to_owned(),
            every_ms: 3_600_000,
            success_ms: Some(now - 7_200_000),
            changed_ms: Some(now - 7_200_000),
            next_ms: Some(now + 60_000),
            faults: 2,
            error: Some("`https://taxii.example/` refuses (401): give a secret, with the name of a user for a password".to_owned()),
            remarks: Vec::new(),
        }],
        sources: vec![IntelSource {
            name: "cti".to_owned(),
            origin: "https://taxii.example/api/collections/c/".to_owned(),
            imported_ms: now - 7_200_000,
            indicators: 12_345,
            suppressed: 6,
            gaps: 7,
        }],
        exact: 12_000,
        networks: 345,
        warning_lists: 3,
        faults: Vec::new(),
    }
}
