//! A description of an API, answers to what it asks, and messages about objects: told what is wrong,
//! or read; never more records than an answer has.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use weft_ingest::pull::{Answer, Session, Settings, describe, notice};
use weft_model::Position;

const PLAIN: &str = "stream = \"a\"\ntitle = \"t\"\ndocs = \"d\"\n[auth]\nkind = \"none\"\n[request]\nurl = \"https://h/x\"\nquery = { t = \"{token}\", s = \"{since}\" }\n\
    [records]\nat = \"/a\"\nkey = \"/b\"\ntime = \"/c\"\n[page]\nkind = \"token\"\nat = \"/d\"\n[window]\nformat = \"rfc3339\"\n";

fuzz_target!(|text: &str| {
    let _message = notice(text);
    let described = describe("x/pull/a.toml", "x/a", text);
    if let Err(faults) = &described {
        assert!(faults.iter().all(|fault| fault.to_string().lines().count() == 1), "a fault is one line");
    }
    for description in [described.ok(), describe("x/pull/a.toml", "x/a", PLAIN).ok()].into_iter().flatten() {
        let mut session = Session::new(Arc::new(description), Settings::default());
        session.resume(&Position(text.to_owned()), Vec::new());
        for _ in 0..3 {
            if session.ask(1_800_000_000_000).is_err() {
                return;
            }
            let headers = vec![("link".to_owned(), text.to_owned()), ("retry-after".to_owned(), text.to_owned())];
            let answer = Answer { status: 200, headers, body: text.as_bytes().to_vec().into() };
            let Ok(taken) = session.take(1_800_000_000_000, &answer) else { return };
            let records: usize = taken.chunks.iter().flat_map(|chunk| &chunk.records).map(|record| record.bytes.len()).sum();
            assert!(records <= text.len());
            taken.chunks.iter().for_each(|chunk| session.stored(chunk));
        }
    }
});
