//! Entities that everything touches: a proxy, a scanner, a domain controller, an account of a service.
//!
//! The degree of an entity is the number of other entities of one kind that findings of the last seven
//! days name together with it. It is a hub when its degree is at least 12, and at least twice the square
//! root of the number of entities of that kind that all findings of these days name: what is much
//! touched among twenty machines is not among twenty thousand. Which of them is a hub is asked as of the
//! time of a finding, so that the answer is a function of the findings up to then.

use std::collections::{HashMap, VecDeque};

use weft_model::Timestamp;

use crate::entity::{EntityKind, Known, Resolved};

/// What is remembered of who was named together with whom.
const WINDOW_MS: i64 = 7 * Timestamp::DAY_MS;
/// Degree below which nothing is a hub.
const DEGREE_MIN: usize = 12;

/// Distinct things seen in the window.
#[derive(Default)]
struct Window<'f> {
    last: HashMap<&'f str, i64>,
    order: VecDeque<(i64, &'f str)>,
}

impl<'f> Window<'f> {
    fn see(&mut self, what: &'f str, time: i64) {
        if self.last.insert(what, time) != Some(time) {
            self.order.push_back((time, what));
        }
    }

    /// Number of distinct things up to `time`.
    fn len(&mut self, time: i64) -> usize {
        while let Some((seen, what)) = self.order.front().copied().filter(|(seen, _)| *seen <= time.saturating_sub(WINDOW_MS)) {
            self.order.pop_front();
            if self.last.get(what) == Some(&seen) {
                self.last.remove(what);
            }
        }
        self.last.len()
    }
}

/// Degrees as of the findings swept so far.
pub(super) struct Hubs<'f> {
    known: &'f Known,
    touched: HashMap<(EntityKind, &'f str), HashMap<EntityKind, Window<'f>>>,
    population: HashMap<EntityKind, Window<'f>>,
}

/// Kinds that are counted.
const COUNTED: [EntityKind; 4] = [EntityKind::User, EntityKind::Host, EntityKind::Address, EntityKind::Workload];

impl<'f> Hubs<'f> {
    pub(super) fn new(known: &'f Known) -> Self {
        Self { known, touched: HashMap::new(), population: HashMap::new() }
    }

    /// A finding names these together.
    pub(super) fn see(&mut self, entities: &'f [Resolved], time: i64) {
        for entity in entities {
            for other in entities.iter().filter(|other| COUNTED.contains(&other.kind) && (other.kind, &other.key) != (entity.kind, &entity.key)) {
                let windows = self.touched.entry((entity.kind, entity.key.as_str())).or_default();
                windows.entry(other.kind).or_default().see(&other.key, time);
            }
            if COUNTED.contains(&entity.kind) {
                self.population.entry(entity.kind).or_default().see(&entity.key, time);
            }
        }
    }

    /// Why an entity joins nothing at this time, if so.
    pub(super) fn why(&mut self, entity: &'f Resolved, time: i64) -> Option<String> {
        if self.known.is_hub(entity.kind, &entity.key) {
            return Some(format!("{entity} (named as a hub)"));
        }
        let windows = self.touched.get_mut(&(entity.kind, entity.key.as_str()))?;
        for kind in COUNTED {
            let Some(degree) = windows.get_mut(&kind).map(|window| window.len(time)).filter(|degree| *degree >= DEGREE_MIN) else { continue };
            let population = self.population.get_mut(&kind).map_or(0, |window| window.len(time));
            if degree as f64 >= 2.0 * (population as f64).sqrt() {
                let plural = if kind == EntityKind::Address { "es" } else { "s" };
                return Some(format!("{entity} (touches {degree} of {population} {}{plural})", kind.word()));
            }
        }
        None
    }
}
