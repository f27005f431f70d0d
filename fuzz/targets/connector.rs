//! A mapping file of somebody else: compiled or told what is wrong, and one record mapped by it.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weft_ingest::{ConnectorSource, Mapper, Registry};
use weft_model::{Context, Mapping as _};
use weft_testkit::batch;

const MANIFEST: &str = "name = \"x\"\nvendor = \"X\"\nproduct = \"X\"\ndomain = \"generic\"\n[[stream]]\nname = \"a\"\nformat = [\"json\", \"kv\"]\n";
const RECORD: &[u8] = br#"{"a":1,"b":"x=1,y=2","c":[{"d":"e"},{"d":null}],"f":{"g":"2026-03-02T08:00:00Z"}}"#;

fuzz_target!(|mapping: &str| {
    let files = vec![("connector.toml".to_owned(), MANIFEST.to_owned()), ("mapping/a.toml".to_owned(), mapping.to_owned())];
    let (registry, faults) = Registry::build(&[ConnectorSource { name: "x".to_owned(), files }]);
    assert!(faults.iter().all(|fault| fault.to_string().lines().count() == 1), "a fault is one line");
    let mapped = Mapper::new(registry).map(&batch("x/a", Context::default(), vec![Bytes::from_static(RECORD)]));
    assert_eq!(mapped.events() + mapped.rejects.len(), 1);
});
