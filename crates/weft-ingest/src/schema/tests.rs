#![allow(clippy::print_stdout, reason = "tables for the reader of a test run")]
use super::*;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A valid logon, which each case below damages in one way.
fn logon() -> Value {
    json!({
        "activity_id": 1, "activity_name": "Logon", "category_uid": 3, "class_uid": 3002, "type_uid": 300_201,
        "severity_id": 1, "severity": "Informational", "time": 1_700_000_000_000_i64, "status_id": 1,
        "metadata": { "version": "1.8.0", "profiles": ["cloud", "datetime", "host"], "product": { "name": "Acme Directory", "vendor_name": "Acme" } },
        "cloud": { "provider": "Acme Cloud", "account": { "uid": "123456789012" } },
        "user": { "name": "ada", "uid": "u1", "type_id": 1, "email_addr": "ada@example.com" },
        "src_endpoint": { "ip": "203.0.113.7", "port": 51022, "mac": "18:36:F3:98:4F:9A" },
        "dst_endpoint": { "hostname": "login.example.com" },
        "device": { "hostname": "laptop", "type_id": 2, "network_interfaces": [{ "ip": "10.0.0.2", "type_id": 1 }] },
        "time_dt": "2023-11-14T22:13:20Z",
        "observables": [{ "name": "src_endpoint.ip", "type_id": 2, "value": "203.0.113.7" }],
        "raw_data": "{}",
        "unmapped": { "anything": { "at": ["all", 1, null] } }
    })
}

/// Sets what a JSON pointer names; `null` takes it away, since null counts as missing.
fn with(pointer: &str, value: Value) -> Value {
    let mut event = logon();
    let (above, name) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(above).unwrap()[name] = value;
    event
}

fn check(event: &Value) -> Vec<String> {
    Validator::new().validate(event).iter().map(|violation| format!("{:?} {violation}", violation.kind)).collect()
}

#[test]
fn a_valid_event_has_no_violation() {
    assert_eq!(check(&logon()), [] as [String; 0]);
}

