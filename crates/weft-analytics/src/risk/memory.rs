//! The points of all entities, bounded, kept over a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weft_model::{Finding, Timestamp};

use super::{EntityRisk, Point, Preset, Share};
use crate::entity::{EntityKind, Known, resolve};

/// Points of one entity; of more, the newest stay.
pub const POINTS_MAX: usize = 256;
/// Entities; of more, those with the newest findings stay.
pub const ENTITIES_MAX: usize = 200_000;
/// Milliseconds after which a finding says nothing any more.
pub const RETAINED_MS: i64 = 30 * Timestamp::DAY_MS;
/// Entities over the limit before room is made: looking for the oldest costs a look at all.
const ENTITIES_OVER: usize = 10_000;
/// Form of the checkpoint; another one is refused.
const CHECKPOINT_FORM: u8 = 1;

type Points = BTreeMap<(EntityKind, String), Vec<Point>>;

/// What is remembered of all entities.
#[derive(Debug, Default)]
pub struct Risk {
    known: Arc<Known>,
    entities: Points,
    evicted: u64,
}

#[derive(Deserialize)]
struct Saved {
    entities: Points,
    evicted: u64,
}

/// The same, as it is written down.
#[derive(Serialize)]
struct Kept<'a> {
    entities: &'a Points,
    evicted: u64,
}

impl Risk {
    /// Nothing found yet.
    pub fn new(known: Arc<Known>) -> Self {
        Self { known, ..Self::default() }
    }

    /// What is known of entities from now on; what was found keeps the names that it was found under.
    pub fn know(&mut self, known: Arc<Known>) {
        self.known = known;
    }

    /// A finding raises the risk of its entities. The same finding again replaces itself.
    pub fn observe(&mut self, finding: &Finding) {
        let tactics: BTreeSet<String> = finding.tactics().map(str::to_owned).collect();
        for entity in resolve(finding, &self.known).into_iter().filter(|entity| entity.kind != EntityKind::Domain) {
            let point = Point {
                time: finding.time,
                finding: finding.uid.clone(),
                analytic: finding.analytic_uid.clone(),
                title: finding.title.clone(),
                severity_id: finding.severity_id,
                tactics: tactics.iter().cloned().collect(),
                domain: entity.domain().map(str::to_owned),
            };
            let points = self.entities.entry((entity.kind, entity.key)).or_default();
            // Of two versions of a finding, the one that knows later evidence stays.
            if points.iter().any(|known| known.finding == point.finding && *known > point) {
                continue;
            }
            points.retain(|known| known.finding != point.finding);
            let place = points.partition_point(|known| *known < point);
            points.insert(place, point);
            if points.len() > POINTS_MAX {
                points.remove(0);
                self.evicted += 1;
            }
        }
        if self.entities.len() > ENTITIES_MAX + ENTITIES_OVER {
            self.make_room();
        }
    }

    /// Event time has passed `watermark`: what is too old to say anything is forgotten.
    pub fn advance(&mut self, watermark: Timestamp) {
        let oldest = watermark.0.saturating_sub(RETAINED_MS);
        self.entities.retain(|_, points| {
            let gone = points.partition_point(|point| point.time.0 < oldest);
            points.drain(..gone);
            !points.is_empty()
        });
    }

    fn make_room(&mut self) {
        let mut newest: Vec<i64> = self.entities.values().filter_map(|points| points.last()).map(|point| point.time.0).collect();
        newest.sort_unstable();
        let Some(from) = newest.get(newest.len().saturating_sub(ENTITIES_MAX)).copied() else { return };
        let before = self.entities.len();
        self.entities.retain(|_, points| points.last().is_some_and(|point| point.time.0 >= from));
        self.evicted += (before - self.entities.len()) as u64;
    }

    /// Points and entities forgotten because there was no room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Time of the newest finding.
    pub fn newest(&self) -> Timestamp {
        self.entities.values().filter_map(|points| points.last()).map(|point| point.time).max().unwrap_or_default()
    }

    /// Every entity at an instant, highest first.
    pub fn scores(&self, preset: Preset, now: Timestamp) -> Vec<EntityRisk> {
        let each =
            self.entities.iter().flat_map(|((kind, key), points)| persons(points, now).into_iter().map(move |(domain, points)| (*kind, key, domain, points)));
        let mut all: Vec<EntityRisk> = each.map(|(kind, key, domain, points)| self.one(preset, (kind, key, domain), &points, now)).collect();
        all.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| (a.kind, &a.name).cmp(&(b.kind, &b.name))));
        all
    }

    fn one(&self, preset: Preset, (kind, key, domain): (EntityKind, &str, Option<String>), points: &[Point], now: Timestamp) -> EntityRisk {
        let join = if kind == EntityKind::User { '@' } else { '.' };
        let name = domain.map_or_else(|| key.to_owned(), |domain| format!("{key}{join}{domain}"));
        let criticality = self.known.criticality(kind, key, &name);
        let scored = preset.score(points, criticality, now);
        let mut shares: Vec<Share> = points.iter().cloned().zip(scored.parts).map(|(point, part)| Share { point, part }).collect();
        shares.sort_by(|a, b| b.part.total_cmp(&a.part).then_with(|| a.point.cmp(&b.point)));
        EntityRisk { kind, name, score: scored.score, level_id: scored.level_id, criticality, shares, exceeded: scored.exceeded }
    }

    /// What has to survive a restart.
    pub fn checkpoint(&self) -> Vec<u8> {
        let saved = (CHECKPOINT_FORM, Kept { entities: &self.entities, evicted: self.evicted });
        // Maps, lists and numbers: nothing that the format refuses.
        postcard::to_allocvec(&saved).unwrap_or_default()
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// For a person: why it cannot be read; nothing is changed then.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let unreadable = |error: postcard::Error| format!("the memory of risks cannot be read: {error}");
        let (form, rest): (u8, _) = postcard::take_from_bytes(saved).map_err(unreadable)?;
        if form != CHECKPOINT_FORM {
            return Err(format!("the memory of risks has form {form}, not {CHECKPOINT_FORM}"));
        }
        let saved: Saved = postcard::from_bytes(rest).map_err(unreadable)?;
        (self.entities, self.evicted) = (saved.entities, saved.evicted);
        Ok(())
    }
}

/// The persons behind one name: where two full domains are known they are two, and what names none is
/// a third; else all are one.
fn persons(points: &[Point], now: Timestamp) -> Vec<(Option<String>, Vec<Point>)> {
    let oldest = now.0.saturating_sub(RETAINED_MS);
    let fresh = || points.iter().filter(|point| point.time.0 >= oldest && point.time <= now);
    let domains: BTreeSet<&String> = fresh().filter_map(|point| point.domain.as_ref()).collect();
    if domains.len() <= 1 {
        let all: Vec<Point> = fresh().cloned().collect();
        return if all.is_empty() { Vec::new() } else { vec![(domains.first().map(|domain| (*domain).clone()), all)] };
    }
    let mut apart: BTreeMap<Option<String>, Vec<Point>> = BTreeMap::new();
    fresh().for_each(|point| apart.entry(point.domain.clone()).or_default().push(point.clone()));
    apart.into_iter().collect()
}
