use super::*;
use std::collections::HashSet;

#[test]
fn tables_are_whole() {
    let schema = load::parse(TABLES).unwrap();
    assert_eq!(schema.version(), "1.8.0");
    assert_eq!(schema.classes().len(), 80);
    let uids: HashSet<u32> = schema.classes().iter().map(|class| class.uid).collect();
    let names: HashSet<&str> = schema.classes().iter().map(|class| &*class.name).collect();
    assert_eq!((uids.len(), names.len()), (80, 80));
    for class in schema.classes() {
        for name in ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"] {
            assert_eq!(class.attribute(name).map(|attribute| attribute.requirement), Some(Requirement::Required), "{} {name}", class.name);
        }
        assert_eq!(class.uid % 100_000 / 1000, class.category_uid, "{}", class.name);
        let class_uid = schema.enum_of(class.attribute("class_uid").unwrap()).unwrap();
        assert_eq!(class_uid.caption(i64::from(class.uid)), Some(&*class.caption));
    }
    let every = schema.classes().iter().map(|class| &class.attributes).chain(schema.objects().iter().map(|object| &object.attributes));
    for attributes in every {
        assert!(attributes.windows(2).all(|pair| pair[0].name < pair[1].name));
        for attribute in attributes {
            assert_eq!(attribute.type_ == Type::Object, attribute.object.is_some(), "{}", attribute.name);
        }
    }
}

#[test]
fn damaged_tables_are_refused_with_the_line() {
    assert_eq!(load::parse("").unwrap_err().field, "version");
    assert_eq!(load::parse("ocsf\t1\nz\n").unwrap_err(), TableError { line: 2, field: "kind" });
    assert_eq!(load::parse("ocsf\t1\na\tx\tnope\n").unwrap_err().field, "type");
    assert_eq!(load::parse("ocsf\t1\na\tx\t@gone\n").unwrap_err().field, "object");
    assert_eq!(load::parse("ocsf\t1\na\tx\tinteger\to\t3\t-\t-\t-\n").unwrap_err().field, "enum");
    assert_eq!(load::parse("ocsf\t1\no\tx\tX\t-\t-\t-\t0\n").unwrap_err().field, "attributes");
}

#[test]
fn known_classes_are_as_published() {
    let schema = schema();
    let authentication = schema.class(3002).unwrap();
    assert_eq!(
        (&*authentication.name, &*authentication.caption, &*authentication.category_name),
        ("authentication", "Authentication", "Identity & Access Management")
    );
    assert_eq!(authentication.attribute("user").unwrap().requirement, Requirement::Required);
    assert_eq!(authentication.attribute("actor").unwrap().profiles.len(), 0);
    assert_eq!(authentication.attribute("cloud").unwrap().profiles, ["cloud".into()]);
    assert_eq!(authentication.attribute("time_dt").unwrap().profiles, ["datetime".into()]);
    assert_eq!(authentication.constraints.at_least_one, ["service".into(), "dst_endpoint".into()]);
    assert_eq!(schema.type_name(300_201).as_deref(), Some("Authentication: Logon"));
    assert_eq!(schema.type_name(300_298), None);
    assert_eq!(authentication.type_uid(1), 300_201);
    assert_eq!(schema.class_by_name("win/registry_value_activity").map(|class| class.uid), Some(201_002));
    assert_eq!(schema.class_by_name("registry_key_activity").map(|class| class.uid), Some(201_001));
    assert_eq!(schema.type_name(20_100_202).as_deref(), Some("Registry Value Activity: Set"));
    assert!(schema.class(5002).unwrap().deprecated && !schema.class(5019).unwrap().deprecated);
    assert!(schema.class_by_name("iam").is_none() && schema.object("_entity").is_none());
    assert_eq!(schema.class(6003).unwrap().attribute("ai_model").unwrap().profiles, ["ai_operation".into()]);
}

