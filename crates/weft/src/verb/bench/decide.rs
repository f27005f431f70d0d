//! Decisions: the index against plain Cedar, and the decision point over HTTP.

use std::hint::black_box;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Request, Response};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use weft_identity::PolicyIndex;
use weft_identity::access::{AccessPoint, EntityStore};
use weft_identity::decide::{Naming, Policies, PolicyFile};

use super::{Figures, TOKEN, quantile, temporary};
use crate::access::{Service, Settings, routes};
use crate::cli::{Fault, Progress};
use crate::content;
use crate::home::Home;
use crate::mesh::journal::QueueJournal;

/// Policies of the comparison.
const POLICIES: usize = 10_000;
/// Requests that the index decides.
const REQUESTS: usize = 5_000;
/// Requests that both decide, and whose answers are compared.
const COMPARED: usize = 200;
/// Principals that search goes over.
const SUBJECTS: usize = 1_000_000;
/// Groups of these.
const TEAMS: usize = 10_000;
/// Resources that search goes over.
const RESOURCES: usize = 100_000;
/// Evaluations a second that are sent.
const RATE: usize = 5_000;
/// Clients that send them.
const CLIENTS: usize = 32;
/// How long.
const SECONDS: usize = 10;
/// Searches of each kind.
const SEARCHES: usize = 50;

/// Policies as organisations have them: for teams and folders, for single persons and documents, for
/// tenants by attribute, and a tenth that forbid.
fn policies() -> String {
    let policy = |n: usize| match n % 10 {
        0..4 => format!(
            "permit (principal in Team::\"{n}\", action in [Action::\"read\", Action::\"list\"], resource in Folder::\"{}\") when {{ context.mfa }};",
            n / 2
        ),
        4..6 => format!("permit (principal == User::\"{n}\", action, resource == Doc::\"{n}\");"),
        6..9 => {
            format!("permit (principal, action == Action::\"read\", resource is Doc) when {{ resource.tenant == \"{n}\" && principal.level >= {} }};", n % 5)
        }
        _ => format!("forbid (principal in Team::\"{}\", action == Action::\"write\", resource) unless {{ context.mfa }};", n / 3),
    };
    (0..POLICIES).map(|n| policy(n) + "\n").collect()
}

fn facts() -> Value {
    let entity =
        |kind: &str, id: usize, attrs: Value, parents: Vec<Value>| json!({"uid": {"type": kind, "id": id.to_string()}, "attrs": attrs, "parents": parents});
    let parent = |kind: &str, id: usize| json!({"type": kind, "id": id.to_string()});
    let users = (0..1_000).map(|n| entity("User", n, json!({"level": n % 7}), (0..8).map(|k| parent("Team", (n * 31 + k * 1_237) % POLICIES)).collect()));
    let docs = (0..1_000).map(|n| entity("Doc", n, json!({"tenant": (n * 7 % POLICIES).to_string()}), vec![parent("Folder", n * 5)]));
    users.chain(docs).collect()
}

fn requests() -> Result<Vec<Request>, Fault> {
    let uid = |kind: &str, id: &str| EntityUid::from_str(&format!("{kind}::\"{id}\"")).map_err(Fault::failed);
    let one = |n: usize| {
        let context = Context::from_json_value(json!({"mfa": !n.is_multiple_of(3)}), None).map_err(Fault::failed)?;
        let action = ["read", "write", "list"].get(n % 3).copied().unwrap_or("read");
        Request::new(uid("User", &(n * 17 % 1_000).to_string())?, uid("Action", action)?, uid("Doc", &(n * 29 % 1_000).to_string())?, context, None)
            .map_err(Fault::failed)
    };
    (0..REQUESTS).map(one).collect()
}

