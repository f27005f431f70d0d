//! One detection engine over event batches.
//!
//! Rules are routed by logsource to kinds of event ([`program`]); the tests of one field are
//! asked together ([`leaf`]); what holds becomes a finding, or takes part in a correlation
//! ([`window`]) or a first-seen memory ([`first_seen`]). The same engine sees the live stream
//! and batches of the lake.

mod bits;
mod build;
mod columns;
pub mod first_seen;
mod lazy;
mod leaf;
mod load;
mod outcome;
pub mod pace;
mod program;
mod wanted;
pub mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_model::{ClassUid, Detector, EventBatch, Finding, Timestamp};

use self::columns::View;
use self::first_seen::Memory;
use self::outcome::Occurrence;
use self::pace::Pace;
use self::program::{Hit, Program};
use self::wanted::Wanted;
use self::window::{Seen, Window};
use crate::sigma::correlation::CorrelationKind;
use crate::sigma::rule::{Body, Rule};

pub use self::load::{RuleFault, RuleFile, compile, compile_with};
pub use self::program::Stopwatch;

/// Compiled rules with what they remember.
pub struct Engine {
    rules: Vec<Loaded>,
    programs: Vec<Program>,
    reads: Vec<ClassUid>,
    wanted: Wanted,
    state: State,
    stopwatch: Option<Stopwatch>,
    paces: Vec<Pace>,
    /// By rule: whether it was set aside because it is too slow.
    suspended: Vec<bool>,
}

/// A rule with its place among the others.
struct Loaded {
    /// File that it came from.
    file: std::sync::Arc<str>,
    rule: Rule,
    /// Whether it makes findings of its own.
    speaks: bool,
    /// Correlations that it takes part in, and as which member.
    feeds: Feeds,
}

type Feeds = Vec<(usize, usize)>;

/// What has to survive a restart; kept by rule id, so that other rules may come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    windows: BTreeMap<String, Window>,
    memories: BTreeMap<String, Memory>,
}

/// What bounds cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pressure {
    /// Groups, events and values forgotten because there was no room.
    pub evicted: u64,
    /// Events that came too late for a correlation.
    pub late: u64,
}

impl Engine {
    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in the order of their files.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|loaded| &loaded.rule)
    }

    /// The rules with the files they came from.
    pub fn placed(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.rules.iter().map(|loaded| (&*loaded.file, &loaded.rule))
    }

    /// What has to be saved for [`restore`](Self::restore).
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Goes on from a saved state; memories of rules that are gone are dropped.
    pub fn restore(&mut self, mut state: State) {
        let known = |id: &String| self.rules.iter().any(|loaded| loaded.rule.id == *id);
        state.windows.retain(|id, _| known(id));
        state.memories.retain(|id, _| known(id));
        state.windows.values_mut().for_each(Window::reindex);
        self.state = state;
    }

    /// What the bounds of memory cost so far.
    pub fn pressure(&self) -> Pressure {
        let windows = self.state.windows.values();
        let evicted = windows.clone().map(|window| window.evicted).chain(self.state.memories.values().map(|memory| memory.evicted));
        Pressure { evicted: evicted.sum(), late: windows.map(|window| window.late).sum() }
    }

    fn take(&mut self, program: usize, view: &View<'_>, hit: Hit, done: &mut Vec<(usize, usize)>, findings: &mut Vec<Finding>) {
        // A rule can reach a row through two kinds of event; it happened once.
        if done.contains(&(hit.row, hit.rule)) {
            return;
        }
        done.push((hit.row, hit.rule));
        let (Some(program), Some(loaded)) = (self.programs.get(program), self.rules.get(hit.rule)) else { return };
        let kind = Arc::clone(&program.kind);
        let Body::Detection { detection, first_seen, .. } = &loaded.rule.body else { return };
        let matched = outcome::matched(detection, view, &kind, &hit);
        let mut occurrence = Occurrence::new(view, &kind, hit.row, matched);
        if let Some(asked) = first_seen {
            let Some(value) = occurrence.field(&asked.value) else { return };
            let Some(entity) = asked.by.iter().map(|field| occurrence.field(field)).collect::<Option<Vec<_>>>() else { return };
            let memory = self.state.memories.entry(loaded.rule.id.clone()).or_default();
            if !memory.is_new(&entity, &value, occurrence.time(), asked.learn_ms) {
                return;
            }
            occurrence.matched.push(format!("first seen: {} {value} for {}", asked.value, entity.join(", ")));
        }
        if loaded.speaks {
            findings.push(occurrence.finding(&loaded.rule));
        }
        // Correlations feed those above them. INVARIANT: `compile` refuses circles, so this ends.
        let mut open = vec![(loaded.feeds.clone(), occurrence)];
        while let Some((feeds, occurrence)) = open.pop() {
            for (correlation, member) in feeds {
                open.extend(self.correlate(correlation, member, &occurrence, findings));
            }
        }
    }

    /// Feeds a correlation; returns what it completed, for those above it.
    fn correlate<'v>(
        &mut self,
        correlation: usize,
        member: usize,
        occurrence: &Occurrence<'v>,
        findings: &mut Vec<Finding>,
    ) -> Option<(Feeds, Occurrence<'v>)> {
        let loaded = self.rules.get(correlation)?;
        let Body::Correlation(of) = &loaded.rule.body else { return None };
        let field = |name: &str| {
            let rule = of.rules.get(member);
            let aliased = of.aliases.iter().find(|(alias, of_rule, _)| alias == name && Some(of_rule) == rule).map(|(_, _, field)| field.as_str());
            occurrence.field(aliased.unwrap_or(name))
        };
        let group = of.group_by.iter().map(|name| Some((name.clone(), field(name)?))).collect::<Option<Vec<_>>>()?;
        let value = match &of.kind {
            CorrelationKind::ValueCount(_, name) => Some(field(name)?),
            _ => None,
        };
        let seen = Seen { time: occurrence.time(), member, value, evidence: occurrence.evidence.clone(), entities: occurrence.entities() };
        let key = group.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("\u{1f}");
        let window = self.state.windows.entry(loaded.rule.id.clone()).or_default();
        let complete = window.take(of, &key, seen)?;
        let complete = occurrence.above(group, complete);
        if loaded.speaks {
            findings.push(complete.finding(&loaded.rule));
        }
        Some((loaded.feeds.clone(), complete))
    }

    /// First-seen rules need to know since when their logsource speaks.
    fn alive(&mut self, view: &View<'_>) {
        let asks = |program: &Program| program.reads(view) && program.first_seen_rules().next().is_some();
        if !self.programs.iter().any(asks) {
            return;
        }
        let Some(oldest) = (0..view.rows()).map(|row| view.time(row)).min() else { return };
        for program in self.programs.iter().filter(|program| program.reads(view)) {
            for rule in program.first_seen_rules() {
                if let Some(loaded) = self.rules.get(rule) {
                    self.state.memories.entry(loaded.rule.id.clone()).or_default().alive(oldest);
                }
            }
        }
    }
}

