//! `weft hunt`: hypotheses asked of the lake.

use serde_json::Value;
use weft_analytics::hunt::Hunt;
use weft_model::{Finding, Timestamp};

use super::{detect, offline};
use crate::cli::{self, Fault, Outcome, Output, Rows};
use crate::content;
use crate::door::now;
use crate::home::Home;
use crate::hunting::{self, Hunted};

/// Runs hunts, or lists them; exit code 1 when one hits.
///
/// # Errors
/// A hunt that is not there, or a lake that cannot be asked.
pub(super) async fn run(home: &Home, asked: &cli::HuntArgs, out: &mut Output) -> Result<Outcome, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let mut hunts = content::hunts(&files).map_err(Fault::Misuse)?;
    if let Some(stranger) = asked.names.iter().find(|name| !hunts.all.iter().any(|hunt| hunt.name == **name)) {
        return Err(Fault::misuse(format!("there is no hunt `{stranger}`; `weft hunt --list` lists them")));
    }
    hunts.all.retain(|hunt| asked.names.is_empty() || asked.names.contains(&hunt.name));
    if asked.list {
        out.list(list(&hunts.all), &["hunt", "title", "severity", "every", "look_back", "needs", "attack"])?;
        return Ok(Outcome::Done);
    }
    let until = asked.until.as_deref().map(detect::millis).transpose()?.map_or_else(now, Timestamp);
    let since = asked.since.as_deref().map(detect::millis).transpose()?.map(Timestamp);
    let lake = if home.running().is_some() { None } else { Some(offline::open(home).await?) };
    let mut found: Vec<(&Hunt, Finding)> = Vec::new();
    for hunt in &hunts.all {
        let since = since.unwrap_or(Timestamp(until.0.saturating_sub(hunt.look_back_ms)));
        let hunted = match &lake {
            Some(lake) => hunts.run(lake, hunt, since, until).await.map_err(|error| Fault::failed(format!("hunt `{}`: {error}", hunt.name)))?,
            None => remote(home, hunt, since, until).await?,
        };
        match hunted {
            Hunted::Hits(hits, faults) => {
                faults.iter().for_each(|fault| cli::say(fault));
                found.extend(hits.into_iter().map(|finding| (hunt, finding)));
            }
            Hunted::NoData(what) => cli::say(&format!("hunt `{}` has nothing to look at: {what} was never received", hunt.name)),
        }
    }
    print(&found, out)?;
    Ok(if found.is_empty() { Outcome::Done } else { Outcome::Found })
}

/// Asks the running mesh.
async fn remote(home: &Home, hunt: &Hunt, since: Timestamp, until: Timestamp) -> Result<Hunted, Fault> {
    let Some(sql) = hunt.sql(since, until) else {
        return Ok(Hunted::Hits(Vec::new(), vec![format!("hunt `{}` is a rule: the running mesh runs it on its schedule", hunt.name)]));
    };
    match offline::ask(home, &sql, hunting::ROWS_MAX, hunting::SECONDS_MAX).await {
        Ok(answer) => Ok(hunting::hits(hunt, &answer.columns, &answer.rows, until)),
        Err(Fault::Misuse(faults)) => {
            let what = faults.iter().find_map(|fault| hunting::missing(fault));
            what.map(Hunted::NoData).ok_or(Fault::Misuse(faults))
        }
        Err(other) => Err(other),
    }
}

fn list(hunts: &[Hunt]) -> Rows {
    let mut rows = Rows::new(["hunt", "title", "severity", "every", "look_back", "needs", "attack", "hypothesis"]);
    for hunt in hunts {
        let needs: Vec<&str> = hunt.needs.iter().map(|(table, _)| table.as_str()).collect();
        rows.push([
            hunt.name.clone().into(),
            hunt.title.clone().into(),
            hunt.severity_id.into(),
            hunt.every_ms.map_or_else(|| "by hand".to_owned(), hours).into(),
            hours(hunt.look_back_ms).into(),
            needs.join(", ").into(),
            hunt.techniques.join(", ").into(),
            hunt.hypothesis.replace('\n', " ").into(),
        ]);
    }
    rows
}

fn hours(ms: i64) -> String {
    if ms % 3_600_000 == 0 { format!("{} h", ms / 3_600_000) } else { format!("{} min", ms / 60_000) }
}

fn print(found: &[(&Hunt, Finding)], out: &mut Output) -> Result<(), Fault> {
    if matches!(out.format(), cli::Format::Table | cli::Format::Csv) {
        let mut rows = Rows::new(["hunt", "time", "severity", "about", "what", "evidence"]);
        for (hunt, finding) in found {
            let about: Vec<&str> = finding.entities.iter().map(|entity| entity.value.as_str()).collect();
            rows.push([
                hunt.name.clone().into(),
                finding.time.rfc3339().into(),
                finding.severity_id.into(),
                about.join(" ").into(),
                finding.matched.join("; ").into(),
                finding.evidence.len().into(),
            ]);
        }
        return out.rows(&rows);
    }
    let events: Vec<Value> = found.iter().map(|(_, finding)| finding.to_ocsf()).collect();
    if out.format() == cli::Format::Json {
        out.line(&Value::Array(events).to_string())?;
    } else {
        events.iter().try_for_each(|event| out.line(&event.to_string()))?;
    }
    out.flush()
}
