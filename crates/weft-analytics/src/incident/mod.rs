//! Incidents: findings of all tools that belong together, and why.
//!
//! Findings are joined pair by pair ([`join`]): by an entity that both are about, close enough in time,
//! in an order of tactics that an intruder could have gone. Every join is kept with its entity and its
//! findings. An entity that everything touches joins nothing ([`hub`]). Who is joined is a function of
//! the *set* of findings, swept in order of event time ([`group`]): any order of arrival comes to the
//! same incidents. [`Incidents`] keeps the set, bounded, over restarts; persons merge and split
//! ([`Decision`]), and are obeyed from then on. What happened is told in words ([`Incident::narrative`])
//! and as OCSF Incident Findings ([`Incident::to_ocsf`]).
//!
//! What this module deliberately does not know: the clock, the lake, vendors, what is done about an
//! incident.

pub mod decision;
mod group;
mod hub;
mod join;
mod memory;
mod narrative;
mod ocsf;
mod standing;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use weft_model::{Evidence, Finding, Timestamp};

use crate::entity::{EntityKind, Known, Resolved, resolve};

pub use decision::Decision;
pub use group::of_findings;
pub use memory::{FINDINGS_MAX, Incidents, RETAINED_MS, Told};
pub use ocsf::{INCIDENT_FINDING, Version};
pub use standing::{Closed, Closing, Standing, Verdict};
pub use support::{SUPPORT_MAX, Support, Supported};

/// Weight from which on joined findings are an incident.
const INCIDENT_WEIGHT: u32 = 8;

/// A finding of an incident, in short.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Time of the finding.
    pub time: Timestamp,
    /// Its uid.
    pub uid: String,
    /// Id of the analytic.
    pub analytic: String,
    /// Title.
    pub title: String,
    /// OCSF severity id.
    pub severity_id: i64,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// ATT&CK tactics.
    pub tactics: Vec<String>,
    /// Time of its first event.
    pub begin: Timestamp,
    /// Events that it rests on: uid, class, time.
    pub evidence: Vec<(String, u32, i64)>,
    /// What it is about.
    pub entities: Vec<Resolved>,
}

impl Member {
    pub(crate) fn of(finding: &Finding, entities: &[Resolved]) -> Self {
        let tactics: BTreeSet<&str> = finding.tactics().collect();
        let event = |event: &Evidence| (event.uid.clone(), event.class.0, event.time.0);
        Self {
            time: finding.time,
            uid: finding.uid.clone(),
            analytic: finding.analytic_uid.clone(),
            title: finding.title.clone(),
            severity_id: finding.severity_id,
            techniques: finding.techniques.iter().map(|technique| technique.uid.clone()).collect(),
            tactics: tactics.into_iter().map(str::to_owned).collect(),
            begin: finding.evidence.iter().map(|event| event.time).min().unwrap_or(finding.time).min(finding.time),
            evidence: finding.evidence.iter().map(event).collect(),
            entities: entities.to_vec(),
        }
    }
}

/// Why a finding belongs to those before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Join {
    /// The earlier finding.
    pub earlier: String,
    /// The later finding.
    pub later: String,
    /// By what: an entity, or a person's word.
    pub by: By,
    /// Milliseconds between them.
    pub gap_ms: i64,
}

/// What joins two findings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum By {
    /// They are about the same; attribute and value as each has them.
    Entity {
        /// What it is.
        kind: EntityKind,
        /// Its name.
        key: String,
        /// In the earlier finding.
        earlier: String,
        /// In the later finding.
        later: String,
    },
    /// Somebody said so.
    Person(String),
}

/// Findings that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Made from its first finding; kept when it grows, and by the older of two that are merged.
    pub uid: String,
    /// In order of time.
    pub members: Vec<Member>,
    /// Findings that are no longer remembered one by one.
    pub forgotten: u64,
    /// Whether what is forgotten was an incident already.
    pub lasting: bool,
    /// Why each finding belongs to it.
    pub joins: Vec<Join>,
    /// Entities that were not used to join, because too much touches them.
    pub hubs: Vec<String>,
    /// What persons decided about it, in words.
    pub decided: Vec<String>,
    /// How far persons are with it.
    pub standing: Standing,
}

