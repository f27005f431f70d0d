//! `weft approve`, `weft playbook`, `weft posture`, `weft metrics`: the loop from the command line.

use serde_json::{Value, json};
use weft_console::api::{LoopItem, LoopState};
use weft_lake::missing_table;
use weft_policy::Status;

use super::offline;
use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::content;
use crate::door::now;
use crate::home::Home;
use crate::remote::Remote;
use crate::respond;
use crate::state::{Sqlite, StateStore as _};
use crate::wire;

/// Most runs that are listed.
const RUNS_MAX: u32 = 1000;
/// The last outcome of each check on each subject.
const POSTURE_SQL: &str = "SELECT finding_info['analytic']['uid'] AS \"check\", finding_info['title'] AS title, resources[1]['name'] AS subject, compliance['status'] AS status, compliance['status_details'] AS observed, time FROM (SELECT *, row_number() OVER (PARTITION BY finding_info['uid'] ORDER BY time DESC) AS latest FROM compliance_finding) WHERE latest = 1 ORDER BY \"check\"";
/// Longest time for a list, seconds.
const LIST_SECONDS_MAX: u64 = 60;
/// Rows of a list.
const LIST_ROWS_MAX: usize = 10_000;

fn remote(home: &Home) -> Result<Remote, Fault> {
    home.running().map(Remote::new).ok_or_else(|| Fault::misuse(format!("no mesh runs on `{}`; start it with `weft up --data {0}`", home.dir.display())))
}

async fn loop_state(remote: &Remote) -> Result<LoopState, Fault> {
    serde_json::from_value(remote.get("/api/v1/loop").await?).map_err(Fault::failed)
}

/// Approves or refuses a run.
///
/// # Errors
/// No such run, or it does not wait.
pub(super) async fn approve(home: &Home, approve: &cli::Approve, out: &mut Output) -> Result<Outcome, Fault> {
    let remote = remote(home)?;
    remote.post(&format!("/api/v1/runs/{}/decision", segment(&approve.run)?), &json!({"approve": !approve.refuse, "reason": approve.reason})).await?;
    show(&remote, &approve.run, out).await
}

/// Takes a run back.
///
/// # Errors
/// No such run, or nothing to take back.
pub(super) async fn undo(home: &Home, run: &str, out: &mut Output) -> Result<Outcome, Fault> {
    let remote = remote(home)?;
    remote.post(&format!("/api/v1/runs/{}/undo", segment(run)?), &json!({})).await?;
    show(&remote, run, out).await
}

/// An id that may stand in a path.
fn segment(run: &str) -> Result<&str, Fault> {
    let fits = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits { Ok(run) } else { Err(Fault::misuse(format!("`{run}` is not the id of a run; `weft playbook list` shows them"))) }
}

async fn show(remote: &Remote, run: &str, out: &mut Output) -> Result<Outcome, Fault> {
    let items = loop_state(remote).await?.items;
    print_runs(items.into_iter().filter(|item| item.run.as_ref().is_some_and(|found| found.id == run)), out)
}

/// Lists runs.
///
/// # Errors
/// The state cannot be read.
pub(super) async fn list(home: &Home, out: &mut Output) -> Result<Outcome, Fault> {
    if let Some(run) = home.running() {
        return print_runs(loop_state(&Remote::new(run)).await?.items.into_iter(), out);
    }
    if !home.state_file().exists() {
        return print_runs(std::iter::empty(), out);
    }
    let state = Sqlite::open(&home.state_file()).await.map_err(Fault::failed)?;
    let runs = state.runs(RUNS_MAX).await.map_err(Fault::failed)?;
    print_runs(runs.iter().filter_map(respond::entry), out)
}

