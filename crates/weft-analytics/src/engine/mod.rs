//! One detection engine over event batches.
//!
//! Rules are routed by logsource to kinds of event ([`program`]); the tests of one field are
//! asked together ([`leaf`]); what holds becomes a finding, takes part in correlations
//! ([`correlate`]), or is measured against what is usual ([`baseline`]). The same engine sees
//! the live stream and batches of the lake.

pub mod baseline;
mod bits;
mod build;
mod columns;
pub mod correlate;
mod lazy;
mod leaf;
mod learn;
mod load;
mod narrow;
mod outcome;
pub mod pace;
mod program;
mod rows;
mod scan;
mod wanted;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use weft_model::{ClassUid, Detector, DetectorReport, EventBatch, Finding, Timestamp};

use self::baseline::{Baseline, Places, Reading, Unusual};
use self::bits::Bits;
use self::columns::View;
use self::correlate::{Correlator, Incoming, Uid};
use self::outcome::Occurrence;
use self::pace::Pace;
use self::program::{Hit, Program};
use self::rows::{Reader, Rows};
use self::wanted::Wanted;
use crate::sigma::rule::{Body, Rule};

pub(crate) use self::columns::column as walk_column;
pub use self::load::{RuleFault, RuleFile, compile, compile_with};
pub use self::outcome::EVIDENCE_MAX;
pub(crate) use self::outcome::observables;
pub use self::program::Stopwatch;

/// Key of an event that lacks a field which a correlation groups by.
const MISSING: &str = "\0";
/// Form of the checkpoint; another one is refused.
const CHECKPOINT_FORM: u8 = 2;

/// Compiled rules with what they remember.
pub struct Engine {
    rules: Vec<Loaded>,
    programs: Vec<Program>,
    reads: Vec<ClassUid>,
    wanted: Wanted,
    stopwatch: Option<Stopwatch>,
    paces: Vec<Pace>,
    /// By rule: whether it was set aside because it is too slow.
    suspended: Vec<bool>,
    correlator: Correlator,
    baselines: Vec<Baseline>,
    /// Of each rule, its baseline.
    measured: Vec<Option<usize>>,
    /// Room for the next checkpoint.
    kept_bytes: AtomicUsize,
}

/// A rule with its place among the others.
pub(crate) struct Loaded {
    /// File that it came from.
    pub(crate) file: Arc<str>,
    pub(crate) rule: Rule,
    /// Whether it makes findings of its own.
    pub(crate) speaks: bool,
    /// Correlations that it takes part in, and as which member.
    pub(crate) feeds: Vec<(usize, usize)>,
}

/// What has to survive a restart; kept by rule id, so that other rules may come and go.
#[derive(Deserialize)]
struct State {
    correlations: correlate::Saved,
    /// Rule id, the behaviour as it was written, its memory.
    baselines: Vec<(String, String, baseline::Memory)>,
}

/// The same, as it is written down.
#[derive(Serialize)]
struct Kept<'a> {
    correlations: correlate::Saved,
    baselines: Vec<(&'a str, String, &'a baseline::Memory)>,
}

/// What bounds cost so far, and what is remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pressure {
    /// Groups, events and values forgotten because there was no room.
    pub evicted: u64,
    /// Events that came when their time was over.
    pub late: u64,
    /// Groups of correlations.
    pub groups: usize,
    /// Events in them.
    pub events: usize,
    /// Entities of baselines.
    pub entities: usize,
}

/// What was read of a batch for the rules that take part in something.
struct Batch<'v> {
    rows: Rows<'v>,
    plans: HashMap<(usize, u32, usize), Rc<Plan>>,
    measured: HashMap<(usize, usize), Rc<Plan>>,
    texts: [String; 5],
}

/// The fields that a correlation asks of one of its rules.
struct Plan {
    group: Vec<Rc<Reader>>,
    value: Vec<Rc<Reader>>,
    carried: Vec<Rc<Reader>>,
}

impl Engine {
    fn new(rules: Vec<Loaded>, programs: Vec<Program>, reads: Vec<ClassUid>, wanted: Wanted) -> Self {
        let asked = |loaded: &Loaded| match &loaded.rule.body {
            Body::Detection { behaviour, .. } => behaviour.clone(),
            Body::Correlation(_) | Body::Filter { .. } => None,
        };
        let baselines: Vec<Baseline> = rules.iter().enumerate().filter_map(|(at, loaded)| Some(Baseline::new(at, asked(loaded)?))).collect();
        let mut measured = vec![None; rules.len()];
        for (at, baseline) in baselines.iter().enumerate() {
            measured.get_mut(baseline.rule).into_iter().for_each(|slot| *slot = Some(at));
        }
        let (paces, suspended) = (vec![Pace::default(); rules.len()], vec![false; rules.len()]);
        Self {
            correlator: Correlator::new(&rules),
            rules,
            programs,
            reads,
            wanted,
            stopwatch: None,
            paces,
            suspended,
            baselines,
            measured,
            kept_bytes: AtomicUsize::new(0),
        }
    }

