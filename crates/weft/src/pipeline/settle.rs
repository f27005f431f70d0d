//! Time for detectors: the watermark, and the findings that only time makes.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use weft_model::{EventBatch, Finding, Timestamp};

use super::{Pipeline, Shared, sums, work};
use crate::door::now;

/// How often time is told.
const EVERY: Duration = Duration::from_secs(1);
/// Events that are newer than this are of the present: the watermark then goes with the clock.
const PRESENT_MS: i64 = 10 * 60_000;
/// Events further ahead of the clock than this say nothing about the time.
const AHEAD_MS: i64 = 5 * 60_000;

/// What is known of event time.
pub(crate) struct EventTime {
    newest: AtomicI64,
    present: AtomicBool,
    lateness_ms: i64,
    /// Findings that could not be kept; they are tried again.
    owed: Mutex<Vec<Finding>>,
}

impl EventTime {
    pub(crate) fn new(lateness: Duration) -> Self {
        let lateness_ms = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
        Self { newest: AtomicI64::new(i64::MIN), present: AtomicBool::new(false), lateness_ms, owed: Mutex::default() }
    }

    /// Events came.
    pub(crate) fn see(&self, events: &EventBatch, now: Timestamp) {
        let Some(newest) = events.newest().filter(|newest| newest.0 <= now.0.saturating_add(AHEAD_MS)) else { return };
        self.newest.fetch_max(newest.0, Ordering::Relaxed);
        if newest.0 >= now.0.saturating_sub(PRESENT_MS) {
            self.present.store(true, Ordering::Relaxed);
        }
    }

    /// What is older is late: behind the clock once events of the present came, else behind the
    /// newest event.
    fn watermark(&self, now: Timestamp) -> Option<Timestamp> {
        let newest = self.newest.load(Ordering::Relaxed);
        let time = if self.present.load(Ordering::Relaxed) { now.0 } else { newest };
        (newest != i64::MIN).then(|| Timestamp(time.saturating_sub(self.lateness_ms)))
    }
}

impl Pipeline {
    /// Tells detectors the time until told to stop.
    pub async fn settle_regularly(self) {
        while !self.shared.stopping.load(Ordering::Acquire) {
            tokio::time::sleep(EVERY).await;
            self.settle().await;
        }
    }

    /// Tells detectors the time now, and keeps what they find.
    pub async fn settle(&self) {
        self.settle_with(false).await;
    }

    /// The same when nothing comes any more.
    pub async fn conclude(&self) {
        self.settle_with(true).await;
    }

    async fn settle_with(&self, last: bool) {
        let shared = Arc::clone(&self.shared);
        if let Err(error) = tokio::task::spawn_blocking(move || settle(&shared, now(), last)).await {
            tracing::error!(%error, "detectors could not be told the time");
        }
    }
}

fn settle(shared: &Arc<Shared>, now: Timestamp, last: bool) {
    let Some(watermark) = shared.time.watermark(now) else { return };
    let kept = {
        // What detectors remember is not saved between the moment that they tell and that it is kept.
        let _in_hand = shared.still.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Finding> = std::mem::take(&mut shared.time.owed.lock().unwrap_or_else(PoisonError::into_inner));
        for detector in shared.detectors.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            found.extend(detector.advance(watermark));
        }
        let (kept, owed) = work::keep_all(shared, found);
        shared.time.owed.lock().unwrap_or_else(PoisonError::into_inner).extend(owed);
        sums::settle(shared, watermark, now, last);
        kept
    };
    for finding in kept {
        // A full channel makes time wait: a finding is never dropped.
        if shared.findings.blocking_send(finding).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow::record_batch::RecordBatch;
    use weft_model::ClassUid;

    use super::*;

    fn at(time: i64) -> EventBatch {
        let schema = Schema::new(vec![Field::new("time", DataType::Int64, true)]);
        let rows = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(vec![time]))]).unwrap();
        EventBatch { class: ClassUid(1), source: "s".into(), rows }
    }

    #[test]
    fn the_watermark_goes_with_the_clock_once_the_present_is_seen() {
        let (time, now) = (EventTime::new(Duration::from_secs(120)), Timestamp(1_000_000_000));
        assert_eq!(time.watermark(now), None);
        time.see(&at(500_000), now);
        assert_eq!(time.watermark(now), Some(Timestamp(380_000)), "of the past");
        time.see(&at(9_000_000_000), now);
        assert_eq!(time.watermark(now), Some(Timestamp(380_000)), "a clock that is wrong moves nothing");
        time.see(&at(999_999_000), now);
        assert_eq!(time.watermark(Timestamp(1_000_060_000)), Some(Timestamp(999_940_000)));
    }
}
