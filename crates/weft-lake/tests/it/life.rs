//! Retention, deletion, mapping anew, tiers, history, exports.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use weft_lake::{Anew, ExportOptions, Lake, Layout, QueryOptions, Retention, ScrubOptions, prove};
use weft_model::{EventBatch, Mapped, Timestamp};

use crate::support::{AUTHENTICATION, NETWORK, START, files_of, ingest, map_every, number, object, open, raw, rows, strings, texts};

const DAY: i64 = Timestamp::DAY_MS;

/// Four days of events.
async fn days(dir: &Path) -> Lake {
    let (lake, _) = open(dir).await;
    for day in 0..4 {
        let logged = lake.append(raw(day * 2400..day * 2400 + 2400), false).await.unwrap().logged.unwrap();
        let mapped = map_every(logged.batch(), 36_000);
        lake.publish(logged, mapped).unwrap();
        lake.commit().await.unwrap();
    }
    lake
}

fn rule(class: Option<&str>, days: Option<u32>, raw_days: Option<u32>) -> Retention {
    Retention { class: class.map(str::to_owned), tenant: None, days, raw_days }
}

#[tokio::test]
async fn days_go_by_class_and_raw_records_before_their_events() {
    let dir = tempfile::tempdir().unwrap();
    let lake = days(dir.path()).await;
    let sign_ins = number(&lake, "SELECT count(*) FROM authentication").await;
    let of_two_days = number(&lake, "SELECT count(*) FROM authentication WHERE day < '2024-08-15'").await;
    let flows = number(&lake, "SELECT count(*) FROM network_activity WHERE day < '2024-08-16'").await;
    let now = Timestamp(START + 4 * DAY);
    let rules = [rule(None, Some(30), Some(2)), rule(Some("network_activity"), Some(1), None)];
    let expired = lake.retain(&rules, now).await.unwrap();
    assert_eq!(number(&lake, "SELECT count(DISTINCT day) FROM network_activity").await, 1);
    assert_eq!(number(&lake, "SELECT count(*) FROM authentication").await, sign_ins, "none of these is 30 days old");
    assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE raw_data IS NULL").await, of_two_days);
    assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE raw_data IS NULL AND actor.user.name IS NULL").await, 0);
    let of = |table: &str| expired.iter().find(|expired| expired.table == table).unwrap();
    assert_eq!((of("network_activity").rows as i64, of("network_activity").files), (flows, 3));
    assert_eq!((of("authentication").rows, of("authentication").raw_rows as i64), (0, of_two_days));
    assert!(of("network_activity").digests.iter().all(|digest| digest.len() == 64));
    assert!(lake.retain(&rules, now).await.unwrap().is_empty(), "once is enough");
    assert!(lake.scrub(&ScrubOptions::default()).await.unwrap().damaged.is_empty());
}

fn of_tenants(batch: &weft_model::RawBatch) -> Mapped {
    let numbers: Vec<u64> = batch.records.iter().map(|record| record.id.0 as u64).collect();
    let whole = rows(AUTHENTICATION, &numbers, 1000);
    let tenant = texts(numbers.iter().map(|n| if n % 4 == 0 { "acme".to_owned() } else { "other".to_owned() }));
    let metadata = object(vec![("uid", texts(numbers.iter().map(|n| format!("{n:032x}")))), ("tenant_uid", tenant)]);
    let schema = whole.schema();
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .zip(whole.columns())
        .map(|(field, column)| (field.name().clone(), if field.name() == "metadata" { metadata.clone() } else { column.clone() }))
        .collect();
    Mapped {
        batches: vec![EventBatch { class: AUTHENTICATION, source: "test".into(), rows: RecordBatch::try_from_iter(columns).unwrap() }],
        ..Mapped::default()
    }
}

#[tokio::test]
async fn a_tenant_has_a_time_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    let logged = lake.append(raw(0..400), false).await.unwrap().logged.unwrap();
    let mapped = of_tenants(logged.batch());
    lake.publish(logged, mapped).unwrap();
    lake.commit().await.unwrap();
    let rules = [rule(None, Some(10), None), Retention { tenant: Some("acme".to_owned()), ..rule(None, Some(2), None) }];
    assert!(lake.retain(&rules, Timestamp(START + 2 * DAY)).await.unwrap().is_empty());
    let expired = lake.retain(&rules, Timestamp(START + 3 * DAY)).await.unwrap();
    assert_eq!((expired[0].rows, number(&lake, "SELECT count(*) FROM authentication").await), (100, 300));
    assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE metadata.tenant_uid = 'acme'").await, 0);
    assert!(lake.retain(&rules, Timestamp(START + 3 * DAY)).await.unwrap().is_empty(), "the file is not read again");
    assert_eq!(lake.retain(&rules, Timestamp(START + 11 * DAY)).await.unwrap()[0].rows, 300);
}

