//! Who asks: headers, and the requests that give an access token. Signing is left to the caller,
//! who has the keys and the cryptography.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::ask::{self, Fill};
use super::describe::{Algorithm, Auth, Method};
use super::message::{Answer, Body, Fault, Request};
use super::session::Session;
use super::template::{Escape, escaped};
use super::{page, when};
use crate::map::time;

/// A token is renewed this long before it ends, milliseconds.
const MARGIN_MS: i64 = 60_000;
/// How long a token is used when the API does not say, milliseconds.
const LIFETIME_MS: i64 = 1_800_000;
/// Longest token, bytes.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// An access token, as it stands in `Authorization`.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    header: String,
    /// When it must be renewed, by our clock, epoch milliseconds.
    pub until: i64,
}

/// Secrets are not for logs.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("until", &self.until).finish_non_exhaustive()
    }
}

/// What the caller has to sign.
#[derive(Clone, PartialEq, Eq)]
pub enum ToSign {
    /// A JSON Web Token (RFC 7519) with a private key in PEM.
    Jwt {
        /// `RS256` or `ES256` (RFC 7518).
        algorithm: &'static str,
        /// Name of the key, for the header.
        key_id: Option<String>,
        /// The key, PEM.
        key: String,
        /// The claims.
        claims: Map<String, Value>,
    },
    /// HMAC-SHA512 (RFC 2104) over a text, in hexadecimal digits the password of `user`.
    Hmac {
        /// User of the basic authentication.
        user: String,
        /// Shared key.
        key: String,
        /// What is signed.
        text: String,
    },
}

/// What to sign to get a token, if anything.
pub fn sign(session: &Session, now: i64) -> Option<ToSign> {
    let Auth::Grant(grant) = &session.description().auth else { return None };
    let jwt = grant.jwt.as_ref()?;
    let fill = |name: &str| session.fixed(name);
    let at = session.server_now(now).div_euclid(1000);
    let mut claims: Map<String, Value> = jwt.claims.iter().filter_map(|(name, value)| Some((name.clone(), value.fill(&fill, Escape::No)?.into()))).collect();
    // Half a minute into the past: servers refuse a token of the future.
    claims.insert("iat".to_owned(), (at - 30).into());
    claims.insert("exp".to_owned(), (at - 30 + jwt.lifetime / 1000).into());
    let algorithm = match jwt.algorithm {
        Algorithm::Rs256 => "RS256",
        Algorithm::Es256 => "ES256",
    };
    let key_id = jwt.key_id.as_ref().and_then(|id| id.fill(&fill, Escape::No));
    Some(ToSign::Jwt { algorithm, key_id, key: jwt.key.fill(&fill, Escape::No)?, claims })
}

/// The request that gives an access token, if the API wants one.
///
/// # Errors
/// The address cannot be made.
pub fn token_request(session: &Session, jwt: Option<&str>) -> Result<Option<Request>, Fault> {
    let Auth::Grant(grant) = &session.description().auth else { return Ok(None) };
    let fill = |name: &str| if name == "jwt" { jwt.map(str::to_owned) } else { session.fixed(name) };
    let fill: Fill<'_> = &fill;
    let url = ask::address(&grant.url, fill, session.origin())?;
    let value = |(name, value): &(String, super::template::Template)| Some((name.clone(), value.fill(fill, Escape::No)?));
    let form: Vec<String> = grant.form.iter().filter_map(value).map(|(name, value)| format!("{}={}", escaped(&name), escaped(&value))).collect();
    let mut headers: Vec<(String, String)> = grant.headers.iter().filter_map(value).map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    if let Some((user, password)) = &grant.basic {
        headers.extend(basic(user.fill(fill, Escape::No), password.fill(fill, Escape::No)));
    }
    Ok(Some(Request { method: Method::Post, url, headers, body: Some(Body::Form(form.join("&"))) }))
}

/// The token in an answer.
///
/// # Errors
/// [`Fault`], by what the caller can do about it.
pub fn access_of(session: &mut Session, now: i64, answer: &Answer) -> Result<Access, Fault> {
    session.hear(now, answer);
    let Auth::Grant(grant) = &session.description().auth else { return Err(Fault::Protocol("there is no token to get".to_owned())) };
    let (pointer, expires, scheme) = (grant.token.clone(), grant.expires.clone(), grant.scheme.clone());
    session.judge(now, answer).map_err(|fault| match fault {
        Fault::Unauthorised(message) | Fault::Refused(message) => Fault::Refused(format!("no access token is given: {message}")),
        other => other,
    })?;
    let token = page::word_of(&answer.body, &pointer).filter(|token| token.len() <= TOKEN_BYTES_MAX && token.bytes().all(|byte| (32..127).contains(&byte)));
    let token = token.ok_or_else(|| Fault::Protocol(format!("the answer has no token at `{pointer}`")))?;
    let lifetime = page::word_of(&answer.body, &expires).and_then(|word| match word.parse::<i64>() {
        Ok(seconds) if seconds < 1_000_000_000 => seconds.checked_mul(1000),
        _ => time::parse(&word, now).map(|at| at - session.server_now(now)),
    });
    let lifetime = lifetime.unwrap_or(LIFETIME_MS);
    Ok(Access { header: format!("{scheme} {token}"), until: now.saturating_add((lifetime - MARGIN_MS).max(lifetime / 2)) })
}

/// Puts into the request who asks; what is left to sign comes back.
pub(super) fn authorize(session: &Session, request: &mut Request, access: Option<&Access>, now: i64) -> Option<ToSign> {
    let fill = |name: &str| session.fixed(name);
    match &session.description().auth {
        Auth::None => {}
        Auth::Header { name, value } => request.headers.extend(value.fill(&fill, Escape::No).map(|value| (name.clone(), value))),
        Auth::Basic { user, password } => request.headers.extend(basic(user.fill(&fill, Escape::No), password.fill(&fill, Escape::No))),
        Auth::Grant(_) => request.headers.extend(access.map(|access| ("authorization".to_owned(), access.header.clone()))),
        Auth::Signed { user, key, canonical } => {
            let date = when::mail_date(session.server_now(now));
            let of_request = |name: &str| match name {
                "date" => Some(date.clone()),
                "method" => Some(request.method.name().to_owned()),
                "host" => request.url.host_str().map(str::to_ascii_lowercase),
                "path" => Some(request.url.path().to_owned()),
                "query" => Some(request.url.query().unwrap_or_default().to_owned()),
                other => session.fixed(other),
            };
            let text = canonical.fill(&of_request, Escape::No)?;
            request.headers.push(("date".to_owned(), date));
            return Some(ToSign::Hmac { user: user.fill(&fill, Escape::No)?, key: key.fill(&fill, Escape::No)?, text });
        }
    }
    None
}

/// `Authorization` of RFC 7617.
pub fn basic(user: Option<String>, password: Option<String>) -> Option<(String, String)> {
    Some(("authorization".to_owned(), format!("Basic {}", STANDARD.encode(format!("{}:{}", user?, password?)))))
}
