//! Correlations on event time.
//!
//! A correlation keeps the events of each group in order of event time, whatever the order in
//! which they arrive ([`group`]). What more events cannot end ([`Correlation::is_monotone`]) is
//! told as soon as it holds, once for each stretch of the time span, and again when the watermark
//! passes that stretch and more evidence came. What only time can decide (upper bounds, means,
//! sessions, absence) is decided when the watermark passes the end of the window. Both ways, what
//! is told in the end depends on the events alone: findings are named by rule, group and stretch.
//!
//! [`Correlation::is_monotone`]: crate::sigma::correlation::Correlation::is_monotone

mod group;
mod item;
mod measure;
mod node;
mod pool;
mod shape;
mod tell;

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use weft_model::Finding;

use self::group::Told;
use self::node::{Node, Taken, occurrence_id};
use self::tell::Spot;
use super::Loaded;
use crate::sigma::correlation::Correlation;

pub(crate) use self::item::{Id, Name, Uid, digits, hash, uid_of};
pub(crate) use self::node::Incoming;
pub use self::node::{EVENTS_MAX, GROUPS_MAX, ITEMS_MAX};
pub(crate) use self::pool::{Pool, TextId};
pub(crate) use self::shape::Shape;

/// Between the values of a key.
pub(crate) const SEPARATOR: char = '\u{1f}';

/// All correlations with what they remember.
#[derive(Default)]
pub(crate) struct Correlator {
    pub(crate) shapes: Vec<Shape>,
    nodes: Vec<Node>,
    of_rule: HashMap<usize, usize>,
    /// Node, group and stretch of findings that are told again at the next look.
    again: BTreeSet<(usize, u32, i64)>,
}

/// What of it has to survive a restart.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// Rule id, the correlation as it was written, its memory.
    nodes: Vec<(String, String, Node)>,
}

/// A correlation that holds: the items, and what the finding is called.
struct Firing {
    group: u32,
    chosen: Vec<usize>,
    /// The stretch that it is about, where more evidence may come; else the window's begin.
    cell: Option<i64>,
}

/// What a correlation above sees.
struct Occurrence {
    group: u32,
    last: usize,
    from: i64,
}

impl Correlator {
    /// Compiles the correlations among the rules; `feeds` of each rule name the correlations above.
    pub(crate) fn new(rules: &[Loaded]) -> Self {
        let of = |loaded: &Loaded| match &loaded.rule.body {
            crate::sigma::rule::Body::Correlation(of) => Some(of.clone()),
            crate::sigma::rule::Body::Detection { .. } | crate::sigma::rule::Body::Filter { .. } => None,
        };
        let shapes: Vec<Shape> = rules.iter().enumerate().filter_map(|(at, loaded)| Some(Shape::new(at, of(loaded)?))).collect();
        let fed_by: HashMap<usize, Vec<(usize, u32)>> = rules
            .iter()
            .enumerate()
            .map(|(at, loaded)| (at, loaded.feeds.iter().filter_map(|(above, member)| Some((*above, u32::try_from(*member).ok()?))).collect()))
            .collect();
        let names = |rule: usize| {
            rules.get(rule).map(|loaded| [Some(loaded.rule.id.clone()), loaded.rule.name.clone()].into_iter().flatten().collect()).unwrap_or_default()
        };
        let shapes = shape::order(shapes, &fed_by, &names);
        let of_rule = shapes.iter().enumerate().map(|(node, shape)| (shape.rule, node)).collect();
        Self { nodes: shapes.iter().map(|_| Node::default()).collect(), shapes, of_rule, again: BTreeSet::new() }
    }

    /// The node of a correlation rule.
    pub(crate) fn node_of(&self, rule: usize) -> Option<usize> {
        self.of_rule.get(&rule).copied()
    }

    /// Takes an event in; what it completes is told by [`look`](Self::look).
    pub(crate) fn take(&mut self, node: usize, new: &Incoming<'_>, rules: &[Loaded]) {
        let (Some(shape), Some(memory)) = (self.shapes.get(node), self.nodes.get_mut(node)) else { return };
        if let Taken::Known(group) = memory.take(shape, new) {
            // It is delivered again: so are the findings that it may have completed, for they may
            // have been lost on their way.
            let mut again = std::mem::take(&mut self.again);
            self.tell_again(node, group, (new.time, new.time), rules, &mut again);
            self.again = again;
        }
    }

