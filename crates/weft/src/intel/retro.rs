//! New indicators against the past: the lake knows which files to open, analytics what matches.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use weft_analytics::intel::matching::{COLUMNS, Seen, Sightings, View};
use weft_analytics::intel::{Intel, keys as numbers};
use weft_lake::past::Keys;
use weft_model::event::{column, text};
use weft_model::{EventBatch, Finding, Timestamp};

/// What the mesh calls itself in its own events.
const OWN_PRODUCT: &str = "Weft";

struct Numbers(Vec<&'static str>);

impl Keys for Numbers {
    fn form(&self) -> &str {
        numbers::FORM
    }

    fn columns(&self) -> &[&str] {
        &self.0
    }

    fn of(&self, batch: &EventBatch) -> Vec<u64> {
        numbers::of_batch(batch)
    }
}

/// How the lake indexes observables.
pub fn keys() -> Arc<dyn Keys> {
    let own = ["metadata.product.name"];
    Arc::new(Numbers(COLUMNS.into_iter().chain(own).collect()))
}

/// One look at the past.
pub struct Retro {
    intel: Intel,
    sightings: Sightings,
    now: Timestamp,
}

impl Retro {
    /// For these indicators.
    pub fn new(intel: Intel, now: Timestamp) -> Self {
        Self { intel, sightings: Sightings::new(View::Past), now }
    }

    /// Looks at events of the past; those of our own are left out: a finding names what it found, and
    /// would be found for it.
    pub fn look(&mut self, batch: &EventBatch) {
        let products = column(&batch.rows, "metadata.product.name");
        let of_tools = |row: usize| products.as_ref().and_then(|products| text(products, row)) != Some(OWN_PRODUCT);
        let keep: BooleanArray = (0..batch.rows.num_rows()).map(|row| Some(of_tools(row))).collect();
        let Ok(rows) = filter_record_batch(&batch.rows, &keep) else { return };
        if rows.num_rows() > 0 {
            self.sightings.look(&self.intel, &EventBatch { class: batch.class, source: batch.source.clone(), rows }, self.now);
        }
    }

    /// What was found, one finding an indicator.
    pub fn findings(&self) -> Vec<Finding> {
        self.sightings.findings(&self.intel)
    }

    /// What was found, in figures.
    pub fn seen(&self) -> Vec<Seen<'_>> {
        self.sightings.seen()
    }
}