impl Incident {
    /// An incident whose findings are known: for a look at its evidence.
    pub fn with_members(uid: &str, findings: &[Finding], known: &Known, hubs: Vec<String>) -> Self {
        let mut members: Vec<Member> = findings.iter().map(|finding| Member::of(finding, &resolve(finding, known))).collect();
        members.sort();
        Self { uid: uid.to_owned(), members, forgotten: 0, lasting: true, joins: Vec::new(), hubs, decided: Vec::new(), standing: Standing::default() }
    }

    /// Time of the first event of its evidence.
    pub fn first_evidence(&self) -> Timestamp {
        self.members.iter().map(|member| member.begin).min().unwrap_or_default()
    }

    /// Time of its last event.
    pub fn last_evidence(&self) -> Timestamp {
        self.members.iter().map(|member| member.time).max().unwrap_or_default()
    }

    /// Time of its first finding.
    pub fn detected(&self) -> Timestamp {
        self.members.iter().map(|member| member.time).min().unwrap_or_default()
    }

    /// That of its worst finding.
    pub fn severity_id(&self) -> i64 {
        self.members.iter().map(|member| member.severity_id).filter(|severity| (0..=6).contains(severity)).max().unwrap_or(0)
    }

    /// Number of findings.
    pub fn findings(&self) -> u64 {
        self.members.len() as u64 + self.forgotten
    }

    /// Ids of analytics.
    pub fn analytics(&self) -> BTreeSet<&str> {
        self.members.iter().map(|member| member.analytic.as_str()).collect()
    }

    /// Techniques, sorted.
    pub fn techniques(&self) -> BTreeSet<&str> {
        self.members.iter().flat_map(|member| &member.techniques).map(String::as_str).collect()
    }

    /// Tactics in the order in which they were first met.
    pub fn tactics(&self) -> Vec<&str> {
        let mut seen: Vec<&str> = Vec::new();
        for tactic in self.members.iter().flat_map(|member| &member.tactics) {
            if !seen.contains(&tactic.as_str()) {
                seen.push(tactic);
            }
        }
        seen
    }

    /// What it is about, with the number of findings that name it; most named first.
    pub fn entities(&self) -> Vec<(&Resolved, usize)> {
        let mut counted: BTreeMap<(EntityKind, &str), (&Resolved, usize)> = BTreeMap::new();
        for entity in self.members.iter().flat_map(|member| &member.entities) {
            let entry = counted.entry((entity.kind, entity.key.as_str())).or_insert((entity, 0));
            if entity.domain() > entry.0.domain() {
                entry.0 = entity;
            }
            entry.1 += 1;
        }
        let mut all: Vec<(&Resolved, usize)> = counted.into_values().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all
    }

    /// Whether this is enough to bother a person with: one high finding, three medium ones, or what
    /// comes to the same; each analytic counts once, at its worst.
    pub(crate) fn is_weighty(&self) -> bool {
        let mut worst: BTreeMap<&str, i64> = BTreeMap::new();
        for member in &self.members {
            let known = worst.entry(member.analytic.as_str()).or_default();
            *known = (*known).max(member.severity_id);
        }
        worst.values().map(|severity| weight(*severity)).sum::<u32>() >= INCIDENT_WEIGHT || !self.decided.is_empty() || self.lasting
    }
}

fn weight(severity_id: i64) -> u32 {
    match severity_id {
        5 | 6 => 20,
        4 => 8,
        3 => 3,
        2 => 1,
        _ => 0,
    }
}

/// The uid of an incident that begins with a finding.
pub(crate) fn uid_of(first: &str) -> String {
    Finding::uid_of(&format!("incident\0{first}"), &[])
}