    /// Gives the analytics that need it a way to look up where addresses are.
    pub fn set_places(&mut self, places: &Arc<dyn Places>) {
        self.baselines.iter_mut().for_each(|baseline| baseline.set_places(places));
    }

    /// Rules that are off here, with the reason.
    pub fn off(&self) -> Vec<(&Rule, &'static str)> {
        self.baselines.iter().filter_map(|baseline| Some((&self.rules.get(baseline.rule)?.rule, baseline.off()?))).collect()
    }

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

    /// Measures rules with this stopwatch; those that are too slow are set aside from then on.
    pub fn measure_with(&mut self, stopwatch: Stopwatch) {
        self.stopwatch = Some(stopwatch);
    }

    /// Ids of rules that were set aside because they are too slow.
    pub fn suspended(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().zip(&self.suspended).filter(|(_, suspended)| **suspended).map(|(loaded, _)| loaded.rule.id.as_str())
    }

    fn suspend(&mut self, costs: &[program::Cost], view: &View<'_>, found: &mut Vec<Finding>) {
        for cost in costs {
            let (Some(pace), Some(suspended)) = (self.paces.get_mut(cost.rule), self.suspended.get_mut(cost.rule)) else { continue };
            if pace.add(cost) && !*suspended {
                *suspended = true;
                let newest = view.batch().newest().unwrap_or_default();
                found.extend(self.rules.get(cost.rule).map(|loaded| pace::finding(&loaded.rule, pace, newest)));
            }
        }
    }

    /// What the bounds of memory cost so far.
    pub fn pressure(&self) -> Pressure {
        let (evicted, late, groups, events) = self.correlator.pressure();
        let memories = || self.baselines.iter().map(|baseline| &baseline.memory);
        Pressure {
            evicted: evicted + memories().map(|memory| memory.evicted).sum::<u64>(),
            late: late + memories().map(|memory| memory.late).sum::<u64>(),
            groups,
            events,
            entities: memories().map(baseline::Memory::entities).sum(),
        }
    }

    /// The input is over: time stands still at its newest event, and findings that might still get
    /// more evidence are told with what there is.
    pub fn conclude(&mut self, newest: Timestamp) -> Vec<Finding> {
        // What happened at the newest moment is judged too.
        let mut found = self.advance(Timestamp(newest.0.saturating_add(1)));
        self.correlator.conclude(&self.rules, &mut found);
        sorted(found)
    }

    fn take(&mut self, program: usize, hit: Hit, batch: &mut Batch<'_>, found: &mut Vec<Finding>) {
        let (Some(of), Some(loaded)) = (self.programs.get(program), self.rules.get(hit.rule)) else { return };
        let (row, time) = (hit.row, batch.rows.time(hit.row));
        let [uid, ..] = &mut batch.texts;
        batch.rows.uid(row, uid);
        if let Some(baseline) = self.measured.get(hit.rule).copied().flatten().and_then(|at| self.baselines.get_mut(at)) {
            let above = batch.above(&self.correlator, (of, program), loaded, row);
            let urgent = batch.measure((of, program), row, &above, baseline);
            if urgent {
                let unusual = baseline.relieve(&self.rules);
                self.tell(unusual, found);
            }
            return;
        }
        if loaded.speaks {
            let Body::Detection { detection, .. } = &loaded.rule.body else { return };
            let view = batch.rows.view();
            let matched = outcome::matched(detection, view, &of.kind, &hit);
            found.push(Occurrence::new(view, row, uid.clone(), time, matched).finding(&loaded.rule));
        }
        for (correlation, member) in &loaded.feeds {
            let (Some(node), Ok(member)) = (self.correlator.node_of(*correlation), u32::try_from(*member)) else { continue };
            if !batch.join(&self.correlator, (of, program), loaded, (node, member), row) {
                continue;
            }
            let [uid, key, value, carried, entities] = &batch.texts;
            let class = batch.rows.view().batch().class.0;
            let new = Incoming { time, uid: Uid::read(uid), below: None, class, member, key, value, carried, entities };
            self.correlator.take(node, &new, &self.rules);
        }
    }

