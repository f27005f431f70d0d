//! Reading beside the process that writes.

use weft_lake::{LakeOptions, QueryOptions, Reader};

use crate::support::{ingest, map, open, raw};

async fn count(reader: &Reader) -> String {
    reader.session(QueryOptions::default()).collect("SELECT count(*) AS c FROM events").await.unwrap().to_text()
}

#[tokio::test]
async fn a_reader_sees_what_is_committed_and_can_add_what_the_log_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    ingest(&lake, raw(0..6)).await;
    lake.commit().await.unwrap();
    let reader = Reader::open(&LakeOptions::in_dir(dir.path()).unwrap()).await.unwrap();
    assert!(count(&reader).await.contains("| 6 "));
    ingest(&lake, raw(7..13)).await;
    for frame in weft_lake::log::read(&dir.path().join("log")).unwrap() {
        reader.show(frame.seq, frame.batch.received, &map(&frame.batch)).unwrap();
    }
    assert!(count(&reader).await.contains("| 12 "));
    let fresh = Reader::open(&LakeOptions::in_dir(dir.path()).unwrap()).await.unwrap();
    lake.commit().await.unwrap();
    fresh.refresh().await.unwrap();
    assert!(count(&fresh).await.contains("| 12 "));
}
