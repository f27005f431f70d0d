//! Machine identities: an inventory with owner, age, use and reach, and what is wrong with them.

use std::collections::HashMap;

use serde_json::{Value, json};
use weft_connectors::machines::Machines as Collected;
use weft_identity::entitlement::Estate;
use weft_identity::entitlement::usage::{Usage, usage};
use weft_identity::machine::{Review, review};
use weft_model::Timestamp;
use weft_policy::{Check, Outcome as Checked, Status, Subject};

use super::{collect, estates, files, is_report, load, remedies, tell, text};
use crate::cli::entitlements::Machines;
use crate::cli::{Fault, Format, Outcome, Output, Rows};
use crate::content;
use crate::home::Home;

/// Kind of subject that checks of machine identities are about.
const SUBJECT: &str = "machine_identity";

/// Lists machines, or the findings of the checks on them.
pub(super) fn machines(asked: &Machines, home: &Home, out: &mut Output) -> Result<Outcome, Fault> {
    let reviews = reviews(asked)?;
    let checks = content::files(&home.dir).and_then(|files| content::machine_checks(&files)).map_err(Fault::Misuse)?;
    let subjects: Vec<Subject> = reviews.iter().map(subject).collect();
    let outcomes: Vec<Vec<Checked<'_>>> = subjects.iter().map(|subject| checks.iter().filter_map(|check| check.evaluate(subject)).collect()).collect();
    let failed = outcomes.iter().flatten().any(|one| one.status == Status::Fail);
    if asked.findings {
        findings(&outcomes, crate::door::now(), out)?;
    } else {
        inventory(&reviews, &outcomes, out)?;
    }
    Ok(if failed { Outcome::Found } else { Outcome::Done })
}

fn reviews(asked: &Machines) -> Result<Vec<Review>, Fault> {
    let files = files(&asked.snapshot)?;
    let mut collected = Collected::default();
    for file in &files {
        let place = file.display().to_string();
        if is_report(file) {
            collected.add_text(&place, &text(file)?);
        } else if let Ok(value) = load(file) {
            collected.add(&place, &value);
        }
    }
    let collected = collected.finish();
    let (snapshots, mut faults) = collect(&files);
    faults.extend(collected.faults);
    tell(&faults);
    if collected.found.is_empty() {
        return Err(Fault::misuse(
            "no machine identity was found; wanted are credential reports (`.csv`), or lists of accounts, keys and applications: see the guide on machine identities",
        ));
    }
    let read = estates(snapshots)?;
    let calls = remedies::calls(&asked.calls)?;
    let mut usages: HashMap<String, Usage> = HashMap::new();
    for one in read.iter().filter(|_| !calls.is_empty()) {
        let of = remedies::as_compared(one.system, &calls);
        usages.extend(usage(&one.estate, &of).of.into_iter().map(|usage| (usage.principal.clone(), usage)));
    }
    let estates: Vec<Estate> = read.into_iter().map(|one| one.estate).collect();
    Ok(review(collected.found, &estates, &usages, crate::door::now()))
}

fn subject(review: &Review) -> Subject {
    Subject { kind: SUBJECT.to_owned(), uid: review.machine.name.clone(), name: review.machine.name.clone(), facts: review.facts.clone() }
}

fn findings(outcomes: &[Vec<Checked<'_>>], now: Timestamp, out: &mut Output) -> Result<(), Fault> {
    let told = outcomes.iter().flatten().filter(|one| one.status == Status::Fail);
    if matches!(out.format(), Format::Table | Format::Csv) {
        let mut rows = Rows::new(["machine", "check", "severity", "requirement", "observed"]);
        for one in told {
            let Check { id, severity, framework, .. } = one.check;
            let requirement = framework.first().map(|control| control.control.clone()).unwrap_or_default();
            rows.push([
                one.subject.name.clone().into(),
                id.clone().into(),
                format!("{severity:?}").to_lowercase().into(),
                requirement.into(),
                one.details.join("; ").into(),
            ]);
        }
        return out.rows(&rows);
    }
    let events: Vec<Value> = told.map(|one| one.to_ocsf(now)).collect();
    if out.format() == Format::Json {
        out.line(&Value::Array(events).to_string())?;
    } else {
        events.iter().try_for_each(|event| out.line(&event.to_string()))?;
    }
    out.flush()
}

fn inventory(reviews: &[Review], outcomes: &[Vec<Checked<'_>>], out: &mut Output) -> Result<(), Fault> {
    let for_people = matches!(out.format(), Format::Table | Format::Csv);
    let mut rows = Rows::new([
        "machine",
        "kind",
        "account",
        "active",
        "owner",
        "age",
        "rotated",
        "used",
        "used_from",
        "acts_as",
        "delegator",
        "reaches",
        "workloads",
        "creep",
        "failed",
    ]);
    let list = |values: &[String]| if for_people { Value::String(values.join("\n")) } else { json!(values) };
    for (one, outcomes) in reviews.iter().zip(outcomes) {
        let machine = &one.machine;
        let number = |fact: &str| one.facts.get(fact).and_then(|value| value.parse::<i64>().ok()).map_or(Value::Null, Value::from);
        let owner = match (&one.owner, for_people) {
            (Some(owner), true) => format!("{} ({} %, {})", owner.owner, owner.confidence, owner.evidence).into(),
            (Some(owner), false) => json!(owner),
            (None, _) => Value::Null,
        };
        let failed: Vec<String> = outcomes.iter().filter(|one| one.status == Status::Fail).map(|one| one.check.id.clone()).collect();
        rows.push([
            machine.name.clone().into(),
            machine.kind.name().into(),
            machine.account.clone().into(),
            machine.active.into(),
            owner,
            number("age_days"),
            number("rotation_days"),
            machine.used.map_or(Value::Null, |used| used.rfc3339().into()),
            list(&machine.used_from),
            json!(machine.acts_as),
            json!(machine.delegator),
            list(&one.reaches),
            list(&one.workloads),
            number("creep"),
            list(&failed),
        ]);
    }
    out.rows(&rows)
}
