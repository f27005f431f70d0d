//! What persons decided about incidents; remembered, and obeyed whatever is found later.

use serde::{Deserialize, Serialize};
use weft_model::Timestamp;

use super::{Closing, Incident, Verdict, uid_of};

/// Most decisions that are kept.
pub const DECISIONS_MAX: usize = 10_000;
/// Most findings that one decision names.
const NAMED_MAX: usize = 100_000;
/// Longest reason and name, in characters.
pub const TEXT_CHARS_MAX: usize = 500;

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
    /// An incident is done with.
    Close(Closing),
    /// It goes on: its uid, and one of its findings.
    Reopen(String, String),
    /// Somebody takes care of it, or nobody any more: its uid, one of its findings, the person.
    Assign(String, String, Option<String>),
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

    /// An incident is done with, for a reason.
    ///
    /// # Errors
    /// For a person: it is closed already, or the reason is missing or too long.
    pub fn close(incident: &Incident, verdict: Verdict, reason: &str, by: &str, at: Timestamp) -> Result<Self, String> {
        if incident.standing.closed.is_some() {
            return Err(format!("incident `{}` is closed already", incident.uid));
        }
        let reason = bounded(reason, "the reason")?.ok_or("a reason is needed: whoever meets it again will look for it")?;
        let kinds: std::collections::BTreeSet<String> = incident.members.iter().map(|member| member.title.clone()).collect();
        let closing = Closing {
            incident: incident.uid.clone(),
            finding: anchor(incident)?,
            verdict,
            reason,
            kinds: kinds.into_iter().collect(),
            severity_id: incident.severity_id(),
        };
        Ok(Self { what: What::Close(closing), by: by.to_owned(), at })
    }

    /// A closed incident goes on.
    ///
    /// # Errors
    /// For a person: it is open.
    pub fn reopen(incident: &Incident, by: &str, at: Timestamp) -> Result<Self, String> {
        if incident.standing.closed.is_none() {
            return Err(format!("incident `{}` is open", incident.uid));
        }
        Ok(Self { what: What::Reopen(incident.uid.clone(), anchor(incident)?), by: by.to_owned(), at })
    }

    /// Somebody takes care of an incident; nobody any more for an empty name.
    ///
    /// # Errors
    /// For a person: the name is too long.
    pub fn assign(incident: &Incident, owner: &str, by: &str, at: Timestamp) -> Result<Self, String> {
        let owner = bounded(owner, "the name")?;
        Ok(Self { what: What::Assign(incident.uid.clone(), anchor(incident)?, owner), by: by.to_owned(), at })
    }

    /// The incident that it is about, of a merge the first.
    pub fn incident(&self) -> &str {
        match &self.what {
            What::Merge(named) => named.first().map_or("", |(uid, _)| uid),
            What::Split(uid, ..) | What::Reopen(uid, _) | What::Assign(uid, ..) => uid,
            What::Close(closing) => &closing.incident,
        }
    }

    /// What was done, in a word.
    pub fn word(&self) -> &'static str {
        match &self.what {
            What::Merge(_) => "merge",
            What::Split(..) => "split",
            What::Close(_) => "close",
            What::Reopen(..) => "reopen",
            What::Assign(..) => "assign",
        }
    }

    /// Whether a later merge takes back a split: the last word counts.
    pub(super) fn is_undone(&self, later: &[Self]) -> bool {
        let What::Split(incident, leave, stay) = &self.what else { return false };
        let left = |(uid, finding): &(String, String)| leave.contains(finding) || leave.iter().any(|first| uid_of(first) == *uid);
        let stayed = |(uid, finding): &(String, String)| stay.contains(finding) || uid == incident;
        later.iter().any(|later| matches!(&later.what, What::Merge(named) if named.iter().any(left) && named.iter().any(|one| !left(one) && stayed(one))))
    }

    /// Findings by which it is found again: an incident that forgets one of them forgets what was decided. Of a
    /// split none, which is about all that it names.
    pub(super) fn anchors(&self) -> Vec<&str> {
        match &self.what {
            What::Merge(named) => named.iter().map(|(_, finding)| finding.as_str()).collect(),
            What::Split(..) => Vec::new(),
            What::Close(closing) => vec![&closing.finding],
            What::Reopen(_, finding) | What::Assign(_, finding, _) => vec![finding],
        }
    }

    /// Whether what it holds is within bounds; for one that somebody else made.
    ///
    /// # Errors
    /// For a person: what is too long.
    pub fn check(&self) -> Result<(), String> {
        let (texts, uids): (Vec<&str>, usize) = match &self.what {
            What::Merge(named) => (Vec::new(), named.len()),
            What::Split(_, leave, stay) => (Vec::new(), leave.len() + stay.len()),
            What::Close(closing) => (closing.kinds.iter().map(String::as_str).chain([closing.reason.as_str()]).collect(), 1),
            What::Reopen(..) => (Vec::new(), 1),
            What::Assign(.., owner) => (owner.iter().map(String::as_str).collect(), 1),
        };
        let mut words = texts.into_iter().chain([self.by.as_str(), self.incident()]).chain(self.anchors());
        words.try_for_each(|text| bounded(text, "a text of a decision").map(drop))?;
        if uids > NAMED_MAX { Err(format!("a decision names at most {NAMED_MAX} findings")) } else { Ok(()) }
    }

    /// Whether it says something about an incident of these findings.
    pub(super) fn concerns(&self, has: &dyn Fn(&str) -> bool) -> bool {
        match &self.what {
            What::Merge(named) => named.iter().filter(|(_, finding)| has(finding)).count() > 1,
            What::Split(_, leave, stay) => leave.iter().chain(stay).any(|finding| has(finding)),
            What::Close(closing) => has(&closing.finding),
            What::Reopen(_, finding) | What::Assign(_, finding, _) => has(finding),
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match &self.what {
            What::Merge(named) => {
                let uids: Vec<&str> = named.iter().map(|(uid, _)| uid.as_str()).collect();
                format!("{} merged {} ({})", self.by, uids.join(", "), self.at.rfc3339())
            }
            What::Split(uid, leave, _) => format!("{} split {} findings off {uid} ({})", self.by, leave.len(), self.at.rfc3339()),
            What::Close(closing) => format!("{} closed it as {}: {} ({})", self.by, closing.verdict.word(), closing.reason, self.at.rfc3339()),
            What::Reopen(..) => format!("{} opened it again ({})", self.by, self.at.rfc3339()),
            What::Assign(_, _, Some(owner)) => format!("{} gave it to {owner} ({})", self.by, self.at.rfc3339()),
            What::Assign(_, _, None) => format!("{} gave it to nobody ({})", self.by, self.at.rfc3339()),
        }
    }
}

/// A finding by which an incident is found again.
fn anchor(incident: &Incident) -> Result<String, String> {
    incident.members.first().map(|member| member.uid.clone()).ok_or_else(|| format!("incident `{}` has no findings", incident.uid))
}

/// One line of text within bounds; none when there is nothing in it.
fn bounded(text: &str, what: &str) -> Result<Option<String>, String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(format!("{what} has at most {TEXT_CHARS_MAX} characters"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}
