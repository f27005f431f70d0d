//! The findings that may still be joined, bounded, over restarts; and what was told of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_model::{Finding, Timestamp};

use super::decision::DECISIONS_MAX;
use super::group::{Node, Past, groups, incidents};
use super::join::{Phase, REACH_MAX_MS};
use super::ocsf::Version;
use super::{Decision, Incident, Join, Member};
use crate::entity::{Known, resolve};

/// Findings that are remembered one by one; of more, the oldest are folded into their incidents.
pub const FINDINGS_MAX: usize = 20_000;
/// Milliseconds after which nothing is joined to a finding any more: the longest reach, and the time that
/// tells which entities are hubs.
pub const RETAINED_MS: i64 = 2 * REACH_MAX_MS;
/// Findings of an incident that are kept in short when they are no longer remembered one by one.
const PAST_MEMBERS_MAX: usize = 500;
/// Event time between two looks for findings that are too old.
const FOLD_EVERY_MS: i64 = Timestamp::DAY_MS;
/// Microseconds between two looks, for each finding that is remembered: a look costs some fifteen of them.
const LOOK_EVERY_US: i64 = 500;
/// More of the same is told this often.
const REPEATS_EVERY_MS: i64 = 60_000;
/// Form of the checkpoint; another one is refused.
const CHECKPOINT_FORM: u8 = 1;

/// A version of an incident to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The incident.
    pub incident: Incident,
    /// What of it is new.
    pub version: Version,
    /// When it was told first.
    pub created: Timestamp,
}

/// What was told of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    digest: String,
    created: Timestamp,
    last: Timestamp,
    /// A finding by which the incident is found again.
    anchor: String,
    /// Worst severity, analytics, entities, joins by persons: more of these is news.
    news: (i64, usize, usize, usize),
}

/// All incidents that may still change.
#[derive(Debug, Default)]
pub struct Incidents {
    known: Arc<Known>,
    decisions: Vec<Decision>,
    live: BTreeMap<(Timestamp, String), Node>,
    places: HashMap<String, Timestamp>,
    pasts: BTreeMap<String, Past>,
    said: BTreeMap<String, Said>,
    evicted: u64,
    /// Before this time everything is final.
    settled: Timestamp,
    /// Something came since the last look.
    changed: bool,
    /// When that was.
    looked: Timestamp,
    /// When what was held back is to be told.
    due: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Saved {
    live: Vec<(Member, Option<String>, bool)>,
    settled: Timestamp,
    pasts: BTreeMap<String, Past>,
    said: BTreeMap<String, Said>,
    evicted: u64,
}

/// The same, as it is written down.
#[derive(Serialize)]
struct Kept<'a> {
    live: Vec<(&'a Member, &'a Option<String>, bool)>,
    settled: Timestamp,
    pasts: &'a BTreeMap<String, Past>,
    said: &'a BTreeMap<String, Said>,
    evicted: u64,
}

impl Incidents {
    /// Nothing found yet; with what persons decided so far.
    pub fn new(known: Arc<Known>, decisions: Vec<Decision>) -> Self {
        Self { known, decisions, ..Self::default() }
    }

    /// What is known of entities from now on; what was found keeps the names that it was found under.
    pub fn know(&mut self, known: Arc<Known>) {
        self.known = known;
    }

    /// A finding was made. The same finding again changes nothing; a later version replaces the earlier.
    pub fn observe(&mut self, finding: &Finding) {
        let mut node = Node::new(finding, &self.known);
        if let Some(time) = self.places.get(&finding.uid) {
            let key = (*time, finding.uid.clone());
            let Some(before) = self.live.get(&key) else { return };
            if (before.member.time, before.member.evidence.len()) >= (node.member.time, node.member.evidence.len()) {
                return;
            }
            node.past = self.live.remove(&key).and_then(|before| before.past);
        }
        self.places.insert(finding.uid.clone(), finding.time);
        self.live.insert((finding.time, finding.uid.clone()), node);
        self.changed = true;
    }

