//! `weft entitlements`: effective permissions and escalation, from snapshots.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use weft_connectors::entitlement::{RULES, actions, case};
use weft_connectors::systems::{Collectors, SYSTEMS, System};
use weft_identity::entitlement::escalation::{Escalation, Explorer, Hop};
use weft_identity::entitlement::federation::{across, strangers};
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules, evaluate};
use weft_model::entitlement::{Snapshot, SnapshotFault, Verdict};

use crate::cli::entitlements::{Asked, Can, Entitlements, Escalations, SnapshotPaths, WhoCan};
use crate::cli::{self, Fault, Format, Outcome, Output, Progress, Rows};
use crate::home::Home;

mod machines;
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
pub(super) fn run(asked: &Entitlements, home: impl FnOnce() -> Result<Home, Fault>, out: &mut Output) -> Result<Outcome, Fault> {
    match asked {
        Entitlements::Can(can) => can_one(can, out),
        Entitlements::WhoCan(who) => who_can(who, out),
        Entitlements::Escalations(asked) => escalations(asked, out),
        Entitlements::Unused(asked) => remedies::unused(asked, out),
        Entitlements::Cuts(asked) => remedies::cuts(asked, out),
        Entitlements::Machines(asked) => machines::machines(asked, &home()?, out),
        Entitlements::Evaluate { cases } => evaluate_all(cases, out),
    }
}

fn provider() -> Result<Provider, Fault> {
    let rules = Rules::read(RULES).map_err(Fault::failed)?;
    Ok(Provider { catalogue: Arc::new(Catalogue::new(actions())), rules: Arc::new(rules), ..Provider::default() })
}

/// A system with what a snapshot of it says.
struct Read {
    system: System,
    estate: Estate,
}

fn can_one(can: &Can, out: &mut Output) -> Result<Outcome, Fault> {
    let read = read(&can.snapshot)?;
    let (asked, with) = (&can.asked, with(&can.asked)?);
    let of = |one: &Read| one.estate.can(&can.principal, &(one.system.action)(&asked.action), &(one.system.resource)(&asked.resource), &with);
    let verdict = read.iter().find_map(of).ok_or_else(|| unknown(&can.principal))?;
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
    let (asked, with) = (&who.asked, with(&who.asked)?);
    let mut rows = Rows::new(["principal", "outcome", "because"]);
    let read = read(&who.snapshot)?;
    // An action that a system knows is asked of those that know it: a wildcard of another one does not mean it.
    let knows = |one: &Read| one.estate.knows(&(one.system.action)(&asked.action));
    let is_known = read.iter().any(knows);
    for one in read.iter().filter(|one| !is_known || knows(one)) {
        let (action, resource) = ((one.system.action)(&asked.action), (one.system.resource)(&asked.resource));
        for (principal, verdict) in one.estate.who_can(&action, &resource, &with) {
            rows.push([principal.into(), verdict.outcome.name().into(), because(&verdict, out)]);
        }
    }
    out.rows(&rows)?;
    Ok(Outcome::Done)
}

fn escalations(asked: &Escalations, out: &mut Output) -> Result<Outcome, Fault> {
    let estates: Vec<Estate> = read(&asked.snapshot)?.into_iter().map(|one| one.estate).collect();
    let listed = |principal: &String| estates.iter().any(|estate| estate.principals().any(|known| known == principal));
    if let Some(missing) = asked.principal.iter().find(|principal| !listed(principal)) {
        return Err(unknown(missing));
    }
    let progress = Progress::begin("following escalations");
    let mut found: Vec<Escalation> = Vec::new();
    for estate in &estates {
        let mut explorer = Explorer::new(estate);
        if asked.principal.is_empty() {
            found.extend(explorer.all().inspect(|_| progress.add(1)));
            found.extend(strangers(estate));
        } else {
            found.extend(asked.principal.iter().flat_map(|principal| explorer.from(principal)));
        }
    }
    found.extend(across(&estates).into_iter().filter(|one| asked.principal.is_empty() || asked.principal.contains(&one.principal)));
    drop(progress);
    let mut rows = Rows::new(["principal", "reaches", "account", "hops"]);
    for one in &found {
        let hops = if out.format() == Format::Table || out.format() == Format::Csv { Value::String(path(one)) } else { json!(one.hops) };
        rows.push([one.principal.clone().into(), one.reaches.clone().into(), one.account.clone().into(), hops]);
    }
    out.rows(&rows)?;
    let principals = if asked.principal.is_empty() { estates.iter().map(|estate| estate.principals().count()).sum() } else { asked.principal.len() };
    let paths = found.iter().filter(|one| !one.hops.is_empty()).count();
    match paths {
        0 => cli::say(&format!("{principals} principals were looked at; none becomes more than it is")),
        _ => cli::say(&format!("{principals} principals were looked at, and {paths} paths found")),
    }
    Ok(if paths > 0 { Outcome::Found } else { Outcome::Done })
}

