//! Tables gain columns, nested ones too; old files and new rows are read as one.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use arrow::record_batch::RecordBatch;
use weft_model::{EventBatch, Mapped};

use crate::support::{AUTHENTICATION, START, number, object, open, raw, strings, texts};

fn text(value: &str) -> ArrayRef {
    texts([value.to_owned()].into_iter())
}

fn list(item: ArrayRef) -> ArrayRef {
    Arc::new(ListArray::new(Arc::new(Field::new("item", item.data_type().clone(), true)), OffsetBuffer::from_lengths([1]), item, None))
}

async fn publish(lake: &weft_lake::Lake, n: u64, columns: Vec<(&str, ArrayRef)>) {
    let time: ArrayRef = Arc::new(Int64Array::from(vec![START + n as i64]));
    let rows = RecordBatch::try_from_iter(std::iter::once(("time", time)).chain(columns)).unwrap();
    let logged = lake.append(raw(n..n + 1), false).await.unwrap().logged.unwrap();
    let batch = EventBatch { class: AUTHENTICATION, source: "test".into(), rows };
    lake.publish(logged, Mapped { batches: vec![batch], rejects: Vec::new(), ..Mapped::default() }).unwrap();
}

#[tokio::test]
async fn columns_appear_at_any_depth() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    publish(
        &lake,
        0,
        vec![("actor", object(vec![("user", object(vec![("name", text("ada"))]))])), ("observables", list(object(vec![("value", text("10.0.0.1"))])))],
    )
    .await;
    lake.commit().await.unwrap();
    let user = object(vec![("name", text("bob")), ("uid", text("u2")), ("risk", Arc::new(Int64Array::from(vec![7])))]);
    let observables = list(object(vec![("name", text("src_endpoint.ip")), ("value", text("10.0.0.2"))]));
    publish(
        &lake,
        1,
        vec![("actor", object(vec![("user", user), ("session", object(vec![("uid", text("s2"))]))])), ("observables", observables), ("message", text("hello"))],
    )
    .await;
    for round in ["in the tail", "in a file", "after a restart"] {
        assert_eq!(strings(&lake, "SELECT actor['user']['name'] FROM authentication ORDER BY time").await, ["ada", "bob"], "{round}");
        assert_eq!(strings(&lake, "SELECT actor['user']['uid'] FROM authentication ORDER BY time").await, ["null", "u2"], "{round}");
        assert_eq!(strings(&lake, "SELECT actor['session']['uid'] FROM authentication ORDER BY time").await, ["null", "s2"], "{round}");
        assert_eq!(strings(&lake, "SELECT message FROM events ORDER BY time").await, ["null", "hello"], "{round}");
        assert_eq!(
            strings(&lake, "SELECT observable(observables, 'src_endpoint.ip') FROM authentication ORDER BY time").await,
            ["null", "10.0.0.2"],
            "{round}"
        );
        assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE has_observable(observables, '10.0.0.1')").await, 1, "{round}");
        assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE actor['user']['risk'] > 5").await, 1, "{round}");
        assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE actor['user']['risk'] IS NULL").await, 1, "{round}");
        assert_eq!(number(&lake, "SELECT count(*) FROM authentication WHERE actor['session']['uid'] = 's2'").await, 1, "{round}");
        lake.commit().await.unwrap();
    }
    drop(lake);
    let (lake, _) = open(dir.path()).await;
    assert_eq!(strings(&lake, "SELECT actor['user']['uid'] FROM authentication ORDER BY time").await, ["null", "u2"]);
    // Fewer columns than the table has.
    publish(&lake, 2, vec![("message", Arc::new(StringArray::from(vec!["third"])))]).await;
    lake.commit().await.unwrap();
    assert_eq!(strings(&lake, "SELECT message FROM authentication ORDER BY time").await, ["null", "hello", "third"]);
    assert_eq!(lake.tables()[0].files, 3);
}
