//! Entities by their name, each with what its analytic remembers; bounded.

use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::super::correlate::Pool;
use super::beacon::Contacts;
use super::count::Counts;
use super::graph::LastAccount;
use super::travel::Place;
use super::tunnel::Names;
use crate::sigma::behaviour::BehaviourKind;

/// Most entities that one rule remembers; the tenth that was quiet for the longest time goes.
pub const ENTITIES_MAX: usize = 1_000_000;

/// What is remembered of an entity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum EntityState {
    /// Number of values that it showed.
    Values(u32),
    Counts(Box<Counts>),
    Place(Option<Box<Place>>),
    Account(Option<Box<LastAccount>>),
    Contacts(Box<Contacts>),
    Names(Box<Names>),
}

impl EntityState {
    pub(super) fn new(kind: &BehaviourKind) -> Self {
        match kind {
            BehaviourKind::FirstSeen { .. } | BehaviourKind::Rarity { .. } | BehaviourKind::Edge { .. } => Self::Values(0),
            BehaviourKind::Deviation { .. } => Self::Counts(Box::default()),
            BehaviourKind::Travel { .. } => Self::Place(None),
            BehaviourKind::Switching { .. } => Self::Account(None),
            BehaviourKind::Beacon { .. } => Self::Contacts(Box::default()),
            BehaviourKind::Tunnel { .. } => Self::Names(Box::default()),
        }
    }

    fn release(&self, pool: &mut Pool) {
        match self {
            Self::Values(_) => {}
            Self::Counts(counts) => counts.marks.iter().for_each(|mark| mark.release(pool)),
            Self::Place(place) => place.iter().for_each(|place| place.mark.release(pool)),
            Self::Account(last) => last.iter().for_each(|last| {
                last.mark.release(pool);
                pool.release(last.account);
            }),
            Self::Contacts(contacts) => contacts.first.iter().for_each(|mark| mark.release(pool)),
            Self::Names(names) => names.marks.iter().for_each(|mark| mark.release(pool)),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) name: Box<str>,
    pub(super) last: i64,
    /// Events that wait to be judged; the slot stays as long.
    pins: u32,
    pub(super) state: EntityState,
}

/// All entities of a rule.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Entities {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    #[serde(skip)]
    index: HashTable<u32>,
    #[serde(skip)]
    hasher: DefaultHashBuilder,
}

fn name_of(slots: &[Option<Slot>], at: u32) -> &str {
    slots.get(at as usize).and_then(Option::as_ref).map_or("", |slot| &slot.name)
}

impl Entities {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The number of an entity; it is made when it is new.
    pub(super) fn of(&mut self, name: &str, state: impl FnOnce() -> EntityState) -> u32 {
        let hash = self.hasher.hash_one(name);
        let slots = &self.slots;
        if let Some(at) = self.index.find(hash, |at| name_of(slots, *at) == name) {
            return *at;
        }
        let slot = Some(Slot { name: name.into(), last: i64::MIN, pins: 0, state: state() });
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.slots.get_mut(at as usize) {
                    *place = slot;
                }
                at
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, at, |at| hasher.hash_one(name_of(slots, *at)));
        at
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut Slot> {
        self.slots.get_mut(at as usize).and_then(Option::as_mut)
    }

    pub(super) fn name(&self, at: u32) -> &str {
        name_of(&self.slots, at)
    }

    pub(super) fn pin(&mut self, at: u32, by: i32) {
        if let Some(slot) = self.get_mut(at) {
            slot.pins = slot.pins.saturating_add_signed(by);
        }
    }

    /// Forgets the quietest where there are too many; how many.
    pub(super) fn bound(&mut self, pool: &mut Pool) -> u64 {
        if self.index.len() <= ENTITIES_MAX {
            return 0;
        }
        let idle = (0_u32..).zip(&self.slots).filter_map(|(at, slot)| slot.as_ref().filter(|slot| slot.pins == 0).map(|slot| (slot.last, at)));
        let mut idle: Vec<(i64, u32)> = idle.collect();
        let count = (ENTITIES_MAX / 10).min(idle.len());
        if count < idle.len() {
            idle.select_nth_unstable(count);
        }
        let mut gone = 0;
        for (_, at) in idle.into_iter().take(count) {
            let Some(slot) = self.slots.get_mut(at as usize).and_then(Option::take) else { continue };
            let hash = self.hasher.hash_one(&*slot.name);
            if let Ok(entry) = self.index.find_entry(hash, |other| *other == at) {
                entry.remove();
            }
            slot.state.release(pool);
            self.free.push(at);
            gone += 1;
        }
        gone
    }

    pub(super) fn reindex(&mut self) {
        self.index.clear();
        let used: Vec<u32> = (0_u32..).zip(&self.slots).filter(|(_, slot)| slot.is_some()).map(|(at, _)| at).collect();
        for at in used {
            let (slots, hasher) = (&self.slots, &self.hasher);
            self.index.insert_unique(hasher.hash_one(name_of(slots, at)), at, |at| hasher.hash_one(name_of(slots, *at)));
        }
    }
}
