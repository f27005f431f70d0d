//! The rules that are loaded, and whether they can fire here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use weft_analytics::sigma::Fault;
use weft_analytics::sigma::condition::Condition;
use weft_analytics::sigma::correlation::Correlation;
use weft_analytics::sigma::fields::Kind;
use weft_analytics::sigma::lint::{Verdict, lint};
use weft_analytics::sigma::rule::{Body, Rule};
use weft_analytics::{Engine, FieldMap};
use weft_console::api::{RuleKind, RuleState, RuleView};
use weft_ingest::Registry;
use weft_model::{Technique, attack};

use crate::mesh::incidents::named;

/// Characters of a description that are shown.
const DESCRIPTION_CHARS_MAX: usize = 400;

/// Which connectors have which kinds of event.
pub(crate) struct Places {
    by_kind: BTreeMap<String, BTreeSet<String>>,
}

impl Places {
    /// By the classes that connectors map to.
    pub(crate) fn of(fields: &FieldMap, registry: &Registry) -> Self {
        let mut classes: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
        for program in &registry.programs {
            let Some((connector, _)) = program.stream.0.split_once('/') else { continue };
            for uid in program.plans.iter().filter_map(|plan| u32::try_from(plan.names.class_uid).ok()) {
                classes.entry(uid).or_default().insert(connector.to_owned());
            }
        }
        let of = |kind: &Kind| match (&kind.connector, kind.is_of_one_tool()) {
            (Some(connector), true) => BTreeSet::from([connector.clone()]),
            (connector, _) => {
                let any = kind.classes.iter().filter_map(|class| classes.get(&class.0)).flatten().cloned();
                connector.iter().cloned().chain(any).collect()
            }
        };
        Self { by_kind: fields.kinds().map(|kind| (kind.name.clone(), of(kind))).collect() }
    }

    /// On which connectors a rule can fire.
    pub(crate) fn connectors(&self, verdict: &Verdict) -> BTreeSet<String> {
        verdict.kinds.iter().filter_map(|kind| self.by_kind.get(kind)).flatten().cloned().collect()
    }
}

/// Why a rule is silent whose kind of event no connector has.
pub(crate) fn silent(rule: &Rule) -> Fault {
    Fault::at(rule.line, "the rule can never fire here: no connector has events of its class")
}

/// Every rule, as it is before the first event.
pub(crate) fn of(engine: &Engine, fields: &FieldMap, registry: &Registry) -> Vec<RuleView> {
    let places = Places::of(fields, registry);
    let off: HashMap<&str, &str> = engine.off().into_iter().map(|(rule, reason)| (rule.id.as_str(), reason)).collect();
    let mut views: Vec<RuleView> = engine.placed().map(|(file, rule)| view(file, rule, &lint(rule, fields), &places, &off)).collect();
    let all: Vec<&Rule> = engine.rules().collect();
    // Correlations may be chained: each pass brings what is below one step up.
    while chain(&all, &mut views) {}
    views
}

fn view(file: &str, rule: &Rule, verdict: &Verdict, places: &Places, off: &HashMap<&str, &str>) -> RuleView {
    let connectors = places.connectors(verdict);
    let (kind, looks) = match &rule.body {
        Body::Detection { behaviour: Some(_), .. } => (RuleKind::Behaviour, true),
        Body::Detection { .. } => (RuleKind::Detection, true),
        Body::Correlation(_) => (RuleKind::Correlation, false),
        Body::Filter { .. } => (RuleKind::Filter, false),
    };
    let never = verdict.never.clone().or_else(|| (looks && connectors.is_empty()).then(|| silent(rule)));
    let (state, reason) = match (never, off.get(rule.id.as_str())) {
        (Some(never), _) => (RuleState::Never, Some(never.reason)),
        (None, Some(reason)) => (RuleState::Off, Some(reason.trim_start_matches("it is off: ").to_owned())),
        (None, None) => (RuleState::Ready, None),
    };
    let tactics: BTreeSet<&str> = rule.techniques.iter().flat_map(tactics).collect();
    RuleView {
        id: rule.id.clone(),
        title: rule.title.clone(),
        description: rule.description.chars().take(DESCRIPTION_CHARS_MAX).collect(),
        file: file.to_owned(),
        line: rule.line,
        severity_id: rule.severity_id,
        kind,
        state,
        reason,
        techniques: rule.techniques.iter().map(|technique| named(&technique.uid)).collect(),
        tactics: tactics.into_iter().map(str::to_owned).collect(),
        connectors: connectors.into_iter().collect(),
        fired: 0,
        last_fired: None,
    }
}

