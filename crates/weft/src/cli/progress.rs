//! Progress of long work, on a terminal only.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that says how far the work is; nothing when nobody looks.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins with what is done, e.g. `reading`.
    pub fn begin(what: &'static str) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {human_pos} records, {per_sec}, {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    /// More is done.
    pub fn add(&self, records: u64) {
        self.bar.inc(records);
    }

    /// What is worked on now.
    pub fn on(&self, what: impl std::fmt::Display) {
        self.bar.set_message(what.to_string());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
