//! How long an event takes from its arrival at the mesh to a console.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Upper bounds of the buckets in milliseconds; one more bucket holds what is slower.
const BOUNDS_MS: [u64; 16] = [1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 60_000];

/// Counts by duration, written by every live tail and read by whoever keeps the metric.
#[derive(Debug, Default)]
pub struct Latency {
    buckets: [AtomicU64; BOUNDS_MS.len()],
    slower: AtomicU64,
    slowest_ms: AtomicU64,
}

/// The state of a [`Latency`] at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LatencySummary {
    /// Events that reached a console.
    pub count: u64,
    /// Upper bound of the bucket that holds the median, milliseconds.
    pub p50_ms: u64,
    /// The same for the 99th percentile.
    pub p99_ms: u64,
    /// The slowest.
    pub max_ms: u64,
}

impl Latency {
    /// Notes one event that was written to a console.
    pub fn record(&self, milliseconds: u64) {
        let bucket = BOUNDS_MS.iter().zip(&self.buckets).find(|(bound, _)| milliseconds <= **bound).map_or(&self.slower, |(_, bucket)| bucket);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.slowest_ms.fetch_max(milliseconds, Ordering::Relaxed);
    }

    /// What was noted so far; none before the first event.
    pub fn summary(&self) -> Option<LatencySummary> {
        let max_ms = self.slowest_ms.load(Ordering::Relaxed);
        let counts: Vec<(u64, u64)> = BOUNDS_MS
            .iter()
            .copied()
            .zip(&self.buckets)
            .chain([(max_ms, &self.slower)])
            .map(|(bound, bucket)| (bound.min(max_ms), bucket.load(Ordering::Relaxed)))
            .collect();
        let count: u64 = counts.iter().map(|(_, count)| count).sum();
        let quantile = |percent: u64| {
            let rank = (count * percent).div_ceil(100);
            let mut below = 0;
            counts
                .iter()
                .find(|(_, count)| {
                    below += count;
                    below >= rank
                })
                .map_or(max_ms, |(bound, _)| *bound)
        };
        (count > 0).then(|| LatencySummary { count, p50_ms: quantile(50), p99_ms: quantile(99), max_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_bounds_of_their_buckets() {
        let latency = Latency::default();
        assert_eq!(latency.summary(), None);
        (0..98).for_each(|_| latency.record(8));
        latency.record(400);
        latency.record(90_000);
        assert_eq!(latency.summary(), Some(LatencySummary { count: 100, p50_ms: 10, p99_ms: 500, max_ms: 90_000 }));
    }
}