fn print_runs(items: impl Iterator<Item = LoopItem>, out: &mut Output) -> Result<Outcome, Fault> {
    let mut rows = Rows::new(["run", "state", "time", "finding", "action", "object", "decided_by", "last", "trace"]);
    for item in items {
        let Some(run) = item.run else { continue };
        let state = serde_json::to_value(run.state).map_err(Fault::failed)?;
        let last = run.steps.last().map(|step| step.note.clone()).unwrap_or_default();
        let (action, object, policies) =
            item.decision.map(|decision| (decision.action, decision.resource, decision.determining_policies.join(", "))).unwrap_or_default();
        let time = weft_model::Timestamp(item.finding.time).rfc3339();
        rows.push([
            run.id.into(),
            state,
            time.into(),
            item.finding.title.into(),
            action.into(),
            object.into(),
            policies.into(),
            last.into(),
            item.trace_id.into(),
        ]);
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

/// Runs every check; exit code 1 when one fails.
///
/// # Errors
/// Content with faults.
pub(super) async fn posture_run(home: &Home, out: &mut Output) -> Result<Outcome, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let checks = content::compile(&files).map_err(Fault::Misuse)?.checks;
    let subjects = wire::subjects();
    let at = now();
    let mut rows = Rows::new(["check", "title", "subject", "status", "observed"]);
    let (mut events, mut failed) = (Vec::new(), false);
    for check in &checks {
        for outcome in subjects.iter().filter_map(|subject| check.evaluate(subject)) {
            failed |= outcome.status == Status::Fail;
            let status = serde_json::to_value(outcome.status).map_err(Fault::failed)?;
            rows.push([check.id.clone().into(), check.title.clone().into(), outcome.subject.name.clone().into(), status, outcome.details.join("; ").into()]);
            events.push(outcome.to_ocsf(at));
        }
        if !subjects.iter().any(|subject| subject.kind == check.subject) {
            rows.push([
                check.id.clone().into(),
                check.title.clone().into(),
                Value::Null,
                "unknown".into(),
                format!("no `{}` was found here to look at", check.subject).into(),
            ]);
        }
    }
    if let Some(run) = home.running()
        && !events.is_empty()
    {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        Remote::new(run).send("/ingest/ocsf/event", lines.join("\n").into_bytes()).await?;
    }
    out.rows(&rows)?;
    Ok(if failed { Outcome::Found } else { Outcome::Done })
}

/// Lists the last outcomes.
///
/// # Errors
/// The lake cannot be read.
pub(super) async fn posture_list(home: &Home, out: &mut Output) -> Result<Outcome, Fault> {
    let answer = known(home, "compliance_finding", POSTURE_SQL).await?;
    let rows = answer
        .map_or_else(|| Rows::new(["check", "title", "subject", "status", "observed", "time"]), |answer| Rows { columns: answer.columns, rows: answer.rows });
    let failed = rows.rows.iter().any(|row| row.iter().any(|value| value == "Fail"));
    out.rows(&rows)?;
    Ok(if failed { Outcome::Found } else { Outcome::Done })
}

/// Prints metrics with where they come from.
///
/// # Errors
/// No metric of this name, or the lake cannot be read.
pub(super) async fn metrics(home: &Home, metrics: &cli::Metrics, out: &mut Output) -> Result<Outcome, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let known_metrics = content::compile(&files).map_err(Fault::Misuse)?.metrics;
    let asked: Vec<_> = known_metrics.iter().filter(|metric| metrics.name.as_ref().is_none_or(|name| *name == metric.name)).collect();
    if asked.is_empty() {
        let names: Vec<String> = known_metrics.iter().map(|metric| format!("`{}`", metric.name)).collect();
        return Err(Fault::misuse(format!("there is no metric `{}`; known: {}", metrics.name.as_deref().unwrap_or_default(), names.join(", "))));
    }
    if metrics.sql {
        asked.iter().try_for_each(|metric| out.line(&metric_sql(&metric.title)))?;
        out.flush()?;
        return Ok(Outcome::Done);
    }
    let running = match home.running() {
        Some(run) => Some(loop_state(&Remote::new(run)).await?.metrics),
        None => None,
    };
    let mut rows = Rows::new(["metric", "value", "unit", "target", "detail"]);
    for metric in asked {
        if let Some(now) = running.iter().flatten().find(|now| now.name == metric.title) {
            rows.push([metric.name.clone().into(), now.value.into(), now.unit.clone().into(), now.target.clone().into(), now.detail.clone().into()]);
        } else if home.exists() {
            let kept = known(home, "base_event", &metric_sql(&metric.title)).await?;
            let message =
                kept.and_then(|answer| answer.rows.into_iter().next()).and_then(|row| row.into_iter().nth(1)).unwrap_or_else(|| "never measured".into());
            rows.push([metric.name.clone().into(), Value::Null, metric.unit.clone().into(), Value::Null, message]);
        }
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

/// The last measurement of a metric.
fn metric_sql(title: &str) -> String {
    format!(
        "SELECT time, message, unmapped FROM base_event WHERE activity_name = 'Measure' AND message LIKE '{}:%' ORDER BY time DESC LIMIT 1",
        title.replace('\'', "''")
    )
}

/// The answer over a table that may not be there yet.
async fn known(home: &Home, table: &str, sql: &str) -> Result<Option<offline::Answer>, Fault> {
    match offline::ask(home, sql, LIST_ROWS_MAX, LIST_SECONDS_MAX).await {
        Ok(answer) => Ok(Some(answer)),
        Err(Fault::Misuse(messages)) if messages.iter().any(|message| missing_table(message) == Some(table)) => Ok(None),
        Err(fault) => Err(fault),
    }
}
