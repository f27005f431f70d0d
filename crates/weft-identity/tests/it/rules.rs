//! The mesh's own access policies: each permits or forbids what it should, and not what is next to it.

use serde_json::{Map, Value, json};
use weft_identity::access::search::{Bounds, Sought};
use weft_identity::access::{AccessPoint, Ask, EntityStore, Party};
use weft_identity::decide::{Naming, Policies};

use crate::{RESPONSE, SCHEMA, file};

const ACCESS: &str = include_str!("../../../../content/policies/access.cedar");

fn named(kind: &str, id: &str) -> Value {
    json!({"__entity": {"type": kind, "id": id}})
}

fn entity(kind: &str, id: &str, attrs: Value, groups: &[&str]) -> Value {
    let parents: Vec<Value> = groups.iter().map(|group| json!({"type": "Group", "id": group})).collect();
    json!({"uid": {"type": kind, "id": id}, "attrs": attrs, "parents": parents})
}

fn application(id: &str, sensitivity: i64) -> Value {
    let groups =
        json!({"sensitivity": sensitivity, "users": named("Group", "staff"), "editors": named("Group", "editors"), "administrators": named("Group", "admins")});
    entity("Application", id, groups, &[])
}

fn office() -> AccessPoint {
    let files = [file("response.cedar", RESPONSE), file("access.cedar", ACCESS)];
    let policies = Policies::compile(Some(&file("weft.cedarschema", SCHEMA)), &files, Naming::Explained).unwrap();
    let mut store = EntityStore::new(policies.schema().cloned());
    let lease = |holder: &str, until: &str, revoked: bool| json!({"holder": named("User", holder), "resource": named("Application", "wiki"), "until": {"__extn": {"fn": "datetime", "arg": until}}, "revoked": revoked});
    let device = |compliant: bool, risk: i64| json!({"managed": true, "posture": {"compliant": compliant}, "risk": risk});
    let session = |of: &str, assurance: i64, revoked: bool| json!({"principal": named("User", of), "assurance": assurance, "revoked": revoked});
    for entity in [
        entity("User", "ada", json!({"risk": 10, "status": "active"}), &["staff", "admins"]),
        entity("User", "ed", json!({}), &["editors"]),
        entity("User", "eve", json!({}), &[]),
        entity("User", "risky", json!({"risk": 80}), &["staff"]),
        entity("User", "left", json!({"status": "left"}), &["staff"]),
        entity("MachineIdentity", "backup", json!({"owner": named("User", "ada")}), &["staff"]),
        application("wiki", 1),
        application("payroll", 2),
        application("vault", 3),
        entity("Lease", "good", lease("ada", "2026-01-02", false), &[]),
        entity("Lease", "other", lease("eve", "2026-01-02", false), &[]),
        entity("Lease", "revoked", lease("ada", "2026-01-02", true), &[]),
        entity("Device", "sound", device(true, 10), &[]),
        entity("Device", "short", device(false, 10), &[]),
        entity("Device", "risky", device(true, 60), &[]),
        entity("Session", "password", session("ada", 1, false), &[]),
        entity("Session", "factors", session("ada", 2, false), &[]),
        entity("Session", "hardware", session("ada", 3, false), &[]),
        entity("Session", "of-eve", session("eve", 3, false), &[]),
        entity("Session", "ended", session("ada", 3, true), &[]),
        entity("Network", "office", json!({"trusted": true}), &[]),
        entity("Host", "web-1", json!({"users": named("Group", "staff"), "administrators": named("Group", "admins")}), &[]),
        entity("Route", "app/x", json!({"users": named("Group", "staff")}), &[]),
    ] {
        store.upsert(&entity).unwrap();
    }
    AccessPoint::new(policies, store)
}

/// Kind and id of principal and resource, and names of context entities.
fn ask(point: &AccessPoint, who: (&str, &str), action: &str, on: (&str, &str), context: &[(&str, Value)]) -> String {
    let context: Map<String, Value> = context.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let ask = Ask { principal: Party::new(who.0, who.1), action: action.into(), resource: Party::new(on.0, on.1), context, ..Ask::default() };
    let decision = point.decide(&ask);
    assert_eq!(decision.errors, Vec::<String>::new(), "{ask:?}");
    format!("{:?} {}", decision.effect, decision.determining.join(" ")).trim().to_lowercase()
}

#[test]
fn applications_name_who_uses_them() {
    let point = office();
    let on = |who: (&str, &str), action: &str| ask(&point, who, action, ("Application", "wiki"), &[]);
    assert_eq!(on(("User", "ada"), "read"), "permit users-read");
    assert_eq!(on(("User", "ada"), "write"), "forbid");
    assert_eq!(on(("User", "ed"), "write"), "permit editors-write");
    assert_eq!(on(("User", "eve"), "sign_in"), "forbid");
    assert_eq!(on(("MachineIdentity", "backup"), "read"), "permit users-read");
    assert_eq!(on(("User", "risky"), "read"), "forbid no-access-at-high-risk");
    assert_eq!(on(("User", "left"), "read"), "forbid no-access-when-not-active");
}

