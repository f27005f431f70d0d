//! The index answers as plain Cedar does: over random policies and facts, and Cedar's own tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, Response, Schema};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use weft_identity::PolicyIndex;

/// Decision, determining policies and errors.
fn told(response: &Response) -> (Decision, BTreeSet<String>, BTreeSet<String>) {
    let diagnostics = response.diagnostics();
    (response.decision(), diagnostics.reason().map(ToString::to_string).collect(), diagnostics.errors().map(ToString::to_string).collect())
}

fn request(principal: &str, action: &str, resource: &str, context: Value) -> Request {
    let uid = |text: &str| EntityUid::from_str(text).unwrap();
    Request::new(uid(principal), uid(action), uid(resource), Context::from_json_value(context, None).unwrap(), None).unwrap()
}

const PRINCIPALS: [&str; 5] = ["User::\"0\"", "User::\"1\"", "User::\"2\"", "Robot::\"0\"", "User::\"unknown\""];
const GROUPS: [&str; 4] = ["Group::\"0\"", "Group::\"1\"", "Group::\"2\"", "Group::\"unknown\""];
const ACTIONS: [&str; 4] = ["Action::\"read\"", "Action::\"write\"", "Action::\"any\"", "Action::\"unknown\""];
const RESOURCES: [&str; 5] = ["Doc::\"0\"", "Doc::\"1\"", "Folder::\"0\"", "Folder::\"1\"", "Doc::\"unknown\""];

fn uid(text: &str) -> Value {
    let (kind, id) = text.split_once("::").unwrap();
    json!({"type": kind, "id": id.trim_matches('"')})
}

/// Attributes of which any may be missing, and may be of another kind than policies expect.
pub(crate) fn attributes() -> impl Strategy<Value = Value> {
    let text = || prop_oneof![Just(None), select(vec!["red", "blue"]).prop_map(|text| Some(json!(text))), Just(Some(json!(7)))];
    let level = prop_oneof![Just(None), (0_i64..3).prop_map(|level| Some(json!(level)))];
    let owner = prop_oneof![Just(None), select(PRINCIPALS.to_vec()).prop_map(|owner| Some(json!({"__entity": uid(owner)})))];
    (text(), text(), level, owner).prop_map(|(colour, shape, level, owner)| {
        let named = [("colour", colour), ("shape", shape), ("level", level), ("owner", owner)];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<serde_json::Map<_, _>>().into()
    })
}

fn subset(of: &'static [&'static str]) -> impl Strategy<Value = Vec<Value>> {
    proptest::collection::btree_set(select(of), 0..=of.len()).prop_map(|chosen| chosen.into_iter().map(uid).collect())
}

pub(crate) fn facts() -> impl Strategy<Value = Value> {
    let one = |name: &'static str, parents: &'static [&'static str]| {
        (attributes(), subset(parents)).prop_map(move |(attrs, parents)| json!({"uid": uid(name), "attrs": attrs, "parents": parents}))
    };
    let all = (
        one("User::\"0\"", &GROUPS),
        one("User::\"1\"", &GROUPS),
        one("User::\"2\"", &GROUPS),
        one("Robot::\"0\"", &GROUPS),
        one("Group::\"0\"", &["Group::\"1\"", "Group::\"2\""]),
        one("Group::\"1\"", &["Group::\"2\""]),
        one("Doc::\"0\"", &["Folder::\"0\"", "Folder::\"1\""]),
        one("Doc::\"1\"", &["Folder::\"1\""]),
        one("Folder::\"0\"", &["Folder::\"1\""]),
    );
    all.prop_map(|(a, b, c, d, e, f, g, h, i)| {
        let actions = ["read", "write"].map(|id| json!({"uid": {"type": "Action", "id": id}, "attrs": {}, "parents": [uid("Action::\"any\"")]}));
        let all: Vec<Value> = [a, b, c, d, e, f, g, h, i].into_iter().chain(actions).collect();
        all.into()
    })
}

