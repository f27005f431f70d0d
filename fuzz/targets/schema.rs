//! A compiled schema that a user brings: read, or told what is wrong; and an event checked by it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_ingest::schema::{Validator, load_compiled};

fuzz_target!(|input: (Vec<u8>, String)| {
    let (schema, event) = input;
    let Ok(event) = serde_json::from_str(&event) else { return };
    match load_compiled(&schema) {
        Ok(schema) => drop(Validator::with(schema).validate(&event)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    drop(Validator::new().validate(&event));
});
