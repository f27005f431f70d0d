//! Questions: nested paths, functions, pruning, budgets.

use std::time::Duration;

use weft_lake::{Lake, LakeOptions, QueryError, QueryOptions, Truncated};

use crate::support::{files_read, ingest, map_every, number, open, raw, strings};

async fn filled(dir: &std::path::Path) -> Lake {
    let (lake, _) = open(dir).await;
    // Four commits, each of a day of its own.
    for day in 0..4 {
        let logged = lake.append(raw(day * 2400..day * 2400 + 2400), false).await.unwrap().logged.unwrap();
        let mapped = map_every(logged.batch(), 36_000);
        lake.publish(logged, mapped).unwrap();
        lake.commit().await.unwrap();
    }
    lake
}

#[tokio::test]
async fn nested_paths_are_written_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    ingest(&lake, raw(0..500)).await;
    for _ in ["in the tail", "in a file"] {
        for path in ["actor['user']['name']", "actor.user.name", "authentication.actor.user.name", "a.actor.user.name"] {
            let alias = if path.starts_with("a.") { "a" } else { "" };
            assert_eq!(number(&lake, &format!("SELECT count(*) FROM authentication {alias} WHERE {path} = 'user4'")).await, 4, "{path}");
            assert_eq!(strings(&lake, &format!("SELECT {path} FROM authentication {alias} WHERE n = 4")).await, ["user4"], "{path}");
        }
        assert_eq!(
            strings(&lake, "SELECT actor.user.name, count(*) FROM events GROUP BY actor.user.name ORDER BY count(*) DESC, actor.user.name LIMIT 1").await,
            // Of the five records of user0 one is no event: every seventh is none.
            ["user1"]
        );
        lake.commit().await.unwrap();
    }
}

#[tokio::test]
async fn functions_for_ocsf() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    ingest(&lake, raw(0..500)).await;
    assert_eq!(strings(&lake, "SELECT ts(time) FROM authentication WHERE n = 2").await, ["2024-08-13T00:00:02Z"]);
    assert_eq!(number(&lake, "SELECT count(*) FROM events WHERE ts(time) < '2024-08-13T00:00:02Z'").await, 2);
    assert_eq!(number(&lake, "SELECT count(*) FROM events WHERE has_observable(observables, '10.0.1.4')").await, 1);
    assert_eq!(number(&lake, "SELECT count(*) FROM events WHERE has_observable(observables, '10.0.1.4', 2)").await, 1);
    assert_eq!(number(&lake, "SELECT count(*) FROM events WHERE has_observable(observables, '10.0.1.4', 1)").await, 0);
    assert_eq!(strings(&lake, "SELECT observable(observables, 2) FROM authentication WHERE n = 8").await, ["10.0.0.8"]);
    assert_eq!(strings(&lake, "SELECT observable(observables, 'src_endpoint.ip') FROM authentication WHERE n = 8").await, ["10.0.0.8"]);
    assert_eq!(strings(&lake, "SELECT entity(actor, src_endpoint) FROM authentication WHERE n = 8").await, ["user8"]);
    assert_eq!(strings(&lake, "SELECT entity(src_endpoint, actor) FROM authentication WHERE n = 8").await, ["10.0.0.8"]);
    assert_eq!(strings(&lake, "SELECT json_get(unmapped, 'a.b.0') FROM authentication WHERE n = 8").await, ["8"]);
    assert_eq!(strings(&lake, "SELECT json_get(unmapped, 'a.c') FROM authentication WHERE n = 8").await, ["null"]);
}

#[tokio::test]
async fn files_that_cannot_hold_an_answer_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    let day = 86_400_000i64;
    let start = crate::support::START;
    for (filter, files) in [
        ("true", 4),
        ("day = '2024-08-14'", 1),
        ("day >= '2024-08-14' AND day < '2024-08-16'", 2),
        (&*format!("time >= {} AND time < {}", start + day, start + 2 * day), 1),
        ("ts(time) >= '2024-08-16T00:00:00Z'", 1),
        ("actor.user.uid = 'u-2402'", 1),
        ("actor['user']['uid'] IN ('u-2402', 'u-2')", 2),
        ("metadata.uid = '00000000000000000000000000000004'", 1),
        ("src_endpoint.ip = '10.0.9.2' AND true", 1),
        ("has_observable(observables, '10.0.9.2')", 1),
        ("src_endpoint.ip = 'nowhere'", 0),
    ] {
        assert_eq!(files_read(&lake, &format!("SELECT n FROM authentication WHERE {filter}")).await, files, "{filter}");
    }
    assert_eq!(number(&lake, "SELECT n FROM authentication WHERE actor.user.uid = 'u-2402'").await, 2402);
    assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE actor['user']['uid'] IN ('u-2402', 'u-2')").await, 2);
    assert_eq!(files_read(&lake, "SELECT time FROM events WHERE class_uid = 3002 AND day = '2024-08-13'").await, 1);
}

