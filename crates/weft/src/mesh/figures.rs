//! Figures for monitoring, in Prometheus' text format.

use std::fmt::Write as _;

use weft_console::api::FeedView;

use super::{Mesh, ledger};
use crate::pipeline::Remembered;

/// All of them.
pub(super) async fn text(mesh: &Mesh) -> String {
    let mut text = ledger::metrics(&mesh.pipeline.lake().ledger(), mesh.queue.waiting_bytes(), mesh.pipeline.lake().tail_bytes());
    let pipeline = mesh.pipeline.clone();
    // The detectors may be at work: whoever asks waits, and no event does.
    if let Ok(remembered) = tokio::task::spawn_blocking(move || pipeline.remembered()).await {
        text.push_str(&analytics(&remembered, mesh.pipeline.findings_found()));
    }
    let size = mesh.pipeline.intel().load().size();
    text.push_str(&intelligence(&mesh.feeds.all(), size.exact, size.networks));
    text
}

/// What detection, correlation, incidents and risk remember, and what bounds of that cost.
fn analytics(remembered: &Remembered, findings: u64) -> String {
    let detectors = &remembered.detectors;
    let mut text = String::new();
    family(&mut text, "weft_findings_total", "counter", "Findings since the start.", &[("", findings)]);
    family(
        &mut text,
        "weft_evicted_total",
        "counter",
        "What was forgotten because there was no room: groups, events, values and entities of correlations and baselines; findings of incidents and risks.",
        &[("of=\"detection\"", detectors.evicted), ("of=\"incidents\"", remembered.incidents_evicted), ("of=\"risk\"", remembered.risk_evicted)],
    );
    family(&mut text, "weft_late_events_total", "counter", "Events that came when their time was over.", &[("", detectors.late)]);
    family(
        &mut text,
        "weft_remembered",
        "gauge",
        "What correlations and baselines hold.",
        &[("what=\"groups\"", detectors.groups), ("what=\"events\"", detectors.events), ("what=\"entities\"", detectors.entities)],
    );
    family(&mut text, "weft_rules_suspended", "gauge", "Rules that were set aside because they are too slow.", &[("", detectors.suspended.len() as u64)]);
    text
}

/// What is matched, and how feeds are doing.
fn intelligence(feeds: &[FeedView], exact: usize, networks: usize) -> String {
    let mut text = String::new();
    family(&mut text, "weft_indicators", "gauge", "Indicators that are matched.", &[("kind=\"exact\"", exact as u64), ("kind=\"network\"", networks as u64)]);
    // Names of feeds are letters, digits, `-`, `_` and `.`: nothing to quote.
    let each = |value: &dyn Fn(&FeedView) -> u64| feeds.iter().map(|feed| (format!("feed=\"{}\"", feed.name), value(feed))).collect::<Vec<_>>();
    let seconds = |feed: &FeedView| feed.success_ms.map_or(0, |ms| ms.unsigned_abs() / 1000);
    for (name, help, values) in [
        ("weft_feed_success_seconds", "When a feed was fetched last with success, epoch seconds; 0 for never.", each(&seconds)),
        ("weft_feed_faults", "Failed looks at a feed in a row.", each(&|feed| u64::from(feed.faults))),
    ] {
        let values: Vec<(&str, u64)> = values.iter().map(|(labels, value)| (labels.as_str(), *value)).collect();
        if !values.is_empty() {
            family(&mut text, name, "gauge", help, &values);
        }
    }
    text
}

fn family(text: &mut String, name: &str, kind: &str, help: &str, values: &[(&str, u64)]) {
    // Writing to a text cannot fail.
    let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in values {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _infallible = writeln!(text, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use weft_model::DetectorReport;

    use super::*;

    #[test]
    fn what_bounds_cost_is_told() {
        let detectors = DetectorReport { suspended: vec!["r".to_owned()], evicted: 3, late: 4, groups: 5, events: 6, entities: 7 };
        let text = analytics(&Remembered { detectors, incidents_evicted: 8, risk_evicted: 9 }, 10);
        for line in
            ["weft_evicted_total{of=\"detection\"} 3", "weft_evicted_total{of=\"risk\"} 9", "weft_late_events_total 4", "weft_remembered{what=\"entities\"} 7"]
        {
            assert!(text.lines().any(|known| known == line), "{line}:\n{text}");
        }
        assert!(text.contains("weft_rules_suspended 1") && text.contains("weft_findings_total 10"));
    }

    #[test]
    fn feeds_are_figures_too() {
        let feed = FeedView {
            name: "cti".to_owned(),
            from: "x".to_owned(),
            every_ms: 1,
            success_ms: Some(5_000),
            changed_ms: None,
            next_ms: None,
            faults: 2,
            error: None,
            remarks: Vec::new(),
        };
        let text = intelligence(&[feed], 1, 2);
        assert!(text.contains("weft_feed_success_seconds{feed=\"cti\"} 5") && text.contains("weft_feed_faults{feed=\"cti\"} 2"), "{text}");
        assert!(!intelligence(&[], 1, 2).contains("weft_feed"), "no family without a value");
    }
}