#[test]
fn enums_go_both_ways() {
    let schema = schema();
    let class = schema.class(3002).unwrap();
    let activities = schema.enum_of(class.attribute("activity_id").unwrap()).unwrap();
    assert_eq!(activities.caption(1), Some("Logon"));
    assert_eq!(activities.value_of("account_SWITCH"), Some(7));
    assert_eq!((activities.caption(42), activities.value_of("nonsense")), (None, None));
    assert_eq!(activities.listing(2), "0 Unknown, 1 Logon, …");
    let method = schema.object("http_request").unwrap().attribute("http_method").unwrap();
    assert!(schema.enum_of(method).unwrap().has_name("GET"));
    assert_eq!(class.attribute("severity_id").unwrap().sibling.as_deref(), Some("severity"));
    assert_eq!(class.attribute("activity_id").unwrap().sibling.as_deref(), Some("activity_name"));
    let actions = schema.enum_of(class.attribute("action_id").unwrap()).unwrap();
    assert_eq!((actions.caption(3), actions.caption(99)), (Some("Observed"), Some("Other")));
}

#[test]
fn observables_are_marked() {
    let schema = schema();
    let of = |path: &str| schema.resolve(4001, path).unwrap().leaf().unwrap().observable;
    assert_eq!([of("src_endpoint.ip"), of("src_endpoint.hostname"), of("src_endpoint.mac"), of("src_endpoint.port")], [Some(2), Some(1), Some(3), Some(11)]);
    assert_eq!([of("actor.user.name"), of("actor.user"), of("actor.user.uid"), of("actor.process.cmd_line")], [Some(4), Some(21), Some(31), Some(13)]);
    assert_eq!(Type::Ip.observable_type_id(), Some(2));
    let type_id = schema.object("observable").unwrap().attribute("type_id").unwrap();
    let types = schema.enum_of(type_id).unwrap();
    assert_eq!((types.caption(2), types.caption(46), types.caption(28)), (Some("IP Address"), Some("Registry Key Path"), Some("Registry Key")));
    let missing: Vec<i64> = (0..=48).filter(|uid| types.caption(*uid).is_none()).collect();
    assert_eq!(missing, [] as [i64; 0]);
}

#[test]
fn paths_resolve() {
    let schema = schema();
    let resolved = schema.resolve(4003, "answers[].rdata").unwrap();
    assert_eq!((resolved.leaf().unwrap().type_, resolved.is_plural(), resolved.chain.len()), (Type::String, true, 2));
    assert!(schema.resolve(4003, "answers.rdata").unwrap().is_plural());
    assert!(!schema.resolve(1007, "process.parent_process.parent_process.file.name").unwrap().is_plural());
    let free = schema.resolve(1007, "unmapped.detail.code").unwrap();
    assert_eq!((&*free.leaf().unwrap().name, free.free.as_deref()), ("unmapped", Some("detail.code")));
    assert_eq!(schema.resolve(1007, "actor.process.auid").unwrap().leaf().unwrap().profiles, ["linux/linux_users".into()]);
    assert_eq!(schema.resolve(1007, "actor.process.euid").unwrap().leaf().unwrap().profiles, ["linux/linux_users".into(), "macos/macos_users".into()]);
    assert_eq!(schema.resolve(201_002, "reg_value.path").unwrap().leaf().unwrap().type_, Type::RegKeyPath);
    assert_eq!(schema.resolve(6003, "cloud.account.uid").unwrap().chain[0].profiles, ["cloud".into()]);
}

#[test]
fn wrong_paths_say_where_and_what_is_near() {
    let schema = schema();
    let message = |class, path| schema.resolve(class, path).unwrap_err().to_string();
    assert_eq!(message(3002, "actor.user.nmae"), "`actor.user.nmae`: `nmae` is not an attribute of `user`; did you mean `name`?");
    assert_eq!(message(3002, "time.hour"), "`time.hour`: `time` is of type `timestamp` and has no attributes");
    assert_eq!(message(31, "time"), "there is no OCSF class `31`");
    assert_eq!(message(3002, "actor..name"), "`actor..name` is not a path; write attribute names with dots between them");
    assert_eq!(message(3002, "qqqq"), "`qqqq`: `qqqq` is not an attribute of `authentication`");
    assert!(matches!(schema.resolve(3002, "src_endpoint.ipp").unwrap_err(), PathError::Unknown { position: 1, .. }));
    assert!(matches!(schema.resolve(3002, &"a.".repeat(99)).unwrap_err(), PathError::Malformed { .. }));
}
