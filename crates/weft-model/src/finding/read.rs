//! Findings read back from OCSF: our own from the lake, and those that tools send.

use serde_json::Value;

use super::{Entity, Evidence, Finding, Technique};
use crate::attack;
use crate::batch::ClassUid;
use crate::time::Timestamp;

/// Most entities, and most events of evidence, that are taken over from one event.
const LIST_MAX: usize = 200;
/// Class of detection findings.
pub const DETECTION_FINDING: ClassUid = ClassUid(2004);

impl Finding {
    /// The finding in a Detection Finding event (class 2004), of whichever tool; none when the event is of
    /// another class or names no finding. What the tool leaves out is taken from what is there: without an
    /// analytic the title stands for it, without related events the event itself is the evidence.
    pub fn from_ocsf(event: &Value) -> Option<Self> {
        if event.get("class_uid")?.as_u64()? != u64::from(DETECTION_FINDING.0) {
            return None;
        }
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let own = text("/metadata/uid");
        let uid = text("/finding_info/uid").or_else(|| own.clone())?;
        let title = text("/finding_info/title").or_else(|| text("/message")).unwrap_or_else(|| "untitled finding".to_owned());
        let time = Timestamp(event.get("time")?.as_i64()?);
        let mut evidence: Vec<Evidence> = items(event, "/finding_info/related_events").filter_map(|item| evidence(item, time)).collect();
        if evidence.is_empty() {
            evidence.push(Evidence { uid: own.unwrap_or_else(|| uid.clone()), class: DETECTION_FINDING, time });
        }
        Some(Self {
            analytic_uid: text("/finding_info/analytic/uid").or_else(|| text("/finding_info/analytic/name")).unwrap_or_else(|| title.clone()),
            severity_id: event.get("severity_id").and_then(Value::as_i64).unwrap_or(0),
            matched: items(event, "/evidences/0/data/matched").filter_map(|line| line.as_str().map(str::to_owned)).collect(),
            entities: items(event, "/observables").filter_map(entity).collect(),
            techniques: items(event, "/finding_info/attacks").chain(items(event, "/attacks")).filter_map(technique).collect(),
            update: event.get("activity_id").and_then(Value::as_i64) == Some(2),
            uid,
            title,
            time,
            evidence,
        })
    }

    /// Ids of the tactics of its techniques, e.g. `TA0006`: the rule's, or else the technique's first.
    pub fn tactics(&self) -> impl Iterator<Item = &'static str> {
        self.techniques.iter().filter_map(|technique| {
            let first = || attack::by_id(&technique.uid).and_then(|entry| entry.tactics().next());
            let (id, _) = technique.tactic.as_deref().and_then(attack::tactic).or_else(|| attack::tactic(first()?))?;
            Some(id)
        })
    }
}

fn items<'e>(event: &'e Value, path: &str) -> impl Iterator<Item = &'e Value> + use<'e> {
    event.pointer(path).and_then(Value::as_array).into_iter().flatten().take(LIST_MAX)
}

fn evidence(item: &Value, time: Timestamp) -> Option<Evidence> {
    let class = item.get("type_uid").and_then(Value::as_u64).map(|uid| uid / 100).and_then(|uid| u32::try_from(uid).ok()).unwrap_or(0);
    let at = item.get("time").and_then(Value::as_i64).map_or(time, Timestamp);
    Some(Evidence { uid: item.get("uid")?.as_str()?.to_owned(), class: ClassUid(class), time: at })
}

fn entity(item: &Value) -> Option<Entity> {
    let value = item.get("value")?.as_str()?.to_owned();
    Some(Entity { name: item.get("name")?.as_str()?.to_owned(), type_id: item.get("type_id").and_then(Value::as_i64).unwrap_or(0), value })
}

fn technique(item: &Value) -> Option<Technique> {
    let uid = |path: &str| item.pointer(path).and_then(Value::as_str).filter(|uid| !uid.is_empty()).map(str::to_owned);
    // Rules write the short name, OCSF the id: an id is also its own short name in the table.
    let tactic = uid("/tactic/uid").and_then(|id| attack::by_id(&id)?.tactics().next());
    Some(Technique { uid: uid("/sub_technique/uid").or_else(|| uid("/technique/uid"))?, tactic: tactic.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn our_own_are_read_back_whole() {
        let evidence = vec![Evidence { uid: "e".into(), class: ClassUid(3002), time: Timestamp(5) }];
        let finding = Finding {
            uid: Finding::uid_of("rule", &evidence),
            analytic_uid: "rule".into(),
            title: "Title".into(),
            severity_id: 4,
            time: Timestamp(9),
            matched: vec!["selection: a: b".into()],
            entities: vec![Entity { name: "user.name".into(), type_id: 4, value: "ada".into() }],
            evidence,
            techniques: vec![Technique { uid: "T1110.001".into(), tactic: Some("credential-access".into()) }],
            update: false,
        };
        assert_eq!(Finding::from_ocsf(&finding.to_ocsf()), Some(finding.clone()));
        assert_eq!(finding.tactics().collect::<Vec<_>>(), ["TA0006"]);
        let later = Finding { update: true, ..finding };
        assert_eq!(Finding::from_ocsf(&later.to_ocsf()), Some(later));
    }

    #[test]
    fn a_finding_of_a_tool_may_say_little_and_other_events_are_none() {
        let event = json!({"class_uid": 2004, "time": 7, "severity_id": 3, "message": "Malware", "metadata": {"uid": "m"}});
        let finding = Finding::from_ocsf(&event).unwrap();
        assert_eq!((finding.uid.as_str(), finding.analytic_uid.as_str(), finding.evidence[0].uid.as_str()), ("m", "Malware", "m"));
        assert!(Finding::from_ocsf(&json!({"class_uid": 3002, "time": 7, "metadata": {"uid": "m"}})).is_none());
        assert!(Finding::from_ocsf(&json!({"class_uid": 2004, "metadata": {"uid": "m"}})).is_none(), "without a time");
        assert!(Finding::from_ocsf(&json!([1])).is_none());
    }
}
