//! One event against the baseline of its entity.

use std::borrow::Cow;

use super::entity::EntityState;
use super::{Held, Memory, Places, Reading, SEPARATOR, Verdict, beacon, count, digest, graph, shown, travel, tunnel};
use crate::sigma::behaviour::{Behaviour, BehaviourKind};
use crate::sigma::correlation::thousandths;

/// The entity whose baseline it is, what is measured of the event as a text and as a number; none
/// when there is nothing to measure.
pub(super) fn measured<'a>(asked: &Behaviour, new: &Reading<'a>) -> Option<(Cow<'a, str>, &'a str, i64)> {
    let with = |part: &str| Cow::Owned(if new.entity.is_empty() { part.to_owned() } else { format!("{}{SEPARATOR}{part}", new.entity) });
    Some(match &asked.kind {
        BehaviourKind::Deviation { sum: None, .. } => (Cow::Borrowed(new.entity), "", 1_000),
        BehaviourKind::Deviation { sum: Some(_), .. } => (Cow::Borrowed(new.entity), "", thousandths(new.value)?.max(0)),
        // Each pair, and each registered domain, has a baseline of its own.
        BehaviourKind::Beacon { .. } => (with(new.value), new.value, 0),
        BehaviourKind::Tunnel { .. } => (with(tunnel::registered(new.value)?.0), new.value, 0),
        _ => (Cow::Borrowed(new.entity), new.value, 0),
    })
}

/// What there is to say about an event; nothing when it is usual.
pub(super) fn judge(asked: &Behaviour, memory: &mut Memory, places: Option<&dyn Places>, held: &Held) -> Option<Verdict> {
    if let Some(slot) = memory.entities.get_mut(held.entity) {
        // Entities whose first event still waits are no peers yet.
        memory.known += u64::from(slot.last == i64::MIN);
        slot.last = slot.last.max(held.time);
    }
    match &asked.kind {
        BehaviourKind::FirstSeen { value, peers } => first_seen(asked, value, !peers.is_empty(), memory, held),
        BehaviourKind::Rarity { value, share, population } => rarity(asked, value, *share, *population, memory, held),
        BehaviourKind::Deviation { .. } => count::judge(asked, memory, held),
        BehaviourKind::Travel { speed_kmh, distance_km, .. } => travel::judge(*speed_kmh, *distance_km, memory, places?, held),
        BehaviourKind::Edge { supporters, .. } => graph::edge(asked, *supporters, memory, held),
        BehaviourKind::Switching { within_ms, accounts, .. } => graph::switching(asked, *within_ms, *accounts, memory, held),
        BehaviourKind::Beacon { .. } => beacon::judge(asked, memory, held),
        BehaviourKind::Tunnel { .. } => tunnel::judge(asked, memory, held),
    }
}

/// One more value of the entity; how many there were.
fn one_more(memory: &mut Memory, held: &Held) -> u32 {
    match memory.entities.get_mut(held.entity).map(|slot| &mut slot.state) {
        Some(EntityState::Values(count)) => {
            *count = count.saturating_add(1);
            *count - 1
        }
        _ => 0,
    }
}

fn days(ms: i64) -> String {
    if ms % 86_400_000 == 0 { format!("{} days", ms / 86_400_000) } else { format!("{} hours", ms / 3_600_000) }
}

fn first_seen(asked: &Behaviour, fields: &[String], with_peers: bool, memory: &mut Memory, held: &Held) -> Option<Verdict> {
    let (entity, value, peers) =
        (memory.entities.name(held.entity).to_owned(), memory.pool.text(held.value).to_owned(), memory.pool.text(held.peers).to_owned());
    let learned = memory.learned(held.time, asked.learn_ms);
    let own = memory.pair(digest(&["own", &entity, &value]), held.time, asked.learn_ms);
    let group = if with_peers { memory.pair(digest(&["peers", &peers, &value]), held.time, asked.learn_ms) } else { None };
    if own.is_some() {
        return None;
    }
    let known = one_more(memory, held);
    if group.is_some() || !learned {
        return None;
    }
    let mut words =
        vec![format!("first seen: {} {} for {}", fields.join(", "), shown(&value), if entity.is_empty() { "everybody".to_owned() } else { shown(&entity) })];
    words.push(format!("baseline: {known} other values since the beginning, look-back {}", days(asked.learn_ms)));
    if with_peers {
        words.push(format!("new for the peer group {} too", shown(&peers)));
    }
    Some(Verdict { words, before: Vec::new() })
}

fn rarity(asked: &Behaviour, fields: &[String], share: i64, population: usize, memory: &mut Memory, held: &Held) -> Option<Verdict> {
    let (entity, value) = (memory.entities.name(held.entity).to_owned(), memory.pool.text(held.value).to_owned());
    if memory.pair(digest(&["own", &entity, &value]), held.time, asked.learn_ms).is_some() {
        return None;
    }
    one_more(memory, held);
    let all = usize::try_from(memory.known).unwrap_or(usize::MAX);
    let count = memory.counts.entry(digest(&["value", &value])).or_default();
    *count = count.saturating_add(1);
    let (count, rare) = (*count, i128::from(*count) * 1_000 <= i128::from(share) * all as i128);
    if !rare || all < population || !memory.learned(held.time, asked.learn_ms) {
        return None;
    }
    let words = vec![
        format!("rare: {} {} for {}", fields.join(", "), shown(&value), shown(&entity)),
        format!("baseline: {count} of {all} entities show it, at most {} % count as rare", share as f64 / 10.0),
    ];
    Some(Verdict { words, before: Vec::new() })
}
