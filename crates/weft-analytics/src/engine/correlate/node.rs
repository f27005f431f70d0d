//! The memory of one correlation: its groups, their texts, and what bounds cost.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::group::{Group, Placed};
use super::item::{Id, Item, Name, Uid};
use super::pool::Pool;
use super::shape::Shape;
use crate::sigma::correlation::Measure;

/// Most groups that one correlation remembers; the tenth that was quiet for the longest time goes.
pub const GROUPS_MAX: usize = 100_000;
/// Most events that one group remembers; the oldest go first.
pub const EVENTS_MAX: usize = 10_000;
/// Most events that one correlation remembers over all groups; some 100 bytes each.
pub const ITEMS_MAX: usize = 500_000;
/// Longest text that is kept of a field; longer ones are cut.
const TEXT_BYTES_MAX: usize = 1_024;

/// The memory of one correlation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Node {
    groups: Vec<Option<Group>>,
    free: Vec<u32>,
    pub(crate) pool: Pool,
    items: usize,
    newest: i64,
    /// What is older is late.
    pub(crate) watermark: i64,
    /// Events forgotten because there was no room.
    pub(crate) evicted: u64,
    /// Events that came when their time was over.
    pub(crate) late: u64,
    swept: i64,
    #[serde(skip)]
    index: HashTable<u32>,
    #[serde(skip)]
    hasher: DefaultHashBuilder,
    #[serde(skip)]
    due: BTreeSet<(i64, u32)>,
    #[serde(skip)]
    touched: Vec<u32>,
}

/// An event that met a rule, or an occurrence of the correlation below.
pub(crate) struct Incoming<'a> {
    pub(crate) time: i64,
    pub(crate) uid: Uid<'a>,
    /// Begin of its window and key of its group, of an occurrence.
    pub(crate) below: Option<(i64, &'a str)>,
    pub(crate) class: u32,
    pub(crate) member: u32,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    pub(crate) carried: &'a str,
    pub(crate) entities: &'a str,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is remembered.
    New,
    /// It was known; findings of this group are made again.
    Known(u32),
    /// It does not take part.
    Not,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            free: Vec::new(),
            pool: Pool::default(),
            items: 0,
            newest: i64::MIN,
            watermark: i64::MIN,
            evicted: 0,
            late: 0,
            swept: i64::MIN,
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            due: BTreeSet::new(),
            touched: Vec::new(),
        }
    }
}

impl Node {
    /// Takes one in.
    pub(crate) fn take(&mut self, shape: &Shape, new: &Incoming<'_>) -> Taken {
        if new.time < self.watermark {
            self.late = self.late.saturating_add(1);
            if new.time < self.watermark.saturating_sub(shape.keep_ms) {
                return Taken::Not;
            }
        }
        let Some(value) = self.value(shape, new) else { return Taken::Not };
        let at = self.group_at(cut(new.key));
        let item = Item {
            time: new.time,
            id: new.uid.id(),
            name: match new.below {
                Some((_, key)) => Name::Below(self.pool.hold(key)),
                None => new.uid.name(&mut self.pool),
            },
            class: new.class,
            member: new.member,
            value,
            from: new.below.map_or(0, |(from, _)| from),
            carried: self.pool.hold(cut(new.carried)),
            entities: self.pool.hold(new.entities),
        };
        let Some(group) = self.groups.get_mut(at as usize).and_then(Option::as_mut) else { return Taken::Not };
        let waits = group.is_dirty();
        let kept = item.clone();
        if matches!(group.insert(item), Placed::Known) {
            kept.release(&mut self.pool, counts_values(shape));
            return Taken::Known(at);
        }
        if !waits {
            self.touched.push(at);
        }
        self.items += 1;
        self.newest = self.newest.max(new.time);
        self.bound(shape, at);
        Taken::New
    }

    /// What is measured of it; none when it is no number where a number is asked for.
    fn value(&mut self, shape: &Shape, new: &Incoming<'_>) -> Option<i64> {
        match shape.of.measure {
            Measure::ValueCount(_) => Some(i64::from(self.pool.hold(cut(new.value)))),
            Measure::Sum(_) | Measure::Average(_) | Measure::Percentile(..) => crate::sigma::correlation::thousandths(new.value),
            Measure::EventCount | Measure::Temporal | Measure::TemporalOrdered => Some(0),
        }
    }

    fn group_at(&mut self, key: &str) -> u32 {
        let hash = self.hasher.hash_one(key);
        let groups = &self.groups;
        if let Some(at) = self.index.find(hash, |at| key_of(groups, *at) == key) {
            return *at;
        }
        let group = Some(Group::new(key));
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(slot) = self.groups.get_mut(at as usize) {
                    *slot = group;
                }
                at
            }
            None => {
                self.groups.push(group);
                u32::try_from(self.groups.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let (groups, hasher) = (&self.groups, &self.hasher);
        self.index.insert_unique(hash, at, |at| hasher.hash_one(key_of(groups, *at)));
        at
    }

    /// The number of the group of a key.
    pub(crate) fn place(&self, key: &str) -> Option<u32> {
        self.index.find(self.hasher.hash_one(key), |at| key_of(&self.groups, *at) == key).copied()
    }

    /// The group of a key.
    pub(crate) fn find(&self, key: &str) -> Option<&Group> {
        self.group(self.place(key)?)
    }

    /// A group by number.
    pub(crate) fn group(&self, at: u32) -> Option<&Group> {
        self.groups.get(at as usize).and_then(Option::as_ref)
    }

    /// A group by number.
    pub(crate) fn group_mut(&mut self, at: u32) -> Option<&mut Group> {
        self.groups.get_mut(at as usize).and_then(Option::as_mut)
    }

    /// Every group with its number.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (u32, &Group)> {
        (0..).zip(&self.groups).filter_map(|(at, group)| Some((at, group.as_ref()?)))
    }