    /// What is not usual is told, and takes part in correlations.
    fn tell(&mut self, unusual: Vec<Unusual>, found: &mut Vec<Finding>) {
        for one in unusual {
            let Some(loaded) = self.rules.get(one.rule) else { continue };
            for ((correlation, member), [key, value, carried]) in loaded.feeds.iter().zip(&one.above) {
                let (Some(node), Ok(member)) = (self.correlator.node_of(*correlation), u32::try_from(*member)) else { continue };
                if key == MISSING {
                    continue;
                }
                let uid = Uid::read(&one.uid);
                let new = Incoming { time: one.time, uid, below: None, class: one.class, member, key, value, carried, entities: &one.entities };
                self.correlator.take(node, &new, &self.rules);
            }
            if loaded.speaks {
                found.push(one.finding);
            }
        }
    }

    fn look<'a>(&mut self, view: &'a View<'a>) -> Vec<Finding> {
        self.alive(view);
        let (mut hits, mut costs): (Vec<(usize, Hit)>, Vec<_>) = (Vec::new(), Vec::new());
        for (index, within) in self.kinds(view) {
            let Some(program) = self.programs.get_mut(index) else { continue };
            let outcome = program.run(view, &within, &self.suspended, self.stopwatch.as_mut());
            hits.extend(outcome.hits.into_iter().map(|hit| (index, hit)));
            costs.extend(outcome.costs);
        }
        let mut found = Vec::new();
        self.suspend(&costs, view, &mut found);
        if hits.is_empty() {
            return found;
        }
        // A rule can reach a row through two kinds of event; it happened once.
        let rows = Rows::new(view);
        hits.sort_by_cached_key(|(_, hit)| (rows.time(hit.row), hit.row, hit.rule));
        hits.dedup_by(|(_, a), (_, b)| (a.row, a.rule) == (b.row, b.rule));
        let mut reading = Batch { rows, plans: HashMap::new(), measured: HashMap::new(), texts: Default::default() };
        for (program, hit) in hits {
            self.take(program, hit, &mut reading, &mut found);
        }
        self.correlator.look(&self.rules, &mut found);
        sorted(found)
    }

    /// The programs whose kind of event is in the batch, with the rows of it. All are known before the first
    /// field is read, so that each is read once, in the rows of which it is asked.
    fn kinds(&mut self, view: &View<'_>) -> Vec<(usize, Bits)> {
        let programs = self.programs.iter_mut().enumerate().filter(|(_, program)| program.reads(view));
        programs.map(|(index, program)| (index, program.within(view))).filter(|(_, within)| !within.is_empty()).collect()
    }

    /// Baselines need to know since when their logsource speaks.
    fn alive(&mut self, view: &View<'_>) {
        let Some(oldest) = rows::oldest(view) else { return };
        for program in self.programs.iter().filter(|program| program.reads(view)) {
            for rule in program.first_seen_rules() {
                if let Some(baseline) = self.measured.get(rule).copied().flatten().and_then(|at| self.baselines.get_mut(at)) {
                    baseline.alive(oldest);
                }
            }
        }
    }
}

impl Batch<'_> {
    fn plan(&mut self, correlator: &Correlator, (of, program): (&Program, usize), rule: &Rule, (node, member): (usize, u32)) -> Option<Rc<Plan>> {
        let key = (node, member, program);
        if let Some(plan) = self.plans.get(&key) {
            return Some(Rc::clone(plan));
        }
        let shape = correlator.shapes.get(node)?;
        let names: Vec<&str> = [Some(rule.id.as_str()), rule.name.as_deref()].into_iter().flatten().collect();
        let reader = |name: &String| self.rows.reader(program, &of.kind, shape.field(member as usize, &names, name));
        let readers = |fields: &[String]| fields.iter().map(reader).collect::<Vec<_>>();
        let plan = Rc::new(Plan { group: readers(&shape.of.group_by), value: readers(shape.of.measured()), carried: readers(&shape.carry) });
        self.plans.insert(key, Rc::clone(&plan));
        Some(plan)
    }

    /// Reads what a correlation asks of a row; false when a field of its is missing.
    fn join(&mut self, correlator: &Correlator, program: (&Program, usize), loaded: &Loaded, place: (usize, u32), row: usize) -> bool {
        let Some(plan) = self.plan(correlator, program, &loaded.rule, place) else { return false };
        let [_, key, value, carried, entities] = &mut self.texts;
        if !self.rows.join(&plan.group, row, true, key) || !self.rows.join(&plan.value, row, true, value) {
            return false;
        }
        self.rows.join(&plan.carried, row, false, carried);
        self.rows.entities(row, entities);
        true
    }

    /// What the correlations above ask of a row that is judged later.
    fn above(&mut self, correlator: &Correlator, program: (&Program, usize), loaded: &Loaded, row: usize) -> Vec<[String; 3]> {
        let mut above = Vec::with_capacity(loaded.feeds.len());
        for (correlation, member) in &loaded.feeds {
            let place = correlator.node_of(*correlation).zip(u32::try_from(*member).ok());
            let fits = place.is_some_and(|place| self.join(correlator, program, loaded, place, row));
            let [_, key, value, carried, _] = &self.texts;
            above.push(if fits { [key.clone(), value.clone(), carried.clone()] } else { [MISSING.to_owned(), String::new(), String::new()] });
        }
        above
    }

    /// Hands a row to its baseline; true when something cannot wait.
    fn measure(&mut self, (of, program): (&Program, usize), row: usize, above: &[[String; 3]], baseline: &mut Baseline) -> bool {
        let rows = &self.rows;
        let plan = self.measured.entry((baseline.rule, program)).or_insert_with(|| {
            let readers = |fields: &[String]| fields.iter().map(|name| rows.reader(program, &of.kind, name)).collect::<Vec<_>>();
            let (value, peers) = baseline.reads();
            Rc::new(Plan { group: readers(&baseline.asked().by), value: readers(value), carried: readers(peers) })
        });
        let [uid, entity, value, peers, entities] = &mut self.texts;
        if !rows.join(&plan.group, row, true, entity) || !rows.join(&plan.value, row, true, value) {
            return false;
        }
        rows.join(&plan.carried, row, false, peers);
        rows.entities(row, entities);
        let class = rows.view().batch().class.0;
        baseline.take(&Reading { time: rows.time(row), uid: Uid::read(uid), class, entity, value, peers, entities, above })
    }
}

