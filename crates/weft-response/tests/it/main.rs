//! The life of a run, in good and bad days; playbooks and their faults.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use weft_model::{ClassUid, Command, Decision, Effect, Entity, EntityUid, Evidence, Finding, Probe, Receipt, Timestamp};
use weft_response::{Action, Event, Phase, Playbook, Run, events, step};

const BLOCK: &str = include_str!("../../../../content/playbooks/block-address.json");

fn playbook() -> Playbook {
    Playbook::parse("block-address.json", BLOCK).unwrap()
}

fn finding(severity: i64) -> Finding {
    let entity = |name: &str, type_id: i64, value: &str| Entity { name: name.into(), type_id, value: value.into() };
    Finding {
        uid: "f1".into(),
        analytic_uid: "rule".into(),
        title: "SSH brute force that succeeded".into(),
        severity_id: severity,
        time: Timestamp(1),
        matched: vec![],
        entities: vec![
            entity("src_endpoint.ip", 2, "203.0.113.66"),
            entity("src_endpoint.ip", 2, "203.0.113.66"),
            entity("user.name", 4, "ada"),
            entity("dst_endpoint.ip", 2, "10.0.0.1"),
        ],
        evidence: vec![Evidence { uid: "e".into(), class: ClassUid(3002), time: Timestamp(1) }],
        techniques: vec![],
        update: false,
    }
}

fn mesh() -> EntityUid {
    EntityUid::new("Automation", "weft")
}

fn ada() -> EntityUid {
    EntityUid::new("User", "ada")
}

fn proposed() -> Run {
    let runs = playbook().proposals(&finding(4), "nftables/gateway");
    assert_eq!(runs.len(), 1, "one for the source, none for the destination");
    runs.into_iter().next().unwrap()
}

fn permit(id: &str) -> Decision {
    Decision { effect: Effect::Permit, determining: vec![id.into()], errors: vec![] }
}

fn forbid(ids: &[&str]) -> Decision {
    Decision { effect: Effect::Forbid, determining: ids.iter().map(|id| (*id).into()).collect(), errors: vec![] }
}

fn receipt() -> Receipt {
    let run = proposed();
    Receipt { summary: "added".into(), undo: Some(Command { action: "unblock_address".into(), ..run.command }) }
}

fn seen(effective: bool) -> Event {
    Event::Probed(Probe { effective, observed: "looked".into() })
}

/// Saves and loads between all steps, as a crash would.
fn walk(mut run: Run, events: Vec<Event>) -> (Run, Action) {
    let mut action = run.resume(&mesh());
    for (at, event) in (0i64..).zip(events) {
        run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
        (run, action) = step(&run, event, Timestamp(at)).unwrap();
    }
    (run, action)
}

#[test]
fn a_severe_finding_proposes_one_run_a_mild_one_none() {
    let run = proposed();
    assert_eq!(
        (run.command.action.as_str(), run.command.object.id.as_str(), &run.command.arguments["severity_id"]),
        ("block_address", "203.0.113.66", &serde_json::json!(4))
    );
    assert_eq!(run.id, proposed().id, "the same finding again is the same run");
    assert_eq!(run.trace, finding(4).trace());
    assert!(playbook().proposals(&finding(3), "nftables/gateway").is_empty());
}

