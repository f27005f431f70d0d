//! A correlation with its place among the others: who feeds it, whom it feeds, how long it remembers.

use std::collections::HashMap;

use super::item::Item;
use super::measure;
use crate::sigma::correlation::{Correlation, WindowKind};

/// A compiled correlation.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Its rule.
    pub(crate) rule: usize,
    /// As written.
    pub(crate) of: Correlation,
    /// Whether it can speak at once.
    pub(crate) monotone: bool,
    /// Rules that must be met, in order.
    pub(crate) chain: Vec<u32>,
    /// Rules that must not.
    pub(crate) denied: Vec<u32>,
    /// How far its watermark is behind that of the events: what is below speaks late.
    pub(crate) lag_ms: i64,
    /// How far behind its watermark it remembers.
    pub(crate) keep_ms: i64,
    /// Of each member, the correlation below, where it is one.
    pub(crate) below: Vec<Option<usize>>,
    /// Correlations above, and as which member.
    pub(crate) feeds: Vec<(usize, u32)>,
    /// Fields beside its group that correlations above ask for.
    pub(crate) carry: Vec<String>,
}

impl Shape {
    pub(crate) fn new(rule: usize, of: Correlation) -> Self {
        let (monotone, chain, denied) = (of.is_monotone(), measure::chain(&of), measure::denied(&of));
        Self { rule, of, monotone, chain, denied, lag_ms: 0, keep_ms: 0, below: Vec::new(), feeds: Vec::new(), carry: Vec::new() }
    }

    /// When the window that ends at `time` begins.
    pub(crate) fn window_begin(&self, time: i64) -> i64 {
        let span = self.of.timespan_ms;
        match self.of.window {
            WindowKind::Tumbling => time.div_euclid(span).saturating_mul(span),
            WindowKind::Sliding | WindowKind::Session { .. } => time.saturating_sub(span),
        }
    }

    /// The stretch of time that a finding at `time` is about.
    pub(crate) fn cell(&self, time: i64) -> i64 {
        time.div_euclid(self.of.timespan_ms)
    }

    /// Whether an item can begin a window that only time ends.
    pub(crate) fn opens(&self, item: &Item) -> bool {
        match self.denied.is_empty() {
            true => true,
            // In order, the first rule that must be met begins; in any order, any of them.
            false if self.of.measure == crate::sigma::correlation::Measure::TemporalOrdered => self.chain.first() == Some(&item.member),
            false => self.chain.contains(&item.member),
        }
    }

    /// How much later than its events it speaks.
    fn delay_ms(&self) -> i64 {
        let gap = if let WindowKind::Session { gap_ms } = self.of.window { gap_ms } else { 0 };
        if self.monotone { 0 } else { self.of.timespan_ms.saturating_add(gap).saturating_add(1) }
    }

    /// The name under which a member knows a field of this correlation.
    pub(crate) fn field<'a>(&'a self, member: usize, names: &[&str], name: &'a str) -> &'a str {
        let is_member = |rule: &str| self.of.rules.get(member).is_some_and(|known| known == rule) || names.contains(&rule);
        self.of.aliases.iter().find(|(alias, rule, _)| alias == name && is_member(rule)).map_or(name, |(_, _, field)| field)
    }
}

/// All correlations, each after those that feed it.
pub(crate) fn order(mut shapes: Vec<Shape>, fed_by: &HashMap<usize, Vec<(usize, u32)>>, names: &dyn Fn(usize) -> Vec<String>) -> Vec<Shape> {
    // INVARIANT: `compile` refuses circles, so each round places at least one.
    let mut placed: Vec<Shape> = Vec::with_capacity(shapes.len());
    while !shapes.is_empty() {
        let open: Vec<usize> = shapes.iter().map(|shape| shape.rule).collect();
        let waits = |shape: &Shape| open.iter().any(|other| fed_by.get(other).is_some_and(|above| above.iter().any(|(rule, _)| *rule == shape.rule)));
        let (wait, ready): (Vec<Shape>, Vec<Shape>) = shapes.into_iter().partition(waits);
        if ready.is_empty() {
            break;
        }
        placed.extend(ready);
        shapes = wait;
    }
    let place: HashMap<usize, usize> = placed.iter().enumerate().map(|(at, shape)| (shape.rule, at)).collect();
    for shape in &mut placed {
        shape.below = vec![None; shape.of.rules.len()];
    }
    for at in 0..placed.len() {
        let Some(rule) = placed.get(at).map(|shape| shape.rule) else { continue };
        let above: Vec<(usize, u32)> = fed_by.get(&rule).into_iter().flatten().filter_map(|(above, member)| Some((*place.get(above)?, *member))).collect();
        for (node, member) in &above {
            if let Some(slot) = placed.get_mut(*node).and_then(|shape| shape.below.get_mut(*member as usize)) {
                *slot = Some(at);
            }
        }
        if let Some(shape) = placed.get_mut(at) {
            shape.feeds = above;
        }
    }
    lags(&mut placed);
    memories(&mut placed, names);
    placed
}

fn lags(shapes: &mut [Shape]) {
    for at in 0..shapes.len() {
        let Some((lag, feeds)) = shapes.get(at).map(|shape| (shape.lag_ms.saturating_add(shape.delay_ms()), shape.feeds.clone())) else { continue };
        for (above, _) in feeds {
            if let Some(shape) = shapes.get_mut(above) {
                shape.lag_ms = shape.lag_ms.max(lag);
            }
        }
    }
}

/// From the top down: those below must remember what those above may still show.
fn memories(shapes: &mut [Shape], names: &dyn Fn(usize) -> Vec<String>) {
    for at in (0..shapes.len()).rev() {
        let Some(shape) = shapes.get(at) else { continue };
        let gap = if let WindowKind::Session { gap_ms } = shape.of.window { gap_ms } else { 0 };
        let own = shape.of.timespan_ms.saturating_mul(2).saturating_add(gap).saturating_add(1);
        let (mut keep, mut carry) = (own, Vec::new());
        let called = names(shape.rule);
        let called: Vec<&str> = called.iter().map(String::as_str).collect();
        for (above, member) in &shape.feeds {
            let Some(other) = shapes.get(*above) else { continue };
            keep = keep.max(other.keep_ms.saturating_add(other.lag_ms).saturating_sub(shape.lag_ms).saturating_add(own));
            for name in other.of.group_by.iter().chain(other.of.measured()).chain(&other.carry) {
                let name = other.field(*member as usize, &called, name);
                if !shape.of.group_by.iter().any(|known| known == name) && !carry.iter().any(|known| known == name) {
                    carry.push(name.to_owned());
                }
            }
        }
        if let Some(shape) = shapes.get_mut(at) {
            shape.keep_ms = keep;
            shape.carry = carry;
        }
    }
}
