//! What findings come to: incidents and risks, kept up with every finding event that is published.
//!
//! INVARIANT: what is remembered here is of exactly the findings in the published frames. It is taken
//! down with the detectors' memory, between two frames; later frames are shown again after a crash, and
//! a finding that is seen twice changes nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use weft_analytics::entity::Known;
use weft_analytics::incident::{Decision, Incident, Incidents, Told};
use weft_analytics::risk::{EntityRisk, Preset, Risk};
use weft_model::{DetectorReport, Finding, Timestamp};

use super::{Memory, Pipeline, Shared, work};
use crate::door::now;

/// Event time between two looks for points that are too old.
const FORGET_EVERY_MS: i64 = 3_600_000;

/// Incidents and risks of the running mesh.
pub(crate) struct Sums {
    incidents: Mutex<Incidents>,
    risk: Mutex<Risk>,
    known: Mutex<Arc<Known>>,
    forgot: AtomicI64,
    /// Versions of incidents that could not be kept; they are tried again.
    owed: Mutex<Vec<Value>>,
}

/// Names under which what they remember is kept, beside the detectors'.
const PARTS: [&str; 2] = ["sum: incidents", "sum: risk"];

impl Sums {
    pub(super) fn new(known: Known, decisions: Vec<Decision>, memory: &mut Memory) -> Self {
        let known = Arc::new(known);
        let (mut incidents, mut risk) = (Incidents::new(Arc::clone(&known), decisions), Risk::new(Arc::clone(&known)));
        let [of_incidents, of_risk] = PARTS.map(|name| memory.part(name));
        let restored = [of_incidents.map(|saved| incidents.restore(&saved)), of_risk.map(|saved| risk.restore(&saved))];
        for error in restored.into_iter().flatten().filter_map(Result::err) {
            tracing::error!(error, "it begins with an empty one");
        }
        Self { incidents: Mutex::new(incidents), risk: Mutex::new(risk), known: Mutex::new(known), forgot: AtomicI64::new(i64::MIN), owed: Mutex::default() }
    }

    /// Names of persons that count from now on.
    pub(super) fn call(&self, names: HashMap<String, String>) {
        let mut held_known = held(&self.known);
        let mut known = Known::clone(&held_known);
        known.call(names);
        *held_known = Arc::new(known);
        held(&self.incidents).know(Arc::clone(&held_known));
        held(&self.risk).know(Arc::clone(&held_known));
    }

    /// What of them survives a restart.
    pub(super) fn keep(&self) -> impl Iterator<Item = (String, Vec<u8>)> + use<> {
        let kept = [held(&self.incidents).checkpoint(), held(&self.risk).checkpoint()];
        PARTS.into_iter().map(str::to_owned).zip(kept)
    }

    /// A finding event of a frame, ours or a tool's.
    pub(super) fn observe(&self, finding: &Finding) {
        held(&self.incidents).observe(finding);
        held(&self.risk).observe(finding);
    }

    /// What is new of incidents, as events; `last` when nothing comes any more.
    fn tell(&self, watermark: Timestamp, now: Timestamp, last: bool) -> Vec<Value> {
        if watermark.0 >= self.forgot.load(Ordering::Relaxed).saturating_add(FORGET_EVERY_MS) {
            self.forgot.store(watermark.0, Ordering::Relaxed);
            held(&self.risk).advance(watermark);
        }
        let mut incidents = held(&self.incidents);
        let mut told = incidents.advance(watermark, now);
        if last {
            told.extend(incidents.conclude(now));
        }
        told.iter().map(|Told { incident, version, created }| incident.to_ocsf(version, *created, now, None)).collect()
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells incidents what time it is, and keeps what is new of them. The caller holds `still`.
pub(super) fn settle(shared: &Arc<Shared>, watermark: Timestamp, now: Timestamp, last: bool) {
    let mut events = std::mem::take(&mut *held(&shared.sums.owed));
    events.extend(shared.sums.tell(watermark, now, last));
    let owed: Vec<Value> = events.into_iter().filter(|event| !work::keep_event(shared, event)).collect();
    held(&shared.sums.owed).extend(owed);
}

/// What is remembered of events and findings, and what bounds of it cost so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// All detectors together.
    pub detectors: DetectorReport,
    /// Findings folded into their incidents because there was no room.
    pub incidents_evicted: u64,
    /// Findings of entities that are left out of their risk because there was no room.
    pub risk_evicted: u64,
}

impl Pipeline {
    /// What is remembered now. Blocking.
    pub fn remembered(&self) -> Remembered {
        let mut detectors = DetectorReport::default();
        for one in held(&self.shared.detectors).iter().map(|detector| detector.report()) {
            detectors.suspended.extend(one.suspended);
            detectors.evicted += one.evicted;
            detectors.late += one.late;
            detectors.groups += one.groups;
            detectors.events += one.events;
            detectors.entities += one.entities;
        }
        let (incidents_evicted, risk_evicted) = (held(&self.shared.sums.incidents).evicted(), held(&self.shared.sums.risk).evicted());
        Remembered { detectors, incidents_evicted, risk_evicted }
    }

    /// The incidents now.
    pub fn incidents(&self) -> Vec<Incident> {
        held(&self.shared.sums.incidents).current()
    }

    /// The risk of every entity now, highest first.
    pub fn risks(&self, preset: Preset) -> Vec<EntityRisk> {
        held(&self.shared.sums.risk).scores(preset, now())
    }

    /// What persons decided about incidents, with one decision more: to be kept, and obeyed then.
    ///
    /// # Errors
    /// For a person: too many decisions.
    pub fn decisions_with(&self, decision: Decision) -> Result<Vec<Decision>, String> {
        held(&self.shared.sums.incidents).decisions_with(decision)
    }

    /// Obeys decisions that were kept.
    pub fn obey(&self, decisions: Vec<Decision>) {
        held(&self.shared.sums.incidents).obey(decisions);
    }
}
