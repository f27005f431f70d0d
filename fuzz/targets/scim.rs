//! SCIM: a filter, a resource and a patch of it; what comes of them is a resource again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use weft_identity::scim::{Change, Filter, Form, Selection, accept, changes};

fuzz_target!(|input: (String, String, String)| {
    let (words, resource, patch) = input;
    let filter = Filter::parse(&words);
    let selection = Selection::parse(&words, "");
    let Ok(sent) = serde_json::from_str::<Value>(&resource) else { return };
    for form in Form::ALL {
        let Ok(kept) = accept(form, sent.clone()) else { continue };
        let _fits = filter.as_ref().map(|filter| filter.fits(form, &kept));
        let _given = selection.as_ref().map(|selection| selection.of(kept.clone()));
        let Ok(changes) = serde_json::from_str::<Value>(&patch).map_err(drop).and_then(|patch| changes(&patch).map_err(drop)) else { continue };
        if let Ok(changed) = Change::all(&changes, form, kept) {
            assert_eq!(accept(form, Value::Object(changed.clone())), Ok(changed));
        }
    }
});
