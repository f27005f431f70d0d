//! Machine identities of a cluster: service accounts, and secrets that keep a token of them for good.

use serde_json::Value;
use weft_model::machine::{Machine, MachineKind, OwnerSign, Proof};

use crate::machines::{Machines, owners_by_tags, text, time};

/// Service accounts and token secrets. Others are passed over.
pub fn read(_: &str, value: &Value, _: &str, _: &str, into: &mut Machines) -> bool {
    if value.get("apiVersion").is_none() || value.get("metadata").is_none() {
        return false;
    }
    let (namespace, name) = (text(value, "/metadata/namespace"), text(value, "/metadata/name"));
    match text(value, "/kind").as_str() {
        "ServiceAccount" => account(&namespace, &name, value, into),
        "Secret" => secret(&namespace, &name, value, into),
        // A list of objects is looked into.
        kind => return !kind.ends_with("List"),
    }
    true
}

fn owners(value: &Value) -> Vec<OwnerSign> {
    let mut owners = owners_by_tags(value.pointer("/metadata/labels"));
    owners.extend(owners_by_tags(value.pointer("/metadata/annotations")));
    owners
}

fn account(namespace: &str, name: &str, value: &Value, into: &mut Machines) {
    let full = format!("system:serviceaccount:{namespace}:{name}");
    into.found.push(Machine {
        name: full.clone(),
        account: "cluster".to_owned(),
        acts_as: Some(full),
        proof: Proof::Federated,
        active: true,
        created: time(value, "/metadata/creationTimestamp"),
        owners: owners(value),
        ..Machine::default()
    });
}

fn secret(namespace: &str, name: &str, value: &Value, into: &mut Machines) {
    let annotations = value.pointer("/metadata/annotations");
    let account = annotations.and_then(|annotations| annotations.get("kubernetes.io/service-account.name")).and_then(Value::as_str);
    let Some(account) = account else { return };
    let used = value.pointer("/metadata/labels").and_then(|labels| labels.get("kubernetes.io/legacy-token-last-used")).and_then(Value::as_str);
    into.found.push(Machine {
        name: format!("secret:{namespace}/{name}"),
        kind: MachineKind::Token,
        account: "cluster".to_owned(),
        acts_as: Some(format!("system:serviceaccount:{namespace}:{account}")),
        proof: Proof::SharedSecret,
        active: true,
        created: time(value, "/metadata/creationTimestamp"),
        used: used.and_then(weft_model::Timestamp::read),
        use_told: used.is_some(),
        owners: owners(value),
        ..Machine::default()
    });
}