#[tokio::test]
async fn a_person_is_gone_from_tables_versions_log_and_what_was_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    for round in 0..3 {
        ingest(&lake, raw(round * 700..round * 700 + 700)).await;
        lake.commit().await.unwrap();
    }
    // In the log, mapped, and not in a table yet.
    ingest(&lake, raw(2100..2103)).await;
    fs::create_dir_all(dir.path().join("log/quarantine")).unwrap();
    fs::write(dir.path().join("log/quarantine/x.bin"), "about u-2102").unwrap();
    let all = number(&lake, "SELECT count(*) FROM events").await;
    assert!(!prove(dir.path(), "u-2102").unwrap().found.is_empty(), "the control: it is there before");
    let dry = lake.forget("U-2102", true).await.unwrap();
    assert_eq!((dry.len(), dry[0].rows, number(&lake, "SELECT count(*) FROM events").await), (1, 1, all));
    let done = lake.forget("U-2102", false).await.unwrap();
    assert_eq!((done[0].table.as_str(), done[0].rows, done[0].digests[0].len()), ("authentication", 1, 64));
    lake.renew_log();
    ingest(&lake, raw(2104..2105)).await;
    lake.commit().await.unwrap();
    lake.purge().await.unwrap();
    let proof = prove(dir.path(), "u-2102").unwrap();
    assert_eq!(proof.found, Vec::<String>::new(), "of {} files", proof.files);
    assert_eq!(number(&lake, "SELECT count(*) FROM events").await, all);
    assert!(lake.forget("u-2102", false).await.unwrap().is_empty());
    // Rejects are records too.
    assert_eq!(lake.forget("bad 2099", false).await.unwrap()[0].table, "rejects");
    assert!(lake.scrub(&ScrubOptions::default()).await.unwrap().damaged.is_empty());
}

/// Sign-ins of even tens become network events; the raw record says which.
fn mended(_: &str, batch: &RecordBatch) -> Anew {
    let numbers: Vec<u64> = batch.column_by_name("raw_data").unwrap().as_string::<i32>().iter().map(|raw| raw.unwrap().parse().unwrap()).collect();
    let changed: Vec<u64> = numbers.iter().copied().filter(|n| n % 20 == 0).collect();
    let events =
        if changed.is_empty() { Vec::new() } else { vec![EventBatch { class: NETWORK, source: "test".into(), rows: rows(NETWORK, &changed, 36_000) }] };
    Anew { keep: numbers.iter().map(|n| n % 20 != 0).collect(), events }
}

#[tokio::test]
async fn events_are_mapped_anew_in_place_of_the_old_ones() {
    let dir = tempfile::tempdir().unwrap();
    let lake = days(dir.path()).await;
    let uids = "SELECT metadata.uid FROM events ORDER BY metadata.uid";
    let (all, before) = (number(&lake, "SELECT count(*) FROM authentication WHERE n % 20 = 0 AND day <= '2024-08-14'").await, strings(&lake, uids).await);
    let (since, until) = (Timestamp(START), Timestamp(START + 2 * DAY));
    let done = lake.remap(since, until, Arc::new(mended)).await.unwrap();
    assert_eq!(number(&lake, "SELECT count(*) FROM network_activity WHERE n % 20 = 0").await, all);
    assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE n % 20 = 0 AND day <= '2024-08-14'").await, 0);
    assert!(number(&lake, "SELECT count(*) FROM authentication WHERE n % 20 = 0").await > 0, "other days are as they were");
    assert!(strings(&lake, uids).await == before, "the same uids, each once");
    assert!(done.replaced >= all as u64, "{done:?}");
    let again = lake.remap(since, until, Arc::new(mended)).await.unwrap();
    assert!(strings(&lake, uids).await == before, "{again:?}");
}

#[tokio::test]
async fn a_mapping_that_makes_more_or_less_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lake = days(dir.path()).await;
    let before = number(&lake, "SELECT count(*) FROM events").await;
    let loses = |_: &str, batch: &RecordBatch| Anew { keep: vec![false; batch.num_rows()], events: Vec::new() };
    let refused = lake.remap(Timestamp(0), Timestamp(i64::MAX), Arc::new(loses)).await.unwrap_err();
    assert!(refused.to_string().contains("would become 0"), "{refused}");
    assert_eq!(number(&lake, "SELECT count(*) FROM events").await, before);
}