fn entities() -> impl Strategy<Value = Entities> {
    facts().prop_map(|facts| Entities::from_json_value(facts, None).unwrap())
}

fn scope(variable: &'static str, kinds: &'static [&'static str], these: &'static [&'static str], groups: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![
        2 => Just(variable.to_owned()),
        2 => select(these).prop_map(move |uid| format!("{variable} == {uid}")),
        2 => select(groups).prop_map(move |uid| format!("{variable} in {uid}")),
        1 => select(kinds).prop_map(move |kind| format!("{variable} is {kind}")),
        1 => (select(kinds), select(groups)).prop_map(move |(kind, uid)| format!("{variable} is {kind} in {uid}")),
    ]
    .boxed()
}

fn action() -> BoxedStrategy<String> {
    prop_oneof![
        Just("action".to_owned()),
        select(ACTIONS.to_vec()).prop_map(|uid| format!("action == {uid}")),
        proptest::collection::vec(select(ACTIONS.to_vec()), 0..3).prop_map(|uids| format!("action in [{}]", uids.join(", "))),
    ]
    .boxed()
}

/// What an index may look up, what it may not, and what fails.
fn leaf() -> BoxedStrategy<String> {
    let base = || select(vec!["principal", "resource", "context"]);
    let name = || select(vec!["colour", "shape", "level", "owner"]);
    let value = || select(vec!["\"red\"", "\"blue\"", "7", "1", "true", "User::\"0\"", "principal", "resource"]);
    prop_oneof![
        4 => (base(), name(), value()).prop_map(|(base, name, value)| format!("{base}.{name} == {value}")),
        1 => (base(), name(), value()).prop_map(|(base, name, value)| format!("{value} == {base}.{name}")),
        1 => (base(), name(), value()).prop_map(|(base, name, value)| format!("{base}.{name} != {value}")),
        3 => (base(), name()).prop_map(|(base, name)| format!("{base} has {name}")),
        1 => (base(), name(), 0..3).prop_map(|(base, name, level)| format!("{base}.{name} > {level}")),
        1 => (base(), name()).prop_map(|(base, name)| format!("{base}.{name}")),
        3 => select(GROUPS.to_vec()).prop_map(|uid| format!("principal in {uid}")),
        1 => proptest::collection::vec(select(GROUPS.to_vec()), 0..3).prop_map(|uids| format!("principal in [{}]", uids.join(", "))),
        1 => Just("principal in resource".to_owned()),
        1 => Just("resource.owner in Group::\"1\"".to_owned()),
        1 => select(PRINCIPALS.to_vec()).prop_map(|uid| format!("principal == {uid}")),
        1 => select(RESOURCES.to_vec()).prop_map(|uid| format!("resource in {uid}")),
        1 => select(vec!["principal is User", "resource is Doc", "resource is Doc in Folder::\"1\"", "principal == resource", "true", "false", "1 + 1 == 2"]).prop_map(str::to_owned),
    ]
    .boxed()
}

fn expression() -> BoxedStrategy<String> {
    leaf()
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                4 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" && "))),
                2 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" || "))),
                1 => inner.clone().prop_map(|part| format!("!({part})")),
                1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
            ]
        })
        .boxed()
}

