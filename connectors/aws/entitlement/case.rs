//! Single requests that bring their own policies, one JSON object a line.
//!
//! The form is described in `docs/guide/entitlements.md`.

use std::sync::Arc;

use serde_json::Value;
use weft_model::entitlement::{Caller, CallerKind, Case, Document};

use super::document;

/// Reads one case.
///
/// # Errors
/// What is missing or wrong, for a person.
pub fn read(value: &Value, number: usize) -> Result<Case, String> {
    let request = value.get("request").unwrap_or(value);
    let text = |key: &str| request.get(key).and_then(Value::as_str).map(str::to_owned);
    let principal = request.get("principal").ok_or("`request.principal` is missing: the full name of who asks")?;
    let action = text("action").ok_or("`request.action` is missing, e.g. `s3:GetObject`")?;
    let resource = text("resource").unwrap_or_else(|| "*".to_owned());
    let mut faults = Vec::new();
    let mut layer = |names: &[&str]| names.iter().find_map(|name| value.get(*name)).filter(|value| !value.is_null()).map(|value| documents(value, &mut faults));
    let identity = layer(&["identity"]).unwrap_or_default();
    let policies = layer(&["resource", "trust"]).unwrap_or_default();
    let (boundary, session, endpoint) = (layer(&["boundary"]), layer(&["session"]), layer(&["endpoint"]));
    let mut levels = |name: &str| value.get(name).map(|value| hierarchy(value, &mut faults)).unwrap_or_default();
    let (limits, resource_limits) = (levels("scp"), levels("rcp"));
    if let Some(fault) = faults.into_iter().next() {
        return Err(fault);
    }
    let gated = action.eq_ignore_ascii_case("sts:AssumeRole") || resource.split(':').nth(2) == Some("kms");
    Ok(Case {
        id: value.get("id").map_or_else(|| number.to_string(), |id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)),
        caller: caller(principal)?,
        gate: gated && !policies.is_empty(),
        resource_account: text("account").or_else(|| resource.split(':').nth(4).filter(|account| !account.is_empty() && *account != "aws").map(str::to_owned)),
        action,
        resource,
        context: request.get("context").and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.clone(), values(value))).collect(),
        unknown: request.get("unknown").map(values).unwrap_or_default(),
        identity,
        policies,
        boundary,
        session,
        limits,
        resource_limits,
        endpoint,
        restrict_public: value.get("restrict_public").and_then(Value::as_bool) == Some(true),
    })
}

/// Who asks: a full name, or an object with `arn`, `id`, `session` (full name) and `account`.
fn caller(value: &Value) -> Result<Caller, String> {
    let of = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let (name, mut caller) = match value {
        Value::String(name) => (name.clone(), Caller::default()),
        Value::Object(_) => (
            of("arn").or_else(|| of("service")).unwrap_or_default(),
            Caller { id: of("id"), session: of("session"), account: of("account"), ..Caller::default() },
        ),
        Value::Null => (String::new(), Caller::default()),
        other => return Err(format!("`request.principal` is `{other}`; wanted is a full name, or an object with `arn`")),
    };
    let mut segments = name.splitn(6, ':');
    let account = segments.nth(4).filter(|account| !account.is_empty()).map(str::to_owned);
    let path = segments.next().unwrap_or_default().to_owned();
    caller.account = caller.account.or(account);
    (caller.kind, caller.name) = match path.split('/').collect::<Vec<_>>().as_slice() {
        _ if name.is_empty() || name == "*" => (CallerKind::Anonymous, String::new()),
        _ if !name.starts_with("arn:") && name.contains('.') => (CallerKind::Service, name),
        ["root"] => (CallerKind::Root, name),
        ["user", ..] => (CallerKind::User, name),
        ["role", ..] => (CallerKind::Role, name),
        ["federated-user", ..] => (CallerKind::FederatedUser, name),
        ["assumed-role", role, ..] => {
            let role = format!("{}:role/{role}", name.split(":assumed-role/").next().unwrap_or_default().replacen(":sts:", ":iam:", 1));
            caller.session = Some(name);
            (CallerKind::Role, role)
        }
        ["saml-provider" | "oidc-provider", ..] => (CallerKind::Anonymous, name),
        _ => return Err(format!("`{name}` is no principal: wanted is a user, a role, a session, a root, a service, or `*`")),
    };
    Ok(caller)
}

fn values(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => vec![text(value)],
    }
}

/// Policies of a layer: one, or several; each a document, or an object with `name` and `document`.
fn documents(value: &Value, faults: &mut Vec<String>) -> Vec<Arc<Document>> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut read = Vec::with_capacity(values.len());
    for (number, value) in values.iter().enumerate() {
        let name = ["name", "Name", "PolicyName"].iter().find_map(|key| value.get(*key)).and_then(Value::as_str);
        let content = ["document", "Document", "PolicyDocument", "Content"].iter().find_map(|key| value.get(*key)).unwrap_or(value);
        read.push(Arc::new(document::read(name.unwrap_or(&format!("policy {}", number + 1)), content, faults)));
    }
    read
}

/// Levels from the root to the account: a list of lists; a plain list is one level.
fn hierarchy(value: &Value, faults: &mut Vec<String>) -> Vec<Vec<Arc<Document>>> {
    let levels = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_level = |value: &Value| value.is_array() || value.get("policies").is_some();
    if !levels.iter().any(is_level) {
        let one = documents(value, faults);
        return if one.is_empty() { Vec::new() } else { vec![one] };
    }
    levels.iter().map(|level| documents(level.get("policies").unwrap_or(level), faults)).collect()
}