    /// What persons decided, with one decision more: to be kept first, and obeyed then ([`Incidents::obey`]).
    /// When there are too many, those go whose findings nobody knows any more.
    ///
    /// # Errors
    /// For a person: too many decisions are about incidents that are still known.
    pub fn decisions_with(&self, decision: Decision) -> Result<Vec<Decision>, String> {
        let mut all = self.decisions.clone();
        if all.contains(&decision) {
            return Ok(all);
        }
        if all.len() >= DECISIONS_MAX {
            let past: BTreeSet<&str> = self.pasts.values().flat_map(|past| &past.members).map(|member| member.uid.as_str()).collect();
            all.retain(|decision| decision.concerns(&|finding| self.places.contains_key(finding) || past.contains(finding)));
        }
        if all.len() >= DECISIONS_MAX {
            return Err(format!("{DECISIONS_MAX} decisions are about incidents that may still grow: no more can be kept now"));
        }
        all.push(decision);
        Ok(all)
    }

    /// Obeys these decisions from now on.
    pub fn obey(&mut self, decisions: Vec<Decision>) {
        if self.decisions != decisions {
            self.decisions = decisions;
            self.changed = true;
        }
    }

    /// What persons decided.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// The incidents as they are now.
    pub fn current(&self) -> Vec<Incident> {
        let nodes: Vec<&Node> = self.live.values().collect();
        incidents(&nodes, &self.known, &self.decisions, &self.pasts).into_iter().map(|(incident, _)| incident).collect()
    }

    /// Findings folded into their incidents because there was no room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Event time has passed `watermark`, and it is `now`: what is new of incidents is told. More of the
    /// same is held back for a minute, so that a flood of findings is not a flood of incidents.
    pub fn advance(&mut self, watermark: Timestamp, now: Timestamp) -> Vec<Told> {
        let oldest = watermark.0.saturating_sub(RETAINED_MS + FOLD_EVERY_MS);
        let full = self.live.len() > FINDINGS_MAX;
        let aged = full || self.live.keys().next().is_some_and(|(time, _)| time.0 < oldest);
        let wait = i64::try_from(self.live.len()).unwrap_or(i64::MAX).saturating_mul(LOOK_EVERY_US) / 1_000;
        let soon = (0..wait).contains(&now.0.saturating_sub(self.looked.0));
        if (soon && !full) || (!self.changed && !aged && self.due.is_none_or(|due| now < due)) {
            return Vec::new();
        }
        self.looked = now;
        let told = self.tell(now, false);
        if aged {
            self.fold(watermark);
        }
        told
    }

    /// The input is over: what was held back is told.
    pub fn conclude(&mut self, now: Timestamp) -> Vec<Told> {
        self.tell(now, true)
    }

    fn tell(&mut self, now: Timestamp, all: bool) -> Vec<Told> {
        (self.changed, self.due) = (false, None);
        let current = self.current();
        let mut told = Vec::new();
        for incident in &current {
            let new = Said::of(incident, now);
            let before = self.said.get(&incident.uid);
            if before.is_some_and(|before| before.digest == new.digest) {
                continue;
            }
            let created = before.map_or(now, |before| before.created);
            if let Some(before) = before.filter(|before| !all && before.news == new.news && now.0 < before.last.0.saturating_add(REPEATS_EVERY_MS)) {
                let due = Timestamp(before.last.0.saturating_add(REPEATS_EVERY_MS));
                self.due = Some(self.due.map_or(due, |known| known.min(due)));
                continue;
            }
            let version = if before.is_some() { Version::Updated } else { Version::Created };
            told.push(Told { incident: incident.clone(), version, created });
            self.said.insert(incident.uid.clone(), Said { created, ..new });
        }
        told.extend(self.gone(&current));
        told
    }

    /// Incidents that were told and are part of others now.
    fn gone(&mut self, current: &[Incident]) -> Vec<Told> {
        let here: BTreeSet<&str> = current.iter().map(|incident| incident.uid.as_str()).collect();
        let gone: Vec<String> = self.said.keys().filter(|uid| !here.contains(uid.as_str())).cloned().collect();
        let mut told = Vec::new();
        for uid in gone {
            let Some(said) = self.said.remove(&uid) else { continue };
            let holds = |incident: &&Incident| incident.members.iter().any(|member| member.uid == said.anchor);
            if let Some(into) = current.iter().find(holds) {
                let incident = Incident { uid, ..into.clone() };
                told.push(Told { incident, version: Version::MergedInto(into.uid.clone()), created: said.created });
            }
        }
        told
    }

