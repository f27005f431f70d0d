//! How fast an API may be asked, and how long to wait after a fault.

use super::describe::Limits;
use super::message::Answer;
use super::when;
use crate::map::time;

/// Longest wait that a server is believed, milliseconds.
const WAIT_MAX_MS: i64 = 3_600_000;
/// A number this small is an amount of seconds from now, not an instant.
const DELTA_SECONDS_MAX: i64 = 1_000_000_000;

/// When the next request may be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    not_before: i64,
}

impl Pace {
    /// Milliseconds to wait at `now`.
    pub fn wait(&self, now: i64) -> i64 {
        self.not_before.saturating_sub(now).clamp(0, WAIT_MAX_MS)
    }

    /// A request was answered: keeps to what was declared, and to what the answer says.
    pub(super) fn learn(&mut self, limits: &Limits, now: i64, answer: &Answer) {
        if let Some(requests) = limits.requests.and_then(|requests| i64::try_from(requests).ok()) {
            self.not_before = self.not_before.max(now.saturating_add(limits.per / requests.max(1)));
        }
        let remaining = limits.remaining.as_deref().and_then(|name| answer.header(name)).and_then(|text| text.trim().parse::<i64>().ok());
        if remaining.is_some_and(|remaining| remaining <= 0)
            && let Some(reset) = limits.reset.as_deref().and_then(|name| answer.header(name)).and_then(|text| reset_in(text, now, answer))
        {
            self.not_before = self.not_before.max(now.saturating_add(reset));
        }
    }

    /// Nothing before `wait` milliseconds have gone.
    pub(super) fn hold(&mut self, now: i64, wait: i64) {
        self.not_before = self.not_before.max(now.saturating_add(wait.clamp(0, WAIT_MAX_MS)));
    }
}

/// Milliseconds until a limit is renewed: seconds from now, or an instant by the server's clock.
fn reset_in(text: &str, now: i64, answer: &Answer) -> Option<i64> {
    if let Some(seconds) = text.trim().parse::<f64>().ok().filter(|seconds| *seconds >= 0.0 && *seconds < DELTA_SECONDS_MAX as f64) {
        return time::epoch_float(seconds);
    }
    Some((time::parse(text, now)? - server_now(now, answer)).max(0))
}

fn server_now(now: i64, answer: &Answer) -> i64 {
    answer.header("date").and_then(when::http_date).unwrap_or(now)
}

/// Milliseconds to wait by `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date by the server's clock, for
/// which `now` (milliseconds) stands where it tells no date; none where it says nothing that can be read.
pub fn retry_after(now: i64, answer: &Answer) -> Option<i64> {
    let text = answer.header("retry-after")?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && (0.0..1.0e9).contains(&seconds) => time::epoch_float(seconds)?,
        _ => when::http_date(text)? - server_now(now, answer),
    };
    Some(wait.max(0))
}

/// Exponential back-off with jitter: half of the wait is sure, half by chance, so that many sources
/// that failed together do not ask together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first_ms: u64,
    most_ms: u64,
    faults: u32,
}

impl Backoff {
    /// From the first wait to the longest.
    pub fn new(first_ms: u64, most_ms: u64) -> Self {
        Self { first_ms: first_ms.max(2), most_ms: most_ms.max(2), faults: 0 }
    }

    /// Milliseconds to wait after a further fault; `chance` is any number.
    pub fn fault(&mut self, chance: u64) -> u64 {
        let ceiling = self.first_ms.saturating_mul(1_u64.checked_shl(self.faults).unwrap_or(u64::MAX)).min(self.most_ms);
        self.faults = self.faults.saturating_add(1);
        let half = ceiling / 2;
        half + chance % (ceiling - half + 1)
    }

    /// It went well.
    pub fn good(&mut self) {
        self.faults = 0;
    }

    /// Faults in a row.
    pub fn faults(&self) -> u32 {
        self.faults
    }
}
