//! A worker: one frame at a time, from raw records to visible events.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use weft_analytics::intel::match_batch;
use weft_console::TailEvent;
use weft_lake::{Logged, PublishError};
use weft_model::event::row_to_json;
use weft_model::{Context, EventBatch, Finding, Mapped, Position, RawBatch, RawRecord, RecordId, Reject, RejectCause, StreamId, Timestamp};

use super::{Shared, TAIL_BYTES_MAX};
use crate::door::{now, records};
use crate::state::incidents::findings;

/// Stream of events that the mesh makes itself.
pub(crate) const OWN_STREAM: &str = "ocsf/event";
/// Source of events that the mesh makes itself.
pub(crate) const OWN_SOURCE: &str = "weft";
/// Samples that one frame adds at most, so that a large one does not displace all others.
const EVENTS_SAMPLED_MAX: usize = 64;
/// Findings that share one frame of the log.
const FINDINGS_TOGETHER: usize = 256;
/// While the tail is full.
const BREATH: Duration = Duration::from_millis(5);

/// One thread's work.
pub struct Work {
    shared: Arc<Shared>,
    waiting: Arc<Mutex<Receiver<Logged>>>,
}

impl Work {
    pub(super) fn new(shared: Arc<Shared>, waiting: Arc<Mutex<Receiver<Logged>>>) -> Self {
        Self { shared, waiting }
    }

    /// Until nothing can come any more.
    pub fn run(self) {
        while let Some(logged) = self.next() {
            publish(&self.shared, logged);
        }
    }

