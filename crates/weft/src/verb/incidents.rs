//! `weft incidents`: what belongs together, its story, and persons' word about it.

mod evidence;
mod show;

use serde_json::Value;
use weft_analytics::incident::{Decision, Incident, Support, Supported, Verdict, of_findings};

use super::{detect, found};
use crate::cli::{self, Fault, IncidentsArgs, IncidentsVerb, Outcome, Output};
use crate::content;
use crate::door::now;
use crate::home::Home;
use crate::identity;
use crate::remote::Remote;
use crate::state::{Sqlite, incidents as kept};

/// Table of incident findings.
const TABLE: &str = "incident_finding";

/// Lists incidents, shows one, or decides about them; exit code 1 when the one that was asked for is not there.
///
/// # Errors
/// Findings that cannot be read, or a decision that cannot be obeyed.
pub(super) async fn run(home: &Home, asked: &IncidentsArgs, out: &mut Output) -> Result<Outcome, Fault> {
    if let Some(verb) = &asked.decide {
        return decide(home, verb).await;
    }
    if asked.detect || !asked.from.is_empty() {
        let (incidents, supported) = batch(home, asked).await?;
        let one = if asked.detect { None } else { asked.words.first() };
        return show::batch(&incidents, &supported, one.map(String::as_str), out);
    }
    let events = found::events(home, TABLE, "").await?;
    match asked.words.as_slice() {
        [] => show::list(&events, asked.all, out),
        [id] => {
            let Some(uid) = show::full_uid(&events, id) else {
                cli::say(&format!("there is no incident `{id}`; `weft incidents` lists those that are"));
                return Ok(Outcome::Found);
            };
            let supported = evidence::of(home, &events, &uid).await?;
            show::one(&events, &uid, &supported, out)
        }
        _ => Err(Fault::misuse("one ID at most; or say `--detect` before STREAM and PATH")),
    }
}

/// Incidents of files of findings, or of what the rules find in raw records; the latter with sources.
async fn batch(home: &Home, asked: &IncidentsArgs) -> Result<(Vec<Incident>, Vec<Supported>), Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let known = identity::entities(home, &files).await?;
    let mut of_tools = Vec::new();
    let findings = if asked.detect {
        let mut found = detect::in_files(home, &asked.rules, &asked.words, &mut |events| of_tools.extend(kept::findings(events)))?;
        found.append(&mut of_tools);
        found
    } else {
        found::findings(home, &asked.from).await?
    };
    let decisions =
        if home.state_file().exists() { kept::decisions(&Sqlite::open(&home.state_file()).await.map_err(Fault::failed)?).await? } else { Vec::new() };
    let incidents = of_findings(&findings, &known, &decisions);
    let mut support = Support::new(&incidents);
    if asked.detect {
        detect::again(home, &asked.rules, &asked.words, &mut |events| support.observe(events))?;
    }
    Ok((incidents, support.finish()))
}

/// Keeps a decision: with the running mesh, or for the next one.
async fn decide(home: &Home, verb: &IncidentsVerb) -> Result<Outcome, Fault> {
    let events = found::events(home, TABLE, "").await?;
    let named =
        |id: &String| show::full_uid(&events, id).ok_or_else(|| Fault::misuse(format!("there is no incident `{id}`; `weft incidents` lists those that are")));
    let whole = |uid: &str| show::incident(&events, uid).ok_or_else(|| Fault::failed(format!("incident `{uid}` cannot be read back")));
    let by = std::env::var("USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "command line".to_owned());
    let decision = match verb {
        IncidentsVerb::Merge { incidents } => {
            let all: Vec<Incident> = incidents.iter().map(|id| whole(&named(id)?)).collect::<Result<_, _>>()?;
            Decision::merge(&all.iter().collect::<Vec<_>>(), &by, now())
        }
        IncidentsVerb::Split { incident, findings } => Decision::split(&whole(&named(incident)?)?, findings, &by, now()),
        IncidentsVerb::Close { incident, verdict, reason } => {
            let known = Verdict::of_word(verdict).ok_or_else(|| {
                let all = Verdict::ALL.map(|verdict| format!("`{}`", verdict.word().replace(' ', "-"))).join(", ");
                Fault::misuse(format!("`{verdict}` is no verdict; there are {all}"))
            })?;
            Decision::close(&whole(&named(incident)?)?, known, reason, &by, now())
        }
        IncidentsVerb::Reopen { incident } => Decision::reopen(&whole(&named(incident)?)?, &by, now()),
        IncidentsVerb::Assign { incident, owner } => Decision::assign(&whole(&named(incident)?)?, owner.as_deref().unwrap_or_default(), &by, now()),
    }
    .map_err(Fault::misuse)?;
    match home.running() {
        Some(run) => {
            let body = serde_json::to_value(&decision).map_err(Fault::failed)?;
            let _answer: Value = Remote::new(run).post("/api/v1/incidents/decisions", &body).await?;
            cli::say(&format!("{}; the incidents change within seconds", decision.words()));
        }
        None => {
            kept::keep(&Sqlite::open(&home.state_file()).await.map_err(Fault::failed)?, &decision).await?;
            cli::say(&format!("{}; the incidents change when the mesh runs next", decision.words()));
        }
    }
    Ok(Outcome::Done)
}
