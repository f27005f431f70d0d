//! Quantiles, bounds, and the event that a measurement becomes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::float_cmp, missing_docs)]

use weft_assessment::{Metric, Samples};
use weft_model::{Timestamp, TraceId};

const TEXT: &str = include_str!("../../../../content/metrics/event-to-console.toml");

fn samples(values: impl IntoIterator<Item = f64>) -> Samples {
    let mut samples = Samples::new(1_000);
    values.into_iter().for_each(|value| assert!(samples.push(value)));
    samples
}

#[test]
fn quantiles_are_values_that_occurred() {
    let metric = Metric::parse("m.toml", TEXT).unwrap();
    let measured = metric.measure(&samples((1..=100).rev().map(f64::from)));
    assert_eq!(measured.quantiles, [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0)]);
    assert_eq!((measured.met, measured.range, measured.count), (Some(true), Some((1.0, 100.0)), 100));
    assert_eq!(metric.measure(&samples([7.0])).quantiles, [(0.5, 7.0), (0.95, 7.0), (0.99, 7.0)]);
    assert_eq!(metric.measure(&samples([7.0, 2_000.0])).met, Some(false));
    let none = metric.measure(&samples([]));
    assert!(none.quantiles.is_empty() && none.met.is_none());
}

#[test]
fn samples_are_bounded_and_numbers() {
    let mut samples = Samples::new(2);
    assert!(!samples.push(f64::NAN));
    for value in [1.0, 2.0, 3.0] {
        samples.push(value);
    }
    assert_eq!((samples.len(), samples.displaced), (2, 1));
    assert_eq!(Metric::parse("m.toml", TEXT).unwrap().measure(&samples).range, Some((2.0, 3.0)));
}

#[test]
fn a_measurement_is_an_event_of_its_trace() {
    let metric = Metric::parse("m.toml", TEXT).unwrap();
    let event = metric.measure(&samples([120.0, 2_000.0])).to_ocsf(&TraceId::of("t"), Timestamp(5));
    assert_eq!(event["metadata"]["correlation_uid"], TraceId::of("t").as_str());
    assert_eq!((&event["class_uid"], &event["severity_id"], &event["unmapped"]["metric"]["count"]), (&0.into(), &2.into(), &2.into()));
    assert!(event["message"].as_str().unwrap().starts_with("Time from event to console: p50 120 ms"), "{}", event["message"]);
}

#[test]
fn faults() {
    let fault = |from: &str, to: &str| Metric::parse("m.toml", &TEXT.replace(from, to)).unwrap_err().to_string();
    assert!(fault("0.99]", "99]").contains("must lie between 0 and 1"));
    assert!(fault("\"samples\"", "\"lake\"").contains("`sql` is missing"));
    assert!(fault("operational", "vanity").contains("m.toml: "));
}
