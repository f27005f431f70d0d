//! A record explained: the second walk agrees with the first on what became of it; and a policy
//! of somebody else drops it or not.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weft_ingest::map::explain::explain;
use weft_ingest::{ConnectorSource, DropPolicy, Drops, Mapper, Registry};
use weft_model::{Context, Mapping as _};
use weft_testkit::batch;

const MANIFEST: &str = "name = \"x\"\nvendor = \"X\"\nproduct = \"X\"\ndomain = \"generic\"\n[[stream]]\nname = \"a\"\nformat = [\"json\", \"kv\"]\nrecognise = \"exists(a) and b == 1\"\n";
const MAPPING: &str = "[alias]\nwho = [\"a.user\", \"user\"]\n[[event]]\nclass = \"authentication\"\nwhen = \"exists(who) and (a.kind == 'x' or b > 3)\"\nset = { activity_id = 1, \"user.name\" = \"who\", message = \"lower(c) ?? d\", \"src_endpoint.ip\" = \"ip\", status_id = \"1 if ok else 2\" }\n";

static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(|| {
    let files = vec![("connector.toml".to_owned(), MANIFEST.to_owned()), ("mapping/a.toml".to_owned(), MAPPING.to_owned())];
    Registry::build_traced(&[ConnectorSource { name: "x".to_owned(), files }]).0
});

fuzz_target!(|input: (&[u8], &str)| {
    let (record, condition) = input;
    for stream in ["x/a", "auto"] {
        let raw = batch(stream, Context::default(), vec![Bytes::copy_from_slice(record)]);
        let mapped = Mapper::new(Arc::clone(&REGISTRY)).map(&raw);
        for explained in explain(&REGISTRY, &raw) {
            assert_eq!(explained.outcome == "event", mapped.events() == 1);
        }
        let policy = DropPolicy { stream: "x/a".to_owned(), when: Some(condition.to_owned()), ..DropPolicy::default() };
        if let Ok(drops) = Drops::compile(&REGISTRY, &[policy]) {
            let mapped = Mapper::new(Arc::clone(&REGISTRY)).with_drops(Arc::new(drops)).map(&raw);
            assert_eq!(mapped.events() as u64 + mapped.rejects.len() as u64 + mapped.dropped, raw.records.len() as u64);
        }
    }
});
