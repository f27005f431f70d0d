//! What to take away: unused entitlements, narrower policies, and cuts that end escalation.

use std::path::PathBuf;

use serde_json::{Value, json};
use weft_connectors::entitlement::{calls, document};
use weft_connectors::systems::System;
use weft_identity::entitlement::remedy::remedy;
use weft_identity::entitlement::usage::{Usage, usage};
use weft_ingest::frame::{self, Framing, Piece};
use weft_ingest::language::file::Format;
use weft_model::entitlement::Call;

use super::{FAULTS_TOLD_MAX, only, unknown};
use crate::cli::entitlements::{Cuts, Unused};
use crate::cli::{self, Fault, Outcome, Output, Rows};

/// Paths that are left and told one by one.
const LEFT_TOLD_MAX: usize = 10;

pub(super) fn unused(asked: &Unused, out: &mut Output) -> Result<Outcome, Fault> {
    let super::Read { system, estate } = only(&asked.snapshot)?;
    if let Some(missing) = asked.principal.iter().find(|principal| !estate.principals().any(|known| known == *principal)) {
        return Err(unknown(missing));
    }
    let calls = as_compared(system, &calls(&asked.calls)?);
    let usages = usage(&estate, &calls);
    for (principal, calls) in usages.strangers.iter().take(FAULTS_TOLD_MAX) {
        cli::say(&format!("the snapshot lists no principal `{principal}`: {calls} of its calls count for nobody"));
    }
    let for_people = matches!(out.format(), cli::Format::Table | cli::Format::Csv);
    let mut rows = Rows::new(["principal", "granted", "used", "creep", "unused", "proposal", "replayed", "refused"]);
    let mut found = false;
    for one in usages.of.iter().filter(|one| asked.principal.is_empty() || asked.principal.contains(&one.principal)) {
        found |= !one.unused.is_empty();
        let (unused, proposal) = if for_people { (told(one), proposed(one)) } else { (json!(one.unused), whole(one)) };
        let replayed = one.proposal.as_ref().map(|proposal| proposal.replayed);
        let refused = one.proposal.as_ref().map(|proposal| proposal.refused.len());
        rows.push([one.principal.clone().into(), one.granted.into(), one.used.into(), one.creep.into(), unused, proposal, json!(replayed), json!(refused)]);
    }
    out.rows(&rows)?;
    Ok(if found { Outcome::Found } else { Outcome::Done })
}

/// Calls with their actions and resources as a system compares them.
pub(super) fn as_compared(system: System, calls: &[Call]) -> Vec<Call> {
    let one = |call: &Call| Call { action: (system.action)(&call.action), resource: call.resource.as_deref().map(system.resource), ..call.clone() };
    calls.iter().map(one).collect()
}

/// All calls; a record that cannot be read is told, the rest counts. Files are opened as those of records are: packed
/// or not, a record a line or all in one document.
pub(super) fn calls(paths: &[PathBuf]) -> Result<Vec<Call>, Fault> {
    let framing = Framing { formats: vec![Format::Json], records: vec!["Records".to_owned()], ..Framing::default() };
    let (mut calls, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let mut number = 0_u64;
        let outcome = frame::read(path, &framing, &mut |piece| {
            let read = match piece {
                Piece::Context(_) => return,
                Piece::Record { bytes, .. } => {
                    serde_json::from_slice::<Value>(&bytes).map_err(|error| format!("is not JSON: {error}")).and_then(|value| calls::read(&value))
                }
                Piece::Fault { message, .. } => Err(message),
            };
            number += 1;
            match read {
                Ok(read) => calls.extend(read),
                Err(reason) => faults.push(format!("{}: record {number}: {reason}", path.display())),
            }
        });
        outcome.map_err(|error| Fault::misuse(format!("`{}` cannot be read: {error}", path.display())))?;
    }
    faults.iter().take(FAULTS_TOLD_MAX).for_each(|fault| cli::say(fault));
    if faults.len() > FAULTS_TOLD_MAX {
        cli::say(&format!("and {} more", faults.len() - FAULTS_TOLD_MAX));
    }
    if calls.is_empty() && !faults.is_empty() { Err(Fault::misuse(format!("no call could be read; wanted is {}", calls::WANTED))) } else { Ok(calls) }
}

fn told(one: &Usage) -> Value {
    let line = |unused: &weft_identity::entitlement::usage::Unused| {
        let of = format!("`{}`, statement {}", unused.policy, unused.statement);
        match (unused.whole, unused.actions.is_empty()) {
            (true, _) => format!("{of}: all of it"),
            (false, true) => format!("{of}: a part of its wildcards"),
            (false, false) => format!("{of}: {}", unused.actions.join(", ")),
        }
    };
    Value::String(one.unused.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn proposed(one: &Usage) -> Value {
    match &one.proposal {
        Some(proposal) if proposal.refused.is_empty() => format!("{} statements; `--format json` has them", proposal.document.statements.len()).into(),
        Some(proposal) => format!("none: it would refuse {}", proposal.refused.iter().cloned().collect::<Vec<_>>().join(", ")).into(),
        None => Value::Null,
    }
}

/// A proposal that the past calls do not pass is none.
fn whole(one: &Usage) -> Value {
    one.proposal.as_ref().filter(|proposal| proposal.refused.is_empty()).map(|proposal| document::write(&proposal.document)).unwrap_or_default()
}

pub(super) fn cuts(asked: &Cuts, out: &mut Output) -> Result<Outcome, Fault> {
    let remedy = remedy(&only(&asked.snapshot)?.estate, asked.most);
    let mut rows = Rows::new(["holder", "policy", "statement", "action", "breaks"]);
    for (cut, breaks) in &remedy.cuts {
        rows.push([cut.holder.clone().into(), cut.policy.clone().into(), cut.statement.clone().into(), cut.action.clone().into(), (*breaks).into()]);
    }
    out.rows(&rows)?;
    let (before, cuts, left) = (remedy.before, remedy.cuts.len(), remedy.left.len());
    let spared = if remedy.tried { "; none of them can be spared" } else { "" };
    cli::say(&format!("{before} paths to an administrator before, {left} after {cuts} cuts{spared}; fewer than {} cannot do", remedy.needed));
    for one in remedy.left.iter().take(LEFT_TOLD_MAX) {
        cli::say(&format!("left: {} by {} hops", one.principal, one.hops.len()));
    }
    if left > LEFT_TOLD_MAX {
        cli::say(&format!("and {} more", left - LEFT_TOLD_MAX));
    }
    Ok(if left > 0 { Outcome::Found } else { Outcome::Done })
}