/// A path in words.
fn path(one: &Escalation) -> String {
    if one.hops.is_empty() {
        return "is one".to_owned();
    }
    let hop = |hop: &Arc<Hop>| {
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
    for (line, value) in objects(&text) {
        match value.and_then(|value| case::read(&value, line)) {
            Ok(case) => {
                let verdict = evaluate(&case, &provider);
                let causes = because(&verdict, out);
                rows.push([case.id.into(), verdict.outcome.name().into(), causes, json!(verdict.missing)]);
            }
            Err(reason) => faults.push(format!("{}:{line}: {reason}", path.display())),
        }
    }
    out.rows(&rows)?;
    if faults.is_empty() { Ok(Outcome::Done) } else { Err(Fault::Misuse(faults)) }
}

/// Objects one after the other, each on a line or over several, with the line that it begins on. What is no object is
/// told, and reading goes on behind its line; behind one that does not end there is nothing.
fn objects(text: &str) -> Vec<(usize, Result<Value, String>)> {
    let (mut found, mut rest, mut line) = (Vec::new(), text, 1);
    loop {
        let blank = rest.len() - rest.trim_start().len();
        let (before, after) = rest.split_at(blank);
        line += before.matches('\n').count();
        if after.is_empty() {
            return found;
        }
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
        let read = match values.next() {
            Some(Ok(value)) if value.is_object() => Ok((value, values.byte_offset())),
            Some(Err(error)) if after.starts_with('{') => Err((error.to_string(), error.is_eof())),
            _ => Err(("an object is wanted".to_owned(), false)),
        };
        let taken = match read {
            Ok((value, taken)) => {
                found.push((line, Ok(value)));
                taken
            }
            Err((reason, ends)) => {
                found.push((line, Err(reason)));
                if ends { after.len() } else { after.find('\n').unwrap_or(after.len()) }
            }
        };
        let (taken, behind) = after.split_at(taken);
        line += taken.matches('\n').count();
        rest = behind;
    }
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
fn read(given: &SnapshotPaths) -> Result<Vec<Read>, Fault> {
    let (snapshots, faults) = collect(&files(given)?);
    tell(&faults);
    if snapshots.is_empty() {
        let wanted = SYSTEMS.iter().rev().map(|system| system.wanted).collect::<Vec<_>>().join("; or ");
        return Err(Fault::misuse(format!("nothing that lists principals could be read; wanted is {wanted}")));
    }
    estates(snapshots)
}

fn estates(snapshots: Vec<(System, Snapshot)>) -> Result<Vec<Read>, Fault> {
    let now = (crate::door::now().0 / 1_000).to_string();
    let mut read = Vec::new();
    for (system, snapshot) in snapshots {
        let rules = Arc::new(Rules::read(system.rules).map_err(Fault::failed)?);
        let provider = Provider { catalogue: Arc::new(Catalogue::new((system.actions)())), rules, now: Some(now.clone()) };
        read.push(Read { system, estate: Estate::new(snapshot, provider) });
    }
    Ok(read)
}

/// The one system that a question is about which is asked of one alone.
fn only(given: &SnapshotPaths) -> Result<Read, Fault> {
    let mut read = read(given)?;
    match (read.pop(), read.pop()) {
        (Some(one), None) => Ok(one),
        _ => Err(Fault::misuse("snapshots of several systems in one; ask about them one after the other")),
    }
}

/// All files of a snapshot.
fn files(given: &SnapshotPaths) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    for path in &given.paths {
        walk(path, DEPTH_MAX, &mut files).map_err(|error| Fault::misuse(format!("`{}` cannot be read: {error}", path.display())))?;
    }
    Ok(files)
}

/// Reports of credentials say who is there, and not who may do what.
fn is_report(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "csv")
}

fn collect(files: &[PathBuf]) -> (Vec<(System, Snapshot)>, Vec<SnapshotFault>) {
    let mut collectors = Collectors::default();
    for file in files.iter().filter(|file| !is_report(file)) {
        let place = file.display().to_string();
        match load(file) {
            Ok(value) => collectors.add(&place, &value),
            Err(reason) => collectors.fault(&place, reason),
        }
    }
    collectors.finish()
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
    below.retain(|path| path.is_dir() || is_report(path) || path.extension().is_some_and(|extension| extension == "json"));
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
