//! From a set of findings to incidents: one sweep in order of event time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use weft_model::{Finding, Timestamp};

use super::decision::What;
use super::hub::Hubs;
use super::join::{Phase, REACH_MAX_MS, belongs};
use super::{By, Decision, Incident, Join, Member, Standing, uid_of};
use crate::entity::{EntityKind, Known, Resolved, fits, resolve};

/// A finding with what grouping asks of it.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) member: Member,
    pub(super) phase: Phase,
    /// Whether everything before it is known, so that what it is joined to is final.
    pub(super) settled: bool,
    /// What is kept of the incident that settled findings belong to.
    pub(super) past: Option<String>,
}

/// What is final of an incident, with what is left of findings that are no longer remembered one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Past {
    /// Time of the first finding.
    pub(super) begin: Timestamp,
    /// Findings that are no longer remembered one by one: the first and the newest of them.
    pub(super) members: Vec<Member>,
    /// How many more there were.
    pub(super) forgotten: u64,
    /// Whether they were an incident.
    pub(super) lasting: bool,
    pub(super) joins: Vec<Join>,
    pub(super) hubs: Vec<String>,
}

/// OCSF severities, from 0 to 6.
const SEVERITIES: usize = 7;

/// Last finding about an entity: one of each severity, of each scope, of each side of the order of tactics.
struct Slot<'f> {
    severity_id: i64,
    goal: bool,
    scope: Option<&'f str>,
    node: usize,
    entity: &'f Resolved,
}

impl Node {
    pub(super) fn new(finding: &Finding, known: &Known) -> Self {
        let entities = resolve(finding, known);
        Self { phase: Phase::of(finding.tactics()), member: Member::of(finding, &entities), settled: false, past: None }
    }

    pub(super) fn key(&self) -> (Timestamp, &str) {
        (self.member.time, &self.member.uid)
    }
}

/// The incidents of findings, all known at once; later versions of a finding replace earlier ones.
pub fn of_findings(findings: &[Finding], known: &Known, decisions: &[Decision]) -> Vec<Incident> {
    let newest: BTreeMap<&str, &Finding> = findings.iter().fold(BTreeMap::new(), |mut newest, finding| {
        let kept = newest.entry(&finding.uid).or_insert(finding);
        if (finding.time, finding.evidence.len()) > (kept.time, kept.evidence.len()) {
            *kept = finding;
        }
        newest
    });
    let mut nodes: Vec<Node> = newest.values().map(|finding| Node::new(finding, known)).collect();
    nodes.sort_by(|a, b| a.key().cmp(&b.key()));
    let nodes: Vec<&Node> = nodes.iter().collect();
    incidents(&nodes, known, decisions, &BTreeMap::new()).into_iter().map(|(incident, _)| incident).collect()
}

/// The incidents of findings in order of time, with the places of their members; what is not weighty
/// enough is left out.
pub(super) fn incidents(nodes: &[&Node], known: &Known, decisions: &[Decision], pasts: &BTreeMap<String, Past>) -> Vec<(Incident, Vec<usize>)> {
    groups(nodes, known, decisions, pasts).into_iter().filter(|(incident, _)| incident.is_weighty()).collect()
}

/// All groups, also of one finding.
pub(super) fn groups(nodes: &[&Node], known: &Known, decisions: &[Decision], pasts: &BTreeMap<String, Past>) -> Vec<(Incident, Vec<usize>)> {
    let mut sweep = Sweep::new(nodes, known, decisions, pasts);
    sweep.remember(decisions, pasts);
    for at in 0..nodes.len() {
        sweep.take(at);
    }
    sweep.finish(decisions, pasts)
}

/// Whether a split was taken back by a later decision.
fn is_undone(decisions: &[Decision], cut: usize) -> bool {
    let later = decisions.get(cut + 1..).unwrap_or_default();
    decisions.get(cut).is_some_and(|decision| decision.is_undone(later))
}