    /// Notes what is told again at the next look: once, however many of its events come again.
    fn tell_again(&self, node: usize, group: u32, (from, to): (i64, i64), rules: &[Loaded], again: &mut BTreeSet<(usize, u32, i64)>) {
        let (Some(shape), Some(memory)) = (self.shapes.get(node), self.nodes.get(node)) else { return };
        let Some(known) = memory.group(group) else { return };
        let to = to.saturating_add(shape.of.timespan_ms);
        let cells = shape.cell(from)..=shape.cell(to);
        again.extend(known.told.iter().filter(|told| cells.contains(&told.cell)).map(|told| (node, group, told.cell)));
        for (above, member) in &shape.feeds {
            let Some(other) = self.shapes.get(*above) else { continue };
            for item in known.items.iter().filter(|item| (from..=to).contains(&item.time)) {
                let key = self.key_above(Spot { node, group, carried: item.carried }, (*above, *member), rules);
                let at = key.and_then(|key| self.nodes.get(*above)?.place(&key));
                if let Some(at) = at.filter(|_| other.monotone) {
                    return self.tell_again(*above, at, (from, to), rules, again);
                }
            }
        }
    }

    /// Looks at all groups that got something new.
    pub(crate) fn look(&mut self, rules: &[Loaded], found: &mut Vec<Finding>) {
        for node in 0..self.nodes.len() {
            self.look_at(node, rules, found);
        }
        self.repeat(rules, found);
    }

    /// Tells again what was noted.
    fn repeat(&mut self, rules: &[Loaded], found: &mut Vec<Finding>) {
        for (node, group, cell) in std::mem::take(&mut self.again) {
            found.extend(self.told_now(node, group, cell, rules).map(|(finding, _)| finding));
        }
    }

    fn look_at(&mut self, node: usize, rules: &[Loaded], found: &mut Vec<Finding>) {
        let (Some(shape), Some(memory)) = (self.shapes.get(node), self.nodes.get_mut(node)) else { return };
        let speaks = rules.get(shape.rule).is_some_and(|loaded| loaded.speaks);
        let (mut firings, mut occurrences, mut holding) = (Vec::new(), Vec::new(), Vec::new());
        for at in memory.take_touched() {
            let Some(group) = memory.group_mut(at) else { continue };
            if !shape.monotone {
                let closes = group.seen().closes(shape);
                memory.remind(at, closes);
                continue;
            }
            holding.clear();
            group.holding(shape, &mut holding);
            let mut due = i64::MAX;
            for (last, from) in &holding {
                let Some(time) = group.items.get(*last).map(|item| item.time) else { continue };
                let cell = shape.cell(time);
                if speaks && !group.told.iter().any(|told| told.cell == cell) {
                    group.told.push(Told { cell, digest: 0, settled: false });
                    due = due.min(cell.saturating_add(1).saturating_mul(shape.of.timespan_ms));
                    let chosen = if shape.ordered() { group.chain_to(shape, *last) } else { (*from..=*last).collect() };
                    firings.push(Firing { group: at, chosen, cell: Some(cell) });
                }
                if !shape.feeds.is_empty() {
                    // The window as a stretch of time: what comes into it later is evidence too.
                    occurrences.push(Occurrence { group: at, last: *last, from: shape.window_begin(time) });
                }
            }
            memory.remind(at, due);
        }
        self.tell(node, &firings, rules, found);
        self.feed(node, &occurrences, rules);
    }

    /// Time has passed: decides what waited for it, from the bottom up, then forgets.
    pub(crate) fn advance(&mut self, watermark: i64, rules: &[Loaded], found: &mut Vec<Finding>) {
        for node in 0..self.nodes.len() {
            self.look_at(node, rules, found);
            let (Some(shape), Some(memory)) = (self.shapes.get(node), self.nodes.get_mut(node)) else { continue };
            memory.watermark = memory.watermark.max(watermark.saturating_sub(shape.lag_ms));
            while let Some(group) = self.nodes.get_mut(node).and_then(Node::next_due) {
                self.settle(node, group, rules, found);
            }
        }
        self.repeat(rules, found);
        self.shapes.iter().zip(&mut self.nodes).for_each(|(shape, memory)| memory.sweep(shape));
    }

    fn settle(&mut self, node: usize, at: u32, rules: &[Loaded], found: &mut Vec<Finding>) {
        let (Some(shape), Some(memory)) = (self.shapes.get(node), self.nodes.get_mut(node)) else { return };
        let watermark = memory.watermark;
        if shape.monotone {
            return self.settle_told(node, at, watermark, rules, found);
        }
        let Some(group) = memory.group_mut(at) else { return };
        let closed = group.close(shape, watermark);
        let closes = group.closes(shape);
        let occurrences: Vec<Occurrence> =
            closed.iter().filter_map(|chosen| Some(Occurrence { group: at, last: *chosen.last()?, from: group.begin_of(chosen).0 })).collect();
        memory.remind(at, closes);
        if rules.get(shape.rule).is_some_and(|loaded| loaded.speaks) {
            let firings: Vec<Firing> = closed.into_iter().map(|chosen| Firing { group: at, chosen, cell: None }).collect();
            self.tell(node, &firings, rules, found);
        }
        self.feed(node, &occurrences, rules);
    }

