//! Machine identities of AWS: access keys and certificates of the credential report, roles of workloads.

use serde_json::Value;
use weft_model::Timestamp;
use weft_model::machine::{Machine, MachineKind, Proof};

use crate::machines::{Machines, owners_by_tags, owners_by_text, text, time};

/// Lines of one report.
const LINES_MAX: usize = 1_000_000;
/// The policy that is attached to a user whose key was found in public.
const QUARANTINE: &str = "AWSCompromisedKeyQuarantine";

/// Whether a text is a credential report ("Generate credential reports", IAM User Guide).
pub fn is_report(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').starts_with("user,arn,")
}

/// Reads a credential report.
pub fn report(place: &str, text: &str, into: &mut Machines) {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    for (number, line) in lines.enumerate().take(LINES_MAX).filter(|(_, line)| !line.trim().is_empty()) {
        let values: Vec<&str> = line.split(',').collect();
        if values.len() != columns.len() {
            into.fault(&format!("{place}:{}", number + 2), format!("has {} columns instead of {}", values.len(), columns.len()));
            continue;
        }
        let get = |name: &str| columns.iter().position(|column| *column == name).and_then(|at| values.get(at)).copied().unwrap_or_default();
        user(&get, into);
    }
}

fn user<'l>(get: &dyn Fn(&str) -> &'l str, into: &mut Machines) {
    let (arn, root) = (get("arn"), get("user") == "<root_account>");
    let account = arn.split(':').nth(4).unwrap_or_default();
    let person = get("password_enabled") == "true" || root;
    let persons = || if person { vec![format!("{} signs in with a password", get("user"))] } else { Vec::new() };
    let mut secrets = 0;
    for key in ["access_key_1", "access_key_2"] {
        let of = |what: &str| get(&format!("{key}_{what}"));
        let rotated = Timestamp::read(of("last_rotated"));
        let active = of("active") == "true";
        if !active && rotated.is_none() {
            continue;
        }
        secrets += 1;
        let from = [of("last_used_region"), of("last_used_service")].into_iter().filter(|from| !from.is_empty() && *from != "N/A");
        into.found.push(Machine {
            name: format!("{arn}#{key}"),
            kind: MachineKind::AccessKey,
            account: account.to_owned(),
            acts_as: Some(arn.to_owned()),
            proof: Proof::SharedSecret,
            active,
            created: rotated,
            used: Timestamp::read(of("last_used_date")),
            use_told: true,
            used_from: from.map(str::to_owned).collect(),
            persons: persons(),
            ..Machine::default()
        });
    }
    for key in ["cert_1", "cert_2"] {
        if get(&format!("{key}_active")) == "true" {
            secrets += 1;
            into.found.push(Machine {
                name: format!("{arn}#{key}"),
                kind: MachineKind::Certificate,
                account: account.to_owned(),
                acts_as: Some(arn.to_owned()),
                proof: Proof::KeyPair,
                active: true,
                created: Timestamp::read(get(&format!("{key}_last_rotated"))),
                persons: persons(),
                ..Machine::default()
            });
        }
    }
    if !person && secrets > 0 {
        let used = ["access_key_1_last_used_date", "access_key_2_last_used_date"].iter().filter_map(|name| Timestamp::read(get(name))).max();
        into.found.push(Machine {
            name: arn.to_owned(),
            account: account.to_owned(),
            acts_as: Some(arn.to_owned()),
            active: true,
            created: Timestamp::read(get("user_creation_time")),
            used,
            use_told: true,
            ..Machine::default()
        });
    }
}

/// Roles and users of account authorization details. Others are passed over.
pub fn read(_: &str, value: &Value, hint: &str, _: &str, into: &mut Machines) -> bool {
    match hint {
        "RoleDetailList" if value.get("AssumeRolePolicyDocument").is_some() => role(value, into),
        "UserDetailList" if value.get("UserName").is_some() => details(value, into),
        _ => return false,
    }
    true
}

fn role(value: &Value, into: &mut Machines) {
    let arn = text(value, "/Arn");
    let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
    let trust = value.get("AssumeRolePolicyDocument").map(|trust| trust.as_str().map_or_else(|| trust.to_string(), str::to_owned)).unwrap_or_default();
    let (serves, federated) = (trust.contains("\"Service\""), trust.contains("\"Federated\""));
    let foreign =
        trust.split("arn:aws:iam::").skip(1).filter_map(|rest| rest.get(..12)).any(|other| other.bytes().all(|byte| byte.is_ascii_digit()) && other != account);
    // A role that persons of the account assume is no machine.
    if !serves && !federated && !foreign || text(value, "/Path").starts_with("/aws-service-role/") {
        return;
    }
    let mut owners = owners_by_tags(value.get("Tags"));
    owners.extend(owners_by_text(&text(value, "/Description"), "description"));
    into.found.push(Machine {
        name: arn.clone(),
        kind: MachineKind::WorkloadIdentity,
        account,
        acts_as: Some(arn),
        proof: Proof::Federated,
        active: true,
        created: time(value, "/CreateDate"),
        used: time(value, "/RoleLastUsed/LastUsedDate"),
        use_told: value.get("RoleLastUsed").is_some(),
        used_from: Some(text(value, "/RoleLastUsed/Region")).into_iter().filter(|region| !region.is_empty()).collect(),
        owners,
        third_party: Some(foreign && !serves),
        ..Machine::default()
    });
}

/// What the details of a user say of its keys, which another file lists: whose they are, and whether they were
/// found in public.
fn details(value: &Value, into: &mut Machines) {
    let arn = text(value, "/Arn");
    let attached = value.get("AttachedManagedPolicies").map(Value::to_string).unwrap_or_default();
    let owners = owners_by_tags(value.get("Tags"));
    let leaked = attached.contains(QUARANTINE).then(|| format!("`{QUARANTINE}` is attached to its user"));
    if leaked.is_none() && owners.is_empty() {
        return;
    }
    let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
    let user = || Machine { name: arn.clone(), account, acts_as: Some(arn.clone()), active: true, created: time(value, "/CreateDate"), ..Machine::default() };
    let otherwise = leaked.is_some().then(user);
    let told = into.of(arn.clone());
    told.owners.extend(owners);
    told.otherwise = told.otherwise.take().or(otherwise);
    told.leaked = told.leaked.take().or(leaked);
}
