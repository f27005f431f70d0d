//! Small files become large ones beside everything else, and a crash at any step changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use weft_lake::{CompactOptions, Failpoint, Lake, LakeError, LakeOptions, QueryOptions, Step};

use crate::support::{files_of, ingest, number, open, open_cut, raw, strings};

const EAGER: CompactOptions = CompactOptions { file_bytes: 1 << 20, file_rows: 1 << 20, files_min: 2 };
const COUNTS: &str = "SELECT count(*), count(DISTINCT n), min(n), max(n) FROM (SELECT n FROM authentication UNION ALL SELECT n FROM network_activity)";

async fn filled(dir: &std::path::Path, failpoint: Option<Failpoint>) -> Lake {
    let (lake, _) = match failpoint {
        Some(failpoint) => open_cut(dir, failpoint).await,
        None => open(dir).await,
    };
    // Later times first: a merge has to sort.
    for round in (0..5).rev() {
        ingest(&lake, raw(round * 70..round * 70 + 70)).await;
        lake.commit().await.unwrap();
    }
    lake
}

async fn counts(lake: &Lake) -> String {
    lake.session(QueryOptions::default()).collect(COUNTS).await.unwrap().to_text()
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

#[tokio::test]
async fn small_files_become_one_sorted_file_and_the_old_ones_go_when_they_are_old() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path(), None).await;
    let (before, events) = (counts(&lake).await, strings(&lake, "SELECT raw_data FROM authentication ORDER BY n").await);
    let done = lake.compact(&EAGER).await.unwrap();
    assert_eq!((done.files_before, done.files_after, done.rows), (15, 3, 350), "{done:?}");
    assert_eq!(counts(&lake).await, before);
    assert_eq!(strings(&lake, "SELECT raw_data FROM authentication ORDER BY n").await, events);
    let unordered = strings(&lake, "SELECT n FROM authentication").await;
    assert!(unordered.is_sorted_by_key(|n| n.parse::<u64>().unwrap()), "sorted by time");
    assert_eq!(lake.compact(&EAGER).await.unwrap().files_before, 0, "nothing is left to do");
    assert_eq!(files_of(dir.path()), 18);
    assert_eq!(lake.vacuum(SystemTime::UNIX_EPOCH).await.unwrap().files, 0, "queries may still read what is young");
    assert_eq!(lake.vacuum(later()).await.unwrap().files, 15);
    assert_eq!(files_of(dir.path()), 3);
    drop(lake);
    let (lake, _) = open(dir.path()).await;
    assert_eq!(counts(&lake).await, before, "after a restart");
    assert_eq!(number(&lake, "SELECT count(*) FROM rejects").await, 50);
}

fn is_change(step: Step) -> bool {
    matches!(step, Step::ChangeStaged | Step::ChangeFileWritten | Step::ChangeDecided | Step::ChangeCommitted | Step::ChangeDone)
}

/// Cuts a compaction at its `at`-th step; false when it has fewer.
async fn crash(at: usize) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let steps = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&steps);
    let lake = filled(dir.path(), Some(Arc::new(move |step| is_change(step) && counter.fetch_add(1, Ordering::SeqCst) == at))).await;
    let before = counts(&lake).await;
    let cut = matches!(lake.compact(&EAGER).await, Err(LakeError::Interrupted));
    assert_eq!(counts(&lake).await, before, "still right in the same process, cut at {at}");
    drop(lake);
    // The next start may be cut off as well.
    let options = LakeOptions { failpoint: Some(Arc::new(is_change)), ..LakeOptions::in_dir(dir.path()).unwrap() };
    drop(Lake::open(options).await);
    let (lake, _) = open(dir.path()).await;
    assert_eq!(counts(&lake).await, before, "after a restart, cut at {at}");
    lake.compact(&EAGER).await.unwrap();
    assert_eq!(counts(&lake).await, before, "after going on, cut at {at}");
    lake.vacuum(later()).await.unwrap();
    assert_eq!(files_of(dir.path()), lake.tables().iter().map(|table| table.files).sum::<usize>(), "cut at {at}");
    assert_eq!(counts(&lake).await, before, "after the vacuum, cut at {at}");
    cut
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_neither_loses_nor_doubles() {
    let mut cuts = 0;
    while crash(cuts).await {
        cuts += 1;
    }
    assert_eq!(cuts, 15, "five steps for each of three tables");
}

#[tokio::test]
async fn a_compaction_that_was_cut_is_finished_by_the_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let once = AtomicBool::new(true);
    let lake = filled(dir.path(), Some(Arc::new(move |step| step == Step::ChangeDecided && once.swap(false, Ordering::SeqCst)))).await;
    assert!(matches!(lake.compact(&EAGER).await, Err(LakeError::Interrupted)));
    let before = lake.tables()[0].files;
    ingest(&lake, raw(350..420)).await;
    lake.commit().await.unwrap();
    assert_eq!((before, lake.tables()[0].files), (5, 2));
    assert_eq!(number(&lake, "SELECT count(*) FROM events").await, 360);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn queries_and_commits_go_on_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path(), None).await;
    let done = Arc::new(AtomicBool::new(false));
    let query = tokio::spawn({
        let (lake, done) = (lake.clone(), Arc::clone(&done));
        async move {
            let mut asked = 0;
            while !done.load(Ordering::SeqCst) {
                let (all, distinct) = (
                    number(&lake, "SELECT count(*) - count(DISTINCT n) FROM authentication").await,
                    number(&lake, "SELECT count(DISTINCT n) - max(n) / 2 - 1 + count(*) FILTER (WHERE false) FROM authentication").await,
                );
                assert_eq!(all, 0, "a row was seen twice");
                assert!(distinct <= 0, "more rows than there are");
                asked += 1;
            }
            asked
        }
    });
    let compact = tokio::spawn({
        let lake = lake.clone();
        async move {
            for _ in 0..6 {
                lake.compact(&EAGER).await.unwrap();
                lake.vacuum(SystemTime::UNIX_EPOCH).await.unwrap();
            }
        }
    });
    for round in 5..20 {
        ingest(&lake, raw(round * 70..round * 70 + 70)).await;
        lake.commit().await.unwrap();
    }
    compact.await.unwrap();
    done.store(true, Ordering::SeqCst);
    assert!(query.await.unwrap() > 0);
    assert_eq!(number(&lake, "SELECT count(*) FROM events").await, 1200);
    assert_eq!(number(&lake, "SELECT count(DISTINCT n) FROM (SELECT n FROM authentication UNION ALL SELECT n FROM network_activity)").await, 1200);
}
