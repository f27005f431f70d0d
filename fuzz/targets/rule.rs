//! A rule of somebody else: parsed or told what is wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (_, faults) = weft_analytics::sigma::rule::parse(text);
    for fault in faults {
        assert!(!fault.reason.is_empty());
    }
});
