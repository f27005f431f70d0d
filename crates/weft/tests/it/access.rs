//! The decision point over real HTTP: the certification scenario and the interoperability payloads
//! of AuthZEN, bad requests, pushed facts, watches, the decision log.

mod proxies;
mod scenario;

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::mesh::{Mesh, until};
use crate::{count, text, weft};

/// Policies of the certification scenario's fixture, of the todo and of the identity provider's
/// interoperability scenario.
const POLICIES: &str = r#"
@id("read") permit (principal is user, action == Action::"read", resource is record);
@id("write") permit (principal == user::"alice", action == Action::"write", resource is record)
unless { resource has status && resource.status == "archived" };
@id("archive") permit (principal is user, action == Action::"write", resource is record)
when { principal has role && principal.role == "admin" && resource has status && resource.status == "archived" };
@id("soft") permit (principal == user::"alice", action == Action::"delete", resource is record)
when { context has action && context.action has soft && context.action.soft };

@id("look") permit (principal is user, action in [Action::"can_read_user", Action::"can_read_todos"], resource);
@id("create") permit (principal is user, action == Action::"can_create_todo", resource is todo)
when { principal.roles.containsAny(["admin", "editor"]) };
@id("own") permit (principal is user, action in [Action::"can_update_todo", Action::"can_delete_todo"], resource is todo)
when { principal.roles.contains("editor") && resource.ownerID == principal.email };
@id("genius") permit (principal is user, action == Action::"can_update_todo", resource is todo) when { principal.roles.contains("evil_genius") };
@id("admin") permit (principal is user, action == Action::"can_delete_todo", resource is todo) when { principal.roles.contains("admin") };

@id("owner") permit (principal is user, action == Action::"delete", resource is record) when { resource has owner && resource.owner == principal };
"#;

fn entity(kind: &str, id: &str, attrs: Value) -> Value {
    json!({"uid": {"type": kind, "id": id}, "attrs": attrs, "parents": []})
}

/// Persons of the todo scenario: number in their identity, e-mail, roles.
const PERSONS: [(&str, &str, &[&str]); 5] = [
    ("CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "rick@the-citadel.com", &["admin", "evil_genius"]),
    ("CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "morty@the-citadel.com", &["editor"]),
    ("CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "summer@the-smiths.com", &["editor"]),
    ("CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "beth@the-smiths.com", &["viewer"]),
    ("CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "jerry@the-smiths.com", &["viewer"]),
];

/// Policies and facts of all scenarios in a home's folder.
fn furnish(home: &Path) {
    let mut entities = vec![
        entity("user", "alice", json!({})),
        entity("user", "bob", json!({"role": "admin"})),
        entity("record", "record-1", json!({"status": "active"})),
        entity("record", "record-2", json!({"status": "archived"})),
    ];
    for (number, (id, email, roles)) in PERSONS.iter().enumerate() {
        entities.extend([id, email].map(|id| entity("user", id, json!({"email": email, "roles": roles}))));
        let todo = format!("7240d0db-8ff0-41ec-98b2-34a096273b9{}", [2, 1, 3, 4, 5][number]);
        entities.push(entity("todo", &todo, json!({"ownerID": email})));
    }
    if let Some(folder) = weft_testkit::data("identity/authzen") {
        let read = |name: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap() };
        for user in read("interop__authzen-idp__data__users.json").as_array().unwrap() {
            entities.push(entity("user", user["id"].as_str().unwrap(), if user["id"] == "bob" { json!({"role": "admin"}) } else { json!({}) }));
        }
        for record in read("interop__authzen-idp__data__records.json").as_array().unwrap() {
            let owner = json!({"owner": {"__entity": {"type": "user", "id": record["owner"]}}});
            entities.push(entity("record", record["id"].as_str().unwrap(), owner));
        }
    }
    let folder = home.join("access");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("rules.cedar"), POLICIES).unwrap();
    std::fs::write(folder.join("entities.json"), Value::Array(entities).to_string()).unwrap();
    let config = "[access]\ntoken = \"enforcement-point-1\"\nurl = \"https://pdp.example.com/tenant1\"\nlook_seconds = 1\n";
    std::fs::write(home.join("weft.toml"), config).unwrap();
}

/// A client that sees everything of an answer.
struct Pdp {
    base: String,
    token: String,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
}

struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Pdp {
    fn of(mesh: &Mesh) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { base: format!("http://{}", mesh.host()), token: mesh.token().to_owned(), runtime, http: reqwest::Client::new() }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = response.bytes().await.unwrap();
            Reply { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
        })
    }

    fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body))
    }

    fn decide(&self, body: &Value) -> Value {
        self.post("/access/v1/evaluation", body).body["decision"].clone()
    }
}

