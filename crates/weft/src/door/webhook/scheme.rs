//! How deliveries of a tool are known to be its own, as its manifest declares it: pure.

use axum::http::HeaderMap;
use base64::Engine as _;
use bytes::Bytes;
use ring::hmac;
use serde_json::Value;
use weft_ingest::language::webhook::{Algorithm, Challenge, Encoding, SecretForm, Signature, Unit, WebhookFile};
use weft_model::Timestamp;

/// Signatures in one header that are tried: some tools send one for each secret.
const SIGNATURES_MAX: usize = 8;

/// Why a delivery was refused. The texts tell its sender nothing that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header that the scheme needs is not there.
    #[error("the header `{0}` is missing or not readable")]
    Missing(String),
    /// Signed with another secret, or changed on its way.
    #[error("the signature in `{0}` does not fit the body")]
    Signature(String),
    /// The secret in the header is not ours.
    #[error("the secret in `{0}` is not known")]
    Secret(String),
    /// Too old, or from the future: it may have been recorded and sent again.
    #[error("the delivery was signed {seconds} seconds from now, at most {tolerance} are taken")]
    Time {
        /// Distance.
        seconds: u64,
        /// What the scheme allows.
        tolerance: u64,
    },
}

/// The scheme of one tool.
#[derive(Debug, Clone)]
pub struct Scheme(pub WebhookFile);

impl Scheme {
    /// Whether the delivery is the tool's own, at the time `now`.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], secrets: &[String], now: Timestamp) -> Result<(), Refused> {
        let time = self.time(headers, now)?;
        if let Some(signature) = &self.0.signature {
            verify_signature(signature, headers, body, time.as_deref(), self.0.delivery.as_deref(), secrets)?;
        }
        if let Some(shared) = &self.0.shared {
            let shown = text(headers, &shared.header)?;
            let shown = shown.strip_prefix(&*shared.prefix).unwrap_or(&shown).to_owned();
            // Digests are compared, in constant time: how much was right cannot be measured.
            let digest = blake3::hash(shown.as_bytes());
            let known = secrets.iter().fold(false, |known, secret| known | (blake3::hash(secret.as_bytes()) == digest));
            if !known {
                return Err(Refused::Secret(shared.header.clone()));
            }
        }
        Ok(())
    }

    /// The time header as it is written, when the delivery is within the window.
    fn time(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<String>, Refused> {
        let Some(timestamp) = &self.0.timestamp else { return Ok(None) };
        let whole = text(headers, &timestamp.header)?;
        let written = match &timestamp.field {
            None => whole.clone(),
            Some(field) => part(&whole, field).ok_or_else(|| Refused::Missing(timestamp.header.clone()))?.to_owned(),
        };
        let number: i64 = written.trim().parse().map_err(|_| Refused::Missing(timestamp.header.clone()))?;
        let seconds = match timestamp.unit {
            Unit::Seconds => number,
            Unit::Milliseconds => number / 1000,
        };
        let distance = seconds.abs_diff(now.0 / 1000);
        if distance > timestamp.tolerance_seconds {
            return Err(Refused::Time { seconds: distance, tolerance: timestamp.tolerance_seconds });
        }
        Ok(Some(written))
    }

    /// What names the delivery, so that two equal ones are told apart and the same one twice is not.
    pub fn delivery(&self, headers: &HeaderMap) -> Bytes {
        let header = self.0.delivery.as_deref().and_then(|name| headers.get(name));
        header.map(|value| Bytes::copy_from_slice(value.as_bytes())).unwrap_or_default()
    }

    /// The body, with the headers that the scheme names in front of its members.
    pub fn record(&self, headers: &HeaderMap, body: &Bytes) -> Bytes {
        let start = body.iter().position(|byte| !byte.is_ascii_whitespace()).filter(|at| body.get(*at) == Some(&b'{'));
        let Some((_, rest)) = start.and_then(|at| body.split_at_checked(at + 1)) else { return body.clone() };
        let member = |name: &String| Some(format!("{}:{}", Value::from(name.as_str()), Value::from(headers.get(name)?.to_str().ok()?)));
        let mut added = self.0.headers.iter().filter_map(member).collect::<Vec<String>>().join(",");
        if added.is_empty() {
            return body.clone();
        }
        if rest.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'}') {
            added.push(',');
        }
        Bytes::from([b"{", added.as_bytes(), rest].concat())
    }

    /// The answer to a question whether somebody is here; none when the request is none.
    pub fn challenged(&self, headers: &HeaderMap, query: &str, body: &[u8], secret: Option<&String>) -> Option<String> {
        self.0.challenge.iter().find_map(|challenge| {
            let asked = challenge_text(challenge, headers, query, body)?;
            let signed = secret.map(|secret| mac_hex(secret.as_bytes(), asked.as_bytes())).unwrap_or_default();
            let quoted = if challenge.answer.starts_with('{') { inside_quotes(&asked) } else { asked };
            Some(challenge.answer.replace("{hmac}", &signed).replace("{challenge}", &quoted))
        })
    }
}

