//! One record of any form through all fingerprints, decoders and mappings: an event or a reject.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weft_ingest::Mapper;
use weft_ingest::schema::{Level, Validator};
use weft_model::{Context, Mapping as _};
use weft_testkit::{batch, registry};

static MAPPER: LazyLock<Mapper> = LazyLock::new(|| Mapper::new(Arc::clone(&registry().0)));
static VALIDATOR: LazyLock<Validator> = LazyLock::new(Validator::new);

fuzz_target!(|record: &[u8]| {
    let mapped = MAPPER.map(&batch("auto", Context::default(), vec![Bytes::copy_from_slice(record)]));
    assert_eq!(mapped.events() + mapped.rejects.len(), 1);
    // What says that it is OCSF already is taken as it is.
    for event in mapped.batches.iter().flat_map(|events| events.to_json()).filter(|event| event["raw_data"].as_str().is_some_and(|raw| !raw.contains("class_uid"))) {
        let wrong = VALIDATOR.validate(&event).into_iter().find(|violation| violation.level() == Level::Error);
        assert!(wrong.is_none(), "{}: {event}", wrong.map(|wrong| wrong.to_string()).unwrap_or_default());
    }
});
