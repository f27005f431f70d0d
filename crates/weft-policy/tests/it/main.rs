//! Intent and checks, each with its opposite.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod machines;

use std::collections::BTreeMap;

use serde_json::json;
use weft_model::{Artifact, Change, Compiled, Dialect, Plan, Policy, PolicySet, Timestamp, TraceId};
use weft_policy::{Active, Check, Status, Subject, drift, policy_set};

const ROOT: &str = include_str!("../../../../content/checks/ssh-root-login.toml");
const PASSWORD: &str = include_str!("../../../../content/checks/ssh-password.toml");

fn block(address: &str, since: i64, until: Option<i64>) -> Active {
    let policy = Policy::BlockAddress { address: address.parse().unwrap(), reason: format!("since {since}") };
    Active { policy, trace: TraceId::of(address), since: Timestamp(since), until: until.map(Timestamp) }
}

fn addresses(set: &PolicySet) -> Vec<String> {
    set.policies.iter().map(|Policy::BlockAddress { address, .. }| address.to_string()).collect()
}

#[test]
fn what_is_in_force() {
    let active = [block("192.0.2.2", 5, None), block("192.0.2.1", 1, Some(10)), block("192.0.2.2", 6, None), block("192.0.2.3", 50, None)];
    assert_eq!(addresses(&policy_set(&active, Timestamp(7))), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(addresses(&policy_set(&active, Timestamp(10))), ["192.0.2.2"]);
    assert_eq!(addresses(&policy_set(&[], Timestamp(10))), Vec::<String>::new());
}

struct Lines;
impl Dialect for Lines {
    fn compile(&self, policies: &PolicySet) -> Compiled {
        Compiled { artifact: Artifact { lines: addresses(policies).into_iter().collect() }, gaps: Vec::new() }
    }
    fn plan(&self, intended: &Artifact, actual: &Artifact) -> Plan {
        intended.difference(actual, "test/lines")
    }
}

#[test]
fn drift_is_what_a_tool_lacks() {
    let set = policy_set(&[block("192.0.2.1", 0, None)], Timestamp(1));
    let actual = Artifact { lines: ["192.0.2.9".to_owned()].into() };
    assert_eq!(drift(&Lines, &set, &actual).plan.changes, [Change::Add("192.0.2.1".into()), Change::Remove("192.0.2.9".into())]);
    assert!(drift(&Lines, &set, &drift(&Lines, &set, &actual).compiled.artifact).plan.is_empty());
}

fn sshd(facts: &[(&str, &str)]) -> Subject {
    let facts: BTreeMap<String, String> = facts.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Subject { kind: "sshd_config".into(), uid: "host-1".into(), name: "web-1".into(), facts }
}

#[test]
fn root_may_not_log_on_with_a_password() {
    let check = Check::parse("ssh-root-login.toml", ROOT).unwrap();
    let status = |subject: &Subject| check.evaluate(subject).unwrap().status;
    assert_eq!(status(&sshd(&[("permitrootlogin", "yes")])), Status::Fail);
    assert_eq!(status(&sshd(&[("permitrootlogin", "No")])), Status::Pass);
    assert_eq!(status(&sshd(&[("port", "22")])), Status::Unknown);
    assert!(check.evaluate(&Subject { kind: "s3_bucket".into(), ..sshd(&[]) }).is_none());
}

#[test]
fn passwords_are_not_taken() {
    let check = Check::parse("ssh-password.toml", PASSWORD).unwrap();
    let bad = sshd(&[("passwordauthentication", "yes"), ("permitemptypasswords", "no")]);
    let event = check.evaluate(&bad).unwrap().to_ocsf(Timestamp(7));
    assert_eq!((&event["class_uid"], &event["compliance"]["status_id"], &event["severity_id"]), (&json!(2003), &json!(3), &json!(3)));
    assert_eq!(event["compliance"]["status_details"][0], "`passwordauthentication` is `yes`, expected one of no");
    let good = sshd(&[("passwordauthentication", "no"), ("permitemptypasswords", "no")]);
    let event = check.evaluate(&good).unwrap().to_ocsf(Timestamp(7));
    assert_eq!((&event["compliance"]["status"], &event["severity_id"]), (&json!("Pass"), &json!(1)));
}

#[test]
fn a_broken_check_says_where() {
    let fault = Check::parse("x.toml", "id = 3").unwrap_err().to_string();
    assert!(fault.starts_with("x.toml: ") && fault.contains("line 1"), "{fault}");
    let idle = ROOT.replace("one_of", "# one_of");
    assert!(Check::parse("x.toml", &idle).unwrap_err().reason.contains("says nothing"));
}