    /// Keeps what is final of the incidents, and forgets the findings that are too old, or too many.
    fn fold(&mut self, watermark: Timestamp) {
        let oldest = watermark.0.saturating_sub(RETAINED_MS);
        let over = if self.live.len() > FINDINGS_MAX { self.live.len() - FINDINGS_MAX * 9 / 10 } else { 0 };
        let keys: Vec<(Timestamp, String)> = self.live.keys().cloned().collect();
        let old = keys.partition_point(|(time, _)| time.0 < oldest);
        self.evicted += over.saturating_sub(old) as u64;
        let gone = old.max(over);
        // What is forgotten too early may be joined to anything that stays: all of it is settled now.
        let pressed = keys.last().filter(|_| over > old).map_or(watermark, |(time, _)| Timestamp(time.0.saturating_add(1)));
        self.settled = self.settled.max(watermark).max(pressed);
        let settled = keys.partition_point(|(time, _)| *time < self.settled);
        let nodes: Vec<&Node> = self.live.values().take(settled).collect();
        let (mut pasts, mut of): (BTreeMap<String, Past>, BTreeMap<usize, String>) = (BTreeMap::new(), BTreeMap::new());
        let decided: BTreeSet<&str> = self.decisions.iter().flat_map(Decision::anchors).collect();
        for (incident, places) in groups(&nodes, &self.known, &self.decisions, &self.pasts) {
            let stay: Vec<usize> = places.iter().copied().filter(|place| *place >= gone).collect();
            if stay.is_empty() || (incident.joins.is_empty() && incident.members.len() == stay.len()) {
                continue;
            }
            let here: BTreeSet<&str> = stay.iter().filter_map(|place| nodes.get(*place)).map(|node| node.member.uid.as_str()).collect();
            pasts.insert(incident.uid.clone(), Past::of(&incident, &here, &decided));
            of.extend(stay.into_iter().map(|place| (place, incident.uid.clone())));
        }
        for (place, key) in keys.iter().enumerate().take(settled) {
            if place < gone {
                self.live.remove(key);
                self.places.remove(&key.1);
            } else if let Some(node) = self.live.get_mut(key) {
                (node.past, node.settled) = (of.remove(&place), true);
            }
        }
        self.pasts = pasts;
    }

    /// What has to survive a restart; decisions are kept elsewhere.
    pub fn checkpoint(&self) -> Vec<u8> {
        let live = self.live.values().map(|node| (&node.member, &node.past, node.settled)).collect();
        let saved = Kept { live, settled: self.settled, pasts: &self.pasts, said: &self.said, evicted: self.evicted };
        // Maps, lists and numbers: nothing that the format refuses.
        postcard::to_allocvec(&(CHECKPOINT_FORM, saved)).unwrap_or_default()
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// For a person: why it cannot be read; nothing is changed then.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let unreadable = |error: postcard::Error| format!("the memory of incidents cannot be read: {error}");
        let (form, rest): (u8, _) = postcard::take_from_bytes(saved).map_err(unreadable)?;
        if form != CHECKPOINT_FORM {
            return Err(format!("the memory of incidents has form {form}, not {CHECKPOINT_FORM}"));
        }
        let saved: Saved = postcard::from_bytes(rest).map_err(unreadable)?;
        let node = |(member, past, settled): (Member, Option<String>, bool)| {
            let phase = Phase::of(member.tactics.iter().map(String::as_str));
            ((member.time, member.uid.clone()), Node { member, phase, settled, past })
        };
        self.live = saved.live.into_iter().map(node).collect();
        self.places = self.live.keys().map(|(time, uid)| (uid.clone(), *time)).collect();
        (self.pasts, self.said, self.evicted, self.settled) = (saved.pasts, saved.said, saved.evicted, saved.settled);
        self.changed = true;
        Ok(())
    }