#[tokio::test]
async fn budgets_are_kept_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    let few = lake.session(QueryOptions { rows_max: 10, ..QueryOptions::default() }).collect("SELECT n FROM authentication").await.unwrap();
    assert_eq!((few.rows(), few.truncated), (10, Some(Truncated { rows: 10 })));
    let exact = lake.session(QueryOptions { rows_max: 10, ..QueryOptions::default() }).collect("SELECT n FROM authentication LIMIT 10").await.unwrap();
    assert_eq!((exact.rows(), exact.truncated), (10, None));
    let endless = "SELECT count(*) FROM authentication a, authentication b, authentication c WHERE a.n + b.n > c.n";
    let limit = Duration::from_millis(50);
    let late = lake.session(QueryOptions { time_max: limit, ..QueryOptions::default() }).collect(endless).await.unwrap_err();
    assert_eq!(late, QueryError::Time { limit });
    drop(lake);
    let mut options = LakeOptions::in_dir(dir.path()).unwrap();
    options.engine.memory_bytes = 64 << 10;
    options.engine.spill_bytes_max = 0;
    let (lake, _) = Lake::open(options).await.unwrap();
    let hungry = lake.session(QueryOptions::default()).collect("SELECT array_agg(raw_data), n FROM authentication GROUP BY n").await.unwrap_err();
    assert!(matches!(hungry, QueryError::Memory { .. }), "{hungry:?}");
}

#[tokio::test]
async fn a_query_that_was_given_up_leaves_its_thread_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let lake = filled(dir.path()).await;
    let question = "SELECT count(*) FROM authentication";
    let (answer, limit) = (number(&lake, question).await, Duration::from_millis(50));
    let (a, b) = ("generate_series(1, 3000000) AS a(x)", "generate_series(1, 3000000) AS b(y)");
    let endless = [
        format!("SELECT count(*) FROM {a}, {b} WHERE x + y < 0"),
        format!("SELECT count(*) FROM {a} LEFT JOIN {b} ON x > y + 3000000"),
        format!("SELECT count(*) FROM {a} JOIN {b} ON x % 2 = y % 2 AND x + y < 0"),
        format!("SELECT count(*) FROM {a} WHERE NOT EXISTS (SELECT 1 FROM {b} WHERE y > x + 3000000)"),
        format!("SELECT max(x + y) FROM {a}, {b}"),
        format!("SELECT max(x) FROM {a} JOIN {b} ON x % 2 = y % 2"),
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n FROM t) SELECT count(*) FROM t".to_owned(),
    ];
    // More of them than there are threads, so that one that goes on would show.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for sql in &endless {
        for _ in 0..=threads {
            let late = lake.session(QueryOptions { time_max: limit, ..QueryOptions::default() }).collect(sql).await.unwrap_err();
            assert_eq!(late, QueryError::Time { limit }, "{sql}");
        }
        assert_eq!(number(&lake, question).await, answer, "after {sql}");
    }
}

#[tokio::test]
async fn statements_and_mistakes_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    ingest(&lake, raw(0..3)).await;
    for sql in [
        "DROP TABLE authentication",
        "CREATE TABLE x (a INT)",
        "INSERT INTO authentication (n) VALUES (1)",
        "SET x = 1",
        "COPY authentication TO '/tmp/x.parquet'",
        "SELEC 1",
        "SELECT nope FROM authentication",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM nowhere",
    ] {
        let error = lake.session(QueryOptions::default()).collect(sql).await.unwrap_err();
        assert!(matches!(error, QueryError::Sql { .. }), "{sql}: {error:?}");
    }
}