    /// Groups that got something new since the last look.
    pub(crate) fn take_touched(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.touched)
    }

    /// Has a group looked at when the watermark reaches `time`, at the latest.
    pub(crate) fn remind(&mut self, at: u32, time: i64) {
        let Some(group) = self.groups.get_mut(at as usize).and_then(Option::as_mut) else { return };
        if time < group.due {
            self.due.remove(&(group.due, at));
            group.due = time;
            self.due.insert((time, at));
        }
    }

    /// The next group whose time has come.
    pub(crate) fn next_due(&mut self) -> Option<u32> {
        loop {
            let (time, at) = *self.due.first().filter(|(time, _)| *time <= self.watermark)?;
            self.due.pop_first();
            if let Some(group) = self.group_mut(at).filter(|group| group.due == time) {
                group.due = i64::MAX;
                return Some(at);
            }
        }
    }

    fn bound(&mut self, shape: &Shape, at: u32) {
        let horizon = self.newest.saturating_sub(shape.keep_ms);
        if self.group(at).is_some_and(|group| group.items.len() > EVENTS_MAX) {
            self.pop(shape, at, horizon);
        }
        if self.items > ITEMS_MAX || self.index.len() > GROUPS_MAX {
            self.evict(shape, horizon);
        }
    }

    fn pop(&mut self, shape: &Shape, at: u32, horizon: i64) {
        let Some(item) = self.group_mut(at).and_then(Group::pop) else { return };
        item.release(&mut self.pool, counts_values(shape));
        self.items -= 1;
        // What was of no use any more is not missed.
        self.evicted = self.evicted.saturating_add(u64::from(item.time >= horizon));
    }

    /// Declared eviction: the tenth of the groups that was quiet for the longest time goes.
    fn evict(&mut self, shape: &Shape, horizon: i64) {
        let mut times: Vec<(i64, u32)> = self.groups().map(|(at, group)| (group.newest(), at)).collect();
        let count = (times.len() / 10).max(1).min(times.len().saturating_sub(1));
        times.select_nth_unstable(count);
        for (_, at) in times.into_iter().take(count) {
            self.remove(shape, at, horizon);
        }
    }

    fn remove(&mut self, shape: &Shape, at: u32, horizon: i64) {
        let Some(group) = self.groups.get_mut(at as usize).and_then(Option::take) else { return };
        let hash = self.hasher.hash_one(&*group.key);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == at) {
            entry.remove();
        }
        self.due.remove(&(group.due, at));
        for item in &group.items {
            item.release(&mut self.pool, counts_values(shape));
            self.evicted = self.evicted.saturating_add(u64::from(item.time >= horizon));
        }
        self.items -= group.items.len();
        self.free.push(at);
    }

    /// Forgets what is too old to matter, now and then.
    pub(crate) fn sweep(&mut self, shape: &Shape) {
        if self.watermark < self.swept.saturating_add((shape.of.timespan_ms / 4).max(1_000)) {
            return;
        }
        self.swept = self.watermark;
        let cutoff = self.watermark.saturating_sub(shape.keep_ms);
        for at in 0..u32::try_from(self.groups.len()).unwrap_or(u32::MAX) {
            while self.group(at).and_then(|group| group.items.front()).is_some_and(|item| item.time < cutoff) {
                self.pop(shape, at, i64::MAX);
            }
            if let Some(group) = self.group_mut(at) {
                group.told.retain(|told| !told.settled || told.cell.saturating_add(1).saturating_mul(shape.of.timespan_ms) >= cutoff);
                if group.items.is_empty() {
                    self.remove(shape, at, i64::MAX);
                }
            }
        }
    }

    /// Builds again what is not saved.
    pub(crate) fn reindex(&mut self) {
        self.pool.reindex();
        self.index.clear();
        self.due.clear();
        let numbered: Vec<(u32, i64)> = self.groups().map(|(at, group)| (at, group.due)).collect();
        for (at, due) in numbered {
            let (groups, hasher) = (&self.groups, &self.hasher);
            self.index.insert_unique(hasher.hash_one(key_of(groups, at)), at, |at| hasher.hash_one(key_of(groups, *at)));
            if due != i64::MAX {
                self.due.insert((due, at));
            }
            if let Some(group) = self.group_mut(at) {
                group.rewind();
            }
        }
    }

    /// Groups and events that are remembered.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.index.len(), self.items)
    }
}

fn counts_values(shape: &Shape) -> bool {
    matches!(shape.of.measure, Measure::ValueCount(_))
}

fn key_of(groups: &[Option<Group>], at: u32) -> &str {
    groups.get(at as usize).and_then(Option::as_ref).map_or("", |group| &group.key)
}

/// At a character's border.
fn cut(text: &str) -> &str {
    if text.len() <= TEXT_BYTES_MAX { text } else { text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default() }
}

/// Identity of what a correlation found at an item.
pub(crate) fn occurrence_id(rule: &str, key: &str, id: Id) -> Id {
    super::item::hash(&[rule, key, &super::item::digits(id)])
}
