//! `weft entitlements`: effective permissions and escalation, from snapshots.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use weft_connectors::cluster;
use weft_connectors::entitlement::snapshot::Collector;
use weft_connectors::entitlement::{RULES, WANTED, actions, case};
use weft_identity::entitlement::escalation::{Escalation, Explorer};
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules, evaluate};
use weft_model::entitlement::{SnapshotFault, Verdict};

use crate::cli::entitlements::{Asked, Can, Entitlements, Escalations, SnapshotPaths, WhoCan};
use crate::cli::{self, Fault, Format, Outcome, Output, Progress, Rows};

mod remedies;

/// Largest file of a snapshot.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// Folders below a folder.
const DEPTH_MAX: usize = 8;
/// Faults that are told one by one.
const FAULTS_TOLD_MAX: usize = 100;

/// Runs one question.
///
/// # Errors
/// Nothing that could be read, a principal that is not there.
pub(super) fn run(asked: &Entitlements, out: &mut Output) -> Result<Outcome, Fault> {
    match asked {
        Entitlements::Can(can) => can_one(can, out),
        Entitlements::WhoCan(who) => who_can(who, out),
        Entitlements::Escalations(asked) => escalations(asked, out),
        Entitlements::Unused(asked) => remedies::unused(asked, out),
        Entitlements::Cuts(asked) => remedies::cuts(asked, out),
        Entitlements::Evaluate { cases } => evaluate_all(cases, out),
    }
}

fn provider() -> Result<Provider, Fault> {
    let rules = Rules::read(RULES).map_err(Fault::failed)?;
    Ok(Provider { catalogue: Arc::new(Catalogue::new(actions())), rules: Arc::new(rules) })
}

fn can_one(can: &Can, out: &mut Output) -> Result<Outcome, Fault> {
    let estate = estate(&can.snapshot)?;
    let (asked, with) = (&can.asked, with(&can.asked)?);
    let verdict = estate.can(&can.principal, &asked.action, &asked.resource, &with).ok_or_else(|| unknown(&can.principal))?;
    let mut rows = Rows::new(["principal", "action", "resource", "outcome", "because"]);
    rows.push([
        can.principal.clone().into(),
        asked.action.clone().into(),
        asked.resource.clone().into(),
        verdict.outcome.name().into(),
        because(&verdict, out),
    ]);
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

fn who_can(who: &WhoCan, out: &mut Output) -> Result<Outcome, Fault> {
    let estate = estate(&who.snapshot)?;
    let (asked, with) = (&who.asked, with(&who.asked)?);
    let mut rows = Rows::new(["principal", "outcome", "because"]);
    for (principal, verdict) in estate.who_can(&asked.action, &asked.resource, &with) {
        rows.push([principal.into(), verdict.outcome.name().into(), because(&verdict, out)]);
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

fn escalations(asked: &Escalations, out: &mut Output) -> Result<Outcome, Fault> {
    let estate = estate(&asked.snapshot)?;
    let mut explorer = Explorer::new(&estate);
    if let Some(missing) = asked.principal.iter().find(|principal| !estate.principals().any(|known| known == *principal)) {
        return Err(unknown(missing));
    }
    let progress = Progress::begin("following escalations");
    let found: Vec<Escalation> = if asked.principal.is_empty() {
        explorer.all().inspect(|_| progress.add(1)).collect()
    } else {
        asked.principal.iter().flat_map(|principal| explorer.from(principal)).collect()
    };
    drop(progress);
    let mut rows = Rows::new(["principal", "reaches", "account", "hops"]);
    for one in &found {
        let hops = if out.format() == Format::Table || out.format() == Format::Csv { Value::String(path(one)) } else { json!(one.hops) };
        rows.push([one.principal.clone().into(), one.reaches.clone().into(), one.account.clone().into(), hops]);
    }
    out.rows(&rows)?;
    Ok(if found.iter().any(|one| !one.hops.is_empty()) { Outcome::Found } else { Outcome::Done })
}

/// A path in words.
fn path(one: &Escalation) -> String {
    if one.hops.is_empty() {
        return "is one".to_owned();
    }
    let hop = |hop: &weft_identity::entitlement::escalation::Hop| {
        let by = if hop.actions.is_empty() { hop.capabilities.join(" + ") } else { hop.actions.join(" + ") };
        let assumes = if hop.assumes.is_empty() { String::new() } else { format!(" (if {})", hop.assumes.join("; ")) };
        format!("as {} by {by}{assumes}", hop.to)
    };
    one.hops.iter().map(hop).collect::<Vec<_>>().join("\n")
}

fn evaluate_all(path: &Path, out: &mut Output) -> Result<Outcome, Fault> {
    let text = text(path)?;
    let provider = provider()?;
    let mut rows = Rows::new(["id", "outcome", "causes", "missing"]);
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let read = serde_json::from_str::<Value>(line).map_err(|error| error.to_string()).and_then(|value| case::read(&value, number + 1));
        match read {
            Ok(case) => {
                let verdict = evaluate(&case, &provider);
                let causes = because(&verdict, out);
                rows.push([case.id.into(), verdict.outcome.name().into(), causes, json!(verdict.missing)]);
            }
            Err(reason) => faults.push(format!("{}:{}: {reason}", path.display(), number + 1)),
        }
    }
    out.rows(&rows)?;
    if faults.is_empty() { Ok(Outcome::Done) } else { Err(Fault::Misuse(faults)) }
}

fn text(path: &Path) -> Result<String, Fault> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path).map_err(|error| Fault::misuse(format!("`{}` cannot be read: {error}", path.display())));
    }
    let mut text = String::new();
    std::io::stdin().take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| Fault::misuse(format!("standard input cannot be read: {error}")))?;
    Ok(text)
}

