//! Ten million indicators: how large, how fast, how they take each other's place.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use weft_analytics::Engine;
use weft_analytics::intel::{Build, Facts, Held, Intel, Kind, Value, match_batch};
use weft_ingest::{Mapper, Registry};
use weft_model::{Detector as _, Mapping as _, RawBatch};

use super::Figures;
use crate::door::now;

/// Indicators that are made.
const INDICATORS: u64 = 10_000_000;
/// Values that are looked up.
const LOOKUPS: u64 = 2_000_000;
/// How long the stream is measured, each way.
const STREAM: Duration = Duration::from_secs(6);
/// How often the ways of the stream take turns, so that both see the same machine.
const TURNS: u32 = 3;

/// The canonical text of the n-th made indicator: six addresses, three names, one digest of ten. No
/// network and no name of the demonstration is among them.
fn made(n: u64, text: &mut String) -> Kind {
    use std::fmt::Write as _;
    text.clear();
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Writing to a string cannot fail.
    let (kind, _infallible) = match n % 10 {
        0..6 => {
            let [a, b, c, d] = u32::try_from(n).unwrap_or(0).wrapping_mul(2_654_435_761).to_be_bytes();
            (Kind::Ip, write!(text, "{}.{b}.{c}.{d}", 224 + a % 16))
        }
        6..9 => (Kind::Domain, write!(text, "n{spread:x}.bench{}.example", n % 97)),
        _ => (Kind::Hash, write!(text, "{spread:016x}{n:048x}")),
    };
    kind
}

fn build() -> Intel {
    let mut build = Build::default();
    build.reserve(usize::try_from(INDICATORS).unwrap_or(0));
    let facts = build.facts(Held { source: "bench".into(), facts: Facts { confidence: 50, from: now().0, ..Facts::default() } });
    let mut text = String::with_capacity(80);
    for n in 0..INDICATORS {
        let kind = made(n, &mut text);
        build.add(kind, &text, facts);
    }
    build.finish()
}

/// Values that are held when `from` is below the number of indicators, and are not from there on.
fn values(from: u64) -> Vec<Value> {
    let mut text = String::new();
    let value = |n: u64| {
        let kind = made(n.wrapping_mul(7_919) % INDICATORS + from, &mut text);
        Value { kind, text: text.clone() }
    };
    (0..LOOKUPS).map(value).collect()
}

fn lookups(intel: &Intel, values: &[Value]) -> (f64, f64) {
    let (begun, mut met) = (Instant::now(), 0_u64);
    for value in values {
        intel.meets(black_box(value), &mut |_, _, _| met += 1);
    }
    (values.len() as f64 / begun.elapsed().as_secs_f64(), met as f64 / values.len() as f64 * 100.0)
}

/// All figures.
pub(super) fn figures(registry: Arc<Registry>, mut rules: Engine, batches: &[RawBatch]) -> Figures {
    let begun = Instant::now();
    let intel = build();
    let built = begun.elapsed().as_secs_f64();
    let size = intel.size();
    let count = size.exact as f64;
    let (hits, hit_share) = lookups(&intel, &values(0));
    let (misses, miss_share) = lookups(&intel, &values(INDICATORS));
    let live = ArcSwap::from_pointee(Intel::default());
    let begun = Instant::now();
    live.store(Arc::new(intel));
    let swapped = begun.elapsed().as_secs_f64();
    let (mapped, matched) = stream(&registry, &mut |_| (), batches, &live);
    let (detected, both) = stream(&registry, &mut |events| drop(black_box(rules.observe(events))), batches, &live);
    vec![
        ("indicators", count, ""),
        ("exact tier, each", size.exact_bytes as f64 / count, "bytes"),
        ("filter and places, each", size.filter_bytes as f64 / count, "bytes"),
        ("from values to all of it", built, "s"),
        ("until another one is in its place", swapped * 1e6, "us"),
        ("look-ups that meet one", hits, "1/s"),
        ("of them met", hit_share, "%"),
        ("look-ups that meet none", misses, "1/s"),
        ("of them met", miss_share, "%"),
        ("mapped", mapped, "1/s"),
        ("mapped and matched", matched, "1/s"),
        ("loss by matching, beside mapping alone", (1.0 - matched / mapped) * 100.0, "%"),
        ("mapped and detected", detected, "1/s"),
        ("mapped, detected and matched", both, "1/s"),
        ("loss by matching, of the stream", (1.0 - both / detected) * 100.0, "%"),
    ]
}

/// Records a second and core without and with matching.
fn stream(registry: &Arc<Registry>, look: &mut dyn FnMut(&weft_model::EventBatch), batches: &[RawBatch], live: &ArcSwap<Intel>) -> (f64, f64) {
    let mapper = Mapper::new(Arc::clone(registry));
    let mut sums = [(0.0, 0.0), (0.0, 0.0)];
    for _ in 0..TURNS {
        for (with, (records, seconds)) in sums.iter_mut().enumerate() {
            let begun = Instant::now();
            while begun.elapsed() < STREAM / TURNS {
                for batch in batches {
                    let mapped = mapper.map(batch);
                    if with == 1 {
                        let intel = live.load();
                        mapped.batches.iter().for_each(|events| drop(black_box(match_batch(&intel, events, now()))));
                    }
                    mapped.batches.iter().for_each(&mut *look);
                    *records += batch.records.len() as f64;
                }
            }
            *seconds += begun.elapsed().as_secs_f64();
        }
    }
    let [without, with] = sums.map(|(records, seconds)| records / seconds);
    (without, with)
}
