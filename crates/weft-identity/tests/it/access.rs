//! Decisions for other tools: what search finds is what deciding one by one finds; explanations
//! hold when they are tried; watches tell what changed.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use weft_identity::access::search::{Bounds, Sought};
use weft_identity::access::watch::{Cause, Watchlist};
use weft_identity::access::{AccessPoint, Ask, EntityStore, Party, authzen};
use weft_identity::decide::{Naming, Policies, PolicyFile};
use weft_model::Effect;

use crate::exact;

const ALL: Bounds = Bounds { found_max: 1000, decisions_max: 1000 };

fn point(policies: &str, schema: Option<&str>, entities: &[Value]) -> AccessPoint {
    let file = |name: &str, text: &str| PolicyFile { name: name.into(), text: text.into() };
    let schema = schema.map(|text| file("s.cedarschema", text));
    let policies = Policies::compile(schema.as_ref(), &[file("p.cedar", policies)], Naming::Free).unwrap();
    let mut store = EntityStore::new(policies.schema().cloned());
    entities.iter().for_each(|entity| drop(store.upsert(entity).unwrap()));
    AccessPoint::new(policies, store)
}

fn ask(principal: (&str, &str), action: &str, resource: (&str, &str)) -> Ask {
    Ask { principal: Party::new(principal.0, principal.1), action: action.into(), resource: Party::new(resource.0, resource.1), ..Ask::default() }
}

