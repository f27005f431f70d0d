//! From items that hold to findings: evidence through all levels, entities, and words.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use weft_model::{ClassUid, Entity, Evidence, Finding, Timestamp};

use super::group::Group;
use super::item::{Item, Name};
use super::{Correlator, Firing, SEPARATOR, Shape, digits, hash, measure};
use crate::engine::Loaded;
use crate::engine::outcome::{ENTITIES_MAX, EVIDENCE_MAX, entities_of};
use crate::sigma::correlation::Measure;

/// Where an occurrence stands: its correlation, its group, and what its event carries.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) node: usize,
    pub(super) group: u32,
    pub(super) carried: u32,
}

/// Evidence with the number of its entities in the pool of its node.
struct Gathered {
    evidence: Evidence,
    node: usize,
    entities: u32,
}

impl Correlator {
    /// Tells what began to hold.
    pub(super) fn tell(&mut self, node: usize, firings: &[Firing], rules: &[Loaded], found: &mut Vec<Finding>) {
        for firing in firings {
            let Some((finding, digest)) = self.finding(node, firing, rules) else { continue };
            if let Some(cell) = firing.cell {
                self.remember(node, firing.group, cell, digest, false);
            }
            found.push(finding);
        }
    }

    /// Tells a finding again when there is more evidence for it.
    pub(super) fn tell_more(&mut self, node: usize, group: u32, cell: i64, settled: bool, rules: &[Loaded], found: &mut Vec<Finding>) {
        let before = self.nodes.get(node).and_then(|memory| memory.group(group)?.told.iter().find(|told| told.cell == cell)).map(|told| told.digest);
        let Some((mut finding, digest)) = self.told_now(node, group, cell, rules) else {
            return self.remember(node, group, cell, before.unwrap_or(0), settled);
        };
        self.remember(node, group, cell, digest, settled);
        if before != Some(digest) {
            finding.update = true;
            found.push(finding);
        }
    }

    fn remember(&mut self, node: usize, group: u32, cell: i64, digest: u64, settled: bool) {
        let group = self.nodes.get_mut(node).and_then(|memory| memory.group_mut(group));
        if let Some(told) = group.and_then(|group| group.told.iter_mut().find(|told| told.cell == cell)) {
            told.digest = digest;
            told.settled |= settled;
        }
    }

    /// The finding of a stretch as it is known now.
    pub(super) fn told_now(&self, node: usize, group: u32, cell: i64, rules: &[Loaded]) -> Option<(Finding, u64)> {
        let (shape, known) = (self.shapes.get(node)?, self.nodes.get(node)?.group(group)?);
        let (range, first) = known.holding_in(shape, cell)?;
        let chosen = if shape.of.measure == Measure::TemporalOrdered { known.chain_to(shape, first) } else { range.collect() };
        self.finding(node, &Firing { group, chosen, cell: Some(cell) }, rules)
    }

    fn finding(&self, node: usize, firing: &Firing, rules: &[Loaded]) -> Option<(Finding, u64)> {
        let (shape, memory) = (self.shapes.get(node)?, self.nodes.get(node)?);
        let (group, loaded) = (memory.group(firing.group)?, rules.get(shape.rule)?);
        let rule = &loaded.rule;
        let items: Vec<&Item> = firing.chosen.iter().filter_map(|at| group.items.get(*at)).collect();
        let mut gathered = Vec::new();
        self.gather(node, &items, &mut gathered);
        gathered.sort_by(|a, b| (a.evidence.time, &a.evidence.uid).cmp(&(b.evidence.time, &b.evidence.uid)));
        gathered.dedup_by(|a, b| a.evidence.uid == b.evidence.uid);
        let all = gathered.len();
        // The newest tell how it ended; the count says that there were more.
        let kept = gathered.split_off(all.saturating_sub(EVIDENCE_MAX));
        let entities = self.entities(&kept);
        let evidence: Vec<Evidence> = kept.into_iter().map(|one| one.evidence).collect();
        let mut digest = DefaultHasher::new();
        (all, evidence.iter().map(|one| &one.uid).collect::<Vec<_>>()).hash(&mut digest);
        let name = match firing.cell {
            Some(cell) => format!("cell {cell}"),
            None => {
                let (time, id) = group.begin_of(&firing.chosen);
                format!("from {time} {}", digits(id))
            }
        };
        let finding = Finding {
            uid: digits(hash(&[&rule.id, &group.key, &name])),
            analytic_uid: rule.id.clone(),
            title: rule.title.clone(),
            severity_id: rule.severity_id,
            time: Timestamp(evidence.iter().map(|one| one.time.0).max().unwrap_or_default()),
            matched: words(shape, group, &items, all),
            entities,
            evidence,
            techniques: rule.techniques.clone(),
            update: false,
        };
        Some((finding, digest.finish() | 1))
    }

