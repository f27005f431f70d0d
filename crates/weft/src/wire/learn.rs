//! What is usual, learned from the lake before the first event comes in.

use std::collections::BTreeMap;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use weft_analytics::Engine;
use weft_lake::Lake;
use weft_lake::past::Sieve;
use weft_model::{ClassUid, Detector as _, Timestamp, ocsf};

use super::stand::LoopContent;
use crate::cli::Fault;
use crate::geo;
use crate::home::Home;
use crate::hunting::RuleSieve;

/// Events that are looked through at a start; of more, the newest days.
const EVENTS_MAX: u64 = 20_000_000;

/// Shows the days that matter to analytics without a history.
pub(super) async fn from_lake(lake: &Lake, home: &Home, rules: &mut Engine, content: &LoopContent) -> Result<(), Fault> {
    let Some((ids, look_back_ms)) = rules.unlearned() else { return Ok(()) };
    let begun = std::time::Instant::now();
    let (mut learner, _) = weft_analytics::compile_with(&content.behaviours, &content.hunts.fields, &content.hunts.pipelines);
    geo::give_places(&mut learner, home)?;
    let days = days(lake, &RuleSieve::new(&mut learner, None), look_back_ms);
    if days.is_empty() {
        return Ok(());
    }
    let mut events = 0;
    for day in &days {
        let (since, until) = (Timestamp(*day), Timestamp(day.saturating_add(Timestamp::DAY_MS)));
        // What is found in the past is not told.
        events += lake.sift(since, until, &mut RuleSieve::new(&mut learner, None)).await.map_err(Fault::failed)?.events;
        // In order of time, day by day: what waits to be judged stays small.
        drop(learner.advance(until));
    }
    rules.adopt(learner);
    tracing::info!(events, days = days.len(), analytics = ids.len(), seconds = begun.elapsed().as_secs_f64(), "learned from the lake what is usual");
    Ok(())
}

/// The beginnings of the days that are shown, oldest first, in milliseconds: of each class that is read as
/// far back from its newest event as the longest analytic looks, and a day before, so that the history is full.
/// Classes go by themselves, because an import is of another time than what the mesh tells of itself.
fn days(lake: &Lake, learner: &RuleSieve<'_>, look_back_ms: i64) -> Vec<i64> {
    let of_class = |table: &str| ocsf::schema().class_by_name(table).map(|class| ClassUid(class.uid));
    let mut tables: BTreeMap<String, BTreeMap<i64, u64>> = BTreeMap::new();
    for day in lake.stored() {
        let matters = of_class(&day.table).is_some_and(|class| !learner.columns(class).is_empty());
        if let (true, Ok(nanos)) = (matters, string_to_timestamp_nanos(&day.day)) {
            tables.entry(day.table).or_default().insert(nanos / 1_000_000, day.rows);
        }
    }
    let mut rows: BTreeMap<i64, u64> = BTreeMap::new();
    for days in tables.values() {
        let oldest = days.last_key_value().map_or(0, |(newest, _)| newest.saturating_sub(look_back_ms + Timestamp::DAY_MS));
        days.range(oldest..).for_each(|(day, count)| *rows.entry(*day).or_default() += count);
    }
    let mut left = EVENTS_MAX;
    let fits = |(_, rows): &(&i64, &u64)| {
        let fits = left > 0;
        left = left.saturating_sub(**rows);
        fits
    };
    let mut days: Vec<i64> = rows.iter().rev().take_while(fits).map(|(day, _)| *day).collect();
    days.reverse();
    days
}