struct Sweep<'f> {
    nodes: &'f [&'f Node],
    parents: Vec<usize>,
    /// By root: time of the last finding of each severity, of those swept so far.
    last: Vec<[Option<i64>; SEVERITIES]>,
    /// By root: on which side of which splits it is.
    sides: HashMap<usize, BTreeMap<usize, bool>>,
    places: HashMap<&'f str, usize>,
    slots: HashMap<(EntityKind, &'f str), Vec<Slot<'f>>>,
    hubs: Hubs<'f>,
    joins: Vec<(usize, Join)>,
    touched: HashMap<usize, BTreeSet<String>>,
}

impl<'f> Sweep<'f> {
    fn new(nodes: &'f [&'f Node], known: &'f Known, decisions: &[Decision], pasts: &'f BTreeMap<String, Past>) -> Self {
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            places.insert(&node.member.uid, at);
            let before = node.past.as_ref().and_then(|past| pasts.get(past)).into_iter().flat_map(|past| &past.members);
            for member in before {
                places.entry(&member.uid).or_insert(at);
            }
        }
        let mut sides: HashMap<usize, BTreeMap<usize, bool>> = HashMap::new();
        for (cut, decision) in decisions.iter().enumerate() {
            let What::Split(_, leave, stay) = &decision.what else { continue };
            if is_undone(decisions, cut) {
                continue;
            }
            for (uids, side) in [(leave, true), (stay, false)] {
                for place in uids.iter().filter_map(|uid| places.get(uid.as_str())) {
                    sides.entry(*place).or_default().insert(cut, side);
                }
            }
        }
        Self {
            nodes,
            parents: (0..nodes.len()).collect(),
            last: vec![[None; SEVERITIES]; nodes.len()],
            sides,
            places,
            slots: HashMap::new(),
            hubs: Hubs::new(known),
            joins: Vec::new(),
            touched: HashMap::new(),
        }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while let Some(parent) = self.parents.get(at).copied().filter(|parent| *parent != at) {
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            self.parents.get_mut(at).into_iter().for_each(|slot| *slot = above);
            at = parent;
        }
        at
    }

    /// The same, for a look.
    fn root_of(&self, mut at: usize) -> usize {
        while let Some(parent) = self.parents.get(at).copied().filter(|parent| *parent != at) {
            at = parent;
        }
        at
    }

    /// Makes two groups one, unless a person keeps them apart; false when they were one, or stay two.
    fn unite(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return false;
        }
        let (keep, gone) = (a.min(b), a.max(b));
        if let Some(others) = self.sides.get(&gone).cloned() {
            let ours = self.sides.entry(keep).or_default();
            if others.iter().any(|(cut, side)| ours.get(cut).is_some_and(|ours| ours != side)) {
                return false;
            }
            ours.extend(others);
        }
        self.parents.get_mut(gone).into_iter().for_each(|slot| *slot = keep);
        let others = self.last.get(gone).copied().unwrap_or_default();
        let ours = self.last.get_mut(keep).into_iter().flatten();
        ours.zip(others).for_each(|(ours, other)| *ours = (*ours).max(other));
        true
    }

    /// What was one before, and what persons decided.
    fn remember(&mut self, decisions: &[Decision], pasts: &BTreeMap<String, Past>) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if let Some(past) = node.past.as_deref().filter(|past| pasts.contains_key(*past)) {
                let with = *first.entry(past).or_insert(at);
                self.unite(with, at);
            }
        }
        for decision in decisions {
            let What::Merge(named) = &decision.what else { continue };
            let places: Vec<usize> = named.iter().filter_map(|(_, finding)| self.places.get(finding.as_str()).copied()).collect();
            for pair in places.windows(2) {
                let [a, b] = pair else { continue };
                if self.unite(*a, *b) {
                    self.keep_join(*a, *b, By::Person(decision.by.clone()));
                }
            }
        }
    }

    fn keep_join(&mut self, a: usize, b: usize, by: By) {
        let (earlier, later) = (a.min(b), a.max(b));
        if let (Some(earlier), Some(node)) = (self.nodes.get(earlier), self.nodes.get(later)) {
            let gap_ms = node.member.time.0 - earlier.member.time.0;
            self.joins.push((later, Join { earlier: earlier.member.uid.clone(), later: node.member.uid.clone(), by, gap_ms }));
        }
    }

    /// One finding: joined to those before it, then there for those after it.
    fn take(&mut self, at: usize) {
        let Some(node) = self.nodes.get(at).copied() else { return };
        self.hubs.see(&node.member.entities, node.member.time.0);
        let mut found: Vec<(i64, usize, &'f Resolved, &'f Resolved)> = Vec::new();
        for entity in &node.member.entities {
            if let Some(why) = self.hubs.why(entity, node.member.time.0) {
                self.touched.entry(at).or_default().insert(why);
                continue;
            }
            found.extend(self.before(node, entity));
            self.stand(at, node, entity);
        }
        let root = self.root(at);
        let severity = usize::try_from(node.member.severity_id.clamp(0, 6)).unwrap_or(0);
        self.last.get_mut(root).and_then(|last| last.get_mut(severity)).into_iter().for_each(|slot| *slot = (*slot).max(Some(node.member.time.0)));
        if node.settled {
            // Its joins are kept with its past, and what made it a hub may be forgotten.
            self.touched.remove(&at);
            return;
        }
        // The nearest in time first; the kinds of entity are in the order of what says most.
        found.sort_by_key(|(gap, place, entity, _)| (*gap, *place, entity.kind));
        // What only informs belongs to the nearest group; it does not make one of two.
        let most = if node.member.severity_id <= 1 { 1 } else { usize::MAX };
        let mut united = 0;
        for (_, place, earlier, later) in found {
            if united < most && self.unite(place, at) {
                united += 1;
                let by = By::Entity { kind: later.kind, key: later.key.clone(), earlier: earlier.seen.clone(), later: later.seen.clone() };
                self.keep_join(place, at, by);
            }
        }
    }

    /// Findings before this one that it belongs to, by one of its entities.
    fn before(&self, node: &'f Node, entity: &'f Resolved) -> Vec<(i64, usize, &'f Resolved, &'f Resolved)> {
        let slots = self.slots.get(&(entity.kind, entity.key.as_str())).into_iter().flatten();
        slots
            .filter(|slot| fits(slot.scope, entity.domain()))
            .filter_map(|slot| {
                let earlier = self.nodes.get(slot.node)?;
                let gap = node.member.time.0 - earlier.member.time.0;
                let phases = (earlier.phase, node.phase);
                let near = belongs(entity.kind, node.member.severity_id, phases, gap)
                    || (gap <= REACH_MAX_MS && self.is_hot(slot.node, entity.kind, phases, node.member.time.0));
                near.then_some((gap, slot.node, slot.entity, entity))
            })
            .collect()
    }

    /// Whether some finding of a group, by its severity, reaches until this time.
    fn is_hot(&self, at: usize, kind: EntityKind, phases: (Phase, Phase), time: i64) -> bool {
        let last = self.last.get(self.root_of(at)).into_iter().flatten();
        (0_i64..).zip(last).any(|(severity_id, last)| last.is_some_and(|last| belongs(kind, severity_id, phases, time - last)))
    }

    fn stand(&mut self, at: usize, node: &'f Node, entity: &'f Resolved) {
        let (severity_id, goal, scope) = (node.member.severity_id.clamp(0, 6), node.phase.is_goal(), entity.domain());
        let slots = self.slots.entry((entity.kind, entity.key.as_str())).or_default();
        match slots.iter_mut().find(|slot| slot.severity_id == severity_id && slot.goal == goal && slot.scope == scope) {
            Some(slot) => (slot.node, slot.entity) = (at, entity),
            None => slots.push(Slot { severity_id, goal, scope, node: at, entity }),
        }
    }

    fn finish(mut self, decisions: &[Decision], pasts: &BTreeMap<String, Past>) -> Vec<(Incident, Vec<usize>)> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in 0..self.nodes.len() {
            let root = self.root(at);
            groups.entry(root).or_default().push(at);
        }
        let mut joins: HashMap<usize, Vec<Join>> = HashMap::new();
        for (at, join) in std::mem::take(&mut self.joins) {
            let root = self.root(at);
            joins.entry(root).or_default().push(join);
        }
        let each = groups.into_iter().map(|(root, places)| {
            let incident = self.incident(&places, joins.remove(&root).unwrap_or_default(), decisions, pasts);
            (incident, places)
        });
        each.collect()
    }

    /// Whether what is kept of an incident is of this group; of one that a person split, findings that left
    /// take along what was theirs.
    fn owns(&self, places: &[usize], uid: &str, past: &Past, decisions: &[Decision], members: &mut Vec<Member>) -> bool {
        let leaving = decisions.iter().enumerate().filter_map(|(cut, decision)| match &decision.what {
            What::Split(_, leave, _) => (!is_undone(decisions, cut)).then_some(leave),
            What::Merge(_) | What::Close(_) | What::Reopen(..) | What::Assign(..) => None,
        });
        let left: BTreeSet<&String> = leaving.flatten().collect();
        let of_past = |at: &&usize| self.nodes.get(**at).is_some_and(|node| node.past.as_deref() == Some(uid));
        let gone = |at: &usize| self.nodes.get(*at).is_some_and(|node| left.contains(&node.member.uid));
        if left.is_empty() || places.iter().filter(of_past).any(|at| !gone(at)) {
            return true;
        }
        members.extend(past.members.iter().filter(|member| left.contains(&member.uid)).cloned());
        false
    }

    fn incident(&self, places: &[usize], joins: Vec<Join>, decisions: &[Decision], pasts: &BTreeMap<String, Past>) -> Incident {
        let nodes = || places.iter().filter_map(|at| self.nodes.get(*at));
        let mut before: BTreeMap<&str, &Past> =
            nodes().filter_map(|node| pasts.get_key_value(node.past.as_deref()?)).map(|(uid, past)| (uid.as_str(), past)).collect();
        let mut members: Vec<Member> = nodes().map(|node| node.member.clone()).collect();
        before.retain(|uid, past| self.owns(places, uid, past, decisions, &mut members));
        members.extend(before.values().flat_map(|past| &past.members).cloned());
        members.sort();
        members.dedup();
        let oldest = before.iter().min_by_key(|(uid, past)| (past.begin, **uid));
        let uid = oldest.map(|(uid, _)| (*uid).to_owned()).or_else(|| members.first().map(|member| uid_of(&member.uid))).unwrap_or_default();
        let mut all: Vec<Join> = before.values().flat_map(|past| &past.joins).cloned().chain(joins).collect();
        all.sort();
        let hubs = before.values().flat_map(|past| &past.hubs).chain(places.iter().filter_map(|at| self.touched.get(at)).flatten());
        let hubs = once_each(hubs);
        let own: BTreeSet<&str> = members.iter().map(|member| member.uid.as_str()).collect();
        let concerning: Vec<&Decision> = decisions.iter().filter(|decision| decision.concerns(&|finding| own.contains(finding))).collect();
        let decided = concerning.iter().map(|decision| decision.words()).collect();
        let standing = Standing::of(&members, concerning.into_iter());
        let (forgotten, lasting) = (before.values().map(|past| past.forgotten).sum(), before.values().any(|past| past.lasting));
        Incident { uid, forgotten, lasting, members, joins: all, hubs, decided, standing }
    }
}

/// Each hub once, as it was when most touched it: `host p (touches 12 of 20 users)` and the same with fewer
/// are one.
fn once_each<'h>(hubs: impl Iterator<Item = &'h String>) -> Vec<String> {
    let mut most: BTreeMap<&str, &String> = BTreeMap::new();
    for hub in hubs {
        let known = most.entry(hub.split(" (touches").next().unwrap_or(hub)).or_insert(hub);
        if (known.len(), *known) < (hub.len(), hub) {
            *known = hub;
        }
    }
    most.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_named_once() {
        let all =
            ["host p (touches 12 of 20 users)", "host p (touches 9 of 9 users)", "address 10.0.0.1 (a hub, as is known)", "host p (touches 14 of 20 users)"];
        let all = all.map(str::to_owned);
        assert_eq!(once_each(all.iter()), ["address 10.0.0.1 (a hub, as is known)", "host p (touches 14 of 20 users)"]);
        assert_eq!(once_each(all.iter().rev()), once_each(all.iter()));
    }
}
