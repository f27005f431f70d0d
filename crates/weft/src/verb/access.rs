//! `weft access`: requests against the current policies and facts.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use weft_identity::access::AccessPoint;
use weft_identity::access::authzen;

use crate::access::client::{Client, Entity};
use crate::access::{explained, found, kind_named, load};
use crate::cli::access::{Access, Sought, SshPrincipals};
use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::content;
use crate::home::Home;
use crate::remote::Remote;

/// Longest input.
const INPUT_BYTES_MAX: u64 = 256 << 20;
/// Longest token in a file.
const TOKEN_BYTES_MAX: u64 = 4096;

/// Runs one question.
///
/// # Errors
/// Policies or facts with faults, a request that is none, a decision point that does not answer.
pub(super) async fn run(home: &Home, access: &Access, out: &mut Output) -> Result<Outcome, Fault> {
    match access {
        Access::Evaluate { file } => evaluate(&Asked::of(home)?, file, out).await,
        Access::Search { what, file } => search(&Asked::of(home)?, *what, file, out).await,
        Access::Explain { file } => explain(&Asked::of(home)?, file, out).await,
        Access::SshPrincipals(asked) => ssh_principals(home, asked, out).await,
    }
}

/// Who answers: the mesh that runs on the home, for it knows what was pushed, or its folder.
enum Asked {
    Mesh(Remote),
    Folder(Box<AccessPoint>),
}

impl Asked {
    fn of(home: &Home) -> Result<Self, Fault> {
        if let Some(run) = home.running() {
            return Ok(Self::Mesh(Remote::new(run)));
        }
        let files = content::files(&home.dir).map_err(Fault::Misuse)?;
        Ok(Self::Folder(Box::new(load::point(home, &files).map_err(Fault::Misuse)?)))
    }

    async fn evaluations(&self, request: &Value) -> Result<Value, Fault> {
        match self {
            Self::Mesh(mesh) => mesh.post("/access/v1/evaluations", request).await,
            Self::Folder(point) => authzen::evaluations(point, request).map(|answer| answer.body).map_err(|refusal| Fault::misuse(refusal.0)),
        }
    }

    async fn search(&self, what: &str, request: &Value) -> Result<Value, Fault> {
        match self {
            Self::Mesh(mesh) => mesh.post(&format!("/access/v1/search/{what}"), request).await,
            Self::Folder(point) => {
                let kind = kind_named(what).ok_or_else(|| Fault::misuse(format!("`{what}` cannot be sought")))?;
                found(kind, request, |look| look(point)).map_err(|refusal| Fault::misuse(refusal.0))
            }
        }
    }

    async fn explain(&self, request: &Value) -> Result<Value, Fault> {
        match self {
            Self::Mesh(mesh) => mesh.post("/access/v1/explain", request).await,
            Self::Folder(point) => {
                let fields = request.as_object().ok_or_else(|| Fault::misuse("the request must be a JSON object"))?;
                let ask = authzen::ask(fields).map_err(|refusal| Fault::misuse(refusal.0))?;
                Ok(explained(point, &point.explain(&ask)))
            }
        }
    }
}

async fn evaluate(asked: &Asked, file: &Path, out: &mut Output) -> Result<Outcome, Fault> {
    let mut rows = Rows::new(["request", "subject", "action", "resource", "decision", "policies", "reason"]);
    let mut faults = Vec::new();
    let mut denied = false;
    for (number, request) in (1..).zip(requests(file)?) {
        let answer = match asked.evaluations(&request).await {
            Ok(answer) => answer,
            Err(Fault::Misuse(found)) => {
                faults.extend(found.into_iter().map(|fault| format!("{}: request {number}: {fault}", file.display())));
                continue;
            }
            Err(other) => return Err(other),
        };
        let series = answer.get("evaluations").and_then(Value::as_array).cloned();
        let items = request.get("evaluations").and_then(Value::as_array).cloned().unwrap_or_default();
        for (at, one) in series.unwrap_or_else(|| vec![answer.clone()]).iter().enumerate() {
            let of = |path: &str| {
                let item = items.get(at).and_then(|item| item.pointer(path));
                item.or_else(|| request.pointer(path)).cloned().unwrap_or_default()
            };
            let of_answer = |path: &str| one.pointer(path).cloned().unwrap_or_default();
            denied |= one.get("decision") != Some(&Value::Bool(true));
            rows.push([
                number.into(),
                of("/subject/id"),
                of("/action/name"),
                of("/resource/id"),
                of_answer("/decision"),
                of_answer("/context/determining_policies"),
                of_answer("/context/reason"),
            ]);
        }
    }
    out.rows(&rows)?;
    match (faults.is_empty(), denied) {
        (false, _) => Err(Fault::Misuse(faults)),
        (true, true) => Ok(Outcome::Found),
        (true, false) => Ok(Outcome::Done),
    }
}