impl Detector for Engine {
    fn name(&self) -> &'static str {
        "sigma"
    }

    fn reads(&self) -> &[ClassUid] {
        &self.reads
    }

    fn observe(&mut self, batch: &EventBatch) -> Vec<Finding> {
        // Taken out for the time of the look, because the view borrows it.
        let wanted = std::mem::take(&mut self.wanted);
        let found = {
            let view = View::new(batch, &wanted);
            self.look(&view)
        };
        self.wanted = wanted;
        found
    }

    fn advance(&mut self, watermark: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        for at in 0..self.baselines.len() {
            let unusual = self.baselines.get_mut(at).map(|baseline| baseline.advance(watermark.0, &self.rules)).unwrap_or_default();
            self.tell(unusual, &mut found);
        }
        self.correlator.advance(watermark.0, &self.rules, &mut found);
        sorted(found)
    }

    fn lookback_ms(&self) -> i64 {
        let learned = self.baselines.iter().map(|baseline| baseline.asked().learn_ms);
        learned.chain([self.correlator.lookback_ms()]).max().unwrap_or(0)
    }

    fn report(&self) -> DetectorReport {
        let Pressure { evicted, late, groups, events, entities } = self.pressure();
        let suspended = self.suspended().map(str::to_owned).collect();
        DetectorReport { suspended, evicted, late, groups: groups as u64, events: events as u64, entities: entities as u64 }
    }

    fn checkpoint(&self) -> Option<Vec<u8>> {
        let id = |rule: usize| self.rules.get(rule).map(|loaded| loaded.rule.id.as_str()).unwrap_or_default();
        let baselines = self.baselines.iter().map(|baseline| (id(baseline.rule), written(baseline), &baseline.memory));
        let kept = Kept { correlations: self.correlator.save(&self.rules), baselines: baselines.collect() };
        // It is about as long as the last time.
        let mut bytes = Vec::with_capacity(self.kept_bytes.load(Ordering::Relaxed));
        bytes.push(CHECKPOINT_FORM);
        let bytes = postcard::to_extend(&kept, bytes).ok()?;
        self.kept_bytes.store(bytes.len() + bytes.len() / 8, Ordering::Relaxed);
        Some(bytes)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let Some((&CHECKPOINT_FORM, saved)) = saved.split_first() else {
            return Err("the memory of the rules was saved by another version of the program".to_owned());
        };
        let state: State = postcard::from_bytes(saved).map_err(|error| format!("the memory of the rules cannot be read: {error}"))?;
        self.correlator.resume(state.correlations, &self.rules);
        let mut saved: HashMap<(String, String), baseline::Memory> = state.baselines.into_iter().map(|(id, asked, memory)| ((id, asked), memory)).collect();
        for baseline in &mut self.baselines {
            let id = self.rules.get(baseline.rule).map(|loaded| loaded.rule.id.clone()).unwrap_or_default();
            baseline.memory = saved.remove(&(id, written(baseline))).unwrap_or_default();
            baseline.memory.reindex();
        }
        Ok(())
    }
}

/// The behaviour as it was written: its memory means nothing to another one.
fn written(baseline: &Baseline) -> String {
    format!("{:?}", baseline.asked())
}

/// By time; at the same time by rule and name, so that the order is always the same.
fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|a, b| (a.time, &a.analytic_uid, &a.uid).cmp(&(b.time, &b.analytic_uid, &b.uid)));
    found
}
