//! What is usual, learned from the lake before the first event comes in.

use std::collections::BTreeMap;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use weft_analytics::Engine;
use weft_lake::past::Sieve;
use weft_lake::{Lake, holds_events};
use weft_model::{ClassUid, Detector as _, EventBatch, Timestamp};

use super::stand::LoopContent;
use crate::cli::Fault;
use crate::geo;
use crate::home::Home;

/// Events that are looked through at a start; of more, the newest days.
const EVENTS_MAX: u64 = 20_000_000;

/// Shows the days that matter to analytics without a history.
pub(super) async fn from_lake(lake: &Lake, home: &Home, rules: &mut Engine, content: &LoopContent) -> Result<(), Fault> {
    let Some((ids, look_back_ms)) = rules.unlearned() else { return Ok(()) };
    let days = days(lake, look_back_ms);
    if days.is_empty() {
        return Ok(());
    }
    let begun = std::time::Instant::now();
    let (mut learner, _) = weft_analytics::compile_with(&content.behaviours, &content.hunts.fields, &content.hunts.pipelines);
    geo::equip(&mut learner, home)?;
    let mut events = 0;
    for day in &days {
        let (since, until) = (Timestamp(*day), Timestamp(day.saturating_add(Timestamp::DAY_MS)));
        events += lake.sift(since, until, &mut Pupil(&mut learner)).await.map_err(Fault::failed)?.events;
        // In order of time, day by day: what waits to be judged stays small.
        learner.learned(until);
    }
    rules.adopt(learner);
    tracing::info!(events, days = days.len(), analytics = ids.len(), seconds = begun.elapsed().as_secs_f64(), "learned from the lake what is usual");
    Ok(())
}

/// The beginnings of the days that are shown, oldest first, in milliseconds: as far back as the longest
/// analytic looks, and a day before, so that its history is full.
fn days(lake: &Lake, look_back_ms: i64) -> Vec<i64> {
    let mut rows: BTreeMap<i64, u64> = BTreeMap::new();
    for day in lake.stored().into_iter().filter(|day| holds_events(&day.table)) {
        if let Ok(nanos) = string_to_timestamp_nanos(&day.day) {
            *rows.entry(nanos / 1_000_000).or_default() += day.rows;
        }
    }
    let Some((newest, _)) = rows.last_key_value() else { return Vec::new() };
    let oldest = newest.saturating_sub(look_back_ms + Timestamp::DAY_MS);
    let mut left = EVENTS_MAX;
    let fits = |(_, rows): &(&i64, &u64)| {
        let fits = left > 0;
        left = left.saturating_sub(**rows);
        fits
    };
    let mut days: Vec<i64> = rows.range(oldest..).rev().take_while(fits).map(|(day, _)| *day).collect();
    days.reverse();
    days
}

/// An engine that is shown the past.
struct Pupil<'e>(&'e mut Engine);

impl Sieve for Pupil<'_> {
    fn columns(&self, class: ClassUid) -> Vec<String> {
        let reads = self.0.reads();
        if reads.is_empty() || reads.contains(&class) { self.0.columns(class).into_iter().collect() } else { Vec::new() }
    }

    fn rows(&mut self, batch: &EventBatch) -> Vec<usize> {
        self.0.rows(batch)
    }

    fn take(&mut self, batch: EventBatch) {
        self.0.learn(&batch);
    }
}
