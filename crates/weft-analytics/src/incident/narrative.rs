//! An incident in words: who, what first, what then, why it is one. The same incident has the same words.

use std::collections::BTreeMap;

use weft_model::{Timestamp, attack};

use super::{By, Incident, Member};
use crate::entity::EntityKind;

/// Steps that are told; more are counted.
const STEPS_MAX: usize = 25;
/// Entities that a sentence names.
const NAMES_MAX: usize = 5;

impl Incident {
    /// One line: the worst finding, and about whom.
    pub fn title(&self) -> String {
        let worst = self.members.iter().max_by(|a, b| a.severity_id.cmp(&b.severity_id).then_with(|| b.cmp(a)));
        let subjects = self.subjects(3);
        let about = if subjects.is_empty() { String::new() } else { format!(" on {}", subjects.join(", ")) };
        let others = self.analytics().len().saturating_sub(1);
        let more = if others == 0 { String::new() } else { format!(", and {others} more kinds of finding") };
        format!("{}{about}{more}", worst.map_or("incident", |member| member.title.as_str()))
    }

    /// Whom it is about: hosts and users first, then what else there is.
    fn subjects(&self, most: usize) -> Vec<String> {
        let mut all = self.entities();
        let rank = |kind: EntityKind| u8::from(!matches!(kind, EntityKind::User | EntityKind::Host)) + u8::from(kind == EntityKind::Domain);
        all.retain(|(entity, _)| !entity.key.starts_with("uid:"));
        all.sort_by_key(|(entity, count)| (rank(entity.kind), std::cmp::Reverse(*count)));
        all.into_iter().take(most).map(|(entity, _)| entity.to_string()).collect()
    }

    /// The story, in sentences and one line a step.
    pub fn narrative(&self) -> String {
        let mut lines = vec![self.opening()];
        lines.extend(self.steps());
        lines.extend(self.why());
        if !self.hubs.is_empty() {
            lines.push(format!("Not used to join, because too much touches it: {}.", self.hubs.join("; ")));
        }
        lines.extend(self.decided.iter().map(|words| format!("Decided: {words}.")));
        lines.join("\n")
    }

    fn opening(&self) -> String {
        let (first, last) = (self.first_evidence(), self.last_evidence());
        let count = self.findings();
        let findings = if count == 1 { "1 finding".to_owned() } else { format!("{count} findings of {} analytics", self.analytics().len()) };
        let tactics: Vec<&str> = self.tactics().into_iter().filter_map(attack::by_id).map(|tactic| tactic.name).collect();
        let through = if tactics.is_empty() { String::new() } else { format!(", through {}", tactics.join(", ")) };
        let subjects = self.subjects(NAMES_MAX);
        let whom = if subjects.is_empty() { "nobody that is known".to_owned() } else { subjects.join(", ") };
        format!("From {} to {} ({}), {findings} concern {whom}{through}.", first.rfc3339(), last.rfc3339(), span(last.0 - first.0))
    }

    /// Each analytic where it first speaks.
    fn steps(&self) -> Vec<String> {
        let mut kinds: BTreeMap<&str, (usize, &Member, usize, Timestamp)> = BTreeMap::new();
        for (at, member) in self.members.iter().enumerate() {
            let entry = kinds.entry(&member.analytic).or_insert((at, member, 0, member.time));
            entry.2 += 1;
            entry.3 = entry.3.max(member.time);
        }
        let mut ordered: Vec<_> = kinds.into_values().collect();
        ordered.sort_by_key(|(at, ..)| *at);
        let more = ordered.len().saturating_sub(STEPS_MAX);
        let step = |(_, first, count, last): (usize, &Member, usize, Timestamp)| {
            let whom: Vec<String> = first.entities.iter().take(NAMES_MAX).map(ToString::to_string).collect();
            let about = if whom.is_empty() { String::new() } else { format!(": {}", whom.join(", ")) };
            let again = if count > 1 { format!("; {count} times until {}", last.rfc3339()) } else { String::new() };
            format!("- {} {} ({}{}){about}{again}", first.time.rfc3339(), first.title, severity(first.severity_id), technique(first))
        };
        let mut lines: Vec<String> = ordered.into_iter().take(STEPS_MAX).map(step).collect();
        if more > 0 {
            lines.push(format!("- and {more} more kinds of finding"));
        }
        lines
    }

    fn why(&self) -> Option<String> {
        let mut by: BTreeMap<String, usize> = BTreeMap::new();
        for join in &self.joins {
            let word = match &join.by {
                By::Entity { kind, key, .. } => format!("{} {key}", kind.word()),
                By::Person(person) => format!("the word of {person}"),
            };
            *by.entry(word).or_default() += 1;
        }
        let mut ordered: Vec<(String, usize)> = by.into_iter().collect();
        ordered.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let named: Vec<String> = ordered.iter().take(NAMES_MAX).map(|(word, count)| format!("{word} ({count})")).collect();
        (!named.is_empty()).then(|| format!("They belong together by {}{}.", named.join(", "), if ordered.len() > NAMES_MAX { " and others" } else { "" }))
    }
}

fn technique(member: &Member) -> String {
    member.techniques.last().map(|id| format!(", {id}{}", attack::by_id(id).map(|entry| format!(" {}", entry.name)).unwrap_or_default())).unwrap_or_default()
}

/// The word of OCSF for a severity.
pub(crate) fn severity(id: i64) -> &'static str {
    match id {
        1 => "informational",
        2 => "low",
        3 => "medium",
        4 => "high",
        5 => "critical",
        6 => "fatal",
        _ => "unknown severity",
    }
}

/// A length of time, in its two largest units.
fn span(ms: i64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds % 60),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
