//! What the server can do (RFC 7644, section 4; RFC 7643, sections 5 to 7).

use serde_json::{Value, json};
use weft_identity::scim::{Form, LIST, Refusal, Schema};

use super::service::PAGE_MAX;

/// Features.
pub(super) fn features(base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": PAGE_MAX},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "authenticationSchemes": [{
            "type": "oauthbearertoken", "name": "Bearer token", "description": "The secret of a `[[scim]]` entry of weft.toml as a bearer token",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750", "primary": true,
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig")},
    })
}

/// All, or the one that is named.
pub(super) fn types(base: &str, name: Option<&str>) -> Result<Value, Refusal> {
    let all = Form::ALL.map(|form| (form.name().to_owned(), form.resource_type(base)));
    one_or_all(all.to_vec(), name)
}

/// All, or the one that is named.
pub(super) fn schemas(base: &str, urn: Option<&str>) -> Result<Value, Refusal> {
    let all = Schema::all().iter().map(|schema| (schema.urn.to_owned(), schema.to_json(base)));
    one_or_all(all.collect(), urn)
}

fn one_or_all(all: Vec<(String, Value)>, name: Option<&str>) -> Result<Value, Refusal> {
    let Some(name) = name else {
        let all: Vec<Value> = all.into_iter().map(|(_, one)| one).collect();
        return Ok(json!({"schemas": [LIST], "totalResults": all.len(), "startIndex": 1, "itemsPerPage": all.len(), "Resources": all}));
    };
    let found = all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, one)| one).ok_or_else(|| Refusal::status(404, format!("there is no `{name}`")))
}