fn alice(action: &str, record: &str) -> Value {
    json!({"subject": {"type": "user", "id": "alice"}, "action": {"name": action}, "resource": {"type": "record", "id": record}})
}

#[test]
fn the_certification_scenario_and_the_interoperability_payloads() {
    let Some(folder) = weft_testkit::data("identity/authzen") else { return };
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let mesh = Mesh::start(home.path());
    let pdp = Pdp::of(&mesh);
    let text = std::fs::read_to_string(folder.join("certification__authorization-api-1_0-scenario.md")).unwrap();
    let run = scenario::run(&text, |path, body| {
        let reply = pdp.post(path, body);
        assert_eq!(reply.headers["content-type"], "application/json", "{path} {body}");
        (reply.status, reply.body)
    });
    assert!(run >= 49, "only {run} requests of the scenario were found");
    transport(&pdp);
    pages(&pdp);
    discovery(&pdp);
    for version in ["", "-authorization-api-1_0-00", "-authorization-api-1_0-01", "-authorization-api-1_0-02"] {
        let file = folder.join(format!("interop__authzen-todo-backend__test__decisions{version}.json"));
        let payload: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        for key in ["decisions", "evaluation"] {
            for one in payload[key].as_array().into_iter().flatten() {
                assert_eq!(pdp.decide(&one["request"]), one["expected"], "{version}: {}", one["request"]);
            }
        }
        for one in payload["evaluations"].as_array().into_iter().flatten() {
            let told = pdp.post("/access/v1/evaluations", &one["request"]).body;
            let decisions: Vec<Value> = told["evaluations"].as_array().unwrap().iter().map(|one| json!({"decision": one["decision"]})).collect();
            assert_eq!(Value::Array(decisions), one["expected"], "{version}: {}", one["request"]);
        }
    }
    let file = folder.join("interop__authzen-idp__test-harness__src__results.json");
    let payload: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for one in payload["search"].as_array().unwrap() {
        assert_eq!(pdp.post("/access/v1/search/resource", &one["request"]).body["results"], one["expected"]["results"], "{}", one["request"]);
    }
}

/// What the scenario says in prose of headers, bodies and repetition.
fn transport(pdp: &Pdp) {
    let asked = alice("read", "record-1");
    let echoed = pdp.send(pdp.request(Method::POST, "/access/v1/evaluation").header("x-request-id", "bfe9eb29-ab87").json(&asked));
    assert_eq!((echoed.status, &echoed.headers["x-request-id"]), (200, &"bfe9eb29-ab87".parse().unwrap()));
    for _ in 0..5 {
        assert_eq!(pdp.decide(&asked), true);
    }
    let path = "/access/v1/evaluation";
    let raw = |kind: &str, body: String| pdp.send(pdp.request(Method::POST, path).header("content-type", kind).header("x-request-id", "7").body(body));
    let long = json!({"subject": {"type": "user", "id": "alice", "properties": {"x": "y".repeat(2 << 20)}}}).to_string();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (kind, body, part) in [
        ("text/plain", asked.to_string(), "Content-Type"),
        ("application/json", "{\"subject\":".to_owned(), "not JSON"),
        ("application/json", String::new(), "empty"),
        ("application/json", "[]".to_owned(), "object"),
        ("application/json", "null".to_owned(), "object"),
        ("application/json", long, "longer than"),
        ("application/json", deep, "not JSON"),
    ] {
        let reply = raw(kind, body);
        assert_eq!((reply.status, &reply.headers["x-request-id"]), (400, &"7".parse().unwrap()), "{part}");
        assert!(reply.body["error"]["message"].as_str().unwrap().contains(part), "{part}: {}", reply.body);
    }
    assert_eq!(raw("application/json; charset=utf-8", asked.to_string()).status, 200);
    for token in ["", "Bearer nobody"] {
        let reply = pdp.send(pdp.http.post(format!("{}{path}", pdp.base)).header("authorization", token).header("x-request-id", "8").json(&asked));
        assert_eq!((reply.status, &reply.headers["x-request-id"]), (401, &"8".parse().unwrap()));
    }
    let enforcing = pdp.send(pdp.http.post(format!("{}{path}", pdp.base)).bearer_auth("enforcement-point-1").json(&asked));
    assert_eq!(enforcing.body["decision"], true, "a token that asks");
    wrong(pdp);
}