#[test]
fn administration_needs_a_lease() {
    let point = office();
    let with = |lease: &str, on: &str, now: &str| {
        let now = json!({"__extn": {"fn": "datetime", "arg": now}});
        ask(&point, ("User", "ada"), "administer", ("Application", on), &[("lease", named("Lease", lease)), ("now", now)])
    };
    assert_eq!(with("good", "wiki", "2026-01-01"), "permit administrators-with-a-lease");
    assert_eq!(with("good", "wiki", "2026-01-02"), "forbid", "it has ended");
    assert_eq!(with("other", "wiki", "2026-01-01"), "forbid", "it is somebody else's");
    assert_eq!(with("revoked", "wiki", "2026-01-01"), "forbid");
    assert_eq!(with("good", "vault", "2026-01-01"), "forbid confidential-needs-a-sound-device crown-jewels-need-a-strong-session");
    assert_eq!(ask(&point, ("User", "ada"), "administer", ("Application", "wiki"), &[]), "forbid");
}

#[test]
fn what_is_confidential_asks_for_device_and_session() {
    let point = office();
    let read = |on: &str, context: &[(&str, &str, &str)]| {
        let context: Vec<(&str, Value)> = context.iter().map(|(name, kind, id)| (*name, named(kind, id))).collect();
        ask(&point, ("User", "ada"), "read", ("Application", on), &context)
    };
    let sound = ("device", "Device", "sound");
    assert_eq!(read("payroll", &[]), "forbid confidential-needs-a-sound-device");
    assert_eq!(read("payroll", &[("device", "Device", "short")]), "forbid confidential-needs-a-sound-device");
    assert_eq!(read("payroll", &[("device", "Device", "risky")]), "forbid confidential-needs-a-sound-device");
    assert_eq!(read("payroll", &[sound]), "permit users-read");
    let with = |session: &str| read("vault", &[sound, ("session", "Session", session)]);
    assert_eq!(with("hardware"), "permit users-read");
    assert_eq!((with("password"), with("factors")), ("forbid crown-jewels-need-a-strong-session".into(), "forbid crown-jewels-need-a-strong-session".into()));
    assert_eq!(with("of-eve"), "forbid crown-jewels-need-a-strong-session");
    assert_eq!(read("vault", &[sound, ("session", "Session", "factors"), ("network", "Network", "office")]), "permit users-read");
    assert_eq!(read("wiki", &[("session", "Session", "ended")]), "forbid revoked-sessions-end");
}

#[test]
fn search_knows_the_groups_of_actions() {
    let point = office();
    let ask = Ask { principal: Party::new("User", "ada"), action: "GET".into(), resource: Party::new("Route", ""), ..Ask::default() };
    let bounds = Bounds { found_max: 10, decisions_max: 100 };
    assert_eq!(point.search(Sought::Resources, &ask, 0, bounds).unwrap().ids, ["app/x"]);
    let ask = Ask { principal: Party::new("User", ""), action: "read".into(), resource: Party::new("Application", "wiki"), ..Ask::default() };
    assert_eq!(point.search(Sought::Principals, &ask, 0, bounds).unwrap().ids, ["ada", "ed"]);
    let actions = Ask { principal: Party::new("User", "ed"), resource: Party::new("Application", "wiki"), ..Ask::default() };
    assert_eq!(point.search_actions(&actions), ["read", "sign_in", "write"]);
}

#[test]
fn hosts_and_routes() {
    let point = office();
    let log_in = |who: &str, login: &str| ask(&point, ("User", who), "log_in", ("Host", "web-1"), &[("login", json!(login))]);
    assert_eq!(log_in("ada", "root"), "permit host-administrators-log-in");
    assert_eq!(log_in("left", "left"), "forbid no-access-when-not-active");
    assert_eq!(log_in("eve", "eve"), "forbid");
    assert_eq!(log_in("risky", "root"), "forbid no-access-at-high-risk");
    let mut staff = office();
    staff.store_mut().upsert(&entity("User", "kim", json!({}), &["staff"])).unwrap();
    let kim = |login: &str| ask(&staff, ("User", "kim"), "log_in", ("Host", "web-1"), &[("login", json!(login))]);
    assert_eq!((kim("kim"), kim("root")), ("permit host-users-log-in".into(), "forbid".into()));
    let route = |who: &str, method: &str| ask(&point, ("User", who), method, ("Route", "app/x"), &[("ip", json!("192.0.2.7"))]);
    assert_eq!((route("ada", "GET"), route("ada", "POST"), route("eve", "GET")), ("permit route-users".into(), "permit route-users".into(), "forbid".into()));
}