/// All pages that a search has; one only, when the request asks for a page.
async fn search(asked: &Asked, what: Sought, file: &Path, out: &mut Output) -> Result<Outcome, Fault> {
    let what = match what {
        Sought::Subject => "subject",
        Sought::Resource => "resource",
        Sought::Action => "action",
    };
    let mut request = requests(file)?.into_iter().next().unwrap_or_default();
    let one_page = request.get("page").is_some();
    let mut rows = if what == "action" { Rows::new(["name"]) } else { Rows::new(["type", "id"]) };
    loop {
        let answer = asked.search(what, &request).await?;
        for result in answer.get("results").and_then(Value::as_array).into_iter().flatten() {
            rows.rows.push(rows.columns.iter().map(|column| result.get(column).cloned().unwrap_or_default()).collect());
        }
        let token = answer.pointer("/page/next_token").and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() {
            break;
        }
        if one_page {
            cli::say(&format!("there is more: `\"page\": {{\"token\": \"{token}\"}}`"));
            break;
        }
        request.as_object_mut().map(|fields| fields.insert("page".to_owned(), json!({"token": token})));
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

async fn explain(asked: &Asked, file: &Path, out: &mut Output) -> Result<Outcome, Fault> {
    let request = requests(file)?.into_iter().next().unwrap_or_default();
    let answer = asked.explain(&request).await?;
    let permit = answer.get("decision") == Some(&Value::Bool(true));
    let mut rows = Rows::new(["what", "text"]);
    rows.push(["decision".into(), if permit { "permit".into() } else { "forbid".into() }]);
    rows.push(["because".into(), answer.pointer("/context/reason").cloned().unwrap_or_default()]);
    let all = |path: &str| answer.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
    all("/context/determining_policies").into_iter().for_each(|policy| rows.push(["determining policy".into(), policy]));
    all("/context/errors").into_iter().for_each(|error| rows.push(["error".into(), error]));
    let turned = if permit { "forbidden" } else { "permitted" };
    all("/changes").into_iter().for_each(|change| rows.push([turned.into(), change]));
    if let Some(untried) = answer.get("untried").and_then(Value::as_u64).filter(|untried| *untried > 0) {
        cli::say(&format!("{untried} further changes were not tried"));
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

/// Closed by default: whatever goes wrong prints no principal.
async fn ssh_principals(home: &Home, asked: &SshPrincipals, out: &mut Output) -> Result<Outcome, Fault> {
    let client = match (&asked.url, &asked.token_file) {
        (Some(url), Some(file)) => Client::new(url, &token(file)?),
        _ => {
            let run = home.running().ok_or_else(|| Fault::misuse("no mesh runs on this home; name a decision point by `--url` and `--token-file`"))?;
            Client::new(&run.address, &run.token)
        }
    }
    .map_err(Fault::failed)?;
    let host = match &asked.host {
        Some(host) => host.clone(),
        None => std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(Fault::failed)?.trim().to_owned(),
    };
    let resource = Entity::new("Host", host);
    let context: Map<String, Value> = [("login".to_owned(), json!(asked.login))].into_iter().collect();
    let permitted = match &asked.person {
        Some(person) => {
            let answer = client.evaluate(&Entity::new(&asked.principal_type, person), "log_in", &resource, &context).await.map_err(Fault::failed)?;
            if answer.permit { vec![person.clone()] } else { Vec::new() }
        }
        None => client.subjects(&asked.principal_type, "log_in", &resource, &context).await.map_err(Fault::failed)?,
    };
    for principal in permitted {
        // A line is split at spaces and commas, and options may stand before the name.
        if principal.is_empty() || principal.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '"' | '#' | '=')) {
            cli::say(&format!("`{principal}` cannot be a principal of a certificate"));
        } else {
            out.line(&principal)?;
        }
    }
    out.flush()?;
    Ok(Outcome::Done)
}

fn token(file: &Path) -> Result<String, Fault> {
    let told = |error: std::io::Error| Fault::misuse(format!("`{}` cannot be read: {error}", file.display()));
    let mut text = String::new();
    std::fs::File::open(file).map_err(told)?.take(TOKEN_BYTES_MAX).read_to_string(&mut text).map_err(told)?;
    Ok(text.trim().to_owned())
}

/// The JSON documents of a file.
fn requests(file: &Path) -> Result<Vec<Value>, Fault> {
    let told = |error: std::io::Error| Fault::misuse(format!("`{}` cannot be read: {error}", file.display()));
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(INPUT_BYTES_MAX).read_to_end(&mut bytes).map_err(told)?;
    } else {
        std::fs::File::open(file).map_err(told)?.take(INPUT_BYTES_MAX).read_to_end(&mut bytes).map_err(told)?;
    }
    let found: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
    match found {
        Ok(found) if found.is_empty() => Err(Fault::misuse(format!("`{}` holds no request", file.display()))),
        Ok(found) => Ok(found),
        Err(error) => Err(Fault::misuse(format!("`{}` is not JSON: {error}", file.display()))),
    }
}