pub(crate) fn policy() -> impl Strategy<Value = String> {
    let condition = (select(vec!["when", "when", "when", "unless"]), expression()).prop_map(|(kind, body)| format!("{kind} {{ {body} }}"));
    (
        select(vec!["permit", "forbid"]),
        scope("principal", &["User", "Robot"], &PRINCIPALS, &GROUPS),
        action(),
        scope("resource", &["Doc", "Folder"], &RESOURCES, &RESOURCES),
        proptest::collection::vec(condition, 0..3),
    )
        .prop_map(|(effect, principal, action, resource, conditions)| format!("{effect} ({principal}, {action}, {resource}) {};", conditions.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_random_set_of_policies_is_decided_otherwise(
        policies in proptest::collection::vec(policy(), 1..40),
        entities in entities(),
        contexts in proptest::collection::vec(attributes(), 2),
    ) {
        let set = PolicySet::from_str(&policies.join("\n")).unwrap();
        let index = PolicyIndex::new(&set);
        for (principal, action, resource) in PRINCIPALS.iter().flat_map(|p| ACTIONS.iter().flat_map(move |a| RESOURCES.iter().map(move |r| (p, a, r)))) {
            for context in &contexts {
                let asked = request(principal, action, resource, context.clone());
                let plain = told(&Authorizer::new().is_authorized(&asked, &set, &entities));
                prop_assert_eq!(told(&index.is_authorized(&asked, &entities)), plain, "{} {} {} {}", principal, action, resource, context);
            }
        }
    }
}

#[test]
fn only_what_may_hold_is_evaluated() {
    let text: String = (0..500)
        .map(|n| {
            format!(
                "permit (principal in Group::\"{n}\", action, resource);\n\
                 permit (principal, action == Action::\"read\", resource == Doc::\"{n}\");\n\
                 permit (principal, action, resource is Doc) when {{ resource.tenant == \"{n}\" && principal.level > 3 }};\n"
            )
        })
        .collect();
    let index = PolicyIndex::new(&PolicySet::from_str(&text).unwrap());
    let facts = json!([
        {"uid": uid("User::\"0\""), "attrs": {"level": 4}, "parents": [uid("Group::\"7\"")]},
        {"uid": uid("Doc::\"9\""), "attrs": {"tenant": "11"}, "parents": []},
        {"uid": uid("Doc::\"10\""), "attrs": {}, "parents": []},
    ]);
    let entities = Entities::from_json_value(facts, None).unwrap();
    let count = |resource: &str| index.candidates_count(&request("User::\"0\"", "Action::\"read\"", resource, json!({})), &entities);
    assert_eq!(count("Doc::\"9\""), 3);
    assert_eq!(count("Doc::\"10\""), 502, "all that read the missing attribute fail, and must say so");
    assert_eq!(count("Folder::\"10\""), 1);
}

/// The shared tests of the language; none where they are not.
fn cases() -> Option<PathBuf> {
    weft_testkit::data("identity/cedar")
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn the_hand_written_tests_of_the_language() {
    let Some(root) = cases() else { return };
    let mut requests = 0;
    for file in json_files(&root.join("tests")) {
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let read = |name: &str| std::fs::read_to_string(root.join(case[name].as_str().unwrap())).unwrap();
        let (schema, _) = Schema::from_cedarschema_str(&read("schema")).unwrap();
        let index = PolicyIndex::new(&PolicySet::from_str(&read("policies")).unwrap());
        // What is not meant to fit the schema is read without it.
        let entities = Entities::from_json_str(&read("entities"), Some(&schema));
        let entities = entities.unwrap_or_else(|_| Entities::from_json_str(&read("entities"), None).unwrap());
        for one in case["requests"].as_array().unwrap() {
            let action = EntityUid::from_json(one["action"].clone()).unwrap();
            let context = Context::from_json_value(one["context"].clone(), Some((&schema, &action)));
            let context = context.unwrap_or_else(|_| Context::from_json_value(one["context"].clone(), None).unwrap());
            let named = |name: &str| EntityUid::from_json(one[name].clone()).unwrap();
            let asked = Request::new(named("principal"), action, named("resource"), context, None).unwrap();
            let (decision, reason, errors) = told(&index.is_authorized(&asked, &entities));
            let listed = |name: &str| one[name].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
            let place = format!("{}: {}", file.display(), one["description"]);
            assert_eq!(decision == Decision::Allow, one["decision"] == "allow", "{place}");
            assert_eq!(reason, listed("reason"), "{place}");
            assert_eq!(errors.len(), listed("errors").len(), "{place}: {errors:?}");
            requests += 1;
        }
    }
    assert!(requests >= 40, "only {requests} requests were found");
}
