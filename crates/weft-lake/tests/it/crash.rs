//! The commit cut off at every step, once and again, with another mapping after the restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft_lake::{Failpoint, LakeError};
use weft_model::{Mapped, RawBatch};

use crate::support::{files_of, ingest, map_otherwise, number, open, open_cut, raw, replay};

/// Cuts at the `at`-th step of the life of a lake.
fn cut_at(at: usize) -> (Failpoint, Arc<AtomicUsize>) {
    let steps = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&steps);
    (Arc::new(move |_| counter.fetch_add(1, Ordering::SeqCst) == at), steps)
}

pub async fn counts(lake: &weft_lake::Lake) -> (i64, i64, i64) {
    let tables = lake.tables();
    let has = |name: &str| tables.iter().any(|table| table.name == name);
    let parts: Vec<&str> = [("authentication", "SELECT n FROM authentication"), ("network_activity", "SELECT n FROM network_activity")]
        .into_iter()
        .filter(|(name, _)| has(name))
        .map(|(_, sql)| sql)
        .collect();
    let all = parts.join(" UNION ALL ");
    let events = number(lake, &format!("SELECT count(*) FROM ({all})")).await;
    let distinct = number(lake, &format!("SELECT count(DISTINCT n) FROM ({all})")).await;
    (events, distinct, number(lake, "SELECT count(DISTINCT id) FROM rejects").await)
}

pub async fn crash_and_return(at: usize, remap: fn(&RawBatch) -> Mapped) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let (failpoint, steps) = cut_at(at);
    let (lake, _) = open_cut(dir.path(), failpoint).await;
    let mut cut = false;
    for round in 0..3 {
        ingest(&lake, raw(round * 70..round * 70 + 70)).await;
        match lake.commit().await {
            Ok(_) => {}
            Err(LakeError::Interrupted) => {
                cut = true;
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let reached = steps.load(Ordering::SeqCst) > at;
    let sent = number(&lake, "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM rejects)").await;
    drop(lake);
    // The next start may be cut off as well.
    for again in 0..3 {
        let (failpoint, _) = cut_at(again);
        let options = weft_lake::LakeOptions { failpoint: Some(failpoint), ..weft_lake::LakeOptions::in_dir(dir.path()).unwrap() };
        let _cut = weft_lake::Lake::open(options).await;
    }
    let (lake, recovery) = open(dir.path()).await;
    replay(&lake, &recovery, remap);
    let expected = (sent - sent / 7, sent - sent / 7, sent / 7);
    assert_eq!(counts(&lake).await, expected, "before the next commit, cut at step {at}");
    lake.commit().await.unwrap();
    assert_eq!(counts(&lake).await, expected, "after it, cut at step {at}");
    drop((lake, recovery));
    let (lake, recovery) = open(dir.path()).await;
    assert_eq!(recovery.frames(), 0);
    assert_eq!(counts(&lake).await, expected, "after another restart, cut at step {at}");
    assert_eq!(orphans(dir.path(), &lake), 0, "cut at step {at}");
    cut && reached
}

/// Data files that no table knows.
fn orphans(dir: &std::path::Path, lake: &weft_lake::Lake) -> usize {
    let known: usize = lake.tables().iter().map(|table| table.files).sum();
    files_of(dir) - known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_it_when_the_mapping_has_changed_meanwhile() {
    for at in (0..36).step_by(2) {
        crash_and_return(at, map_otherwise).await;
    }
}

#[tokio::test]
async fn a_commit_that_failed_is_finished_by_the_next_one_in_the_same_process() {
    for at in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let (failpoint, _) = cut_at(at);
        let (lake, _) = open_cut(dir.path(), failpoint).await;
        ingest(&lake, raw(0..70)).await;
        let _cut = lake.commit().await;
        assert_eq!(counts(&lake).await, (60, 60, 10), "visible throughout, cut at {at}");
        ingest(&lake, raw(70..140)).await;
        lake.commit().await.unwrap();
        assert_eq!(counts(&lake).await, (120, 120, 20), "cut at {at}");
        assert_eq!(orphans(dir.path(), &lake), 0, "cut at {at}");
    }
}