#[test]
fn from_proposal_to_undone() {
    let run = proposed();
    assert_eq!(run.resume(&mesh()), Action::Authorize(mesh(), run.command.clone()));
    let (run, action) = walk(run, vec![Event::Permitted(mesh(), permit("p"))]);
    assert_eq!((run.phase, action), (Phase::Approved, Action::Apply(run.command.clone())));
    let (run, action) = walk(run, vec![Event::Applied(receipt())]);
    assert_eq!((run.phase, action), (Phase::Applied, Action::Probe(run.command.clone())));
    let (run, action) = walk(run, vec![seen(true)]);
    assert_eq!((run.phase, action), (Phase::Verified, Action::Rest));
    let (run, action) = walk(run, vec![Event::UndoAsked(ada())]);
    let undo = run.undo().unwrap();
    assert_eq!((run.phase, action), (Phase::Undoing, Action::Authorize(ada(), undo.clone())));
    let (run, action) = walk(run, vec![Event::Permitted(ada(), permit("undo"))]);
    assert_eq!(action, Action::Undo(undo));
    let (run, action) = walk(run, vec![Event::Reverted("removed".into()), seen(false)]);
    assert_eq!((run.phase, action), (Phase::Undone, Action::Rest));

    let written: Vec<_> = run.history.iter().map(|transition| events::transition(&run, transition)).collect();
    assert!(written.iter().all(|event| event["metadata"]["correlation_uid"] == run.trace.as_str() && event["class_uid"] == 7001));
    assert_eq!(
        written.iter().map(|event| event["unmapped"]["to"].as_str().unwrap()).collect::<Vec<_>>(),
        ["approved", "applied", "verified", "being undone", "being undone", "being undone", "undone"]
    );
}

#[test]
fn a_crash_after_approval_asks_for_the_decision_again() {
    let (run, _) = walk(proposed(), vec![Event::Permitted(mesh(), permit("p"))]);
    assert_eq!(run.resume(&mesh()), Action::Authorize(mesh(), run.command.clone()));
    let (again, action) = walk(run.clone(), vec![Event::Permitted(mesh(), permit("p"))]);
    assert_eq!((again.phase, action), (Phase::Approved, Action::Apply(run.command.clone())));
    let (now_forbidden, action) = walk(run, vec![Event::Denied(mesh(), forbid(&["new-policy"]))]);
    assert_eq!((now_forbidden.phase, action), (Phase::Refused, Action::Rest));
    // Applied, saved, crashed: looks again; applied twice: the first way back is kept.
    let (run, _) = walk(again, vec![Event::Applied(receipt())]);
    assert_eq!(run.resume(&mesh()), Action::Probe(run.command.clone()));
}

#[test]
fn what_no_policy_permits_waits_for_a_person_and_what_one_forbids_does_not() {
    let (run, action) = walk(proposed(), vec![Event::Denied(mesh(), forbid(&[]))]);
    assert_eq!((run.phase, action), (Phase::AwaitingApproval, Action::AskPerson));
    let (by_ada, action) = walk(run.clone(), vec![Event::ApprovedBy(ada())]);
    assert_eq!(action, Action::Authorize(ada(), run.command.clone()));
    assert_eq!(walk(by_ada, vec![Event::Permitted(ada(), permit("responder"))]).0.phase, Phase::Approved);
    assert_eq!(walk(run, vec![Event::RejectedBy(ada(), "our own scanner".into())]).0.phase, Phase::Refused);
    let (run, action) = walk(proposed(), vec![Event::Denied(mesh(), forbid(&["never-block-protected"]))]);
    assert_eq!((run.phase, action), (Phase::Refused, Action::Rest));
    assert_eq!(run.history[0].detail, "forbidden: never-block-protected");
}

#[test]
fn failures_are_tried_again_and_then_told() {
    let approved = vec![Event::Permitted(mesh(), permit("p"))];
    let fail = |again| Event::ApplyFailed("no answer".into(), again);
    let (run, action) = walk(proposed(), [approved.clone(), vec![fail(true)]].concat());
    assert_eq!((run.phase, action), (Phase::Approved, Action::Authorize(mesh(), run.command.clone())));
    assert_eq!(walk(run, vec![fail(true), fail(true)]).0.phase, Phase::Failed);
    assert_eq!(walk(proposed(), [approved.clone(), vec![fail(false)]].concat()).0.phase, Phase::Failed);
    let (run, _) = walk(proposed(), [approved, vec![Event::Applied(receipt()), seen(false)]].concat());
    assert_eq!(run.phase, Phase::NotEffective);
    let (run, action) = walk(run, vec![Event::UndoAsked(ada()), Event::Permitted(ada(), permit("u")), Event::Reverted("x".into()), seen(true)]);
    assert_eq!((run.phase, matches!(action, Action::Authorize(..))), (Phase::Undoing, true), "still blocked: tried again");
}

