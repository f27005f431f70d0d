//! The events of one group, in order of event time, and what is decided about them.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::item::{Id, Item};
use super::measure::{self, Running};
use super::shape::Shape;
use crate::sigma::correlation::{Measure, WindowKind};

/// Nothing to look at again.
const CLEAN: usize = usize::MAX;

/// The memory of one group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Values of the group-by fields.
    pub(crate) key: Box<str>,
    /// In order of time, then rule, then identity.
    pub(crate) items: VecDeque<Item>,
    /// Findings that were made and may still get more evidence.
    pub(crate) told: Vec<Told>,
    /// Windows that begin earlier are decided.
    pub(crate) decided: i64,
    /// When it has to be looked at, as it stands in the list of what is due; `i64::MAX` for never.
    pub(crate) due: i64,
    #[serde(skip)]
    cursor: Option<Cursor>,
    /// The oldest item that came since the last look.
    #[serde(skip, default = "clean")]
    dirty: usize,
}

/// A finding of this group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Which stretch of time it is about.
    pub(crate) cell: i64,
    /// Digest of what was told last; none when it was not told yet.
    pub(crate) digest: u64,
    /// Whether its evidence is final.
    pub(crate) settled: bool,
}

/// How far the items are measured: `lo..next` is the window of the last one.
#[derive(Debug, Clone)]
struct Cursor {
    lo: usize,
    next: usize,
    running: Running,
}

/// What happened to an item.
pub(crate) enum Placed {
    /// It is new.
    New,
    /// It was there.
    Known,
}

fn clean() -> usize {
    CLEAN
}

impl Group {
    pub(crate) fn new(key: &str) -> Self {
        Self { key: key.into(), items: VecDeque::new(), told: Vec::new(), decided: i64::MIN, due: i64::MAX, cursor: None, dirty: CLEAN }
    }

    pub(crate) fn newest(&self) -> i64 {
        self.items.back().map_or(i64::MIN, |item| item.time)
    }