/// The index against plain Cedar, on the same policies, facts and requests.
pub(super) fn cedar() -> Result<Figures, Fault> {
    let set = PolicySet::from_str(&policies()).map_err(Fault::failed)?;
    let entities = Entities::from_json_value(facts(), None).map_err(Fault::failed)?;
    let requests = requests()?;
    let begun = Instant::now();
    let index = PolicyIndex::new(&set);
    let built = begun.elapsed();
    let plain = Authorizer::new();
    let begun = Instant::now();
    let wanted: Vec<Response> = requests.iter().take(COMPARED).map(|request| plain.is_authorized(request, &set, &entities)).collect();
    let plain_each = begun.elapsed().as_secs_f64() / COMPARED as f64;
    let differences = requests.iter().zip(&wanted).filter(|(request, wanted)| !same(&index.is_authorized(request, &entities), wanted)).count();
    let begun = Instant::now();
    for request in &requests {
        black_box(index.is_authorized(request, &entities));
    }
    let index_each = begun.elapsed().as_secs_f64() / REQUESTS as f64;
    let candidates: usize = requests.iter().map(|request| index.candidates_count(request, &entities)).sum();
    Ok(vec![
        ("policies", POLICIES as f64, ""),
        ("index is built in", built.as_secs_f64() * 1e3, "ms"),
        ("plain Cedar, one decision", plain_each * 1e6, "us"),
        ("index, one decision", index_each * 1e6, "us"),
        ("times faster", plain_each / index_each, ""),
        ("policies evaluated, mean", candidates as f64 / REQUESTS as f64, ""),
        ("differences", differences as f64, ""),
    ])
}

fn same(a: &Response, b: &Response) -> bool {
    let told = |response: &Response| {
        let mut reasons: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        let mut errors: Vec<String> = response.diagnostics().errors().map(ToString::to_string).collect();
        reasons.sort();
        errors.sort();
        (response.decision(), reasons, errors)
    };
    told(a) == told(b)
}

/// Team members read, owners write; nobody with a high risk does anything.
const RULES: &str = r#"
permit (principal, action == Action::"read", resource is Doc) when { principal in resource.team };
permit (principal, action, resource is Doc) when { resource.owner == principal };
forbid (principal, action, resource) when { principal has risk && principal.risk >= 80 };
"#;

fn point() -> Result<AccessPoint, Fault> {
    let progress = Progress::begin("facts of a million subjects");
    let file = PolicyFile { name: "rules.cedar".to_owned(), text: RULES.to_owned() };
    let policies = Policies::compile(None, &[file], Naming::Free).map_err(|faults| Fault::Misuse(faults.iter().map(ToString::to_string).collect()))?;
    let mut store = EntityStore::new(None);
    let name = |kind: &str, n: usize| json!({"__entity": {"type": kind, "id": n.to_string()}});
    for n in 0..SUBJECTS {
        // A prime apart, so that no team and no subject of a search is of risky ones alone.
        let risk = if n % 1_009 == 1_008 { 90 } else { 10 };
        let user = json!({"uid": {"type": "User", "id": n.to_string()}, "attrs": {"risk": risk}, "parents": [{"type": "Team", "id": (n % TEAMS).to_string()}]});
        store.upsert(&user).map_err(Fault::failed)?;
        progress.add(1);
    }
    for n in 0..RESOURCES {
        let doc =
            json!({"uid": {"type": "Doc", "id": n.to_string()}, "attrs": {"team": name("Team", n % TEAMS), "owner": name("User", n * 10)}, "parents": []});
        store.upsert(&doc).map_err(Fault::failed)?;
    }
    Ok(AccessPoint::new(policies, store))
}

