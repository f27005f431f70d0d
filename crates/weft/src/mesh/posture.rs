//! The posture checks on their schedule, findings without a run, and metrics, as the loop
//! page shows them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use weft_assessment::metric::Origin;
use weft_assessment::{Measured, Metric, Samples};
use weft_console::api::{self, LoopItem, PostureCheck};
use weft_model::{Finding, Timestamp, TraceId};
use weft_policy::{Check, Status, Subject};

use crate::respond::finding_view;

/// Findings that are remembered for the page; all are in the lake.
const FINDINGS_MAX: usize = 100;

/// Last outcomes and latest findings.
#[derive(Default)]
pub struct PostureBoard {
    checks: Mutex<BTreeMap<String, PostureCheck>>,
    findings: Mutex<VecDeque<LoopItem>>,
}

impl PostureBoard {
    /// Applies every check to every subject and gives the events to keep.
    pub fn run(&self, checks: &[Check], subjects: &[Subject], at: Timestamp) -> Vec<Value> {
        let mut events = Vec::new();
        let mut board = BTreeMap::new();
        for check in checks {
            let outcomes: Vec<_> = subjects.iter().filter_map(|subject| check.evaluate(subject)).collect();
            if outcomes.is_empty() {
                let observed = format!("no `{}` was found here to look at", check.subject);
                board.insert(
                    check.id.clone(),
                    PostureCheck { id: check.id.clone(), title: check.title.clone(), pass: None, observed, time: at.0, trace_id: None },
                );
            }
            for outcome in outcomes {
                let pass = match outcome.status {
                    Status::Unknown => None,
                    Status::Pass => Some(true),
                    Status::Fail => Some(false),
                };
                let trace = TraceId::of(&outcome.uid());
                let shown = PostureCheck {
                    id: check.id.clone(),
                    title: check.title.clone(),
                    pass,
                    observed: outcome.details.join("; "),
                    time: at.0,
                    trace_id: Some(trace.as_str().to_owned()),
                };
                board.insert(format!("{}/{}", check.id, outcome.subject.uid), shown);
                events.push(outcome.to_ocsf(at));
            }
        }
        *self.checks.lock().unwrap_or_else(PoisonError::into_inner) = board;
        events
    }

    /// Last outcomes.
    pub fn checks(&self) -> Vec<PostureCheck> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Remembers a finding for the page.
    pub fn found(&self, finding: &Finding) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.iter().any(|known| known.finding.uid == finding.uid) {
            return;
        }
        findings.push_front(LoopItem { trace_id: finding.trace().as_str().to_owned(), finding: finding_view(finding), decision: None, plan: None, run: None });
        findings.truncate(FINDINGS_MAX);
    }

    /// Latest findings, latest first.
    pub fn recent_findings(&self) -> Vec<LoopItem> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The metrics of the page.
    pub fn metrics(&self, metrics: &[Metric], samples: &Samples) -> Vec<api::Metric> {
        metrics.iter().filter(|metric| metric.source == Origin::Samples).map(|metric| metric_view(&metric.measure(samples))).collect()
    }
}

fn metric_view(measured: &Measured<'_>) -> api::Metric {
    let metric = measured.metric;
    let wanted = metric.target.map_or(1.0, |target| target.quantile);
    let value = measured.quantiles.iter().find(|(quantile, _)| *quantile == wanted).or(measured.quantiles.last()).map(|(_, value)| *value);
    let told: Vec<String> = measured.quantiles.iter().map(|(quantile, value)| format!("p{} {value} {}", quantile * 100.0, metric.unit)).collect();
    let bound = |target: weft_assessment::metric::Target| match (target.at_most, target.at_least) {
        (Some(most), _) => format!("p{} at most {most} {}", target.quantile * 100.0, metric.unit),
        (None, Some(least)) => format!("p{} at least {least} {}", target.quantile * 100.0, metric.unit),
        (None, None) => String::new(),
    };
    api::Metric {
        name: metric.title.clone(),
        value,
        unit: metric.unit.clone(),
        target: metric.target.map(bound),
        detail: if measured.count == 0 {
            "no event has come yet".to_owned()
        } else {
            format!("{} over the newest {} events. {}", told.join(", "), measured.count, metric.definition)
        },
        trace_id: (measured.count > 0).then(|| metric_trace(metric).as_str().to_owned()),
    }
}

/// One trace for each metric: its measurements belong together.
pub fn metric_trace(metric: &Metric) -> TraceId {
    TraceId::of(&format!("metric {}", metric.name))
}
