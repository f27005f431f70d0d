//! Machine identities of Entra: applications with their secrets and certificates, managed identities, agents.

use serde_json::Value;
use weft_model::machine::{Machine, MachineKind, OwnerSign, Proof};

use crate::machines::{Machines, owners_by_tags, owners_by_text, text, time};

/// Applications, service principals, agents, and when they signed in. Others are passed over.
pub fn read(_: &str, value: &Value, hint: &str, _: &str, into: &mut Machines) -> bool {
    let of = text(value, "/@odata.type");
    let has = |key: &str| value.get(key).is_some();
    match () {
        () if has("lastSignInActivity") && has("appId") => signed_in(value, into),
        () if of.ends_with("agentIdentity") || has("agentIdentityBlueprintId") => agent(value, into),
        () if has("servicePrincipalType") => service_principal(value, into),
        () if has("appId") && (has("passwordCredentials") || has("keyCredentials") || hint == "applications") => application(value, into),
        () => return false,
    }
    true
}

fn signed_in(value: &Value, into: &mut Machines) {
    let application = text(value, "/appId").to_lowercase();
    let told = into.of(application);
    told.used = told.used.max(time(value, "/lastSignInActivity/lastSignInDateTime"));
}

fn owners(value: &Value, key: &str, what: &str) -> Vec<OwnerSign> {
    let list = value.get(key).and_then(serde_json::Value::as_array).into_iter().flatten();
    let name = |owner: &Value| ["/userPrincipalName", "/displayName", "/id"].iter().map(|path| text(owner, path)).find(|name| !name.is_empty());
    list.filter_map(name).map(|owner| OwnerSign { owner, confidence: 95, evidence: what.to_owned() }).collect()
}

fn label(value: &Value) -> String {
    text(value, "/displayName")
}

fn application(value: &Value, into: &mut Machines) {
    let application = text(value, "/appId").to_lowercase();
    let mut owners = owners(value, "owners", "owner of the application");
    owners.extend(owners_by_text(&text(value, "/notes"), "notes"));
    let acts_as = Some(format!("servicePrincipal:{}", label(value)));
    into.found.push(Machine {
        name: application.clone(),
        kind: MachineKind::OauthApplication,
        account: text(value, "/publisherDomain"),
        acts_as: acts_as.clone(),
        active: true,
        created: time(value, "/createdDateTime"),
        owners: owners.clone(),
        third_party: Some(false),
        ..Machine::default()
    });
    secrets(value, &application, acts_as.as_deref(), &owners, into);
}

/// Passwords and certificates, each a secret of its own.
fn secrets(value: &Value, of: &str, acts_as: Option<&str>, owners: &[OwnerSign], into: &mut Machines) {
    for (list, kind, proof) in [("passwordCredentials", MachineKind::Token, Proof::SharedSecret), ("keyCredentials", MachineKind::Certificate, Proof::KeyPair)]
    {
        for secret in value.get(list).and_then(Value::as_array).into_iter().flatten() {
            into.found.push(Machine {
                name: format!("{of}#{}", text(secret, "/keyId")),
                kind,
                acts_as: acts_as.map(str::to_owned),
                proof,
                active: true,
                created: time(secret, "/startDateTime"),
                expires: time(secret, "/endDateTime"),
                owners: owners.to_vec(),
                ..Machine::default()
            });
        }
    }
}

fn service_principal(value: &Value, into: &mut Machines) {
    let managed = text(value, "/servicePrincipalType") == "ManagedIdentity";
    let (own, home) = (text(value, "/appOwnerOrganizationId"), text(value, "/appOwnerTenant"));
    let mut owners = owners(value, "owners", "owner of the service principal");
    owners.extend(owners_by_tags(value.get("tags")));
    owners.extend(owners_by_text(&text(value, "/notes"), "notes"));
    let acts_as = format!("{}:{}", if managed { "managedIdentity" } else { "servicePrincipal" }, label(value));
    let id = text(value, "/id");
    into.found.push(Machine {
        // The application, where there is one, and its principal are one machine.
        name: if managed { id.clone() } else { text(value, "/appId").to_lowercase() },
        kind: if managed { MachineKind::WorkloadIdentity } else { MachineKind::OauthApplication },
        acts_as: Some(acts_as.clone()),
        proof: if managed { Proof::Federated } else { Proof::None },
        active: value.get("accountEnabled").and_then(Value::as_bool).unwrap_or(true),
        created: time(value, "/createdDateTime"),
        owners: owners.clone(),
        third_party: if managed { Some(false) } else { (!own.is_empty() && !home.is_empty()).then(|| own != home) },
        ..Machine::default()
    });
    secrets(value, &id, Some(&acts_as), &owners, into);
}

/// An agent acts for its sponsors.
fn agent(value: &Value, into: &mut Machines) {
    let sponsors = owners(value, "sponsors", "sponsor of the agent");
    let mut all = owners(value, "owners", "owner of the agent");
    all.extend(sponsors.iter().cloned());
    into.found.push(Machine {
        name: text(value, "/id"),
        kind: MachineKind::AiAgent,
        acts_as: Some(format!("servicePrincipal:{}", label(value))),
        proof: Proof::Federated,
        active: value.get("accountEnabled").and_then(Value::as_bool).unwrap_or(true),
        created: time(value, "/createdDateTime"),
        delegator: sponsors.first().map(|sponsor| sponsor.owner.clone()),
        owners: all,
        ..Machine::default()
    });
}