/// The decision point with a million subjects, over HTTP, with its log.
pub(super) async fn access(home: &Home) -> Result<Figures, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let (stand, below) = temporary(home, &files).await?;
    let begun = Instant::now();
    let point = tokio::task::spawn_blocking(point).await.map_err(Fault::failed)??;
    let loaded = begun.elapsed().as_secs_f64();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let settings = Settings { home: below.clone(), files, address: base.clone(), token: TOKEN.to_owned() };
    let (service, log) = Service::start(point, settings, Arc::new(QueueJournal(stand.queue.clone())), stop.clone());
    let app = routes(service);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let subjects = searches(&base, "subject").await?;
    let resources = searches(&base, "resource").await?;
    let (sent, seconds, waits) = evaluations(&base).await?;
    server.abort();
    stop.cancel();
    log.await.map_err(Fault::failed)?;
    stand.close().await?;
    let _gone = std::fs::remove_dir_all(&below.dir);
    Ok(vec![
        ("subjects", SUBJECTS as f64, ""),
        ("facts are read in", loaded, "s"),
        ("evaluations", sent as f64 / seconds, "1/s"),
        ("evaluation, median", quantile(&waits, 0.5), "ms"),
        ("evaluation, p99", quantile(&waits, 0.99), "ms"),
        ("subject search, median", quantile(&subjects, 0.5), "ms"),
        ("subject search, longest", quantile(&subjects, 1.0), "ms"),
        ("resource search, median", quantile(&resources, 0.5), "ms"),
        ("resource search, longest", quantile(&resources, 1.0), "ms"),
    ])
}

/// Milliseconds of each search, shortest first.
async fn searches(base: &str, what: &str) -> Result<Vec<f64>, Fault> {
    let http = reqwest::Client::new();
    let mut waits = Vec::new();
    for n in 0..SEARCHES {
        let mut request = json!({"subject": {"type": "User"}, "action": {"name": "read"}, "resource": {"type": "Doc"}});
        let given = if what == "subject" { "/resource" } else { "/subject" };
        if let Some(Value::Object(fields)) = request.pointer_mut(given) {
            fields.insert("id".to_owned(), json!((n * 997 + 1).to_string()));
        }
        let begun = Instant::now();
        let answer: Value = post(&http, &format!("{base}/access/v1/search/{what}"), &request).await?;
        waits.push(begun.elapsed().as_secs_f64() * 1e3);
        if answer.pointer("/results/0").is_none() {
            return Err(Fault::failed(format!("the search {request} found nothing: {answer}")));
        }
    }
    waits.sort_by(f64::total_cmp);
    Ok(waits)
}

/// Evaluations at a fixed rate: how many, in how many seconds, and the milliseconds of each.
async fn evaluations(base: &str) -> Result<(usize, f64, Vec<f64>), Fault> {
    let begun = Instant::now();
    let client = |number: usize| {
        let url = format!("{base}/access/v1/evaluation");
        tokio::spawn(async move {
            let http = reqwest::Client::new();
            let mut waits = Vec::with_capacity(RATE * SECONDS / CLIENTS);
            let mut ticks = tokio::time::interval(Duration::from_secs_f64(CLIENTS as f64 / RATE as f64));
            for n in 0..RATE * SECONDS / CLIENTS {
                ticks.tick().await;
                let doc = (number * 7_919 + n * 104_729) % RESOURCES;
                // Every second one is permitted.
                let user = if n % 2 == 0 { doc % TEAMS + TEAMS } else { doc % TEAMS + TEAMS + 1 };
                let request = json!({
                    "subject": {"type": "User", "id": user.to_string()},
                    "action": {"name": "read"},
                    "resource": {"type": "Doc", "id": doc.to_string()},
                    "context": {"ip": "192.0.2.7"},
                });
                let asked = Instant::now();
                post(&http, &url, &request).await?;
                waits.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            Ok::<_, Fault>(waits)
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let mut waits = Vec::new();
    for client in clients {
        waits.extend(client.await.map_err(Fault::failed)??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    Ok((waits.len(), seconds, waits))
}

async fn post(http: &reqwest::Client, url: &str, request: &Value) -> Result<Value, Fault> {
    let response = http.post(url).bearer_auth(TOKEN).json(request).send().await.map_err(Fault::failed)?;
    let status = response.status();
    let answer: Value = response.json().await.map_err(Fault::failed)?;
    if status.is_success() { Ok(answer) } else { Err(Fault::failed(format!("{status}: {answer}"))) }
}
