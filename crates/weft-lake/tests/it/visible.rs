//! What is published can be seen, once, before, during and after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weft_lake::{LogError, QueryOptions};
use weft_model::Mapped;

use crate::support::{files_read, ingest, map, number, object, open, raw, replay, texts};

const ALL: &str = "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM rejects)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_seen_at_once_and_stay_after_the_commit_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    ingest(&lake, raw(0..700)).await;
    assert_eq!(number(&lake, ALL).await, 700);
    assert!(lake.tail_bytes() > 10_000);
    let committed = lake.commit().await.unwrap();
    assert_eq!((committed.rows, committed.files, committed.upto), (700, 3, 1));
    assert_eq!((lake.tail_bytes(), number(&lake, ALL).await), (0, 700));
    ingest(&lake, raw(700..1400)).await;
    assert_eq!(number(&lake, ALL).await, 1400);
    assert_eq!(lake.positions()[&"test/numbers".into()].0, "1400");
    drop(lake);
    let (lake, recovery) = open(dir.path()).await;
    assert_eq!((recovery.frames(), number(&lake, ALL).await), (1, 700));
    replay(&lake, &recovery, map);
    assert_eq!(number(&lake, ALL).await, 1400);
    assert_eq!(lake.positions()[&"test/numbers".into()].0, "1400");
    assert_eq!(number(&lake, "SELECT count(*) FROM rejects WHERE cause = 'malformed' AND stream = 'test/number'").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_query_sees_a_row_twice_or_not_at_all_while_commits_run() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    ingest(&lake, raw(0..7)).await;
    let done = Arc::new(AtomicBool::new(false));
    let query = tokio::spawn({
        let (lake, done) = (lake.clone(), Arc::clone(&done));
        async move {
            let mut last = 0;
            while !done.load(Ordering::SeqCst) {
                let counts = lake.session(QueryOptions::default()).collect("SELECT count(*) AS a, count(DISTINCT n) AS b, max(n) + 1 AS c FROM (SELECT n FROM authentication UNION ALL SELECT n FROM network_activity)").await.unwrap();
                let text = counts.to_text();
                let cells: Vec<i64> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|cell| cell.parse().ok()).collect();
                let [all, distinct, next] = cells[..] else { panic!("{text}") };
                // Numbers arrive in order, every seventh is a reject.
                assert_eq!((all, distinct), (next - next / 7, all));
                assert!(all >= last, "rows went away");
                last = all;
            }
        }
    });
    for round in 1..25 {
        ingest(&lake, raw(round * 7..round * 7 + 7)).await;
        if round % 3 == 0 {
            lake.commit().await.unwrap();
        }
    }
    done.store(true, Ordering::SeqCst);
    query.await.unwrap();
}

#[tokio::test]
async fn a_frame_that_is_not_published_holds_the_commit_back() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    let first = lake.append(raw(0..2), false).await.unwrap().logged.unwrap();
    ingest(&lake, raw(2..4)).await;
    assert_eq!(lake.commit().await.unwrap().rows, 0);
    drop(first);
    for logged in lake.unpublished() {
        let mapped = map(logged.batch());
        lake.publish(logged, mapped).unwrap();
    }
    assert_eq!(lake.commit().await.unwrap().rows, 4);
}

#[tokio::test]
async fn events_that_do_not_fit_are_given_back_and_can_be_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    ingest(&lake, raw(0..2)).await;
    let logged = lake.append(raw(2..3), false).await.unwrap().logged.unwrap();
    let mut mapped = map(logged.batch());
    let wrong = object(vec![("uid", texts(["x".to_owned()].into_iter())), ("version", Arc::new(arrow::array::Int64Array::from(vec![1])))]);
    let rows = &mapped.batches[0].rows;
    let columns: Vec<_> = rows
        .schema()
        .fields()
        .iter()
        .zip(rows.columns())
        .map(|(f, c)| (f.name().clone(), if f.name() == "metadata" { wrong.clone() } else { c.clone() }))
        .collect();
    mapped.batches[0].rows = arrow::record_batch::RecordBatch::try_from_iter(columns).unwrap();
    let error = lake.publish(logged, mapped).unwrap_err();
    assert_eq!((error.table.as_str(), error.conflict.column.as_str()), ("authentication", "metadata.version"));
    lake.publish(*error.logged, Mapped::default()).unwrap();
    assert_eq!(lake.commit().await.unwrap().rows, 2);
}

#[tokio::test]
async fn a_second_writer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_lake, _) = open(dir.path()).await;
    let error = weft_lake::Lake::open(weft_lake::LakeOptions::in_dir(dir.path()).unwrap()).await.err().unwrap();
    assert!(matches!(error, weft_lake::LakeError::Log(LogError::Locked { .. })), "{error}");
}

#[tokio::test]
async fn old_times_and_many_days_become_a_file_each() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    let logged = lake.append(raw(0..60), false).await.unwrap().logged.unwrap();
    let mapped = crate::support::map_every(logged.batch(), 6 * 3_600_000);
    lake.publish(logged, mapped).unwrap();
    lake.commit().await.unwrap();
    assert_eq!(number(&lake, "SELECT count(DISTINCT day) FROM events").await, 15);
    assert_eq!(files_read(&lake, "SELECT n FROM authentication WHERE day = '2024-08-14'").await, 1);
}
