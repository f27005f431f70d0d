//! What persons decided about incidents; remembered, and obeyed whatever is found later.

use serde::{Deserialize, Serialize};
use weft_model::Timestamp;

use super::Incident;

/// Most decisions that are kept.
pub const DECISIONS_MAX: usize = 10_000;

/// A decision, by findings: incidents come and go, findings stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was decided.
    pub what: What,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What can be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Incidents are one: uids of the incidents, and of one finding of each.
    Merge(Vec<(String, String)>),
    /// Findings are not of an incident: its uid, the findings that leave it, and those that stay.
    Split(String, Vec<String>, Vec<String>),
}

impl Decision {
    /// Incidents are one.
    ///
    /// # Errors
    /// For a person: fewer than two different incidents.
    pub fn merge(incidents: &[&Incident], by: &str, at: Timestamp) -> Result<Self, String> {
        let first = |incident: &&Incident| Some((incident.uid.clone(), incident.members.first()?.uid.clone()));
        let mut named: Vec<(String, String)> = incidents.iter().filter_map(first).collect();
        named.sort();
        named.dedup();
        if named.len() < 2 {
            return Err("there must be two different incidents to merge".to_owned());
        }
        Ok(Self { what: What::Merge(named), by: by.to_owned(), at })
    }

    /// Findings leave an incident.
    ///
    /// # Errors
    /// For a person: a finding is not of the incident, or none would stay.
    pub fn split(incident: &Incident, findings: &[String], by: &str, at: Timestamp) -> Result<Self, String> {
        if let Some(stranger) = findings.iter().find(|uid| !incident.members.iter().any(|member| member.uid == **uid)) {
            return Err(format!("`{stranger}` is no finding of incident `{}`", incident.uid));
        }
        let all = incident.members.iter().map(|member| &member.uid);
        let (leave, stay): (Vec<String>, Vec<String>) = all.cloned().partition(|uid| findings.contains(uid));
        if leave.is_empty() || stay.is_empty() {
            return Err("some findings must leave the incident, and some must stay".to_owned());
        }
        Ok(Self { what: What::Split(incident.uid.clone(), leave, stay), by: by.to_owned(), at })
    }

    /// In words.
    pub fn words(&self) -> String {
        match &self.what {
            What::Merge(named) => {
                let uids: Vec<&str> = named.iter().map(|(uid, _)| uid.as_str()).collect();
                format!("{} merged {} ({})", self.by, uids.join(", "), self.at.rfc3339())
            }
            What::Split(uid, leave, _) => format!("{} split {} findings off {uid} ({})", self.by, leave.len(), self.at.rfc3339()),
        }
    }
}