/// Requests that are none, beyond those of the scenario; and the other two semantics.
fn wrong(pdp: &Pdp) {
    let batch = |options: Value, evaluations: Value| {
        let mut request = alice("read", "record-1");
        request["options"] = options;
        request["evaluations"] = evaluations;
        pdp.post("/access/v1/evaluations", &request)
    };
    for (options, evaluations) in [
        (json!({"evaluations_semantic": "all"}), json!([{}])),
        (json!({"evaluations_semantic": 7}), json!([{}])),
        (json!("execute_all"), json!([{}])),
        (json!({}), json!({})),
        (json!({}), json!("x")),
        (json!({}), Value::Array(vec![json!({}); 10_001])),
    ] {
        let reply = batch(options, evaluations);
        assert!(reply.status == 400 && reply.body["error"]["message"].is_string(), "{}", reply.body);
    }
    let ill = pdp.post("/access/v1/evaluations", &json!({"subject": "alice", "evaluations": [alice("read", "record-1")]}));
    assert_eq!(ill.status, 400, "a default of the wrong type");
    let items = json!([{"action": {"name": "write"}}, {"action": {"name": "delete"}}, {"resource": 7}, 7, {"action": {"name": "read"}}]);
    let decisions = |semantic: &str| {
        let told = batch(json!({"evaluations_semantic": semantic}), items.clone()).body;
        told["evaluations"].as_array().unwrap().iter().map(|one| one["decision"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(decisions("execute_all"), [true, false, false, false, true]);
    assert_eq!(decisions("deny_on_first_deny"), [true, false]);
    assert_eq!(decisions("permit_on_first_permit"), [true]);
    let broken = &batch(json!({}), items.clone()).body["evaluations"][2];
    assert_eq!((&broken["context"]["error"]["status"], &broken["context"]["reason"]), (&json!(400), &json!("`resource` must be a JSON object")));
    let told = pdp.post("/access/v1/evaluation", &alice("read", "record-1")).body;
    assert_eq!(told["context"]["determining_policies"], json!(["read"]));
    let odd = json!({"subject": {"type": "urn:x:user", "id": "a"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}});
    let odd = pdp.post("/access/v1/evaluation", &odd);
    assert_eq!((odd.status, &odd.body["decision"]), (200, &json!(false)), "a type that no policy can name");
}

/// Pages one by one hold what one page holds; a token is that of its search.
fn pages(pdp: &Pdp) {
    let ids = |body: &Value| body["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let mut search = json!({"subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "record", "id": "record-1"}});
    let whole = pdp.post("/access/v1/search/subject", &search).body;
    assert_eq!((&whole["page"]["next_token"], whole["page"]["count"].as_u64()), (&json!(""), Some(ids(&whole).len() as u64)));
    let (mut found, mut token) = (Vec::new(), Value::Null);
    loop {
        search["page"] = if token.is_null() { json!({"limit": 2}) } else { json!({"limit": 2, "token": token}) };
        let page = pdp.post("/access/v1/search/subject", &search).body;
        assert!(ids(&page).len() <= 2);
        found.extend(ids(&page));
        token = page["page"]["next_token"].clone();
        if token == "" {
            break;
        }
        let mut other = search.clone();
        other["action"]["name"] = json!("write");
        other["page"]["token"] = token.clone();
        assert_eq!(pdp.post("/access/v1/search/subject", &other).status, 400, "the token of another search");
    }
    assert_eq!(found, ids(&whole));
    for page in [json!({"limit": 0}), json!({"limit": "2"}), json!({"token": 7}), json!({"token": "x"}), json!([])] {
        search["page"] = page;
        assert_eq!(pdp.post("/access/v1/search/subject", &search).status, 400, "{search}");
    }
    let mut actions = json!({"subject": {"type": "user", "id": "alice"}, "resource": {"type": "record", "id": "record-1"}, "page": {"limit": 1}});
    let first = pdp.post("/access/v1/search/action", &actions).body;
    assert_eq!(first["results"].as_array().unwrap().len(), 1);
    actions["page"] = json!({"token": first["page"]["next_token"]});
    let rest = pdp.post("/access/v1/search/action", &actions).body;
    let names: BTreeSet<&str> =
        [&first, &rest].into_iter().flat_map(|page| page["results"].as_array().unwrap()).map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains("read") && names.contains("write") && rest["page"]["next_token"] == "", "{names:?}");
}