#[test]
fn each_rule_finds_its_one_fault() {
    let cases: &[(&str, Value, &str)] = &[
        ("/user/nmae", json!("ada"), "UnknownAttribute user.nmae: is not an attribute of `user`; did you mean `name`?"),
        ("/user/name", json!(7), "WrongType user.name: 7 is a number, not username"),
        ("/user", json!("ada"), "WrongType user: `ada` is text, not object `user`"),
        ("/time", json!("2023"), "WrongType time: `2023` is text, not timestamp"),
        ("/status_id", json!(1.5), "WrongType status_id: 1.5 is a number, not integer"),
        ("/unmapped", json!("x"), "WrongType unmapped: `x` is text, not object `object`"),
        ("/raw_data", json!({}), "WrongType raw_data: the value is an object, not string"),
        ("/observables", json!({}), "Array observables: is a list of object, not an object"),
        ("/severity", json!(["High"]), "Array severity: is one string, not a list"),
        ("/metadata/product", Value::Null, "MissingRequired metadata.product: is required in `metadata` and missing"),
        ("/user", Value::Null, "MissingRequired user: is required in `authentication` and missing"),
        ("/cloud", Value::Null, "MissingRequired cloud: is required in `authentication` and missing"),
        ("/user/type_id", json!(77), "NotInEnum user.type_id: 77 is not one of 0 Unknown, 1 User, 2 Admin, 3 System, 4 Service, 99 Other"),
        ("/category_uid", json!(4), "NotInEnum category_uid: 4 is not one of 3 Identity & Access Management"),
        ("/dst_endpoint", Value::Null, "AtLeastOne `authentication` needs at least one of `service`, `dst_endpoint`"),
        ("/src_endpoint", json!({ "port": 1 }), "AtLeastOne src_endpoint: `network_endpoint` needs at least one of `ip`, `uid`, `name`, `hostname`"),
        ("/type_uid", json!(300_202), "TypeUid type_uid: 300202 is not 300201, which is `class_uid` times 100 plus `activity_id`"),
        ("/src_endpoint/port", json!(70000), "OutOfRange src_endpoint.port: 70000 is outside of 0 to 65535"),
        ("/time", json!(1_700_000_000_000_000_i64), "OutOfRange time: 1700000000000000 is outside of"),
        ("/count", json!(u64::MAX), "OutOfRange count: 18446744073709551615 is outside of"),
        ("/src_endpoint/ip", json!("203.0.113.777"), "Format src_endpoint.ip: `203.0.113.777` is not an IPv4 or IPv6 address"),
        ("/src_endpoint/mac", json!("18"), "Format src_endpoint.mac: `18` is not a MAC address"),
        ("/user/email_addr", json!("ada"), "Format user.email_addr: `ada` is not an e-mail address"),
        ("/time_dt", json!("yesterday"), "Format time_dt: `yesterday` is not a time as"),
        ("/observables/0/type_id", json!(4711), "NotInEnum observables[0].type_id: 4711 is not one of 0 Unknown, 1 Hostname"),
        ("/class_uid", json!(4711), "UnknownClass class_uid: 4711 is not a class of OCSF 1.8.0"),
        ("/class_uid", json!("3002"), "UnknownClass class_uid: \"3002\" is not a class number"),
        ("/user/credential_uid", json!("k"), "Deprecated user.credential_uid: is deprecated"),
        ("/is_alert", json!(true), "Profile is_alert: belongs to profile `security_control`, which `metadata.profiles` does not name"),
        ("/severity", json!("High"), "Sibling severity_id: 1 means `Informational`, but `severity` is `High`"),
    ];
    for (pointer, value, expected) in cases {
        let found = check(&with(pointer, value.clone()));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{pointer} {value}\n{found:#?}");
    }
}

#[test]
fn one_of_several_is_exactly_one() {
    let query = |evidence: Value| {
        json!({ "activity_id": 1, "category_uid": 5, "class_uid": 5040, "type_uid": 504_001, "severity_id": 1, "time": 0,
        "metadata": { "version": "1.8.0", "product": { "name": "p", "vendor_name": "v" } }, "device": { "type_id": 0, "hostname": "h" }, "query_result_id": 1, "query_evidence": evidence })
    };
    assert_eq!(check(&query(json!({ "query_type_id": 0, "reg_key": { "path": "HKLM" } }))), [] as [String; 0]);
    let both = check(&query(json!({ "query_type_id": 0, "reg_key": { "path": "HKLM" }, "session": { "uid": "1" } })));
    assert!(
        both.len() == 1 && both[0].starts_with("JustOne query_evidence: `query_evidence` needs exactly one of") && both[0].ends_with("and has 2"),
        "{both:#?}"
    );
}

#[test]
fn what_is_not_an_event_is_said() {
    assert_eq!(check(&json!([1])), ["WrongType an event is an object, not a list"]);
    assert_eq!(check(&json!({})), ["UnknownClass class_uid: is missing, so nothing can be checked"]);
}

#[test]
fn depth_and_number_of_violations_are_bounded() {
    let mut process = json!({ "pid": 1 });
    for pid in 2..60 {
        process = json!({ "pid": pid, "parent_process": process });
    }
    let mut event = logon();
    event["actor"] = json!({ "process": process });
    let found = Validator::new().validate(&event);
    assert_eq!(found.iter().map(|violation| violation.kind).collect::<Vec<_>>(), [Kind::TooDeep]);
    let mut event = logon();
    for number in 0..500 {
        event[format!("bogus_{number}")] = json!(1);
    }
    let found = Validator::new().validate(&event);
    assert_eq!((found.len(), found.last().unwrap().kind), (101, Kind::TooMany));
    assert!(found.last().unwrap().message.starts_with("400 more errors"));
    assert_eq!((Kind::Sibling.level(), Kind::Format.level()), (Level::Warning, Level::Error));
}

#[test]
fn windows_and_linux_attributes_are_known() {
    let event = json!({
        "activity_id": 2, "category_uid": 1, "class_uid": 201_002, "type_uid": 20_100_202, "type_name": "Registry Value Activity: Set", "severity_id": 1, "time": 1,
        "metadata": { "version": "1.8.0", "profiles": ["linux/linux_users"], "product": { "name": "Acme Sensor", "vendor_name": "Acme" } },
        "actor": { "process": { "pid": 4, "auid": 1000, "name": "reg.exe" } }, "device": { "type_id": 0, "hostname": "h" },
        "reg_value": { "name": "Run", "path": "HKLM\\Software", "type_id": 10, "reg_string_data": "x" }
    });
    assert_eq!(check(&event), [] as [String; 0]);
}

/// A compiled schema in the form that OCSF servers export, small enough to read.
fn compiled() -> Value {
    json!({
        "version": "9.9.9",
        "types": {},
        "objects": {
            "metadata": { "name": "metadata", "caption": "Metadata", "attributes": { "version": { "type": "string_t", "requirement": "required" } } },
            "acme/badge": { "name": "badge", "caption": "Badge", "constraints": { "at_least_one": ["uid", "name"] },
                "attributes": { "uid": { "type": "string_t" }, "name": { "type": "string_t" }, "colour_id": { "type": "integer_t", "sibling": "colour", "enum": { "0": { "caption": "Unknown" }, "1": { "caption": "Red" } } } } }
        },
        "classes": {
            "acme/door_opened": { "name": "door_opened", "caption": "Door Opened", "uid": 901_001, "category_uid": 1, "category_name": "System Activity", "attributes": {
                "class_uid": { "type": "integer_t", "requirement": "required" },
                "metadata": { "type": "object_t", "object_type": "metadata", "requirement": "required" },
                "badges": { "type": "object_t", "object_type": "acme/badge", "is_array": true, "requirement": "recommended", "profile": null },
                "where": { "type": "acme_door_t", "type_name": "String", "profile": "site" } } }
        }
    })
}

#[test]
fn a_schema_of_the_users_own_is_checked_by_the_same_code() {
    let schema = load_compiled(compiled().to_string().as_bytes()).unwrap();
    assert_eq!((schema.version(), schema.classes().len(), schema.objects().len()), ("9.9.9", 1, 2));
    let validator = Validator::with(schema);
    let event =
        json!({ "class_uid": 901_001, "metadata": { "version": "9.9.9", "profiles": [] }, "badges": [{ "uid": "1", "colour_id": 1 }, { "colour_id": 2 }] });
    let found: Vec<String> = validator.validate(&event).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "metadata.profiles: is not an attribute of `metadata`",
            "badges[1].colour_id: 2 is not one of 0 Unknown, 1 Red",
            "badges[1]: `badge` needs at least one of `uid`, `name`",
        ]
    );
    assert_eq!(validator.validate(&logon())[0].message, "3002 is not a class of OCSF 9.9.9");
}

