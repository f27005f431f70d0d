//! Entitlements: single decisions, everybody who can, and escalation, on accounts of random policies.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_connectors::entitlement::sample::{QUESTIONS, account};
use weft_connectors::entitlement::snapshot::Collector;
use weft_connectors::entitlement::{RULES, actions};
use weft_identity::entitlement::escalation::Explorer;
use weft_identity::entitlement::{Catalogue, Estate, Provider, Rules};

use super::Figures;
use crate::cli::Fault;

/// Principals of the account that single questions are about.
const ASKED: usize = 500;
/// Decisions of each question.
const DECISIONS: usize = 200_000;
/// Rounds over everybody of each question.
const ROUNDS: usize = 200;

/// Measures; processor time of one thread, where the system tells it.
pub(super) fn figures() -> Result<Figures, Fault> {
    let provider =
        Provider { catalogue: Arc::new(Catalogue::new(actions())), rules: Arc::new(Rules::read(RULES).map_err(Fault::failed)?), ..Provider::default() };
    let mut figures = questions(&estate(ASKED, &provider));
    for (principals, begun, found) in [
        (ASKED, "escalations, 500 principals", "paths, 500 principals"),
        (1_000, "escalations, 1,000 principals", "paths, 1,000 principals"),
        (10_000, "escalations, 10,000 principals", "paths, 10,000 principals"),
    ] {
        let estate = estate(principals, &provider);
        let (spent, paths) = spent(|| Explorer::new(&estate).all().count());
        figures.extend([(begun, spent.as_secs_f64(), "s"), (found, paths as f64, "")]);
    }
    Ok(figures)
}

fn estate(principals: usize, provider: &Provider) -> Estate {
    let mut collector = Collector::default();
    collector.add("sample", &account(principals));
    Estate::new(collector.finish(), provider.clone())
}

fn questions(estate: &Estate) -> Figures {
    let names: Vec<String> = estate.principals().map(str::to_owned).collect();
    let (mut one, mut all) = (Duration::ZERO, Duration::ZERO);
    for (action, resource) in QUESTIONS {
        one += spent(|| names.iter().cycle().take(DECISIONS).filter(|name| black_box(estate.can(name, action, resource, &[])).is_some()).count()).0;
        all += spent(|| (0..ROUNDS).map(|_| black_box(estate.who_can(action, resource, &[]).count())).sum::<usize>()).0;
    }
    let each = |total: Duration, count: usize| total.as_secs_f64() / (count * QUESTIONS.len()) as f64;
    vec![("one decision with its statements", each(one, DECISIONS) * 1e6, "us"), ("who can, among 500 principals", each(all, ROUNDS) * 1e3, "ms")]
}

fn spent<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let (begun, busy) = (Instant::now(), busy());
    let done = work();
    let spent = busy.zip(self::busy()).map(|(from, to)| to.saturating_sub(from));
    (spent.unwrap_or_else(|| begun.elapsed()), done)
}

/// How long this thread has been on a processor (proc(5), `schedstat`).
fn busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}
