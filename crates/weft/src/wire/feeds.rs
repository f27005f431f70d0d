//! Feeds of intelligence on their schedule, each by itself: a slow server keeps no other waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use weft_console::api::FeedView;
use weft_model::Timestamp;

use crate::config::FeedConfig;
use crate::door::now;
use crate::intel::Shelf;
use crate::intel::feed::{self, Progress};
use crate::state::StateStore;

/// Longest sleep: a clock that was set is noticed.
const SLEEP_MS_MAX: i64 = 30_000;

/// How the feeds are doing.
#[derive(Default)]
pub struct FeedBoard(Mutex<BTreeMap<String, FeedView>>);

impl FeedBoard {
    /// Every feed, by name.
    pub fn all(&self) -> Vec<FeedView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn tell(&self, feed: &FeedConfig, progress: &Progress, next: Option<Timestamp>) {
        let view = FeedView {
            name: feed.name.clone(),
            from: progress.from.clone(),
            every_ms: feed.every_ms,
            success_ms: progress.success.map(|at| at.0),
            changed_ms: progress.changed.map(|at| at.0),
            next_ms: next.map(|at| at.0),
            faults: progress.faults,
            error: progress.error.clone(),
            remarks: progress.remarks.clone(),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(feed.name.clone(), view);
    }
}

/// What the looks work with.
pub(super) struct Feeds {
    pub(super) feeds: Vec<FeedConfig>,
    pub(super) shelf: Shelf,
    pub(super) state: Arc<dyn StateStore>,
    pub(super) board: Arc<FeedBoard>,
    pub(super) stop: CancellationToken,
}

/// Until told to stop; a fetch that runs then is cut off, and made again at the next start.
pub(super) async fn run(feeds: Feeds) {
    let stop = feeds.stop.clone();
    let feeds = Arc::new(feeds);
    let mut followed = JoinSet::new();
    for feed in feeds.feeds.clone() {
        let feeds = Arc::clone(&feeds);
        followed.spawn(async move { follow(&feeds, &feed).await });
    }
    tokio::select! {
        () = stop.cancelled() => {}
        _ = followed.join_all() => {}
    }
}

/// Setting that holds what is remembered of a feed.
fn setting(feed: &FeedConfig) -> String {
    format!("feed:{}", feed.name)
}

async fn follow(feeds: &Feeds, feed: &FeedConfig) {
    let kept = feeds.state.setting(&setting(feed)).await.unwrap_or_else(|error| {
        tracing::error!(%error, feed = feed.name, "what is remembered of a feed cannot be read; it is fetched anew");
        None
    });
    let mut progress = Progress::of(kept.as_deref(), feed);
    loop {
        let next = progress.next(feed.every_ms);
        feeds.board.tell(feed, &progress, Some(Timestamp(next.0.max(now().0))));
        wait_until(next).await;
        feeds.board.tell(feed, &progress, None);
        let looked = feed::look(&feeds.shelf, feed, &progress, now()).await;
        match &looked {
            Ok(looked) => tracing::info!(feed = feed.name, changed = looked.changed, "a feed was fetched"),
            Err(trouble) => tracing::warn!(feed = feed.name, %trouble, "a feed could not be fetched; what it brought before stays"),
        }
        progress = progress.after(looked, feed.every_ms, now());
        let text = serde_json::to_string(&progress).unwrap_or_default();
        if let Err(error) = feeds.state.set_setting(&setting(feed), &text).await {
            tracing::error!(%error, feed = feed.name, "what is remembered of a feed could not be kept");
        }
    }
}

async fn wait_until(time: Timestamp) {
    loop {
        let left = time.0.saturating_sub(now().0).min(SLEEP_MS_MAX);
        match u64::try_from(left) {
            Ok(left) if left > 0 => tokio::time::sleep(Duration::from_millis(left)).await,
            _ => return,
        }
    }
}