    /// Whether it waits to be looked at.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty != CLEAN
    }

    /// What came was looked at.
    pub(crate) fn seen(&mut self) -> &Self {
        self.dirty = CLEAN;
        self
    }

    /// Puts an item at its place in time.
    pub(crate) fn insert(&mut self, item: Item) -> Placed {
        let order = item.order();
        let at = match self.items.back() {
            None => 0,
            Some(last) if last.order() < order => self.items.len(),
            Some(_) => match self.items.binary_search_by(|other| other.order().cmp(&order)) {
                Ok(_) => return Placed::Known,
                Err(at) => at,
            },
        };
        if at == self.items.len() {
            self.items.push_back(item);
        } else {
            self.items.insert(at, item);
            if self.cursor.as_ref().is_some_and(|cursor| at < cursor.next) {
                self.cursor = None;
            }
        }
        self.dirty = self.dirty.min(at);
        Placed::New
    }

    /// The first index whose time is not before `time`.
    pub(crate) fn from(&self, time: i64) -> usize {
        self.items.partition_point(|item| item.time < time)
    }

    /// Removes the oldest item.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if let Some(cursor) = &mut self.cursor {
            if cursor.lo == 0 && cursor.next > 0 {
                cursor.running.remove(&item);
            }
            cursor.lo = cursor.lo.saturating_sub(1);
            cursor.next = cursor.next.saturating_sub(1);
        }
        if self.dirty != CLEAN {
            self.dirty = self.dirty.saturating_sub(1);
        }
        Some(item)
    }

    /// Looks at what came since the last time: the indices of the items whose window holds, with
    /// the first item of the window. Only for correlations that more events cannot end.
    pub(crate) fn holding(&mut self, shape: &Shape, found: &mut Vec<(usize, usize)>) {
        let dirty = std::mem::replace(&mut self.dirty, CLEAN);
        if dirty == CLEAN {
            return;
        }
        let begin = self.items.get(dirty).map_or(i64::MIN, |item| shape.window_begin(item.time));
        let lo = self.cursor.is_none().then(|| self.from(begin));
        let cursor = self.cursor.get_or_insert_with(|| {
            let lo = lo.unwrap_or(0);
            Cursor { lo, next: lo, running: Running::new(&shape.of) }
        });
        while let Some(item) = self.items.get(cursor.next) {
            cursor.step(shape, &self.items, item);
            if cursor.next > dirty && cursor.running.holds(&shape.of, cursor.next - cursor.lo, item, &shape.chain, shape.window_begin(item.time)) {
                found.push((cursor.next - 1, cursor.lo));
            }
        }
    }

    /// First and last item of a stretch whose window holds, with the window of the first.
    pub(crate) fn holding_in(&self, shape: &Shape, cell: i64) -> Option<(Range<usize>, usize)> {
        let (begin, end) = (cell.saturating_mul(shape.of.timespan_ms), cell.saturating_add(1).saturating_mul(shape.of.timespan_ms));
        let lo = self.from(shape.window_begin(begin));
        let mut cursor = Cursor { lo, next: lo, running: Running::new(&shape.of) };
        let mut found: Option<(Range<usize>, usize)> = None;
        while let Some(item) = self.items.get(cursor.next).filter(|item| item.time < end) {
            cursor.step(shape, &self.items, item);
            if item.time < begin || !cursor.running.holds(&shape.of, cursor.next - cursor.lo, item, &shape.chain, shape.window_begin(item.time)) {
                continue;
            }
            match &mut found {
                Some((range, _)) => range.end = cursor.next,
                None => found = Some((cursor.lo..cursor.next, cursor.next - 1)),
            }
        }
        found
    }

    /// The chain that ends with an item: of each rule the latest that comes before the next one.
    pub(crate) fn chain_to(&self, shape: &Shape, last: usize) -> Vec<usize> {
        let mut chosen = vec![last];
        let mut before = last;
        for member in shape.chain.iter().rev().skip(1) {
            let found = (0..before).rev().find(|at| self.items.get(*at).is_some_and(|item| item.member == *member));
            let Some(found) = found else { break };
            chosen.push(found);
            before = found;
        }
        chosen.reverse();
        chosen
    }

    /// When the next window that only time can end is decided; `i64::MAX` when there is none.
    pub(crate) fn closes(&self, shape: &Shape) -> i64 {
        let Some(begin) = self.opening(shape) else { return i64::MAX };
        self.end_of(shape, begin).1.saturating_add(1)
    }

    /// The first item that can begin a window.
    fn opening(&self, shape: &Shape) -> Option<usize> {
        let from = self.from(self.decided);
        let anchors = (from..self.items.len()).find(|at| self.items.get(*at).is_some_and(|item| shape.opens(item)))?;
        Some(anchors)
    }

    /// Last index and last moment of the window that an item begins.
    fn end_of(&self, shape: &Shape, begin: usize) -> (usize, i64) {
        let Some(first) = self.items.get(begin) else { return (begin, i64::MAX) };
        let span = shape.of.timespan_ms;
        match shape.of.window {
            WindowKind::Tumbling => {
                let last = first.time.div_euclid(span).saturating_add(1).saturating_mul(span).saturating_sub(1);
                (self.from(last.saturating_add(1)).saturating_sub(1), last)
            }
            WindowKind::Sliding => {
                let last = first.time.saturating_add(span);
                (self.from(last.saturating_add(1)).saturating_sub(1), last)
            }
            WindowKind::Session { gap_ms } => {
                let (mut at, limit, mut time) = (begin, first.time.saturating_add(span), first.time);
                while let Some(next) = self.items.get(at + 1).filter(|next| next.time - time <= gap_ms && next.time <= limit) {
                    at += 1;
                    time = next.time;
                }
                (at, time.saturating_add(gap_ms).min(limit))
            }
        }
    }

    /// Decides the windows that have ended before `watermark`; the items of those that hold.
    pub(crate) fn close(&mut self, shape: &Shape, watermark: i64) -> Vec<Vec<usize>> {
        let mut closed = Vec::new();
        while let Some(begin) = self.opening(shape) {
            let (last, end) = self.end_of(shape, begin);
            if end >= watermark {
                break;
            }
            let first = self.items.get(begin).map_or(0, |item| item.time);
            let chosen = self.judge(shape, begin, last);
            // A `not` is asked again of the next event that could begin; what held is consumed,
            // and so is a window of counting.
            self.decided = if chosen.is_some() || shape.denied.is_empty() { end.saturating_add(1) } else { first.saturating_add(1) };
            closed.extend(chosen);
        }
        self.dirty = CLEAN;
        closed
    }

    fn judge(&self, shape: &Shape, begin: usize, last: usize) -> Option<Vec<usize>> {
        if !shape.denied.is_empty() {
            return if shape.of.measure == Measure::TemporalOrdered { self.absent_in_order(shape, begin, last) } else { self.absent(shape, begin, last) };
        }
        let holds = match (&shape.of.condition, &shape.of.measure) {
            (Some(_), Measure::TemporalOrdered) => {
                let mut place = 0;
                let chosen = (begin..=last).filter(|at| {
                    let next = shape.chain.get(place).is_some_and(|wanted| self.items.get(*at).is_some_and(|item| item.member == *wanted));
                    place += usize::from(next);
                    next
                });
                let chosen: Vec<usize> = chosen.collect();
                return (chosen.len() == shape.chain.len()).then_some(chosen);
            }
            (Some(condition), _) => measure::meets(condition, &|member| self.has(begin..last + 1, member)),
            (None, _) => {
                measure::whole(&shape.of, self.items.range(begin..last + 1)).is_some_and(|value| shape.of.bounds.iter().all(|bound| bound.holds(value)))
            }
        };
        holds.then(|| (begin..=last).collect())
    }

    fn has(&self, range: Range<usize>, member: usize) -> bool {
        self.items.range(range).any(|item| item.member as usize == member)
    }

    /// What must not be, is neither before nor after; what must be, follows the first.
    fn absent(&self, shape: &Shape, begin: usize, last: usize) -> Option<Vec<usize>> {
        let condition = shape.of.condition.as_ref()?;
        let around = self.from(self.items.get(begin)?.time.saturating_sub(shape.of.timespan_ms));
        let met = |member: usize| {
            let denied = shape.denied.iter().any(|denied| *denied as usize == member);
            self.has(if denied { around..last + 1 } else { begin..last + 1 }, member)
        };
        let affirmed = |at: &usize| self.items.get(*at).is_some_and(|item| shape.chain.contains(&item.member));
        measure::meets(condition, &met).then(|| (begin..=last).filter(affirmed).collect())
    }

    /// The rules in the order written; where one must not be, there is none between its neighbours.
    fn absent_in_order(&self, shape: &Shape, begin: usize, last: usize) -> Option<Vec<usize>> {
        let before = self.from(self.items.get(begin)?.time.saturating_sub(shape.of.timespan_ms));
        let (mut chosen, mut from, mut pending): (Vec<usize>, usize, Vec<usize>) = (Vec::new(), before, Vec::new());
        let members = (0..shape.of.rules.len()).filter_map(|member| u32::try_from(member).ok());
        for member in members {
            if shape.denied.contains(&member) {
                pending.push(member as usize);
            } else if shape.chain.contains(&member) {
                let first =
                    if chosen.is_empty() { Some(begin) } else { (from..=last).find(|at| self.items.get(*at).is_some_and(|item| item.member == member)) };
                let at = first?;
                if pending.drain(..).any(|denied| self.has(from..at, denied)) {
                    return None;
                }
                chosen.push(at);
                from = at + 1;
            }
        }
        (!pending.into_iter().any(|denied| self.has(from.min(last + 1)..last + 1, denied))).then_some(chosen)
    }

    /// Identity of the window that a chosen item begins.
    pub(crate) fn begin_of(&self, chosen: &[usize]) -> (i64, Id) {
        chosen.first().and_then(|at| self.items.get(*at)).map_or((0, (0, 0)), |item| (item.time, item.id))
    }

    /// Forgets how far it was measured, after a restart.
    pub(crate) fn rewind(&mut self) {
        self.cursor = None;
        self.dirty = CLEAN;
    }
}

impl Cursor {
    /// Takes the next item in, and lets go of those that are too old for its window.
    fn step(&mut self, shape: &Shape, items: &VecDeque<Item>, item: &Item) {
        let begin = shape.window_begin(item.time);
        while let Some(old) = items.get(self.lo).filter(|old| self.lo < self.next && old.time < begin) {
            self.running.remove(old);
            self.lo += 1;
        }
        self.running.add(item, &shape.chain, begin);
        self.next += 1;
    }
}