fn entity(kind: &str, id: &str, attrs: Value, parents: &[(&str, &str)]) -> Value {
    let parents: Vec<Value> = parents.iter().map(|(kind, id)| json!({"type": kind, "id": id})).collect();
    json!({"uid": {"type": kind, "id": id}, "attrs": attrs, "parents": parents})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn search_finds_what_deciding_each_one_finds(
        policies in proptest::collection::vec(exact::policy(), 1..12),
        facts in exact::facts(),
        context in exact::attributes(),
    ) {
        let facts: Vec<Value> = facts.as_array().unwrap().clone();
        let point = point(&policies.join("\n"), None, &facts);
        let of_kind = |kind: &str| facts.iter().filter(|entity| entity["uid"]["type"] == kind).map(|entity| entity["uid"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        for action in ["read", "write", "any"] {
            for (kind, other) in [("User", "Doc"), ("Robot", "Folder"), ("User", "Folder")] {
                for given in of_kind(other) {
                    let mut asked = ask((kind, ""), action, (other, &given));
                    asked.context = context.as_object().unwrap().clone();
                    let wanted: Vec<String> = of_kind(kind).into_iter().filter(|id| permits(&point, &asked, id, true)).collect();
                    prop_assert_eq!(paged(&point, Sought::Principals, &asked), wanted, "principals of {:?}", asked);
                }
                for given in of_kind(kind) {
                    let mut asked = ask((kind, &given), action, (other, ""));
                    asked.context = context.as_object().unwrap().clone();
                    let wanted: Vec<String> = of_kind(other).into_iter().filter(|id| permits(&point, &asked, id, false)).collect();
                    prop_assert_eq!(paged(&point, Sought::Resources, &asked), wanted, "resources of {:?}", asked);
                }
            }
        }
    }
}

fn permits(point: &AccessPoint, asked: &Ask, id: &str, principal: bool) -> bool {
    let mut asked = asked.clone();
    if principal {
        id.clone_into(&mut asked.principal.id)
    } else {
        id.clone_into(&mut asked.resource.id)
    }
    point.decide(&asked).effect == Effect::Permit
}

/// All pages, one result or two decisions each.
fn paged(point: &AccessPoint, sought: Sought, asked: &Ask) -> Vec<String> {
    let (mut found, mut from) = (Vec::new(), Some(0));
    while let Some(begin) = from {
        let part = point.search(sought, asked, begin, Bounds { found_max: 1, decisions_max: 2 }).unwrap();
        found.extend(part.ids);
        from = part.next;
    }
    assert_eq!(point.search(sought, asked, 0, ALL).unwrap().ids, found);
    found
}

const POLICIES: &str = r#"
@id("members") @why("Members of a team read what is its own.")
permit (principal in Team::"blue", action == Action::"read", resource is Doc);
@id("owners") @why("Who owns it may do anything with it.")
permit (principal, action, resource is Doc) when { resource.owner == principal };
@id("risky") @why("A risky person reads nothing.")
forbid (principal, action, resource) when { principal has risk && principal.risk >= 80 };
@id("away") @why("Writing is for the office.")
forbid (principal, action == Action::"write", resource) unless { context has network && context.network == "office" };
"#;

fn office() -> AccessPoint {
    let owner = json!({"__entity": {"type": "User", "id": "ada"}});
    point(
        POLICIES,
        None,
        &[
            entity("Team", "blue", json!({}), &[("Team", "all")]),
            entity("User", "ada", json!({"risk": 10}), &[("Team", "blue")]),
            entity("User", "bob", json!({"risk": 80}), &[("Team", "blue")]),
            entity("User", "eve", json!({}), &[]),
            entity("Doc", "plan", json!({"owner": owner}), &[]),
        ],
    )
}

fn decide(point: &AccessPoint, principal: &str, action: &str) -> (Effect, Vec<String>) {
    let decision = point.decide(&ask(("User", principal), action, ("Doc", "plan")));
    (decision.effect, decision.determining)
}

#[test]
fn answers_name_the_determining_policies() {
    let point = office();
    assert_eq!(decide(&point, "ada", "read"), (Effect::Permit, vec!["members".into(), "owners".into()]));
    assert_eq!(decide(&point, "bob", "read"), (Effect::Forbid, vec!["risky".into()]));
    assert_eq!(decide(&point, "eve", "read"), (Effect::Forbid, vec![]));
    assert_eq!(decide(&point, "ada", "write"), (Effect::Forbid, vec!["away".into()]));
    let told = authzen::told(&point, &point.decide(&ask(("User", "bob"), "read", ("Doc", "plan"))));
    assert_eq!(told["context"]["reason"], "forbidden by `risky` (A risky person reads nothing.)");
}

#[test]
fn what_the_request_says_stands_over_what_is_stored() {
    let point = office();
    let mut asked = ask(("User", "bob"), "read", ("Doc", "plan"));
    asked.principal.properties.insert("risk".into(), json!(79));
    assert_eq!(point.decide(&asked).effect, Effect::Permit);
    asked.principal.properties.insert("risk".into(), Value::Null);
    assert_eq!(point.decide(&asked).effect, Effect::Permit, "null is absent");
    asked.principal.properties.insert("risk".into(), json!("high"));
    let broken = point.decide(&asked);
    assert_eq!((broken.effect, broken.errors.len()), (Effect::Forbid, 1), "a forbid that fails closes");
}

fn changes(point: &AccessPoint, asked: &Ask) -> BTreeSet<String> {
    point.explain(asked).changes.iter().map(ToString::to_string).collect()
}

#[test]
fn explanations_are_changes_that_turn_the_answer() {
    let point = office();
    let told = changes(&point, &ask(("User", "bob"), "read", ("Doc", "plan")));
    assert!(told.contains("if `principal.risk` were 79") && told.contains("if `principal.risk` were not there"), "{told:?}");
    assert!(told.contains("if the policy `risky` were not there"), "{told:?}");
    assert!(!told.contains("if `principal.risk` were 81"), "{told:?}");
    let told = changes(&point, &ask(("User", "eve"), "read", ("Doc", "plan")));
    assert!(told.contains("if the principal were in Team `blue`"), "{told:?}");
    assert!(told.iter().any(|change| change.starts_with("if `resource.owner` were") && change.contains("eve")), "{told:?}");
    assert!(!told.iter().any(|change| change.contains("policy")), "nothing forbids: {told:?}");
    let told = changes(&point, &ask(("User", "ada"), "write", ("Doc", "plan")));
    assert!(told.contains("if `context.network` were \"office\""), "{told:?}");
    let told = changes(&point, &ask(("User", "ada"), "read", ("Doc", "plan")));
    assert!(told.contains("if `principal.risk` were 80"), "{told:?}");
    assert!(
        !told.contains("if the policy `owners` were not there") && !told.contains("if the principal were not in Team `blue`"),
        "two permits hold: {told:?}"
    );
}

#[test]
fn a_watch_tells_when_an_answer_turns() {
    let mut point = office();
    let mut watches = Watchlist::default();
    let (ada, first) = watches.add(&point, ask(("User", "ada"), "read", ("Doc", "plan")));
    let (_bob, _) = watches.add(&point, ask(("User", "bob"), "read", ("Doc", "plan")));
    let (new, _) = watches.add(&point, ask(("User", "new"), "read", ("Doc", "plan")));
    assert_eq!(first.effect, Effect::Permit);
    let facts = |point: &mut AccessPoint, watches: &mut Watchlist, entity: &Value| {
        let name = point.store_mut().upsert(entity).unwrap();
        watches.reassess(point, Cause::Facts(&[name])).into_iter().map(|flip| (flip.watch, flip.after.effect, flip.after.determining)).collect::<Vec<_>>()
    };
    let risky = facts(&mut point, &mut watches, &entity("User", "ada", json!({"risk": 95}), &[("Team", "blue")]));
    assert_eq!(risky, [(ada, Effect::Forbid, vec!["risky".to_owned()])]);
    assert_eq!(facts(&mut point, &mut watches, &entity("User", "eve", json!({"risk": 95}), &[])), [], "nobody watches eve");
    let calm = facts(&mut point, &mut watches, &entity("User", "ada", json!({"risk": 5}), &[("Team", "blue")]));
    assert_eq!(calm, [(ada, Effect::Permit, vec!["members".to_owned(), "owners".to_owned()])]);
    let joined = facts(&mut point, &mut watches, &entity("User", "new", json!({}), &[("Team", "green")]));
    assert_eq!(joined, []);
    let through = facts(&mut point, &mut watches, &entity("Team", "green", json!({}), &[("Team", "blue")]));
    assert_eq!(through, [(new, Effect::Permit, vec!["members".to_owned()])], "by a group above its own");
    assert!(point.store_mut().remove("Team", "green"));
    let gone = watches.reassess(&point, Cause::Facts(&[("Team".into(), "green".into())]));
    assert_eq!(gone.iter().map(|flip| flip.watch).collect::<Vec<_>>(), [new]);
    let other = AccessPoint::new(
        Policies::compile(None, &[PolicyFile { name: "p".into(), text: "permit (principal, action, resource);".into() }], Naming::Free).unwrap(),
        point.into_store(),
    );
    let opened = watches.reassess(&other, Cause::Policies);
    assert_eq!(opened.len(), 2, "bob and the new one: {opened:?}");
    watches.remove(ada);
    assert_eq!(watches.len(), 2);
}

#[test]
fn a_schema_types_what_requests_say() {
    let schema = r#"
        entity Team; entity User in [Team] = { "risk"?: Long, "from"?: ipaddr }; entity Doc = { "owner"?: User };
        action read, write appliesTo { principal: [User], resource: [Doc], context: { "network"?: String, "action"?: { "soft"?: Bool } } };
    "#;
    let policies = "permit (principal, action, resource) when { principal has from && principal.from.isInRange(ip(\"10.0.0.0/8\")) };\n\
                    permit (principal, action == Action::\"write\", resource) when { context has action && context.action has soft && context.action.soft };";
    let point = point(policies, Some(schema), &[entity("User", "ada", json!({"from": "10.1.2.3"}), &[("Team", "blue")])]);
    assert_eq!(point.decide(&ask(("User", "ada"), "read", ("Doc", "plan"))).effect, Effect::Permit);
    let mut asked = ask(("User", "eve"), "write", ("Doc", "plan"));
    assert_eq!(point.decide(&asked).effect, Effect::Forbid);
    asked.action_properties.insert("soft".into(), json!(true));
    assert_eq!(point.decide(&asked).effect, Effect::Permit);
    asked.context.insert("weather".into(), json!("fine"));
    let unfit = point.decide(&asked);
    assert!(unfit.effect == Effect::Forbid && unfit.errors[0].contains("weather"), "{unfit:?}");
    assert_eq!(point.action_names(), ["read", "write"]);
    let mut store = EntityStore::new(point.policies().schema().cloned());
    let fault = store.upsert(&entity("User", "ada", json!({"risk": "high"}), &[])).unwrap_err();
    assert!(fault.contains("User::\"ada\"") && fault.contains("risk"), "{fault}");
}

#[test]
fn facts_that_are_none_are_told() {
    let mut store = EntityStore::new(None);
    for (wrong, part) in [
        (json!("ada"), "an entity is an object"),
        (json!({"attrs": {}}), "named by `type` and `id`"),
        (json!({"uid": {"type": "User", "id": 7}}), "named by `type` and `id`"),
        (json!({"uid": {"type": "no type", "id": "x"}}), "is not a name of a type"),
        (json!({"uid": {"type": "User", "id": "x"}, "attrs": []}), "`attrs` is an object"),
        (json!({"uid": {"type": "User", "id": "x"}, "parents": {}}), "`parents` is a list"),
        (json!({"uid": {"type": "User", "id": "x"}, "attrs": {"at": {"__extn": {"fn": "ip", "arg": "nowhere"}}}}), "nowhere"),
        (json!({"uid": {"type": "User", "id": "x"}, "attrs": {"at": {"__extn": {"fn": "format"}}}}), "`__extn` needs"),
    ] {
        let fault = store.upsert(&wrong).unwrap_err();
        assert!(fault.contains(part) && !fault.contains('\n'), "{wrong}: {fault}");
    }
    let deep = (0..100).fold(json!(1), |inner, _| json!({"in": inner}));
    assert!(store.upsert(&entity("User", "x", deep, &[])).unwrap_err().contains("deeper"));
    assert!(store.is_empty());
    let circle =
        point("permit (principal, action, resource);", None, &[entity("T", "a", json!({}), &[("T", "b")]), entity("T", "b", json!({}), &[("T", "a")])]);
    let decision = circle.decide(&ask(("T", "a"), "read", ("T", "b")));
    assert!(decision.effect == Effect::Forbid && decision.errors[0].contains("cycle"), "{decision:?}");
}