#[test]
fn what_is_no_compiled_schema_is_refused_with_its_place() {
    let refused = |bytes: &[u8]| load_compiled(bytes).unwrap_err().to_string();
    assert!(refused(b"{").starts_with("the schema is not JSON"));
    assert!(refused(b"{}").starts_with("`classes` is missing"));
    assert!(refused("[".repeat(100_000).as_bytes()).starts_with("the schema is not JSON: recursion limit"));
    let mut schema = compiled();
    schema["classes"]["acme/door_opened"]["attributes"]["badges"]["object_type"] = json!("gone");
    assert!(refused(schema.to_string().as_bytes()).starts_with("`acme/door_opened.badges` is of object `gone`"));
    let mut schema = compiled();
    schema["classes"]["acme/door_opened"]["uid"] = json!(-1);
    assert!(refused(schema.to_string().as_bytes()).starts_with("`classes.acme/door_opened` has no valid `uid`"));
    let attributes: serde_json::Map<String, Value> = (0..2001).map(|number| (format!("a{number}"), json!({ "type": "string_t" }))).collect();
    let mut schema = compiled();
    schema["objects"]["metadata"]["attributes"] = Value::Object(attributes);
    assert!(refused(schema.to_string().as_bytes()).starts_with("the schema has 2001 attributes in `metadata`"));
    assert!(
        load_compiled_file(std::path::Path::new("/nowhere/schema.json"))
            .unwrap_err()
            .to_string()
            .starts_with("the schema `/nowhere/schema.json` cannot be read")
    );
}

/// The community's examples are not always valid; the table says in what way. What must hold: each
/// is JSON of a class that we have, and no violation is of our own making.
#[test]
fn published_examples_have_only_faults_of_their_own() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ocsf-examples");
    if !folder.is_dir() {
        println!("skipped: no published examples at {}", folder.display());
        return;
    }
    let validator = Validator::new();
    let mut table = std::collections::BTreeMap::<(Kind, String), usize>::new();
    let (mut events, mut valid) = (0, 0);
    let archives = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| !path.to_string_lossy().contains("raw"));
    for (name, text) in archives.flat_map(|path| archive(&path)) {
        for event in serde_json::Deserializer::from_str(&text)
            .into_iter::<Value>()
            .map_while(Result::ok)
            .flat_map(|value| if let Value::Array(items) = value { items } else { vec![value] })
        {
            let version = event.pointer("/metadata/version").and_then(Value::as_str).unwrap_or_default();
            if event.get("class_uid").is_none() || version.starts_with("1.0") {
                continue;
            }
            let found = validator.validate(&event);
            events += 1;
            valid += usize::from(found.iter().all(|violation| violation.level() == Level::Warning));
            for violation in found {
                assert!(!matches!(violation.kind, Kind::UnknownClass | Kind::TooDeep), "{name}: {violation}");
                let digits = |letter: char| letter.is_ascii_digit() || letter == '[' || letter == ']';
                *table.entry((violation.kind, violation.path.replace(digits, ""))).or_default() += 1;
            }
        }
    }
    let mut printed = String::new();
    for ((kind, path), count) in &table {
        let _ = writeln!(printed, "{count:>5}  {:?} {kind:?}  {path}", kind.level());
    }
    println!("{events} examples, {valid} without errors\n{printed}");
    assert!(events >= 20, "{events} examples");
}

/// Name and text of each example in an archive; `tar` is the only reader of xz at hand.
fn archive(path: &std::path::Path) -> Vec<(String, String)> {
    let tar = |arguments: &[&str]| {
        std::process::Command::new("tar").args(arguments).output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    };
    let path = path.to_string_lossy().into_owned();
    let names = tar(&["-tJf", &path]);
    let examples = names.lines().filter(|name| name.ends_with(".ocsf") || name.ends_with(".json"));
    examples.map(|name| (name.to_owned(), tar(&["-xJOf", &path, name]))).collect()
}

/// Tests validate whole files of events, so the walk must not be what they wait for; the rate is
/// printed, docs/guide/ocsf.md names one.
#[test]
fn a_hundred_thousand_events_are_checked() {
    let (validator, event) = (Validator::new(), logon());
    let start = std::time::Instant::now();
    let violations: usize = (0..100_000).map(|_| validator.validate(std::hint::black_box(&event)).len()).sum();
    let rate = 100_000.0 / start.elapsed().as_secs_f64();
    println!("{rate:.0} events/s");
    assert_eq!(violations, 0);
}
