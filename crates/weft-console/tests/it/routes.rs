use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use weft_console::{Console, ConsoleConfig, LoginKeys, TailEvent};

use crate::fake::{Fake, event};

pub(crate) const TOKEN: &str = "token";
const NOW: i64 = 1_764_000_000_000;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn console(prepare: impl FnOnce(&mut Fake)) -> (Router, Arc<Fake>, Console) {
    let mut fake = Fake::new(NOW, 500);
    prepare(&mut fake);
    let fake = Arc::new(fake);
    let keys = LoginKeys { token: TOKEN.to_owned(), link: "link".to_owned() };
    let console = Console::new(
        Arc::clone(&fake) as _,
        ConsoleConfig {
            version: "0.1.0".to_owned(),
            keys,
            secure_cookie: false,
            sessions: Arc::<weft_console::MemorySessions>::default(),
            beside: serde_json::Value::Null,
        },
    );
    (console.router(), fake, console)
}

pub(crate) async fn call(app: &Router, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 10_000_000).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub(crate) async fn ask(app: &Router, path: &str) -> Value {
    call(app, Method::GET, path, &[("authorization", "Bearer token")], "").await.json()
}

pub(crate) fn cookie_of(answer: &Answer) -> String {
    answer.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

pub(crate) async fn sign_in(app: &Router) -> String {
    let answer = call(app, Method::POST, "/api/v1/session", &[("content-type", "application/json")], r#"{"token":"token"}"#).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    cookie_of(&answer)
}

#[tokio::test]
async fn a_page_of_events_asks_the_view_when_it_has_the_fields() {
    let (app, fake, _) = console(|_| {});
    let page = ask(&app, "/api/v1/events?filter=class:Authentication&from=5&limit=3").await;
    assert_eq!(page["rows"].as_array().unwrap().len(), 3);
    assert_eq!(page["more"], true);
    assert_eq!(page["rows"][0]["observables"][0]["type_id"], 2);
    let sql = fake.asked.lock().unwrap().pop().unwrap();
    assert!(sql.contains("FROM \"events\" WHERE time >= 5 AND (\"class_name\" = 'Authentication')"), "{sql}");
    assert!(sql.ends_with("ORDER BY time DESC, uid DESC LIMIT 4"), "{sql}");
}

#[tokio::test]
async fn a_field_of_some_classes_asks_only_their_tables() {
    let (app, fake, _) = console(|_| {});
    ask(&app, "/api/v1/events?filter=actor.user.name:ann").await;
    let sql = fake.asked.lock().unwrap().pop().unwrap();
    assert!(sql.contains("FROM \"authentication\" WHERE (\"actor\"['user']['name'] = 'ann') UNION ALL SELECT"), "{sql}");
    assert!(sql.contains("FROM \"api_activity\"") && !sql.contains("network_activity") && !sql.contains("\"events\""), "{sql}");
    let fault = ask(&app, "/api/v1/events?filter=x%20nope:1").await;
    assert_eq!(fault["error"]["span"], json!({"start": 2, "end": 8}));
}

#[tokio::test]
async fn a_histogram_covers_its_range_and_nothing_else() {
    let (app, _, _) = console(|_| {});
    let histogram = ask(&app, &format!("/api/v1/events/histogram?from={}&to={NOW}&limit=60", NOW - 600_000)).await;
    assert_eq!(histogram["buckets"], 60);
    assert_eq!(histogram["width"], 10_000);
    let counts = histogram["counts"].as_array().unwrap();
    assert!(counts.iter().all(|bucket| bucket["at"].as_u64().unwrap() < 60));
    assert_eq!(histogram["total"], counts.iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum::<u64>());
    for bad in ["from=5&to=5", "from=9223372036854775807&to=-9223372036854775808", "from=1"] {
        assert_eq!(ask(&app, &format!("/api/v1/events/histogram?{bad}")).await["error"]["code"], "bad_request", "{bad}");
    }
}

#[tokio::test]
async fn field_values_of_columns_and_entities() {
    let (app, _, _) = console(|_| {});
    let products = ask(&app, "/api/v1/events/fields?field=product").await;
    assert!(products["values"].as_array().unwrap().iter().any(|one| one["value"] == "Netwatch"));
    let entities = ask(&app, "/api/v1/events/fields?field=entity").await;
    assert_eq!(entities["values"].as_array().unwrap().len(), 10);
    assert!(entities["values"][0]["kind"].is_string());
}

#[tokio::test]
async fn one_event_whole_or_a_clear_no() {
    let (app, _, _) = console(|_| {});
    let uid = event(0, 0)["metadata"]["uid"].as_str().unwrap().to_owned();
    let detail = ask(&app, &format!("/api/v1/events/{uid}")).await;
    assert!(detail["raw"].is_string() && detail["ocsf"].get("raw_data").is_none());
    assert_eq!(ask(&app, "/api/v1/events/none").await["error"]["code"], "not_found");
}

#[tokio::test]
async fn a_statement_runs_within_bounds_and_its_error_has_a_place() {
    let (app, _, _) = console(|_| {});
    let headers = [("authorization", "Bearer token"), ("content-type", "application/json")];
    let answer = call(&app, Method::POST, "/api/v1/query", &headers, r#"{"sql":"SELECT * FROM events","limit_rows":5}"#).await.json();
    assert_eq!(answer["rows"].as_array().unwrap().len(), 5);
    assert_eq!(answer["truncated"], true);
    let fault = call(&app, Method::POST, "/api/v1/query", &headers, r#"{"sql":"SELECT * FORM events"}"#).await.json();
    assert_eq!(fault["error"]["span"], json!({"start": 9, "end": 13}));
    let empty = call(&app, Method::POST, "/api/v1/query", &headers, r#"{"sql":"  "}"#).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    let huge = format!("{{\"sql\":\"{}\"}}", "x".repeat(200_000));
    assert_eq!(call(&app, Method::POST, "/api/v1/query", &headers, &huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(call(&app, Method::POST, "/api/v1/query/other/cancel", &headers, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_tail_sends_what_matches_and_says_what_it_lost() {
    let (app, fake, console) = console(|_| {});
    let request = Request::get("/api/v1/events/tail?filter=class:API*").header("authorization", "Bearer token").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    // 300 events into a channel of 256: 44 are lost, and the reader is told.
    for n in 0..300 {
        fake.sender.send(TailEvent { received_ms: 0, event: Arc::new(event(n, NOW)) }).unwrap();
    }
    let chunk = response.into_body().into_data_stream().next().await.unwrap().unwrap();
    let text = std::str::from_utf8(&chunk).unwrap();
    let batch: Value = serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    assert_eq!(batch["skipped"], 44);
    let rows = batch["rows"].as_array().unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["class_name"] == "API Activity"));
    assert_eq!(console.latency().summary().unwrap().count, rows.len() as u64);
}

#[tokio::test]
async fn the_loop_is_decided_once() {
    let (app, _, _) = console(|_| {});
    let headers = [("authorization", "Bearer token"), ("content-type", "application/json")];
    let yes = r#"{"approve":true,"reason":"seen"}"#;
    assert_eq!(call(&app, Method::POST, "/api/v1/runs/run-3/decision", &headers, yes).await.status, StatusCode::NO_CONTENT);
    assert_eq!(call(&app, Method::POST, "/api/v1/runs/run-3/decision", &headers, yes).await.status, StatusCode::CONFLICT);
    assert_eq!(ask(&app, "/api/v1/loop").await["items"][0]["run"]["state"], "verified");
}

#[tokio::test]
async fn the_api_describes_itself_and_unknown_paths_are_not_pages() {
    let (app, _, _) = console(|_| {});
    let document = ask(&app, "/api/v1/openapi.json").await;
    for path in ["/api/v1/events", "/api/v1/events/tail", "/api/v1/query", "/api/v1/runs/{id}/undo"] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
    for path in ["/api/v1/nothing", "/assets/none.js", "/favicon.ico", "/assets/../Cargo.toml"] {
        assert_eq!(call(&app, Method::GET, path, &[], "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn incidents_are_listed_shown_and_decided_by_whoever_is_signed_in() {
    let (app, fake, _) = console(|_| {});
    let list = ask(&app, "/api/v1/incidents").await;
    let uid = list[0]["uid"].as_str().unwrap().to_owned();
    assert_eq!((list[0]["state"].as_str(), list[0]["tactics"][0]["name"].as_str()), (Some("in_progress"), Some("Initial Access")));
    let whole = ask(&app, &format!("/api/v1/incidents/{uid}")).await;
    assert_eq!((whole["uid"].as_str(), whole["joins"].as_array().map(Vec::len)), (Some(uid.as_str()), Some(2)), "the line of the list is part of it");
    let bearer = [("authorization", "Bearer token"), ("content-type", "application/json")];
    assert_eq!(call(&app, Method::GET, "/api/v1/incidents/nothing", &bearer, "").await.status, StatusCode::NOT_FOUND);
    let act = async |body: &str| call(&app, Method::POST, "/api/v1/incidents/actions", &bearer, body).await;
    let close = format!(r#"{{"action":"close","incident":"{uid}","verdict":"false_positive","reason":"a test"}}"#);
    assert_eq!(act(&close).await.status, StatusCode::NO_CONTENT);
    assert!(matches!(&fake.acted.lock().unwrap()[..], [weft_console::api::IncidentAction::Close { reason, .. }] if reason == "a test"));
    let refused = act(r#"{"action":"close","incident":"x","verdict":"whatever","reason":""}"#).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("false_positive"), "it says what there is");
    // A change from another site, with a browser's session, is refused.
    let cookie = sign_in(&app).await;
    let foreign = [("cookie", cookie.as_str()), ("content-type", "application/json"), ("origin", "http://elsewhere.example"), ("host", "localhost")];
    assert_eq!(call(&app, Method::POST, "/api/v1/incidents/actions", &foreign, &close).await.status, StatusCode::FORBIDDEN);
    assert_eq!(fake.acted.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn risks_detections_and_intelligence_are_told() {
    let (app, _, _) = console(|_| {});
    assert_eq!(ask(&app, "/api/v1/risks?entity=user:mara.lindt").await[0]["because_of"].as_array().map(Vec::len), Some(2));
    assert_eq!(ask(&app, "/api/v1/risks?entity=user:nobody").await, json!([]));
    let detection = ask(&app, "/api/v1/detections").await;
    assert_eq!((detection["rules"][1]["state"].as_str(), detection["hunts"][0]["last"]["hits"].as_i64()), (Some("never"), Some(2)));
    assert_eq!(ask(&app, "/api/v1/intelligence").await["feeds"][0]["faults"], 2);
    let document = ask(&app, "/api/v1/openapi.json").await;
    for path in ["/api/v1/incidents", "/api/v1/incidents/{uid}", "/api/v1/incidents/actions", "/api/v1/detections", "/api/v1/intelligence", "/api/v1/risks"] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
}