    /// Whether a finding is about somebody or something that can be joined at all.
    pub fn can_join(&self, finding: &Finding) -> bool {
        !resolve(finding, &self.known).is_empty()
    }
}

impl Said {
    fn of(incident: &Incident, now: Timestamp) -> Self {
        let persons = incident.joins.iter().filter(|join| matches!(join.by, super::By::Person(_))).count() + incident.decided.len();
        Self {
            digest: super::ocsf::digest(incident),
            created: now,
            last: now,
            anchor: incident.members.first().map(|member| member.uid.clone()).unwrap_or_default(),
            news: (incident.severity_id(), incident.analytics().len(), incident.entities().len(), persons),
        }
    }
}

impl Past {
    /// What is final of an incident, and those of its findings that do not stay; `decided` are findings by which
    /// decisions are found again.
    fn of(incident: &Incident, stay: &BTreeSet<&str>, decided: &BTreeSet<&str>) -> Self {
        let mut members: Vec<Member> = incident.members.iter().filter(|member| !stay.contains(member.uid.as_str())).cloned().collect();
        let before = members.len();
        let (mut over, mut first) = (before.saturating_sub(PAST_MEMBERS_MAX + 1), true);
        // The beginning of the story stays with the newest of it, and what persons decided by.
        members.retain(|member| {
            let goes = over > 0 && !std::mem::take(&mut first) && !decided.contains(member.uid.as_str());
            over -= usize::from(goes);
            !goes
        });
        let kept = |join: &&Join| stay.contains(join.later.as_str()) || members.iter().any(|member| member.uid == join.later);
        let joins = incident.joins.iter().filter(kept).cloned().collect();
        let dropped = (before - members.len()) as u64;
        Self {
            begin: incident.detected(),
            joins,
            forgotten: incident.forgotten + dropped,
            lasting: incident.is_weighty(),
            hubs: incident.hubs.clone(),
            members,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(findings: usize) -> Incident {
        let member = |at: usize| Member {
            time: Timestamp(at as i64),
            uid: format!("f{at}"),
            analytic: String::new(),
            title: String::new(),
            severity_id: 3,
            techniques: Vec::new(),
            tactics: Vec::new(),
            begin: Timestamp(at as i64),
            evidence: Vec::new(),
            entities: Vec::new(),
        };
        Incident { members: (0..findings).map(member).collect(), ..Incident::with_members("i", &[], &Known::default(), Vec::new()) }
    }

    #[test]
    fn what_persons_decided_by_is_not_forgotten_with_the_middle_of_a_long_story() {
        let past = Past::of(&long(2000), &BTreeSet::new(), &BTreeSet::from(["f700"]));
        let has = |uid: &str| past.members.iter().any(|member| member.uid == uid);
        assert!(has("f0") && has("f700") && has("f1999") && !has("f701"));
        assert_eq!(past.members.len() as u64 + past.forgotten, 2000);
        let short = Past::of(&long(20), &BTreeSet::new(), &BTreeSet::new());
        assert_eq!((short.members.len(), short.forgotten), (20, 0));
    }

    #[test]
    fn decisions_about_nothing_that_is_known_make_room_for_new_ones() {
        let decision = |finding: &str, at: i64| {
            let mut incident = long(1);
            incident.members.iter_mut().for_each(|member| finding.clone_into(&mut member.uid));
            Decision::assign(&incident, "ada", "eve", Timestamp(at)).unwrap()
        };
        let old: Vec<Decision> = (0..DECISIONS_MAX as i64).map(|at| decision("gone", at)).collect();
        let incidents = Incidents::new(Arc::default(), old);
        assert_eq!(incidents.decisions_with(decision("new", -1)).unwrap().len(), 1);
        let mut full = Incidents::new(Arc::default(), (0..DECISIONS_MAX as i64).map(|at| decision("here", at)).collect());
        full.places.insert("here".to_owned(), Timestamp(0));
        assert!(full.decisions_with(decision("here", -1)).unwrap_err().contains("no more can be kept"));
        assert_eq!(full.decisions_with(decision("here", 5)).unwrap().len(), DECISIONS_MAX, "the same again is nothing new");
    }
}