    /// The next frame, when the tail has room for it.
    ///
    /// INVARIANT: whoever waits for room has no frame in hand. Room comes with a commit, and a commit
    /// ends before the first frame that is not published: it would wait for the one that waits for it.
    fn next(&self) -> Option<Logged> {
        while self.is_full() && !self.shared.stopping.load(Ordering::Acquire) {
            std::thread::sleep(BREATH);
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }

    /// Whether the tail is full and a commit can make room. Where none can, what fills it stands
    /// behind a frame that is still to come, and only going on brings that one.
    fn is_full(&self) -> bool {
        let lake = &self.shared.lake;
        lake.tail_bytes() >= TAIL_BYTES_MAX && lake.horizon() > lake.committed()
    }
}

/// Maps, detects and publishes one frame. Findings are durable before the frame counts as done,
/// so that a crash in between finds them again.
pub(crate) fn publish(shared: &Arc<Shared>, logged: Logged) {
    let found = {
        let _in_hand = shared.still.read().unwrap_or_else(PoisonError::into_inner);
        publish_frame(shared, logged, None)
    };
    for finding in found {
        // A full channel makes the workers wait: a finding is never dropped.
        if shared.findings.blocking_send(finding).is_err() {
            break;
        }
    }
}

/// One frame; the findings are for the loop, and remembered until it has answered them. `own` are the
/// findings in a frame that the mesh made itself: detectors do not look at those again, a finding about a
/// finding has no end.
fn publish_frame(shared: &Arc<Shared>, logged: Logged, own: Option<&[Finding]>) -> Vec<Finding> {
    let batch = logged.batch();
    let mapped = map(shared, batch);
    shared.stats.mapped(&batch.source, mapped.events() as u64, mapped.rejects.len() as u64);
    show(shared, batch, &mapped);
    let (received, events) = (batch.received, mapped.events());
    let found = if own.is_none() { observe(shared, &mapped) } else { Vec::new() };
    if !found.chunks(FINDINGS_TOGETHER).all(|findings| keep(shared, findings)) {
        // Dropped, it is handed out again before the next commit, and found again.
        return Vec::new();
    }
    match own {
        Some(own) => own.iter().for_each(|finding| shared.sums.observe(finding)),
        None => mapped.batches.iter().flat_map(findings).for_each(|finding| shared.sums.observe(&finding)),
    }
    if let Err(refused) = shared.lake.publish(logged, mapped) {
        publish_as_rejects(shared, *refused.logged, &refused.conflict.to_string());
    }
    wait(shared, received, events);
    remember(shared, &found);
    found
}

/// Until the loop has answered.
fn remember(shared: &Shared, found: &[Finding]) {
    let found = found.iter().map(|finding| (finding.uid.clone(), Arc::new(finding.clone())));
    shared.unanswered.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
}

/// Keeps findings that time made; gives back those that are kept, and those that could not be.
pub(crate) fn keep_all(shared: &Arc<Shared>, found: Vec<Finding>) -> (Vec<Finding>, Vec<Finding>) {
    let (mut kept, mut owed) = (Vec::new(), Vec::new());
    for findings in found.chunks(FINDINGS_TOGETHER) {
        let into = if keep(shared, findings) { &mut kept } else { &mut owed };
        into.extend_from_slice(findings);
    }
    remember(shared, &kept);
    (kept, owed)
}

/// The way is over: what a frame waited, its events waited.
fn wait(shared: &Shared, received: Timestamp, events: usize) {
    let waited = now().0.saturating_sub(received.0).max(0) as f64;
    let mut waits = shared.waits.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..events.min(EVENTS_SAMPLED_MAX) {
        waits.push(waited);
    }
}

/// Maps a batch; a fault of the mapping itself costs this batch, not the mesh.
fn map(shared: &Shared, batch: &RawBatch) -> Mapped {
    if let Some(rejects) = records::refused(batch) {
        return Mapped { rejects, ..Mapped::default() };
    }
    catch_unwind(AssertUnwindSafe(|| shared.mapping.map(batch)))
        .unwrap_or_else(|_| all_rejected(batch, "the mapping failed on this batch: please report it with the record"))
}

fn all_rejected(batch: &RawBatch, message: &str) -> Mapped {
    let reject = |record: &RawRecord| Reject {
        id: record.id,
        source: batch.source.clone(),
        stream: batch.stream.clone(),
        context: batch.context.clone(),
        cause: RejectCause::Invalid,
        message: message.to_owned(),
        raw: record.bytes.clone(),
    };
    Mapped { rejects: batch.records.iter().map(reject).collect(), ..Mapped::default() }
}

fn publish_as_rejects(shared: &Shared, logged: Logged, conflict: &str) {
    let rejects = all_rejected(logged.batch(), &format!("the events do not fit their table: {conflict}"));
    if let Err(PublishError { table, conflict, .. }) = shared.lake.publish(logged, rejects) {
        tracing::error!(table, %conflict, "rejects cannot be kept; the frame stays in the log");
    }
}

/// To whoever watches; costs nothing when nobody does.
fn show(shared: &Shared, batch: &RawBatch, mapped: &Mapped) {
    if shared.tail.receiver_count() == 0 {
        return;
    }
    for events in &mapped.batches {
        for row in 0..events.rows.num_rows() {
            let event = TailEvent { received_ms: batch.received.0, event: Arc::new(row_to_json(&events.rows, row)) };
            if shared.tail.send(event).is_err() {
                return;
            }
        }
    }
}

fn observe(shared: &Shared, mapped: &Mapped) -> Vec<Finding> {
    // Our own events are always of the present: they say nothing about the time of what comes in. Nor
    // do they name an indicator of themselves: a sighting would be seen in its own finding.
    let of_others = |events: &&EventBatch| &*events.source.0 != OWN_SOURCE;
    mapped.batches.iter().filter(of_others).for_each(|events| shared.time.see(events, now()));
    let intel = shared.intel.load();
    let mut found: Vec<Finding> = mapped.batches.iter().filter(of_others).flat_map(|events| match_batch(&intel, events, now())).collect();
    let mut detectors = shared.detectors.lock().unwrap_or_else(PoisonError::into_inner);
    for detector in detectors.iter_mut() {
        for events in &mapped.batches {
            let reads = detector.reads();
            if reads.is_empty() || reads.contains(&events.class) {
                found.extend(detector.observe(events));
            }
        }
    }
    found
}

/// Findings become events by the ordinary way: log, map, publish; together, for one sync. False when
/// they could not.
fn keep(shared: &Arc<Shared>, findings: &[Finding]) -> bool {
    let events = findings.iter().map(|finding| (Some(finding.event_uid()), finding.to_json()));
    match shared.lake.log().append_blocking(batch_of(events), true) {
        Ok(appended) => {
            if let Some(logged) = appended.logged {
                shared.found.fetch_add(logged.batch().records.len() as u64, Ordering::Relaxed);
                publish_frame(shared, logged, Some(findings));
            }
        }
        Err(error) => {
            tracing::error!(%error, findings = findings.len(), "findings could not be kept; their events stay in the log until they can");
            return false;
        }
    }
    true
}

/// Another event of our own goes the same way. False when it could not.
pub(crate) fn keep_event(shared: &Arc<Shared>, event: &Value) -> bool {
    match shared.lake.log().append_blocking(own_batch(std::slice::from_ref(event)), true) {
        Ok(appended) => {
            if let Some(logged) = appended.logged {
                publish_frame(shared, logged, Some(&[]));
            }
            true
        }
        Err(error) => {
            tracing::error!(%error, "an event of the mesh could not be kept; it is tried again");
            false
        }
    }
}

/// Events of our own as raw records; the same event has the same id, so that it is kept once.
pub(crate) fn own_batch(events: &[Value]) -> RawBatch {
    batch_of(events.iter().map(|event| (event.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned), event.to_string())))
}

/// Events, each with its uid where it has one, as text.
fn batch_of(events: impl Iterator<Item = (Option<String>, String)>) -> RawBatch {
    let stream = StreamId::from(OWN_STREAM);
    let record = |(uid, text): (Option<String>, String)| {
        let bytes = Bytes::from(text);
        let id = uid.map_or_else(|| RecordId::of(&stream, b"", &bytes), |uid| RecordId::of(&stream, b"uid", uid.as_bytes()));
        RawRecord { id, bytes }
    };
    let records = events.map(record).collect();
    RawBatch { source: OWN_SOURCE.into(), stream: stream.clone(), context: Context::default(), next: Position::default(), received: now(), records }
}
