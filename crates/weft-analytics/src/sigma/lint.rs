//! What is odd about a rule that loads: it may never fire, or not mean what its author thinks.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Fault;
use super::detection::{Detection, Matcher};
use super::fields::{FieldMap, Kind};
use super::pattern::{Place, Test};
use super::rule::{Body, LogSource, Rule};

/// What is said of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it can never fire here, where it cannot.
    pub never: Option<Fault>,
    /// Fields that no mapping names; they are looked for in what the source calls so.
    pub unknown: Vec<Fault>,
    /// Selections that the condition does not use, deprecated forms.
    pub odd: Vec<Fault>,
    /// Names of the kinds of event on which it can fire.
    pub kinds: Vec<String>,
}

/// Looks at one rule. Correlations fire with their rules and have a verdict without kinds.
pub fn lint(rule: &Rule, fields: &FieldMap) -> Verdict {
    let mut verdict = Verdict { odd: rule.notes.clone(), ..Verdict::default() };
    let (logsource, detection) = match &rule.body {
        Body::Detection { logsource, detection, .. } | Body::Filter { logsource, detection, .. } => (logsource, detection),
        Body::Correlation(_) => return verdict,
    };
    verdict.odd.extend(unused(detection));
    if matches!(rule.body, Body::Filter { .. }) {
        return verdict;
    }
    let kinds: Vec<&Arc<Kind>> = fields.kinds_of(logsource).collect();
    let able: Vec<&Arc<Kind>> = kinds.iter().copied().filter(|kind| contradiction(detection, kind).is_none()).collect();
    verdict.unknown = unknown(rule, detection, &kinds);
    verdict.kinds = able.iter().map(|kind| kind.name.clone()).collect();
    verdict.never = never(rule, logsource, detection, &kinds, &able);
    verdict
}

/// A logsource for a person.
pub fn named(logsource: &LogSource) -> String {
    [&logsource.product, &logsource.category, &logsource.service].into_iter().flatten().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(", ")
}

fn never(rule: &Rule, logsource: &LogSource, detection: &Detection, kinds: &[&Arc<Kind>], able: &[&Arc<Kind>]) -> Option<Fault> {
    let reason = if kinds.is_empty() {
        format!("no kind of event is known for the logsource {}", named(logsource))
    } else if let Some(name) = detection.unfilled.first() {
        format!("nothing fills the placeholder `%{name}%`; give its values in `vars` of a pipeline")
    } else if able.is_empty() {
        kinds.iter().find_map(|kind| contradiction(detection, kind))?
    } else {
        return None;
    };
    Some(Fault::at(rule.line, format!("the rule can never fire here: {reason}")))
}

/// Selections that no condition names.
fn unused(detection: &Detection) -> Vec<Fault> {
    let mut used = BTreeSet::new();
    detection.condition.each(&mut |index| used.extend([index]));
    let unused = detection.selections.iter().enumerate().filter(|(at, _)| !used.contains(at));
    unused.map(|(_, selection)| Fault::at(selection.line, format!("the selection `{}` is never used in the condition", selection.name))).collect()
}

fn unknown(rule: &Rule, detection: &Detection, kinds: &[&Arc<Kind>]) -> Vec<Fault> {
    if kinds.is_empty() {
        return Vec::new();
    }
    let unknown = detection.fields().into_iter().filter(|field| !kinds.iter().any(|kind| kind.knows(field)));
    unknown
        .map(|field| {
            let names: BTreeSet<&str> = kinds.iter().flat_map(|kind| kind.names()).collect();
            let near = weft_model::ocsf::nearest(field, names.into_iter());
            let hint = if near.is_empty() { String::new() } else { format!("; near: `{}`", near.join("`, `")) };
            Fault::at(rule.line, format!("the field `{field}` is in no mapping of this logsource{hint}; it is found only where the source calls it so"))
        })
        .collect()
}

/// Why the rule asks for what no event of the kind has.
fn contradiction(detection: &Detection, kind: &Kind) -> Option<String> {
    let mut all = Vec::new();
    required(detection, &detection.condition, &mut all);
    kind.when.iter().find_map(|(path, values)| {
        let asked = all.iter().find(|(field, _)| kind.paths(field).ocsf == [path.clone()])?;
        let wild = values.iter().any(|value| value.contains(['*', '!']) || value.is_empty());
        let meets = asked.1.iter().any(|text| values.iter().any(|value| value == text));
        (!wild && !meets).then(|| {
            let values = values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ");
            format!("it asks for `{}: {}`, but events of the kind `{}` have {values} there", asked.0, asked.1.join(", "), kind.name)
        })
    })
}

/// Fields of which one of the texts must be the value, whatever else holds.
fn required<'a>(detection: &'a Detection, condition: &super::condition::Condition, all: &mut Vec<(&'a str, Vec<String>)>) {
    use super::condition::Condition;
    match condition {
        Condition::And(parts) => parts.iter().for_each(|part| required(detection, part, all)),
        Condition::Selection(index) => {
            let parts = match detection.selections.get(*index).map(|selection| &selection.matcher) {
                Some(Matcher::All(parts)) => parts.as_slice(),
                Some(one) => std::slice::from_ref(one),
                None => &[],
            };
            all.extend(parts.iter().filter_map(texts));
        }
        Condition::Or(_) | Condition::Not(_) | Condition::AtLeast(..) => {}
    }
}

fn texts(matcher: &Matcher) -> Option<(&str, Vec<String>)> {
    match matcher {
        Matcher::Field { field, test: Test::Literal { place: Place::Whole, text, .. }, .. } => Some((field, vec![text.to_lowercase()])),
        Matcher::Any(parts) => {
            let all: Vec<(&str, Vec<String>)> = parts.iter().map(texts).collect::<Option<_>>()?;
            let field = all.first()?.0;
            all.iter().all(|(other, _)| *other == field).then(|| (field, all.iter().flat_map(|(_, texts)| texts.clone()).collect()))
        }
        _ => None,
    }
}
