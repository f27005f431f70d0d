//! Incidents as OCSF Incident Findings (class 2005): every version is an event, under one uid.

use serde_json::{Map, Value, json};
use weft_model::{ClassUid, Finding, Technique, Timestamp, TraceId};

use super::{By, Incident, Join, Supported};

/// Class of incident findings.
pub const INCIDENT_FINDING: ClassUid = ClassUid(2005);
/// Findings, events of evidence, and joins that one event names; the counts are whole.
const NAMED_MAX: usize = 500;

/// What a version of an incident says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// It is new.
    Created,
    /// It grew, or a person changed it.
    Updated,
    /// It is part of an older one: its uid.
    MergedInto(String),
}

/// What of an incident makes a version of it another one.
pub(super) fn digest(incident: &Incident) -> String {
    let members: Vec<&str> = incident.members.iter().map(|member| member.uid.as_str()).collect();
    let text = format!("{}\0{}\0{}\0{}", members.join(","), incident.forgotten, incident.decided.join(","), incident.joins.len());
    Finding::uid_of(&text, &[])
}

impl Incident {
    /// A version of it as an event at `now`; `created` is when it was told first.
    pub fn to_ocsf(&self, version: &Version, created: Timestamp, now: Timestamp, supported: Option<&Supported>) -> Value {
        let status = self.standing.status_id();
        let (activity, status) = match version {
            Version::Created => (1, status),
            Version::Updated if self.standing.closed.is_some() => (3, status),
            Version::Updated => (2, status),
            Version::MergedInto(_) => (3, 5),
        };
        let event = Finding::uid_of(&format!("{}\0{activity}\0{}", self.uid, digest(self)), &[]);
        let mut all = Map::new();
        let mut add = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
        add("class_uid", INCIDENT_FINDING.0.into());
        add("category_uid", 2.into());
        add("activity_id", activity.into());
        add("type_uid", (200_500 + activity).into());
        add("severity_id", self.severity_id().into());
        add("status_id", status.into());
        if let Version::MergedInto(other) = version {
            add("status_detail", format!("merged into {other}").into());
        } else if let Some(closed) = &self.standing.closed {
            add("status_detail", format!("closed as {}", closed.verdict.word()).into());
            add("verdict_id", closed.verdict.id().into());
            add("comment", closed.reason.clone().into());
        }
        if let Some(owner) = &self.standing.owner {
            add("assignee", json!({"name": owner, "type_id": 1}));
        }
        add("time", now.0.into());
        add("start_time", self.first_evidence().0.into());
        add("end_time", self.last_evidence().0.into());
        add("message", self.title().into());
        add("desc", self.narrative().into());
        add(
            "metadata",
            json!({"version": "1.8.0", "uid": event, "correlation_uid": TraceId::of(&self.uid).as_str(), "product": {"name": "Weft", "vendor_name": "Weft"}}),
        );
        add("finding_info_list", json!([self.info(created, now, supported)]));
        add("attacks", Value::Array(self.attacks()));
        add("observables", Value::Array(self.observables()));
        add("unmapped", self.why_in_full(supported));
        Value::Object(all)
    }

    fn info(&self, created: Timestamp, now: Timestamp, supported: Option<&Supported>) -> Value {
        let finding = |member: &super::Member| json!({"uid": member.uid, "type_uid": 200_401, "time": member.time.0, "title": member.title, "severity_id": member.severity_id});
        let event = |(uid, class, time): &(String, u32, i64)| json!({"uid": uid, "type_uid": u64::from(*class) * 100, "time": time});
        let findings = self.members.iter().take(NAMED_MAX).map(finding);
        let events = self.members.iter().flat_map(|member| &member.evidence).take(NAMED_MAX).map(event);
        let support = supported.into_iter().flat_map(|supported| &supported.events);
        let support = support.map(|(evidence, product)| json!({"uid": evidence.uid, "type_uid": u64::from(evidence.class.0) * 100, "time": evidence.time.0, "product": {"name": product}, "tags": [{"name": "role", "value": "support"}]}));
        let count = self.findings() + self.members.iter().map(|member| member.evidence.len() as u64).sum::<u64>();
        json!({
            "uid": self.uid, "title": self.title(), "created_time": created.0, "modified_time": now.0,
            "first_seen_time": self.first_evidence().0, "last_seen_time": self.last_evidence().0,
            "related_events": findings.chain(events).chain(support).collect::<Vec<_>>(),
            "related_events_count": count,
            "data_sources": supported.map(|supported| supported.sources.keys().cloned().collect::<Vec<_>>()).unwrap_or_default(),
        })
    }

    fn attacks(&self) -> Vec<Value> {
        self.techniques().into_iter().map(|uid| Technique { uid: uid.to_owned(), tactic: None }.to_ocsf()).collect()
    }

    fn observables(&self) -> Vec<Value> {
        let observable = |seen: &str| {
            let (name, value) = seen.split_once('=')?;
            let type_id = match name.rsplit('.').next()? {
                "ip" => 2,
                "hostname" => 1,
                "email_addr" | "from" | "to" => 5,
                "name" => 4,
                "uid" if name.contains("user") => 31,
                _ => 10,
            };
            Some(json!({"name": name, "type_id": type_id, "value": value}))
        };
        self.entities().into_iter().take(NAMED_MAX).filter_map(|(entity, _)| observable(&entity.seen)).collect()
    }

    /// What OCSF has no attribute for: the path of evidence, what joined nothing, what persons decided.
    fn why_in_full(&self, supported: Option<&Supported>) -> Value {
        let sources = supported.map(|supported| json!(supported.sources)).unwrap_or(Value::Null);
        json!({
            "findings": self.findings(), "detected": self.detected().0,
            "joins": self.joins.iter().take(NAMED_MAX).map(Join::to_json).collect::<Vec<_>>(), "joins_count": self.joins.len(),
            "hubs": self.hubs, "decided": self.decided, "sources": sources,
        })
    }
}

impl Join {
    /// For programs: which finding belongs to which, by what.
    pub fn to_json(&self) -> Value {
        let by = match &self.by {
            By::Entity { kind, key, earlier, later } => json!({"entity": format!("{} {key}", kind.word()), "earlier_has": earlier, "later_has": later}),
            By::Person(person) => json!({ "person": person }),
        };
        json!({"earlier": self.earlier, "later": self.later, "by": by, "gap_ms": self.gap_ms})
    }
}
