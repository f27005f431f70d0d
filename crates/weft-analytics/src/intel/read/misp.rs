//! MISP: events as they are exported and published as feeds
//! (<https://www.misp-standard.org/rfc/misp-standard-core.html>).

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Options, Sink, millis};
use crate::intel::{Facts, Indicator, Kind, Value};

/// What the manifest of a feed says of an event; only that it is there matters.
#[derive(Debug, Deserialize)]
pub struct Listed {
    #[serde(rename = "info")]
    _info: String,
}

#[derive(Deserialize)]
struct Wrapped {
    #[serde(rename = "Event")]
    event: Event,
}

#[derive(Deserialize)]
struct Answer {
    response: Vec<Wrapped>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    info: String,
    #[serde(default)]
    timestamp: Json,
    #[serde(default, rename = "Attribute")]
    attributes: Vec<Attribute>,
    #[serde(default, rename = "Object")]
    objects: Vec<Object>,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    deleted: Json,
    #[serde(default, rename = "Attribute")]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(default)]
    uuid: String,
    #[serde(rename = "type")]
    kind: String,
    value: String,
    #[serde(default)]
    to_ids: Json,
    #[serde(default)]
    deleted: Json,
    #[serde(default)]
    timestamp: Json,
    #[serde(default)]
    first_seen: Option<String>,
    #[serde(default)]
    object_relation: Option<String>,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

/// The kind that one of MISP's types of attributes holds.
pub fn kind(attribute: &str) -> Option<Kind> {
    Some(match attribute {
        "ip-src" | "ip-dst" | "ip" => Kind::Ip,
        "domain" | "hostname" => Kind::Domain,
        "url" | "uri" | "link" => Kind::Url,
        "email" | "email-src" | "email-dst" | "email-reply-to" | "whois-registrant-email" | "dns-soa-email" | "target-email" => Kind::Email,
        "md5" | "sha1" | "sha224" | "sha256" | "sha384" | "sha512" => Kind::Hash,
        "x509-fingerprint-md5" | "x509-fingerprint-sha1" | "x509-fingerprint-sha256" => Kind::Certificate,
        "ja3-fingerprint-md5" | "ja3" => Kind::Ja3,
        "ja3s-fingerprint-md5" | "ja3s" => Kind::Ja3s,
        "ja4" | "ja4-fingerprint" => Kind::Ja4,
        "user-agent" => Kind::UserAgent,
        _ => return None,
    })
}

/// Reads an event, several of them, or the answer of a search.
pub(super) fn read(bytes: &[u8], options: &Options, sink: &mut Sink<'_>) -> Result<(), String> {
    let whole = |error: serde_json::Error| format!("is no MISP event: {error}");
    let events: Vec<Wrapped> = if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        answer.response
    } else if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        serde_json::from_slice(bytes).map_err(whole)?
    } else {
        vec![serde_json::from_slice::<Wrapped>(bytes).map_err(whole)?]
    };
    for Wrapped { event } in events {
        let lone = event.attributes.iter();
        let within = event.objects.iter().filter(|object| !is(&object.deleted)).flat_map(|object| &object.attributes);
        for attribute in lone.chain(within) {
            take(&event, attribute, options, sink)?;
        }
    }
    Ok(())
}

fn take(event: &Event, attribute: &Attribute, options: &Options, sink: &mut Sink<'_>) -> Result<(), String> {
    if is(&attribute.deleted) {
        sink.revoked.push(attribute.uuid.clone());
        sink.writer.other("attributes that were deleted", 1);
        return Ok(());
    }
    if !is(&attribute.to_ids) {
        sink.writer.other("attributes that are not meant for detection (`to_ids` is false)", 1);
        return Ok(());
    }
    let place = if attribute.uuid.is_empty() { attribute.value.chars().take(100).collect() } else { attribute.uuid.clone() };
    match values(attribute) {
        Ok(values) => {
            let facts = facts(event, attribute, options);
            values.into_iter().try_for_each(|value| sink.add(&Indicator { value, facts: facts.clone() }))
        }
        Err(reason) => {
            sink.gap(place, reason);
            Ok(())
        }
    }
}

/// `a|b` holds two values: a name beside a digest says less than the digest, a port beside an address
/// less than the address; a domain and the address that it had count each.
fn values(attribute: &Attribute) -> Result<Vec<Value>, String> {
    let types: Vec<&str> = attribute.kind.split('|').collect();
    let parts: Vec<&str> = if types.len() > 1 { attribute.value.split('|').collect() } else { vec![&attribute.value] };
    if types.len() != parts.len() {
        return Err(format!("`{}` has not as many parts as its type `{}`", attribute.value.chars().take(100).collect::<String>(), attribute.kind));
    }
    let server = attribute.object_relation.as_deref().is_some_and(|relation| relation.starts_with("ja3s"));
    let mut values = Vec::new();
    for (name, part) in types.iter().zip(parts) {
        let Some(kind) = kind(name) else { continue };
        values.push(Value::indicator(if server && kind == Kind::Ja3 { Kind::Ja3s } else { kind }, part)?);
    }
    if values.is_empty() { Err(format!("attributes of type `{}` cannot be matched", attribute.kind)) } else { Ok(values) }
}

fn facts(event: &Event, attribute: &Attribute, options: &Options) -> Facts {
    let own = options.facts(options.confidence);
    let confidence = attribute.tags.iter().chain(&event.tags).find_map(|tag| confidence(&tag.name));
    let seen = attribute.first_seen.as_deref().and_then(millis).or_else(|| time(&attribute.timestamp)).or_else(|| time(&event.timestamp));
    let indicates = attribute.tags.iter().chain(&event.tags).filter_map(|tag| galaxy(&tag.name)).collect();
    Facts {
        confidence: confidence.unwrap_or(own.confidence),
        from: seen.unwrap_or(own.from),
        id: attribute.uuid.clone(),
        name: event.info.chars().take(200).collect(),
        indicates,
        techniques: attribute.tags.iter().chain(&event.tags).filter_map(|tag| technique(&tag.name)).collect(),
        ..own
    }
}

/// `misp:confidence-level="usually-confident"`, the words of MISP's own taxonomy.
fn confidence(tag: &str) -> Option<u8> {
    let level = tag.strip_prefix("misp:confidence-level=")?.trim_matches('"');
    Some(match level {
        "completely-confident" => 100,
        "usually-confident" => 75,
        "fairly-confident" => 50,
        "rarely-confident" => 25,
        "unconfident" => 0,
        _ => return None,
    })
}

/// `misp-galaxy:malware="Emotet"`.
fn galaxy(tag: &str) -> Option<String> {
    let (kind, name) = tag.strip_prefix("misp-galaxy:")?.split_once('=')?;
    (!kind.contains("attack-pattern")).then(|| format!("{} ({kind})", name.trim_matches('"')))
}

/// `misp-galaxy:mitre-attack-pattern="Phishing - T1566"`.
fn technique(tag: &str) -> Option<String> {
    let (_, name) = tag.strip_prefix("misp-galaxy:mitre-attack-pattern=")?.trim_matches('"').rsplit_once(" - ")?;
    name.starts_with('T').then(|| name.to_owned())
}

/// True, `1` and `"1"`, as different versions write.
fn is(value: &Json) -> bool {
    match value {
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_i64() == Some(1),
        Json::String(text) => text == "1" || text == "true",
        _ => false,
    }
}

fn time(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => millis(&number.to_string()),
        Json::String(text) => millis(text),
        _ => None,
    }
}
