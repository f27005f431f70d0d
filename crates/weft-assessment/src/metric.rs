//! A metric is a file: what it means, in which unit, and what is good.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weft_model::{Timestamp, TraceId};

/// The five families of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// What is seen at all.
    Visibility,
    /// What is found, and how soon.
    Detection,
    /// What is done, and how soon.
    Response,
    /// How the mesh itself fares.
    Operational,
    /// How things stand.
    Posture,
}

/// A metric as its file says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Stable name.
    pub name: String,
    /// For a person.
    pub title: String,
    /// Family.
    pub family: Family,
    /// Unit of the values.
    pub unit: String,
    /// What exactly is measured.
    pub definition: String,
    /// Why it matters.
    pub why: String,
    /// Which direction is good.
    pub better: Better,
    /// Quantiles that are told, each between 0 and 1.
    #[serde(default)]
    pub quantiles: Vec<f64>,
    /// What is good enough.
    pub target: Option<Target>,
    /// Where the values come from.
    pub source: Origin,
    /// The query, where they come from the lake.
    pub sql: Option<String>,
}

/// Direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Small values are good.
    Lower,
    /// Large values are good.
    Higher,
}

/// Where the values of a metric come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Taken while the mesh runs.
    Samples,
    /// Asked from the lake.
    Lake,
}

/// What is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Quantile that must meet it.
    pub quantile: f64,
    /// Bound from above.
    pub at_most: Option<f64>,
    /// Bound from below.
    pub at_least: Option<f64>,
}

/// What is wrong with a metric's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct MetricFault {
    /// File.
    pub file: String,
    /// For a person.
    pub reason: String,
}

/// The newest samples, at most so many.
#[derive(Debug, Clone)]
pub struct Samples {
    newest: VecDeque<f64>,
    room: usize,
    /// Samples that made room for newer ones.
    pub displaced: u64,
}

/// A metric over a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured<'m> {
    /// The metric.
    pub metric: &'m Metric,
    /// How many samples.
    pub count: usize,
    /// Quantile and value; empty without samples.
    pub quantiles: Vec<(f64, f64)>,
    /// Smallest and largest value.
    pub range: Option<(f64, f64)>,
    /// Whether the target is met; none without target or samples.
    pub met: Option<bool>,
}

impl Metric {
    /// Reads a metric.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, MetricFault> {
        let fault = |reason: String| MetricFault { file: file.to_owned(), reason };
        let metric: Self = toml::from_str(text).map_err(|error| fault(error.to_string().trim_end().to_owned()))?;
        let asked = metric.quantiles.iter().copied().chain(metric.target.map(|target| target.quantile));
        if let Some(wrong) = asked.into_iter().find(|quantile| !(0.0..=1.0).contains(quantile)) {
            return Err(fault(format!("the quantile `{wrong}` must lie between 0 and 1")));
        }
        if metric.source == Origin::Lake && metric.sql.is_none() {
            return Err(fault("`sql` is missing; a metric of the lake needs a query".to_owned()));
        }
        Ok(metric)
    }

    /// Computes it from samples.
    pub fn measure(&self, samples: &Samples) -> Measured<'_> {
        let mut sorted: Vec<f64> = samples.newest.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let quantiles = self.quantiles.iter().filter_map(|quantile| Some((*quantile, nearest_rank(&sorted, *quantile)?))).collect();
        let range = sorted.first().copied().zip(sorted.last().copied());
        let met = self.target.and_then(|target| {
            let value = nearest_rank(&sorted, target.quantile)?;
            Some(target.at_most.is_none_or(|bound| value <= bound) && target.at_least.is_none_or(|bound| value >= bound))
        });
        Measured { metric: self, count: sorted.len(), quantiles, range, met }
    }
}

impl Samples {
    /// Room for so many samples.
    pub fn new(room: usize) -> Self {
        Self { newest: VecDeque::new(), room: room.max(1), displaced: 0 }
    }

    /// Takes a sample; what is no number is refused.
    pub fn push(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        if self.newest.len() == self.room {
            self.newest.pop_front();
            self.displaced = self.displaced.saturating_add(1);
        }
        self.newest.push_back(value);
        true
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }
}

/// A value that occurred, never one in between.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn nearest_rank(sorted: &[f64], quantile: f64) -> Option<f64> {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

impl Measured<'_> {
    /// The measurement as an OCSF base event (class 0).
    ///
    /// OCSF 1.8 has no class for measurements: 6008 Application Error and 6007 Scan Activity say
    /// something else, so the base event carries it, with the values in `unmapped.metric`.
    pub fn to_ocsf(&self, trace: &TraceId, now: Timestamp) -> Value {
        let metric = self.metric;
        let told = |(quantile, value): &(f64, f64)| format!("p{} {value} {}", quantile * 100.0, metric.unit);
        let summary = if self.count == 0 { "no samples".to_owned() } else { self.quantiles.iter().map(told).collect::<Vec<_>>().join(", ") };
        json!({
            "activity_id": 99, "activity_name": "Measure", "category_uid": 0, "class_uid": 0, "type_uid": 99,
            "severity_id": if self.met == Some(false) { 2 } else { 1 }, "time": now.0, "message": format!("{}: {summary}", metric.title),
            "metadata": {
                "version": "1.8.0", "uid": TraceId::of(&format!("{}{}", metric.name, now.0)).as_str(), "correlation_uid": trace.as_str(),
                "product": {"name": "Weft", "vendor_name": "Weft"},
            },
            "unmapped": {"metric": {
                "name": metric.name, "family": metric.family, "unit": metric.unit, "count": self.count, "target_met": self.met,
                "min": self.range.map(|range| range.0), "max": self.range.map(|range| range.1),
                "quantiles": self.quantiles.iter().map(|(quantile, value)| json!({"quantile": quantile, "value": value})).collect::<Vec<_>>(),
            }},
        })
    }
}
