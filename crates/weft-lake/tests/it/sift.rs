//! The past goes through a sieve: what stays is read whole, and nothing else is.

use arrow::array::{Array as _, AsArray as _, Int32Array, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use weft_lake::past::Sieve;
use weft_model::{ClassUid, EventBatch, Timestamp};

use crate::support::{AUTHENTICATION, START, ingest, open, raw};

/// Keeps the sign-ins of one user.
#[derive(Default)]
struct OfUser {
    looked: usize,
    whole: Vec<(i64, String)>,
    by_number: bool,
}

impl Sieve for OfUser {
    fn columns(&self, class: ClassUid) -> Vec<String> {
        if class == AUTHENTICATION { vec!["actor.user.name".to_owned(), "no.such.column".to_owned()] } else { Vec::new() }
    }

    fn rows(&mut self, batch: &EventBatch) -> Vec<usize> {
        assert_eq!(batch.class, AUTHENTICATION, "nothing is asked of the others");
        self.looked += batch.rows.num_rows();
        let names = weft_model::event::column(&batch.rows, "actor.user.name").unwrap();
        let is_his = |row: usize| match names.as_dictionary_opt::<Int32Type>() {
            Some(names) => {
                let (keys, texts): (&Int32Array, &StringArray) = (names.keys(), names.values().as_string());
                texts.value(keys.value(row) as usize) == "user42"
            }
            None => names.as_string::<i32>().value(row) == "user42",
        };
        self.by_number |= names.as_dictionary_opt::<Int32Type>().is_some();
        (0..names.len()).filter(|row| is_his(*row)).collect()
    }

    fn take(&mut self, batch: EventBatch) {
        let numbers = batch.rows.column_by_name("n").unwrap().as_primitive::<Int64Type>().clone();
        let raw = batch.rows.column_by_name("raw_data").unwrap().as_string::<i32>();
        self.whole.extend((0..numbers.len()).map(|row| (numbers.value(row), raw.value(row).to_owned())));
    }
}

#[tokio::test]
async fn rows_that_stay_come_whole_from_files_and_tail_within_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = open(dir.path()).await;
    for part in [0..3000, 3000..6000] {
        ingest(&lake, raw(part)).await;
        lake.commit().await.unwrap();
    }
    ingest(&lake, raw(6000..7000)).await;
    // One event a second; those of user 42 are 42, 142, …, without every seventh record, which is none.
    let his = |from: u64, to: u64| (from..to).filter(|n| n % 100 == 42 && n % 7 != 6).map(|n| (n as i64, n.to_string())).collect::<Vec<_>>();
    let mut all = OfUser::default();
    let looked = lake.sift(Timestamp(i64::MIN), Timestamp(i64::MAX), &mut all).await.unwrap();
    assert_eq!(all.whole, his(0, 7000));
    assert!(all.by_number, "texts of files are named by number");
    assert_eq!(looked.files_read, 2, "the other class is not read");
    assert_eq!(looked.events as usize, all.looked);

    let (since, until) = (Timestamp(START + 3_142_000), Timestamp(START + 6_342_000));
    let mut some = OfUser::default();
    let looked = lake.sift(since, until, &mut some).await.unwrap();
    assert_eq!(some.whole, his(3142, 6342), "the beginning belongs to it, the end does not");
    assert_eq!(looked.files_read, 1, "the first file is too old");
}
