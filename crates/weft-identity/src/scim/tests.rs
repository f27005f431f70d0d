use proptest::prelude::*;
use serde_json::{Map, Value, json};

use weft_model::Timestamp;

use super::{Change, Filter, Form, PATCH, Path, Refusal, Selection, Step, accept, changes};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn ada() -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE, "urn:acme:badge"], "USERNAME": "Ada", "externalId": "E-1", "active": "True",
        "name": {"givenname": "Ada", "familyName": "Lovelace"}, "password": "secret", "id": "made up", "meta": {"version": "1"},
        "emails": [{"value": "ada@corp.example", "type": "work", "primary": true}, {"value": "ada@home.example", "type": "home"}],
        ENTERPRISE: {"employeenumber": 7, "manager": "m-1"}, "urn:acme:badge": {"colour": "red"}, "shoeSize": 40,
    })
}

fn kept() -> Map<String, Value> {
    accept(Form::User, ada()).unwrap()
}

fn patch(operations: Value) -> Result<Map<String, Value>, Refusal> {
    let read = changes(&json!({"schemas": [PATCH], "Operations": operations}))?;
    Change::all(&read, Form::User, kept())
}

fn patched(operations: Value) -> Value {
    Value::Object(patch(operations).unwrap())
}

#[test]
fn a_resource_is_kept_as_the_standard_writes_it() {
    let kept = Value::Object(kept());
    assert_eq!((&kept["userName"], &kept["active"], &kept["name"]["givenName"]), (&json!("Ada"), &json!(true), &json!("Ada")));
    assert_eq!(kept[ENTERPRISE], json!({"employeeNumber": "7", "manager": {"value": "m-1"}}));
    assert_eq!((&kept["urn:acme:badge"], &kept["shoeSize"]), (&json!({"colour": "red"}), &json!(40)), "what the standard does not know is kept");
    assert!(kept.get("password").is_none() && kept.get("id").is_none() && kept.get("meta").is_none(), "{kept}");
    assert_eq!(kept["schemas"].as_array().unwrap().len(), 3, "{kept}");
}

#[test]
fn what_is_no_resource_is_refused() {
    for (form, sent, kind, said) in [
        (Form::User, json!([]), "invalidSyntax", "an object"),
        (Form::User, json!({"displayName": "x"}), "invalidValue", "a User needs a `userName`"),
        (Form::Group, json!({"displayName": " "}), "invalidValue", "a Group needs a `displayName`"),
        (Form::User, json!({"userName": ["x"]}), "invalidValue", "`userName` has to be a text"),
        (Form::User, json!({"userName": "x", "active": "perhaps"}), "invalidValue", "`active` has to be `true` or `false`"),
        (Form::User, json!({"userName": "x", "name": "Ada"}), "invalidValue", "`name` has to be an object"),
    ] {
        let refusal = accept(form, sent).unwrap_err();
        assert!(refusal.kind == Some(kind) && refusal.detail.contains(said), "{refusal:?}");
    }
}