fn challenge_text(challenge: &Challenge, headers: &HeaderMap, query: &str, body: &[u8]) -> Option<String> {
    if let Some(name) = &challenge.header {
        return headers.get(name)?.to_str().ok().map(str::to_owned);
    }
    if let Some(name) = &challenge.query {
        return url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    }
    let document: Value = serde_json::from_slice(body).ok()?;
    let at = |path: &str| path.split('.').try_fold(&document, |value, key| value.get(key))?.as_str();
    if challenge.when.iter().any(|(path, wanted)| at(path) != Some(wanted)) {
        return None;
    }
    at(challenge.body.as_deref()?).map(str::to_owned)
}

fn verify_signature(
    signature: &Signature,
    headers: &HeaderMap,
    body: &[u8],
    time: Option<&str>,
    delivery: Option<&str>,
    secrets: &[String],
) -> Result<(), Refused> {
    let shown = text(headers, &signature.header)?;
    let id = delivery.and_then(|name| headers.get(name)).map(|value| value.as_bytes()).unwrap_or_default();
    let message = signed(&signature.signed, body, time.unwrap_or_default(), id);
    let good = candidates(signature, &shown).iter().any(|candidate| {
        secrets.iter().any(|secret| {
            let key = secret_key(signature.secret, secret);
            // Compared in constant time.
            hmac::verify(&hmac::Key::new(algorithm(signature.algorithm), &key), &message, candidate).is_ok()
        })
    });
    if good { Ok(()) } else { Err(Refused::Signature(signature.header.clone())) }
}

/// `{body}`, `{timestamp}` and `{id}` of the template, filled in.
fn signed(template: &str, body: &[u8], time: &str, id: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(template.len() + body.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        message.extend_from_slice(before.as_bytes());
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        match name {
            "body" => message.extend_from_slice(body),
            "timestamp" => message.extend_from_slice(time.as_bytes()),
            "id" => message.extend_from_slice(id),
            _ => {}
        }
        rest = behind;
    }
    message.extend_from_slice(rest.as_bytes());
    message
}

/// The signatures of the header, decoded.
fn candidates(signature: &Signature, shown: &str) -> Vec<Vec<u8>> {
    let parts: Vec<&str> = match &signature.separator {
        Some(separator) => shown.split(separator.as_str()).map(str::trim).collect(),
        None => vec![shown.trim()],
    };
    let decode = |text: &str| match signature.encoding {
        Encoding::Hex => unhex(text),
        Encoding::Base64 => base64::engine::general_purpose::STANDARD.decode(text).ok(),
    };
    parts.into_iter().filter_map(|part| part.strip_prefix(&*signature.prefix)).take(SIGNATURES_MAX).filter_map(decode).collect()
}

fn secret_key(form: SecretForm, secret: &str) -> Vec<u8> {
    match form {
        SecretForm::Text => secret.as_bytes().to_vec(),
        SecretForm::Base64 => {
            let coded = secret.split_once('_').map_or(secret, |(_, coded)| coded);
            base64::engine::general_purpose::STANDARD.decode(coded).unwrap_or_else(|_| secret.as_bytes().to_vec())
        }
    }
}

fn algorithm(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::HmacSha256 => hmac::HMAC_SHA256,
        Algorithm::HmacSha512 => hmac::HMAC_SHA512,
        Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
    }
}

fn mac_hex(key: &[u8], message: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(headers: &HeaderMap, name: &str) -> Result<String, Refused> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned).ok_or_else(|| Refused::Missing(name.to_owned()))
}

/// `field=value` of a header such as `t=1,v1=abc`.
fn part<'a>(whole: &'a str, field: &str) -> Option<&'a str> {
    whole.split([',', ';']).find_map(|part| part.trim().strip_prefix(field)?.strip_prefix('='))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// Text as it stands between the quotes of JSON.
fn inside_quotes(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}