fn discovery(pdp: &Pdp) {
    let described = pdp.send(pdp.request(Method::GET, "/api/v1/openapi.json")).body;
    for path in ["/access/v1/evaluation", "/access/v1/search/{kind}", "/access/v1/forward-auth", "/api/v1/query"] {
        assert!(described["paths"][path].is_object(), "{path} is not described");
    }
    let get = |path: &str| pdp.send(pdp.http.get(format!("{}{path}", pdp.base)).header("x-request-id", "9"));
    for path in ["/.well-known/authzen-configuration", "/.well-known/authzen-configuration/tenant1"] {
        let told = get(path);
        assert_eq!(
            (told.status, &told.headers["content-type"], &told.headers["x-request-id"]),
            (200, &"application/json".parse().unwrap(), &"9".parse().unwrap())
        );
        assert_eq!(told.body["policy_decision_point"], "https://pdp.example.com/tenant1");
        for (name, path) in [
            ("access_evaluation_endpoint", "evaluation"),
            ("access_evaluations_endpoint", "evaluations"),
            ("search_subject_endpoint", "search/subject"),
            ("search_resource_endpoint", "search/resource"),
            ("search_action_endpoint", "search/action"),
        ] {
            assert_eq!(told.body[name], format!("https://pdp.example.com/tenant1/access/v1/{path}"));
        }
    }
    assert_eq!(get("/.well-known/authzen-configuration/tenant2").status, 404);
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn a_watcher_learns_when_an_answer_turns_and_every_answer_is_kept() {
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let rules = home.path().join("access/rules.cedar");
    let risky = "@id(\"risky\") @why(\"It may be somebody else.\") forbid (principal, action, resource) when { principal has risk && principal.risk >= 80 };\n";
    std::fs::write(&rules, format!("{POLICIES}{risky}")).unwrap();
    let mesh = Mesh::start(home.path());
    let pdp = Pdp::of(&mesh);
    let mut watched = alice("read", "record-1");
    watched["evaluations"] = json!([{}, {"subject": {"type": "user", "id": "bob"}}]);
    let mut stream = pdp.runtime.block_on(async { pdp.request(Method::POST, "/access/v1/watch").json(&watched).send().await.unwrap() });
    let mut read = Vec::new();
    let mut next = |count: usize| {
        while lines(&read).len() < count {
            read.extend(pdp.runtime.block_on(async { stream.chunk().await.unwrap().unwrap() }));
        }
        lines(&read)[count - 1].clone()
    };
    assert_eq!((next(1)["decision"].clone(), next(2)["index"].clone()), (json!(true), json!(1)));
    let push = |entity: Value| pdp.post("/access/v1/entities", &json!([entity]));
    assert_eq!(push(entity("user", "carol", json!({"risk": 95}))).body["flips"], 0, "nobody watches carol");
    assert_eq!(push(entity("user", "alice", json!({"risk": 95}))).body["flips"], 1);
    let turned = next(3);
    assert_eq!((&turned["index"], &turned["decision"], &turned["before"], &turned["cause"]), (&json!(0), &json!(false), &json!(true), &json!("facts")));
    assert_eq!(turned["context"]["determining_policies"], json!(["risky"]));
    assert_eq!(pdp.decide(&alice("read", "record-1")), false);
    // A policy changes on disk; a broken one changes nothing, and what was pushed stays.
    std::fs::write(&rules, "permit (principal,").unwrap();
    std::fs::write(&rules, POLICIES).unwrap();
    let turned = next(4);
    assert_eq!((&turned["index"], &turned["decision"], &turned["cause"]), (&json!(0), &json!(true), &json!("policies")));
    assert_eq!(push(json!({"uid": {"type": "user"}})).status, 400);
    let enforcing = pdp.http.post(format!("{}/access/v1/entities", pdp.base)).bearer_auth("enforcement-point-1").json(&json!([]));
    assert_eq!(pdp.send(enforcing).status, 403, "a token that only asks");
    let explained = pdp.post("/access/v1/explain", &alice("delete", "record-1")).body;
    assert!(explained["changes"].as_array().unwrap().iter().any(|change| change.as_str().unwrap().starts_with("if `resource.owner` were")), "{explained}");
    let forget = pdp.send(pdp.request(Method::DELETE, "/access/v1/entities").json(&json!([{"type": "user", "id": "alice"}])));
    assert_eq!(forget.body["entities"], 1);
    let asked = pdp.send(pdp.request(Method::POST, "/access/v1/evaluation").header("x-request-id", "find-me").json(&alice("write", "record-2")));
    assert_eq!(asked.body["decision"], false);
    until("the decision can be found", || {
        let of = "SELECT count(*) FROM api_activity WHERE metadata.correlation_uid = 'find-me' AND status_detail = 'no policy permits it'";
        (count(home.path(), of) == 1).then_some(())
    });
    until("the flips can be found", || {
        (count(home.path(), "SELECT count(*) FROM authorize_session WHERE status_detail = 'forbidden by risky'") == 1).then_some(())
    });
    drop(mesh);
}

#[test]
fn the_command_line_decides_from_the_folder() {
    let home = tempfile::tempdir().unwrap();
    furnish(home.path());
    let run = |arguments: &[&str], input: &Value| weft(home.path(), &[&["access"], arguments, &["--format", "ndjson"]].concat(), &input.to_string());
    let one = run(&["evaluate", "-"], &alice("read", "record-1"));
    assert_eq!(one.status.code(), Some(0), "{}", text(&one.stderr));
    assert_eq!((lines(&one.stdout)[0]["decision"].clone(), lines(&one.stdout)[0]["policies"].clone()), (json!(true), json!(["read"])));
    let mut series = alice("read", "record-1");
    series["evaluations"] = json!([{}, {"action": {"name": "delete"}}]);
    let two = run(&["evaluate", "-"], &series);
    assert_eq!(two.status.code(), Some(1), "one is denied");
    assert_eq!(lines(&two.stdout).iter().map(|row| row["decision"].as_bool().unwrap()).collect::<Vec<_>>(), [true, false]);
    let found =
        run(&["search", "subject", "-"], &json!({"subject": {"type": "user"}, "action": {"name": "write"}, "resource": {"type": "record", "id": "record-2"}}));
    assert_eq!(lines(&found.stdout), [json!({"type": "user", "id": "bob"})]);
    let why = run(&["explain", "-"], &alice("write", "record-2"));
    assert!(lines(&why.stdout).iter().any(|row| row["text"] == "if `principal.role` were \"admin\""), "{}", text(&why.stdout));
    let fault = |arguments: &[&str], input: &Value| {
        let output = run(arguments, input);
        let told = text(&output.stderr);
        assert_eq!((output.status.code(), told.lines().count()), (Some(2), 1), "{told}");
        told
    };
    assert!(fault(&["evaluate", "-"], &json!({"action": {"name": "read"}})).contains("`subject` is missing"));
    assert!(fault(&["evaluate", "nowhere.json"], &Value::Null).contains("`nowhere.json` cannot be read"));
    std::fs::write(home.path().join("access/entities-2.json"), "[{\"uid\": {\"type\": \"user\"}}]").unwrap();
    assert!(fault(&["evaluate", "-"], &alice("read", "record-1")).contains("entities-2.json: entity 1: an entity is named by `type` and `id`"));
    std::fs::write(home.path().join("access/entities-2.json"), "[{\"uid\"").unwrap();
    assert!(fault(&["evaluate", "-"], &alice("read", "record-1")).contains("entities-2.json: is not a JSON array of entities"));
    std::fs::remove_file(home.path().join("access/entities-2.json")).unwrap();
    std::fs::write(home.path().join("access/broken.cedar"), "permit (principal, action, resource)\nwhen { 1 + };").unwrap();
    assert!(fault(&["evaluate", "-"], &alice("read", "record-1")).contains("broken.cedar:2:"));
    assert_eq!(weft(home.path(), &["check"], "").status.code(), Some(2), "what `up` would refuse");
}