impl Engine {
    /// Measures rules with this stopwatch; those that are too slow are set aside from then on.
    pub fn measure_with(&mut self, stopwatch: Stopwatch) {
        self.stopwatch = Some(stopwatch);
    }

    /// Ids of rules that were set aside because they are too slow.
    pub fn suspended(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().zip(&self.suspended).filter(|(_, suspended)| **suspended).map(|(loaded, _)| loaded.rule.id.as_str())
    }

    fn suspend(&mut self, costs: &[program::Cost], view: &View<'_>, findings: &mut Vec<Finding>) {
        for cost in costs {
            let (Some(pace), Some(suspended)) = (self.paces.get_mut(cost.rule), self.suspended.get_mut(cost.rule)) else { continue };
            if pace.add(cost) && !*suspended {
                *suspended = true;
                let newest = (0..view.rows()).map(|row| view.time(row)).max().unwrap_or_default();
                findings.extend(self.rules.get(cost.rule).map(|loaded| pace::finding(&loaded.rule, pace, Timestamp(newest))));
            }
        }
    }
}

impl Detector for Engine {
    fn reads(&self) -> &[ClassUid] {
        &self.reads
    }

    fn observe(&mut self, batch: &EventBatch) -> Vec<Finding> {
        // Taken out for the time of the look, because the view borrows it.
        let wanted = std::mem::take(&mut self.wanted);
        let view = View::new(batch, &wanted);
        self.alive(&view);
        let (mut hits, mut costs): (Vec<(usize, Hit)>, Vec<_>) = (Vec::new(), Vec::new());
        for (index, program) in self.programs.iter_mut().enumerate().filter(|(_, program)| program.reads(&view)) {
            let outcome = program.run(&view, &self.suspended, self.stopwatch.as_mut());
            hits.extend(outcome.hits.into_iter().map(|hit| (index, hit)));
            costs.extend(outcome.costs);
        }
        // Correlations see the events of a batch in order of event time, whatever the program.
        hits.sort_by_cached_key(|(_, hit)| (view.time(hit.row), hit.row, hit.rule));
        let (mut findings, mut done, mut row) = (Vec::new(), Vec::new(), usize::MAX);
        for (program, hit) in hits {
            if hit.row != row {
                done.clear();
                row = hit.row;
            }
            self.take(program, &view, hit, &mut done, &mut findings);
        }
        self.suspend(&costs, &view, &mut findings);
        drop(view);
        self.wanted = wanted;
        findings
    }
}