    /// The events behind items; those of a correlation below are looked up there.
    fn gather(&self, node: usize, items: &[&Item], gathered: &mut Vec<Gathered>) {
        let (Some(shape), Some(memory)) = (self.shapes.get(node), self.nodes.get(node)) else { return };
        let mut spans: BTreeMap<(usize, &str), Vec<(i64, i64)>> = BTreeMap::new();
        for item in items {
            if let Name::Below(key) = item.name {
                if let Some(Some(below)) = shape.below.get(item.member as usize) {
                    spans.entry((*below, memory.pool.text(key))).or_default().push((item.from, item.time));
                }
                continue;
            }
            let evidence = Evidence { uid: item.uid(&memory.pool), class: ClassUid(item.class), time: Timestamp(item.time) };
            gathered.push(Gathered { evidence, node, entities: item.entities });
        }
        for ((below, key), mut spans) in spans {
            let Some(group) = self.nodes.get(below).and_then(|memory| memory.find(key)) else { continue };
            spans.sort_unstable();
            let mut until = i64::MIN;
            for (from, to) in spans {
                // Windows of one group overlap; each event is taken once.
                let from = from.max(until.saturating_add(1));
                if from <= to {
                    let range = group.from(from)..group.from(to.saturating_add(1));
                    let items: Vec<&Item> =
                        group.items.range(range).filter(|item| self.shapes.get(below).is_none_or(|shape| !shape.denied.contains(&item.member))).collect();
                    self.gather(below, &items, gathered);
                    until = to;
                }
            }
        }
    }

    fn entities(&self, kept: &[Gathered]) -> Vec<Entity> {
        let mut entities: Vec<Entity> = Vec::new();
        let mut seen: Vec<(usize, u32)> = Vec::new();
        for one in kept {
            if seen.contains(&(one.node, one.entities)) {
                continue;
            }
            seen.push((one.node, one.entities));
            let Some(memory) = self.nodes.get(one.node) else { continue };
            for entity in entities_of(memory.pool.text(one.entities)) {
                if entities.len() < ENTITIES_MAX && !entities.contains(&entity) {
                    entities.push(entity);
                }
            }
        }
        entities
    }

    /// A field of an occurrence: of its group, or of what it carries.
    fn field_of(&self, spot: Spot, name: &str) -> Option<&str> {
        let (shape, memory) = (self.shapes.get(spot.node)?, self.nodes.get(spot.node)?);
        let at = |names: &[String], values: &'_ str| -> Option<usize> {
            names.iter().position(|known| known == name).filter(|_| !values.is_empty() || names.len() == 1)
        };
        let key = &*memory.group(spot.group)?.key;
        let value = match at(&shape.of.group_by, key) {
            Some(place) => key.split(SEPARATOR).nth(place)?,
            None => {
                let carried = memory.pool.text(spot.carried);
                carried.split(SEPARATOR).nth(at(&shape.carry, carried)?)?
            }
        };
        (!value.is_empty()).then_some(value)
    }

    fn fields_above(&self, spot: Spot, above: (usize, u32), rules: &[Loaded], names: &[String], all: bool) -> Option<String> {
        let (shape, other) = (self.shapes.get(spot.node)?, self.shapes.get(above.0)?);
        let loaded = rules.get(shape.rule)?;
        let called: Vec<&str> = [Some(loaded.rule.id.as_str()), loaded.rule.name.as_deref()].into_iter().flatten().collect();
        let mut joined = String::new();
        for (place, name) in names.iter().enumerate() {
            if place > 0 {
                joined.push(SEPARATOR);
            }
            match self.field_of(spot, other.field(above.1 as usize, &called, name)) {
                Some(value) => joined.push_str(value),
                None if all => return None,
                None => {}
            }
        }
        Some(joined)
    }

    /// The group above that an occurrence belongs to; none when a field is missing.
    pub(super) fn key_above(&self, spot: Spot, above: (usize, u32), rules: &[Loaded]) -> Option<String> {
        self.fields_above(spot, above, rules, &self.shapes.get(above.0)?.of.group_by, true)
    }

    pub(super) fn value_above(&self, spot: Spot, above: (usize, u32), rules: &[Loaded]) -> String {
        let names = self.shapes.get(above.0).map(|shape| shape.of.measured()).unwrap_or_default();
        self.fields_above(spot, above, rules, names, true).unwrap_or_default()
    }

    pub(super) fn carried_above(&self, spot: Spot, above: (usize, u32), rules: &[Loaded]) -> String {
        let names = self.shapes.get(above.0).map(|shape| shape.carry.as_slice()).unwrap_or_default();
        self.fields_above(spot, above, rules, names, false).unwrap_or_default()
    }
}

/// What holds, for a person.
fn words(shape: &Shape, group: &Group, items: &[&Item], events: usize) -> Vec<String> {
    let values = group.key.split(SEPARATOR);
    let mut words: Vec<String> = shape.of.group_by.iter().zip(values).map(|(field, value)| format!("{field}: {value}")).collect();
    let number = measure::whole(&shape.of, items.iter().copied()).unwrap_or_default();
    let number = if number % 1_000 == 0 { (number / 1_000).to_string() } else { format!("{:.3}", number as f64 / 1_000.0) };
    match &shape.of.measure {
        Measure::EventCount => {}
        Measure::ValueCount(fields) => words.push(format!("{number} values of {}", fields.join(", "))),
        Measure::Sum(field) => words.push(format!("sum of {field}: {number}")),
        Measure::Average(field) => words.push(format!("mean of {field}: {number}")),
        Measure::Percentile(field, percent) => words.push(format!("percentile {percent} of {field}: {number}")),
        Measure::Temporal | Measure::TemporalOrdered => {
            let rule = |member: &u32| shape.of.rules.get(*member as usize).cloned();
            words.push(format!("met: {}", shape.chain.iter().filter_map(rule).collect::<Vec<_>>().join(", ")));
            if !shape.denied.is_empty() {
                words.push(format!("not met: {}", shape.denied.iter().filter_map(rule).collect::<Vec<_>>().join(", ")));
            }
        }
    }
    words.push(format!("{events} events"));
    words
}
