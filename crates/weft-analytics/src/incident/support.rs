//! Evidence from sources that found nothing themselves.
//!
//! An event supports an incident when it is between the same two addresses that one finding of the
//! incident names together, in either direction, at most an hour before the first event of the incident
//! or after its last. Both addresses must be somebody's, and neither a hub. It supports: it joins nothing.
//! The same look tells from which sources the events are that findings rest on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use weft_model::event::{column, text};
use weft_model::{EventBatch, Evidence, Timestamp};

use super::Incident;
use crate::entity::EntityKind;

/// Supporting events of one incident that are named, the earliest of each source; all are counted.
pub const SUPPORT_MAX: usize = 100;
/// How far around the evidence events still support it.
const MARGIN_MS: i64 = 3_600_000;
/// Name of a source that does not say its own.
const UNNAMED: &str = "unnamed";

/// What the events say about one incident.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Supported {
    /// By source: events that findings rest on, and events that support them.
    pub sources: BTreeMap<String, (u64, u64)>,
    /// Supporting events with their source, in order of time.
    pub events: Vec<(Evidence, String)>,
}

/// Looks through events for what supports incidents.
#[derive(Debug, Default)]
pub struct Support {
    evidence: HashMap<String, Vec<usize>>,
    pairs: HashMap<(IpAddr, IpAddr), Vec<usize>>,
    spans: Vec<(i64, i64)>,
    found: Vec<Supported>,
    counted: Vec<BTreeSet<String>>,
}

impl Support {
    /// For these incidents.
    pub fn new(incidents: &[Incident]) -> Self {
        let mut all = Self { found: vec![Supported::default(); incidents.len()], counted: vec![BTreeSet::new(); incidents.len()], ..Self::default() };
        for (at, incident) in incidents.iter().enumerate() {
            all.spans.push((incident.first_evidence().0.saturating_sub(MARGIN_MS), incident.last_evidence().0.saturating_add(MARGIN_MS)));
            for member in &incident.members {
                member.evidence.iter().for_each(|(uid, ..)| note(&mut all.evidence, uid.clone(), at));
                let hub = |key: &str| incident.hubs.iter().any(|hub| hub.strip_prefix("address ").is_some_and(|rest| rest.split(' ').next() == Some(key)));
                let addresses: Vec<IpAddr> = member
                    .entities
                    .iter()
                    .filter(|entity| entity.kind == EntityKind::Address && !hub(&entity.key))
                    .filter_map(|entity| entity.key.parse().ok())
                    .collect();
                let pairs = addresses.iter().flat_map(|a| addresses.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b);
                pairs.for_each(|pair| note(&mut all.pairs, pair, at));
            }
        }
        all
    }

    /// The time in which something is looked for, in milliseconds; none without incidents.
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((self.spans.iter().map(|(begin, _)| *begin).min()?, self.spans.iter().map(|(_, end)| *end).max()?))
    }

    /// The addresses that are looked for in pairs.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.pairs.keys().map(|(a, _)| *a).collect()
    }

    /// Uids of the events that findings rest on.
    pub fn evidence(&self) -> impl Iterator<Item = &str> {
        self.evidence.keys().map(String::as_str)
    }

    /// Looks at one batch.
    pub fn observe(&mut self, batch: &EventBatch) {
        let at = |path: &str| column(&batch.rows, path);
        let (uids, products, times) = (at("metadata.uid"), at("metadata.product.name"), at("time"));
        let times = times.as_ref().and_then(|times| arrow::array::AsArray::as_primitive_opt::<arrow::datatypes::Int64Type>(times));
        let (Some(uids), Some(times)) = (uids, times) else { return };
        let (sources, targets) = (at("src_endpoint.ip"), at("dst_endpoint.ip"));
        for row in 0..batch.rows.num_rows() {
            let Some(uid) = text(&uids, row) else { continue };
            let event = Evidence { uid: uid.to_owned(), class: batch.class, time: Timestamp(times.value(row)) };
            let address = |column: &Option<arrow::array::ArrayRef>| column.as_ref().and_then(|column| text(column, row)?.parse::<IpAddr>().ok());
            self.event(event, products.as_ref().and_then(|products| text(products, row)), address(&sources).zip(address(&targets)));
        }
    }

    /// Looks at one event: its source, and the addresses that it is between.
    pub fn event(&mut self, event: Evidence, product: Option<&str>, between: Option<(IpAddr, IpAddr)>) {
        let product = product.unwrap_or(UNNAMED);
        if let Some(incidents) = self.evidence.get(&event.uid) {
            for at in incidents.clone() {
                self.rests(at, &event.uid, product.to_owned());
            }
            return;
        }
        let Some((a, b)) = between.map(|(a, b)| (a.to_canonical(), b.to_canonical())) else { return };
        for at in self.pairs.get(&(a, b)).cloned().unwrap_or_default() {
            self.supports(at, event.clone(), product.to_owned());
        }
    }

    fn rests(&mut self, at: usize, uid: &str, product: String) {
        let (Some(found), Some(counted)) = (self.found.get_mut(at), self.counted.get_mut(at)) else { return };
        if counted.insert(uid.to_owned()) {
            found.sources.entry(product).or_default().0 += 1;
        }
    }

    fn supports(&mut self, at: usize, event: Evidence, product: String) {
        let (Some(found), Some(counted), Some((begin, end))) = (self.found.get_mut(at), self.counted.get_mut(at), self.spans.get(at)) else { return };
        if (*begin..=*end).contains(&event.time.0) && counted.insert(event.uid.clone()) {
            found.sources.entry(product.clone()).or_default().1 += 1;
            found.events.push((event, product));
        }
    }

    /// What was found, in the order of the incidents.
    pub fn finish(mut self) -> Vec<Supported> {
        let share = |found: &Supported| SUPPORT_MAX / found.sources.values().filter(|(_, support)| *support > 0).count().max(1);
        for found in &mut self.found {
            found.events.sort_by(|(a, _), (b, _)| (a.time, &a.uid).cmp(&(b.time, &b.uid)));
            let (most, mut kept): (usize, BTreeMap<String, usize>) = (share(found), BTreeMap::new());
            found.events.retain(|(_, product)| {
                let count = kept.entry(product.clone()).or_default();
                *count += 1;
                *count <= most
            });
        }
        self.found
    }
}

fn note<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<usize>>, key: K, at: usize) {
    let incidents = map.entry(key).or_default();
    if incidents.last() != Some(&at) {
        incidents.push(at);
    }
}
