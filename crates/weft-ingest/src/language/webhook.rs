//! `[webhook]` in `connector.toml`: how deliveries of a tool are known to be its own.
//!
//! Only the shape and what can be wrong with it; signatures are looked at where deliveries come in.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `[webhook]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookFile {
    /// Record type of the deliveries; none means `auto`.
    #[serde(default)]
    pub stream: Option<String>,
    /// A code over the body, made with a secret that both sides know.
    #[serde(default)]
    pub signature: Option<Signature>,
    /// When the delivery was signed; the signature has to cover it.
    #[serde(default)]
    pub timestamp: Option<Stamp>,
    /// The secret itself, in a header.
    #[serde(default)]
    pub shared: Option<Shared>,
    /// Header that names a delivery, the same when it is sent again.
    #[serde(default)]
    pub delivery: Option<String>,
    /// Headers that tell of a delivery what its body does not; they become members of the record.
    #[serde(default)]
    pub headers: Vec<String>,
    /// How the tool asks whether somebody is there, and what it wants to hear.
    #[serde(default)]
    pub challenge: Vec<Challenge>,
}

/// A code over the body.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Where it stands.
    pub header: String,
    /// How it is made.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How it is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// What stands before it, e.g. `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// Between several signatures in the header; none when there is one.
    #[serde(default)]
    pub separator: Option<String>,
    /// What it covers: text with `{body}`, `{timestamp}`, `{id}`.
    #[serde(default = "body")]
    pub signed: String,
    /// How the secret is written.
    #[serde(default)]
    pub secret: SecretForm,
}

fn body() -> String {
    "{body}".to_owned()
}

/// How a signature is made (RFC 2104).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Algorithm {
    #[default]
    HmacSha256,
    HmacSha512,
    HmacSha1,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Encoding {
    #[default]
    Hex,
    Base64,
}

/// How a secret is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretForm {
    /// Its letters are the key.
    #[default]
    Text,
    /// The key in base64, behind a prefix that ends with `_`.
    Base64,
}

/// When a delivery was signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Where it stands.
    pub header: String,
    /// Of a header such as `t=1,v1=abc`: the name before `=`.
    #[serde(default)]
    pub field: Option<String>,
    /// Of the number.
    #[serde(default)]
    pub unit: Unit,
    /// How far from now it may be.
    #[serde(default = "tolerance")]
    pub tolerance_seconds: u64,
}

fn tolerance() -> u64 {
    300
}

/// Of a number that is a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    #[default]
    Seconds,
    Milliseconds,
}

/// The secret itself, in a header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// Where it stands.
    pub header: String,
    /// What may stand before it, e.g. `Bearer `.
    #[serde(default)]
    pub prefix: String,
}

/// How a tool asks whether somebody is there: its question stands in one of three places.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// In a header.
    #[serde(default)]
    pub header: Option<String>,
    /// In a parameter of the address.
    #[serde(default)]
    pub query: Option<String>,
    /// At this path of the JSON body.
    #[serde(default)]
    pub body: Option<String>,
    /// Paths of the body and the texts that show that it is a question.
    #[serde(default)]
    pub when: BTreeMap<String, String>,
    /// The answer, with `{challenge}` and `{hmac}` (its HMAC-SHA256 in hexadecimal).
    pub answer: String,
}

impl WebhookFile {
    /// What is wrong with it beside its shape.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.signature.is_none() && self.shared.is_none() {
            faults.push("`[webhook]` needs a `signature` or a `shared` secret: anybody could send".to_owned());
        }
        if let Some(signature) = &self.signature {
            if !signature.signed.contains("{body}") {
                faults.push("`signed` must contain `{body}`: a signature that does not cover it proves nothing".to_owned());
            }
            if self.timestamp.is_some() != signature.signed.contains("{timestamp}") {
                faults.push("`timestamp` and `{timestamp}` in `signed` belong together: a time that is not signed can be changed".to_owned());
            }
            if signature.signed.contains("{id}") && self.delivery.is_none() {
                faults.push("`{id}` in `signed` needs `delivery`, the header that names a delivery".to_owned());
            }
        }
        let places = |challenge: &Challenge| [&challenge.header, &challenge.query, &challenge.body].into_iter().flatten().count();
        if self.challenge.iter().any(|challenge| places(challenge) != 1) {
            faults.push("a `challenge` stands in one of `header`, `query`, `body`".to_owned());
        }
        faults
    }
}
