//! Machine identities of GitHub: deploy keys, tokens, installed applications.

use serde_json::Value;
use weft_model::machine::{Machine, MachineKind, OwnerSign, Proof};

use crate::machines::{Machines, text, time};

/// The organisation that an object is about.
pub fn organization(value: &Value) -> Option<String> {
    let organization = value.get("organization")?;
    organization
        .as_str()
        .or_else(|| organization.get("login").and_then(Value::as_str))
        .or_else(|| value.get("full_name").and_then(Value::as_str))
        .map(str::to_owned)
}

/// Deploy keys (of repositories), tokens, installations. Others are passed over.
pub fn read(_: &str, value: &Value, hint: &str, within: &str, into: &mut Machines) -> bool {
    match hint {
        "repositories" if value.get("keys").is_some() && value.get("full_name").is_some() => keys(value, within, into),
        "personal_access_tokens" => token(value, within, into),
        "installations" if value.get("app_slug").is_some() => application(value, within, into),
        _ => return false,
    }
    true
}

fn keys(repository: &Value, organization: &str, into: &mut Machines) {
    let name = text(repository, "/full_name");
    let administrators = || {
        let list = repository.get("collaborators").and_then(Value::as_array).into_iter().flatten();
        list.filter(|one| text(one, "/role_name") == "admin").map(|one| OwnerSign {
            owner: text(one, "/login"),
            confidence: 40,
            evidence: "administrator of the repository".to_owned(),
        })
    };
    for key in repository.get("keys").and_then(Value::as_array).into_iter().flatten() {
        let title = text(key, "/title");
        let added = [text(key, "/added_by"), text(key, "/added_by/login")].into_iter().find(|who| !who.is_empty());
        let mut owners: Vec<OwnerSign> = added.into_iter().map(|owner| OwnerSign { owner, confidence: 80, evidence: "added the key".to_owned() }).collect();
        owners.extend(administrators());
        let writes = key.get("read_only").and_then(Value::as_bool) == Some(false);
        into.found.push(Machine {
            name: format!("key:{name}/{title}"),
            kind: MachineKind::DeployKey,
            account: organization.to_owned(),
            acts_as: writes.then(|| format!("key:{name}/{title}")),
            proof: Proof::KeyPair,
            active: key.get("enabled").and_then(Value::as_bool) != Some(false),
            created: time(key, "/created_at"),
            used: time(key, "/last_used"),
            use_told: key.get("last_used").is_some(),
            owners,
            ..Machine::default()
        });
    }
}

fn token(value: &Value, organization: &str, into: &mut Machines) {
    let owner = text(value, "/owner/login");
    let id = value.get("token_id").or_else(|| value.get("id")).map(Value::to_string).unwrap_or_default();
    into.found.push(Machine {
        name: format!("token:{organization}/{id}"),
        kind: MachineKind::Token,
        account: organization.to_owned(),
        acts_as: Some(owner.clone()).filter(|owner| !owner.is_empty()),
        proof: Proof::SharedSecret,
        active: value.get("token_expired").and_then(Value::as_bool) != Some(true),
        created: time(value, "/access_granted_at"),
        expires: time(value, "/token_expires_at"),
        used: time(value, "/token_last_used_at"),
        use_told: value.get("token_last_used_at").is_some(),
        persons: vec![format!("it is a token of the account {owner}")],
        owners: Some(owner)
            .filter(|owner| !owner.is_empty())
            .map(|owner| OwnerSign { owner, confidence: 95, evidence: "owner of the token".to_owned() })
            .into_iter()
            .collect(),
        ..Machine::default()
    });
}

fn application(value: &Value, organization: &str, into: &mut Machines) {
    let slug = text(value, "/app_slug");
    let maker = [text(value, "/app_owner/login"), text(value, "/app_owner")].into_iter().find(|owner| !owner.is_empty());
    into.found.push(Machine {
        name: format!("app:{slug}"),
        kind: MachineKind::OauthApplication,
        account: organization.to_owned(),
        acts_as: Some(format!("app:{slug}")),
        // The key that it signs with is not told.
        active: value.get("suspended_at").is_none_or(Value::is_null),
        created: time(value, "/created_at"),
        third_party: maker.map(|maker| maker != organization),
        ..Machine::default()
    });
}