#[test]
fn filters_find_what_is_like_them() {
    let kept = kept();
    for (filter, fits) in [
        (r#"userName eq "ada""#, true),
        (r#"userName eq "adam""#, false),
        (r#"username sw "A" and not (active eq false)"#, true),
        (r#"externalId eq "e-1""#, false),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName co "d""#, true),
        (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq "7""#, true),
        (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "m-1""#, true),
        (r#"emails[type eq "work" and value ew "@CORP.example"]"#, true),
        (r#"emails[type eq "home" and value ew "@corp.example"]"#, false),
        (r#"emails.value co "home" or title pr"#, true),
        (r#"emails co "corp.example""#, true),
        (r#"emails.type eq "fax""#, false),
        (r#"title pr"#, false),
        (r#"title eq null"#, true),
        (r#"title ne "x""#, true),
        (r#"name.givenName gt "Aaa" and name.familyName le "lovelace""#, true),
        (r#"(active eq true)"#, true),
        (r#"shoeSize ge 39.5 and shoeSize lt 41"#, true),
        (r#"nickName eq "x" or userName eq "ada" and active eq false"#, false),
    ] {
        assert_eq!(Filter::parse(filter).unwrap().fits(Form::User, &kept), fits, "{filter}");
    }
}

#[test]
fn what_is_no_filter_is_told_with_its_place() {
    for (filter, said) in [
        ("", "character 1 of ``: the name of an attribute"),
        ("userName is \"x\"", "character 9 of"),
        ("userName eq x", "a text in quotes"),
        ("userName eq \"x", "a text in quotes"),
        ("(userName pr", "`)` is expected"),
        ("emails[type eq \"x\"", "`]` is expected"),
        ("active gt true", "neither more nor less"),
        ("userName pr title pr", "`and`, `or` or the end"),
        ("a.b.c pr", "the name of an attribute"),
        (&format!("{}a pr{}", "(".repeat(40), ")".repeat(40)), "brackets within brackets"),
        (&"a pr or ".repeat(4_000), "longer than"),
    ] {
        let refusal = Filter::parse(filter).unwrap_err();
        assert!(refusal.kind == Some("invalidFilter") && refusal.detail.contains(said), "{filter}: {refusal:?}");
    }
    assert_eq!(Path::parse("emails[type eq").unwrap_err().kind, Some("invalidPath"));
}

#[test]
fn a_filter_tells_what_can_be_looked_up() {
    let equals = |filter: &str, name: &str| Filter::parse(filter).unwrap().equals(name).map(str::to_owned);
    assert_eq!(equals(r#"active eq true and userName eq "x""#, "userName").as_deref(), Some("x"));
    assert_eq!(equals(r#"active eq true or userName eq "x""#, "userName"), None);
    assert_eq!(equals(r#"not (userName eq "x")"#, "userName"), None);
}

#[test]
fn patches_change_what_they_name() {
    let changed = patched(json!([
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "add", "path": "title", "value": "Countess"},
        {"op": "replace", "path": "name.familyName", "value": "Byron"},
        {"op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Engines"},
        {"op": "remove", "path": format!("{ENTERPRISE}:employeeNumber")},
        {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "ada@new.example"},
        {"op": "add", "path": "emails", "value": {"value": "ada@third.example", "type": "other", "primary": true}},
        {"op": "remove", "path": "emails[type eq \"home\"]"},
    ]));
    assert_eq!((&changed["active"], &changed["title"]), (&json!(false), &json!("Countess")));
    assert_eq!(changed["name"], json!({"givenName": "Ada", "familyName": "Byron"}));
    assert_eq!(changed[ENTERPRISE], json!({"manager": {"value": "m-1"}, "department": "Engines"}));
    let emails = json!([{"value": "ada@new.example", "type": "work", "primary": false}, {"value": "ada@third.example", "type": "other", "primary": true}]);
    assert_eq!(changed["emails"], emails, "one is the first");
}

#[test]
fn patches_are_understood_as_identity_providers_send_them() {
    let changed = patched(json!([
        {"op": "Add", "value": {"active": "False", "name.givenName": "A.", (format!("{ENTERPRISE}:division")): "R", "ENTERPRISE": 1}},
        {"op": "add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+44 1"},
        {"op": "replace", "path": ENTERPRISE, "value": {"costCenter": "9"}},
        {"op": "replace", "path": format!("{ENTERPRISE}:manager"), "value": "m-2"},
        {"op": "replace", "path": "password", "value": "other"},
    ]));
    assert_eq!((&changed["active"], &changed["name"]["givenName"]), (&json!(false), &json!("A.")));
    assert_eq!(changed["phoneNumbers"], json!([{"type": "mobile", "value": "+44 1"}]));
    assert_eq!(changed[ENTERPRISE], json!({"employeeNumber": "7", "manager": {"value": "m-2"}, "division": "R", "costCenter": "9"}));
    assert!(changed.get("password").is_none());
}

#[test]
fn members_come_and_go() {
    let group = |members: Value| accept(Form::Group, json!({"displayName": "g", "members": members})).unwrap();
    let apply = |operations: Value| {
        let read = changes(&json!({"schemas": [PATCH], "Operations": operations})).unwrap();
        Change::all(&read, Form::Group, group(json!([{"value": "a", "type": "User"}, {"value": "b"}, {"value": "b", "type": "User"}]))).unwrap()
    };
    let members = |group: Map<String, Value>| -> Vec<String> {
        group.get("members").and_then(Value::as_array).into_iter().flatten().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
    };
    for (operations, left) in [
        (json!([{"op": "add", "path": "members", "value": [{"value": "c"}, {"value": "a"}]}]), &["a", "b", "c"][..]),
        (json!([{"op": "remove", "path": "members[value eq \"a\"]"}]), &["b"]),
        (json!([{"op": "remove", "path": "members", "value": [{"value": "a"}]}]), &["b"]),
        (json!([{"op": "remove", "path": "members[value eq \"nobody\"]"}]), &["a", "b"]),
        (json!([{"op": "remove", "path": "members"}]), &[]),
        (json!([{"op": "replace", "path": "members", "value": [{"value": "z"}]}]), &["z"]),
    ] {
        assert_eq!(members(apply(operations.clone())), left, "{operations}");
    }
}

#[test]
fn what_cannot_be_patched_is_refused_as_a_whole() {
    for (operations, kind) in [
        (json!([{"op": "replace", "path": "id", "value": "x"}]), "mutability"),
        (json!([{"op": "replace", "path": "groups", "value": []}]), "mutability"),
        (json!([{"op": "add", "path": "title", "value": "x"}, {"op": "remove", "path": "userName"}]), "invalidValue"),
        (json!([{"op": "remove"}]), "noTarget"),
        (json!([{"op": "replace", "path": "emails[type eq \"fax\"].value", "value": "x"}]), "noTarget"),
        (json!([{"op": "add", "path": "title"}]), "invalidSyntax"),
        (json!([{"op": "move", "path": "title", "value": "x"}]), "invalidSyntax"),
        (json!([{"op": "add", "path": "emails[", "value": "x"}]), "invalidPath"),
        (json!([{"op": "add", "value": "x"}]), "invalidValue"),
        (json!([{"op": "replace", "path": "active", "value": "perhaps"}]), "invalidValue"),
        (json!([]), "invalidSyntax"),
    ] {
        assert_eq!(patch(operations.clone()).unwrap_err().kind, Some(kind), "{operations}");
    }
    assert_eq!(changes(&json!({"Operations": []})).unwrap_err().kind, Some("invalidSyntax"));
}

#[test]
fn what_happened_is_told_as_events() {
    let told = |form: Form, before: Option<&Value>, after: Option<&Value>| -> Vec<(i64, i64, Value)> {
        let kept = |value: Option<&Value>| value.map(|value| accept(form, value.clone()).unwrap());
        let (before, after) = (kept(before), kept(after));
        let step = Step { source: "hr", form, id: "7", version: 2, before: before.as_ref(), after: after.as_ref(), now: Timestamp(1) };
        let one = |event: Value| (event["class_uid"].as_i64().unwrap(), event["activity_id"].as_i64().unwrap(), event["user"]["uid"].clone());
        step.events().into_iter().map(one).collect()
    };
    let (on, off) = (json!({"userName": "ada"}), json!({"userName": "ada", "active": false}));
    for (before, after, activity) in [(None, Some(&on), 1), (Some(&on), Some(&off), 5), (Some(&off), Some(&on), 2), (Some(&off), None, 6)] {
        assert_eq!(told(Form::User, before, after), [(3001, activity, json!("7"))]);
    }
    assert_eq!(told(Form::User, Some(&on), Some(&json!({"userName": "ada", "title": "x"}))), [(3001, 99, json!("7"))]);
    assert_eq!(told(Form::User, Some(&on), Some(&json!({"userName": "ada", "active": true}))), [(3001, 99, json!("7"))]);
    assert_eq!(told(Form::User, Some(&on), Some(&on)), []);
    let group = |members: &[&str]| json!({"displayName": "g", "members": members.iter().map(|id| json!({"value": id})).collect::<Vec<_>>()});
    let (one, two) = (group(&["a", "b"]), group(&["b", "c"]));
    assert_eq!(told(Form::Group, None, Some(&one)), [(3006, 6, Value::Null), (3006, 3, json!("a")), (3006, 3, json!("b"))]);
    assert_eq!(told(Form::Group, Some(&one), Some(&two)), [(3006, 3, json!("c")), (3006, 4, json!("a"))]);
    assert_eq!(told(Form::Group, Some(&two), None), [(3006, 5, Value::Null)]);
}

#[test]
fn only_what_is_asked_for_is_given() {
    let mut resource = kept();
    resource.insert("id".to_owned(), "1".into());
    let given = |only: &str, without: &str| Value::Object(Selection::parse(only, without).unwrap().of(resource.clone()));
    let some = given(&format!("username,name.givenName,emails.value,emails.type,{ENTERPRISE}:manager"), "");
    let emails = json!([{"value": "ada@corp.example", "type": "work"}, {"value": "ada@home.example", "type": "home"}]);
    let wanted = json!({"schemas": resource["schemas"], "id": "1", "userName": "Ada", "name": {"givenName": "Ada"}, "emails": emails,
        ENTERPRISE: {"manager": {"value": "m-1"}}});
    assert_eq!(some, wanted);
    let rest = given("", "emails.type,id,name,urn:acme:badge");
    assert!(rest["id"] == "1" && rest.get("name").is_none() && rest.get("urn:acme:badge").is_none(), "{rest}");
    assert_eq!(rest["emails"][1], json!({"value": "ada@home.example"}));
    let selection = Selection::parse("userName", "").unwrap();
    assert!(!selection.wants("members") && Selection::default().wants("members") && !Selection::parse("", "members").unwrap().wants("members"));
}

proptest! {
    /// Whatever is sent is answered, and what was changed can be changed again.
    #[test]
    fn no_text_makes_it_stumble(text in "[a-z.:\\[\\]()\" ]{0,40}", word in "(eq|ne|co|pr|and|or|not|\\(|\\)|\\[|\\]|userName|emails|\"x\"|true| ){0,20}") {
        for text in [&text, &word] {
            let _filter = Filter::parse(text).map(|filter| filter.fits(Form::User, &kept()));
            for op in ["add", "replace", "remove"] {
                if let Ok(changed) = patch(json!([{"op": op, "path": text, "value": {"value": "x", "primary": true}}])) {
                    prop_assert_eq!(accept(Form::User, Value::Object(changed.clone())).unwrap(), changed);
                }
            }
        }
    }
}