#[tokio::test]
async fn old_days_lie_in_the_cold_and_are_read_mended_and_removed_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let cold = tempfile::tempdir().unwrap();
    let lake = days(dir.path()).await;
    let before = number(&lake, "SELECT sum(n) FROM authentication").await;
    let moved = lake.tier(cold.path(), Timestamp(START + 2 * DAY)).await.unwrap();
    assert_eq!(moved.files, 8, "two days of two tables, and four of rejects, whose time is that of their arrival");
    assert_eq!(lake.tier(cold.path(), Timestamp(START + 2 * DAY)).await.unwrap().files, 0);
    assert_eq!(number(&lake, "SELECT sum(n) FROM authentication").await, before);
    drop(lake);
    let (lake, _) = open(dir.path()).await;
    assert_eq!(number(&lake, "SELECT sum(n) FROM authentication").await, before);
    let mut found = vec![cold.path().join("authentication/day=2024-08-13")];
    found.extend(fs::read_dir(&found[0]).unwrap().flatten().map(|entry| entry.path()));
    let file = found.pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let mut bytes = whole.clone();
    bytes[99] ^= 1;
    fs::write(&file, bytes).unwrap();
    lake.scrub(&ScrubOptions { repair: true, ..ScrubOptions::default() }).await.unwrap();
    assert!(fs::read(&file).unwrap() == whole, "mended where it lies");
    lake.retain(&[rule(None, Some(1), None)], Timestamp(START + 3 * DAY)).await.unwrap();
    lake.vacuum(SystemTime::now() + std::time::Duration::from_secs(9)).await.unwrap();
    assert!(!file.exists(), "gone from the cold as well");
}

#[tokio::test]
async fn the_lake_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    let count = "SELECT count(*) AS c FROM authentication";
    let mut moments = Vec::new();
    let now = || Timestamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64);
    let begun = now();
    for round in 0..3 {
        ingest(&lake, raw(round * 70..round * 70 + 70)).await;
        lake.commit().await.unwrap();
        let committed = now();
        // The next commit is of another millisecond.
        while now() == committed {}
        moments.push(committed);
    }
    lake.compact(&weft_lake::CompactOptions { files_min: 2, ..weft_lake::CompactOptions::default() }).await.unwrap();
    for (round, moment) in moments.iter().enumerate() {
        let past = lake.as_of(*moment, QueryOptions::default()).await.unwrap();
        let text = past.collect(count).await.unwrap();
        assert_eq!(text.batches[0].column(0).as_primitive::<Int64Type>().value(0), 30 * (round as i64 + 1));
    }
    let before = lake.as_of(Timestamp(begun.0 - 1), QueryOptions::default()).await.unwrap();
    assert!(before.collect(count).await.is_err(), "there was no such table");
    lake.vacuum(SystemTime::now() + std::time::Duration::from_secs(9)).await.unwrap();
    let Err(gone) = lake.as_of(moments[0], QueryOptions::default()).await else { panic!("its files are gone") };
    assert!(gone.to_string().contains("have been removed since"), "{gone}");
}

#[tokio::test]
async fn exports_have_their_layout() {
    let dir = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    let lake = days(dir.path()).await;
    let options = ExportOptions { layout: Layout::Parquet, classes: Vec::new(), since: Timestamp(START + DAY), until: Timestamp(START + 2 * DAY) };
    let done = lake.export(&options, out.path()).await.unwrap();
    let wanted = number(&lake, "SELECT count(*) FROM events WHERE day = '2024-08-14'").await;
    assert_eq!(done.iter().map(|class| class.rows).sum::<u64>() as i64, wanted);
    assert!(out.path().join("authentication/day=2024-08-14").is_dir() && !out.path().join("authentication/day=2024-08-13").exists());
    let layout = Layout::SecurityLake { source: "weft".to_owned(), region: "eu-central-1".to_owned(), account: "external".to_owned() };
    lake.export(&ExportOptions { layout, ..options }, out.path()).await.unwrap();
    let folder = out.path().join("ext/weft_authentication/region=eu-central-1/accountId=external/eventDay=20240814");
    let file = fs::read_dir(&folder).unwrap().flatten().next().unwrap().path();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    let rows = reader.build().unwrap().next().unwrap().unwrap();
    assert!(rows.column_by_name("n").is_none(), "not an attribute of OCSF 1.1");
    let metadata = rows.column_by_name("metadata").unwrap().as_struct();
    let version: &StringArray = metadata.column_by_name("version").unwrap().as_string();
    assert_eq!(version.value(0), "1.1.0");
    assert!(rows.column_by_name("time").unwrap().as_primitive::<Int64Type>().values().is_sorted());
    assert_eq!(files_of(dir.path()), 12);
}
