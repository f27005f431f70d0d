//! An organisation as a tree of its root, units and accounts, each with its policies.
//!
//! The form is that of `describe-…` calls put together: a node has `Id`, `Arn`, `Policies` (with `Type`
//! and `Content`) and `Children`.

use std::sync::Arc;

use serde_json::Value;
use weft_model::entitlement::{Account, Document, Snapshot};

use super::document;

/// Units below units.
const DEPTH_MAX: usize = 16;

/// Whether a JSON value is a node of an organisation.
pub(super) fn is_one(value: &Value) -> bool {
    value.get("Children").is_some()
        || (value.get("Policies").is_some() && value.get("Arn").and_then(Value::as_str).is_some_and(|arn| arn.contains(":organizations:")))
}

#[derive(Clone, Default)]
struct Above {
    limits: Vec<Vec<Arc<Document>>>,
    resource_limits: Vec<Vec<Arc<Document>>>,
    path: String,
}

/// Puts the policies of the tree on the accounts of the snapshot.
pub(super) fn read(root: &Value, place: &str, snapshot: &mut Snapshot) {
    // The management account is named in every name of the organisation; its principals are not limited.
    let arn = root.get("Arn").and_then(Value::as_str).unwrap_or_default();
    let management = arn.split(':').nth(4).unwrap_or_default().to_owned();
    let organization = arn.rsplit(':').next().and_then(|path| path.split('/').nth(1)).map(str::to_owned);
    let mut faults = Vec::new();
    let above = Above { path: organization.iter().map(|id| format!("{id}/")).collect(), ..Above::default() };
    node(root, &above, &organization, &management, DEPTH_MAX, snapshot, &mut faults);
    super::snapshot::tell(snapshot, place, faults);
}

fn node(value: &Value, above: &Above, organization: &Option<String>, management: &str, depth: usize, snapshot: &mut Snapshot, faults: &mut Vec<String>) {
    if depth == 0 {
        faults.push(format!("units are nested deeper than {DEPTH_MAX}; the rest is left out"));
        return;
    }
    let id = value.get("Id").and_then(Value::as_str).unwrap_or_default();
    let mut here = above.clone();
    let of = |kind: &str, faults: &mut Vec<String>| {
        let policies = value.get("Policies").and_then(Value::as_array).into_iter().flatten();
        let wanted = policies.filter(|policy| policy.get("Type").and_then(Value::as_str).unwrap_or("SERVICE_CONTROL_POLICY") == kind);
        let read = wanted.map(|policy| {
            let name = policy.get("Name").or_else(|| policy.get("Id")).and_then(Value::as_str).unwrap_or("policy");
            let content = policy.get("Content").or_else(|| policy.get("Document")).unwrap_or(&Value::Null);
            Arc::new(document::read(name, content, faults))
        });
        read.collect::<Vec<_>>()
    };
    let (limits, resource_limits) = (of("SERVICE_CONTROL_POLICY", faults), of("RESOURCE_CONTROL_POLICY", faults));
    // A level without policies of a kind is one where the kind is not in use.
    here.limits.extend((!limits.is_empty()).then_some(limits));
    here.resource_limits.extend((!resource_limits.is_empty()).then_some(resource_limits));
    if is_account(id) {
        let account = snapshot.accounts.entry(id.to_owned()).or_default();
        let free = id == management;
        *account = Account {
            limits: if free { Vec::new() } else { here.limits.clone() },
            resource_limits: if free { Vec::new() } else { here.resource_limits.clone() },
            organization: organization.clone(),
            path: Some(above.path.clone()),
        };
    } else {
        here.path.push_str(id);
        here.path.push('/');
    }
    for child in value.get("Children").and_then(Value::as_array).into_iter().flatten() {
        node(child, &here, organization, management, depth - 1, snapshot, faults);
    }
}

fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}
