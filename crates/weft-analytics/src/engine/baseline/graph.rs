//! The graph of log-ons: edges that are new, and accounts that change hands.

use serde::{Deserialize, Serialize};

use super::super::correlate::TextId;
use super::entity::EntityState;
use super::{Held, Mark, Memory, Verdict, digest, shown};
use crate::sigma::behaviour::Behaviour;

/// Neighbours that are remembered of a node in each direction; a node with more is a hub.
const NEIGHBOURS_MAX: usize = 48;

/// Whom a node went to, and who came.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Neighbours {
    to: Vec<u64>,
    from: Vec<u64>,
    hub: bool,
}

/// The account that a source took last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LastAccount {
    pub(super) account: TextId,
    pub(super) mark: Mark,
}

impl Neighbours {
    pub(super) fn is_known(&self) -> bool {
        self.to.len() + self.from.len() > 1
    }

    fn add(list: &mut Vec<u64>, hub: &mut bool, node: u64) {
        match list.len() < NEIGHBOURS_MAX {
            _ if list.contains(&node) => {}
            true => list.push(node),
            false => *hub = true,
        }
    }
}

impl Memory {
    /// Sources that come to `to` already and share a destination with `from`.
    fn supporters(&self, from: u64, to: u64) -> usize {
        let Some(own) = self.edges.get(&from) else { return 0 };
        let came = self.edges.get(&to).map(|node| node.from.as_slice()).unwrap_or_default();
        let alike = |source: &&u64| self.edges.get(*source).is_some_and(|other| other.to.iter().any(|place| *place != to && own.to.contains(place)));
        came.iter().filter(|source| **source != from).filter(alike).count()
    }

    fn connect(&mut self, from: u64, to: u64) {
        let node = self.edges.entry(from).or_default();
        Neighbours::add(&mut node.to, &mut node.hub, to);
        let node = self.edges.entry(to).or_default();
        Neighbours::add(&mut node.from, &mut node.hub, from);
    }

    /// Number of places that a node went to, and of those that came, and whether it has too many.
    fn degrees(&self, node: u64) -> (usize, usize, bool) {
        self.edges.get(&node).map_or((0, 0, false), |node| (node.to.len(), node.from.len(), node.hub))
    }
}

/// A source that is known goes where neither it nor a source like it went.
pub(super) fn edge(asked: &Behaviour, supporters: usize, memory: &mut Memory, held: &Held) -> Option<Verdict> {
    let (from, to) = (memory.entities.name(held.entity).to_owned(), memory.pool.text(held.value).to_owned());
    let (source, place) = (digest(&["from", &from]), digest(&["to", &to]));
    if memory.pair(digest(&["edge", &from, &to]), held.time, asked.learn_ms).is_some() {
        return None;
    }
    let (known, _, hub) = memory.degrees(source);
    let (_, came, _) = memory.degrees(place);
    let alike = memory.supporters(source, place);
    memory.connect(source, place);
    // A scanner or a jump host goes everywhere; of a source that never went anywhere nothing is known.
    if known == 0 || hub || alike > supporters || !memory.learned(held.time, asked.learn_ms) {
        return None;
    }
    let words = vec![
        format!("new edge: {} to {}", shown(&from), shown(&to)),
        format!("baseline: the source went to {known} other places, {came} other sources came to this one"),
        format!("peers: {alike} of those share a place with the source"),
    ];
    Some(Verdict { words, before: Vec::new() })
}

/// A source takes an account that is at home elsewhere.
pub(super) fn switching(asked: &Behaviour, within_ms: i64, accounts: usize, memory: &mut Memory, held: &Held) -> Option<Verdict> {
    let (host, account) = (memory.entities.name(held.entity).to_owned(), memory.pool.text(held.value).to_owned());
    let (source, place) = (digest(&["host", &host]), digest(&["account", &account]));
    let new = memory.pair(digest(&["switch", &host, &account]), held.time, asked.learn_ms).is_none();
    let ((known, _, _), (_, homes, _)) = (memory.degrees(source), memory.degrees(place));
    if new {
        memory.connect(source, place);
    }
    let before = take_last(memory, held);
    let (name, mark) = before?;
    let close = name != account && held.time.saturating_sub(mark.time) <= within_ms;
    let fires = new && close && (1..=accounts).contains(&known) && homes >= 1 && memory.learned(held.time, asked.learn_ms);
    fires.then(|| Verdict {
        words: vec![
            format!("account {} on {}, {} s after {}", shown(&account), shown(&host), held.time.saturating_sub(mark.time) / 1_000, shown(&name)),
            format!("baseline: {known} accounts on this source so far, this one is at home on {homes} others"),
        ],
        before: vec![mark],
    })
}

/// The account before; this one takes its place.
fn take_last(memory: &mut Memory, held: &Held) -> Option<(String, Mark)> {
    memory.pool.hold_again(held.value);
    let last = Box::new(LastAccount { account: held.value, mark: memory.mark(held) });
    let Some(EntityState::Account(slot)) = memory.entities.get_mut(held.entity).map(|slot| &mut slot.state) else { return None };
    let before = slot.replace(last)?;
    let name = memory.pool.text(before.account).to_owned();
    memory.pool.release(before.account);
    // Its uid, where it is a text, lives on in the evidence of the present verdict alone.
    let mark = before.mark.clone();
    memory.late_release.push(before.mark);
    Some((name, mark))
}