/// A correlation fires on what its rules fire on, and never when none of them can; whether that was news.
fn chain(rules: &[&Rule], views: &mut [RuleView]) -> bool {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (at, rule) in rules.iter().enumerate() {
        places.extend([Some(rule.id.as_str()), rule.name.as_deref()].into_iter().flatten().map(|name| (name, at)));
    }
    let mut news = false;
    for (at, rule) in rules.iter().enumerate() {
        let Body::Correlation(correlation) = &rule.body else { continue };
        let members: Vec<&RuleView> = correlation.rules.iter().filter_map(|name| views.get(*places.get(name.as_str())?)).collect();
        let connectors: BTreeSet<String> = members.iter().flat_map(|member| &member.connectors).cloned().collect();
        let is_never = |name: &String| places.get(name.as_str()).and_then(|place| views.get(*place)).is_some_and(|member| member.state == RuleState::Never);
        let dead = if needs_all(correlation) { correlation.rules.iter().any(is_never) } else { !members.is_empty() && correlation.rules.iter().all(is_never) };
        let Some(view) = views.get_mut(at) else { continue };
        let connectors: Vec<String> = connectors.into_iter().collect();
        if connectors.len() > view.connectors.len() {
            (view.connectors, news) = (connectors, true);
        }
        if dead && view.state != RuleState::Never {
            (view.state, news) = (RuleState::Never, true);
            view.reason = Some(
                if needs_all(correlation) {
                    "the correlation can never fire here: it needs all of its rules, and not all can"
                } else {
                    "the correlation can never fire here: none of its rules can"
                }
                .to_owned(),
            );
        }
    }
    news
}

/// Whether each of its rules must have met.
fn needs_all(correlation: &Correlation) -> bool {
    let is_rule = |part: &Condition| matches!(part, Condition::Selection(_));
    matches!(&correlation.condition, Some(Condition::And(parts)) if parts.iter().all(is_rule) && parts.len() == correlation.rules.len())
}

/// Ids of the tactics of a technique: the rule's, or all that ATT&CK gives it.
fn tactics(technique: &Technique) -> Vec<&'static str> {
    if let Some((id, _)) = technique.tactic.as_deref().and_then(attack::tactic) {
        return vec![id];
    }
    let names = attack::by_id(&technique.uid).into_iter().flat_map(|entry| entry.tactics());
    names.filter_map(attack::tactic).map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::content;

    #[test]
    fn rules_say_where_they_can_fire_and_why_not() {
        let files = content::files(Path::new("/nowhere")).unwrap();
        let (registry, (fields, _)) = (content::registry(&files).unwrap(), content::fields(&files));
        let rule = |id: &str, logsource: &str, selection: &str| {
            format!(
                "title: {id}\nid: {id}\nstatus: test\nlevel: high\ntags: [attack.t1110]\nlogsource:\n  {logsource}\ndetection:\n  s:\n    {selection}\n  condition: s\n"
            )
        };
        let text = [
            rule("00000000-0000-0000-0000-000000000001", "category: process_creation\n  product: windows", "Image: a"),
            rule("00000000-0000-0000-0000-000000000002", "product: nothing_here", "a: b"),
            "title: t\nid: 00000000-0000-0000-0000-000000000004\nstatus: test\nlevel: high\ncorrelation:\n  type: temporal\n  rules: [00000000-0000-0000-0000-000000000001, 00000000-0000-0000-0000-000000000002]\n  group-by: [a]\n  timespan: 5m\n".to_owned(),
            "title: c\nid: 00000000-0000-0000-0000-000000000003\nstatus: test\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [00000000-0000-0000-0000-000000000002]\n  group-by: [a]\n  timespan: 5m\n  condition:\n    gte: 3\n".to_owned(),
        ]
        .join("---\n");
        let (engine, faults) = weft_analytics::compile(&[weft_analytics::RuleFile { name: "r.yml".to_owned(), text }], &fields);
        assert!(faults.iter().all(|fault| !fault.refused), "{faults:?}");
        let views = of(&engine, &fields, &registry);
        let states: Vec<RuleState> = views.iter().map(|view| view.state).collect();
        assert_eq!(states, [RuleState::Ready, RuleState::Never, RuleState::Never, RuleState::Never], "{views:?}");
        assert!(views[0].connectors.contains(&"windows".to_owned()) && views[0].tactics.contains(&"TA0006".to_owned()), "{:?}", views[0]);
        assert!(views[1].reason.as_deref().unwrap().contains("can never fire here") && views[3].reason.as_deref().unwrap().contains("none of its rules"));
        assert!(views[2].reason.as_deref().unwrap().contains("it needs all of its rules"), "{:?}", views[2]);
    }
}