#[test]
fn an_effect_that_is_gone_is_decided_and_done_again() {
    let verified = vec![Event::Permitted(mesh(), permit("p")), Event::Applied(receipt()), seen(true)];
    let gone = Event::Gone(Probe { effective: false, observed: "reached".into() });
    let (run, action) = walk(proposed(), [verified.clone(), vec![gone.clone()]].concat());
    assert_eq!((run.phase, action), (Phase::Approved, Action::Authorize(mesh(), run.command.clone())));
    let (run, _) = walk(run, verified.clone());
    assert_eq!((run.phase, run.undo()), (Phase::Verified, receipt().undo), "and can be taken back as before");
    let undone = [verified, vec![Event::UndoAsked(ada()), Event::Permitted(ada(), permit("u")), Event::Reverted("x".into()), seen(false)]].concat();
    assert!(step(&walk(proposed(), undone).0, gone, Timestamp(0)).is_err(), "what was taken back is not done again");
}

#[test]
fn an_event_that_does_not_fit_changes_nothing() {
    let run = proposed();
    let wrong = step(&run, Event::Applied(receipt()), Timestamp(0)).unwrap_err();
    assert_eq!((wrong.phase, wrong.event.as_str()), (Phase::Proposed, "applied"));
    assert!(step(&run, Event::UndoAsked(ada()), Timestamp(0)).is_err(), "nothing to take back");
}

#[test]
fn a_decision_is_an_event_with_its_policies() {
    use weft_model::Proposal as _;
    let run = proposed();
    let event = events::decision(&run.command.request(&mesh()), &permit("automation-blocks-severe"), &run.trace, Timestamp(9));
    assert_eq!((&event["class_uid"], &event["actor"]["authorizations"][0]["policy"]["uid"]), (&6003.into(), &"automation-blocks-severe".into()));
    assert_eq!(event["metadata"]["correlation_uid"], run.trace.as_str());
    let event = events::decision(&run.command.request(&mesh()), &forbid(&[]), &run.trace, Timestamp(9));
    assert_eq!((&event["status_id"], &event["status_detail"]), (&2.into(), &"no policy permits it".into()));
}

#[test]
fn faults_of_a_playbook() {
    let faults = |from: &str, to: &str| {
        Playbook::parse("p.json", &BLOCK.replacen(from, to, 1)).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(faults("cacao-2.0", "cacao-1.1").contains("spec_version: `cacao-1.1` is not known"));
    assert!(faults("\"on_completion\": \"end--6b", "\"on_completion\": \"end--7b").contains("there is no such step"));
    assert!(
        faults("\"on_completion\": \"end--6b1c2a54-7b0e-4a5e-9c0f-2f6a6b6d1e04", "\"on_completion\": \"start--6b1c2a54-7b0e-4a5e-9c0f-2f6a6b6d1e02")
            .contains("circles are not run")
    );
    assert!(faults("\"type\": \"action\"", "\"type\": \"while-condition\"").contains("are not run yet"));
    assert!(faults("weft-command", "bash").contains("commands of type `bash` are not run yet"));
    assert!(faults("block_address __address__:value", "block_address __host__:value").contains("`__host__:value` is not a variable"));
    assert!(faults("\"agent\": \"security-category--6b", "\"agent\": \"security-category--7b").contains("is not in agent_definitions"));
    assert!(faults("\"type\": \"playbook\",", "").contains("missing field `type`"));
    assert!(!Playbook::parse("p.json", &"[".repeat(100_000)).unwrap_err().is_empty());
}
