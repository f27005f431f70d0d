//! Why a value of an example is not under its own path with us: each strict miss has one cause, and
//! only what has none is ours to mend.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{CHANGED, WRONG, equal, flatten, names, parsed};

/// What the example and OCSF 1.8, or the example and its record, disagree about.
const VERSION: &str = "the OCSF version that the example was made for";
const TWIN: &str = "a time as text beside the same time as a number";
const PROFILE: &str = "profiles and extensions: ours follow from the attributes that are set";
const MAPPED: &str = "kept apart in the example, an attribute with us";
const ELSEWHERE: &str = "kept apart by both, under another name";
const JSON: &str = "JSON as text; with us as what it says";
const RENAMED: &str = "another name in OCSF 1.8";
const NUMBERED: &str = "another number or caption in OCSF 1.8";
const UNIT: &str = "another unit or shape of the same time";
const OBSERVABLE: &str = "an observable that OCSF 1.8 does not mark as one";
const IDENTITY: &str = "an identity that several events share, or that is made up";
const RECORD: &str = "the record says otherwise";
/// What is left.
pub const OURS: &str = "ours";

/// The cause of one miss.
pub fn of(pair: &str, path: &str, value: &str, said: &BTreeMap<String, Vec<String>>) -> &'static str {
    match path {
        "metadata.version" => return VERSION,
        "metadata.uid" => return IDENTITY,
        _ if path.starts_with("metadata.profiles") || path.starts_with("metadata.extensions") => return PROFILE,
        _ if path.ends_with("_dt") && value.contains(':') => return TWIN,
        _ if path.starts_with("unmapped.") => return apart(value, said),
        _ => {}
    }
    if WRONG.iter().any(|(name, wrong, _)| pair.contains(name) && path == *wrong) {
        return RECORD;
    }
    let attribute = path.rsplit(['.', ']']).next().unwrap_or(path);
    let changed = CHANGED.iter().any(|(name, old, _)| *name == attribute && *old == value);
    if changed {
        return NUMBERED;
    }
    if names(path).iter().any(|name| parsed(said, name, value)) {
        return JSON;
    }
    if path.starts_with("observables[]") {
        return OBSERVABLE;
    }
    match names(path).iter().find(|name| said.get(*name).is_some_and(|values| values.iter().any(|have| equal(name, value, have)))) {
        Some(name) if name == path => UNIT,
        Some(_) => RENAMED,
        None => OURS,
    }
}

/// Of a value that the example could not map: where it is with us.
fn apart(value: &str, said: &BTreeMap<String, Vec<String>>) -> &'static str {
    let holds = |unmapped: bool| {
        value.split(',').all(|part| {
            let here = |at: &str| at != "raw_data" && at.starts_with("unmapped.") == unmapped;
            said.iter().any(|(at, values)| here(at) && values.iter().any(|have| have.contains(part) || have == value))
        })
    };
    if holds(false) {
        MAPPED
    } else if holds(true) || said.iter().any(|(at, values)| at != "raw_data" && values.iter().any(|have| have.contains(value))) {
        ELSEWHERE
    } else {
        OURS
    }
}

/// How often each cause, by connector.
#[derive(Default)]
pub struct Causes(BTreeMap<String, BTreeMap<&'static str, usize>>);

impl Causes {
    /// Counts one.
    pub fn note(&mut self, connector: &str, cause: &'static str) {
        *self.0.entry(connector.to_owned()).or_default().entry(cause).or_default() += 1;
    }

    /// Misses of a connector that have no other cause.
    pub fn ours(&self, connector: &str) -> usize {
        self.0.get(connector).and_then(|causes| causes.get(OURS)).copied().unwrap_or(0)
    }

    /// The table.
    pub fn text(&self) -> String {
        let mut all: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (connector, causes) in &self.0 {
            for (cause, count) in causes {
                all.entry(cause).or_default().insert(connector, *count);
            }
        }
        let mut text = format!("\n{:<72}", "strict misses by cause");
        for connector in self.0.keys() {
            let _ = write!(text, "{connector:>9}");
        }
        for (cause, counts) in all {
            let _ = write!(text, "\n{cause:<72}");
            for connector in self.0.keys() {
                let _ = write!(text, "{:>9}", counts.get(connector.as_str()).copied().unwrap_or(0));
            }
        }
        text.push('\n');
        text
    }
}

#[test]
fn a_miss_has_one_cause() {
    let mut said = BTreeMap::new();
    flatten("", &serde_json::json!({ "api": { "request": { "data": { "a": "b" } } }, "cloud": { "account": { "uid": "1" } } }), &mut said);
    assert_eq!(of("x", "api.request.data", r#"{"a":"b"}"#, &said), JSON);
    assert_eq!(of("x", "unmapped.recipientAccountId", "1", &said), MAPPED);
    assert_eq!(of("x", "cloud.account_uid", "1", &said), RENAMED);
    assert_eq!(of("x", "actor.user.name", "ada", &said), OURS);
}
