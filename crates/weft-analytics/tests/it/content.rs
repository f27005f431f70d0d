//! Each rule of the project: events that must fire, and events that must not.

use serde_json::{Value, json};
use weft_analytics::{Engine, FieldMap, RuleFile, compile};
use weft_model::{Detector as _, Finding};

use crate::events::batch;

const FIELDS: [&str; 3] = [
    include_str!("../../../../content/detections/fields.toml"),
    include_str!("../../../../connectors/aws/detections/fields.toml"),
    include_str!("../../../../connectors/okta/detections/fields.toml"),
];
const RULES: [(&str, &str); 3] = [
    ("ssh.yml", include_str!("../../../../content/detections/ssh_brute_force_succeeds.yml")),
    ("aws.yml", include_str!("../../../../connectors/aws/detections/access_key_created.yml")),
    ("okta.yml", include_str!("../../../../connectors/okta/detections/factor_reset.yml")),
];

pub(crate) fn fields() -> FieldMap {
    let mut all = FieldMap::default();
    FIELDS.iter().for_each(|text| all.extend(FieldMap::parse(text).unwrap()));
    all
}

pub(crate) fn engine() -> Engine {
    let files: Vec<RuleFile> = RULES.iter().map(|(name, text)| RuleFile { name: (*name).into(), text: (*text).into() }).collect();
    let (engine, faults) = compile(&files, &fields());
    assert_eq!(faults, Vec::new());
    engine
}

fn logon(second: i64, ip: &str, user: &str, status: i64) -> Value {
    json!({"time": second * 1000, "activity_id": 1, "status_id": status, "metadata": {"uid": format!("{second}-{ip}-{user}"), "product": {"name": "OpenSSH sshd"}},
           "src_endpoint": {"ip": ip}, "user": {"name": user}, "service": {"name": "sshd"},
           "observables": [{"name": "src_endpoint.ip", "type_id": 2, "type": "IP Address", "value": ip}, {"name": "user.name", "type_id": 4, "value": user}]})
}

fn names(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.title.as_str()).collect()
}

#[test]
fn an_ssh_brute_force_that_succeeds() {
    let mut events: Vec<Value> = (0..5).map(|n| logon(n, "203.0.113.9", &format!("user{n}"), 2)).collect();
    events.push(logon(30, "203.0.113.9", "ada", 1));
    let findings = engine().observe(&batch(3002, &events));
    assert_eq!(names(&findings), ["SSH brute force that succeeded"]);
    let finding = &findings[0];
    assert_eq!((finding.evidence.len(), finding.severity_id, finding.time.0), (6, 4, 30_000));
    assert!(finding.entities.iter().any(|entity| entity.type_id == 2 && entity.value == "203.0.113.9"));
    assert!(finding.entities.iter().any(|entity| entity.value == "ada"));
    assert_eq!(finding.techniques.iter().map(|technique| technique.uid.as_str()).collect::<Vec<_>>(), ["T1110", "T1110.001"]);
    assert_eq!(finding.uid, engine().observe(&batch(3002, &events))[0].uid, "the same on a replay");

    // One event a batch, and in a wrong order, is the same attack.
    let (mut apart, mut found) = (engine(), Vec::new());
    for event in events.iter().rev() {
        found.extend(apart.observe(&batch(3002, std::slice::from_ref(event))));
    }
    assert_eq!((names(&found), &found[0].uid), (names(&findings), &finding.uid));
}

#[test]
fn log_ons_that_are_no_brute_force() {
    let quiet = |events: Vec<Value>| assert_eq!(names(&engine().observe(&batch(3002, &events))), Vec::<&str>::new());
    let with = |success: Value| (0..5).map(|n| logon(n, "203.0.113.9", "ada", 2)).chain([success]).collect::<Vec<_>>();
    quiet(with(logon(30, "198.51.100.1", "ada", 1)));
    quiet(with(logon(1_000, "203.0.113.9", "ada", 1)));
    quiet((0..4).map(|n| logon(n, "203.0.113.9", "ada", 2)).chain([logon(9, "203.0.113.9", "ada", 1)]).collect());
    let mut elsewhere = with(logon(30, "203.0.113.9", "ada", 1));
    elsewhere.iter_mut().for_each(|event| {
        event["service"]["name"] = json!("ftp");
        event["metadata"]["product"]["name"] = json!("vsftpd");
    });
    quiet(elsewhere);
}

#[test]
fn a_checkpoint_continues_a_half_seen_attack() {
    let failures: Vec<Value> = (0..5).map(|n| logon(n, "203.0.113.9", "ada", 2)).collect();
    let mut before = engine();
    assert!(before.observe(&batch(3002, &failures)).is_empty());
    let saved = before.checkpoint().unwrap();
    let mut after = engine();
    assert!(after.restore(b"not a checkpoint").is_err());
    after.restore(&saved).unwrap();
    assert_eq!(after.observe(&batch(3002, &[logon(30, "203.0.113.9", "ada", 1)])).len(), 1);
}

fn key(day: i64, by: &str, target: &str, error: Option<&str>) -> Value {
    let mut event = json!({"time": day * 86_400_000, "metadata": {"uid": format!("{day}{by}{target}"), "product": {"name": "CloudTrail", "vendor_name": "AWS"}},
        "api": {"operation": "CreateAccessKey", "service": {"name": "iam.amazonaws.com"}},
        "actor": {"user": {"name": by, "uid": format!("arn:aws:iam::1:user/{by}")}}, "unmapped": {"requestParameters": {"userName": target}}});
    if let Some(error) = error {
        event["api"]["response"] = json!({"error": error});
    }
    event
}

#[test]
fn an_access_key_for_somebody_else() {
    assert_eq!(names(&engine().observe(&batch(6003, &[key(0, "mallory", "build", None)]))), ["AWS access key created for somebody else"]);
    assert!(engine().observe(&batch(6003, &[key(0, "ada", "ada", None)])).is_empty());
    assert!(engine().observe(&batch(6003, &[key(0, "mallory", "build", Some("AccessDenied"))])).is_empty());
}

#[test]
fn an_access_key_by_an_unusual_person() {
    let mut engine = engine();
    assert!(engine.observe(&batch(6003, &[key(0, "ada", "ada", None), key(5, "ada", "ada", None), key(10, "ada", "ada", None)])).is_empty());
    assert!(engine.observe(&batch(6003, &[key(15, "ada", "ada", None), key(15, "bob", "bob", None)])).is_empty(), "an older event may still come");
    let findings = engine.advance(weft_model::Timestamp(16 * 86_400_000));
    assert_eq!(names(&findings), ["First AWS access key by this person"], "ada does so often");
    assert!(findings[0].entities.iter().any(|entity| entity.value == "bob"));
}

#[test]
fn a_factor_reset() {
    let event = |code: &str, status: i64| json!({"time": 1, "status_id": status, "metadata": {"uid": "u", "event_code": code, "product": {"name": "Okta System Log", "vendor_name": "Okta"}}, "user": {"name": "ada"}, "src_endpoint": {"ip": "192.0.2.1"}});
    let findings = engine().observe(&batch(3007, &[event("user.mfa.factor.reset_all", 1)]));
    assert_eq!(names(&findings), ["Okta second factor reset"]);
    assert_eq!(findings[0].matched, ["reset: eventType: user.mfa.factor.reset_all"]);
    assert!(findings[0].entities.iter().any(|entity| entity.name == "user.name" && entity.value == "ada"));
    assert!(engine().observe(&batch(3007, &[event("user.mfa.factor.reset_all", 2), event("user.mfa.factor.activate", 1)])).is_empty());
}
