//! `weft map --explain`: which rule made which attribute, and why a record became no event.

use serde_json::Value;
use weft_ingest::map::explain::{Explanation, Tried, explain};

use super::input;
use crate::cli::{self, Fault, Format, Outcome, Output, Rows};
use crate::content;
use crate::door::records::refused;
use crate::home::Home;

/// Records that are explained; a person reads them one by one.
const RECORDS_MAX: usize = 10_000;

/// Explains every record; exit code 1 when one became no event.
///
/// # Errors
/// Unknown stream, paths that cannot be read.
pub(super) fn run(home: &Home, input: &cli::Input, out: &mut Output) -> Result<Outcome, Fault> {
    let files = content::files(&home.dir).map_err(Fault::Misuse)?;
    let registry = content::registry_traced(&files).map_err(Fault::Misuse)?;
    let (stream, framing) = input::stream(&registry, &input.stream)?;
    let mut explained = Vec::new();
    let count = input::read(&input.paths, &stream, &framing, &mut |batch| {
        if explained.len() >= RECORDS_MAX {
            return;
        }
        match refused(&batch) {
            Some(rejects) => explained.extend(rejects.into_iter().map(|reject| Explanation {
                record: reject.id.to_string(),
                stream: reject.stream.to_string(),
                outcome: "reject",
                reason: format!("{}: {}", reject.cause.name(), reject.message),
                ..Explanation::default()
            })),
            None => explained.extend(explain(&registry, &batch)),
        }
    });
    let failed = explained.iter().any(|explanation| explanation.outcome == "reject");
    match out.asked() {
        Some(Format::Table | Format::Csv) => out.rows(&rows(&explained))?,
        _ if out.is_terminal() => out.rows(&rows(&explained))?,
        Some(Format::Json) => out.line(&serde_json::to_string(&explained).map_err(Fault::failed)?)?,
        _ => {
            for explanation in &explained {
                out.line(&serde_json::to_string(explanation).map_err(Fault::failed)?)?;
            }
        }
    }
    out.flush()?;
    if explained.len() >= RECORDS_MAX {
        cli::say(&format!("only the first {RECORDS_MAX} records are explained"));
    }
    count.check()?;
    Ok(if failed { Outcome::Found } else { Outcome::Done })
}

/// One row an attribute, a rule, a condition.
fn rows(explained: &[Explanation]) -> Rows {
    let mut rows = Rows::new(["record", "what", "attribute", "value", "rule", "place", "from"]);
    for (explanation, number) in explained.iter().zip(1..) {
        let mut push = |what: &str, attribute: &str, value: Value, rule: &str, place: &str, from: String| {
            rows.push([Value::from(number), what.into(), attribute.into(), value, rule.into(), place.into(), from.into()]);
        };
        push(explanation.outcome, &explanation.stream, explanation.class.clone().into(), &explanation.reason, "", String::new());
        for tried in &explanation.tried {
            let word = if tried.taken { "taken" } else { "tried" };
            push(word, &tried.what, Value::Null, &why(tried), &tried.place, String::new());
        }
        for field in &explanation.fields {
            push("set", &field.path, field.value.clone(), &field.rule, &field.place, field.from.join(", "));
        }
        for field in &explanation.without_effect {
            push("without effect", &field.path, field.value.clone(), &field.rule, &field.place, field.from.join(", "));
        }
        for path in &explanation.unmapped {
            push("unmapped", path, Value::Null, "no rule carries it over", "", String::new());
        }
    }
    rows
}

/// Each condition that failed, with what it saw; those that held when all did.
fn why(tried: &Tried) -> String {
    let told = |condition: &weft_ingest::map::explain::Condition| {
        let saw: Vec<String> = condition.saw.iter().map(|(path, value)| format!("{path} = {value}")).collect();
        let saw = if saw.is_empty() { "nothing there".to_owned() } else { saw.join(", ") };
        format!("{} `{}` ({saw})", if condition.holds { "holds" } else { "fails" }, condition.rule)
    };
    let failed: Vec<String> = tried.conditions.iter().filter(|condition| !condition.holds).map(told).collect();
    let conditions = if failed.is_empty() { tried.conditions.iter().map(told).collect() } else { failed };
    [conditions.join("; "), tried.note.clone()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}
