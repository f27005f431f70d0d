//! Checks: a file each, evaluated on facts, with an outcome that explains itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weft_model::{Timestamp, TraceId};

/// A check as its file says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Stable id.
    pub id: String,
    /// What holds when it passes.
    pub title: String,
    /// Why it matters.
    pub why: String,
    /// How bad a failure is.
    pub severity: Severity,
    /// Kind of subject that it looks at.
    pub subject: String,
    /// What to do about a failure.
    pub remediation: String,
    /// Where the knowledge comes from.
    #[serde(default)]
    pub references: Vec<String>,
    /// When it fails, and nothing is wrong.
    #[serde(default)]
    pub false_positives: Vec<String>,
    /// Facts on which it is known how it comes out.
    #[serde(default)]
    pub case: Vec<Case>,
    /// Controls that it is evidence for.
    #[serde(default)]
    pub framework: Vec<Control>,
    /// All must hold.
    pub expect: Vec<Expectation>,
}

/// Severity as files write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// OCSF 1.
    Informational,
    /// OCSF 2.
    Low,
    /// OCSF 3.
    Medium,
    /// OCSF 4.
    High,
    /// OCSF 5.
    Critical,
}

/// A control of a framework.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Framework.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Control.
    pub control: String,
}

/// Facts on which it is known how a check comes out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Whether it passes.
    pub passes: bool,
    /// The facts.
    pub facts: BTreeMap<String, String>,
}

/// What one fact must be; values are compared without case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Name of the fact.
    pub fact: String,
    /// It must be one of these.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// It must be none of these.
    #[serde(default)]
    pub none_of: Vec<String>,
    /// It must be a number of at least this.
    pub at_least: Option<i64>,
    /// It must be a number of at most this.
    pub at_most: Option<i64>,
}

/// One thing to look at, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Kind, e.g. `sshd_config`.
    pub kind: String,
    /// Id that stays the same, e.g. of the host.
    pub uid: String,
    /// Name, for a person.
    pub name: String,
    /// Facts by name.
    pub facts: BTreeMap<String, String>,
}

/// How a check came out; the numbers are OCSF's `compliance.status_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It could not be told, because facts are missing.
    Unknown = 0,
    /// All expectations hold.
    Pass = 1,
    /// At least one does not.
    Fail = 3,
}

/// A check applied to a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'c> {
    /// The check.
    pub check: &'c Check,
    /// The subject.
    pub subject: &'c Subject,
    /// How it came out.
    pub status: Status,
    /// What was expected and seen, for a person.
    pub details: Vec<String>,
}

/// What is wrong with a check's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct CheckFault {
    /// File.
    pub file: String,
    /// For a person, with line and column where there is one.
    pub reason: String,
}

impl Check {
    /// Reads a check.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, CheckFault> {
        let fault = |reason: String| CheckFault { file: file.to_owned(), reason };
        let check: Self = toml::from_str(text).map_err(|error| fault(error.to_string().trim_end().to_owned()))?;
        if check.expect.is_empty() {
            return Err(fault("`expect` is empty; a check must expect something".to_owned()));
        }
        if let Some(idle) = check.expect.iter().find(|expect| expect.is_idle()) {
            return Err(fault(format!("the expectation of `{}` says nothing; give one of one_of, none_of, at_least, at_most", idle.fact)));
        }
        Ok(check)
    }

    /// Applies the check; nothing when the subject is of another kind.
    pub fn evaluate<'c>(&'c self, subject: &'c Subject) -> Option<Outcome<'c>> {
        if subject.kind != self.subject {
            return None;
        }
        let seen: Vec<(Status, String)> = self.expect.iter().map(|expect| expect.look(subject.facts.get(&expect.fact))).collect();
        let any = |status: Status| seen.iter().any(|(found, _)| *found == status);
        let status = if any(Status::Fail) {
            Status::Fail
        } else if any(Status::Unknown) {
            Status::Unknown
        } else {
            Status::Pass
        };
        Some(Outcome { check: self, subject, status, details: seen.into_iter().map(|(_, detail)| detail).collect() })
    }
}

impl Expectation {
    fn is_idle(&self) -> bool {
        self.one_of.is_empty() && self.none_of.is_empty() && self.at_least.is_none() && self.at_most.is_none()
    }

    fn look(&self, seen: Option<&String>) -> (Status, String) {
        let Some(seen) = seen else { return (Status::Unknown, format!("`{}` is not known", self.fact)) };
        let among = |values: &[String]| values.iter().any(|value| value.eq_ignore_ascii_case(seen));
        let number = seen.parse::<i64>();
        let mut wanted = Vec::new();
        let mut holds = true;
        if !self.one_of.is_empty() {
            holds &= among(&self.one_of);
            wanted.push(format!("one of {}", self.one_of.join(", ")));
        }
        if !self.none_of.is_empty() {
            holds &= !among(&self.none_of);
            wanted.push(format!("none of {}", self.none_of.join(", ")));
        }
        for (bound, word, least) in [(self.at_least, "at least", true), (self.at_most, "at most", false)] {
            if let Some(bound) = bound {
                holds &= number.as_ref().is_ok_and(|number| if least { *number >= bound } else { *number <= bound });
                wanted.push(format!("{word} {bound}"));
            }
        }
        let status = if holds { Status::Pass } else { Status::Fail };
        (status, format!("`{}` is `{seen}`, expected {}", self.fact, wanted.join(" and ")))
    }
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Pass => "Pass",
            Self::Fail => "Fail",
        }
    }
}

impl Outcome<'_> {
    /// Names this check on this subject: the same at every evaluation.
    pub fn uid(&self) -> String {
        TraceId::of(&format!("{}\u{0}{}", self.check.id, self.subject.uid)).as_str().to_owned()
    }

    /// The outcome as an OCSF Compliance Finding (class 2003).
    pub fn to_ocsf(&self, now: Timestamp) -> Value {
        let (check, uid) = (self.check, self.uid());
        let failed = self.status == Status::Fail;
        let severity = if failed { check.severity as i64 + 1 } else { 1 };
        json!({
            "activity_id": 1, "category_uid": 2, "class_uid": 2003, "type_uid": 200_301,
            "severity_id": severity, "status_id": if failed { 1 } else { 4 }, "time": now.0,
            "message": format!("{}: {}", check.title, self.status.name()),
            "metadata": {
                "version": "1.8.0", "uid": TraceId::of(&format!("{uid}{}", now.0)).as_str(), "correlation_uid": TraceId::of(&uid).as_str(),
                "product": {"name": "Weft", "vendor_name": "Weft"},
            },
            "finding_info": {"uid": uid, "title": check.title, "desc": check.why, "analytic": {"uid": check.id, "name": check.title, "type_id": 1}},
            "compliance": {
                "control": check.framework.first().map_or(check.id.as_str(), |control| control.control.as_str()),
                "standards": check.framework.iter().map(|control| format!("{} {}", control.name, control.version)).collect::<Vec<_>>(),
                "requirements": check.framework.iter().map(|control| format!("{} {}: {}", control.name, control.version, control.control)).collect::<Vec<_>>(),
                "status": self.status.name(), "status_id": self.status as i64, "status_details": self.details,
            },
            "remediation": {"desc": check.remediation, "references": check.references},
            "resources": [{"uid": self.subject.uid, "name": self.subject.name, "type": self.subject.kind}],
        })
    }
}
