//! Machine identities of Google Cloud: service accounts, their keys, and when they were used.

use serde_json::Value;
use weft_model::machine::{Machine, MachineKind, Proof};

use super::entitlement::resource;
use crate::machines::{Machines, owners_by_tags, owners_by_text, text, time};

/// Service accounts, keys, and last authentications. Others are passed over.
pub fn read(_: &str, value: &Value, _: &str, _: &str, into: &mut Machines) -> bool {
    let name = text(value, "/name");
    match () {
        () if name.contains("/serviceAccounts/") && name.contains("/keys/") => key(&name, value, into),
        () if name.contains("/serviceAccounts/") && value.get("email").is_some() => account(&name, value, into),
        () if text(value, "/activityType").ends_with("LastAuthentication") => seen(value, into),
        () => return false,
    }
    true
}

fn account(name: &str, value: &Value, into: &mut Machines) {
    let mut owners = owners_by_text(&text(value, "/description"), "description");
    owners.extend(owners_by_tags(value.get("labels")));
    into.found.push(Machine {
        name: resource(name),
        account: text(value, "/projectId"),
        acts_as: Some(resource(name)),
        active: value.get("disabled").and_then(Value::as_bool) != Some(true),
        created: time(value, "/createTime"),
        owners,
        ..Machine::default()
    });
}

fn key(name: &str, value: &Value, into: &mut Machines) {
    // The platform's own keys are rotated by it and known to nobody.
    if text(value, "/keyType") == "SYSTEM_MANAGED" {
        return;
    }
    let account = name.split("/keys/").next().unwrap_or_default();
    let exposed = ["/disableReason", "/extendedStatus/0/key"].iter().map(|path| text(value, path)).find(|reason| reason.contains("EXPOSED"));
    // A key without an end is given one in the year 9999.
    let expires = time(value, "/validBeforeTime").filter(|end| end.date().as_str() < "9000");
    into.found.push(Machine {
        name: name.trim_start_matches("//iam.googleapis.com/").to_owned(),
        kind: MachineKind::AccessKey,
        acts_as: Some(resource(account)),
        proof: Proof::KeyPair,
        active: value.get("disabled").and_then(Value::as_bool) != Some(true),
        created: time(value, "/validAfterTime"),
        expires,
        leaked: exposed.map(|reason| format!("its state is `{reason}`")),
        ..Machine::default()
    });
}

fn seen(value: &Value, into: &mut Machines) {
    let used = time(value, "/activity/lastAuthenticatedTime");
    let full = text(value, "/fullResourceName");
    let name = if full.contains("/keys/") { full.trim_start_matches("//iam.googleapis.com/").to_owned() } else { resource(&full) };
    let told = into.of(name);
    told.used = told.used.max(used);
}
