//! Tokens of the doors that need one.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// One token, kept as its digest.
#[derive(Debug, Clone)]
pub struct Token {
    /// Who uses it, for a person and for the name of the source.
    pub name: String,
    digest: blake3::Hash,
    /// Whether HEC requests with it are acknowledged by channel.
    pub acknowledge: bool,
    /// Stream of its records where the request does not say; none means `auto`.
    pub stream: Option<String>,
}

impl Token {
    /// Keeps the digest of `secret`.
    pub fn new(name: impl Into<String>, secret: &str, acknowledge: bool, stream: Option<String>) -> Self {
        Self { name: name.into(), digest: blake3::hash(secret.as_bytes()), acknowledge, stream }
    }
}

/// All tokens; an empty list lets nobody in.
#[derive(Debug, Clone, Default)]
pub struct Tokens(pub Vec<Token>);

/// What a request showed.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// No credential.
    Nothing,
    /// One that is not of a form we know.
    Unreadable,

    /// Not one of ours.
    Unknown,
}

impl Tokens {
    /// The token of a request: `Authorization: Splunk|Bearer TOKEN`, or `Basic` or `ApiKey` with the
    /// token behind the colon.
    ///
    /// # Errors
    /// What was shown instead.
    pub fn check(&self, headers: &HeaderMap) -> Result<&Token, Shown> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Err(Shown::Nothing) };
        let value = value.to_str().map_err(|_| Shown::Unreadable)?;
        let (scheme, rest) = value.split_once(' ').ok_or(Shown::Unreadable)?;
        let secret = match scheme.to_ascii_lowercase().as_str() {
            "splunk" | "bearer" => rest.trim().as_bytes().to_vec(),
            "basic" | "apikey" => {
                let pair = base64(rest.trim()).ok_or(Shown::Unreadable)?;
                let at = pair.iter().position(|byte| *byte == b':').ok_or(Shown::Unreadable)?;
                pair.into_iter().skip(at + 1).collect()
            }
            _ => return Err(Shown::Unreadable),
        };
        // Comparing digests takes the same time however much of the token was right.
        let digest = blake3::hash(&secret);
        self.0.iter().find(|token| token.digest == digest).ok_or(Shown::Unknown)
    }
}

/// Standard base64 (RFC 4648), padding optional; none when it is not.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str) -> Result<String, Shown> {
        let tokens = Tokens(vec![Token::new("edge", "s3cret", false, None)]);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        tokens.check(&headers).map(|token| token.name.clone())
    }

    #[test]
    fn four_ways_to_show_a_token() {
        assert_eq!(check("Splunk s3cret").unwrap(), "edge");
        assert_eq!(check("Bearer s3cret").unwrap(), "edge");
        assert_eq!(check("Basic eDpzM2NyZXQ=").unwrap(), "edge");
        assert_eq!(check("ApiKey eDpzM2NyZXQ=").unwrap(), "edge");
        assert_eq!(check("Splunk other").unwrap_err(), Shown::Unknown);
        assert_eq!(check("s3cret").unwrap_err(), Shown::Unreadable);
        assert_eq!(Tokens::default().check(&HeaderMap::new()).unwrap_err(), Shown::Nothing);
    }
}