    /// No more evidence can come for stretches that are over.
    fn settle_told(&mut self, node: usize, at: u32, watermark: i64, rules: &[Loaded], found: &mut Vec<Finding>) {
        let span = self.shapes.get(node).map_or(1, |shape| shape.of.timespan_ms);
        let end = |told: &Told| told.cell.saturating_add(1).saturating_mul(span);
        let Some(told) = self.nodes.get(node).and_then(|memory| memory.group(at)).map(|group| group.told.clone()) else { return };
        for one in told.iter().filter(|told| !told.settled && end(told) <= watermark) {
            self.tell_more(node, at, one.cell, true, rules, found);
        }
        if let Some(next) = told.iter().filter(|told| !told.settled).map(end).filter(|end| *end > watermark).min()
            && let Some(memory) = self.nodes.get_mut(node)
        {
            memory.remind(at, next);
        }
    }

    /// The input is over: findings get the evidence that there is.
    pub(crate) fn conclude(&mut self, rules: &[Loaded], found: &mut Vec<Finding>) {
        self.look(rules, found);
        for node in 0..self.nodes.len() {
            let open: Vec<(u32, i64)> = self
                .nodes
                .get(node)
                .map(|memory| memory.groups().flat_map(|(at, group)| group.told.iter().filter(|told| !told.settled).map(move |told| (at, told.cell))).collect())
                .unwrap_or_default();
            open.into_iter().for_each(|(at, cell)| self.tell_more(node, at, cell, false, rules, found));
        }
    }

    /// What is to be saved.
    pub(crate) fn save(&self, rules: &[Loaded]) -> Saved {
        let id = |shape: &Shape| rules.get(shape.rule).map(|loaded| loaded.rule.id.clone()).unwrap_or_default();
        Saved { nodes: self.shapes.iter().zip(&self.nodes).map(|(shape, node)| (id(shape), written(&shape.of), node.clone())).collect() }
    }

    /// Goes on from what was saved; a correlation that was changed since begins anew.
    pub(crate) fn resume(&mut self, saved: Saved, rules: &[Loaded]) {
        let mut saved: HashMap<(String, String), Node> = saved.nodes.into_iter().map(|(id, of, node)| ((id, of), node)).collect();
        for (shape, node) in self.shapes.iter().zip(&mut self.nodes) {
            let id = rules.get(shape.rule).map(|loaded| loaded.rule.id.clone()).unwrap_or_default();
            *node = saved.remove(&(id, written(&shape.of))).unwrap_or_default();
            node.reindex();
        }
    }

    /// Events evicted, events late, groups and events remembered.
    pub(crate) fn pressure(&self) -> (u64, u64, usize, usize) {
        self.nodes.iter().fold((0, 0, 0, 0), |sum, node| {
            let (groups, items) = node.size();
            (sum.0 + node.evicted, sum.1 + node.late, sum.2 + groups, sum.3 + items)
        })
    }

    /// How far back events matter.
    pub(crate) fn lookback_ms(&self) -> i64 {
        self.shapes.iter().map(|shape| shape.keep_ms.saturating_add(shape.lag_ms)).max().unwrap_or(0)
    }

    /// Hands what holds to the correlations above.
    fn feed(&mut self, node: usize, occurrences: &[Occurrence], rules: &[Loaded]) {
        let Some(shape) = self.shapes.get(node).filter(|shape| !shape.feeds.is_empty()) else { return };
        let rule = rules.get(shape.rule).map(|loaded| loaded.rule.id.clone()).unwrap_or_default();
        let mut above = Vec::new();
        for occurrence in occurrences {
            let Some(memory) = self.nodes.get(node) else { return };
            let Some(group) = memory.group(occurrence.group) else { continue };
            let Some(item) = group.items.get(occurrence.last) else { continue };
            let spot = Spot { node, group: occurrence.group, carried: item.carried };
            for (other, member) in &shape.feeds {
                let place = (*other, *member);
                let Some(key) = self.key_above(spot, place, rules) else { continue };
                let (value, carried) = (self.value_above(spot, place, rules), self.carried_above(spot, place, rules));
                let id = occurrence_id(&rule, &group.key, item.id);
                above.push((*other, *member, item.time, id, occurrence.from, group.key.clone(), key, value, carried));
            }
        }
        for (other, member, time, id, from, below, key, value, carried) in above {
            let new = Incoming {
                time,
                uid: Uid::Bits(id, false),
                below: Some((from, &below)),
                class: 0,
                member,
                key: &key,
                value: &value,
                carried: &carried,
                entities: "",
            };
            self.take(other, &new, rules);
        }
    }
}

/// The correlation as it was written: its memory means nothing to another one.
fn written(of: &Correlation) -> String {
    digits(hash(&[&format!("{of:?}")]))
}

impl Shape {
    fn ordered(&self) -> bool {
        self.of.measure == crate::sigma::correlation::Measure::TemporalOrdered
    }
}