/// The reasons: structured for programs, one line each for people.
fn because(verdict: &Verdict, out: &Output) -> Value {
    if matches!(out.format(), Format::Json | Format::Ndjson) {
        return json!(verdict.causes);
    }
    let mut lines: Vec<String> = Vec::new();
    for cause in &verdict.causes {
        let layer = json!(cause.layer).as_str().unwrap_or_default().replace('_', " ");
        let depends = if cause.depends_on.is_empty() { String::new() } else { format!(" if {}", cause.depends_on.join(" and ")) };
        let says = if cause.effect == weft_model::Effect::Permit { "permits" } else { "forbids" };
        lines.push(format!("{layer}: `{}`, statement {} {says}{depends}", cause.policy, cause.statement));
    }
    if let Some(missing) = verdict.missing {
        lines.push(format!("no {} policy permits it", json!(missing).as_str().unwrap_or_default().replace('_', " ")));
    }
    Value::String(lines.join("\n"))
}

fn with(asked: &Asked) -> Result<Vec<(String, Vec<String>)>, Fault> {
    let mut with: Vec<(String, Vec<String>)> = Vec::new();
    for pair in &asked.with {
        let (key, value) = pair.split_once('=').ok_or_else(|| Fault::misuse(format!("`--with {pair}`: wanted is KEY=VALUE")))?;
        match with.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
            Some((_, values)) => values.push(value.to_owned()),
            None => with.push((key.to_owned(), vec![value.to_owned()])),
        }
    }
    Ok(with)
}

fn unknown(principal: &str) -> Fault {
    Fault::misuse(format!("the snapshot lists no principal `{principal}`; give its full name, as `weft entitlements who-can` prints it"))
}

/// Reads all files of a snapshot; what cannot be read is told, the rest counts.
fn estate(given: &SnapshotPaths) -> Result<Estate, Fault> {
    let mut files = Vec::new();
    for path in &given.paths {
        walk(path, DEPTH_MAX, &mut files).map_err(|error| Fault::misuse(format!("`{}` cannot be read: {error}", path.display())))?;
    }
    let (mut accounts, mut clusters, mut counts) = (Collector::default(), cluster::Collector::default(), (0, 0));
    for file in &files {
        let place = file.display().to_string();
        match load(file) {
            Ok(value) if cluster::is_one(&value) => {
                counts.1 += 1;
                clusters.add(&place, &value);
            }
            Ok(value) => {
                counts.0 += 1;
                accounts.add(&place, &value);
            }
            Err(reason) => accounts.fault(&place, reason),
        }
    }
    let (mut snapshot, provider, mut faults) = match counts {
        (0, 1..) => (
            clusters.finish(),
            Provider { rules: Arc::new(Rules::read(cluster::RULES).map_err(Fault::failed)?), ..Provider::default() },
            accounts.finish().faults,
        ),
        (1.., 1..) => return Err(Fault::misuse("a cluster and something else in one snapshot; ask about them one after the other")),
        _ => (accounts.finish(), provider()?, Vec::new()),
    };
    faults.append(&mut snapshot.faults);
    tell(&faults);
    if snapshot.principals.is_empty() {
        return Err(Fault::misuse(format!("nothing that lists principals could be read; wanted is {WANTED}, or roles and bindings of a cluster")));
    }
    Ok(Estate::new(snapshot, provider))
}

fn tell(faults: &[SnapshotFault]) {
    faults.iter().take(FAULTS_TOLD_MAX).for_each(|fault| cli::say(&fault.to_string()));
    if faults.len() > FAULTS_TOLD_MAX {
        cli::say(&format!("and {} more", faults.len() - FAULTS_TOLD_MAX));
    }
}

fn walk(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let mut below: Vec<PathBuf> = std::fs::read_dir(path)?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    below.sort();
    below.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "json"));
    below.iter().try_for_each(|path| walk(path, depth - 1, files))
}

fn load(path: &Path) -> Result<Value, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("is larger than {FILE_BYTES_MAX} bytes; ask for pages (`--max-items`) and give all of them"));
    }
    let text = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("is not JSON: {error}"))
}
